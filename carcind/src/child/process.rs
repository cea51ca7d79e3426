//! A child that runs, or has run, under our eyes.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::dir::ChildDir;
use super::exit::Exit;
use super::fifo::{FifoWriter, WriteError};
use super::stderr;
use super::sweep::{self, Snapshot, Swept};
use crate::os;

/// A child under supervision.
///
/// Not `Clone`: it owns the supervision (the reaping, the care for stderr), not the process. Dropped, the
/// process runs on, and [`ChildDir::adopt`] takes it up again.
#[derive(Debug)]
pub struct Child {
    dir: ChildDir,
    pid: u32,
    /// `None` when it had ended before it could be looked at.
    pidfd: Option<OwnedFd>,
    exit: watch::Receiver<Option<Exit>>,
    _watcher: AbortOnDropHandle<()>,
    _stderr: AbortOnDropHandle<()>,
}

/// Why a signal was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The child has ended.
    #[error("the child is gone")]
    Gone,
    /// The system refused.
    #[error("cannot signal the child")]
    Io(#[from] io::Error),
}

impl Child {
    /// Supervises process `pid`, of which `ended` tells the end.
    pub(super) fn watch(
        dir: &ChildDir,
        pid: u32,
        pidfd: Option<OwnedFd>,
        ended: impl Future<Output = Exit> + Send + 'static,
    ) -> Self {
        let (told, exit) = watch::channel(None);
        let watcher = tokio::spawn(async move {
            let exit = ended.await;
            told.send_replace(Some(exit));
        });
        let stderr = tokio::spawn(stderr::keep_small(dir.stderr_path()));
        Self {
            dir: dir.clone(),
            pid,
            pidfd,
            exit,
            _watcher: AbortOnDropHandle::new(watcher),
            _stderr: AbortOnDropHandle::new(stderr),
        }
    }

    /// Its process id: for people, and to recognise a peer.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its directory.
    pub fn dir(&self) -> &ChildDir {
        &self.dir
    }

    /// Waits for the child's own end, whatever it left running or holding its files. Cancel safe, and can be
    /// asked again. Under systemd the status may take up to 8 s more.
    pub async fn exited(&self) -> Exit {
        let mut exit = self.exit.clone();
        let exit = exit.wait_for(Option::is_some).await;
        // An error means that the runtime is going down and took the watcher with it.
        exit.ok().and_then(|exit| exit.clone()).unwrap_or(Exit::Unknown)
    }

    /// A writer to its input. One at a time, or the rule of [`FifoWriter`] does not hold.
    pub fn writer(&self) -> Result<FifoWriter, WriteError> {
        FifoWriter::open(&self.dir)
    }

    /// Signals the child alone.
    pub fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        let pidfd = self.pidfd.as_ref().ok_or(SignalError::Gone)?;
        os::pidfd_send_signal(pidfd, signal).map_err(|error| match error.raw_os_error() {
            Some(libc::ESRCH) => SignalError::Gone,
            _ => error.into(),
        })
    }

    /// Signals the child's process group, which it leads. Once the child has ended, what is left of the group
    /// is the sweep's business: the number might be another's.
    pub fn signal_group(&self, signal: Signal) -> Result<(), SignalError> {
        if self.pidfd.is_none() || self.exit.borrow().is_some() {
            return Err(SignalError::Gone);
        }
        let group = i32::try_from(self.pid).map(Pid::from_raw).map_err(io::Error::other)?;
        killpg(group, signal).map_err(|errno| match errno {
            Errno::ESRCH => SignalError::Gone,
            errno => io::Error::from(errno).into(),
        })
    }

    /// What descends from the child now, for a later [`Self::sweep`]. To be taken before it is killed: orphans
    /// do not tell whose they were.
    pub async fn descendants(&self) -> io::Result<Snapshot> {
        let pid = self.pid;
        tokio::task::spawn_blocking(move || sweep::descendants(pid)).await.map_err(io::Error::other)?
    }

    /// See [`ChildDir::sweep`].
    pub async fn sweep(&self, snapshot: Snapshot) -> io::Result<Swept> {
        self.dir.sweep(snapshot).await
    }
}
