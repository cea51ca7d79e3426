//! One of Carcin's programs, running.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::PATIENCE;

/// A program that was started. Killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    child: Child,
    log: PathBuf,
    ready: UnixDatagram,
}

impl Process {
    /// Starts `program` with this environment and no other. Its stderr goes to `LOGS/NAME.log`, its stdout
    /// nowhere.
    pub(crate) fn start(
        program: &Path,
        arguments: &[OsString],
        environment: &[(String, OsString)],
        logs: &Path,
        name: &str,
    ) -> anyhow::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let notify = logs.join(format!("{name}.notify"));
        let ready = UnixDatagram::bind(&notify).context("cannot listen for the program's readiness")?;
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("NOTIFY_SOCKET", &notify)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let pid = child.id().context("a process that was just started has no pid")?;
        Ok(Self { name: name.to_owned(), pid, child, log, ready })
    }

    /// Waits until it says that it is ready, as it would tell systemd. Fails when it ends before that, with
    /// what it said.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let mut message = [0; 512];
        loop {
            tokio::select! {
                received = self.ready.recv(&mut message) => {
                    let text = String::from_utf8_lossy(&message[..received?]).into_owned();
                    if text.lines().any(|line| line == "READY=1") {
                        return Ok(());
                    }
                }
                status = self.child.wait() => {
                    bail!("{} ended before it was ready ({})\n{}", self.name, status?, self.log_text());
                }
                () = tokio::time::sleep(PATIENCE) => {
                    bail!("{} was not ready within {PATIENCE:?}\n{}", self.name, self.log_text());
                }
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has written to stderr.
    pub fn log_text(&self) -> String {
        std::fs::read(&self.log)
            .map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        self.wait(PATIENCE).await
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(PATIENCE).await
    }

    /// Waits for the end.
    pub async fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        match timeout(within, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} did not end within {within:?}\n{}", self.name, self.log_text()),
        }
    }

    /// Waits for the end, for as long as that takes.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        if !self.is_running() {
            bail!("{} has ended already\n{}", self.name, self.log_text());
        }
        let pid = i32::try_from(self.pid).context("a pid fits an int")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }
}

/// A variable of an environment.
pub(crate) fn variable(name: &str, value: impl AsRef<OsStr>) -> (String, OsString) {
    (name.to_owned(), value.as_ref().to_owned())
}
