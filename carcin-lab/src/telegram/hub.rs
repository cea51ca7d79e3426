//! The one owner of the state: every change goes through it, and every change is told to those who wait.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::config::PageAction;
use super::state::LabState;

/// State, who waits for it, and the end of it all.
pub(super) struct Hub {
    state: Mutex<LabState>,
    version: watch::Sender<u64>,
    /// Cancelled when the lab is dropped.
    pub(super) shutdown: CancellationToken,
    pub(super) actions: Vec<PageAction>,
    pub(super) token: String,
    /// Whether it is a server of the bot's own.
    pub(super) local: bool,
    /// Tells one run of the server from another, so that a page knows to start afresh.
    pub(super) run: String,
}

impl Hub {
    pub(super) fn new(state: LabState) -> Self {
        Self {
            actions: state.config.actions.clone(),
            token: state.config.token.clone(),
            local: state.config.local_files.is_some(),
            run: uuid::Uuid::new_v4().to_string(),
            state: Mutex::new(state),
            version: watch::Sender::new(0),
            shutdown: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, LabState> {
        // A test's panicking closure must not hide its own message behind a poisoned lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state.
    pub(super) fn read<T>(&self, look: impl FnOnce(&LabState) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state, and wakes all who wait.
    pub(super) fn write<T>(&self, change: impl FnOnce(&mut LabState) -> T) -> T {
        let mut state = self.lock();
        state.version += 1;
        let out = change(&mut state);
        let version = state.version;
        drop(state);
        self.version.send_modify(|seen| *seen = (*seen).max(version));
        out
    }

    /// Waits until `look` finds something. Looks at once, and again after each change.
    pub(super) async fn until<T>(&self, mut look: impl FnMut(&LabState) -> Option<T>) -> T {
        let mut changes = self.version.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = self.read(&mut look) {
                return found;
            }
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    /// A stream of "something changed".
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}
