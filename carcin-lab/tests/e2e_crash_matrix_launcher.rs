//! The rows of the crash matrix in which the launcher of a Claude dies, or the daemon while it is on its way.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Claude, Fault, Rig};
use carcin_proto::event::PromptOutcome;
use e2e_support::crash::{asked_once, complaints, has_directories, say, start};
use e2e_support::front::Front;
use e2e_support::{eventually, lives, signal, stands_still};
use nix::sys::signal::Signal;
use tokio::task::JoinHandle;

with_either_claude! {
    a_launcher_on_its_way_finds_itself_shut_out,
    a_launcher_with_its_claim_is_waited_for,
    a_launcher_that_hangs_is_ended,
    a_launcher_killed_before_it_is_claude_is_no_failure,
    a_launcher_and_the_daemon_killed_together_leave_nothing,
}

/// The launcher that stands still at a fault point.
async fn stopped_launcher(rig: &Rig) -> anyhow::Result<u32> {
    eventually("a launcher that stands still", || {
        let (pid, _) = rig.living().into_iter().find(|(_, command)| command.contains(" child "))?;
        stands_still(pid).then_some(pid)
    })
    .await
}

/// A launcher that stands still at this point, and no daemon any more.
async fn launcher_left_alone(
    rig: &mut Rig,
    front: &Front,
    point: &str,
) -> anyhow::Result<(u32, JoinHandle<anyhow::Result<PromptOutcome>>)> {
    rig.restart_armed(Fault::at(point).stop()).await?;
    let prompt = say(front, "once", "!text Once");
    let launcher = stopped_launcher(rig).await?;
    rig.arm(None)?;
    rig.kill_daemon().await?;
    Ok((launcher, prompt))
}

async fn a_launcher_on_its_way_finds_itself_shut_out(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    let (launcher, prompt) = launcher_left_alone(&mut rig, &front, "launcher-begins").await?;
    rig.restart_daemon().await?;
    assert_eq!(prompt.await??, PromptOutcome::Completed, "another Claude has it");
    signal(launcher, Signal::SIGCONT)?;
    eventually("the launcher to give up", || (!lives(launcher)).then_some(())).await?;
    assert_eq!(front.pids().len(), 1);
    assert!(!front.pids().contains(&launcher));
    asked_once(&rig, &["!text Once"])?;
    has_directories(&rig, 1).await?;
    rig.finish().await
}

async fn a_launcher_with_its_claim_is_waited_for(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, _) = start(claude).await?;
    for point in ["launcher-claimed", "launcher-leased"] {
        let front = Front::new(&rig, point);
        let (launcher, prompt) = launcher_left_alone(&mut rig, &front, point).await?;
        rig.daemon = rig.another_daemon(&[])?;
        signal(launcher, Signal::SIGCONT)?;
        rig.daemon.ready().await?;
        assert_eq!(prompt.await??, PromptOutcome::Completed);
        assert_eq!(front.pids(), [launcher], "it became the Claude that was taken up");
    }
    asked_once(&rig, &["!text Once", "!text Once"])?;
    rig.finish().await
}

async fn a_launcher_that_hangs_is_ended(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    let (launcher, prompt) = launcher_left_alone(&mut rig, &front, "launcher-claimed").await?;
    rig.restart_daemon().await?;
    assert_eq!(prompt.await??, PromptOutcome::Completed);
    assert!(!lives(launcher));
    assert_eq!(front.pids().len(), 1);
    asked_once(&rig, &["!text Once"])?;
    has_directories(&rig, 1).await?;
    rig.finish().await
}

async fn a_launcher_killed_before_it_is_claude_is_no_failure(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, _) = start(claude).await?;
    for point in ["launcher-begins", "launcher-claimed", "launcher-leased"] {
        let front = Front::new(&rig, point);
        // One more, and the prompt would be given up.
        rig.restart_armed(Fault::at(point).times(2)).await?;
        assert_eq!(front.say("once", "!text Once").await?, PromptOutcome::Completed, "{point}");
        assert_eq!(rig.fired(), 2, "{point}");
        assert_eq!(complaints(&front), [] as [&str; 0], "{point}");
        assert_eq!(front.times_said("Once"), 1);
    }
    asked_once(&rig, &["!text Once"; 3])?;
    has_directories(&rig, 3).await?;
    rig.finish().await
}

async fn a_launcher_and_the_daemon_killed_together_leave_nothing(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, _) = start(claude).await?;
    for point in ["launcher-begins", "launcher-claimed", "launcher-leased"] {
        let front = Front::new(&rig, point);
        rig.restart_armed(Fault::at(point).with_parent()).await?;
        let prompt = say(&front, "once", "!text Once");
        rig.dies().await?;
        rig.restart_daemon().await?;
        assert_eq!(prompt.await??, PromptOutcome::Completed, "{point}");
        assert_eq!(complaints(&front), [] as [&str; 0], "{point}");
    }
    asked_once(&rig, &["!text Once"; 3])?;
    has_directories(&rig, 3).await?;
    rig.finish().await
}
