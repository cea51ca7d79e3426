//! `claude` is replaced while it runs: what runs goes on, what begins is the new one, and nobody's prompt is lost.

#[macro_use]
mod e2e_support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use carcin_lab::rig::{Claude, REAL_CLAUDE_ENV, Rig};
use carcin_proto::event::PromptOutcome;
use e2e_support::{eventually, lives, status_says};

with_either_claude! {
    another_claude_in_its_place_is_the_next_one,
    a_claude_that_is_away_for_a_moment_is_waited_for,
    a_claude_that_cannot_be_run_is_told,
}

/// A program of this version that becomes the Claude of this kind.
fn version(claude: &Claude, programs: &Path, path: &Path, version: &str) -> anyhow::Result<()> {
    let program = match claude {
        Claude::Real => {
            PathBuf::from(std::env::var_os(REAL_CLAUDE_ENV).context("the real Claude is not set")?)
        }
        _ => programs.join("carcin-lab-claude"),
    };
    let text = format!(
        "#!/bin/sh\n[ \"$1\" != --version ] || {{ echo '{version} (Claude Code)'; exit; }}\nexport VERSION={version}\nexec '{}' \"$@\"\n",
        program.canonicalize()?.display()
    );
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    Ok(fs::rename(new, path)?)
}

fn runs(pid: u32) -> String {
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let environ = String::from_utf8_lossy(&environ).into_owned();
    let version = environ.split('\0').find_map(|entry| entry.strip_prefix("VERSION="));
    version.unwrap_or_default().to_owned()
}

async fn shown(rig: &Rig, version: Option<&str>) -> anyhow::Result<()> {
    let what = format!("version {version:?}");
    status_says(rig, &what, |status| (status.claude.version.as_deref() == version).then_some(())).await
}

async fn another_claude_in_its_place_is_the_next_one(claude: Claude) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let place = dir.path().join("claude");
    let rig = Rig::builder().claude(Claude::Path(place.clone())).start().await?;
    shown(&rig, None).await?;
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    version(&claude, rig.programs(), &one, "9.0.1")?;
    version(&claude, rig.programs(), &two, "9.0.2")?;
    symlink(&one, &place)?;
    shown(&rig, Some("9.0.1")).await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!stream 20 words\n!gate on\n!text Done").await?;
    talk.streamed("[20]").await?;
    let pid = talk.pid().await?;
    assert_eq!(runs(pid), "9.0.1");
    // The link is switched, then the program itself is written anew, then it goes.
    let link = dir.path().join("link");
    symlink(&two, &link)?;
    fs::rename(&link, &place)?;
    let second = rig.talk("tg:2");
    second.say("!text Hello").await?;
    assert_eq!(runs(second.pid().await?), "9.0.2");
    shown(&rig, Some("9.0.2")).await?;
    version(&claude, rig.programs(), &two, "9.0.3")?;
    let third = rig.talk("tg:3");
    third.say("!text Hello").await?;
    assert_eq!(runs(third.pid().await?), "9.0.3");
    shown(&rig, Some("9.0.3")).await?;
    fs::remove_file(&place)?;
    shown(&rig, None).await?;
    rig.open_gate("on")?;
    assert_eq!(talk.answer_to(prompt).await?.last().map(String::as_str), Some("Done"));
    assert_eq!(talk.pid().await?, pid);
    assert!(lives(pid));
    rig.finish().await
}

async fn a_claude_that_is_away_for_a_moment_is_waited_for(claude: Claude) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let place = dir.path().join("claude");
    let rig = Rig::builder().claude(Claude::Path(place.clone())).start().await?;
    let talk = rig.talk("tg:1");
    // It is away for a moment only: written before, it is put there at once.
    let new = dir.path().join("next");
    version(&claude, rig.programs(), &new, "9.0.1")?;
    let prompt = talk.send("!text Hello").await?;
    let missed = || rig.daemon.log_text().contains("Claude did not start; trying again").then_some(());
    eventually("it to be missed", missed).await?;
    fs::rename(&new, &place)?;
    assert_eq!(talk.answer_to(prompt).await?, ["Hello"], "{}", rig.events.log().transcript());
    rig.finish().await
}

async fn a_claude_that_cannot_be_run_is_told(claude: Claude) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let place = dir.path().join("claude");
    let rig = Rig::builder().claude(Claude::Path(place.clone())).start().await?;
    version(&claude, rig.programs(), &place, "9.0.1")?;
    fs::set_permissions(&place, fs::Permissions::from_mode(0o644))?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!text Hello").await?;
    let why = format!(
        "Claude could not be started: cannot run {}: Permission denied. Check that it can be executed",
        place.display()
    );
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Failed(why));
    shown(&rig, None).await?;
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    rig.finish().await
}
