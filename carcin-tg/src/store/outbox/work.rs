//! The work on what is to go out: which jobs are open, what each is to say now, and what became of it.

use rusqlite::{Row, params};
use serde_json::{Map, Value, json};

use super::divert;
use crate::place::Place;
use crate::queue::{Job, MessageRef, Op, Priority};
use crate::store::quarantine::{self, Table, Unreadable};
use crate::store::{Reader, StoreError, Transaction, topics};

/// What a job is to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// What is to be done: what the job says, but for an edit of a message that has to be made anew.
    pub op: Op,
    /// The place that it is for, which may be gone.
    pub home: Place,
    /// The method's body, less an edited message's id.
    pub body: Value,
    /// Of an edit, Telegram's id of the message; `None`: it was never sent.
    pub message_id: Option<i64>,
    /// Of an edit, whether what it says must be seen, also where the message is gone.
    pub matters: bool,
    /// When it arose, in milliseconds of the wall clock.
    pub at: i64,
}

impl Payload {
    /// Where it goes.
    pub fn place(&self) -> Option<Place> {
        let thread = self.body["message_thread_id"].as_i64();
        self.body["chat_id"].as_i64().map(|chat| Place { chat, thread })
    }
}

const COLUMNS: &str = "SELECT id, chat, priority, op, message FROM outbox";

/// Open jobs after `after`, at most `limit`, in order, of chats that can be written to. What was in flight when the
/// program died comes up again.
pub fn open_jobs(tx: &Reader<'_>, after: i64, limit: usize) -> Result<Vec<Job>, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "{COLUMNS} WHERE id > ?1 AND state IN ('pending', 'in_flight')
           AND chat NOT IN (SELECT chat FROM chat WHERE gone = 1) ORDER BY id LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], job)?;
    rows.collect::<rusqlite::Result<Result<_, _>>>()?
}

/// Open jobs of one chat up to `until`, at most `limit`, in order.
pub fn open_jobs_of(tx: &Reader<'_>, chat: i64, until: i64, limit: usize) -> Result<Vec<Job>, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "{COLUMNS} WHERE chat = ?1 AND id <= ?2 AND state IN ('pending', 'in_flight') ORDER BY id LIMIT ?3"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![chat, until, limit], job)?;
    rows.collect::<rusqlite::Result<Result<_, _>>>()?
}

fn job(row: &Row<'_>) -> rusqlite::Result<Result<Job, StoreError>> {
    let id = row.get(0)?;
    Ok(quarantine::reading(Table::Outbox, id, || {
        let (priority, op): (String, String) = (row.get(2)?, row.get(3)?);
        let message: Option<i64> = row.get(4)?;
        let unknown = |what: &str, name: &str| {
            let why = format!("this version knows no {what} “{name}”");
            StoreError::Unreadable(Unreadable { table: Table::Outbox, row: id, why })
        };
        Ok(Job {
            id,
            chat: row.get(1)?,
            priority: Priority::named(&priority).ok_or_else(|| unknown("priority", &priority))?,
            op: Op::named(&op).ok_or_else(|| unknown("operation", &op))?,
            message: message.map(MessageRef),
        })
    }))
}

/// A job, with what is known of the message that it is about.
struct Found {
    body: Map<String, Value>,
    at: i64,
    thread: Option<i64>,
    message_id: Option<i64>,
    diverted: bool,
    shown: Option<String>,
    /// It was superseded while it waited for its turn.
    is_over: bool,
}

fn find(tx: &Reader<'_>, id: i64) -> Result<Found, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(quarantine::reading(Table::Outbox, id, || {
            let body: String = row.get(0)?;
            Ok(Found {
                body: serde_json::from_str(&body)?,
                at: row.get(1)?,
                thread: row.get(2)?,
                message_id: row.get(3)?,
                diverted: row.get::<_, Option<bool>>(4)?.unwrap_or_default(),
                shown: row.get(5)?,
                is_over: row.get(6)?,
            })
        }))
    };
    tx.query_row(
        "SELECT outbox.body, outbox.at, outbox.thread, message.message_id, message.diverted, message.shown,
                outbox.state = 'superseded'
         FROM outbox LEFT JOIN message ON message.id = outbox.message WHERE outbox.id = ?1",
        [id],
        read,
    )?
}

/// The job is about to be sent: what it says. `None`: there is nothing to be done, and the job is settled.
pub fn begin(tx: &Transaction<'_>, job: &Job) -> Result<Option<Payload>, StoreError> {
    let found = find(tx, job.id)?;
    if found.is_over {
        return Ok(None);
    }
    let mut body = Value::Object(found.body);
    let chat = body["chat_id"].as_i64().unwrap_or(job.chat);
    // Earlier versions noted the topic in the body alone.
    let home = Place { chat, thread: found.thread.or_else(|| body["message_thread_id"].as_i64()) };
    let way = topics::way(tx, home)?;
    let detour = way.place != home;
    let changes = matches!(job.op, Op::Edit | Op::Delete);
    let matters = job.op == Op::Edit && divert::matters(job.priority, &body);
    if changes && detour && !found.diverted && !matters {
        return settle(tx, job.id, "superseded");
    }
    let anew =
        job.op == Op::Edit && (detour && !found.diverted || found.diverted && found.message_id.is_none());
    let op = if anew { Op::Send } else { job.op };
    if matches!(op, Op::Send | Op::File) {
        body["chat_id"] = json!(way.place.chat);
        if way.place.thread.is_none()
            && let Some(body) = body.as_object_mut()
        {
            body.remove("message_thread_id");
        }
        if let Some(message) = job.message.filter(|_| detour) {
            divert::set_diverted(tx, message, way.place.chat)?;
        }
    }
    if op != Op::Delete && (detour || found.diverted) {
        let topic = if detour { way.instead_of } else { topics::called(tx, home)? };
        if let Some(topic) = topic {
            divert::mark(&mut body, &topic);
        }
    }
    if let (Op::Edit, Some(message)) = (op, job.message) {
        if found.shown.as_deref() == Some(look(&body).as_str()) {
            return settle(tx, job.id, "sent");
        }
        // Until it is known what has become of it.
        tx.execute("UPDATE message SET shown = NULL WHERE id = ?1", [message.0])?;
    }
    tx.execute("UPDATE outbox SET state = 'in_flight' WHERE id = ?1", [job.id])?;
    Ok(Some(Payload { op, home, body, message_id: found.message_id, matters, at: found.at }))
}

fn settle(tx: &Transaction<'_>, id: i64, state: &str) -> Result<Option<Payload>, StoreError> {
    tx.execute("UPDATE outbox SET state = ?2 WHERE id = ?1", params![id, state])?;
    Ok(None)
}

/// What people see of a message: an edit that leaves that as it is is refused.
fn look(body: &Value) -> String {
    let text = body["text"].as_str().unwrap_or_default().trim_end();
    json!([text, body["entities"], body["reply_markup"]]).to_string()
}

/// The job is sent, as this message where it is known.
pub fn sent(
    tx: &Transaction<'_>,
    job: &Job,
    payload: &Payload,
    message_id: Option<i64>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE outbox SET state = 'sent', message_id = ?2 WHERE id = ?1",
        params![job.id, message_id],
    )?;
    if let (Op::Send | Op::Edit, Some(message), Some(id)) = (payload.op, job.message, message_id) {
        tx.execute(
            "UPDATE message SET message_id = ?2, shown = ?3 WHERE id = ?1",
            params![message.0, id, look(&payload.body)],
        )?;
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
