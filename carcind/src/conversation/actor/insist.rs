//! Starting again what did not start: a prompt need not fail for what passes.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::ConversationKey;
use carcin_proto::event::{Level, Notice};
use nix::errno::Errno;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::describe;
use crate::conversation::site::Site;
use crate::store::Commit;

/// How long a program that is not there, or cannot be run, is looked for: an update takes it away for a moment.
const MISSING: Duration = Duration::from_secs(5);
/// How long a machine that is out of something is waited for, before the prompts are told that it was in vain.
const EXHAUSTED: Duration = Duration::from_mins(10);
/// Pauses between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why a try failed.
pub(super) struct Failed {
    why: String,
    /// For how long it may be tried again.
    patience: Duration,
}

impl Failed {
    /// By this error, or what caused it.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        Self::because(describe(error), errno(error))
    }

    /// For this reason, with the system's number where there is one.
    pub(super) fn because(why: String, errno: Option<i32>) -> Self {
        Self { why, patience: patience(errno) }
    }

    /// It would fail again.
    pub(super) fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), patience: Duration::ZERO }
    }
}

/// Tries that are made one after the other.
pub(super) struct Insist {
    site: Arc<Site>,
    key: ConversationKey,
    /// Cancelled, nobody waits for it any more.
    give_up: CancellationToken,
    begun: Instant,
    pause: Duration,
    tried: bool,
    told: bool,
}

impl Insist {
    pub(super) fn new(site: Arc<Site>, key: ConversationKey, give_up: CancellationToken) -> Self {
        Self { site, key, give_up, begun: Instant::now(), pause: FIRST_PAUSE, tried: false, told: false }
    }

    /// Whether this is not the first try.
    pub(super) fn has_tried(&self) -> bool {
        self.tried
    }

    /// Waits until it is time for the next try; an error: there is to be none.
    pub(super) async fn again(&mut self, failed: Failed) -> Result<(), String> {
        if self.begun.elapsed() + self.pause > failed.patience {
            return Err(failed.why);
        }
        self.tell(&failed).await;
        tracing::debug!(conversation = %self.key, why = failed.why, "Claude did not start; trying again");
        tokio::select! {
            () = sleep(self.pause) => {}
            () = self.give_up.cancelled() => return Err(failed.why),
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.tried = true;
        Ok(())
    }

    /// Says to whoever waits that it may take long, once.
    pub(super) async fn tell(&mut self, failed: &Failed) {
        if failed.patience < EXHAUSTED || std::mem::replace(&mut self.told, true) {
            return;
        }
        tracing::warn!(conversation = %self.key, why = failed.why, "Claude cannot be started now; trying again");
        let notice = Notice {
            level: Level::Warning,
            text: format!("Claude cannot be started now: {}", failed.why),
            hint: Some("What waits is begun as soon as it can be".to_owned()),
        };
        let commit = Commit::of_notice(self.key.clone(), notice);
        if let Err(error) = self.site.store.commit(commit).await {
            tracing::debug!(%error, "a notice could not be kept");
        }
    }
}

/// For how long a failure with this number may be one that passes.
fn patience(errno: Option<i32>) -> Duration {
    use Errno::{
        EACCES, EAGAIN, EDQUOT, EEXIST, EIO, EMFILE, ENFILE, ENOBUFS, ENOENT, ENOEXEC, ENOMEM, ENOSPC, EROFS,
        ETXTBSY,
    };
    match errno.map(Errno::from_raw) {
        // The last: what a try before has left, and could not clear away for want of a descriptor.
        Some(EMFILE | ENFILE | ENOSPC | EDQUOT | ENOMEM | EAGAIN | ENOBUFS | EROFS | EIO | EEXIST) => {
            EXHAUSTED
        }
        // Being replaced, it is not there, not executable yet, or open for writing.
        Some(ENOENT | EACCES | ETXTBSY | ENOEXEC) => MISSING,
        _ => Duration::ZERO,
    }
}

/// The system's number of an error, or of what caused it.
fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(errno) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(errno);
        }
        cause = error.source();
    }
    None
}
