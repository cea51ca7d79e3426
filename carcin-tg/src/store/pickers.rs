//! Lists with buttons: what each shows now, so that a press means what was seen.

use carcin_proto::ConversationKey;
use rusqlite::{OptionalExtension, Row, params};

use super::quarantine::{self, Table};
use super::{Reader, StoreError, Transaction, now_ms};
use crate::queue::MessageRef;
use crate::view::picker::Picker;

/// A list in a chat.
#[derive(Debug, Clone, PartialEq)]
pub struct Picked {
    /// What its buttons carry.
    pub nonce: String,
    /// Where it is.
    pub conversation: ConversationKey,
    /// What it shows.
    pub picker: Picker,
    /// The message that shows it.
    pub message: MessageRef,
}

/// Stores a new one.
pub fn insert(tx: &Transaction<'_>, picked: &Picked) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO picker (nonce, conversation, state, message, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            picked.nonce,
            picked.conversation.as_str(),
            serde_json::to_string(&picked.picker)?,
            picked.message.0,
            now_ms(),
        ],
    )?;
    Ok(())
}

/// It shows something else now, if nobody has changed it since it was `before`. Whether it does.
pub fn update(tx: &Transaction<'_>, nonce: &str, before: u32, picker: &Picker) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE picker SET state = ?3, at = ?4 WHERE nonce = ?1 AND json_extract(state, '$.generation') = ?2",
        params![nonce, before, serde_json::to_string(picker)?, now_ms()],
    )?;
    Ok(changed == 1)
}

/// The one behind a button.
pub fn by_nonce(tx: &Reader<'_>, nonce: &str) -> Result<Option<Picked>, StoreError> {
    let read = |row: &Row<'_>| {
        let id = row.get(0)?;
        Ok(quarantine::reading(Table::Picker, id, || {
            let (conversation, state): (String, String) = (row.get(1)?, row.get(2)?);
            let unreadable = |error| StoreError::Json(serde::de::Error::custom(error));
            Ok(Picked {
                nonce: nonce.to_owned(),
                conversation: ConversationKey::new(conversation).map_err(unreadable)?,
                picker: serde_json::from_str(&state)?,
                message: MessageRef(row.get(3)?),
            })
        }))
    };
    let sql = "SELECT rowid, conversation, state, message FROM picker WHERE nonce = ?1";
    tx.query_row(sql, [nonce], read).optional()?.transpose()
}

/// Forgets lists that were last changed before this moment.
pub(super) fn prune(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM picker WHERE at < ?1", [before])?;
    Ok(())
}

/// The messages that this table refers to.
pub(super) const MESSAGES: &[&str] = &["SELECT message FROM picker"];
