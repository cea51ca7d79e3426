//! The daemon dies where a test wants it to: it is started with a fault, and the test waits until that has happened.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::Signal;

use super::process::variable;
use super::{PATIENCE, Rig, programs};

/// A place in the daemon, and what happens there: it gets SIGKILL, unless told otherwise.
#[derive(Debug, Clone)]
pub struct Fault {
    action: &'static str,
    point: String,
    nth: u64,
    times: usize,
}

impl Fault {
    /// The daemon dies when it comes to this point, once.
    pub fn at(point: &str) -> Self {
        Self { action: "kill", point: point.to_owned(), nth: 1, times: 1 }
    }

    /// At the n-th time that a process comes to it.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    /// So many processes die of it, not one alone.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// The process gets SIGSTOP: it stays where it is until it is killed, or goes on.
    #[must_use]
    pub fn stop(mut self) -> Self {
        self.action = "stop";
        self
    }

    /// In a launcher: the daemon dies first.
    #[must_use]
    pub fn with_parent(mut self) -> Self {
        self.action = "kill-parent";
        self
    }
}

/// The fault that the daemon is started with, and the files that say how often it has happened.
#[derive(Debug, Default)]
pub(super) struct Armed {
    fault: Option<(Fault, Vec<PathBuf>)>,
    count: u32,
}

impl Armed {
    pub(super) fn environment(&self) -> anyhow::Result<Vec<(String, OsString)>> {
        let Some((fault, marks)) = &self.fault else { return Ok(Vec::new()) };
        let spec = format!("{}@{}:{}", fault.action, fault.point, fault.nth);
        Ok(vec![variable("CARCIN_FAULT", spec), variable("CARCIN_FAULT_MARKS", std::env::join_paths(marks)?)])
    }
}

impl Rig {
    /// The next daemon is started with this fault; `None`: with none. Needs [`Builder::faults`](super::Builder::faults).
    pub fn arm(&mut self, fault: Option<Fault>) -> anyhow::Result<()> {
        ensure!(
            self.settings.faults,
            "a fault is asked of a carcind without fault points\nhint: Rig::builder().faults()"
        );
        self.armed.count += 1;
        let place = |n: usize| self.places.dir().join(format!("fault-{}-{n}", self.armed.count));
        let marks = |fault: &Fault| (0..fault.times).map(place).collect();
        self.armed.fault = fault.map(|fault| {
            let marks = marks(&fault);
            (fault, marks)
        });
        Ok(())
    }

    /// Arms the fault for a daemon that takes the place of the one that runs, which is killed.
    pub async fn restart_armed(&mut self, fault: Fault) -> anyhow::Result<()> {
        self.arm(Some(fault))?;
        self.kill_daemon().await?;
        self.restart_daemon().await
    }

    /// How often the fault that was armed last has happened.
    pub fn fired(&self) -> usize {
        let marks = self.armed.fault.iter().flat_map(|(_, marks)| marks);
        marks.filter(|mark| mark.exists()).count()
    }

    /// Waits until the daemon has died of its fault.
    pub async fn dies(&mut self) -> anyhow::Result<()> {
        let status =
            self.daemon.wait(PATIENCE).await.context("the daemon did not come to its fault point")?;
        self.has_died(status)
    }

    /// Does this work while the daemon dies of its fault any number of times, and is started again each time.
    pub async fn through_faults<T>(
        &mut self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            done = work => done,
            failed = self.keep_alive() => match failed? {},
        }
    }

    /// The names of all fault points, as the daemon has them.
    pub async fn fault_points() -> anyhow::Result<Vec<String>> {
        let programs = tokio::task::spawn_blocking(programs::with_faults).await??;
        let output = tokio::process::Command::new(programs::fault_daemon(&programs)?)
            .env("CARCIN_FAULT", "list")
            .output();
        let output = output.await?;
        ensure!(output.status.success(), "carcind-faults does not list its points: {}", output.status);
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    }

    async fn keep_alive(&mut self) -> anyhow::Result<Infallible> {
        loop {
            let status = self.daemon.ended().await?;
            self.has_died(status)?;
            self.daemon = self.another_daemon(&[])?;
        }
    }

    fn has_died(&self, status: ExitStatus) -> anyhow::Result<()> {
        if status.signal() == Some(Signal::SIGKILL as i32) {
            return Ok(());
        }
        bail!("carcind ended with {status} instead of at its fault point\n{}", self.daemon.log_text())
    }
}
