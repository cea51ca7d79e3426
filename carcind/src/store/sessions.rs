//! The index of all sessions on this machine: what was read of each transcript, and of which state of its file.
//!
//! A database of its own beside the journal. It holds nothing that is not in the transcripts, so it may be deleted at
//! any time; and being another file, with another lock, it can hold up no commit of the journal's. One that cannot be
//! used is made anew, and where not even that goes it is kept in memory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use carcin_proto::{Millis, SessionId};
use rusqlite::{Connection, Row, ToSql, params, params_from_iter};

use super::StoreError;
use super::schema::{connect, remove, sqlite};

/// The version of the table, and of what is read of a transcript. With another one the index is made anew.
const VERSION: i64 = 2;
const TABLE: &str = "
    CREATE TABLE transcript (
        folder TEXT NOT NULL,
        session TEXT NOT NULL,
        modified INTEGER NOT NULL,
        size INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        listed INTEGER NOT NULL,
        title TEXT NOT NULL,
        prompt TEXT,
        cwd TEXT,
        branch TEXT,
        -- Everything that is searched, in lower case.
        words TEXT NOT NULL,
        PRIMARY KEY (folder, session)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX transcript_of ON transcript (session, modified) WHERE listed = 1;
";
/// More words than this are not looked for.
const MAX_WORDS: usize = 16;

/// The state of a transcript's file. One that has another is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When it was last written, in nanoseconds since 1970.
    pub modified: i64,
    /// Its size in bytes.
    pub size: u64,
    /// Its inode.
    pub inode: u64,
}

/// What is known of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptRow {
    /// The session.
    pub session: SessionId,
    /// The state of the file in which that was read.
    pub stamp: Stamp,
    /// Whether it is shown: it is no subagent's, and has a message.
    pub listed: bool,
    /// The title; may be empty.
    pub title: String,
    /// What the user typed first.
    pub prompt: Option<String>,
    /// Where it worked.
    pub cwd: Option<String>,
    /// The git branch.
    pub branch: Option<String>,
}

impl TranscriptRow {
    /// When it was last written, on the wall clock.
    pub fn modified(&self) -> Millis {
        Millis(u64::try_from(self.stamp.modified / 1_000_000).unwrap_or(0))
    }

    fn words(&self) -> String {
        let told = [Some(&self.title), self.prompt.as_ref(), self.cwd.as_ref(), self.branch.as_ref()];
        let told: Vec<_> = told.into_iter().flatten().map(String::as_str).collect();
        format!("{}\n{}", self.session, told.join("\n")).to_lowercase()
    }
}

/// Which sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those that worked in this folder or below it.
    pub cwd: Option<PathBuf>,
    /// Those in which all of these words are.
    pub search: Option<String>,
}

/// The index. Blocking, for one thread.
#[derive(Debug)]
pub struct SessionIndex {
    path: PathBuf,
    connection: Connection,
}

impl SessionIndex {
    /// Opens or makes the index in `dir`.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::at(&dir.join("sessions.db")).or_else(|error| {
            tracing::warn!(%error, "the index of sessions cannot be used; it is made anew");
            Self::anew(dir)
        })
    }

    /// Makes the index in `dir` anew, in memory if need be. An older one must be closed before.
    pub fn anew(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("sessions.db");
        remove(&path);
        Self::at(&path).or_else(|error| {
            tracing::warn!(%error, "the index of sessions is kept in memory");
            let fail = |error: rusqlite::Error| sqlite(&path, &error);
            let connection = Connection::open_in_memory().map_err(fail)?;
            connection.execute_batch(TABLE).map_err(fail)?;
            Ok(Self { path, connection })
        })
    }

    fn at(path: &Path) -> Result<Self, StoreError> {
        let connection = connect(path)?;
        let prepare = || -> rusqlite::Result<()> {
            let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if found != VERSION {
                connection.execute_batch(&format!(
                    "BEGIN; DROP TABLE IF EXISTS transcript; {TABLE} PRAGMA user_version = {VERSION}; COMMIT;"
                ))?;
            }
            Ok(())
        };
        prepare().map_err(|error| sqlite(path, &error))?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// What is known of the files in a folder.
    pub fn stamps(&self, folder: &str) -> Result<HashMap<String, Stamp>, StoreError> {
        self.sql(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT session, modified, size, inode FROM transcript WHERE folder = ?1")?;
            let rows = statement.query_map(params![folder], |row| Ok((row.get(0)?, stamp(row)?)))?;
            rows.collect()
        })
    }

    /// The folders that there is something of.
    pub fn folders(&self) -> Result<Vec<String>, StoreError> {
        self.sql(|connection| {
            let mut statement = connection.prepare_cached("SELECT DISTINCT folder FROM transcript")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Keeps what was read in a folder, and forgets the sessions that are `gone` from it.
    pub fn keep(&mut self, folder: &str, rows: &[TranscriptRow], gone: &[String]) -> Result<(), StoreError> {
        let path = &self.path;
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            for row in rows {
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO transcript
                         (folder, session, modified, size, inode, listed, title, prompt, cwd, branch, words)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                    )?
                    .execute(params![
                        folder,
                        row.session.as_str(),
                        row.stamp.modified,
                        row.stamp.size.cast_signed(),
                        row.stamp.inode.cast_signed(),
                        row.listed,
                        row.title,
                        row.prompt,
                        row.cwd,
                        row.branch,
                        row.words(),
                    ])?;
            }
            for session in gone {
                transaction
                    .prepare_cached("DELETE FROM transcript WHERE folder = ?1 AND session = ?2")?
                    .execute(params![folder, session])?;
            }
            transaction.commit()
        };
        write().map_err(|error| sqlite(path, &error))
    }

    /// Forgets a folder.
    pub fn forget(&self, folder: &str) -> Result<usize, StoreError> {
        self.sql(|connection| connection.execute("DELETE FROM transcript WHERE folder = ?1", params![folder]))
    }

    /// How many sessions fit, and a page of them, latest first. A session that is in several folders counts once, as
    /// its latest transcript.
    pub fn page(
        &self,
        filter: &Filter,
        offset: u32,
        limit: u32,
    ) -> Result<(u32, Vec<TranscriptRow>), StoreError> {
        let (condition, mut values) = condition(filter);
        self.sql(|connection| {
            let total = connection
                .prepare_cached(&count(&condition))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([Box::new(limit) as Box<dyn ToSql>, Box::new(offset)]);
            let mut statement = connection.prepare_cached(&latest(&condition))?;
            let rows = statement.query_map(params_from_iter(&values), transcript)?;
            Ok((total, rows.collect::<rusqlite::Result<_>>()?))
        })
    }

    fn sql<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&self.connection).map_err(|error| sqlite(&self.path, &error))
    }
}

/// Each session as its latest transcript. In the order of the index: sorting all of them would take twice as long.
const ONCE: &str = "(SELECT *, max(modified) FROM transcript WHERE listed = 1 GROUP BY session)";

fn count(condition: &str) -> String {
    format!("SELECT count(*) FROM {ONCE} WHERE {condition}")
}

fn latest(condition: &str) -> String {
    format!(
        "SELECT session, modified, size, inode, listed, title, prompt, cwd, branch
         FROM {ONCE} WHERE {condition} ORDER BY modified DESC, session LIMIT ? OFFSET ?"
    )
}

fn condition(filter: &Filter) -> (String, Vec<Box<dyn ToSql>>) {
    let (mut sql, mut values) = ("1".to_owned(), Vec::<Box<dyn ToSql>>::new());
    if let Some(cwd) = &filter.cwd {
        let cwd = cwd.to_string_lossy().trim_end_matches('/').to_owned();
        let below = format!("{cwd}/");
        // Not LIKE: a folder's name may hold its wildcards.
        sql += " AND (cwd = ? OR substr(cwd, 1, ?) = ?)";
        let length = i64::try_from(below.chars().count()).unwrap_or(i64::MAX);
        let itself = if cwd.is_empty() { "/".to_owned() } else { cwd };
        values.extend([Box::new(itself) as Box<dyn ToSql>, Box::new(length), Box::new(below)]);
    }
    for word in filter.search.as_deref().unwrap_or_default().split_whitespace().take(MAX_WORDS) {
        sql += " AND instr(words, ?) > 0";
        values.push(Box::new(word.to_lowercase()));
    }
    (sql, values)
}

fn stamp(row: &Row<'_>) -> rusqlite::Result<Stamp> {
    let unsigned = |value: i64| value.cast_unsigned();
    Ok(Stamp {
        modified: row.get("modified")?,
        size: row.get("size").map(unsigned)?,
        inode: row.get("inode").map(unsigned)?,
    })
}

fn transcript(row: &Row<'_>) -> rusqlite::Result<TranscriptRow> {
    let session: String = row.get("session")?;
    Ok(TranscriptRow {
        session: SessionId::new(session).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
        })?,
        stamp: stamp(row)?,
        listed: row.get("listed")?,
        title: row.get("title")?,
        prompt: row.get("prompt")?,
        cwd: row.get("cwd")?,
        branch: row.get("branch")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_grouped_in_the_order_of_an_index() {
        let dir = tempfile::tempdir().expect("a directory");
        let index = SessionIndex::open(dir.path()).expect("an index");
        let filter = Filter { cwd: Some("/home/u".into()), search: Some("a b".to_owned()) };
        for filter in [Filter::default(), filter] {
            let (condition, _) = condition(&filter);
            for sql in [count(&condition), latest(&condition)] {
                let explain = format!("EXPLAIN QUERY PLAN {sql}");
                let mut plan = index.connection.prepare(&explain).expect("a valid statement");
                let nothing = params_from_iter(vec![rusqlite::types::Null; plan.parameter_count()]);
                let lines = plan.query_map(nothing, |row| row.get::<_, String>(3)).expect("a plan");
                let plan: Vec<String> = lines.map(|line| line.expect("a line of the plan")).collect();
                assert!(plan.iter().any(|line| line.contains("USING INDEX transcript_of")), "{plan:#?}");
                assert!(!plan.iter().any(|line| line.contains("GROUP BY")), "{plan:#?}");
            }
        }
    }
}
