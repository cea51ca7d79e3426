//! What is going on in each conversation, and the message that is its live card.

use carcin_proto::ConversationKey;
use rusqlite::{OptionalExtension, Transaction, params};

use super::StoreError;
use super::outbox::MessageRef;
use crate::view::Progress;

/// A conversation's progress and its live card, empty where nothing goes on.
pub fn load(
    tx: &Transaction<'_>,
    conversation: &ConversationKey,
) -> Result<(Progress, Option<MessageRef>), StoreError> {
    let found: Option<(String, Option<i64>)> = tx
        .query_row(
            "SELECT state, message FROM progress WHERE conversation = ?1",
            [conversation.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((state, message)) = found else { return Ok((Progress::default(), None)) };
    // Written by another version and not understood: better no card than no events any longer.
    Ok((serde_json::from_str(&state).unwrap_or_default(), message.map(MessageRef)))
}

/// Stores it; nothing going on is stored as nothing.
pub fn save(
    tx: &Transaction<'_>,
    conversation: &ConversationKey,
    progress: &Progress,
    message: Option<MessageRef>,
) -> Result<(), StoreError> {
    if progress.is_idle() {
        tx.execute("DELETE FROM progress WHERE conversation = ?1", [conversation.as_str()])?;
        return Ok(());
    }
    tx.execute(
        "INSERT INTO progress (conversation, state, message) VALUES (?1, ?2, ?3)
         ON CONFLICT (conversation) DO UPDATE SET state = ?2, message = ?3",
        params![conversation.as_str(), serde_json::to_string(progress)?, message.map(|m| m.0)],
    )?;
    Ok(())
}

/// The conversations in which something goes on.
pub fn active(tx: &Transaction<'_>) -> Result<Vec<ConversationKey>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT conversation FROM progress ORDER BY conversation")?;
    let keys = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(keys.into_iter().filter_map(|key| ConversationKey::new(key).ok()).collect())
}
