//! Starting a child, and finding it again.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::claim::{self, Claimant};
use super::dir::{ChildDir, Life};
use super::exit::{Exit, Failure};
use super::launch::EXIT_TAKEN;
use super::process::Child;
use super::systemd::{self, Launcher};
use crate::fault::{self, Point};
use crate::os;

/// How long a launcher may take from its start to the program's. It does a handful of system calls; a machine
/// that is starting up or swapping may need seconds for them.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long systemd may take to run `ExecStopPost` after the child's end: it first gives what is left in the
/// cgroup `TimeoutStopSec`, 5 s.
const RECORD_TIMEOUT: Duration = Duration::from_secs(8);
/// Pauses between looks at the locks, which tell of a change by nothing else.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Why a child was not started. Nothing of it runs, but for what is said at `Io`.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// A child was started in this directory before, or the directory was given up.
    #[error("a child was started in {0} before")]
    Taken(String),
    /// The program or its surroundings are not as they should be.
    #[error("{0}")]
    NotStarted(Failure),
    /// The launcher itself, the daemon's own program, could not be started or failed in a way of its own.
    #[error("cannot start the launcher {launcher}: {reason}")]
    Launcher {
        /// What should have launched.
        launcher: String,
        /// What happened.
        reason: String,
    },
    /// There is no process for the launcher.
    #[error("cannot start the launcher {launcher}")]
    Process {
        /// What should have launched.
        launcher: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The launcher neither succeeded nor failed in time; it was killed.
    #[error("the child did not start within {} s", LAUNCH_TIMEOUT.as_secs())]
    Timeout,
    /// The system refused to say what became of it: adopt it to find out.
    #[error("cannot follow the child's start")]
    Io(#[from] io::Error),
}

/// What became of a child that was started, or may have been, before.
#[derive(Debug)]
pub enum Adopted {
    /// It runs, and is under supervision again.
    Alive(Child),
    /// It has ended, or never ran (`NotStarted`) and now never will.
    Dead(Exit),
}

/// Why it cannot be told what became of a child.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// A launcher hangs.
    #[error("process {0} is still launching the child")]
    StillLaunching(u32),
    /// The system refused to say.
    #[error("cannot find out whether the child runs")]
    Io(#[from] io::Error),
}

impl ChildDir {
    /// Starts the child; returns when the program runs (or has run: see [`Child::exited`]). Takes 10 s at most,
    /// 25 s under systemd.
    ///
    /// When this is dropped before it returned, or this process dies, the child may run or not: [`Self::adopt`]
    /// tells, and settles it.
    pub async fn spawn(&self, launcher: &Launcher) -> Result<Child, SpawnError> {
        if self.life()? != Life::Unclaimed {
            return Err(self.taken());
        }
        match launcher {
            Launcher::Plain { exe } => self.spawn_plain(exe).await,
            Launcher::Systemd { exe } => self.spawn_unit(exe).await,
        }
    }

    /// Finds out what became of the child, and supervises it again if it runs. A child that had not begun to
    /// start will not do so after this. Takes 10 s at most.
    pub async fn adopt(&self) -> Result<Adopted, AdoptError> {
        claim::close(self)?;
        let deadline = Instant::now() + LAUNCH_TIMEOUT;
        loop {
            let pid = match self.settled(deadline).await? {
                Life::Running(pid) => pid,
                Life::Launching(pid) => return Err(AdoptError::StillLaunching(pid)),
                Life::Ended | Life::Unclaimed => {
                    let exit = self.recorded_exit().unwrap_or(Exit::Unknown);
                    return Ok(Adopted::Dead(exit));
                }
            };
            // It may have ended since, so that the pidfd is another's: look again once it is open.
            match os::pidfd_open(pid) {
                Ok(pidfd) if self.life()? == Life::Running(pid) => {
                    return Ok(Adopted::Alive(self.watch(pid, pidfd)?));
                }
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error.into()),
                _ => {}
            }
        }
    }

    async fn spawn_plain(&self, exe: &Path) -> Result<Child, SpawnError> {
        let failed = |reason: String| SpawnError::Launcher { launcher: exe.display().to_string(), reason };
        let mut command = Command::new(exe);
        command.arg("child").arg(self.path()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(feature = "fault-points")]
        fault::hand_on(&mut command);
        let mut process = command
            .spawn()
            .map_err(|source| SpawnError::Process { launcher: exe.display().to_string(), source })?;
        fault::point(Point::LauncherStarted);
        let pid = process.id().ok_or_else(|| failed("it has no process id".to_owned()))?;
        let pidfd = os::pidfd_open(pid)?;
        let deadline = Instant::now() + LAUNCH_TIMEOUT;
        let mut pause = FIRST_PAUSE;
        while Instant::now() < deadline {
            if self.life()? == Life::Running(pid) {
                let ended = async move { process.wait().await.map_or(Exit::Unknown, Exit::from) };
                return Ok(Child::watch(self, pid, Some(pidfd), ended));
            }
            tokio::select! {
                status = process.wait() => return self.ended_early(pid, status?, failed),
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
        claim::close(self)?;
        // Not waited for: a launcher that hangs in the kernel would make us hang. The runtime reaps it.
        process.start_kill()?;
        Err(SpawnError::Timeout)
    }

    /// Our launcher, or what it became, ended before it was seen to run.
    fn ended_early(
        &self,
        pid: u32,
        status: ExitStatus,
        failed: impl Fn(String) -> SpawnError,
    ) -> Result<Child, SpawnError> {
        if claim::claimant(self) == Claimant::Launcher(pid) {
            return match self.recorded_exit() {
                Some(Exit::NotStarted(failure)) => Err(SpawnError::NotStarted(failure)),
                _ => Ok(Child::watch(self, pid, None, async move { status.into() })),
            };
        }
        if status.code().is_none() {
            // Killed before it could claim anything: no more amiss than a child that is killed right after that.
            claim::close(self)?;
            return Ok(Child::watch(self, pid, None, async move { status.into() }));
        }
        if status.code() == Some(EXIT_TAKEN) { Err(self.taken()) } else { Err(failed(status.to_string())) }
    }

    async fn spawn_unit(&self, exe: &Path) -> Result<Child, SpawnError> {
        if let Err(error) = self.await_unit(systemd::start(self, exe).await).await {
            // Whatever is still on its way finds the door closed.
            claim::close(self)?;
            systemd::kill(&systemd::unit_name(self)).await;
            return Err(error);
        }
        match self.adopt().await {
            Ok(Adopted::Alive(child)) => Ok(child),
            Ok(Adopted::Dead(Exit::NotStarted(failure))) => Err(SpawnError::NotStarted(failure)),
            Ok(Adopted::Dead(_)) => {
                let dir = self.clone();
                let pid = match claim::claimant(self) {
                    Claimant::Launcher(pid) => pid,
                    Claimant::Nobody | Claimant::Unknown => return Err(SpawnError::Timeout),
                };
                Ok(Child::watch(self, pid, None, async move { dir.end_as_recorded().await }))
            }
            Err(AdoptError::StillLaunching(_)) => Err(SpawnError::Timeout),
            Err(AdoptError::Io(error)) => Err(error.into()),
        }
    }

    /// Waits until the launcher that systemd was asked for has done its work.
    async fn await_unit(&self, started: Result<(), SpawnError>) -> Result<(), SpawnError> {
        if started.is_err() {
            // It may have come all the same: `systemd-run` also fails when a child ends at once. If not, this
            // makes sure that it will not any more.
            claim::close(self)?;
        }
        match self.settled(Instant::now() + LAUNCH_TIMEOUT).await? {
            Life::Running(_) | Life::Ended if claim::claimant(self) != Claimant::Nobody => Ok(()),
            _ => started.and(Err(SpawnError::Timeout)),
        }
    }

    fn watch(&self, pid: u32, pidfd: OwnedFd) -> io::Result<Child> {
        let end = os::wait_readable(pidfd.try_clone()?)?;
        let dir = self.clone();
        let ended = async move {
            if let Err(error) = end.readable().await {
                tracing::warn!(pid, %error, "cannot wait for a child");
                return Exit::Unknown;
            }
            dir.end_as_recorded().await
        };
        Ok(Child::watch(self, pid, Some(pidfd), ended))
    }

    /// Waits until the child runs or has ended, until `deadline` at most.
    async fn settled(&self, deadline: Instant) -> io::Result<Life> {
        let mut pause = FIRST_PAUSE;
        loop {
            let life = self.life()?;
            let settled = matches!(life, Life::Running(_) | Life::Ended) || !self.path().exists();
            if settled || Instant::now() >= deadline {
                return Ok(life);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The status of a child that has just ended; where it has a supervisor, waits for its record.
    async fn end_as_recorded(&self) -> Exit {
        let deadline = Instant::now() + RECORD_TIMEOUT;
        let mut pause = FIRST_PAUSE;
        while systemd::unit_of(self).is_some() && Instant::now() < deadline {
            if let Some(exit) = self.recorded_exit() {
                return exit;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.recorded_exit().unwrap_or(Exit::Unknown)
    }

    fn taken(&self) -> SpawnError {
        SpawnError::Taken(self.path().display().to_string())
    }
}
