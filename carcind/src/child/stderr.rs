//! The child's stderr: only its end is of interest, and it must cost nothing however much there is.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::spool::Spool;
use super::tail::Notice;
use super::wake::Wake;

/// How much of the end is kept for people, in bytes.
pub const STDERR_TAIL: usize = 4 << 10;

/// What a child wrote to stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StderrTail {
    /// How many bytes in all.
    pub bytes: u64,
    /// The last of them, [`STDERR_TAIL`] at most.
    pub tail: Vec<u8>,
}

/// The end of the stderr spool.
pub(super) fn last(path: &Path) -> io::Result<StderrTail> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let start = bytes.saturating_sub(STDERR_TAIL as u64);
    let mut tail = vec![0; STDERR_TAIL];
    let mut count = 0;
    while count < tail.len() {
        match file.read_at(&mut tail[count..], start + count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    tail.truncate(count);
    Ok(StderrTail { bytes, tail })
}

/// Gives the space of the stderr spool back as it is written, but for its end. Runs until it is dropped.
pub(super) async fn keep_small(path: PathBuf) {
    if let Err(error) = keep_small_or_fail(&path).await {
        tracing::warn!(path = %path.display(), %error, "cannot keep the child's stderr small");
    }
}

async fn keep_small_or_fail(path: &Path) -> io::Result<()> {
    let mut wake = Wake::on(path, Notice::Inotify);
    let mut spool = Spool::open(path)?;
    let mut seen = 0;
    loop {
        let length = spool.file().metadata()?.len();
        if length > seen {
            seen = length;
            wake.found();
            spool.release(length.saturating_sub(STDERR_TAIL as u64));
        }
        wake.changed().await?;
    }
}
