//! The daemon is told to end before it is ready.

#[macro_use]
mod e2e_support;

use std::path::PathBuf;

use carcin_lab::rig::{Claude, Fault};
use carcin_proto::event::PromptOutcome;
use e2e_support::crash::{asked_once, say, start};
use e2e_support::{eventually, lines, signal};
use nix::sys::signal::Signal;

with_either_claude! {
    told_to_end_while_it_waits_for_a_launcher_it_ends_and_the_next_start_goes_on,
}

/// Whether a process has a handler for SIGTERM: before that, it would end of it in any case.
fn hears_sigterm(pid: u32) -> bool {
    lines(&PathBuf::from(format!("/proc/{pid}/status"))).iter().any(|line| {
        let caught = line.strip_prefix("SigCgt:").and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        caught.is_some_and(|set| set & 1 << (Signal::SIGTERM as i32 - 1) != 0)
    })
}

async fn told_to_end_while_it_waits_for_a_launcher_it_ends_and_the_next_start_goes_on(
    claude: Claude,
) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    rig.restart_armed(Fault::at("launcher-claimed").stop()).await?;
    let said = say(&front, "first", "!text Hello");
    eventually("the launcher to stand still", || (rig.fired() > 0).then_some(())).await?;
    rig.kill_daemon().await?;
    rig.arm(None)?;
    // It waits for the launcher for ten seconds.
    rig.daemon = rig.another_daemon(&[])?;
    let pid = rig.daemon.pid();
    eventually("the daemon to hear", || hears_sigterm(pid).then_some(())).await?;
    signal(pid, Signal::SIGTERM)?;
    let ended = rig.daemon.wait(carcin_lab::rig::PATIENCE).await?;
    let log = rig.daemon.log_text();
    assert!(ended.success(), "{ended}: {log}");
    assert!(log.contains("told to end before it was ready; the Claudes go on"), "{log}");
    rig.restart_daemon().await?;
    assert_eq!(said.await??, PromptOutcome::Completed);
    asked_once(&rig, &["!text Hello"])?;
    rig.finish().await
}
