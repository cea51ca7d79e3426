//! What came in: received → submitted → accepted, refused or cancelled.

use rusqlite::{OptionalExtension, Row as SqlRow, Transaction, params};
use serde_json::Value;

use super::{StoreError, now_ms};

/// Who works on a row. Each lane is worked in order and waits for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// `/stop`.
    Stop,
    /// What is answered without changing anything.
    Info,
    /// Prompts, and what must keep its place among them.
    Prompt,
    /// Presses on buttons.
    Button,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stop, Self::Info, Self::Prompt, Self::Button];

    /// Its name, also in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Info => "info",
            Self::Prompt => "prompt",
            Self::Button => "button",
        }
    }
}

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
    /// The chat it came from.
    pub chat: i64,
    /// Of a message, its id and its text.
    pub message: Option<(i64, &'a str)>,
    /// The update.
    pub raw: &'a Value,
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
}

/// Takes in a row. Whether it is new: a redelivered one changes nothing.
///
/// A `/stop` cancels what the chat sent before and is not submitted, and marks what is. An edit replaces the
/// message as long as that is not submitted; one that leaves the text as it was, as Telegram makes for a link's
/// preview, is nothing new.
pub fn insert(tx: &Transaction<'_>, arrival: &Arrival<'_>) -> Result<bool, StoreError> {
    if let Some((message, text)) = arrival.message {
        let last: Option<Option<String>> = tx
            .query_row(
                "SELECT content FROM inbox WHERE chat = ?1 AND message = ?2 ORDER BY id DESC LIMIT 1",
                params![arrival.chat, message],
                |row| row.get(0),
            )
            .optional()?;
        if last.flatten().as_deref() == Some(text) {
            return Ok(false);
        }
    }
    let added = tx.execute(
        "INSERT OR IGNORE INTO inbox (key, lane, chat, message, content, raw, state, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'received', ?7)",
        params![
            arrival.key,
            arrival.lane.name(),
            arrival.chat,
            arrival.message.map(|(id, _)| id),
            arrival.message.map(|(_, text)| text),
            arrival.raw.to_string(),
            now_ms(),
        ],
    )?;
    if added == 0 {
        return Ok(false);
    }
    let id = tx.last_insert_rowid();
    if arrival.lane == Lane::Stop {
        cancel_before(tx, arrival.chat, id)?;
    } else if let Some((message, _)) = arrival.message {
        tx.execute(
            "UPDATE inbox SET state = 'cancelled', cancelled_by = ?1
             WHERE chat = ?2 AND message = ?3 AND id < ?1 AND state = 'received'",
            params![id, arrival.chat, message],
        )?;
    }
    Ok(true)
}

fn cancel_before(tx: &Transaction<'_>, chat: i64, stop: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE inbox SET cancelled_by = ?1,
                          state = CASE state WHEN 'received' THEN 'cancelled' ELSE state END
         WHERE chat = ?2 AND id < ?1 AND lane IN ('prompt', 'button')
           AND state IN ('received', 'submitted') AND cancelled_by IS NULL",
        params![stop, chat],
    )?;
    Ok(())
}

/// How many rows of the inbox a `/stop` took back.
pub fn cancelled_by(tx: &Transaction<'_>, stop: i64) -> Result<u32, StoreError> {
    let count =
        "SELECT count(*) FROM inbox WHERE cancelled_by = ?1 AND state = 'cancelled' AND lane = 'prompt'";
    Ok(tx.query_row(count, [stop], |row| row.get(0))?)
}

/// The oldest open row of a lane. A prompt waits for the stops that the same chat sent before it, and for the
/// presses, which say whether it is an answer: but not for one that is known to wait for the daemon.
pub fn next(tx: &Transaction<'_>, lane: Lane) -> Result<Option<Row>, StoreError> {
    let found = tx
        .query_row(
            "SELECT id, key, raw, state, cancelled_by, told FROM inbox AS this
             WHERE lane = ?1 AND state IN ('received', 'submitted')
               AND NOT (lane = 'prompt' AND EXISTS (
                   SELECT 1 FROM inbox AS first WHERE first.chat = this.chat AND first.id < this.id
                      AND (first.lane = 'stop' OR (first.lane = 'button' AND first.told = 0))
                      AND first.state IN ('received', 'submitted')))
             ORDER BY id LIMIT 1",
            [lane.name()],
            read_row,
        )
        .optional()?;
    found.map(|(row, raw)| Ok(Row { raw: serde_json::from_str(&raw)?, ..row })).transpose()
}

/// The oldest open rows of a lane that are not among `others`, at most `limit`: for a lane whose rows wait for none.
pub fn next_beside(
    tx: &Transaction<'_>,
    lane: Lane,
    others: &[i64],
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT id, key, raw, state, cancelled_by, told FROM inbox
         WHERE lane = ?1 AND state IN ('received', 'submitted') ORDER BY id LIMIT ?2",
    )?;
    let most = i64::try_from(limit + others.len()).unwrap_or(i64::MAX);
    let found = statement.query_map(params![lane.name(), most], read_row)?.collect::<Result<Vec<_>, _>>()?;
    let new = found.into_iter().filter(|(row, _)| !others.contains(&row.id)).take(limit);
    new.map(|(row, raw)| Ok(Row { raw: serde_json::from_str(&raw)?, ..row })).collect()
}

/// Another lane works on the row from now on; there it keeps its place in the order of arrival.
pub fn move_to(tx: &Transaction<'_>, id: i64, lane: Lane) -> Result<(), StoreError> {
    tx.execute("UPDATE inbox SET lane = ?2 WHERE id = ?1", params![id, lane.name()])?;
    Ok(())
}

fn read_row(row: &SqlRow<'_>) -> rusqlite::Result<(Row, String)> {
    let state: String = row.get(3)?;
    let cancelled_by: Option<i64> = row.get(4)?;
    let read = Row {
        id: row.get(0)?,
        key: row.get(1)?,
        raw: Value::Null,
        submitted: state == "submitted",
        cancelled: cancelled_by.is_some(),
        told: row.get(5)?,
    };
    Ok((read, row.get(2)?))
}

/// From here on the row may reach the daemon. `false`: it was taken back in the meantime.
pub fn submit(tx: &Transaction<'_>, id: i64) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE inbox SET state = 'submitted'
         WHERE id = ?1 AND state IN ('received', 'submitted') AND cancelled_by IS NULL",
        [id],
    )?;
    Ok(changed == 1)
}

/// The row certainly did not reach the daemon. One that a `/stop` wants back is cancelled now.
pub fn withdraw(tx: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE inbox SET state = CASE WHEN cancelled_by IS NULL THEN 'received' ELSE 'cancelled' END
         WHERE id = ?1 AND state = 'submitted'",
        [id],
    )?;
    Ok(())
}

/// The row had its effect, unless a `/stop` came while it was on its way: then it stays open, to be stopped.
pub fn accept(tx: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE inbox SET state = 'accepted' WHERE id = ?1 AND cancelled_by IS NULL", [id])?;
    Ok(())
}

/// The row is done with.
pub fn finish(tx: &Transaction<'_>, id: i64, end: End) -> Result<(), StoreError> {
    let state = match end {
        End::Accepted => "accepted",
        End::Refused => "refused",
        End::Cancelled => "cancelled",
    };
    tx.execute("UPDATE inbox SET state = ?2 WHERE id = ?1", params![id, state])?;
    Ok(())
}

/// The user knows that the row waits.
pub fn set_told(tx: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE inbox SET told = 1 WHERE id = ?1", [id])?;
    Ok(())
}

/// The whole text of a message that is still kept.
pub fn text_of(tx: &Transaction<'_>, key: &str) -> Result<Option<String>, StoreError> {
    let found: Option<Option<String>> =
        tx.query_row("SELECT content FROM inbox WHERE key = ?1", [key], |row| row.get(0)).optional()?;
    Ok(found.flatten())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{facts, testing::Bench};
    use super::*;

    fn arrive(bench: &mut Bench, key: &str, lane: Lane, message: Option<(i64, &str)>) -> bool {
        bench.write(|tx| insert(tx, &Arrival { key, lane, chat: 1, message, raw: &json!({"k": key}) }))
    }

    fn next_key(bench: &mut Bench, lane: Lane) -> Option<String> {
        bench.write(|tx| next(tx, lane)).map(|row| row.key)
    }

    #[test]
    fn a_redelivered_update_is_taken_in_once() {
        let mut bench = Bench::new();
        assert!(arrive(&mut bench, "1:0", Lane::Prompt, Some((1, "a"))));
        // Died before the offset was confirmed: Telegram delivers it again.
        bench.reopen();
        assert_eq!(bench.write(facts::next_update), 0);
        assert!(!arrive(&mut bench, "1:0", Lane::Prompt, Some((1, "a"))));
        let row = bench.write(|tx| next(tx, Lane::Prompt)).expect("the row");
        bench.write(|tx| finish(tx, row.id, End::Accepted));
        assert!(!arrive(&mut bench, "1:0", Lane::Prompt, Some((1, "a"))));
        assert_eq!(next_key(&mut bench, Lane::Prompt), None);
    }

    #[test]
    fn a_submitted_row_without_a_reply_comes_up_again() {
        let mut bench = Bench::new();
        arrive(&mut bench, "1:0", Lane::Prompt, Some((1, "a")));
        let row = bench.write(|tx| next(tx, Lane::Prompt)).expect("the row");
        assert!(bench.write(|tx| submit(tx, row.id)));
        bench.reopen();
        let again = bench.write(|tx| next(tx, Lane::Prompt)).expect("the row");
        assert!(again.submitted && !again.cancelled);
        assert_eq!(again.key, "1:0");
    }

    #[test]
    fn a_stop_takes_back_what_is_not_submitted_and_marks_what_is() {
        let mut bench = Bench::new();
        for (key, message) in [("1:0", 1), ("2:0", 2)] {
            arrive(&mut bench, key, Lane::Prompt, Some((message, key)));
        }
        let first = bench.write(|tx| next(tx, Lane::Prompt)).expect("the row");
        bench.write(|tx| submit(tx, first.id));
        arrive(&mut bench, "3:0", Lane::Stop, Some((3, "/stop")));
        arrive(&mut bench, "4:0", Lane::Prompt, Some((4, "later")));

        let stop = bench.write(|tx| next(tx, Lane::Stop)).expect("the stop");
        assert_eq!(bench.write(|tx| cancelled_by(tx, stop.id)), 1);
        let marked = bench.write(|tx| next(tx, Lane::Prompt)).expect("the submitted one");
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
    fn a_prompt_that_never_left_can_still_be_stopped() {
        let mut bench = Bench::new();
        arrive(&mut bench, "1:0", Lane::Prompt, Some((1, "a")));
        let row = bench.write(|tx| next(tx, Lane::Prompt)).expect("the row");
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
