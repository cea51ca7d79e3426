//! "The next message": whose next words in a chat answer which request, and which messages were such answers.

use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::quarantine::{self, Table};
use super::{Reader, StoreError, Transaction};
use crate::place::Place;

/// Somebody's next message is an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// To the request with this nonce.
    pub nonce: String,
    /// The row of the inbox with the press that asked for it: what was written before does not count.
    pub since: i64,
}

fn thread(place: Place) -> i64 {
    place.thread.unwrap_or_default()
}

/// From now on the next message of this person here answers this request. Returns the nonce of the request that
/// it would have answered before.
pub fn set(
    tx: &Transaction<'_>,
    place: Place,
    user: i64,
    nonce: &str,
    since: i64,
) -> Result<Option<String>, StoreError> {
    let before = of(tx, place, user)?.map(|awaited| awaited.nonce).filter(|before| before != nonce);
    tx.execute(
        "INSERT OR REPLACE INTO awaiting (chat, thread, user, nonce, since) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![place.chat, thread(place), user, nonce, since],
    )?;
    Ok(before)
}

/// What the next message of this person here answers.
pub fn of(tx: &Reader<'_>, place: Place, user: i64) -> Result<Option<Awaited>, StoreError> {
    Ok(tx
        .query_row(
            "SELECT nonce, since FROM awaiting WHERE chat = ?1 AND thread = ?2 AND user = ?3",
            params![place.chat, thread(place), user],
            |row| Ok(Awaited { nonce: row.get(0)?, since: row.get(1)? }),
        )
        .optional()?)
}

/// Nobody's next message answers this request any longer.
pub fn clear(tx: &Transaction<'_>, nonce: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM awaiting WHERE nonce = ?1", [nonce])?;
    Ok(())
}

/// What came into a chat between two rows of the inbox and begins like a command.
pub fn slashes_between(
    tx: &Reader<'_>,
    chat: i64,
    after: i64,
    before: i64,
) -> Result<Vec<Value>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT id, raw FROM inbox WHERE id > ?1 AND id < ?2 AND chat = ?3 AND content LIKE '/%'",
    )?;
    let rows = statement.query_map(params![after, before, chat], |row| {
        let id = row.get(0)?;
        Ok(quarantine::reading(Table::Inbox, id, || {
            let raw: String = row.get(1)?;
            Ok(serde_json::from_str(&raw)?)
        }))
    })?;
    rows.collect::<rusqlite::Result<Result<_, _>>>()?
}

/// Whether a message had come in before a row of the inbox, in whatever words.
pub fn was_there(tx: &Reader<'_>, chat: i64, message: i64, before: i64) -> Result<bool, StoreError> {
    let found = tx.query_row(
        "SELECT 1 FROM inbox WHERE chat = ?1 AND message = ?2 AND id < ?3 LIMIT 1",
        params![chat, message, before],
        |_| Ok(()),
    );
    Ok(found.optional()?.is_some())
}

/// Whether a prompt of this chat between two rows of the inbox is not worked on yet.
pub fn open_between(tx: &Reader<'_>, chat: i64, after: i64, before: i64) -> Result<bool, StoreError> {
    let found = tx.query_row(
        "SELECT 1 FROM inbox WHERE id > ?1 AND id < ?2 AND chat = ?3 AND lane = 'prompt'
            AND state IN ('received', 'submitted') LIMIT 1",
        params![after, before, chat],
        |_| Ok(()),
    );
    Ok(found.optional()?.is_some())
}

/// This message answers the request, and is never a prompt.
pub fn claim(tx: &Transaction<'_>, inbox: i64, nonce: &str) -> Result<(), StoreError> {
    tx.execute("INSERT OR REPLACE INTO reply (inbox, nonce) VALUES (?1, ?2)", params![inbox, nonce])?;
    Ok(())
}

/// The request that this row of the inbox answers.
pub fn claimed(tx: &Reader<'_>, inbox: i64) -> Result<Option<String>, StoreError> {
    let found = tx.query_row("SELECT nonce FROM reply WHERE inbox = ?1", [inbox], |row| row.get(0));
    Ok(found.optional()?)
}

/// The request that an earlier version of this message answered.
pub fn claimed_by_message(tx: &Reader<'_>, chat: i64, message: i64) -> Result<Option<String>, StoreError> {
    Ok(tx
        .query_row(
            "SELECT reply.nonce FROM inbox JOIN reply ON reply.inbox = coalesce(inbox.joined, inbox.id)
             WHERE inbox.chat = ?1 AND inbox.message = ?2 ORDER BY inbox.id DESC LIMIT 1",
            params![chat, message],
            |row| row.get(0),
        )
        .optional()?)
}

/// Forgets the answers whose messages are forgotten.
pub(super) fn prune(tx: &Transaction<'_>, _: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM reply WHERE inbox NOT IN (SELECT id FROM inbox)", [])?;
    Ok(())
}
