//! What came in: received → submitted → accepted, refused or cancelled.

use rusqlite::{OptionalExtension, Row as SqlRow, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

use super::quarantine::{self, Table};
use super::{Reader, StoreError, Transaction, now_ms};
use crate::place::Place;
use crate::queue::Lane;

/// How a row ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It had its effect.
    Accepted,
    /// It was refused; the user is told in the same transaction.
    Refused,
    /// It was taken back before it had an effect.
    Cancelled,
}

/// A new row.
#[derive(Debug, Clone)]
pub struct Arrival<'a> {
    /// The same for every delivery of the same thing.
    pub key: &'a str,
    /// Who works on it.
    pub lane: Lane,
    /// Where it came from.
    pub place: Place,
    /// Who sent it.
    pub sender: i64,
    /// Of a message, its id and its text.
    pub message: Option<(i64, &'a str)>,
    /// Of a message, which file it has; empty: none.
    pub media: &'a str,
    /// Whether it goes with others.
    pub burst: Burst,
    /// Whether its file is to be fetched first.
    pub needs: bool,
    /// The update.
    pub raw: &'a Value,
}

/// Whether a message goes as one prompt with those around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Burst {
    /// It goes alone, and at once.
    Alone,
    /// It goes at once, unless one before it waits for others.
    Joins,
    /// It waits for others, as they are likely.
    Waits,
    /// It waits for others, and goes with none before it.
    Begins,
}

/// A prompt as it is submitted, also when it is submitted again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composed {
    /// What Claude is to read.
    pub text: String,
    /// Pictures that it is to see.
    #[serde(default)]
    pub images: Vec<PathBuf>,
    /// All files that it names: they are kept for as long as it waits.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// It waits for the end of the running turn.
    #[serde(default)]
    pub queued: bool,
    /// The row whose prompt was taken back for this one.
    #[serde(default)]
    pub replaces: Option<i64>,
}

/// A row to work on.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its place in the order of arrival.
    pub id: i64,
    /// See [`Arrival::key`].
    pub key: String,
    /// The update.
    pub raw: Value,
    /// It may have reached the daemon.
    pub submitted: bool,
    /// A `/stop` came after it.
    pub cancelled: bool,
    /// The user knows that it waits.
    pub told: bool,
    /// Of a prompt, what was or will be submitted, once that is settled.
    pub composed: Option<Composed>,
    /// Of `/cwd`, the folder, once that is settled.
    pub folder: Option<PathBuf>,
}

/// Takes in a row. Whether it is new: a redelivered one changes nothing.
///
/// A `/stop` cancels what the chat sent before and is not submitted, and marks what is. An edit replaces the
/// message as long as that is not submitted; one that leaves the text and the file as they were, as Telegram makes for a link's
/// preview, is nothing new.
pub fn insert(tx: &Transaction<'_>, arrival: &Arrival<'_>) -> Result<bool, StoreError> {
    if let Some((message, text)) = arrival.message {
        let last: Option<(Option<String>, Option<String>)> = tx
            .query_row(
                "SELECT content, media FROM inbox WHERE chat = ?1 AND message = ?2 ORDER BY id DESC LIMIT 1",
                params![arrival.place.chat, message],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        if let Some((Some(words), media)) = last
            && words == text
            && media.is_none_or(|media| media == arrival.media)
        {
            return Ok(false);
        }
    }
    let added = tx.execute(
        "INSERT OR IGNORE INTO inbox
             (key, lane, chat, thread, sender, message, content, media, burst, needs, raw, state, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'received', ?12)",
        params![
            arrival.key,
            arrival.lane.name(),
            arrival.place.chat,
            arrival.place.thread,
            arrival.sender,
            arrival.message.map(|(id, _)| id),
            arrival.message.map(|(_, text)| text),
            arrival.media,
            arrival.burst as i64,
            arrival.needs,
            arrival.raw.to_string(),
            now_ms(),
        ],
    )?;
    if added == 0 {
        return Ok(false);
    }
    let id = tx.last_insert_rowid();
    if arrival.lane == Lane::Stop {
        cancel_before(tx, arrival.place, id)?;
    } else if let Some((message, _)) = arrival.message {
        replace(tx, arrival.place.chat, message, id)?;
    }
    Ok(true)
}

/// The edit `id` takes the place of what was not submitted of its message. What that was to go with is composed anew.
fn replace(tx: &Transaction<'_>, chat: i64, message: i64, id: i64) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(
        "UPDATE inbox SET state = 'cancelled', cancelled_by = ?1
         WHERE chat = ?2 AND message = ?3 AND id < ?1 AND state = 'received'
         RETURNING coalesce(joined, id)",
    )?;
    let heads: Vec<i64> =
        statement.query_map(params![id, chat, message], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for head in heads {
        tx.execute(
            "UPDATE inbox SET joined = NULL, composed = NULL
             WHERE (id = ?1 OR joined = ?1) AND state = 'received'",
            [head],
        )?;
    }
    Ok(())
}

fn cancel_before(tx: &Transaction<'_>, place: Place, stop: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE inbox SET cancelled_by = ?1,
                          state = CASE state WHEN 'received' THEN 'cancelled' ELSE state END
         WHERE chat = ?2 AND thread IS ?3 AND id < ?1 AND lane IN ('prompt', 'button')
           AND state IN ('received', 'submitted') AND cancelled_by IS NULL",
        params![stop, place.chat, place.thread],
    )?;
    Ok(())
}

/// How many rows of the inbox a `/stop` took back.
pub fn cancelled_by(tx: &Reader<'_>, stop: i64) -> Result<u32, StoreError> {
    let count =
        "SELECT count(*) FROM inbox WHERE cancelled_by = ?1 AND state = 'cancelled' AND lane = 'prompt'";
    Ok(tx.query_row(count, [stop], |row| row.get(0))?)
}

/// The oldest open row of a lane other than that of the prompts; for that see [`super::bundle::next`].
pub fn next(tx: &Reader<'_>, lane: Lane) -> Result<Option<Row>, StoreError> {
    let sql = format!("{COLUMNS} WHERE lane = ?1 AND state IN ('received', 'submitted') ORDER BY id LIMIT 1");
    tx.query_row(&sql, [lane.name()], read_row).optional()?.transpose()
}

/// A row, by its id.
pub(super) fn row(tx: &Reader<'_>, id: i64) -> Result<Row, StoreError> {
    tx.query_row(&format!("{COLUMNS} WHERE id = ?1"), [id], read_row)?
}

/// The oldest open rows of a lane that are not among `others`, at most `limit`: for a lane whose rows wait for none.
pub fn next_beside(
    tx: &Reader<'_>,
    lane: Lane,
    others: &[i64],
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "{COLUMNS} WHERE lane = ?1 AND state IN ('received', 'submitted') ORDER BY id LIMIT ?2"
    ))?;
    let most = i64::try_from(limit + others.len()).unwrap_or(i64::MAX);
    let found = statement.query_map(params![lane.name(), most], read_row)?;
    let mut rows = found.collect::<rusqlite::Result<Result<Vec<_>, _>>>()??;
    rows.retain(|row| !others.contains(&row.id));
    rows.truncate(limit);
    Ok(rows)
}

/// Another lane works on the row from now on; there it keeps its place in the order of arrival.
pub fn move_to(tx: &Transaction<'_>, id: i64, lane: Lane) -> Result<(), StoreError> {
    tx.execute("UPDATE inbox SET lane = ?2 WHERE id = ?1", params![id, lane.name()])?;
    Ok(())
}

/// What [`read_row`] reads.
const COLUMNS: &str = "SELECT id, key, state, cancelled_by, told, raw, composed, folder FROM inbox AS this";

fn read_row(row: &SqlRow<'_>) -> rusqlite::Result<Result<Row, StoreError>> {
    let id = row.get(0)?;
    Ok(quarantine::reading(Table::Inbox, id, || {
        let (state, raw): (String, String) = (row.get(2)?, row.get(5)?);
        let (cancelled_by, composed): (Option<i64>, Option<String>) = (row.get(3)?, row.get(6)?);
        Ok(Row {
            id,
            key: row.get(1)?,
            raw: serde_json::from_str(&raw)?,
            submitted: state == "submitted",
            cancelled: cancelled_by.is_some(),
            told: row.get(4)?,
            composed: composed.map(|composed| serde_json::from_str(&composed)).transpose()?,
            folder: row.get::<_, Option<String>>(7)?.map(PathBuf::from),
        })
    }))
}

/// From here on the row may reach the daemon. `false`: it was taken back in the meantime.
pub fn submit(tx: &Transaction<'_>, id: i64) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE inbox SET state = 'submitted'
         WHERE (id = ?1 OR joined = ?1) AND state IN ('received', 'submitted') AND cancelled_by IS NULL",
        [id],
    )?;
    Ok(changed > 0)
}

/// The row certainly did not reach the daemon. One that a `/stop` wants back is cancelled now.
pub fn withdraw(tx: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE inbox SET state = CASE WHEN cancelled_by IS NULL THEN 'received' ELSE 'cancelled' END
         WHERE (id = ?1 OR joined = ?1) AND state = 'submitted'",
        [id],
    )?;
    Ok(())
}

/// The row had its effect, unless a `/stop` came while it was on its way: then it stays open, to be stopped.
pub fn accept(tx: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE inbox SET state = 'accepted'
         WHERE (id = ?1 OR joined = ?1) AND state IN ('received', 'submitted') AND cancelled_by IS NULL",
        [id],
    )?;
    Ok(())
}

/// The row is done with, and with it what goes in the same prompt.
pub fn finish(tx: &Transaction<'_>, id: i64, end: End) -> Result<(), StoreError> {
    let state = match end {
        End::Accepted => "accepted",
        End::Refused => "refused",
        End::Cancelled => "cancelled",
    };
    tx.execute(
        "UPDATE inbox SET state = ?2
         WHERE (id = ?1 OR joined = ?1) AND state IN ('received', 'submitted')",
        params![id, state],
    )?;
    Ok(())
}

/// This is the folder that the row means, also when it is done again.
pub fn set_folder(tx: &Transaction<'_>, id: i64, folder: &Path) -> Result<(), StoreError> {
    tx.execute("UPDATE inbox SET folder = ?2 WHERE id = ?1", params![id, folder.to_str()])?;
    Ok(())
}

/// The user knows that the row waits.
pub fn set_told(tx: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE inbox SET told = 1 WHERE id = ?1", [id])?;
    Ok(())
}

/// Where the message came from that has this key.
pub fn place_of(tx: &Reader<'_>, key: &str) -> Result<Option<Place>, StoreError> {
    let read = |row: &SqlRow<'_>| Ok(Place { chat: row.get(0)?, thread: row.get(1)? });
    Ok(tx.query_row("SELECT chat, thread FROM inbox WHERE key = ?1", [key], read).optional()?)
}

/// The whole of a prompt that is still kept, by its key or one that was made of it: to move it, or to run it again.
pub fn prompt_of(tx: &Reader<'_>, key: &str) -> Result<Option<Composed>, StoreError> {
    let key = super::uploads::message_key(tx, key)?;
    let read = |row: &SqlRow<'_>| {
        let id = row.get(0)?;
        Ok(quarantine::reading(Table::Inbox, id, || {
            let (composed, content): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
            Ok(match (composed, content) {
                (Some(composed), _) => Some(serde_json::from_str(&composed)?),
                (None, Some(text)) => Some(Composed { text, ..Composed::default() }),
                (None, None) => None,
            })
        }))
    };
    let found = tx.query_row("SELECT id, composed, content FROM inbox WHERE key = ?1", [key], read);
    Ok(found.optional()?.transpose()?.flatten())
}

/// Forgets what is settled and came in before this moment, unless something that is open needs it.
pub(super) fn prune(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM inbox WHERE at < ?1 AND state NOT IN ('received', 'submitted')
           AND id NOT IN (SELECT value FROM json_each(?2))",
        params![before, super::uploads::kept_rows(tx)?],
    )?;
    Ok(())
}

/// The messages that this table refers to.
pub(super) const MESSAGES: &[&str] = &["SELECT note FROM inbox WHERE note IS NOT NULL"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{bundle, facts, testing::Bench};
    use super::*;

    fn arrive(bench: &mut Bench, key: &str, lane: Lane, message: Option<(i64, &str)>) -> bool {
        let place = Place::private(1);
        let raw = json!({"k": key});
        let burst = Burst::Alone;
        let arrival =
            Arrival { key, lane, place, sender: 1, message, media: "", burst, needs: false, raw: &raw };
        bench.write(|tx| insert(tx, &arrival))
    }

    fn next_row(bench: &mut Bench, lane: Lane) -> Option<Row> {
        if lane != Lane::Prompt {
            return bench.write(|tx| next(tx, lane));
        }
        match bench.write(|tx| bundle::next(tx, now_ms())) {
            bundle::Next::Ready(ready) => Some(ready.head),
            bundle::Next::Later(_) | bundle::Next::Nothing => None,
        }
    }

    fn next_key(bench: &mut Bench, lane: Lane) -> Option<String> {
        next_row(bench, lane).map(|row| row.key)
    }

    #[test]
    fn a_redelivered_update_is_taken_in_once() {
        let mut bench = Bench::new();
        assert!(arrive(&mut bench, "1:0", Lane::Prompt, Some((1, "a"))));
        // Died before the offset was confirmed: Telegram delivers it again.
        bench.reopen();
        assert_eq!(bench.read(facts::next_update), 0);
        assert!(!arrive(&mut bench, "1:0", Lane::Prompt, Some((1, "a"))));
        let row = next_row(&mut bench, Lane::Prompt).expect("the row");
        bench.write(|tx| finish(tx, row.id, End::Accepted));
        assert!(!arrive(&mut bench, "1:0", Lane::Prompt, Some((1, "a"))));
        assert_eq!(next_key(&mut bench, Lane::Prompt), None);
    }

    #[test]
    fn a_submitted_row_without_a_reply_comes_up_again() {
        let mut bench = Bench::new();
        arrive(&mut bench, "1:0", Lane::Prompt, Some((1, "a")));
        let row = next_row(&mut bench, Lane::Prompt).expect("the row");
        assert!(bench.write(|tx| submit(tx, row.id)));
        bench.reopen();
        let again = next_row(&mut bench, Lane::Prompt).expect("the row");
        assert!(again.submitted && !again.cancelled);
        assert_eq!(again.key, "1:0");
    }

    #[test]
    fn a_stop_takes_back_what_is_not_submitted_and_marks_what_is() {
        let mut bench = Bench::new();
        for (key, message) in [("1:0", 1), ("2:0", 2)] {
            arrive(&mut bench, key, Lane::Prompt, Some((message, key)));
        }
        let first = next_row(&mut bench, Lane::Prompt).expect("the row");
        bench.write(|tx| submit(tx, first.id));
        arrive(&mut bench, "3:0", Lane::Stop, Some((3, "/stop")));
        arrive(&mut bench, "4:0", Lane::Prompt, Some((4, "later")));

        let stop = next_row(&mut bench, Lane::Stop).expect("the stop");
        assert_eq!(bench.write(|tx| cancelled_by(tx, stop.id)), 1);
        let marked = next_row(&mut bench, Lane::Prompt).expect("the submitted one");
        assert!(marked.cancelled && marked.submitted);
        assert!(!bench.write(|tx| submit(tx, first.id)), "not submitted again");
        bench.write(|tx| accept(tx, first.id));
        assert_eq!(
            next_key(&mut bench, Lane::Prompt).as_deref(),
            Some("1:0"),
            "accepted is not the end of it"
        );
        bench.write(|tx| finish(tx, first.id, End::Cancelled));
        assert_eq!(next_key(&mut bench, Lane::Prompt), None, "a later prompt waits for the stop");
        bench.write(|tx| finish(tx, stop.id, End::Accepted));
        assert_eq!(next_key(&mut bench, Lane::Prompt).as_deref(), Some("4:0"));
    }

    #[test]
    fn a_prompt_waits_for_the_presses_before_it_but_not_for_one_that_waits_for_the_daemon() {
        let mut bench = Bench::new();
        arrive(&mut bench, "press", Lane::Button, None);
        arrive(&mut bench, "2:0", Lane::Prompt, Some((2, "a")));
        arrive(&mut bench, "later press", Lane::Button, None);
        assert_eq!(next_key(&mut bench, Lane::Prompt), None);
        let press = bench.write(|tx| next(tx, Lane::Button)).expect("the press");
        bench.write(|tx| set_told(tx, press.id));
        assert_eq!(next_key(&mut bench, Lane::Prompt).as_deref(), Some("2:0"));
        bench.write(|tx| finish(tx, press.id, End::Accepted));
        assert_eq!(next_key(&mut bench, Lane::Prompt).as_deref(), Some("2:0"), "the later one is behind it");
    }

    #[test]
    fn a_prompt_that_never_left_can_still_be_stopped() {
        let mut bench = Bench::new();
        arrive(&mut bench, "1:0", Lane::Prompt, Some((1, "a")));
        let row = next_row(&mut bench, Lane::Prompt).expect("the row");
        bench.write(|tx| submit(tx, row.id));
        arrive(&mut bench, "2:0", Lane::Stop, Some((2, "/stop")));
        bench.write(|tx| withdraw(tx, row.id));
        assert_eq!(next_key(&mut bench, Lane::Prompt), None);
    }

    #[test]
    fn an_edit_replaces_what_waits_and_an_edit_of_nothing_is_nothing() {
        let mut bench = Bench::new();
        arrive(&mut bench, "1:0", Lane::Prompt, Some((1, "a")));
        assert!(!arrive(&mut bench, "1:9", Lane::Prompt, Some((1, "a"))));
        assert!(arrive(&mut bench, "1:10", Lane::Prompt, Some((1, "b"))));
        assert_eq!(next_key(&mut bench, Lane::Prompt).as_deref(), Some("1:10"));
    }
}
