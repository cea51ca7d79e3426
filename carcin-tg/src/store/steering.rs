//! Prompts that came while Claude worked, and the message with which they can be moved.

use carcin_proto::PromptId;
use rusqlite::{OptionalExtension, Row, params};

use super::quarantine::{self, Table};
use super::{Reader, StoreError, Transaction, inbox, now_ms};
use crate::queue::{MessageRef, Spot};

/// The message's key of which this one is made.
pub fn base(key: &str) -> &str {
    let made = [Spot::Queue, Spot::Now].map(|place| key.strip_suffix(place.name())?.strip_suffix(':'));
    made.into_iter().flatten().next().unwrap_or(key)
}

/// A prompt that waits, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steered {
    /// What its buttons carry.
    pub nonce: String,
    /// The message's key.
    pub key: String,
    /// The prompt that waits now; `None`: it is on its way to another place.
    pub prompt: Option<String>,
    /// What it says.
    pub text: String,
    /// The message that carries the buttons.
    pub message: MessageRef,
    /// Where it waits, or is to.
    pub place: Spot,
    /// The turn was stopped for it.
    pub stopped: bool,
    /// It waits no longer.
    pub over: bool,
}

/// Stores a prompt that begins to wait.
pub fn insert(tx: &Transaction<'_>, steered: &Steered) -> Result<(), StoreError> {
    tx.execute(
        "INSERT OR IGNORE INTO steer (nonce, key, prompt, content, message, place, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            steered.nonce,
            steered.key,
            steered.prompt,
            steered.text,
            steered.message.0,
            steered.place.name(),
            now_ms(),
        ],
    )?;
    Ok(())
}

const COLUMNS: &str = "SELECT rowid, nonce, key, prompt, content, message, place, stopped, over FROM steer";

fn read(row: &Row<'_>) -> rusqlite::Result<Result<Steered, StoreError>> {
    let id = row.get(0)?;
    Ok(quarantine::reading(Table::Steer, id, || {
        let place: String = row.get(6)?;
        let unknown = || StoreError::Json(serde::de::Error::custom("it waits in an unknown place"));
        Ok(Steered {
            nonce: row.get(1)?,
            key: row.get(2)?,
            prompt: row.get(3)?,
            text: row.get(4)?,
            message: MessageRef(row.get(5)?),
            place: Spot::named(&place).ok_or_else(unknown)?,
            stopped: row.get(7)?,
            over: row.get(8)?,
        })
    }))
}

/// The prompt behind a button.
pub fn by_nonce(tx: &Reader<'_>, nonce: &str) -> Result<Option<Steered>, StoreError> {
    tx.query_row(&format!("{COLUMNS} WHERE nonce = ?1"), [nonce], read).optional()?.transpose()
}

/// The one of this message that still waits.
pub fn by_key(tx: &Reader<'_>, key: &str) -> Result<Option<Steered>, StoreError> {
    let found = tx.query_row(&format!("{COLUMNS} WHERE key = ?1 AND over = 0"), [base(key)], read);
    found.optional()?.transpose()
}

/// The one that waits as this prompt.
pub fn by_prompt(tx: &Reader<'_>, prompt: PromptId) -> Result<Option<Steered>, StoreError> {
    let found =
        tx.query_row(&format!("{COLUMNS} WHERE prompt = ?1 AND over = 0"), [prompt.to_string()], read);
    found.optional()?.transpose()
}

/// It is on its way to another place, by the press `row` of the inbox. `false`: that press was taken back.
pub fn depart(tx: &Transaction<'_>, nonce: &str, place: Spot, row: i64) -> Result<bool, StoreError> {
    if !inbox::submit(tx, row)? {
        return Ok(false);
    }
    tx.execute(
        "UPDATE steer SET prompt = NULL, place = ?2 WHERE nonce = ?1 AND place <> ?2",
        params![nonce, place.name()],
    )?;
    Ok(true)
}

/// It waits in its new place.
pub fn arrived(tx: &Transaction<'_>, nonce: &str, prompt: PromptId) -> Result<(), StoreError> {
    tx.execute("UPDATE steer SET prompt = ?2 WHERE nonce = ?1", params![nonce, prompt.to_string()])?;
    Ok(())
}

/// The turn was stopped for it: not again.
pub fn set_stopped(tx: &Transaction<'_>, nonce: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE steer SET stopped = 1 WHERE nonce = ?1", [nonce])?;
    Ok(())
}

/// It waits no longer.
pub fn end(tx: &Transaction<'_>, nonce: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE steer SET over = 1 WHERE nonce = ?1", [nonce])?;
    Ok(())
}

/// Whether the message was edited since.
pub fn was_edited(tx: &Reader<'_>, key: &str) -> Result<bool, StoreError> {
    let count = "SELECT count(*) FROM inbox AS this JOIN inbox AS later
                   ON later.chat = this.chat AND later.message = this.message AND later.id > this.id
                 WHERE this.key = ?1 AND later.state IN ('received', 'submitted', 'accepted')";
    Ok(tx.query_row(count, [base(key)], |row| row.get::<_, i64>(0))? > 0)
}

/// Whether the message was edited before the press `row` of the inbox. An edit that came after it and is worked on already
/// counts too: that one has the prompt.
pub fn was_edited_before(tx: &Reader<'_>, key: &str, row: i64) -> Result<bool, StoreError> {
    let count = "SELECT count(*) FROM inbox AS this JOIN inbox AS later
                   ON later.chat = this.chat AND later.message = this.message AND later.id > this.id
                 WHERE this.key = ?1 AND (later.state IN ('submitted', 'accepted')
                    OR (later.state = 'received' AND later.id < ?2))";
    Ok(tx.query_row(count, params![base(key), row], |row| row.get::<_, i64>(0))? > 0)
}

/// Whether the message waited in other words before, and had a note then.
pub fn is_edit_of_another(tx: &Reader<'_>, key: &str) -> Result<bool, StoreError> {
    let count = "SELECT count(*) FROM inbox AS this JOIN inbox AS first
                   ON first.chat = this.chat AND first.message = this.message AND first.id < this.id
                 JOIN steer ON steer.key = first.key
                 WHERE this.key = ?1 AND steer.over = 1";
    Ok(tx.query_row(count, [base(key)], |row| row.get::<_, i64>(0))? > 0)
}

/// Forgets what began to wait before this moment.
pub(super) fn prune(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM steer WHERE at < ?1", [before])?;
    Ok(())
}

/// The messages that this table refers to.
pub(super) const MESSAGES: &[&str] = &["SELECT message FROM steer"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_back_to_its_message() {
        for place in Spot::ALL {
            let key = place.key("tg:9:42:1:0").expect("a key");
            assert_eq!(base(key.as_str()), "tg:9:42:1:0");
        }
    }
}
