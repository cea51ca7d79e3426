//! The watch over the disk: when it is nearly full, conversations are told, and when it no longer is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::child::FREE_FLOOR;
use crate::conversation::Conversations;

/// How often to look. What is reserved ahead of each spool lasts Claude for longer than this.
const LOOK: Duration = Duration::from_secs(5);

/// Looks for as long as it is polled.
pub(super) async fn watch(dir: PathBuf, conversations: Conversations, problems: watch::Sender<Vec<String>>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut short = false;
    loop {
        ticks.tick().await;
        let Some(free) = free(&dir) else { continue };
        let was_short = std::mem::replace(&mut short, free < FREE_FLOOR);
        // Said at each look: a conversation may be new, or have been too busy to hear it.
        for handle in conversations.all().await {
            handle.space(short);
        }
        if short == was_short {
            continue;
        }
        tracing::warn!(free, short, "space on the disk");
        problems.send_replace(if short {
            vec![format!(
                "the disk with {} has only {} MB free: prompts wait",
                dir.display(),
                free / 1_000_000
            )]
        } else {
            Vec::new()
        });
    }
}

/// The bytes that may still be written to the disk with `dir`.
fn free(dir: &Path) -> Option<u64> {
    let stat =
        statvfs(dir).inspect_err(|error| tracing::warn!(%error, "the disk does not tell its space")).ok()?;
    Some(stat.blocks_available() * stat.fragment_size())
}
