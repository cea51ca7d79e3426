//! The demo as a visitor sees it: the program itself, and its page in a headless Chromium.
//!
//! ```sh
//! CARCIN_CHROMEDRIVER=/usr/bin/chromedriver cargo test -p carcin-lab --test browser -- --ignored scripted
//! ```

mod chromium;
mod page;
mod sandbox;
mod visit;

use std::future::Future;

use anyhow::{Context as _, ensure};
use visit::Visit;

/// Runs each test with the scripted Claude, and with the real one.
macro_rules! with_either_claude {
    ($($name:ident),+ $(,)?) => {
        mod scripted {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs Chromium: set CARCIN_CHROMEDRIVER"]
            async fn $name() {
                super::visit(&["--scripted"], super::$name).await;
            })+
        }
        mod real {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs Chromium and the real Claude Code: set CARCIN_CHROMEDRIVER and CARCIN_REAL_CLAUDE"]
            async fn $name() {
                let claude = std::env::var("CARCIN_REAL_CLAUDE").expect("CARCIN_REAL_CLAUDE is set");
                super::visit(&["--claude", &claude], super::$name).await;
            })+
        }
    };
}

with_either_claude! {
    a_text_is_answered,
    a_tool_runs_when_its_button_is_pressed,
    a_defect_is_found_and_mended,
    a_story_is_stopped_in_the_middle,
    a_task_outlives_the_bot_and_is_answered_once,
    a_task_outlives_the_daemon_and_is_answered_once,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium: set CARCIN_CHROMEDRIVER"]
async fn scripted_page_shows_everything() {
    if let Err(error) = page::shows_everything().await {
        panic!("{error:?}");
    }
}

/// Takes the picture for the README: `CARCIN_PICTURE` says where to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium: set CARCIN_CHROMEDRIVER"]
async fn scripted_picture() {
    visit(&["--scripted"], take_picture).await;
}

async fn take_picture(visit: Visit) -> anyhow::Result<()> {
    visit.say("The greeter forgets people. Please fix it!").await?;
    visit.wait_for("May I use Edit?").await?;
    visit.browser.click(".keyboard button", "Allow").await?;
    visit.wait_for("May I use Bash?").await?;
    visit.wait_for("Waiting for your answer").await?;
    let at_rest = "return document.querySelector('.keyboard [data-pending]') === null && \
                   document.getElementById('toast').hidden && \
                   document.getAnimations().every((one) => one.playState !== 'running')";
    visit.browser.wait("the page to come to rest", at_rest).await?;
    let picture = visit.browser.picture().await?;
    ensure!(picture.starts_with(b"\x89PNG"), "this is no picture");
    if let Some(path) = std::env::var_os("CARCIN_PICTURE") {
        std::fs::write(&path, picture).with_context(|| format!("cannot write {}", path.display()))?;
    }
    visit.end().await
}

/// Runs a test within a visit, and shows the whole error.
async fn visit<'a, T>(flags: &[&str], test: impl FnOnce(Visit) -> T)
where
    T: Future<Output = anyhow::Result<()>> + 'a,
{
    let tested = async { test(Visit::begin(flags).await?).await };
    if let Err(error) = tested.await {
        panic!("{error:?}");
    }
}

async fn a_text_is_answered(visit: Visit) -> anyhow::Result<()> {
    visit.say("Good morning").await?;
    visit.wait_for("You said: “Good morning”.").await?;
    visit.wait_for("✅ Done").await?;
    visit.end().await
}

async fn a_tool_runs_when_its_button_is_pressed(visit: Visit) -> anyhow::Result<()> {
    visit.say("create a file").await?;
    visit.wait_for("May I use Write?").await?;
    let file = visit.work()?.join("hello.md");
    ensure!(!file.exists(), "the tool ran before it was allowed");
    visit.browser.click(".keyboard button", "Allow").await?;
    visit.wait_for("Allowed by Ann").await?;
    visit.wait_for("The result was").await?;
    let written = std::fs::read_to_string(&file).context("the tool did not run")?;
    ensure!(written.contains("Written from a phone"), "{written}");
    visit.end().await
}

async fn a_defect_is_found_and_mended(visit: Visit) -> anyhow::Result<()> {
    visit.say("fix the test").await?;
    visit.wait_for("May I use Edit?").await?;
    visit.browser.click(".keyboard button", "Allow").await?;
    visit.wait_for("May I use Bash?").await?;
    visit.browser.click(".keyboard button", "Allow").await?;
    visit.wait_for("ok: Hello, Ann Bob!").await?;
    visit.wait_for("✅ Done").await?;
    visit.end().await
}

async fn a_story_is_stopped_in_the_middle(visit: Visit) -> anyhow::Result<()> {
    visit.say("tell a long story").await?;
    visit.wait_for_work().await?;
    visit.say("/stop").await?;
    visit.wait_for("Stopped by Ann").await?;
    ensure!(visit.count("[400]").await? == 0, "the story was told to its end");
    visit.say("Still there?").await?;
    visit.wait_for("You said: “Still there?”.").await?;
    visit.end().await
}

async fn a_task_outlives_the_bot_and_is_answered_once(visit: Visit) -> anyhow::Result<()> {
    outlives(visit, "restart-bot", "carcin-tg").await
}

async fn a_task_outlives_the_daemon_and_is_answered_once(visit: Visit) -> anyhow::Result<()> {
    outlives(visit, "restart-daemon", "carcind").await
}

async fn outlives(visit: Visit, action: &str, program: &str) -> anyhow::Result<()> {
    visit.say("!stream 400 words 50ms").await?;
    visit.wait_for_work().await?;
    let report = visit.act(action).await?;
    ensure!(report.contains(&format!("kill -9 {program}")), "{report}");
    ensure!(report.contains("Claude is the same process as before"), "{report}");
    ensure!(visit.count("[400]").await? == 0, "the task was over before {program} was started again");
    visit.wait_for("[400]").await?;
    visit.wait_for("✅ Done").await?;
    // Whatever comes twice has come when the next answer is there.
    visit.say("Good morning").await?;
    visit.wait_for("You said: “Good morning”.").await?;
    for once in ["[10]", "[400]", "You said: “Good morning”."] {
        ensure!(visit.count(once).await? == 1, "{once} came {} times", visit.count(once).await?);
    }
    visit.end().await
}
