//! The room on the disks: on that of the journal, and on that of what the Claudes print, which may be another.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use tokio::sync::watch;

/// Below this many free bytes nothing is begun, and what runs is stopped, unless the configuration says otherwise.
pub(crate) const FREE_FLOOR: u64 = 256 << 20;

/// The watch over the disks. Whoever holds the receiver hears when they are nearly full, and when they no longer are.
#[derive(Debug)]
pub(super) struct Watch {
    state_dir: PathBuf,
    floor: u64,
    short: watch::Sender<bool>,
}

impl Watch {
    /// Looks for the first time: whoever begins something knows from the start whether there is room.
    pub(super) fn begin(state_dir: &Path, floor: u64) -> (Self, watch::Receiver<bool>) {
        let (short, room) = watch::channel(false);
        let watch = Self { state_dir: state_dir.to_owned(), floor, short };
        watch.look();
        (watch, room)
    }

    /// Looks, and says what is wrong, a sentence for each disk.
    pub(super) fn look(&self) -> Vec<String> {
        let children = self.state_dir.join("children");
        let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
        let apart = device(&children).is_some_and(|other| device(&self.state_dir) != Some(other));
        let disks = [Some(&self.state_dir), apart.then_some(&children)];
        let problems: Vec<String> = disks.into_iter().flatten().filter_map(|dir| self.problem(dir)).collect();
        let short = !problems.is_empty();
        if *self.short.borrow() != short {
            tracing::warn!(short, ?problems, "space on the disk");
        }
        self.short.send_if_modified(|known| std::mem::replace(known, short) != short);
        problems
    }

    fn problem(&self, dir: &Path) -> Option<String> {
        let free = free(dir)?;
        let text =
            || format!("the disk with {} has only {} MB free: prompts wait", dir.display(), free / 1_000_000);
        (free < self.floor).then(text)
    }
}

/// The bytes that may still be written to the disk with `dir`.
fn free(dir: &Path) -> Option<u64> {
    let stat =
        statvfs(dir).inspect_err(|error| tracing::debug!(%error, "the disk does not tell its space")).ok()?;
    Some(stat.blocks_available().saturating_mul(stat.fragment_size()))
}
