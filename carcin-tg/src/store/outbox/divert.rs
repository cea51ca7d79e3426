//! What becomes of messages whose place is gone: they go where they are seen, and say what they were for.

use rusqlite::params;
use serde_json::{Value, json};
use tracing::error;

use super::{add, send};
use crate::markdown::{CAPTION_LIMIT, MESSAGE_LIMIT, Text, utf16_len};
use crate::message::Message;
use crate::place::Place;
use crate::queue::{MessageRef, Op, Priority};
use crate::store::{StoreError, Transaction, requests, topics};

/// The most characters of a topic's name that a message begins with.
const NAME: usize = 40;

/// A topic cannot be written to. From now on what is for it goes to the chat itself, which is told once; what Claude
/// asks there is asked again.
pub fn leave_topic(tx: &Transaction<'_>, topic: Place) -> Result<(), StoreError> {
    if !topics::lose(tx, topic)? {
        return Ok(());
    }
    let name = topics::called(tx, topic)?.unwrap_or_default();
    let name: String = name.chars().take(NAME).collect();
    let said =
        format!("⚠️ I cannot write in the topic “{name}” any longer. What is for it comes here, marked ↪️.");
    tell(tx, Place { thread: None, ..topic }, &said)?;
    ask_again(tx, topic)
}

/// A group has become another one. What is for it goes there from now on.
pub fn move_group(tx: &Transaction<'_>, chat: i64, target: i64) -> Result<(), StoreError> {
    if !topics::set_moved(tx, chat, target)? {
        return Ok(());
    }
    let said = "ℹ️ Telegram has made a new group of this one. What was begun before is still told here; /sessions leads \
                back to it.";
    tell(tx, Place { chat: target, thread: None }, said)?;
    ask_again(tx, Place { chat, thread: None })
}

fn tell(tx: &Transaction<'_>, place: Place, said: &str) -> Result<(), StoreError> {
    send(tx, place, Priority::Control, &Message::silent(Text::plain(said)))
}

fn ask_again(tx: &Transaction<'_>, home: Place) -> Result<(), StoreError> {
    for asked in requests::open(tx)? {
        if Place::of(&asked.conversation) == Some(home) {
            repeat(tx, home, asked.message)?;
        }
    }
    Ok(())
}

/// A message that was seen where nobody sees it any longer is made again.
fn repeat(tx: &Transaction<'_>, home: Place, message: MessageRef) -> Result<(), StoreError> {
    let sent = "SELECT body FROM message WHERE id = ?1 AND message_id IS NOT NULL AND diverted = 0";
    let mut statement = tx.prepare_cached(sent)?;
    let bodies: Vec<String> =
        statement.query_map([message.0], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for body in bodies {
        if let Ok(Value::Object(mut body)) = serde_json::from_str(&body) {
            body.insert("chat_id".to_owned(), json!(home.chat));
            add(tx, home, Priority::Control, Op::Edit, Some(message), &Value::Object(body))?;
        } else {
            // The next change of it is made anew, too.
            error!("a defect: what message {} shows cannot be read: it is not asked again", message.0);
        }
    }
    Ok(())
}

/// Whether an edit says something that must be seen, although the message that it would change is gone: how a text or
/// a task ended, or what is asked. What went on, and what became of a button, is not.
pub(super) fn matters(priority: Priority, body: &Value) -> bool {
    let has_buttons = body["reply_markup"]["inline_keyboard"].as_array().is_some_and(|rows| !rows.is_empty());
    priority == Priority::Prose || (priority == Priority::Control && has_buttons)
}

/// The message is made anew, elsewhere.
pub(super) fn set_diverted(tx: &Transaction<'_>, message: MessageRef, chat: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE message SET diverted = 1, message_id = NULL, shown = NULL, chat = ?2 WHERE id = ?1",
        params![message.0, chat],
    )?;
    Ok(())
}

/// Puts the topic's name before what is said, where there is room.
pub(super) fn mark(body: &mut Value, topic: &str) {
    let name: String = topic.chars().take(NAME).collect();
    let (field, limit) = if body["sorry"].is_string() {
        ("sorry", MESSAGE_LIMIT)
    } else if body["text"].is_string() {
        ("text", MESSAGE_LIMIT)
    } else {
        // Cut by what sends it.
        ("caption", CAPTION_LIMIT / 2)
    };
    let said = body[field].as_str().unwrap_or_default();
    let mark = if said.is_empty() { format!("↪️ {name}") } else { format!("↪️ {name}\n") };
    let shift = utf16_len(&mark);
    if utf16_len(said) + shift > limit {
        return;
    }
    body[field] = format!("{mark}{said}").into();
    for entity in body["entities"].as_array_mut().into_iter().flatten() {
        if let Some(offset) = entity["offset"].as_u64() {
            entity["offset"] = json!(offset + u64::try_from(shift).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_moves_what_is_bold_and_never_makes_a_message_too_long() {
        let mut body = Message::silent(crate::markdown::render("It is **done**")).body();
        mark(&mut body, "Docs 😀");
        assert_eq!(body["text"], "↪️ Docs 😀\nIt is done");
        assert_eq!((&body["entities"][0]["offset"], &body["entities"][0]["length"]), (&json!(17), &json!(4)));
        let long = "x".repeat(MESSAGE_LIMIT);
        let mut body = json!({"text": long});
        mark(&mut body, "Docs");
        assert_eq!(body["text"], long);
        let mut file = json!({"files": ["/a"], "caption": ""});
        mark(&mut file, "Docs");
        assert_eq!(file["caption"], "↪️ Docs");
    }
}
