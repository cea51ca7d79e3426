//! The directory of one generation.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use uuid::Uuid;

use super::claim::{self, Claimant};
use super::exit::{self, Exit, Failure};
use super::rewind;
use super::spec::Spec;
use super::spool::Spool;
use super::stderr::{self, StderrTail};
use super::sweep::{self, Snapshot, Swept};
use super::systemd;
use super::tail::{Notice, Tail, TailError};
use crate::posix_lock;

/// The directory of one generation: `STATE/children/GENERATION`. A child is started in it at most once.
#[derive(Clone, Debug)]
pub struct ChildDir {
    path: PathBuf,
    generation: Uuid,
}

/// Why a directory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Making the directory or one of its files failed; `AlreadyExists` for a generation used before.
    #[error("cannot create {path}")]
    Io {
        /// What was to be made.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A path in the spec is not UTF-8, so it cannot be written down.
    #[error("cannot write down what to run")]
    Spec(#[source] serde_json::Error),
}

/// Why a directory could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Its child lives.
    #[error("process {0} still runs there")]
    Alive(u32),
    /// The file system refused.
    #[error("cannot remove the child's directory")]
    Io(#[from] io::Error),
}

/// Where in its life a child is, as the locks tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// No launcher has come yet; one may still be on its way.
    Unclaimed,
    /// The launcher has claimed the directory and has not become the child yet.
    Launching(u32),
    /// The child lives.
    Running(u32),
    /// The child has ended, or will never start.
    Ended,
}

impl ChildDir {
    /// Makes the directory with all that a launcher needs, and reserves the stdout spool's first space.
    ///
    /// The caller chooses the generation, so that it can be journalled before anything exists.
    pub fn create(state: &Path, generation: Uuid, spec: &Spec) -> Result<Self, CreateError> {
        let dir = Self::open(state, generation);
        let at = |path: PathBuf| move |source| CreateError::Io { path, source };
        let parent = state.join("children");
        DirBuilder::new().recursive(true).mode(0o700).create(&parent).map_err(at(parent.clone()))?;
        DirBuilder::new().mode(0o700).create(&dir.path).map_err(at(dir.path.clone()))?;
        let private = Mode::from_bits_truncate(0o600);
        mkfifo(&dir.stdin_path(), private).map_err(|errno| at(dir.stdin_path())(errno.into()))?;
        for path in [dir.stdout_path(), dir.stderr_path(), dir.lease_path()] {
            new_private_file(&path).map_err(at(path.clone()))?;
        }
        let mut spool = Spool::open(&dir.stdout_path()).map_err(at(dir.stdout_path()))?;
        spool.keep_ahead_of(0).map_err(at(dir.stdout_path()))?;
        let json = serde_json::to_vec(spec).map_err(CreateError::Spec)?;
        new_private_file(&dir.spec_path())
            .and_then(|mut file| io::Write::write_all(&mut file, &json))
            .map_err(at(dir.spec_path()))?;
        // So that after a power loss a missing directory means that nothing was started.
        for path in [dir.path(), &parent] {
            File::open(path).and_then(|file| file.sync_all()).map_err(at(path.to_owned()))?;
        }
        Ok(dir)
    }

    /// The directory of a generation, which may or may not exist.
    pub fn open(state: &Path, generation: Uuid) -> Self {
        Self { path: state.join("children").join(generation.to_string()), generation }
    }

    /// The generations that have a directory, in no order; what else lies there is passed over.
    pub fn list(state: &Path) -> io::Result<Vec<Uuid>> {
        let entries = match fs::read_dir(state.join("children")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            found.extend(entry?.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok()));
        }
        Ok(found)
    }

    /// What was to be run there; `None`: that cannot be read.
    pub fn spec(&self) -> Option<Spec> {
        exit::read_whole(&self.spec_path())
    }

    /// Where in the child's stdout the last line starts whose beginning `is_it` picks; without one, where the last
    /// whole line ends. Looks at the last 64 MiB.
    pub fn last_line(&self, is_it: impl Fn(&[u8]) -> bool) -> io::Result<u64> {
        rewind::last_line(&self.stdout_path(), is_it)
    }

    /// Its generation.
    pub fn generation(&self) -> Uuid {
        self.generation
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A reader of the child's stdout from `offset`, which must be a line's start as [`Tail`] told it.
    /// For a child that has ended, call [`Tail::writer_ended`] at once.
    pub fn stdout(&self, offset: u64) -> Result<Tail, TailError> {
        Tail::open(&self.stdout_path(), offset, Notice::Inotify)
    }

    /// How much the child has written to stderr, and the end of it.
    pub fn stderr(&self) -> io::Result<StderrTail> {
        stderr::last(&self.stderr_path())
    }

    /// Ends whatever the child has left behind: what is in `snapshot` and lives, what carries the marker, what
    /// is in its systemd unit. The child itself is ended too, if it lives. Takes 10 s at most.
    pub async fn sweep(&self, snapshot: Snapshot) -> io::Result<Swept> {
        let marker = exit::read_whole::<Spec>(&self.spec_path()).map(|spec| spec.marker);
        let swept = tokio::task::spawn_blocking(move || sweep::sweep(&snapshot, marker.as_deref()));
        let swept = swept.await.map_err(io::Error::other)?;
        if let Some(unit) = systemd::unit_of(self) {
            systemd::kill(&unit).await;
        }
        swept
    }

    /// Removes the directory of a child that has ended. One that is gone already is fine.
    pub fn remove(self) -> Result<(), RemoveError> {
        if let Life::Launching(pid) | Life::Running(pid) = self.life()? {
            return Err(RemoveError::Alive(pid));
        }
        claim::close(&self)?;
        if let Life::Launching(pid) | Life::Running(pid) = self.life()? {
            return Err(RemoveError::Alive(pid));
        }
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The processes that are children of this daemon or of an earlier one, as their leases name them. Blocking.
    pub fn living(state_dir: &Path) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for generation in Self::list(state_dir)? {
            if let Life::Launching(pid) | Life::Running(pid) = Self::open(state_dir, generation).life()? {
                pids.push(pid);
            }
        }
        Ok(pids)
    }

    /// Where in its life the child is.
    pub(super) fn life(&self) -> io::Result<Life> {
        loop {
            let claimed = self.pid_path().exists();
            if let Some(pid) = posix_lock::owner(&self.pid_path())? {
                return Ok(Life::Launching(pid));
            }
            if claimed {
                // Let go of, and before that the launcher took the lease: who has it now is no launcher any more.
                let runs = posix_lock::owner(&self.lease_path())?;
                return Ok(runs.map_or(Life::Ended, Life::Running));
            }
            if !self.pid_path().exists() {
                return Ok(Life::Unclaimed);
            }
            // It was claimed between two looks: whether it is let go of already is seen only now.
        }
    }

    /// How a child that has ended did so, as far as anyone wrote it down.
    pub(super) fn recorded_exit(&self) -> Option<Exit> {
        if let Some(failure) = exit::read_whole(&self.failed_path()) {
            return Some(Exit::NotStarted(failure));
        }
        // Before the exit record: a launcher that found the directory given up has an exit code, too.
        if claim::claimant(self) == Claimant::Nobody {
            let sentence = "it was never launched".to_owned();
            return Some(Exit::NotStarted(Failure { errno: None, sentence }));
        }
        exit::read_whole(&self.exit_path())
    }

    pub(super) fn at(path: &Path) -> Option<Self> {
        let generation = Uuid::try_parse(path.file_name()?.to_str()?).ok()?;
        Some(Self { path: path.to_owned(), generation })
    }

    pub(super) fn spec_path(&self) -> PathBuf {
        self.path.join("spec.json")
    }
    pub(super) fn stdin_path(&self) -> PathBuf {
        self.path.join("stdin")
    }
    pub(super) fn stdout_path(&self) -> PathBuf {
        self.path.join("stdout")
    }
    pub(super) fn stderr_path(&self) -> PathBuf {
        self.path.join("stderr")
    }
    pub(super) fn lease_path(&self) -> PathBuf {
        self.path.join("lease")
    }
    pub(super) fn pid_path(&self) -> PathBuf {
        self.path.join("pid")
    }
    pub(super) fn unit_path(&self) -> PathBuf {
        self.path.join("unit")
    }
    pub(super) fn failed_path(&self) -> PathBuf {
        self.path.join("failed")
    }
    pub(super) fn exit_path(&self) -> PathBuf {
        self.path.join("exit")
    }
}

fn new_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
