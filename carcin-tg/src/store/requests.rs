//! What Claude asks: the messages with buttons, and how each was settled.

use carcin_proto::event::Ask;
use carcin_proto::{ConversationKey, RequestId};
use rusqlite::{OptionalExtension, Row, params};

use super::quarantine::{self, Table};
use super::{Reader, StoreError, Transaction, now_ms};
use crate::queue::MessageRef;
use crate::view::ask::Draft;

/// A request that a message shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What its buttons carry.
    pub nonce: String,
    /// The daemon's id.
    pub request: RequestId,
    /// Where it was asked.
    pub conversation: ConversationKey,
    /// What is asked.
    pub ask: Ask,
    /// The message that shows it.
    pub message: MessageRef,
    /// How it was settled, in words; `None`: it is open.
    pub outcome: Option<String>,
    /// How far the answer has come.
    pub draft: Draft,
    /// The message that reminded of it.
    pub reminder: Option<MessageRef>,
    /// Where Claude worked when it asked; empty: not known.
    pub folder: String,
}

/// Stores an open request; one of the same id that was settled before gives way to it.
pub fn insert(tx: &Transaction<'_>, asked: &Asked) -> Result<(), StoreError> {
    tx.execute(
        "INSERT OR REPLACE INTO request (nonce, request, conversation, ask, message, at, folder)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            asked.nonce,
            asked.request.as_str(),
            asked.conversation.as_str(),
            serde_json::to_string(&asked.ask)?,
            asked.message.0,
            now_ms(),
            asked.folder,
        ],
    )?;
    Ok(())
}

/// Notes how a request was settled.
pub fn settle(tx: &Transaction<'_>, nonce: &str, outcome: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE request SET outcome = ?2 WHERE nonce = ?1", params![nonce, outcome])?;
    Ok(())
}

/// Stores how far the answer has come.
pub fn set_draft(tx: &Transaction<'_>, nonce: &str, draft: &Draft) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE request SET draft = ?2 WHERE nonce = ?1",
        params![nonce, serde_json::to_string(draft)?],
    )?;
    Ok(())
}

/// Notes the message that reminds of a request: there will be no other.
pub fn set_reminder(tx: &Transaction<'_>, nonce: &str, message: MessageRef) -> Result<(), StoreError> {
    tx.execute("UPDATE request SET reminder = ?2 WHERE nonce = ?1", params![nonce, message.0])?;
    Ok(())
}

const COLUMNS: &str = "SELECT request.rowid, nonce, request, conversation, ask, request.message, outcome, draft, reminder, folder FROM request";

/// The request behind a button.
pub fn by_nonce(tx: &Reader<'_>, nonce: &str) -> Result<Option<Asked>, StoreError> {
    tx.query_row(&format!("{COLUMNS} WHERE nonce = ?1"), [nonce], read).optional()?.transpose()
}

/// The request of this id.
pub fn by_id(
    tx: &Reader<'_>,
    conversation: &ConversationKey,
    request: &RequestId,
) -> Result<Option<Asked>, StoreError> {
    let sql = format!("{COLUMNS} WHERE conversation = ?1 AND request = ?2");
    tx.query_row(&sql, [conversation.as_str(), request.as_str()], read).optional()?.transpose()
}

/// All that are open.
pub fn open(tx: &Reader<'_>) -> Result<Vec<Asked>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("{COLUMNS} WHERE outcome IS NULL ORDER BY at, nonce"))?;
    statement.query_map([], read)?.collect::<rusqlite::Result<Result<_, _>>>()?
}

/// The open request that a message of this chat shows, or reminds of.
pub fn by_message(tx: &Reader<'_>, chat: i64, message_id: i64) -> Result<Option<Asked>, StoreError> {
    let sql = format!(
        "{COLUMNS} JOIN message ON message.id IN (request.message, request.reminder)
         WHERE message.chat = ?1 AND message.message_id = ?2 AND outcome IS NULL"
    );
    tx.query_row(&sql, [chat, message_id], read).optional()?.transpose()
}

/// Those asked before `before` that are open and nobody was reminded of, with Telegram's id of the message that
/// asks. One that Telegram has not taken yet is not there: nobody has seen the question.
pub fn due(tx: &Reader<'_>, before: i64) -> Result<Vec<(Asked, i64)>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT nonce, message.message_id FROM request JOIN message ON message.id = request.message
         WHERE outcome IS NULL AND reminder IS NULL AND request.at <= ?1 AND message.message_id IS NOT NULL
         ORDER BY request.at, nonce",
    )?;
    let rows = statement.query_map([before], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let mut due = Vec::new();
    for (nonce, message_id) in rows {
        due.extend(by_nonce(tx, &nonce)?.map(|asked| (asked, message_id)));
    }
    Ok(due)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Result<Asked, StoreError>> {
    let id = row.get(0)?;
    Ok(quarantine::reading(Table::Request, id, || {
        let (request, conversation, ask): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let (draft, reminder): (Option<String>, Option<i64>) = (row.get(7)?, row.get(8)?);
        let unreadable = |error| StoreError::Json(serde::de::Error::custom(error));
        Ok(Asked {
            nonce: row.get(1)?,
            request: RequestId::new(request).map_err(unreadable)?,
            conversation: ConversationKey::new(conversation).map_err(unreadable)?,
            ask: serde_json::from_str(&ask)?,
            message: MessageRef(row.get(5)?),
            outcome: row.get(6)?,
            draft: draft.map(|draft| serde_json::from_str(&draft)).transpose()?.unwrap_or_default(),
            reminder: reminder.map(MessageRef),
            folder: row.get(9)?,
        })
    }))
}

/// Forgets what was asked before this moment and is settled.
pub(super) fn prune(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM request WHERE at < ?1 AND outcome IS NOT NULL", [before])?;
    Ok(())
}

/// The messages that this table refers to.
pub(super) const MESSAGES: &[&str] =
    &["SELECT message FROM request", "SELECT reminder FROM request WHERE reminder IS NOT NULL"];
