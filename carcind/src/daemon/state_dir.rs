//! The state directory: that it is ours alone, and that it stays there.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};

use crate::presence::there;

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

/// Which file or directory it is: its device and its number there.
type Identity = (u64, u64);

/// Something that is to stay where it is.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// What was there first; `None`: that could not be seen yet.
    known: Option<Identity>,
    what: Gone,
}

/// The directories and the file that the daemon has begun with, so that others in their place are known.
#[derive(Debug)]
pub(super) struct Guard {
    places: [Place; 3],
    /// What was gone when it was looked last.
    seen: Option<Gone>,
    /// Whether the file system did not answer when it was asked last.
    silent: bool,
}

impl Guard {
    /// Takes what is there as what is to stay.
    pub(super) fn begin(dir: &Path) -> Self {
        let place = |path: PathBuf, what| Place { known: identity(&path).ok().flatten(), path, what };
        let places = [
            place(dir.to_owned(), Gone::Directory),
            place(dir.join("children"), Gone::Children),
            place(dir.join("journal.db"), Gone::Journal),
        ];
        Self { places, seen: None, silent: false }
    }

    /// What is gone, if it was gone at the last look, too: all Claudes may end of it, so it must be certain. What cannot
    /// be seen, for want of memory or because a disk or a server does not answer, is where it was.
    pub(super) fn look(&mut self) -> Option<Gone> {
        let mut error = None;
        let mut gone = None;
        for Place { path, known, what } in &mut self.places {
            match identity(path) {
                Ok(now) if known.is_none() => *known = now,
                Ok(now) if now != *known => gone = gone.or(Some(*what)),
                Ok(_) => {}
                Err(failure) => error = error.or(Some((path, failure))),
            }
        }
        if let Some((path, error)) = error.as_ref().filter(|_| !self.silent) {
            tracing::warn!(path = %path.display(), %error, "the state directory cannot be looked at; it counts as there");
        }
        self.silent = error.is_some();
        let before = std::mem::replace(&mut self.seen, gone);
        gone.filter(|gone| before == Some(*gone))
    }
}

/// What is at `path`; `None`: nothing.
fn identity(path: &Path) -> io::Result<Option<Identity>> {
    Ok(there(path.metadata())?.map(|metadata| (metadata.dev(), metadata.ino())))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    /// A state directory, in one that stays.
    fn state() -> (tempfile::TempDir, PathBuf, Guard) {
        let parent = tempfile::tempdir().expect("a directory");
        let dir = parent.path().join("state");
        fs::create_dir_all(dir.join("children")).expect("directories");
        File::create(dir.join("journal.db")).expect("a journal");
        let guard = Guard::begin(&dir);
        (parent, dir, guard)
    }

    /// What is told at the first look, and at the second.
    fn looks(guard: &mut Guard) -> [Option<Gone>; 2] {
        [guard.look(), guard.look()]
    }

    #[test]
    fn what_stays_is_there_and_what_is_gone_is_told_at_the_second_look() {
        let (_parent, dir, mut guard) = state();
        assert_eq!(looks(&mut guard), [None, None]);
        fs::rename(dir.join("journal.db"), dir.join("aside")).expect("it is moved");
        assert_eq!(looks(&mut guard), [None, Some(Gone::Journal)]);
        fs::remove_dir(dir.join("children")).expect("it is removed");
        assert_eq!(looks(&mut guard), [None, Some(Gone::Children)]);
        // Moved, since a new one may be given the number of one that was removed.
        fs::rename(&dir, dir.with_extension("aside")).expect("it is moved");
        File::create(&dir).expect("a file in its place");
        assert_eq!(looks(&mut guard), [None, Some(Gone::Directory)]);
    }

    #[test]
    fn what_is_back_at_the_next_look_was_never_gone() {
        let (_parent, dir, mut guard) = state();
        for _ in 0..3 {
            fs::rename(&dir, dir.with_extension("aside")).expect("it is moved");
            assert_eq!(guard.look(), None);
            fs::rename(dir.with_extension("aside"), &dir).expect("it is moved back");
            assert_eq!(guard.look(), None);
        }
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_gone() {
        let (_parent, dir, mut guard) = state();
        fs::rename(&dir, dir.with_extension("aside")).expect("it is moved");
        // An error that root gets, too: a link in a circle.
        symlink(&dir, &dir).expect("a link");
        assert!(identity(&dir).is_err());
        assert_eq!(looks(&mut guard), [None, None]);
        fs::remove_file(&dir).expect("it is removed");
        fs::rename(dir.with_extension("aside"), &dir).expect("it is moved back");
        assert_eq!(looks(&mut guard), [None, None]);
        fs::remove_file(dir.join("journal.db")).expect("it is removed");
        assert_eq!(looks(&mut guard), [None, Some(Gone::Journal)], "it looks again");
    }
}
