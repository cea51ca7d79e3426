//! A `carcind` alone, with the probe for its Claude: nobody else listens.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use carcin_proto::request::{Placement, Submit};
use carcin_proto::{Client, ConversationKey, IdempotencyKey, PromptId, Reply, Request};

use super::probe;
use crate::rig::process::variable;
use crate::rig::{Places, Process, programs};

/// A daemon. It and all that it started is gone when this is dropped.
pub(super) struct Daemon {
    process: Process,
    program: Vec<OsString>,
    starts: usize,
    places: Places,
}

impl Daemon {
    /// Starts one with an empty journal.
    pub(super) async fn new() -> anyhow::Result<Self> {
        let programs = tokio::task::spawn_blocking(programs::directory).await??;
        let places = Places::create(None)?;
        probe::install(places.dir())?;
        std::fs::write(places.config(), "[claude]\nlauncher = \"plain\"\n")?;
        let program = vec![programs.join("carcind").into_os_string()];
        let process = start(&places, &program, 1)?;
        let mut daemon = Self { process, program, starts: 1, places };
        daemon.process.ready().await?;
        Ok(daemon)
    }

    /// Ends it and starts it again; gives how long it took until it was ready.
    pub(super) async fn restart(&mut self) -> anyhow::Result<Duration> {
        self.end().await?;
        self.start().await
    }

    /// Starts it after it was ended; gives how long it took until it was ready.
    pub(super) async fn start(&mut self) -> anyhow::Result<Duration> {
        self.starts += 1;
        let began = Instant::now();
        self.process = start(&self.places, &self.program, self.starts)?;
        self.process.ready().await?;
        Ok(began.elapsed())
    }

    /// Kills it; its Claudes go on.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill().await.map(drop)
    }

    /// Has it run, from the next start on, by another program with these first arguments.
    pub(super) fn run_under(&mut self, wrapper: &[OsString]) {
        self.program.splice(0..0, wrapper.iter().cloned());
    }

    /// Ends it; its Claudes go on.
    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        let status = self.process.terminate().await?;
        anyhow::ensure!(status.success(), "carcind ended with {status}\n{}", self.process.log_text());
        Ok(())
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.places.socket()
    }

    /// Where it keeps its journal.
    pub(super) fn state(&self) -> PathBuf {
        self.places.state()
    }

    /// Its user's home, with Claude's transcripts.
    pub(super) fn home(&self) -> PathBuf {
        self.places.home()
    }

    /// A directory for files of the benchmark's own.
    pub(super) fn scratch(&self) -> &Path {
        self.places.dir()
    }

    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        let client = Client::connect(&self.socket(), "bench", env!("CARGO_PKG_VERSION")).await;
        client.with_context(|| format!("cannot talk to carcind\n{}", self.process.log_text()))
    }

    /// Gives Claude a prompt, for the probe a command.
    pub(super) async fn submit(&self, conversation: &str, text: &str) -> anyhow::Result<()> {
        let submit = Submit {
            conversation: ConversationKey::new(conversation)?,
            key: IdempotencyKey::new(PromptId::random().to_string())?,
            text: text.to_owned(),
            placement: Placement::Steer,
            by: "bench".to_owned(),
        };
        match self.client().await?.request(&Request::Submit(submit)).await? {
            Reply::Submitted(_) => Ok(()),
            other => bail!("a prompt was answered {other:?}"),
        }
    }
}

fn start(places: &Places, program: &[OsString], count: usize) -> anyhow::Result<Process> {
    let environment = [
        variable("HOME", places.home()),
        variable("PATH", std::env::var_os("PATH").unwrap_or_default()),
        variable("TMPDIR", places.tmp()),
        variable("CARCIN_CONFIG", places.config()),
        variable("CARCIN_SOCKET", places.socket()),
        variable("CARCIN_STATE_DIR", places.state()),
        variable("CLAUDE_PATH", places.dir().join(probe::NAME)),
        variable("CLAUDE_WORKING_DIR", places.work()),
        variable("RUST_LOG", "info"),
    ];
    let name = format!("carcind-{count}");
    Process::start(Path::new(&program[0]), &program[1..], &environment, &places.logs(), &name)
}
