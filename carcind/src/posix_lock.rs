//! POSIX write locks that name the living process which holds them.
//!
//! The kernel drops such a lock when its process dies, and keeps it across `exec`. It also drops it when that
//! process closes *any* descriptor of the file. Hence: a locked file is opened once in the process that locks it,
//! for nothing but the lock. Others may open and close it as they like.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

const WRITE_LOCK: libc::c_short = short(libc::F_WRLCK);
const NO_LOCK: libc::c_short = short(libc::F_UNLCK);
const FROM_START: libc::c_short = short(libc::SEEK_SET);

/// `fcntl`'s constants are ints, the fields of its struct shorts.
#[allow(clippy::cast_possible_truncation, reason = "the values are 0 to 2")]
const fn short(constant: libc::c_int) -> libc::c_short {
    constant as libc::c_short
}

/// A write lock on a whole file: from the start, and length 0 means to the end wherever that is.
fn whole_file() -> libc::flock {
    libc::flock { l_type: WRITE_LOCK, l_whence: FROM_START, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Locks the whole of `file` for this process. `false` when another process holds it.
pub(crate) fn take(file: &File) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_SETLK(&whole_file())) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The process that holds the lock on `path`; `None` when nobody does or there is no such file.
pub(crate) fn owner(path: &Path) -> io::Result<Option<u32>> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => owner_of(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The process, other than this one, that holds the lock on `file`.
pub(crate) fn owner_of(file: &File) -> io::Result<Option<u32>> {
    let mut lock = whole_file();
    fcntl(file, FcntlArg::F_GETLK(&mut lock))?;
    if lock.l_type == NO_LOCK {
        return Ok(None);
    }
    // A holder outside our pid namespace has no number here; the conversion refuses its -1.
    u32::try_from(lock.l_pid).map(Some).map_err(io::Error::other)
}
