//! The slash commands that Claude was last known to have, for Telegram's menu.

use rusqlite::params;

use super::{Reader, StoreError, Transaction};

/// All of them with what they do, in Claude's order.
pub fn all(tx: &Reader<'_>) -> Result<Vec<(String, String)>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT name, description FROM claude_command ORDER BY position")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.map(|row| Ok(row?)).collect()
}

/// Their names.
pub fn names(tx: &Reader<'_>) -> Result<Vec<String>, StoreError> {
    Ok(all(tx)?.into_iter().map(|(name, _)| name).collect())
}

/// From now on it is these.
pub fn replace(tx: &Transaction<'_>, commands: &[(String, String)]) -> Result<(), StoreError> {
    if all(tx)? == commands {
        return Ok(());
    }
    tx.execute("DELETE FROM claude_command", [])?;
    for (position, (name, description)) in commands.iter().enumerate() {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        tx.execute(
            "INSERT INTO claude_command (position, name, description) VALUES (?1, ?2, ?3)",
            params![position, name, description],
        )?;
    }
    Ok(())
}
