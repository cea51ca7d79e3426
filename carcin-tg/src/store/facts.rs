//! The few facts of which there is one: Telegram's offset, the daemon's cursor, and what chats know.

use carcin_proto::{Cursor, JournalId, Seq};
use rusqlite::{OptionalExtension, params};

use super::{Reader, StoreError, Transaction};

/// The offset that confirms everything taken in; 0: nothing yet.
pub fn next_update(tx: &Reader<'_>) -> Result<i64, StoreError> {
    Ok(tx.query_row("SELECT next_update FROM fact", [], |row| row.get(0))?)
}

/// Moves the offset.
pub fn set_next_update(tx: &Transaction<'_>, next: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE fact SET next_update = ?1", [next])?;
    Ok(())
}

/// How far the daemon's events are consumed; `None`: nothing yet.
pub fn cursor(tx: &Reader<'_>) -> Result<Option<Cursor>, StoreError> {
    let (journal, seq): (Option<String>, Option<i64>) =
        tx.query_row("SELECT journal, seq FROM fact", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let journal = journal.and_then(|id| id.parse::<JournalId>().ok());
    Ok(journal.zip(seq).map(|(journal, seq)| Cursor { journal, seq: Seq(seq.cast_unsigned()) }))
}

/// Moves the cursor: in the transaction that takes care of the events before it.
pub fn set_cursor(tx: &Transaction<'_>, cursor: Cursor) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE fact SET journal = ?1, seq = ?2",
        params![cursor.journal.to_string(), cursor.seq.0.cast_signed()],
    )?;
    Ok(())
}

/// Remembers a chat in which an allowed user has written: it can be written to.
pub fn know_chat(tx: &Transaction<'_>, chat: i64) -> Result<(), StoreError> {
    tx.execute("INSERT INTO chat (chat) VALUES (?1) ON CONFLICT (chat) DO UPDATE SET gone = 0", [chat])?;
    Ok(())
}

/// Notes that a chat cannot be written to, until an allowed user writes there again.
pub fn lose_chat(tx: &Transaction<'_>, chat: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE chat SET gone = 1 WHERE chat = ?1", [chat])?;
    tx.execute("INSERT OR IGNORE INTO chat (chat, gone) VALUES (?1, 1)", [chat])?;
    Ok(())
}

/// The chats that cannot be written to.
pub fn lost_chats(tx: &Reader<'_>) -> Result<Vec<i64>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT chat FROM chat WHERE gone = 1 ORDER BY chat")?;
    let chats = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(chats)
}

/// Notes that Telegram wants silence in a chat until then, in milliseconds of the wall clock.
pub fn set_quiet(tx: &Transaction<'_>, chat: i64, until: i64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO quiet (chat, until) VALUES (?1, ?2) ON CONFLICT (chat) DO UPDATE SET until = max(until, ?2)",
        params![chat, until],
    )?;
    Ok(())
}

/// The chats in which Telegram wants silence, and for how many milliseconds yet.
pub fn quiet(tx: &Reader<'_>, now: i64) -> Result<Vec<(i64, i64)>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT chat, until - ?1 FROM quiet WHERE until > ?1 ORDER BY chat")?;
    let chats = statement.query_map([now], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(chats.collect::<Result<_, _>>()?)
}

/// Whether an allowed user has ever written in this chat.
pub fn knows_chat(tx: &Reader<'_>, chat: i64) -> Result<bool, StoreError> {
    let known = tx.query_row("SELECT 1 FROM chat WHERE chat = ?1", [chat], |_| Ok(())).optional()?;
    Ok(known.is_some())
}

/// Notes that the chat is told of the daemon's outage. Whether it was not yet.
pub fn tell_outage(tx: &Transaction<'_>, chat: i64) -> Result<bool, StoreError> {
    tx.execute("INSERT OR IGNORE INTO chat (chat) VALUES (?1)", [chat])?;
    Ok(tx.execute("UPDATE chat SET outage_told = 1 WHERE chat = ?1 AND outage_told = 0", [chat])? == 1)
}

/// The outage is over: the next one is told again.
pub fn end_outage(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.execute("UPDATE chat SET outage_told = 0 WHERE outage_told = 1", [])?;
    Ok(())
}

/// Forgets waits that ended before this moment.
pub(super) fn prune(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM quiet WHERE until <= ?1", [before])?;
    Ok(())
}
