//! Ending children for good: a session must never have two Claudes, and nothing that one has started may stay.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{sleep, timeout};

use crate::child::{AdoptError, Adopted, ChildDir, Snapshot};
use crate::fault::{self, Point};

/// How long to wait before asking again what became of a child.
const RETRY: Duration = Duration::from_secs(1);
/// How long a killed child is given to be gone. Under systemd its end takes up to 8 s to be told.
const DEATH: Duration = Duration::from_secs(15);

/// What became of a child, alive or dead. Tries until it knows: as long as it does not, the conversation must not go
/// on, because a second Claude on its session would fork the transcript.
pub(super) async fn fate_of(dir: &ChildDir) -> Adopted {
    loop {
        match dir.adopt().await {
            Ok(adopted) => return adopted,
            Err(error) => {
                let path = dir.path().display();
                tracing::error!(%path, %error, "cannot find out what became of Claude; trying again");
                if let AdoptError::StillLaunching(pid) = error {
                    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
                }
                sleep(RETRY).await;
            }
        }
    }
}

/// Ends whatever runs in this directory, or is about to, and all that it started. Returns once that is certain.
pub(super) async fn end_for_good(dir: ChildDir) {
    while let Adopted::Alive(child) = fate_of(&dir).await {
        // Its tools are in sessions of their own, and orphans do not tell whose they were.
        let descendants = child.descendants().await.unwrap_or_default();
        if let Err(error) = child.signal_group(Signal::SIGKILL) {
            tracing::debug!(%error, "killing Claude");
        }
        sweep(&dir, descendants).await;
        if timeout(DEATH, child.exited()).await.is_err() {
            tracing::error!(pid = child.pid(), "Claude does not end; trying again");
        }
    }
    clear_away(dir).await;
}

/// Ends what a dead process left running and removes its directory. Should that fail, the next start does it.
pub(super) async fn clear_away(dir: ChildDir) {
    sweep(&dir, Snapshot::default()).await;
    fault::point(Point::DirectorySwept);
    let path = dir.path().to_owned();
    // It may hold a spool of gigabytes.
    match tokio::task::spawn_blocking(|| dir.remove()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, path = %path.display(), "a child's directory stays"),
        Err(error) => tracing::warn!(%error, path = %path.display(), "a child's directory stays"),
    }
}

/// Ends what a child has started. Should that fail, the next start does it.
pub(super) async fn sweep(dir: &ChildDir, descendants: Snapshot) {
    if let Err(error) = dir.sweep(descendants).await {
        tracing::warn!(%error, "what Claude had started may still run");
    }
}
