//! The state directory: that it is ours alone, and that it stays there.

use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};

/// Why the state directory does not do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateDirError {
    /// It cannot be made.
    #[error("cannot create the state directory {path}: {source}\nhint: give another with --state-dir")]
    Create {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be looked at.
    #[error("cannot look at the state directory {path}: {source}")]
    Look {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is somebody else's.
    #[error(
        "the state directory {path} belongs to another user (uid {uid}, this is uid {ours})\nhint: chown it, or give another with --state-dir"
    )]
    Foreign {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
        /// Who we are.
        ours: u32,
    },
    /// Others can get at what Claude says.
    #[error("the state directory {path} can be {done} by others (mode {mode:03o})\nhint: chmod 700 {path}")]
    Exposed {
        /// Where.
        path: PathBuf,
        /// What others can do.
        done: &'static str,
        /// Its mode.
        mode: u32,
    },
    /// Nothing can be kept there.
    #[error(
        "the state directory {path} cannot be written to: {source}\nhint: mount its file system read-write, or give another with --state-dir"
    )]
    ReadOnly {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl StateDirError {
    /// Whether it stays so until somebody changes something: a file system may be about to be mounted.
    pub(crate) fn wants_a_person(&self) -> bool {
        match self {
            Self::Foreign { .. } | Self::Exposed { .. } => true,
            Self::Create { source, .. } => {
                matches!(source.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory)
            }
            Self::Look { .. } | Self::ReadOnly { .. } => false,
        }
    }
}

/// Makes the state directory, or checks that it is ours alone; its whole path.
pub(super) fn private(dir: &Path) -> Result<PathBuf, StateDirError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| StateDirError::Create { path: dir.to_owned(), source })?;
    let look = |source| StateDirError::Look { path: dir.to_owned(), source };
    let metadata = dir.metadata().map_err(look)?;
    let (path, ours) = (dir.canonicalize().map_err(look)?, geteuid().as_raw());
    if metadata.uid() != ours {
        return Err(StateDirError::Foreign { path, uid: metadata.uid(), ours });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        let done = if mode & 0o022 == 0 { "read" } else { "written to" };
        return Err(StateDirError::Exposed { path, done, mode });
    }
    if let Err(errno) = access(&path, AccessFlags::W_OK | AccessFlags::X_OK) {
        return Err(StateDirError::ReadOnly { path, source: errno.into() });
    }
    // There from the start, so that it is known when it goes.
    let children = path.join("children");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&children)
        .map_err(|source| StateDirError::Create { path: children, source })?;
    Ok(path)
}

/// What is gone from under a daemon that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// The directory itself, by its path: it was removed, or moved, or mounted over.
    Directory,
    /// What the Claudes print to.
    Children,
    /// The journal.
    Journal,
}

/// The directories and the file that the daemon has begun with, so that others in their place are known.
#[derive(Debug)]
pub(super) struct Guard {
    dir: PathBuf,
    directory: Option<(u64, u64)>,
    journal: Option<(u64, u64)>,
    children: Option<(u64, u64)>,
}

impl Guard {
    /// Takes what is there as what is to stay.
    pub(super) fn begin(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            directory: identity(dir),
            journal: identity(&dir.join("journal.db")),
            children: identity(&dir.join("children")),
        }
    }

    /// What is gone.
    pub(super) fn look(&self) -> Option<Gone> {
        let is = |known: Option<(u64, u64)>, path: &Path| known == identity(path);
        if !is(self.directory, &self.dir) {
            return Some(Gone::Directory);
        }
        if !is(self.children, &self.dir.join("children")) {
            return Some(Gone::Children);
        }
        (!is(self.journal, &self.dir.join("journal.db"))).then_some(Gone::Journal)
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let of = |metadata: Metadata| (metadata.dev(), metadata.ino());
    path.metadata().ok().map(of)
}
