//! What is to go out: pending → in flight → sent, failed or superseded.

mod divert;
mod work;

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};

use super::{StoreError, Transaction, inbox, now_ms, pickers, progress, prompts, requests, steering};
use crate::files::{self, FileJob};
use crate::markdown::{self, MESSAGE_LIMIT, Text};
use crate::message::Message;
use crate::place::Place;
use crate::queue::{MessageRef, Op, Priority};
pub use divert::{leave_topic, move_group};
pub use work::{Payload, begin, failed, open_jobs, open_jobs_of, put_back, sent, superseded};

/// Sends a message that is never touched again.
pub fn send(
    tx: &Transaction<'_>,
    place: Place,
    priority: Priority,
    message: &Message,
) -> Result<(), StoreError> {
    add(tx, place, priority, Op::Send, None, &sendable(place, message))
}

/// Sends a text, in as many messages as it takes; the last one may make a sound. A blank text is none.
pub fn say(tx: &Transaction<'_>, place: Place, text: &Text, sound: bool) -> Result<(), StoreError> {
    let parts = markdown::split(text, MESSAGE_LIMIT);
    let last = parts.len().saturating_sub(1);
    for (index, part) in parts.into_iter().enumerate().filter(|(_, part)| !part.is_blank()) {
        let message = Message { text: part, buttons: Vec::new(), sound: sound && index == last };
        send(tx, place, Priority::Prose, &message)?;
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
            0 => edit(tx, stream, Priority::Prose, &message)?,
            _ => send(tx, place, Priority::Prose, &message)?,
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
    let place: Option<Place> =
        tx.query_row("SELECT chat, thread FROM message WHERE id = ?1", [target.0], place).optional()?;
    let Some(place) = place else { return Ok(()) };
    add(tx, place, Priority::Prose, Op::Delete, Some(target), &json!({"chat_id": place.chat}))
}

/// Sends a message that will be edited.
pub fn create(tx: &Transaction<'_>, place: Place, message: &Message) -> Result<MessageRef, StoreError> {
    create_in(tx, place, Priority::Prose, message)
}

/// The same in another priority.
pub fn create_in(
    tx: &Transaction<'_>,
    place: Place,
    priority: Priority,
    message: &Message,
) -> Result<MessageRef, StoreError> {
    let body = sendable(place, message);
    tx.execute(
        "INSERT INTO message (chat, thread, body, at) VALUES (?1, ?2, ?3, ?4)",
        params![place.chat, place.thread, message.body().to_string(), now_ms()],
    )?;
    let created = MessageRef(tx.last_insert_rowid());
    add(tx, place, priority, Op::Send, Some(created), &body)?;
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
    priority: Priority,
    message: &Message,
) -> Result<(), StoreError> {
    let body = message.body();
    let place: Option<Place> = tx
        .query_row(
            "UPDATE message SET body = ?2 WHERE id = ?1 AND body <> ?2 RETURNING chat, thread",
            params![target.0, body.to_string()],
            place,
        )
        .optional()?;
    let Some(place) = place else { return Ok(()) };
    let body = in_chat(place.chat, body);
    // One that waits in the same priority says the new thing instead.
    let waiting = tx.execute(
        "UPDATE outbox SET body = ?3 WHERE message = ?1 AND priority = ?2 AND op = 'edit' AND state = 'pending'",
        params![target.0, priority.name(), body.to_string()],
    )?;
    if waiting > 0 { Ok(()) } else { add(tx, place, priority, Op::Edit, Some(target), &body) }
}

/// Sends a file silently; it is read when its turn comes.
pub fn send_file(tx: &Transaction<'_>, place: Place, path: &Path, caption: &str) -> Result<(), StoreError> {
    add_files(tx, &files_job(place, vec![path.to_owned()], caption, true))
}

/// Sends a picture, silently; or nothing, if it is gone by then.
pub fn send_picture(tx: &Transaction<'_>, place: Place, path: &Path) -> Result<(), StoreError> {
    add_files(tx, &FileJob { optional: true, ..files_job(place, vec![path.to_owned()], "", true) })
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
pub fn split_files(tx: &Transaction<'_>, id: i64, calls: &[FileJob]) -> Result<(), StoreError> {
    tx.execute("UPDATE outbox SET state = 'superseded' WHERE id = ?1", [id])?;
    calls.iter().try_for_each(|call| add_files(tx, call))
}

fn files_job(place: Place, files: Vec<PathBuf>, caption: &str, silent: bool) -> FileJob {
    FileJob {
        chat_id: place.chat,
        message_thread_id: place.thread,
        path: None,
        content: None,
        files,
        caption: caption.to_owned(),
        silent,
        shape: None,
        sorry: None,
        optional: false,
    }
}

fn add_files(tx: &Transaction<'_>, files: &FileJob) -> Result<(), StoreError> {
    let place = Place { chat: files.chat_id, thread: files.message_thread_id };
    add(tx, place, Priority::Prose, Op::File, None, &serde_json::to_value(files)?)
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
    add(tx, place, Priority::Prose, Op::File, None, &body)
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
    place: Place,
    priority: Priority,
    op: Op,
    message: Option<MessageRef>,
    body: &Value,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO outbox (chat, thread, priority, op, message, body, state, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7)",
        params![
            place.chat,
            place.thread,
            priority.name(),
            op.name(),
            message.map(|m| m.0),
            body.to_string(),
            now_ms()
        ],
    )?;
    Ok(())
}

fn place(row: &rusqlite::Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place { chat: row.get(0)?, thread: row.get(1)? })
}

/// Forgets jobs that are over and arose before this moment, and those for chats that cannot be written to.
pub(super) fn prune(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM outbox WHERE at < ?1 AND state NOT IN ('pending', 'in_flight')", [before])?;
    tx.execute(
        "DELETE FROM outbox WHERE at < ?1 AND chat IN (SELECT chat FROM chat WHERE gone = 1)",
        [before],
    )?;
    Ok(())
}

/// The messages that the jobs refer to.
const MESSAGES: &[&str] = &["SELECT message FROM outbox WHERE message IS NOT NULL"];

/// Forgets messages made before this moment to which no table refers.
pub(super) fn prune_messages(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    let needed: Vec<&str> = [
        MESSAGES,
        inbox::MESSAGES,
        pickers::MESSAGES,
        progress::MESSAGES,
        prompts::MESSAGES,
        requests::MESSAGES,
        steering::MESSAGES,
    ]
    .concat();
    let sql = format!("DELETE FROM message WHERE at < ?1 AND id NOT IN ({})", needed.join(" UNION ALL "));
    tx.execute(&sql, [before])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;
    use crate::queue::Job;

    const PLACE: Place = Place { chat: 5, thread: Some(9) };

    fn message(text: &str) -> Message {
        Message::silent(Text::plain(text))
    }

    fn begun(bench: &mut Bench, job: &Job) -> Payload {
        bench.write(|tx| begin(tx, job)).expect("there is something to be done")
    }

    #[test]
    fn a_send_in_flight_is_sent_again_and_then_found_by_its_edits() {
        let mut bench = Bench::new();
        let card = bench.write(|tx| create(tx, PLACE, &message("working")));
        let job = bench.write(|tx| open_jobs(tx, 0, 10)).remove(0);
        let payload = begun(&mut bench, &job);
        assert_eq!(payload.body["chat_id"], 5);
        assert_eq!(payload.body["message_thread_id"], 9);
        // Died with the send in flight, or before its id was stored.
        bench.reopen();
        assert_eq!(bench.write(|tx| open_jobs(tx, 0, 10)), std::slice::from_ref(&job));
        bench.write(|tx| sent(tx, &job, &payload, Some(77)));
        bench.reopen();
        bench.write(|tx| edit(tx, card, Priority::Live, &message("done")));
        let edit = bench.write(|tx| open_jobs(tx, 0, 10)).remove(0);
        let payload = begun(&mut bench, &edit);
        assert_eq!(payload.message_id, Some(77));
        assert_eq!(payload.body["text"], "done");
    }

    #[test]
    fn an_edit_that_changes_nothing_is_not_made() {
        let mut bench = Bench::new();
        let card = bench.write(|tx| create(tx, PLACE, &message("working")));
        bench.write(|tx| edit(tx, card, Priority::Live, &message("working")));
        assert_eq!(bench.write(|tx| open_jobs(tx, 0, 10)).len(), 1);
    }

    /// Does everything that waits, as messages from this id on: the operations, with what they say.
    fn work(bench: &mut Bench, id: &mut i64) -> Vec<(Op, Option<i64>, Value)> {
        let mut done = Vec::new();
        for job in bench.write(|tx| open_jobs(tx, 0, 100)) {
            let Some(payload) = bench.write(|tx| begin(tx, &job)) else { continue };
            *id += 1;
            let message_id = payload.message_id.filter(|_| payload.op != Op::Send).unwrap_or(*id);
            bench.write(|tx| sent(tx, &job, &payload, Some(message_id)));
            done.push((payload.op, payload.message_id, payload.body));
        }
        done
    }

    #[test]
    fn an_edit_that_leaves_what_telegram_shows_as_it_is_is_not_made() {
        let mut bench = Bench::new();
        let mut id = 70;
        let card = bench.write(|tx| create(tx, PLACE, &message("one")));
        assert_eq!(work(&mut bench, &mut id).len(), 1);
        // There and back again, before either was sent; a sound and blanks at the end are not seen.
        bench.write(|tx| edit(tx, card, Priority::Live, &message("two")));
        bench.write(|tx| edit(tx, card, Priority::Live, &Message { sound: true, ..message("one\n") }));
        assert_eq!(work(&mut bench, &mut id), []);
        bench.reopen();
        assert!(bench.write(|tx| open_jobs(tx, 0, 10)).is_empty(), "it is settled");
        bench.write(|tx| edit(tx, card, Priority::Live, &message("two")));
        assert_eq!(work(&mut bench, &mut id).len(), 1);
        // What became of this one is not known: it is made again.
        bench.write(|tx| edit(tx, card, Priority::Live, &message("three")));
        let job = bench.write(|tx| open_jobs(tx, 0, 10)).remove(0);
        begun(&mut bench, &job);
        bench.write(|tx| put_back(tx, job.id));
        bench.write(|tx| edit(tx, card, Priority::Live, &message("two")));
        assert_eq!(work(&mut bench, &mut id).len(), 1);
    }

    #[test]
    fn what_is_for_a_topic_that_is_gone_is_said_in_its_chat_and_says_so() {
        let mut bench = Bench::new();
        let mut id = 70;
        bench.write(|tx| crate::store::topics::set_name(tx, PLACE, "Docs"));
        let card = bench.write(|tx| create(tx, PLACE, &message("working")));
        let note = bench.write(|tx| create(tx, PLACE, &message("a note")));
        work(&mut bench, &mut id);
        bench.write(|tx| leave_topic(tx, PLACE));
        bench.reopen();
        bench.write(|tx| leave_topic(tx, PLACE));
        // What goes on, what becomes of a note, and what is to be taken away is of no use to anybody.
        bench.write(|tx| edit(tx, card, Priority::Live, &message("still working")));
        bench.write(|tx| edit(tx, note, Priority::Control, &message("another note")));
        bench.write(|tx| delete(tx, note));
        let done = work(&mut bench, &mut id);
        assert_eq!(done.len(), 1, "it is told once: {done:?}");
        assert!(done[0].2["text"].as_str().is_some_and(|text| text.contains("“Docs”")), "{done:?}");
        // How it ended is a message of its own, and later changes are of that one.
        bench.write(|tx| edit(tx, card, Priority::Prose, &message("done")));
        bench.write(|tx| send(tx, PLACE, Priority::Prose, &message("hello")));
        bench.write(|tx| send_file(tx, PLACE, Path::new("/a"), "a file"));
        let done = work(&mut bench, &mut id);
        assert_eq!(done[0].0, Op::Send);
        for (body, field, said) in
            [(&done[0].2, "text", "done"), (&done[1].2, "text", "hello"), (&done[2].2, "caption", "a file")]
        {
            assert_eq!(body[field], format!("↪️ Docs\n{said}"));
            assert_eq!((&body["chat_id"], body.get("message_thread_id")), (&json!(5), None), "{body}");
        }
        let ended = id - 2;
        bench.write(|tx| edit(tx, card, Priority::Prose, &message("done at last")));
        let done = work(&mut bench, &mut id);
        assert_eq!((done[0].0, done[0].1), (Op::Edit, Some(ended)));
        assert_eq!(done[0].2["text"], "↪️ Docs\ndone at last");
        // It speaks again.
        bench.write(|tx| crate::store::topics::hear(tx, PLACE, &json!({})));
        bench.write(|tx| send(tx, PLACE, Priority::Prose, &message("hello again")));
        let done = work(&mut bench, &mut id);
        assert_eq!((&done[0].2["text"], &done[0].2["message_thread_id"]), (&json!("hello again"), &json!(9)));
    }

    #[test]
    fn only_the_last_part_of_a_long_text_makes_a_sound() {
        let mut bench = Bench::new();
        let text = Text::plain(&"words and words\n".repeat(600));
        bench.write(|tx| say(tx, PLACE, &text, true));
        let jobs = bench.write(|tx| open_jobs(tx, 0, 10));
        assert!(jobs.len() > 1);
        let silent: Vec<bool> =
            jobs.iter().map(|job| begun(&mut bench, job).body["disable_notification"] == true).collect();
        assert_eq!(silent.iter().filter(|silent| !**silent).count(), 1);
        assert_eq!(silent.last(), Some(&false));
    }

    #[test]
    fn a_message_is_taken_away_with_what_was_to_be_changed_about_it() {
        let mut bench = Bench::new();
        let card = bench.write(|tx| create(tx, PLACE, &message("working")));
        bench.write(|tx| edit(tx, card, Priority::Live, &message("still working")));
        let before = bench.write(|tx| open_jobs(tx, 0, 10));
        bench.write(|tx| delete(tx, card));
        // Who sends has it already, and lets it wait.
        assert_eq!(bench.write(|tx| begin(tx, &before[1])), None);
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
        bench.write(|tx| send(tx, PLACE, Priority::Prose, &message("hello")));
        bench.write(|tx| facts::lose_chat(tx, PLACE.chat));
        bench.reopen();
        assert_eq!(bench.read(facts::lost_chats), [PLACE.chat]);
        assert!(bench.write(|tx| open_jobs(tx, 0, 10)).is_empty());
        bench.write(|tx| facts::know_chat(tx, PLACE.chat));
        assert_eq!(bench.write(|tx| open_jobs_of(tx, PLACE.chat, i64::MAX, 10)).len(), 1);
    }
}
