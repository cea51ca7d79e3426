//! Rows that cannot be read: damaged, or written by a version that wrote otherwise.
//!
//! A function that meets one returns [`StoreError::Unreadable`]. Before the caller gets that, the store's thread copies
//! the row into a table of its own, takes it out of its table's work and tells the person it was about. The caller can
//! retry and finds the rows after it, so a bad row holds up nobody and is met once.

use std::fmt;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};
use serde_json::{Map, Value};

use super::outbox;
use super::{Reader, StoreError, Transaction, now_ms};
use crate::markdown::Text;
use crate::message::Message;
use crate::place::Place;
use crate::queue::{MessageRef, Priority};

/// The most characters of somebody's message that are shown again.
const SHOWN: usize = 60;

/// Where rows are that are read later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// What came in.
    Inbox,
    /// What goes out.
    Outbox,
    /// What Claude asks.
    Request,
    /// Lists with buttons.
    Picker,
    /// Prompts that can be run again.
    Prompt,
    /// Prompts that can be moved.
    Steer,
    /// What goes on in a conversation.
    Progress,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Outbox => "outbox",
            Self::Request => "request",
            Self::Picker => "picker",
            Self::Prompt => "prompt",
            Self::Steer => "steer",
            Self::Progress => "progress",
        }
    }
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it is.
    pub table: Table,
    /// Its rowid there.
    pub row: i64,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of the table {} cannot be read: {}", self.row, self.table.name(), self.why)
    }
}

/// What `read` makes of a row. Where that fails for what is in the row, the row is unreadable.
pub(super) fn reading<T>(
    table: Table,
    row: i64,
    read: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    use rusqlite::Error;
    read().map_err(|error| match error {
        StoreError::Json(_)
        | StoreError::Sqlite(
            Error::FromSqlConversionFailure(..)
            | Error::InvalidColumnType(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..),
        ) => StoreError::Unreadable(Unreadable { table, row, why: error.to_string() }),
        error => error,
    })
}

/// Puts a row into quarantine, and says so where somebody waits for it.
pub(super) fn put(tx: &Transaction<'_>, found: &Unreadable) -> Result<(), StoreError> {
    let Some(row) = as_it_is(tx, found)? else { return Ok(()) };
    tx.execute(
        "INSERT INTO quarantine (source, row, why, content, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![found.table.name(), found.row, found.why, Value::Object(row.clone()).to_string(), now_ms()],
    )?;
    match found.table {
        Table::Inbox => from_inbox(tx, found.row, &row),
        Table::Outbox => from_outbox(tx, found.row, &row),
        table => {
            tx.execute(&format!("DELETE FROM {} WHERE rowid = ?1", table.name()), [found.row])?;
            from_message(tx, table, &row)
        }
    }
}

/// A row as far as it can be shown; `None`: there is none any longer.
fn as_it_is(tx: &Reader<'_>, found: &Unreadable) -> Result<Option<Map<String, Value>>, StoreError> {
    let mut statement =
        tx.prepare_cached(&format!("SELECT * FROM {} WHERE rowid = ?1", found.table.name()))?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let read = |row: &rusqlite::Row<'_>| {
        let mut columns = Map::new();
        for (index, name) in names.iter().enumerate() {
            let value = match row.get_ref(index)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => number.into(),
                ValueRef::Real(number) => number.into(),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into(),
            };
            columns.insert(name.clone(), value);
        }
        Ok(columns)
    };
    Ok(statement.query_row([found.row], read).optional()?)
}

fn place(row: &Map<String, Value>) -> Option<Place> {
    let number = |name: &str| row.get(name).and_then(Value::as_i64);
    Some(Place { chat: number("chat")?, thread: number("thread") })
}

fn text<'a>(row: &'a Map<String, Value>, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What somebody sent has no effect any longer: they are told, and asked to do it again.
fn from_inbox(tx: &Transaction<'_>, id: i64, row: &Map<String, Value>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE inbox SET raw = 'null', composed = NULL, part = NULL, folder = NULL,
                state = CASE WHEN state IN ('received', 'submitted') THEN 'refused' ELSE state END
         WHERE id = ?1",
        [id],
    )?;
    let others = tx.execute(
        "UPDATE inbox SET state = 'refused' WHERE joined = ?1 AND state IN ('received', 'submitted')",
        [id],
    )?;
    let (state, Some(place)) = (text(row, "state"), place(row)) else { return Ok(()) };
    if !["received", "submitted"].contains(&state) {
        return Ok(());
    }
    let said = if text(row, "lane") == "button" {
        "⚠️ I can no longer read what you pressed. Press it again.".to_owned()
    } else {
        let words: String = text(row, "content").chars().take(SHOWN).collect();
        let which = match (words.trim(), others) {
            ("", _) => "something that you sent".to_owned(),
            (words, 0) => format!("what you sent: “{words}”"),
            (words, others) => format!("what you sent (“{words}”, with {others} more)"),
        };
        let done = if state == "submitted" { "Claude may not have it" } else { "Claude does not have it" };
        format!("⚠️ I can no longer read {which}. {done}. Send it again.")
    };
    outbox::send(tx, place, Priority::Control, &Message::silent(Text::plain(&said)))
}

/// What was to be said is not: its reader is told that it is missing.
fn from_outbox(tx: &Transaction<'_>, id: i64, row: &Map<String, Value>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE outbox SET body = '{}', state = CASE WHEN state IN ('pending', 'in_flight') THEN 'failed' ELSE state END
         WHERE id = ?1",
        [id],
    )?;
    // Another change of a live card follows, or its end; and nobody misses what was to be taken away.
    let of_the_moment = text(row, "priority") == Priority::Live.name() || text(row, "op") == "delete";
    let Some(place) = place(row).filter(|_| !of_the_moment) else { return Ok(()) };
    let said = "⚠️ I can no longer read a message that should be here. The log of carcin-tg says which.";
    outbox::send(tx, place, Priority::Prose, &Message::silent(Text::plain(said)))
}

/// What is behind a message is gone: the message says so, and has no buttons any longer.
fn from_message(tx: &Transaction<'_>, table: Table, row: &Map<String, Value>) -> Result<(), StoreError> {
    let nonce = text(row, "nonce");
    tx.execute("DELETE FROM awaiting WHERE nonce = ?1", [nonce])?;
    let Some(message) = row.get("message").and_then(Value::as_i64) else { return Ok(()) };
    let is_over = row.get("outcome").is_some_and(|outcome| !outcome.is_null())
        || ["over", "rerun"].iter().any(|name| row.get(*name).and_then(Value::as_i64) == Some(1));
    if is_over {
        return Ok(());
    }
    let said = match table {
        Table::Request => {
            "⚠️ I can no longer read what Claude asks here. On the machine, carcin-ctl pending shows it and carcin-ctl \
             answer answers it."
        }
        Table::Picker => "⚠️ I can no longer read this list. Send its command again.",
        Table::Progress => "⚠️ I lost track of what goes on here. What Claude says still comes.",
        _ => "⚠️ I can no longer read what this was about. Send again what is to be done.",
    };
    outbox::edit(tx, MessageRef(message), Priority::Control, &Message::silent(Text::plain(said)))
}

/// Forgets rows that went into quarantine before this moment.
pub(super) fn prune(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM quarantine WHERE at < ?1", [before])?;
    Ok(())
}

#[cfg(test)]
mod tests;
