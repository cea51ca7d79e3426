//! Time is not what it was: the clock jumps, or a process stands still for a while.

#[macro_use]
mod e2e_support;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use carcin_lab::rig::{Claude, Rig};
use carcin_proto::event::PromptOutcome;
use carcin_proto::{Event, Millis};
use e2e_support::clock::Clock;
use e2e_support::disk::skip;
use e2e_support::{endless_tool, eventually, lives, noted_pid, run, status};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

with_either_claude! {
    a_daemon_that_stood_still_loses_nothing,
    a_claude_that_stood_still_is_waited_for,
    a_daemon_that_stood_still_does_not_end_a_claude_that_obeyed_meanwhile,
}

/// Longer than any time-out of the daemon's that could be meant for a Claude.
const STANDSTILL: Duration = Duration::from_secs(30);
/// What `carcind` leaves a Claude that was told to stop, before it does more (`conversation::machine::RUNG`).
const RUNG: Duration = Duration::from_secs(5);

async fn stand_still(pid: u32, time: Duration) -> anyhow::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?);
    kill(pid, Signal::SIGSTOP)?;
    tokio::time::sleep(time).await;
    Ok(kill(pid, Signal::SIGCONT)?)
}

async fn a_daemon_that_stood_still_loses_nothing(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!stream 400 words 20ms\n!text The end").await?;
    talk.streamed("[20]").await?;
    let pid = talk.pid().await?;
    stand_still(rig.daemon.pid(), STANDSTILL).await?;
    let answer = talk.answer_to(prompt).await?;
    assert!(answer[0].contains("[400]") && answer[1] == "The end", "{answer:?}");
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert_eq!(talk.pid().await?, pid);
    no_complaint(&rig);
    rig.finish().await
}

async fn a_claude_that_stood_still_is_waited_for(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!stream 200 words 20ms\n!text The end").await?;
    talk.streamed("[20]").await?;
    let pid = talk.pid().await?;
    stand_still(pid, STANDSTILL).await?;
    let answer = talk.answer_to(prompt).await?;
    assert!(answer[0].contains("[200]") && answer[1] == "The end", "{answer:?}");
    assert_eq!(talk.pid().await?, pid);
    no_complaint(&rig);
    rig.finish().await
}

fn no_complaint(rig: &Rig) {
    let log = rig.events.log();
    let odd =
        |event: &Event| matches!(event, Event::Notice(_) | Event::ProcessEnded(_) | Event::Unrecognised(_));
    assert!(!log.envelopes().any(|envelope| odd(&envelope.event)), "{}", log.transcript());
}

/// Whether the one Claude has something to read. It can be looked at, for Claude itself keeps its input open.
fn has_input(state: &Path) -> bool {
    let children = std::fs::read_dir(state.join("children")).into_iter().flatten().flatten();
    children.map(|child| child.path().join("stdin")).any(|path| {
        let flags = OFlag::O_NONBLOCK.bits();
        let Ok(input) = File::options().read(true).custom_flags(flags).open(path) else { return false };
        poll(&mut [PollFd::new(input.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
    })
}

/// How many turns the one Claude has told the end of, as far as that is still kept.
fn results(state: &Path) -> usize {
    let children = std::fs::read_dir(state.join("children")).into_iter().flatten().flatten();
    let said = children.filter_map(|child| std::fs::read(child.path().join("stdout")).ok());
    let result = br#""type":"result""#;
    said.map(|said| said.windows(result.len()).filter(|part| part == result).count()).sum()
}

/// The rung of the ladder is due when it wakes up, and Claude has obeyed long ago.
async fn a_daemon_that_stood_still_does_not_end_a_claude_that_obeyed_meanwhile(
    claude: Claude,
) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    for round in 0..3 {
        let name = format!("tool-{round}");
        let prompt = talk.send(&endless_tool(&name)).await?;
        let tool = noted_pid(&rig.places.work().join(&name)).await?;
        let pid = talk.pid().await?;
        // It is still when Claude says that it obeys.
        let claude = Pid::from_raw(i32::try_from(pid)?);
        kill(claude, Signal::SIGSTOP)?;
        talk.stop().await?;
        eventually("Claude to be told", || has_input(&rig.places.state()).then_some(())).await?;
        let daemon = Pid::from_raw(i32::try_from(rig.daemon.pid())?);
        kill(daemon, Signal::SIGSTOP)?;
        let before = results(&rig.places.state());
        kill(claude, Signal::SIGCONT)?;
        eventually("the tool to end", || (!lives(tool)).then_some(())).await?;
        eventually("Claude to obey", || (results(&rig.places.state()) > before).then_some(())).await?;
        tokio::time::sleep(RUNG + Duration::from_secs(1)).await;
        kill(daemon, Signal::SIGCONT)?;
        assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Cancelled);
        assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
        assert_eq!(talk.pid().await?, pid, "{}", rig.events.log().transcript());
    }
    no_complaint(&rig);
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_a_day_changes_nothing() {
    run(async {
        let Some(clock) = Clock::new()? else { return skip("libfaketime is not installed") };
        let rig = clock.given_to(Rig::builder()).idle_exit(Duration::from_mins(10));
        let begun = Instant::now();
        let rig = rig.permission_mode("bypassPermissions").start().await?;
        let talk = rig.talk("tg:1");
        talk.say("!text Before").await?;
        let pid = talk.pid().await?;
        let first = last_moment(&rig);
        for (jump, name) in [("+1d", "forth"), ("-1d", "back"), ("+0", "home")] {
            let gate = format!("gate-{}", name.len());
            let prompt = talk.send(&format!("!stream 20 words\n!gate {gate}\n!text {name}")).await?;
            talk.streamed("[20]").await?;
            clock.set(jump)?;
            rig.open_gate(&gate)?;
            let answer = talk.answer_to(prompt).await?;
            assert_eq!(answer.last().map(String::as_str), Some(name));
            let tool = endless_tool(name);
            let stopped = talk.send(&tool).await?;
            noted_pid(&rig.places.work().join(name)).await?;
            talk.stop().await?;
            assert_eq!(rig.events.ended(stopped).await?, PromptOutcome::Cancelled);
            let uptime = status(&rig).await?.uptime_ms;
            assert!(uptime.0 <= u64::try_from(begun.elapsed().as_millis())?, "{uptime:?}");
            let now = last_moment(&rig);
            let day = 24 * 3600 * 1000;
            let jumped = now.0.abs_diff(first.0);
            match name {
                "home" => assert!(jumped < day / 2, "{first:?} {now:?}"),
                _ => assert!(jumped > day / 2, "the clock did not jump: {first:?} {now:?}"),
            }
        }
        assert_eq!(talk.pid().await?, pid, "{}", rig.events.log().transcript());
        let log = rig.events.log();
        for envelope in log.envelopes() {
            if let Event::TurnEnded(ended) = &envelope.event {
                let passed = Millis(u64::try_from(begun.elapsed().as_millis())?);
                assert!(ended.duration <= passed, "{ended:?} in {passed:?}");
            }
        }
        rig.finish().await
    })
    .await;
}

fn last_moment(rig: &Rig) -> Millis {
    rig.events.log().envelopes().last().map_or(Millis(0), |envelope| envelope.at)
}
