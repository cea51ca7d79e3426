//! What is going on in each conversation, and the messages that show it.

use carcin_proto::ConversationKey;
use rusqlite::{OptionalExtension, Row, params};

use super::quarantine::{self, Table};
use super::{Reader, StoreError, Transaction};
use crate::queue::MessageRef;
use crate::view::Progress;

/// The messages of a conversation that are edited while things go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// The live card.
    pub card: Option<MessageRef>,
    /// The text that is not finished, where it is streamed by edits.
    pub stream: Option<MessageRef>,
}

/// A conversation's progress and what shows it.
pub fn load(tx: &Reader<'_>, conversation: &ConversationKey) -> Result<(Progress, Shown), StoreError> {
    let read = |row: &Row<'_>| {
        let id = row.get(0)?;
        Ok(quarantine::reading(Table::Progress, id, || {
            let (state, card, stream): (String, Option<i64>, Option<i64>) =
                (row.get(1)?, row.get(2)?, row.get(3)?);
            let shown = Shown { card: card.map(MessageRef), stream: stream.map(MessageRef) };
            Ok((serde_json::from_str(&state)?, shown))
        }))
    };
    let sql = "SELECT rowid, state, message, stream FROM progress WHERE conversation = ?1";
    let found = tx.query_row(sql, [conversation.as_str()], read).optional()?.transpose()?;
    Ok(found.unwrap_or_default())
}

/// Stores it.
pub fn save(
    tx: &Transaction<'_>,
    conversation: &ConversationKey,
    progress: &Progress,
    shown: Shown,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO progress (conversation, state, message, stream) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (conversation) DO UPDATE SET state = ?2, message = ?3, stream = ?4",
        params![
            conversation.as_str(),
            serde_json::to_string(progress)?,
            shown.card.map(|m| m.0),
            shown.stream.map(|m| m.0)
        ],
    )?;
    Ok(())
}

/// The conversations of which something is known.
pub fn known(tx: &Reader<'_>) -> Result<Vec<ConversationKey>, StoreError> {
    keys(tx, "SELECT conversation FROM progress ORDER BY conversation")
}

/// The conversations with a live card.
pub fn live(tx: &Reader<'_>) -> Result<Vec<ConversationKey>, StoreError> {
    keys(tx, "SELECT conversation FROM progress WHERE message IS NOT NULL ORDER BY conversation")
}

fn keys(tx: &Reader<'_>, sql: &str) -> Result<Vec<ConversationKey>, StoreError> {
    let mut statement = tx.prepare_cached(sql)?;
    let keys = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(keys.into_iter().filter_map(|key| ConversationKey::new(key).ok()).collect())
}

/// The messages that this table refers to.
pub(super) const MESSAGES: &[&str] = &[
    "SELECT message FROM progress WHERE message IS NOT NULL",
    "SELECT stream FROM progress WHERE stream IS NOT NULL",
];
