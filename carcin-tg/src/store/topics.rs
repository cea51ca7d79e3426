//! Topics by name, those that are gone, and groups that have another id now: where what is for a place really goes.

use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::{Reader, StoreError, Transaction};
use crate::place::Place;

/// Where something goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// There.
    pub place: Place,
    /// The topic that it was for, where that is gone.
    pub instead_of: Option<String>,
}

/// Somebody did something in a place: a topic there is not gone, and may have told its name.
pub fn hear(tx: &Transaction<'_>, place: Place, raw: &Value) -> Result<(), StoreError> {
    let message = &raw["message"];
    if let Some(target) = message["migrate_to_chat_id"].as_i64() {
        set_moved(tx, place.chat, target)?;
    }
    let Some(thread) = place.thread else { return Ok(()) };
    tx.execute(
        "UPDATE topic SET gone = 0 WHERE chat = ?1 AND thread = ?2 AND gone = 1",
        params![place.chat, thread],
    )?;
    let told = [
        &message["forum_topic_edited"]["name"],
        &message["forum_topic_created"]["name"],
        // What is written in a topic and answers nothing answers this.
        &message["reply_to_message"]["forum_topic_created"]["name"],
    ];
    let edited = told[0].is_string();
    match told.into_iter().find_map(Value::as_str) {
        // The message that made it goes on to say how it was called first.
        Some(name) if edited || self::name(tx, place)?.is_none() => set_name(tx, place, name),
        _ => Ok(()),
    }
}

/// Remembers what a topic is called.
pub fn set_name(tx: &Transaction<'_>, place: Place, name: &str) -> Result<(), StoreError> {
    let Some(thread) = place.thread else { return Ok(()) };
    tx.execute(
        "INSERT INTO topic (chat, thread, name) VALUES (?1, ?2, ?3)
         ON CONFLICT (chat, thread) DO UPDATE SET name = ?3",
        params![place.chat, thread, name],
    )?;
    Ok(())
}

fn name(tx: &Reader<'_>, place: Place) -> Result<Option<String>, StoreError> {
    let found = tx
        .query_row(
            "SELECT name FROM topic WHERE chat = ?1 AND thread = ?2",
            params![place.chat, place.thread],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found.flatten())
}

/// What people call the topic; `None`: the place is none.
pub fn called(tx: &Reader<'_>, place: Place) -> Result<Option<String>, StoreError> {
    let Some(thread) = place.thread else { return Ok(None) };
    Ok(Some(name(tx, place)?.unwrap_or_else(|| format!("topic {thread}"))))
}

/// Notes that a topic cannot be written to, until somebody writes there again. Whether that is new.
pub fn lose(tx: &Transaction<'_>, place: Place) -> Result<bool, StoreError> {
    let Some(thread) = place.thread else { return Ok(false) };
    tx.execute("INSERT OR IGNORE INTO topic (chat, thread) VALUES (?1, ?2)", params![place.chat, thread])?;
    let changed = tx.execute(
        "UPDATE topic SET gone = 1 WHERE chat = ?1 AND thread = ?2 AND gone = 0",
        params![place.chat, thread],
    )?;
    Ok(changed == 1)
}

/// The topics that are gone.
pub fn lost(tx: &Reader<'_>) -> Result<Vec<Place>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT chat, thread FROM topic WHERE gone = 1 ORDER BY chat, thread")?;
    let places = statement.query_map([], |row| Ok(Place { chat: row.get(0)?, thread: row.get(1)? }))?;
    Ok(places.collect::<Result<_, _>>()?)
}

/// Notes that a group is another one now. Whether that is new.
pub fn set_moved(tx: &Transaction<'_>, chat: i64, target: i64) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "INSERT INTO moved (chat, target) VALUES (?1, ?2)
         ON CONFLICT (chat) DO UPDATE SET target = ?2 WHERE target <> ?2",
        params![chat, target],
    )?;
    Ok(changed == 1)
}

/// The groups that are others now.
pub fn moved(tx: &Reader<'_>) -> Result<Vec<i64>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT chat FROM moved ORDER BY chat")?;
    let chats = statement.query_map([], |row| row.get(0))?;
    Ok(chats.collect::<Result<_, _>>()?)
}

fn target(tx: &Reader<'_>, chat: i64) -> Result<i64, StoreError> {
    let found = tx.query_row("SELECT target FROM moved WHERE chat = ?1", [chat], |row| row.get(0));
    Ok(found.optional()?.unwrap_or(chat))
}

/// Whether what is for `home` may be answered `here`: in the same chat, whatever the topic, as it may be gone.
pub fn is_answered(tx: &Reader<'_>, home: Place, here: Place) -> Result<bool, StoreError> {
    Ok(home.chat == here.chat || target(tx, home.chat)? == here.chat)
}

/// Where what is for a place goes.
pub fn way(tx: &Reader<'_>, home: Place) -> Result<Way, StoreError> {
    let chat = target(tx, home.chat)?;
    let gone = tx
        .query_row(
            "SELECT 1 FROM topic WHERE chat = ?1 AND thread = ?2 AND gone = 1",
            params![home.chat, home.thread],
            |_| Ok(()),
        )
        .optional()?
        .is_some();
    // Nobody knows how the topics of a group that has moved are called there.
    if gone || (chat != home.chat && home.thread.is_some()) {
        return Ok(Way { place: Place { chat, thread: None }, instead_of: called(tx, home)? });
    }
    Ok(Way { place: Place { chat, ..home }, instead_of: None })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::Bench;
    use super::*;

    const TOPIC: Place = Place { chat: -5, thread: Some(9) };

    #[test]
    fn a_topic_is_known_by_its_latest_name_and_gone_until_it_speaks_again() {
        let mut bench = Bench::new();
        let hear = |bench: &mut Bench, message: Value| {
            bench.write(|tx| hear(tx, TOPIC, &json!({"message": message})));
        };
        assert_eq!(bench.write(|tx| called(tx, TOPIC)).as_deref(), Some("topic 9"));
        let created = json!({"reply_to_message": {"forum_topic_created": {"name": "Docs"}}});
        hear(&mut bench, created.clone());
        assert_eq!(bench.write(|tx| called(tx, TOPIC)).as_deref(), Some("Docs"));
        hear(&mut bench, json!({"forum_topic_edited": {"name": "The docs"}}));
        assert!(bench.write(|tx| lose(tx, TOPIC)), "new");
        assert!(!bench.write(|tx| lose(tx, TOPIC)), "known");
        bench.reopen();
        assert_eq!(bench.read(lost), [TOPIC]);
        let way_there = bench.write(|tx| way(tx, TOPIC));
        assert_eq!(way_there.place, Place { thread: None, ..TOPIC });
        assert_eq!(way_there.instead_of.as_deref(), Some("The docs"), "the first name is older");
        hear(&mut bench, created);
        assert!(bench.read(lost).is_empty());
        assert_eq!(bench.write(|tx| way(tx, TOPIC)), Way { place: TOPIC, instead_of: None });
    }

    #[test]
    fn what_is_for_a_group_that_has_moved_goes_to_where_it_is_now() {
        let mut bench = Bench::new();
        let (old, new) = (Place { chat: -5, thread: None }, Place { chat: -1_005, thread: None });
        let told = json!({"message": {"migrate_to_chat_id": new.chat}});
        bench.write(|tx| hear(tx, old, &told));
        assert!(!bench.write(|tx| set_moved(tx, old.chat, new.chat)));
        bench.reopen();
        assert_eq!(bench.write(|tx| way(tx, old)).place, new);
        assert!(bench.write(|tx| is_answered(tx, old, new)));
        assert!(!bench.write(|tx| is_answered(tx, new, old)));
    }
}
