//! A visit to the demo: the program, and a browser with its page.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::chromium::{Browser, PATIENCE};
use super::sandbox::Sandbox;

/// The demo, running, and its page in a browser.
pub(crate) struct Visit {
    pub(crate) browser: Browser,
    demo: Child,
    sandbox: Sandbox,
}

impl Visit {
    /// Starts the demo with these flags and opens its page.
    pub(crate) async fn begin(flags: &[&str]) -> anyhow::Result<Self> {
        let sandbox = Sandbox::new()?;
        let mut demo = Command::new(env!("CARGO_BIN_EXE_carcin-demo"))
            .args(flags)
            .env("TMPDIR", sandbox.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = demo.stdout.take().context("the demo has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let url = loop {
            let line = lines.next_line().await?.context("the demo ended before it was ready")?;
            if let Some(at) = line.find("http://") {
                break line[at..].trim().to_owned();
            }
        };
        // What it says at the end must not break its pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let browser = Browser::open(&url).await?;
        browser.wait("the page to be fed", "return document.body.dataset.state === 'online'").await?;
        Ok(Self { browser, demo, sandbox })
    }

    /// Writes a message and taps on Send.
    pub(crate) async fn say(&self, text: &str) -> anyhow::Result<()> {
        self.browser.type_into("#composer", text).await?;
        self.browser.click("#send", "").await
    }

    /// Waits for a message of the bot's with this in its text.
    pub(crate) async fn wait_for(&self, text: &str) -> anyhow::Result<()> {
        self.browser.wait(&format!("{text:?} from the bot"), &count(text)).await.map(drop)
    }

    /// Waits for the card of a turn that runs.
    pub(crate) async fn wait_for_work(&self) -> anyhow::Result<()> {
        let script = "return [...document.querySelectorAll('.message[data-from=bot] .text')]\
                      .some((one) => /Started|Working/.test(one.textContent))";
        self.browser.wait("the card of a turn that runs", script).await.map(drop)
    }

    /// How many messages of the bot's have this in their text.
    pub(crate) async fn count(&self, text: &str) -> anyhow::Result<u64> {
        Ok(self.browser.ask(&count(text)).await?.as_u64().unwrap_or(0))
    }

    /// Taps on one of the buttons beside the phone; what it reports.
    pub(crate) async fn act(&self, action: &str) -> anyhow::Result<String> {
        self.browser.click(&format!("#actions button[data-action={action}]"), "").await?;
        let script =
            "const text = document.getElementById('result').textContent; return text.length > 1 && text";
        let text = self.browser.wait(&format!("the report of {action}"), script).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Claude's working directory.
    pub(crate) fn work(&self) -> anyhow::Result<PathBuf> {
        let rigs = self.sandbox.files()?;
        Ok(rigs.first().context("the demo has no folder")?.join("work"))
    }

    /// Interrupts the demo, as Ctrl-C does; no process and no file of it may be left.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.browser.close().await?;
        let pid = self.demo.id().context("the demo has ended by itself")?;
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGINT)?;
        let status = tokio::time::timeout(PATIENCE, self.demo.wait()).await.context("it does not end")??;
        ensure!(status.code() == Some(130), "the demo ended with {status}");
        let (files, processes) = (self.sandbox.files()?, self.sandbox.living());
        ensure!(files.is_empty(), "files are left: {files:?}");
        ensure!(processes.is_empty(), "processes are left: {processes:?}");
        Ok(())
    }
}

/// A script that counts the bot's messages with this in their text; false for none.
fn count(text: &str) -> String {
    format!(
        "return [...document.querySelectorAll('.message[data-from=bot] .text')]\
         .filter((one) => one.textContent.includes({})).length || false",
        serde_json::json!(text)
    )
}
