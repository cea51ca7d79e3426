//! A headless Chromium, driven through `WebDriver`.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use thirtyfour::common::capabilities::chromium::ChromiumLikeCapabilities as _;
use thirtyfour::prelude::*;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::sandbox::Sandbox;

/// The variable that names Chromium's `WebDriver`.
const CHROMEDRIVER_ENV: &str = "CARCIN_CHROMEDRIVER";
/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// How often to look at the page: `WebDriver` cannot be told of a change.
const LOOK: Duration = Duration::from_millis(50);
/// A phone's window, in CSS pixels.
const PHONE: (u32, u32) = (420, 860);

/// A browser window with a page in it. [`Self::close`] ends it in peace; dropped, it is killed.
pub(crate) struct Browser {
    driver: WebDriver,
    chromedriver: Child,
    _output: Lines<BufReader<ChildStdout>>,
    _sandbox: Sandbox,
}

impl Browser {
    /// Opens `url` in a window as large as a phone's, twice as sharp.
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        let program = std::env::var_os(CHROMEDRIVER_ENV).with_context(|| {
            format!("{CHROMEDRIVER_ENV} is not set\nhint: set it to the path of chromedriver")
        })?;
        let sandbox = Sandbox::new()?;
        // Its profile and all that it writes besides.
        let mut chromedriver = Command::new(program)
            .arg("--port=0")
            .env("TMPDIR", sandbox.path())
            .env("HOME", sandbox.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start chromedriver")?;
        let output = chromedriver.stdout.take().context("chromedriver has no stdout")?;
        let mut output = BufReader::new(output).lines();
        let port = port(&mut output).await?;
        let mut wanted = DesiredCapabilities::chrome();
        let profile = format!("--user-data-dir={}", sandbox.path().join("profile").display());
        for flag in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            &profile,
        ] {
            wanted.add_arg(flag)?;
        }
        let metrics =
            serde_json::json!({"width": PHONE.0, "height": PHONE.1, "pixelRatio": 2.0, "touch": false});
        wanted.add_experimental_option("mobileEmulation", serde_json::json!({"deviceMetrics": metrics}))?;
        let driver = WebDriver::new(&format!("http://127.0.0.1:{port}"), wanted).await?;
        driver.goto(url).await?;
        Ok(Self { driver, chromedriver, _output: output, _sandbox: sandbox })
    }

    /// Waits until `script`, the body of a function in the page, returns something true.
    pub(crate) async fn wait(&self, what: &str, script: &str) -> anyhow::Result<serde_json::Value> {
        let looking = async {
            loop {
                let found = self.driver.execute(script, Vec::new()).await?.json().clone();
                if !matches!(found, serde_json::Value::Null | serde_json::Value::Bool(false)) {
                    return anyhow::Ok(found);
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        if let Ok(found) = tokio::time::timeout(PATIENCE, looking).await {
            return found;
        }
        let shown = self.text("body").await.unwrap_or_else(|error| error.to_string());
        bail!("waited {PATIENCE:?} in vain for {what}; the page shows:\n{shown}")
    }

    /// What `script`, the body of a function in the page, returns.
    pub(crate) async fn ask(&self, script: &str) -> anyhow::Result<serde_json::Value> {
        Ok(self.driver.execute(script, Vec::new()).await?.json().clone())
    }

    /// Clicks, as a finger does, on the first element that `selector` finds and whose text contains `label`.
    pub(crate) async fn click(&self, selector: &str, label: &str) -> anyhow::Result<()> {
        let clicking = async {
            // An element may be drawn anew between finding it and clicking on it, or be moving.
            while let Err(_not_yet) = self.try_click(selector, label).await {
                tokio::time::sleep(LOOK).await;
            }
        };
        match tokio::time::timeout(PATIENCE, clicking).await {
            Ok(()) => Ok(()),
            Err(_) => bail!("nothing to click on: {label:?} in {selector}\n{}", self.text("body").await?),
        }
    }

    async fn try_click(&self, selector: &str, label: &str) -> anyhow::Result<()> {
        for element in self.driver.find_all(By::Css(selector)).await? {
            if element.text().await?.contains(label) {
                return Ok(element.click().await?);
            }
        }
        bail!("not there")
    }

    /// Types into the first element that `selector` finds.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        Ok(self.driver.find(By::Css(selector)).await?.send_keys(text).await?)
    }

    /// The text of the first element that `selector` finds.
    pub(crate) async fn text(&self, selector: &str) -> anyhow::Result<String> {
        Ok(self.driver.find(By::Css(selector)).await?.text().await?)
    }

    /// A picture of the window, as PNG.
    pub(crate) async fn picture(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.driver.screenshot_as_png().await?)
    }

    /// Ends the browser and its driver.
    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        self.driver.quit().await?;
        self.chromedriver.kill().await?;
        Ok(())
    }
}

/// The port that chromedriver took.
async fn port(output: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<u16> {
    let reading = async {
        while let Some(line) = output.next_line().await? {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return Ok(port.trim_end_matches('.').parse()?);
            }
        }
        bail!("chromedriver ended at once")
    };
    tokio::time::timeout(PATIENCE, reading).await.context("chromedriver did not start")?
}
