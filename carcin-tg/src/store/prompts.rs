//! Prompts that are not settled, so that an interrupted one can be run again.

use carcin_proto::event::PromptAccepted;
use carcin_proto::{ConversationKey, PromptId};
use rusqlite::{OptionalExtension, Row, params};

use super::quarantine::{self, Table};
use super::{Reader, StoreError, Transaction, inbox, now_ms};
use crate::queue::MessageRef;

/// An interrupted prompt, behind its button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// Which.
    pub prompt: String,
    /// Where.
    pub conversation: ConversationKey,
    /// The key under which it was submitted.
    pub key: String,
    /// What it said.
    pub text: String,
    /// The message that carries the button.
    pub message: MessageRef,
    /// It was run again already.
    pub rerun: bool,
}

/// Remembers what a prompt says.
pub fn accepted(
    tx: &Transaction<'_>,
    conversation: &ConversationKey,
    accepted: &PromptAccepted,
) -> Result<(), StoreError> {
    // The event's text is cut; the inbox has the whole where it came from here.
    let whole = inbox::prompt_of(tx, accepted.key.as_str())?;
    let text = whole.as_ref().map_or(&accepted.text, |whole| &whole.text);
    tx.execute(
        "INSERT OR IGNORE INTO prompt (prompt, conversation, key, content, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![accepted.prompt.to_string(), conversation.as_str(), accepted.key.as_str(), text, now_ms()],
    )?;
    Ok(())
}

/// What a prompt says, where it is known.
pub fn text(tx: &Reader<'_>, prompt: PromptId) -> Result<Option<String>, StoreError> {
    Ok(tx
        .query_row("SELECT content FROM prompt WHERE prompt = ?1", [prompt.to_string()], |row| row.get(0))
        .optional()?)
}

/// The prompt is settled: nothing more will be asked of it.
pub fn forget(tx: &Transaction<'_>, prompt: PromptId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM prompt WHERE prompt = ?1", [prompt.to_string()])?;
    Ok(())
}

/// The keys of those that are neither settled nor interrupted.
pub fn unsettled(tx: &Reader<'_>) -> Result<Vec<String>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT key FROM prompt WHERE nonce IS NULL")?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Of those that are not settled, only these are open: what became of the others was missed.
pub fn only_open(tx: &Transaction<'_>, open: &[PromptId]) -> Result<(), StoreError> {
    let open: Vec<String> = open.iter().map(PromptId::to_string).collect();
    tx.execute(
        "DELETE FROM prompt WHERE nonce IS NULL AND prompt NOT IN (SELECT value FROM json_each(?1))",
        [serde_json::to_string(&open)?],
    )?;
    Ok(())
}

/// Forgets what was interrupted before this moment, unless it was run again and waits.
pub(super) fn prune(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    // Each rerun is behind the one before it.
    tx.execute(
        "WITH RECURSIVE needed (key) AS (
             SELECT key FROM prompt WHERE nonce IS NULL
             UNION SELECT prompt.key FROM prompt JOIN needed
                 ON needed.key LIKE '%:rerun:%' AND substr(needed.key, -36) = prompt.prompt)
         DELETE FROM prompt WHERE at < ?1 AND key NOT IN (SELECT key FROM needed)",
        [before],
    )?;
    Ok(())
}

/// The prompt was interrupted: `message` carries the button with `nonce`.
pub fn interrupted(
    tx: &Transaction<'_>,
    prompt: PromptId,
    nonce: &str,
    message: MessageRef,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE prompt SET nonce = ?2, message = ?3, at = ?4 WHERE prompt = ?1",
        params![prompt.to_string(), nonce, message.0, now_ms()],
    )?;
    Ok(())
}

/// The prompt behind a button.
pub fn by_nonce(tx: &Reader<'_>, nonce: &str) -> Result<Option<Interrupted>, StoreError> {
    let read = |row: &Row<'_>| {
        let id = row.get(0)?;
        Ok(quarantine::reading(Table::Prompt, id, || {
            let conversation: String = row.get(2)?;
            let unreadable = |error| StoreError::Json(serde::de::Error::custom(error));
            Ok(Interrupted {
                prompt: row.get(1)?,
                conversation: ConversationKey::new(conversation).map_err(unreadable)?,
                key: row.get(3)?,
                text: row.get(4)?,
                message: MessageRef(row.get(5)?),
                rerun: row.get(6)?,
            })
        }))
    };
    let sql = "SELECT rowid, prompt, conversation, key, content, message, rerun FROM prompt WHERE nonce = ?1";
    tx.query_row(sql, [nonce], read).optional()?.transpose()
}

/// The prompt was run again: a second press does nothing.
pub fn set_rerun(tx: &Transaction<'_>, nonce: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE prompt SET rerun = 1 WHERE nonce = ?1", [nonce])?;
    Ok(())
}

/// The messages that this table refers to.
pub(super) const MESSAGES: &[&str] = &["SELECT message FROM prompt WHERE message IS NOT NULL"];
