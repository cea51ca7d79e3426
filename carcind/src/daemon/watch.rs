//! The watch over the machine: its disks, the state directory, the journal. What is wrong is told by `status`; what
//! cannot be mended without a new start ends the daemon.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::space;
use super::state_dir::{Gone, Guard};
use crate::conversation::Conversations;
use crate::store::{Origin, Store, StoreError};

/// How often to look. What is reserved ahead of each spool lasts Claude for longer than this.
const LOOK: Duration = Duration::from_secs(5);
/// How long the Claudes are given to end whose files are gone: the whole of the ladder that ends one.
const END: Duration = Duration::from_secs(20);

/// Who is told to have ended a Claude whose files are gone.
const BY: &str = "carcind, because its state directory is gone";

/// The watch.
pub(super) struct Watch {
    state_dir: PathBuf,
    guard: Guard,
    store: Store,
    conversations: Conversations,
    space: space::Watch,
    /// What was wrong at the start, and stays worth knowing.
    lasting: Vec<String>,
    problems: watch::Sender<Vec<String>>,
}

impl Watch {
    /// Looks for the first time; the receiver always has what is wrong.
    pub(super) fn begin(
        state_dir: &Path,
        store: Store,
        conversations: Conversations,
        space: space::Watch,
    ) -> (Self, watch::Receiver<Vec<String>>) {
        let lasting = match store.origin() {
            Origin::Damaged { kept, why } => {
                vec![format!(
                    "the journal was damaged ({why}) and is begun anew; it is kept as {}",
                    kept.display()
                )]
            }
            Origin::Kept | Origin::New => Vec::new(),
        };
        let (problems, told) = watch::channel(Vec::new());
        let guard = Guard::begin(state_dir);
        let watch =
            Self { state_dir: state_dir.to_owned(), guard, store, conversations, space, lasting, problems };
        watch.tell();
        (watch, told)
    }

    /// Looks for as long as it is polled; ends with what the daemon ends of.
    pub(super) async fn run(mut self) -> anyhow::Error {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut trouble = self.store.trouble();
        loop {
            let is_time = tokio::select! {
                _ = ticks.tick() => true,
                Ok(()) = trouble.changed() => false,
            };
            if let Some(error @ StoreError::Damaged { .. }) = trouble.borrow_and_update().clone() {
                return anyhow!(error).context("the next start saves what can be read; the Claudes go on");
            }
            // Two looks are that far apart, however much trouble there is in between.
            if is_time && let Some(gone) = self.guard.look() {
                return self.give_up(gone).await;
            }
            self.tell();
        }
    }

    fn tell(&self) {
        let trouble = self
            .store
            .trouble()
            .borrow()
            .as_ref()
            .map(|error| format!("nothing can be kept, and all waits: {error}"));
        let mut problems = self.space.look();
        problems.extend(trouble);
        problems.extend(self.lasting.iter().cloned());
        self.problems.send_if_modified(|known| {
            let other = *known != problems;
            *known = problems;
            other
        });
    }

    /// What is written now would be gone with this process. Claudes that nobody could find again are ended, while
    /// there is somebody who knows them.
    async fn give_up(&self, gone: Gone) -> anyhow::Error {
        let dir = self.state_dir.display();
        tracing::error!(%dir, ?gone, "the state directory is not what it was; ending");
        if gone == Gone::Journal {
            return anyhow!(
                "the journal in {dir} was removed; the next start begins a new one, the Claudes go on"
            );
        }
        if timeout(END, self.conversations.shutdown(BY.to_owned())).await.is_err() {
            tracing::error!("not every Claude has ended");
        }
        let what = if gone == Gone::Children { "children in it" } else { "state directory" };
        anyhow!(
            "the {what} {dir} is gone: it was removed, moved or replaced while carcind ran\nThe Claudes are ended, their \
             sessions can be resumed"
        )
    }
}
