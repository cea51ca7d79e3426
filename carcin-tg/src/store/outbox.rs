//! What is to go out: pending → in flight → sent, failed or superseded.

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::{Value, json};

use super::{StoreError, now_ms};
use crate::markdown::{self, MESSAGE_LIMIT, Text};
use crate::message::Message;
use crate::outbox::files::{self, Files};
use crate::outbox::{Job, Lane, Op};
use crate::place::Place;

/// A message that is edited later, by the identity that it has before Telegram gives one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageRef(pub i64);

/// What a job is to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// The method's body, less an edited message's id.
    pub body: Value,
    /// Of an edit, Telegram's id of the message; `None`: it was never sent.
    pub message_id: Option<i64>,
    /// When it arose, in milliseconds of the wall clock.
    pub at: i64,
}

/// Sends a message that is never touched again.
pub fn send(tx: &Transaction<'_>, place: Place, lane: Lane, message: &Message) -> Result<(), StoreError> {
    add(tx, place.chat, lane, Op::Send, None, &sendable(place, message))
}

/// Sends a text, in as many messages as it takes; the last one may make a sound. A blank text is none.
pub fn say(tx: &Transaction<'_>, place: Place, text: &Text, sound: bool) -> Result<(), StoreError> {
    let parts = markdown::split(text, MESSAGE_LIMIT);
    let last = parts.len().saturating_sub(1);
    for (index, part) in parts.into_iter().enumerate().filter(|(_, part)| !part.is_blank()) {
        let message = Message { text: part, buttons: Vec::new(), sound: sound && index == last };
        send(tx, place, Lane::Prose, &message)?;
    }
    Ok(())
}

/// The same for a text of which the beginning is shown already, in `stream`: that shows its first part from now on.
/// Whether the phone makes a sound: an edit cannot.
pub fn finish(
    tx: &Transaction<'_>,
    place: Place,
    stream: MessageRef,
    text: &Text,
    sound: bool,
) -> Result<bool, StoreError> {
    let parts: Vec<Text> =
        markdown::split(text, MESSAGE_LIMIT).into_iter().filter(|part| !part.is_blank()).collect();
    let last = parts.len().saturating_sub(1);
    for (index, part) in parts.into_iter().enumerate() {
        let message = Message { text: part, buttons: Vec::new(), sound: sound && index == last };
        match index {
            0 => edit(tx, stream, Lane::Prose, &message)?,
            _ => send(tx, place, Lane::Prose, &message)?,
        }
    }
    Ok(sound && last > 0)
}

/// Takes a message away; what was still to be changed about it is not.
pub fn delete(tx: &Transaction<'_>, target: MessageRef) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE outbox SET state = 'superseded' WHERE message = ?1 AND op = 'edit' AND state = 'pending'",
        [target.0],
    )?;
    let chat: Option<i64> =
        tx.query_row("SELECT chat FROM message WHERE id = ?1", [target.0], |row| row.get(0)).optional()?;
    let Some(chat) = chat else { return Ok(()) };
    add(tx, chat, Lane::Prose, Op::Delete, Some(target), &json!({"chat_id": chat}))
}

/// Sends a message that will be edited.
pub fn create(tx: &Transaction<'_>, place: Place, message: &Message) -> Result<MessageRef, StoreError> {
    create_in(tx, place, Lane::Prose, message)
}

/// The same in another lane.
pub fn create_in(
    tx: &Transaction<'_>,
    place: Place,
    lane: Lane,
    message: &Message,
) -> Result<MessageRef, StoreError> {
    let body = sendable(place, message);
    tx.execute(
        "INSERT INTO message (chat, body, at) VALUES (?1, ?2, ?3)",
        params![place.chat, message.body().to_string(), now_ms()],
    )?;
    let created = MessageRef(tx.last_insert_rowid());
    add(tx, place.chat, lane, Op::Send, Some(created), &body)?;
    Ok(created)
}

/// The same for a reply to a message, by Telegram's id; sent also where that is gone.
pub fn create_reply(
    tx: &Transaction<'_>,
    place: Place,
    message: &Message,
    reply_to: i64,
) -> Result<MessageRef, StoreError> {
    let created = create(tx, place, message)?;
    let mut body = sendable(place, message);
    body["reply_parameters"] = json!({"message_id": reply_to, "allow_sending_without_reply": true});
    tx.execute(
        "UPDATE outbox SET body = ?2 WHERE message = ?1 AND op = 'send'",
        params![created.0, body.to_string()],
    )?;
    Ok(created)
}

/// Changes a message. One that is to show this already is left alone.
pub fn edit(
    tx: &Transaction<'_>,
    target: MessageRef,
    lane: Lane,
    message: &Message,
) -> Result<(), StoreError> {
    let body = message.body();
    let chat: Option<i64> = tx
        .query_row(
            "UPDATE message SET body = ?2 WHERE id = ?1 AND body <> ?2 RETURNING chat",
            params![target.0, body.to_string()],
            |row| row.get(0),
        )
        .optional()?;
    let Some(chat) = chat else { return Ok(()) };
    let body = in_chat(chat, body);
    // One that waits in the same lane says the new thing instead.
    let waiting = tx.execute(
        "UPDATE outbox SET body = ?3 WHERE message = ?1 AND lane = ?2 AND op = 'edit' AND state = 'pending'",
        params![target.0, lane.name(), body.to_string()],
    )?;
    if waiting > 0 { Ok(()) } else { add(tx, chat, lane, Op::Edit, Some(target), &body) }
}

/// Sends a file silently; it is read when its turn comes.
pub fn send_file(tx: &Transaction<'_>, place: Place, path: &Path, caption: &str) -> Result<(), StoreError> {
    add_files(tx, &files_job(place, vec![path.to_owned()], caption, true))
}

/// Sends files, in albums where there are several. They are read when their turn comes.
pub fn send_files(
    tx: &Transaction<'_>,
    place: Place,
    files: &[PathBuf],
    sound: bool,
) -> Result<(), StoreError> {
    let groups = files::groups(files);
    let last = groups.len().saturating_sub(1);
    for (index, group) in groups.into_iter().enumerate() {
        add_files(tx, &files_job(place, group, "", !(sound && index == last)))?;
    }
    Ok(())
}

/// The job takes several calls: these take its place.
pub fn split_files(tx: &Transaction<'_>, id: i64, calls: &[Files]) -> Result<(), StoreError> {
    tx.execute("UPDATE outbox SET state = 'superseded' WHERE id = ?1", [id])?;
    calls.iter().try_for_each(|call| add_files(tx, call))
}

fn files_job(place: Place, files: Vec<PathBuf>, caption: &str, silent: bool) -> Files {
    Files {
        chat_id: place.chat,
        message_thread_id: place.thread,
        path: None,
        content: None,
        files,
        caption: caption.to_owned(),
        silent,
        shape: None,
        sorry: None,
    }
}

fn add_files(tx: &Transaction<'_>, files: &Files) -> Result<(), StoreError> {
    add(tx, files.chat_id, Lane::Prose, Op::File, None, &serde_json::to_value(files)?)
}

/// Sends a text as a file of this name, silently.
pub fn send_content(
    tx: &Transaction<'_>,
    place: Place,
    name: &str,
    content: &str,
    caption: &str,
) -> Result<(), StoreError> {
    let body = json!({
        "chat_id": place.chat, "message_thread_id": place.thread, "path": name, "caption": caption,
        "content": content,
    });
    add(tx, place.chat, Lane::Prose, Op::File, None, &body)
}

fn sendable(place: Place, message: &Message) -> Value {
    let mut body = in_chat(place.chat, message.body());
    if let Some(thread) = place.thread {
        body["message_thread_id"] = thread.into();
    }
    body
}

fn in_chat(chat: i64, mut body: Value) -> Value {
    body["chat_id"] = chat.into();
    body
}

fn add(
    tx: &Transaction<'_>,
    chat: i64,
    lane: Lane,
    op: Op,
    message: Option<MessageRef>,
    body: &Value,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO outbox (chat, lane, op, message, body, state, at) VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6)",
        params![chat, lane.name(), op.name(), message.map(|m| m.0), body.to_string(), now_ms()],
    )?;
    Ok(())
}

/// Open jobs after `after`, at most `limit`, in order, of chats that can be written to. What was in flight when the
/// program died comes up again.
pub fn open_jobs(tx: &Transaction<'_>, after: i64, limit: usize) -> Result<Vec<Job>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT id, chat, lane, op, message FROM outbox
         WHERE id > ?1 AND state IN ('pending', 'in_flight')
           AND chat NOT IN (SELECT chat FROM chat WHERE gone = 1) ORDER BY id LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], job)?;
    rows.map(|row| Ok(row?)).collect()
}

/// Open jobs of one chat up to `until`, at most `limit`, in order.
pub fn open_jobs_of(
    tx: &Transaction<'_>,
    chat: i64,
    until: i64,
    limit: usize,
) -> Result<Vec<Job>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT id, chat, lane, op, message FROM outbox
         WHERE chat = ?1 AND id <= ?2 AND state IN ('pending', 'in_flight') ORDER BY id LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![chat, until, limit], job)?;
    rows.map(|row| Ok(row?)).collect()
}

fn job(row: &rusqlite::Row<'_>) -> rusqlite::Result<Job> {
    let (lane, op): (String, String) = (row.get(2)?, row.get(3)?);
    let message: Option<i64> = row.get(4)?;
    Ok(Job {
        id: row.get(0)?,
        chat: row.get(1)?,
        lane: Lane::named(&lane).ok_or(rusqlite::Error::InvalidQuery)?,
        op: Op::named(&op).ok_or(rusqlite::Error::InvalidQuery)?,
        message: message.map(MessageRef),
    })
}

/// The job is about to be sent: what it says.
pub fn begin(tx: &Transaction<'_>, id: i64) -> Result<Payload, StoreError> {
    tx.execute("UPDATE outbox SET state = 'in_flight' WHERE id = ?1", [id])?;
    let (body, message_id, at): (String, Option<i64>, i64) = tx.query_row(
        "SELECT outbox.body, message.message_id, outbox.at FROM outbox LEFT JOIN message ON message.id = outbox.message
         WHERE outbox.id = ?1",
        [id],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    Ok(Payload { body: serde_json::from_str(&body)?, message_id, at })
}

/// The job is sent, as this message where it is known.
pub fn sent(tx: &Transaction<'_>, job: &Job, message_id: Option<i64>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE outbox SET state = 'sent', message_id = ?2 WHERE id = ?1",
        params![job.id, message_id],
    )?;
    if let (Op::Send, Some(message), Some(id)) = (job.op, job.message, message_id) {
        tx.execute("UPDATE message SET message_id = ?2 WHERE id = ?1", params![message.0, id])?;
    }
    Ok(())
}

/// The job waits again.
pub fn put_back(tx: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE outbox SET state = 'pending' WHERE id = ?1", [id])?;
    Ok(())
}

/// The job can never be sent.
pub fn failed(tx: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE outbox SET state = 'failed' WHERE id = ?1", [id])?;
    Ok(())
}

/// A newer edit of the same message takes the job's place.
pub fn superseded(tx: &Transaction<'_>, ids: &[i64]) -> Result<(), StoreError> {
    let mut statement =
        tx.prepare_cached("UPDATE outbox SET state = 'superseded' WHERE id = ?1 AND state <> 'sent'")?;
    for id in ids {
        statement.execute([id])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    const PLACE: Place = Place { chat: 5, thread: Some(9) };

    fn message(text: &str) -> Message {
        Message::silent(Text::plain(text))
    }

    #[test]
    fn a_send_in_flight_is_sent_again_and_then_found_by_its_edits() {
        let mut bench = Bench::new();
        let card = bench.write(|tx| create(tx, PLACE, &message("working")));
        let job = bench.write(|tx| open_jobs(tx, 0, 10)).remove(0);
        let payload = bench.write(|tx| begin(tx, job.id));
        assert_eq!(payload.body["chat_id"], 5);
        assert_eq!(payload.body["message_thread_id"], 9);
        // Died with the send in flight, or before its id was stored.
        bench.reopen();
        assert_eq!(bench.write(|tx| open_jobs(tx, 0, 10)), std::slice::from_ref(&job));
        bench.write(|tx| sent(tx, &job, Some(77)));
        bench.reopen();
        bench.write(|tx| edit(tx, card, Lane::Live, &message("done")));
        let edit = bench.write(|tx| open_jobs(tx, 0, 10)).remove(0);
        let payload = bench.write(|tx| begin(tx, edit.id));
        assert_eq!(payload.message_id, Some(77));
        assert_eq!(payload.body["text"], "done");
    }

    #[test]
    fn an_edit_that_changes_nothing_is_not_made() {
        let mut bench = Bench::new();
        let card = bench.write(|tx| create(tx, PLACE, &message("working")));
        bench.write(|tx| edit(tx, card, Lane::Live, &message("working")));
        assert_eq!(bench.write(|tx| open_jobs(tx, 0, 10)).len(), 1);
    }

    #[test]
    fn only_the_last_part_of_a_long_text_makes_a_sound() {
        let mut bench = Bench::new();
        let text = Text::plain(&"words and words\n".repeat(600));
        bench.write(|tx| say(tx, PLACE, &text, true));
        let jobs = bench.write(|tx| open_jobs(tx, 0, 10));
        assert!(jobs.len() > 1);
        let silent: Vec<bool> = jobs
            .iter()
            .map(|job| bench.write(|tx| begin(tx, job.id)).body["disable_notification"] == true)
            .collect();
        assert_eq!(silent.iter().filter(|silent| !**silent).count(), 1);
        assert_eq!(silent.last(), Some(&false));
    }

    #[test]
    fn a_message_is_taken_away_with_what_was_to_be_changed_about_it() {
        let mut bench = Bench::new();
        let card = bench.write(|tx| create(tx, PLACE, &message("working")));
        bench.write(|tx| edit(tx, card, Lane::Live, &message("still working")));
        bench.write(|tx| delete(tx, card));
        let ops: Vec<Op> = bench.write(|tx| open_jobs(tx, 0, 10)).iter().map(|job| job.op).collect();
        assert_eq!(ops, [Op::Send, Op::Delete]);
    }

    #[test]
    fn a_streamed_text_is_finished_by_one_edit_and_what_does_not_fit_follows() {
        let mut bench = Bench::new();
        let stream = bench.write(|tx| create(tx, PLACE, &message("half")));
        assert!(
            !bench.write(|tx| finish(tx, PLACE, stream, &Text::plain("all of it"), true)),
            "an edit is silent"
        );
        let long = Text::plain(&"words and words\n".repeat(600));
        assert!(bench.write(|tx| finish(tx, PLACE, stream, &long, true)));
        let jobs = bench.write(|tx| open_jobs(tx, 0, 10));
        let ops: Vec<Op> = jobs.iter().map(|job| job.op).collect();
        assert_eq!(ops, [Op::Send, Op::Edit, Op::Send, Op::Send]);
    }

    #[test]
    fn what_waits_for_a_lost_chat_waits_until_somebody_writes_there() {
        use super::super::facts;
        let mut bench = Bench::new();
        bench.write(|tx| send(tx, PLACE, Lane::Prose, &message("hello")));
        bench.write(|tx| facts::lose_chat(tx, PLACE.chat));
        bench.reopen();
        assert_eq!(bench.write(facts::lost_chats), [PLACE.chat]);
        assert!(bench.write(|tx| open_jobs(tx, 0, 10)).is_empty());
        bench.write(|tx| facts::know_chat(tx, PLACE.chat));
        assert_eq!(bench.write(|tx| open_jobs_of(tx, PLACE.chat, i64::MAX, 10)).len(), 1);
    }
}
