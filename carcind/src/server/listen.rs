//! The locks that keep a second daemon out, and the socket.
//!
//! Two daemons on one state directory would start two Claudes on one session; two on one socket would hide one
//! of them. So each is behind a lock file of its own, taken before anything else is touched. The kernel drops
//! the lock with the process, so what a dead daemon left behind is never in the way.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use interprocess::local_socket::tokio::Listener;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName};
use interprocess::os::unix::local_socket::ListenerOptionsExt;

use crate::posix_lock;

/// A lock file that is held.
///
/// A POSIX lock, since such a one is never inherited: with `flock` a child that is just being forked would hold it
/// on for a moment after the daemon was killed, and keep out the next one. It is dropped as soon as this process
/// closes *any* descriptor of the file, so the file is opened here and nowhere else.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a lock is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon has it.
    #[error("another carcind (process {pid}) has {what}")]
    Held {
        /// What is locked.
        what: String,
        /// Who has it, as the kernel knows it.
        pid: String,
    },
    /// The file system refused.
    #[error("cannot lock {path}: {source}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Lock {
    /// Locks the file at `path`, which stands for `what`. Never waits.
    pub fn take(path: &Path, what: &str) -> Result<Self, LockError> {
        let at = |source| LockError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(at)?;
        if posix_lock::take(&file).map_err(at)? {
            return Ok(Self { _file: file });
        }
        // The holder may be gone by now, or be in a namespace that cannot be seen from here.
        let owner = posix_lock::owner_of(&file).ok().flatten();
        let pid = owner.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
        Err(LockError::Held { what: what.to_owned(), pid })
    }
}

/// Why the socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon listens there.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There is something else at its place.
    #[error("{0} exists and is not a socket")]
    NotASocket(PathBuf),
    /// Its folder can be entered by others, or belongs to somebody else.
    #[error("the folder {0} must be yours, with mode 0700")]
    Exposed(PathBuf),
    /// The file system refused.
    #[error("cannot listen on {path}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Listens on `path`: a socket of mode 0600 in a folder of mode 0700, which is made if need be. A socket that a
/// dead daemon left there is replaced.
pub fn bind(path: &Path) -> Result<(Listener, Lock), BindError> {
    let at = |source| BindError::Io { path: path.to_owned(), source };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at)?;
    let metadata = fs::metadata(dir).map_err(at)?;
    if metadata.uid() != nix::unistd::geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
        return Err(BindError::Exposed(dir.to_owned()));
    }
    let lock = Lock::take(&path.with_extension("lock"), &format!("the socket {}", path.display()))?;
    match fs::symlink_metadata(path) {
        // With the lock in hand, whoever made it is dead.
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path).map_err(at)?,
        Ok(_) => return Err(BindError::NotASocket(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(at(error)),
    }
    let name = path.to_fs_name::<GenericFilePath>().map_err(at)?;
    let listener =
        ListenerOptions::new().name(name).mode(0o600).reclaim_name(false).create_tokio().map_err(at)?;
    Ok((listener, lock))
}
