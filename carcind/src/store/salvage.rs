//! What can still be read of a damaged journal.
//!
//! Taken over are the rows: conversations, prompts, lines to Claude, requests. From them alone every conversation goes
//! on, its Claude with it. The events are history, and stay in the file that is put aside.

use std::path::Path;
use std::time::Duration;

use carcin_proto::event::{Level, Notice};
use carcin_proto::{ConversationKey, Millis};
use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::load::parse;
use super::schema::{connect, migrate, remove, sqlite};
use super::writer::meta;
use super::{Commit, StoreError};
use crate::rows::{ConversationRow, InputRow, Item, Loaded, PromptRow, RequestRow, Row};

/// Tables that are begun anew: who the journal is, and what has happened.
const NOT_TAKEN: &[&str] = &["meta", "event", "snapshot"];

/// The numbers in prompts are those of events that are not taken over; an older journal has fewer columns.
const COMPLETE: &str = "
    UPDATE prompt SET row = json_set(row, '$.seq', 0);
    UPDATE conversation
        SET child = json_extract(row, '$.child.generation'), session = json_extract(row, '$.session');
";

/// What is open and whose conversation could not be read: nobody would know of it until there is a conversation of that
/// name again, and that one is not to find a prompt of long ago, or one that no Claude will ever end. The prompts stay,
/// settled, so that one that is handed in again is known. How many rows each of these changes is told.
const ORPHANS: &[(&str, &str)] = &[
    ("input", "DELETE FROM input WHERE conversation NOT IN (SELECT key FROM conversation)"),
    ("request", "DELETE FROM request WHERE settled = 0 AND conversation NOT IN (SELECT key FROM conversation)"),
    (
        "prompt",
        "UPDATE prompt SET settled = unixepoch() * 1000, row = json_set(row, '$.state', 'settled', '$.text', '')
            WHERE settled = 0 AND conversation NOT IN (SELECT key FROM conversation)",
    ),
];

/// Makes a new journal at `fresh` with the rows that can be read of the one at `damaged`, which is not changed.
pub(super) fn rebuild(damaged: &Path, fresh: &Path) -> Result<(), StoreError> {
    remove(fresh);
    let fail = |error: rusqlite::Error| sqlite(fresh, &error);
    let mut new = connect(fresh)?;
    migrate(&mut new, fresh)?;
    match open(damaged) {
        Ok(old) => {
            let transaction = new.transaction().map_err(fail)?;
            for table in tables(&transaction).map_err(fail)? {
                let (taken, passed) = take_over(&old, &transaction, &table).map_err(fail)?;
                tracing::info!(table, taken, passed, "rows of the damaged journal");
            }
            transaction.execute_batch(COMPLETE).map_err(fail)?;
            for (table, settle) in ORPHANS {
                let orphans = transaction.execute(settle, []).map_err(fail)?;
                if orphans > 0 {
                    tracing::error!(table, orphans, "rows of conversations that cannot be read are given up");
                }
            }
            transaction.commit().map_err(fail)?;
        }
        Err(error) => tracing::warn!(%error, "nothing of the damaged journal can be read"),
    }
    // Closed, it is one file.
    new.close().map_err(|(_, error)| fail(error))
}

/// The boot in which the journal at `path` was used last.
pub(super) fn boot(path: &Path) -> Option<String> {
    meta(&open(path).ok()?, "boot").ok()?
}

/// Opens a journal to read it as it is: nothing is tidied up, not even at the end.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let all =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let names =
        connection.prepare(all)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(names.into_iter().filter(|name| !NOT_TAKEN.contains(&name.as_str())).collect())
}

/// Copies the rows of `table` that can be read. How many, and how many were read and make no sense.
fn take_over(old: &Connection, new: &Connection, table: &str) -> rusqlite::Result<(usize, usize)> {
    let known: Vec<String> = columns(new, table)?;
    let (mut taken, mut passed) = (0, 0);
    // From both ends, since a walk ends at the first bad page. What is met twice is there already.
    for order in ["ASC", "DESC"] {
        let Ok(mut select) = old.prepare(&format!("SELECT * FROM {table} ORDER BY rowid {order}")) else {
            continue;
        };
        let names: Vec<String> = select.column_names().map(str::to_owned).collect();
        let shared: Vec<usize> = (0..names.len()).filter(|at| known.contains(&names[*at])).collect();
        let list = |part: &dyn Fn(usize) -> String| {
            shared.iter().map(|at| part(*at)).collect::<Vec<String>>().join(", ")
        };
        let insert = format!(
            "INSERT OR IGNORE INTO {table} ({}) VALUES ({})",
            list(&|at| names[at].clone()),
            list(&|_| "?".to_owned())
        );
        let mut insert = new.prepare(&insert)?;
        let Ok(mut rows) = select.query([]) else { continue };
        while let Ok(Some(row)) = rows.next() {
            let values = shared.iter().map(|at| row.get::<_, Value>(*at)).collect::<Result<Vec<_>, _>>();
            let text = |name: &str| {
                let at = names.iter().position(|known| known == name)?;
                row.get::<_, String>(at).ok()
            };
            match values {
                Ok(values) if makes_sense(table, &text) => {
                    // A value that the table's rules refuse is none that was written.
                    taken += insert.execute(params_from_iter(values)).unwrap_or(0);
                }
                _ => passed += 1,
            }
        }
    }
    Ok((taken, passed))
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let statement = connection.prepare(&format!("SELECT * FROM {table} LIMIT 0"))?;
    Ok(statement.column_names().map(str::to_owned).collect())
}

/// Whether a conversation could start from the row.
fn makes_sense(table: &str, text: &dyn Fn(&str) -> Option<String>) -> bool {
    let Some(row) = text("row") else { return true };
    let valid_key = |name: &str| text(name).is_some_and(|key| ConversationKey::new(key).is_ok());
    match table {
        "conversation" => parse::<ConversationRow>(&row).is_ok() && valid_key("key"),
        "prompt" => parse::<PromptRow>(&row).is_ok() && valid_key("conversation"),
        "input" => parse::<InputRow>(&row).is_ok() && valid_key("conversation"),
        "request" => parse::<RequestRow>(&row).is_ok() && valid_key("conversation"),
        _ => true,
    }
}

/// Tells a conversation what has happened to the journal.
pub(super) fn note(loaded: &mut Loaded, now: Millis, kept: &str) -> Commit {
    if let Some(child) = &mut loaded.conversation.child {
        // The row may be older than what its Claude does by now; one that works is not to be ended as one that
        // never had anything to do.
        child.prompted = true;
    }
    let text =
        format!("The journal was damaged: what could be read of it was taken over, and it is kept as {kept}");
    let notice = Notice { level: Level::Warning, text, hint: None };
    Commit {
        conversation: loaded.key.clone(),
        at: now,
        items: vec![Item::Durable(notice.into())],
        rows: vec![Row::Conversation(Box::new(loaded.conversation.clone()))],
        sync: true,
    }
}
