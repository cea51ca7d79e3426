//! Restarts that were asked for: who is to be told that the bot is back.

use rusqlite::params;

use super::{StoreError, Transaction, now_ms};
use crate::place::Place;

/// Somebody here asked for a restart.
pub fn ask(tx: &Transaction<'_>, place: Place) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO restart (chat, thread, at) VALUES (?1, ?2, ?3)",
        params![place.chat, place.thread, now_ms()],
    )?;
    Ok(())
}

/// Takes all that are waited for: where, each place once.
pub fn take(tx: &Transaction<'_>) -> Result<Vec<Place>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT DISTINCT chat, thread FROM restart ORDER BY chat, thread")?;
    let rows = statement.query_map([], |row| Ok(Place { chat: row.get(0)?, thread: row.get(1)? }))?;
    let places = rows.collect::<Result<Vec<_>, _>>()?;
    tx.execute("DELETE FROM restart", [])?;
    Ok(places)
}
