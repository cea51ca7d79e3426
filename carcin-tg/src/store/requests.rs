//! What Claude asks: the messages with buttons, and how each was settled.

use carcin_proto::event::Ask;
use carcin_proto::{ConversationKey, RequestId};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::outbox::MessageRef;
use super::{StoreError, now_ms};

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
}

/// Stores an open request; one of the same id that was settled before gives way to it.
pub fn insert(tx: &Transaction<'_>, asked: &Asked) -> Result<(), StoreError> {
    tx.execute(
        "INSERT OR REPLACE INTO request (nonce, request, conversation, ask, message, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            asked.nonce,
            asked.request.as_str(),
            asked.conversation.as_str(),
            serde_json::to_string(&asked.ask)?,
            asked.message.0,
            now_ms(),
        ],
    )?;
    Ok(())
}

/// Notes how a request was settled.
pub fn settle(tx: &Transaction<'_>, nonce: &str, outcome: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE request SET outcome = ?2 WHERE nonce = ?1", params![nonce, outcome])?;
    Ok(())
}

const COLUMNS: &str = "SELECT nonce, request, conversation, ask, message, outcome FROM request";

/// The request behind a button.
pub fn by_nonce(tx: &Transaction<'_>, nonce: &str) -> Result<Option<Asked>, StoreError> {
    one(tx.query_row(&format!("{COLUMNS} WHERE nonce = ?1"), [nonce], read).optional()?)
}

/// The request of this id.
pub fn by_id(
    tx: &Transaction<'_>,
    conversation: &ConversationKey,
    request: &RequestId,
) -> Result<Option<Asked>, StoreError> {
    one(tx
        .query_row(
            &format!("{COLUMNS} WHERE conversation = ?1 AND request = ?2"),
            [conversation.as_str(), request.as_str()],
            read,
        )
        .optional()?)
}

/// All that are open.
pub fn open(tx: &Transaction<'_>) -> Result<Vec<Asked>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("{COLUMNS} WHERE outcome IS NULL ORDER BY at, nonce"))?;
    let rows = statement.query_map([], read)?.collect::<Result<Vec<_>, _>>()?;
    rows.into_iter().map(whole).collect()
}

type Columns = (String, String, String, String, i64, Option<String>);

fn read(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn one(found: Option<Columns>) -> Result<Option<Asked>, StoreError> {
    found.map(whole).transpose()
}

fn whole((nonce, request, conversation, ask, message, outcome): Columns) -> Result<Asked, StoreError> {
    let unreadable = |error| StoreError::Json(serde::de::Error::custom(error));
    Ok(Asked {
        nonce,
        request: RequestId::new(request).map_err(unreadable)?,
        conversation: ConversationKey::new(conversation).map_err(unreadable)?,
        ask: serde_json::from_str(&ask)?,
        message: MessageRef(message),
        outcome,
    })
}
