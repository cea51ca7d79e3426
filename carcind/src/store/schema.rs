//! The tables, and how an older journal becomes a newer one.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::ffi::{ErrorCode, SQLITE_IOERR_SHMSIZE};

use super::StoreError;

/// One script a version, applied in order; `user_version` says how many have been. Only ever appended.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY,
        conversation TEXT NOT NULL,
        kind INTEGER NOT NULL,
        format INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    -- Kind 0x0130 is a text block: what `recent` looks for.
    CREATE INDEX event_text ON event (conversation, seq) WHERE kind = 0x0130;
    CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, payload BLOB NOT NULL) STRICT;
    CREATE TABLE conversation (key TEXT PRIMARY KEY, row TEXT NOT NULL) STRICT;
    CREATE TABLE prompt (
        id TEXT PRIMARY KEY,
        conversation TEXT NOT NULL,
        key TEXT NOT NULL,
        position INTEGER NOT NULL,
        settled INTEGER NOT NULL,
        row TEXT NOT NULL,
        UNIQUE (conversation, key)
    ) STRICT;
    CREATE INDEX prompt_open ON prompt (conversation, position) WHERE settled = 0;
    CREATE TABLE input (
        conversation TEXT NOT NULL,
        id TEXT NOT NULL,
        position INTEGER NOT NULL,
        row TEXT NOT NULL,
        PRIMARY KEY (conversation, id)
    ) STRICT;
    CREATE TABLE request (
        id TEXT PRIMARY KEY,
        conversation TEXT NOT NULL,
        position INTEGER NOT NULL,
        settled INTEGER NOT NULL,
        row TEXT NOT NULL
    ) STRICT;
    CREATE INDEX request_open ON request (conversation, position) WHERE settled = 0;
", "
    -- What a start and a resume look for, without reading every conversation: who has a child, who has a session.
    ALTER TABLE conversation ADD COLUMN child TEXT;
    ALTER TABLE conversation ADD COLUMN session TEXT;
    UPDATE conversation SET child = json_extract(row, '$.child.generation'), session = json_extract(row, '$.session')
        WHERE json_valid(row);
    CREATE INDEX conversation_child ON conversation (key) WHERE child IS NOT NULL;
    CREATE INDEX conversation_session ON conversation (session) WHERE session IS NOT NULL;
    -- From here on `settled` of a prompt and a request is when it was, in milliseconds since 1970; 0: it is open.
", "
    -- Kind 0x0101 is another session: `recent` looks no further back.
    CREATE INDEX event_session ON event (conversation, seq) WHERE kind = 0x0101;
"];

/// The version of the event payloads written now.
pub(super) const EVENT_FORMAT: i64 = 1;
/// The version of the snapshot written now. One of another version is thrown away and made anew.
pub(super) const SNAPSHOT_FORMAT: i64 = 1;

/// The log before the database is brought into it when it has this many pages, 4 MiB, so that a start after a crash
/// has no more to look through. Our own reader holds it up for no longer than a page of events takes.
const CHECKPOINT_PAGES: i64 = 1000;
/// To this the log's file is cut back, in bytes, should somebody else's reader have held it up for long.
const WAL_LIMIT: i64 = 16 << 20;

/// How the names of a database's files end: itself, its log, what its users share.
pub(super) const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// The file beside a database whose name ends like this.
pub(super) fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Removes a database with all its files, as far as that goes.
pub(super) fn remove(path: &Path) {
    for end in FILES {
        let _ = std::fs::remove_file(with(path, end));
    }
}

/// Opens the file with the settings that every connection needs.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connect = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        // KiB. What is read again is in the page cache of the system, which others can have when they need it.
        connection.pragma_update(None, "cache_size", -384)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    };
    connect().map_err(|error| sqlite(path, &error))
}

/// Brings the journal to the newest version.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).expect("there are few migrations");
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| sqlite(path, &error))?;
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    let mut run = || -> rusqlite::Result<()> {
        for (version, script) in (1..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(0)) {
            let transaction = connection.transaction()?;
            transaction.execute_batch(script)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
        Ok(())
    };
    run().map_err(|error| sqlite(path, &error))
}

/// An error of SQLite's, sorted by what is to be done about it.
pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    let (code, extended) =
        error.sqlite_error().map_or((ErrorCode::Unknown, 0), |failure| (failure.code, failure.extended_code));
    match code {
        // The index of the log is memory that is a file: for want of room it cannot be made, either.
        ErrorCode::DiskFull => StoreError::Full { path },
        _ if extended == SQLITE_IOERR_SHMSIZE => StoreError::Full { path },
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            StoreError::Damaged { path, message: error.to_string() }
        }
        _ => StoreError::Sqlite { path, message: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conversations_of_a_first_journal_are_found_by_child_and_by_session() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal.db");
        let mut journal = connect(&path).expect("a journal");
        journal.execute_batch(MIGRATIONS[0]).expect("the first version");
        journal.pragma_update(None, "user_version", 1).expect("its number");
        for (key, row) in [
            ("alive", r#"{"session":"5e55","child":{"generation":"g","offset":0,"pid":7,"prompted":true}}"#),
            ("at rest", r#"{"session":null,"child":null}"#),
            ("broken", "{"),
        ] {
            journal
                .execute("INSERT INTO conversation (key, row) VALUES (?1, ?2)", [key, row])
                .expect("a conversation");
        }
        migrate(&mut journal, &path).expect("the newest version");
        let found: Vec<(String, Option<String>, Option<String>)> = journal
            .prepare("SELECT key, child, session FROM conversation ORDER BY key")
            .and_then(|mut all| {
                all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
            })
            .expect("the conversations");
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                ("alive".to_owned(), text("g"), text("5e55")),
                ("at rest".to_owned(), None, None),
                ("broken".to_owned(), None, None),
            ]
        );
    }
}
