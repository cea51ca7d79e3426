//! The journal's files, as one may look at them from outside.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use carcin_lab::rig::{PATIENCE, Rig};
use carcin_proto::PromptId;

/// The journal.
pub fn path(rig: &Rig) -> PathBuf {
    rig.places.state().join("journal.db")
}

/// Its log.
pub fn log_of(journal: &Path) -> PathBuf {
    journal.with_extension("db-wal")
}

/// Takes the log into the journal itself, as SQLite does from time to time. A daemon that writes may be in the way.
pub fn fold(journal: &Path) -> anyhow::Result<()> {
    let connection = rusqlite::Connection::open(journal)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get("busy"))?;
        if busy == 0 {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "the log of {} stays in use", journal.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How far a prompt is, of which nobody is told; `None`: the journal does not have it.
pub fn state_of(rig: &Rig, prompt: PromptId) -> anyhow::Result<Option<String>> {
    let journal = rusqlite::Connection::open(path(rig))?;
    let row = journal.query_row("SELECT row FROM prompt WHERE id = ?1", [prompt.to_string()], |row| {
        row.get::<_, String>(0)
    });
    let row = match row {
        Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(None),
        row => row?,
    };
    let row: serde_json::Value = serde_json::from_str(&row)?;
    Ok(row["state"].as_str().map(str::to_owned))
}
