//! What must survive the process: the only SQL of the front end.
//!
//! One thread owns the database; whoever wants something of it sends a closure that runs in a transaction.
//! The tables' own functions take that transaction, so that a caller composes several into one commit.

pub mod aside;
pub mod awaiting;
pub mod bundle;
pub mod claude_commands;
pub mod facts;
pub mod inbox;
pub mod outbox;
pub mod pickers;
pub mod progress;
pub mod prompts;
pub mod requests;
pub mod restarts;
pub mod spending;
pub mod steering;
pub mod topics;
pub mod uploads;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, TransactionBehavior};

pub use rusqlite::Transaction;
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::error;

use crate::fault;

/// What brings a database from each version to the next. Only ever appended to.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("answers.sql"),
    include_str!("commands.sql"),
    include_str!("incoming.sql"),
    include_str!("turn.sql"),
    include_str!("folders.sql"),
    include_str!("aside.sql"),
    include_str!("topics.sql"),
    include_str!("uploads.sql"),
    include_str!("asks.sql"),
    include_str!("quiet.sql"),
];
/// The schema's version, in `user_version`: how many of them are done.
const VERSION: i64 = MIGRATIONS.len().cast_signed() as i64;
/// Closures that may wait for the thread: more than there are tasks, each of which waits for its own.
const QUEUE: usize = 32;
/// How long another process (a backup, `sqlite3`) may hold the lock before a commit fails.
const BUSY: Duration = Duration::from_secs(5);
/// How long settled things are kept: far beyond the day for which Telegram redelivers.
const KEEP: Duration = Duration::from_hours(7 * 24);

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error("the front end's database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file.
    #[error("cannot open the front end's database: {0}")]
    Io(#[from] io::Error),
    /// A stored value is not what it should be.
    #[error("the front end's database holds something unreadable: {0}")]
    Json(#[from] serde_json::Error),
    /// A row cannot be read. By the time anybody hears of it, it is set aside, and is met no more.
    #[error("{0}")]
    Unreadable(aside::Unreadable),
    /// A later version of the program wrote it.
    #[error("the database has version {found}, this program knows up to {VERSION}")]
    TooNew {
        /// The version found.
        found: i64,
    },
    /// SQLite finds it damaged.
    #[error("the front end's database is damaged: {0}")]
    Damaged(String),
    /// The thread is gone.
    #[error("the front end's database is closed")]
    Closed,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the store.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    written: Arc<Notify>,
}

impl Store {
    /// Opens or creates the database at `path`, and starts the thread that owns it. The thread ends when the
    /// last handle is gone.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = connect(path)?;
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new().name("store".into()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut connection);
            }
        })?;
        Ok(Self { jobs, written: Arc::new(Notify::new()) })
    }

    /// Runs `work` in a transaction and commits it durably; an error rolls it back. Rings [`Self::written`].
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let result = self.read(work).await?;
        self.written.notify_one();
        Ok(result)
    }

    /// The same without the ring, for what makes nothing to be sent.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let written = Arc::clone(&self.written);
        let job: Job = Box::new(move |connection| {
            let result = transact_or_set_aside(connection, work);
            if matches!(result, Err(StoreError::Unreadable(_))) {
                // Somebody is told of it.
                written.notify_one();
            }
            // Nobody waits any longer when the program is stopping.
            let _ = reply.send(result);
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Forgets what is settled and old.
    pub async fn prune(&self) -> Result<(), StoreError> {
        self.read(|tx| prune(tx, now_ms())).await
    }

    /// Waits until the thread is gone, as by a panic: nothing can be done without it.
    pub async fn closed(&self) {
        self.jobs.closed().await;
    }

    /// Rings after a write, at least once after any number of them. For one listener: the outbox.
    pub fn written(&self) -> Arc<Notify> {
        Arc::clone(&self.written)
    }
}

/// Looks at the database at `path` without changing it: its version, or what is wrong with it. `None`: there is none.
pub fn inspect(path: &Path) -> Result<Option<i64>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > VERSION {
        return Err(StoreError::TooNew { found });
    }
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check == "ok" { Ok(Some(found)) } else { Err(StoreError::Damaged(check)) }
}

/// The same, and a row that cannot be read is set aside: who met it may ask again.
fn transact_or_set_aside<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let result = transact(connection, work);
    if let Err(StoreError::Unreadable(row)) = &result {
        error!("a defect: {row}. It is set aside, in the table `aside` of the database");
        transact(connection, |tx| aside::put(tx, row))?;
    }
    result
}

fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let fault = fault::Commit::begins(&transaction);
    let result = work(&transaction)?;
    let fault = fault.is_due(&transaction);
    transaction.commit()?;
    fault.is_done();
    Ok(result)
}

/// Opens the file, private to this user, and brings it to the current version.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    // SQLite gives the -wal and -shm files the mode of the database.
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // An update is confirmed to Telegram once it is committed, so a commit must outlive a power cut.
    connection.pragma_update(None, "synchronous", "full")?;
    migrate(&mut connection)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > VERSION {
        return Err(StoreError::TooNew { found });
    }
    let missing = usize::try_from(found).ok().and_then(|done| MIGRATIONS.get(done..)).unwrap_or_default();
    if !missing.is_empty() {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for migration in missing {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Forgets what is settled and old.
fn prune(connection: &Transaction<'_>, now: i64) -> Result<(), StoreError> {
    let before = now - i64::try_from(KEEP.as_millis()).expect("a week in milliseconds fits");
    connection.execute(
        "DELETE FROM inbox WHERE at < ?1 AND state NOT IN ('received', 'submitted')
           AND id NOT IN (SELECT value FROM json_each(?2))",
        rusqlite::params![before, uploads::kept_rows(connection)?],
    )?;
    connection
        .execute("DELETE FROM outbox WHERE at < ?1 AND state NOT IN ('pending', 'in_flight')", [before])?;
    // Nobody reads there any longer.
    connection.execute(
        "DELETE FROM outbox WHERE at < ?1 AND chat IN (SELECT chat FROM chat WHERE gone = 1)",
        [before],
    )?;
    connection.execute("DELETE FROM request WHERE at < ?1 AND outcome IS NOT NULL", [before])?;
    connection.execute("DELETE FROM reply WHERE inbox NOT IN (SELECT id FROM inbox)", [])?;
    prompts::prune(connection, before)?;
    connection.execute("DELETE FROM steer WHERE at < ?1", [before])?;
    connection.execute("DELETE FROM picker WHERE at < ?1", [before])?;
    connection.execute("DELETE FROM day_use WHERE at < ?1", [before])?;
    connection.execute("DELETE FROM aside WHERE at < ?1", [before])?;
    connection.execute(
        "DELETE FROM message WHERE at < ?1
           AND id NOT IN (SELECT message FROM outbox WHERE message IS NOT NULL)
           AND id NOT IN (SELECT message FROM progress WHERE message IS NOT NULL)
           AND id NOT IN (SELECT stream FROM progress WHERE stream IS NOT NULL)
           AND id NOT IN (SELECT message FROM request)
           AND id NOT IN (SELECT message FROM steer)
           AND id NOT IN (SELECT note FROM inbox WHERE note IS NOT NULL)
           AND id NOT IN (SELECT reminder FROM request WHERE reminder IS NOT NULL)
           AND id NOT IN (SELECT message FROM picker)
           AND id NOT IN (SELECT message FROM prompt WHERE message IS NOT NULL)",
        [before],
    )?;
    Ok(())
}

/// The wall clock, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A store in a file of its own, for the tests of this crate.
#[cfg(test)]
pub(crate) mod testing {
    use super::{Connection, Path, StoreError, Transaction, connect, transact, transact_or_set_aside};

    /// A database that can be closed and opened again, as by a crash.
    pub(crate) struct Bench {
        dir: tempfile::TempDir,
        connection: Option<Connection>,
    }

    impl Bench {
        pub(crate) fn new() -> Self {
            let mut bench = Self { dir: tempfile::tempdir().expect("a directory"), connection: None };
            bench.reopen();
            bench
        }

        pub(crate) fn path(&self) -> std::path::PathBuf {
            self.dir.path().join("bot.db")
        }

        /// Drops the connection with all that is not committed, and opens the file again.
        pub(crate) fn reopen(&mut self) {
            self.connection = None;
            let path: &Path = &self.path();
            self.connection = Some(connect(path).expect("the database opens"));
        }

        pub(crate) fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>) -> T {
            transact(self.connection.as_mut().expect("open"), work).expect("the transaction commits")
        }

        /// As the store's thread does it.
        pub(crate) fn try_write<T>(
            &mut self,
            work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
        ) -> Result<T, StoreError> {
            transact_or_set_aside(self.connection.as_mut().expect("open"), work)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_database_is_private() {
        let bench = testing::Bench::new();
        for entry in std::fs::read_dir(bench.path().parent().expect("a directory")).expect("readable") {
            let entry = entry.expect("an entry");
            let mode = entry.metadata().expect("metadata").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        }
    }

    #[test]
    fn a_database_of_a_later_version_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("bot.db");
        let connection = connect(&path).expect("opens");
        connection.pragma_update(None, "user_version", VERSION + 1).expect("writes");
        drop(connection);
        assert!(matches!(connect(&path), Err(StoreError::TooNew { found }) if found == VERSION + 1));
    }

    #[tokio::test]
    async fn what_is_settled_and_old_is_forgotten_while_the_program_runs() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("bot.db")).expect("opens");
        let arrived = store.write(|tx| {
            for (key, state, age) in [("old", "accepted", 2), ("open", "received", 2), ("new", "accepted", 0)]
            {
                let at = now_ms() - age * i64::try_from(KEEP.as_millis()).expect("it fits");
                tx.execute(
                    "INSERT INTO inbox (key, lane, chat, burst, needs, raw, state, at)
                     VALUES (?1, 'prompt', 1, 0, 0, '{}', ?2, ?3)",
                    rusqlite::params![key, state, at],
                )?;
            }
            Ok(())
        });
        arrived.await.expect("writes");
        store.prune().await.expect("prunes");
        let left = store.read(|tx| {
            let mut keys = tx.prepare("SELECT key FROM inbox ORDER BY key")?;
            Ok(keys.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?)
        });
        assert_eq!(left.await.expect("reads"), ["new", "open"]);
    }

    #[tokio::test]
    async fn a_failed_transaction_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("bot.db")).expect("opens");
        let failed: Result<(), _> = store
            .write(|tx| {
                facts::set_next_update(tx, 9)?;
                Err(StoreError::Closed)
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(store.read(facts::next_update).await.expect("reads"), 0);
    }
}
