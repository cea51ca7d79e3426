//! Files that people send: fetched into the state directory before their prompt is submitted, and removed after a
//! while.
//!
//! A row of the inbox that has a file waits until this task has fetched it. What is cut off by a crash is fetched
//! again from the start; the row remembers.

mod download;
mod fetch;
mod keep;
mod name;
mod picture;
mod tell;
mod voice;

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use carcin_proto::client::Backoff;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::api::Api;
use crate::fatal::Fatal;
use crate::place::Place;
use crate::queue::{Lane, Signals};
use crate::store::bundle::{self, ToFetch};
use crate::store::{Store, StoreError};
use crate::update::Gate;

use fetch::Job;
pub use voice::Transcriber;

/// Files fetched at once.
const AT_ONCE: usize = 3;
/// Between two looks for files that are old.
const SWEEP: Duration = Duration::from_hours(6);
/// Between two attempts at a file, while Telegram is away.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long that may become.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What the user has set about files.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where files are kept.
    pub dir: PathBuf,
    /// How long; `None`: for ever.
    pub keep: Option<Duration>,
    /// What turns speech into text; `None`: Claude gets the recording.
    pub transcriber: Option<Transcriber>,
}

/// What the work on a file needs.
#[derive(Debug)]
struct Workshop {
    api: Api,
    store: Store,
    gate: Gate,
    settings: Settings,
    /// How often the file of a row was spoiled so far. After a restart it has all its chances again.
    failures: Mutex<HashMap<i64, u32>>,
}

impl Workshop {
    /// How often that is now.
    fn fails_again(&self, id: i64) -> u32 {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(id).or_default();
        *count += 1;
        *count
    }

    fn is_over(&self, id: i64) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// What became of a row.
#[derive(Debug)]
enum Fetched {
    /// It goes on in the lane of the prompts, or is refused.
    Settled,
    /// Telegram is away: again later.
    Again(Duration),
}

/// Fetches what the inbox waits for, until it is cancelled.
pub async fn run(
    api: Api,
    store: Store,
    gate: Gate,
    settings: Settings,
    signals: Arc<Signals>,
    cancel: CancellationToken,
) -> Result<(), Fatal> {
    let workshop = Arc::new(Workshop { api, store, gate, settings, failures: Mutex::default() });
    let mut fetching: JoinSet<(i64, Result<Fetched, StoreError>)> = JoinSet::new();
    let mut busy: Vec<i64> = Vec::new();
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        let (known, room) = (busy.clone(), AT_ONCE.saturating_sub(busy.len()));
        let todo = workshop.store.read(move |tx| bundle::to_fetch(tx, &known, room)).await;
        let failed = todo.is_err();
        for row in todo.unwrap_or_else(|error| {
            error!("{error}");
            Vec::new()
        }) {
            busy.push(row.id);
            fetching.spawn(one(Arc::clone(&workshop), row));
        }
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = signals.uploads() => {}
            () = tokio::time::sleep(FIRST_WAIT), if failed => {}
            _ = sweep.tick() => keep::sweep(&workshop.store, &workshop.settings).await,
            Some(done) = fetching.join_next() => {
                let (id, done) = done.map_err(|error| Fatal::Task(error.to_string()))?;
                let wait = match done {
                    Ok(Fetched::Settled) => {
                        backoff.reset();
                        None
                    }
                    Ok(Fetched::Again(wait)) => Some(wait.max(backoff.delay())),
                    Err(error) => {
                        error!("a file waits: {error}");
                        Some(backoff.delay())
                    }
                };
                if let Some(wait) = wait {
                    warn!(row = id, "a file is fetched again in {} s", wait.as_secs());
                    fetching.spawn(again(Arc::clone(&workshop), id, wait));
                } else {
                    busy.retain(|other| *other != id);
                    workshop.is_over(id);
                    signals.notify(Lane::Prompt);
                }
            }
        }
    }
}

async fn one(workshop: Arc<Workshop>, row: ToFetch) -> (i64, Result<Fetched, StoreError>) {
    (row.id, workshop.fetch(&row).await)
}

/// The row once more, unless nobody wants it any longer.
async fn again(workshop: Arc<Workshop>, id: i64, wait: Duration) -> (i64, Result<Fetched, StoreError>) {
    tokio::time::sleep(wait).await;
    match workshop.store.read(move |tx| bundle::row_to_fetch(tx, id)).await {
        Ok(Some(row)) => (id, workshop.fetch(&row).await),
        Ok(None) => (id, Ok(Fetched::Settled)),
        Err(error) => (id, Err(error)),
    }
}

/// Writes a text into a file of the user's alone, among those that people sent in this place. An earlier one of the same name
/// gives way.
pub(crate) async fn write(dir: &Path, place: Place, name: String, text: String) -> io::Result<PathBuf> {
    let (path, mut file) = download::create(dir.to_owned(), place, name).await?;
    let written = tokio::task::spawn_blocking(move || {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    match written.await.map_err(io::Error::other)? {
        Ok(()) => Ok(path),
        Err(error) => {
            let _ = std::fs::remove_file(&path);
            Err(error)
        }
    }
}

/// Why something that was sent cannot be stored, and what to do.
pub(crate) fn not_stored(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "there is no room on the disk. Make some, and send it again.".to_owned()
        }
        _ => format!("it cannot be stored: {error}. Send it again when that is cured."),
    }
}
