//! The room that a spool takes on disk: reserved ahead of the writer, given back behind the reader.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

/// At least this much is reserved ahead of the writer, in bytes. The CLI ignores a full disk and acts on in
/// silence, so that what it prints until it is stopped needs a place already.
pub const RESERVE: u64 = 16 << 20;
/// Reservations are made this much at a time, so that they are rare.
const RESERVE_STEP: u64 = 16 << 20;
/// Consumed bytes are given back this much at a time.
const PUNCH_STEP: u64 = 4 << 20;

/// One spool file's room.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    /// Up to where space is reserved, as far as this process knows.
    reserved: u64,
    /// Up to where it was given back by this process.
    punched: u64,
    /// False once the file system said that it has no such operation.
    can_reserve: bool,
    can_punch: bool,
    /// Whether it was said that nothing can be reserved: it is tried again with all that is read.
    complained: bool,
}

impl Spool {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self { file, reserved: 0, punched: 0, can_reserve: true, can_punch: true, complained: false })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Keeps [`RESERVE`] bytes reserved beyond `written`. A disk that is too full is an error, and tried again at
    /// the next call. A file system that cannot reserve is none.
    pub(super) fn keep_ahead_of(&mut self, written: u64) -> io::Result<()> {
        if !self.can_reserve || self.reserved >= written + RESERVE {
            return Ok(());
        }
        let length = RESERVE + RESERVE_STEP;
        match self.allocate(FallocateFlags::FALLOC_FL_KEEP_SIZE, written, length) {
            Ok(()) => {
                self.reserved = written + length;
                self.complained = false;
            }
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => self.can_reserve = false,
            Err(errno) => {
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!(%errno, "cannot reserve space for a spool");
                }
                return Err(errno.into());
            }
        }
        Ok(())
    }

    /// Gives back what lies before `offset`, in steps. What was given back reads as zeros.
    pub(super) fn release(&mut self, offset: u64) {
        let target = offset - offset % PUNCH_STEP;
        if !self.can_punch || target <= self.punched {
            return;
        }
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match self.allocate(flags, self.punched, target - self.punched) {
            Ok(()) => self.punched = target,
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => self.can_punch = false,
            // Space is not given back yet; the next call tries the same range and more.
            Err(errno) => tracing::warn!(%errno, "cannot give back a spool's space"),
        }
    }

    fn allocate(&self, flags: FallocateFlags, offset: u64, length: u64) -> nix::Result<()> {
        let (Ok(offset), Ok(length)) = (offset.try_into(), length.try_into()) else {
            return Err(Errno::EFBIG);
        };
        fallocate(&self.file, flags, offset, length)
    }
}
