//! The program around the inbox: its folders, how long it has run, how it is restarted.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use carcin_proto::Millis;

use crate::restart::Restart;
use crate::view::status::Bot;

/// How long files that were made to be sent are kept.
const KEEP: Duration = Duration::from_hours(48);

/// The program.
#[derive(Debug, Clone)]
pub struct Program {
    /// How it is restarted.
    pub restart: Restart,
    started: Instant,
    dir: PathBuf,
    uploads: PathBuf,
}

impl Program {
    /// The program that starts now, with its part of the state directory, and where files are that people send.
    pub fn new(dir: &Path, uploads: &Path, restart: Restart) -> Self {
        Self { restart, started: Instant::now(), dir: dir.to_owned(), uploads: uploads.to_owned() }
    }

    /// Where files are that people send.
    pub(super) fn uploads(&self) -> &Path {
        &self.uploads
    }

    /// What `/status` says of it.
    pub(super) fn bot(&self) -> Bot {
        let uptime = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Bot { version: env!("CARGO_PKG_VERSION"), uptime: Millis(uptime) }
    }

    /// Where files are made that are sent afterwards.
    pub(super) fn files(&self) -> PathBuf {
        self.dir.join("sent")
    }

    /// Removes those that were made long ago. What cannot be removed stays: it harms nobody.
    pub fn clear_away(&self) {
        let Ok(entries) = std::fs::read_dir(self.files()) else { return };
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|data| data.modified());
            let age = modified.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            if age.is_some_and(|age| age > KEEP) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}
