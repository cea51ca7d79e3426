//! What must survive the process: the only SQL of the front end.
//!
//! One thread owns the database; whoever wants something of it sends a closure that runs in a transaction.
//! The tables' own functions take that transaction, so that a caller composes several into one commit. A function that
//! takes a [`Reader`] cannot write; only a [`Transaction`] can.

pub mod awaiting;
pub mod bundle;
pub mod claude_commands;
pub mod facts;
pub mod inbox;
pub mod outbox;
pub mod pickers;
pub mod progress;
pub mod prompts;
pub mod quarantine;
pub mod requests;
pub mod restarts;
pub mod spending;
pub mod steering;
pub mod topics;
mod transaction;
pub mod uploads;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::error;

use transaction::Durability;
pub use transaction::{Reader, Transaction};

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
    include_str!("quarantine.sql"),
    include_str!("names.sql"),
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
    /// A row cannot be read. Whoever gets this error never meets the row again: it is in quarantine by then.
    #[error("{0}")]
    Unreadable(quarantine::Unreadable),
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

    /// Runs `look` on the database as it is now.
    pub async fn read<T, F>(&self, look: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.run(|connection| transaction::read(connection, look)).await
    }

    /// Runs `work` in a transaction and commits it, to outlive a power cut; an error rolls it back. Rings
    /// [`Self::written`].
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let result = self.run(|connection| transaction::write(connection, Durability::Full, work)).await?;
        self.written.notify_one();
        Ok(result)
    }

    /// The same, quicker and without the ring, for what is found out again where a power cut takes it: how far the
    /// sending has come, say. It does outlive the process.
    pub async fn write_unsynced<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.run(|connection| transaction::write(connection, Durability::Process, work)).await
    }

    /// Has the thread do something. A row that turns out to be unreadable goes into quarantine, so the caller can retry.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let written = Arc::clone(&self.written);
        let job: Job = Box::new(move |connection| {
            let result = work(connection);
            let result = quarantine_unreadable(connection, result);
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
        self.write_unsynced(|tx| prune(tx, now_ms())).await
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

/// Puts a row that cannot be read into quarantine, so that it is met once.
fn quarantine_unreadable<T>(
    connection: &mut Connection,
    result: Result<T, StoreError>,
) -> Result<T, StoreError> {
    if let Err(StoreError::Unreadable(row)) = &result {
        error!("a defect: {row}. It is now in the table `quarantine` of the database");
        transaction::write(connection, Durability::Full, |tx| quarantine::put(tx, row))?;
    }
    result
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

/// Forgets what a table has that is settled and was last touched before a moment, in milliseconds of the wall clock.
type Prune = fn(&Transaction<'_>, i64) -> Result<(), StoreError>;

/// How each table prunes itself. Messages come last: they stay while
/// any other table refers to them.
const PRUNERS: &[Prune] = &[
    inbox::prune,
    outbox::prune,
    requests::prune,
    awaiting::prune,
    prompts::prune,
    steering::prune,
    pickers::prune,
    spending::prune,
    quarantine::prune,
    facts::prune,
    outbox::prune_messages,
];

/// Forgets what is settled and old.
fn prune(tx: &Transaction<'_>, now: i64) -> Result<(), StoreError> {
    let before = now - i64::try_from(KEEP.as_millis()).expect("a week in milliseconds fits");
    PRUNERS.iter().try_for_each(|prune| prune(tx, before))
}

/// The wall clock, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A store in a file of its own, for the tests of this crate.
#[cfg(test)]
pub(crate) mod testing {
    use super::transaction::{self, Durability};
    use super::{Connection, Path, Reader, StoreError, Transaction, connect, quarantine_unreadable};

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

        fn connection(&mut self) -> &mut Connection {
            self.connection.as_mut().expect("open")
        }

        pub(crate) fn read<T>(&mut self, look: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>) -> T {
            transaction::read(self.connection(), look).expect("it can be read")
        }

        pub(crate) fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>) -> T {
            transaction::write(self.connection(), Durability::Full, work).expect("the transaction commits")
        }

        /// The words of the messages that nobody has worked on yet, in order.
        pub(crate) fn received(&mut self) -> Vec<String> {
            self.read(|tx| {
                let mut words =
                    tx.prepare_cached("SELECT content FROM inbox WHERE state = 'received' ORDER BY id")?;
                Ok(words.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
            })
        }

        /// As the store's thread does it.
        pub(crate) fn try_write<T>(
            &mut self,
            work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
        ) -> Result<T, StoreError> {
            let result = transaction::write(self.connection(), Durability::Full, work);
            quarantine_unreadable(self.connection(), result)
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
            let mut keys = tx.prepare_cached("SELECT key FROM inbox ORDER BY key")?;
            Ok(keys.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?)
        });
        assert_eq!(left.await.expect("reads"), ["new", "open"]);
    }

    #[tokio::test]
    async fn a_read_writes_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("bot.db")).expect("opens");
        let sneaky = store.read(|tx| {
            let moved = "UPDATE fact SET next_update = 9 RETURNING next_update";
            Ok(tx.query_row(moved, [], |row| row.get::<_, i64>(0))?)
        });
        assert!(matches!(sneaky.await, Err(StoreError::Sqlite(rusqlite::Error::InvalidQuery))));
        assert_eq!(store.read(facts::next_update).await.expect("reads"), 0);
        store.write_unsynced(|tx| facts::set_next_update(tx, 9)).await.expect("writes");
        assert_eq!(store.read(facts::next_update).await.expect("reads"), 9);
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
