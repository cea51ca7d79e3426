//! Giving lines to the child: whole or not at all.
//!
//! Our process may be killed at any instruction, and a line cut short makes the reader give up. What the kernel
//! promises: a write of up to `PIPE_BUF` bytes is all or nothing. A longer one is taken whole if there is room
//! for all of it, and only an *empty* FIFO has that for certain, because room is counted in pages and a line
//! may use several of them in part. There is one writer at a time, so between looking and writing the
//! room can only grow.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use tokio::time::Instant;

use super::dir::ChildDir;
use crate::os;
use crate::posix_lock;

/// A line of this many bytes, its newline included, may be written at any time (`PIPE_BUF` on Linux).
pub const ATOMIC_LINE: usize = 4096;
/// A FIFO is never made larger than this, which is what a user may ask for by default (`pipe-max-size`).
pub const LONGEST_LINE: usize = 1 << 20;
/// First pause before looking again. No event tells that a FIFO became empty, so it is polled.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// Longest pause: unnoticeable to people, and cheap for a child that reads nothing for hours.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The child's input. Not `Clone`: two writers would break the rule that only an empty FIFO is written at length.
#[derive(Debug)]
pub struct FifoWriter {
    fifo: File,
    /// Never locked by us, so opening it here is harmless.
    lease: File,
}

/// Why a line was not given to the child. But for `Torn`, nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The line with its newline is longer than the FIFO can be made.
    #[error("the line is {bytes} bytes long, the child's input takes {limit} at once")]
    TooLong {
        /// Length of the line and its newline.
        bytes: usize,
        /// What the FIFO holds.
        limit: usize,
    },
    /// There is a newline inside: it would be two lines.
    #[error("the line contains a newline")]
    NotOneLine,
    /// The child has ended.
    #[error("the child is gone")]
    ChildGone,
    /// There was no room until the deadline: the child does not read.
    #[error("the child does not read its input")]
    Deadline,
    /// Part of the line was written. Cannot happen while there is one writer; the child's input is spoiled.
    #[error("only {written} of {bytes} bytes were taken, the child's input is spoiled")]
    Torn {
        /// What was written.
        written: usize,
        /// What should have been.
        bytes: usize,
    },
    /// The system refused.
    #[error("cannot write to the child")]
    Io(#[from] io::Error),
}

impl FifoWriter {
    /// Opens the input of a child that runs.
    pub(super) fn open(dir: &ChildDir) -> Result<Self, WriteError> {
        let lease = OpenOptions::new().read(true).write(true).open(dir.lease_path())?;
        if posix_lock::owner_of(&lease)?.is_none() {
            return Err(WriteError::ChildGone);
        }
        // Without waiting, for writing only: a FIFO that nobody reads is an error here (ENXIO), not a trap.
        let fifo = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(dir.stdin_path());
        match fifo {
            Ok(fifo) => Ok(Self { fifo, lease }),
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Err(WriteError::ChildGone),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the child `line` (without its newline), waiting for room until `deadline`.
    ///
    /// Cancel safe: dropped before it returned, it has written all or nothing.
    pub async fn write_line(&mut self, line: &[u8], deadline: Instant) -> Result<(), WriteError> {
        if line.contains(&b'\n') {
            return Err(WriteError::NotOneLine);
        }
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        self.make_room(bytes.len())?;
        let mut pause = FIRST_PAUSE;
        loop {
            if posix_lock::owner_of(&self.lease)?.is_none() {
                return Err(WriteError::ChildGone);
            }
            if self.try_write(&bytes)? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(WriteError::Deadline);
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Sees to it that an empty FIFO can hold `bytes`.
    fn make_room(&self, bytes: usize) -> Result<(), WriteError> {
        if bytes <= ATOMIC_LINE || bytes <= self.capacity()? {
            return Ok(());
        }
        if let Ok(wanted) = i32::try_from(bytes.min(LONGEST_LINE)) {
            // Refused when all pipes of this user together hold too much. What counts is what it then has.
            let _ = fcntl(&self.fifo, FcntlArg::F_SETPIPE_SZ(wanted));
        }
        let limit = self.capacity()?;
        if bytes <= limit { Ok(()) } else { Err(WriteError::TooLong { bytes, limit }) }
    }

    fn capacity(&self) -> io::Result<usize> {
        let size = fcntl(&self.fifo, FcntlArg::F_GETPIPE_SZ)?;
        usize::try_from(size).map_err(io::Error::other)
    }

    /// Writes all of `bytes`, or nothing when there is no room for certain.
    fn try_write(&mut self, bytes: &[u8]) -> Result<bool, WriteError> {
        if bytes.len() > ATOMIC_LINE && os::bytes_waiting(&self.fifo)? > 0 {
            return Ok(false);
        }
        match self.fifo.write(bytes) {
            Ok(written) if written == bytes.len() => Ok(true),
            Ok(written) => Err(WriteError::Torn { written, bytes: bytes.len() }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(WriteError::ChildGone),
            Err(error) => Err(error.into()),
        }
    }
}
