//! The disk is full: that of what Claude prints, that of the journal, or both. Nothing is lost, what waits says why, a
//! stop gets through, and all goes on by itself.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Builder, Claude, Log, Rig, Talk};
use carcin_proto::Event;
use carcin_proto::event::{PromptOutcome, TurnOutcome};
use carcin_proto::request::Decision;
use e2e_support::disk::{Disk, Kind};
use e2e_support::journal::{self, state_of};
use e2e_support::{bash, endless_tool, eventually, lines, noted_pid, status, status_says, stops_unanswered};
use tokio::task::JoinHandle;

with_either_claude! {
    the_disk_of_the_spools_fills_up_in_mid_turn,
    the_disk_of_the_journal_fills_up_in_mid_turn,
    the_only_disk_fills_up_in_mid_turn,
    a_stop_gets_through_though_nothing_can_be_kept,
    an_answer_that_cannot_be_kept_is_taken_later_and_once,
    a_daemon_that_starts_with_a_full_disk_takes_up_what_runs,
}

mod memory {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_disk_of_the_spools_fills_up_in_mid_turn() {
        e2e_support::run(fills_up(Claude::Scripted, Kind::Tmpfs, Full::Spools)).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_disk_of_the_journal_fills_up_in_mid_turn() {
        e2e_support::run(fills_up(Claude::Scripted, Kind::Tmpfs, Full::Journal)).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_only_disk_fills_up_in_mid_turn() {
        e2e_support::run(fills_up(Claude::Scripted, Kind::Tmpfs, Full::Both)).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_start_with_no_room_for_the_journal_says_so_and_succeeds_later() {
        e2e_support::run(starts_later(Claude::Scripted)).await;
    }
}

/// What is on the disk that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    Spools,
    Journal,
    Both,
}

/// Room for the spools of a few Claudes, 32 MiB each at first, and for the daemon's floor.
const SIZE: u64 = 300;
const FLOOR: &str = "free_floor_mb = 64";

/// A rig whose state, or a part of it, is on the disk.
fn on_disk(
    builder: Builder,
    disk: &Disk,
    full: Full,
    elsewhere: &tempfile::TempDir,
) -> anyhow::Result<Builder> {
    let (state, children) = match full {
        Full::Both => return Ok(builder.state(&disk.path().join("state"))),
        Full::Spools => (elsewhere.path().join("state"), disk.path().join("children")),
        Full::Journal => (disk.path().join("state"), elsewhere.path().join("children")),
    };
    for dir in [&state, &children] {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().mode(0o700).create(dir)?;
    }
    std::os::unix::fs::symlink(children, state.join("children"))?;
    Ok(builder.state(&state))
}

async fn the_disk_of_the_spools_fills_up_in_mid_turn(claude: Claude) -> anyhow::Result<()> {
    fills_up(claude, Kind::Ext4, Full::Spools).await
}

async fn the_disk_of_the_journal_fills_up_in_mid_turn(claude: Claude) -> anyhow::Result<()> {
    fills_up(claude, Kind::Ext4, Full::Journal).await
}

async fn the_only_disk_fills_up_in_mid_turn(claude: Claude) -> anyhow::Result<()> {
    fills_up(claude, Kind::Ext4, Full::Both).await
}

async fn fills_up(claude: Claude, kind: Kind, full: Full) -> anyhow::Result<()> {
    let Some(disk) = Disk::mount(kind, SIZE)? else { return Ok(()) };
    let elsewhere = tempfile::tempdir()?;
    let builder = on_disk(Rig::builder().claude(claude).limits(FLOOR), &disk, full, &elsewhere)?;
    let rig = builder.start().await?;
    let talk = rig.talk("tg:1");
    assert_eq!(talk.say("!text Before").await?, ["Before"]);
    // It would take minutes.
    let running = talk.send("!stream 20000 words 10ms").await?;
    talk.streamed("[30]").await?;
    disk.fill(0)?;
    let free = "MB free: prompts wait";
    status_says(&rig, "the full disk to be told", |status| {
        status.problems.iter().any(|problem| problem.contains(free)).then_some(())
    })
    .await?;
    // Where the journal has no room for it, it is not answered until there is.
    let waiting = tokio::spawn({
        let talk = talk.clone();
        async move { talk.queue("!text After").await }
    });
    if full == Full::Spools {
        told(&rig, "The disk is nearly full: prompts wait").await?;
        assert_eq!(rig.events.ended(running).await?, PromptOutcome::Cancelled);
        let prompt = talk.send("!text Last").await?;
        // With the commit that makes it known, an idle Claude, and also one that works, would have been given it.
        assert_eq!(state_of(&rig, prompt)?.as_deref(), Some("accepted"), "it waits");
    } else {
        let kept = |problem: &String| problem.contains("the disk is full");
        status_says(&rig, "the journal's trouble", |status| status.problems.iter().any(kept).then_some(()))
            .await?;
    }
    disk.empty()?;
    assert_eq!(rig.events.ended(running).await?, PromptOutcome::Cancelled);
    assert!(talk.answer_to(waiting.await??).await?.contains(&"After".to_owned()));
    told(&rig, "There is space on the disk again: prompts go on").await?;
    status_says(&rig, "the trouble to be over", |status| status.problems.is_empty().then_some(())).await?;
    nothing_is_lost(&rig, &talk).await?;
    rig.finish().await
}

/// Waits for a notice.
async fn told(rig: &Rig, text: &str) -> anyhow::Result<()> {
    rig.events.wait_for(text, |e| matches!(&e.event, Event::Notice(notice) if notice.text == text)).await?;
    Ok(())
}

/// The numbers that the script puts into generated words: each tenth word has its own.
fn marks(text: &str) -> Vec<u64> {
    let numbers = text.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
    numbers.filter_map(|(number, _)| number.parse().ok()).collect()
}

/// Each line of Claude's was understood; what was kept of the turn that was cut off is all that was streamed of it,
/// without a hole.
async fn nothing_is_lost(rig: &Rig, talk: &Talk) -> anyhow::Result<()> {
    let log: Log = rig.events.log();
    let cut = log.envelopes().find_map(|envelope| match &envelope.event {
        Event::TurnEnded(ended) if matches!(&ended.outcome, TurnOutcome::Stopped(by) if by.contains("disk is nearly full")) => {
            Some(ended.turn)
        }
        _ => None,
    });
    let cut = cut.ok_or_else(|| anyhow::anyhow!("no turn was stopped\n{}", log.transcript()))?;
    let text = log.texts(talk.key(), cut).concat();
    let kept = marks(&text);
    let whole: Vec<u64> = (1..=kept.len() as u64).map(|ten| 10 * ten).collect();
    assert_eq!(kept, whole, "{text}");
    let streamed = marks(&log.streamed(talk.key())).into_iter().max();
    assert!(streamed >= Some(30) && kept.last().copied() >= streamed, "of {streamed:?} it kept {text}");
    let conversation = &log.state.conversations[talk.key()];
    assert_eq!(conversation.unrecognised, 0, "{}", log.transcript());
    assert_eq!(status(rig).await?.conversations[0].unrecognised, 0);
    Ok(())
}

/// The watch over the disk is set so low that it does nothing: what stops is the stop.
const NO_FLOOR: &str = "free_floor_mb = 0";

/// Has the journal's log take up all the room that it still has, until not even a short prompt can be kept.
async fn nothing_can_be_kept(rig: &Rig) -> anyhow::Result<()> {
    // What is too large for what is left may leave room for what is small.
    for (key, length) in [("tg:8", 200_000), ("tg:9", 10)] {
        let talk = rig.talk(key);
        let filling = async {
            loop {
                talk.queue(&format!("!text {}", "x".repeat(length))).await?;
            }
        };
        tokio::select! {
            refused = not_taken(rig, &talk) => refused?,
            failed = filling => return failed,
        }
    }
    let problem = |problem: &String| problem.contains("nothing can be kept");
    status_says(rig, "the trouble", |status| status.problems.iter().any(problem).then_some(())).await
}

/// Waits until the journal has not taken something of this conversation's.
async fn not_taken(rig: &Rig, talk: &Talk) -> anyhow::Result<()> {
    let what = format!("something of {} not to be taken", talk.key());
    eventually(&what, || is_not_taken(rig, talk).then_some(())).await
}

fn is_not_taken(rig: &Rig, talk: &Talk) -> bool {
    let of_talk = format!("conversation={} ", talk.key());
    let log = rig.daemon.log_text();
    log.lines().any(|line| line.contains("the journal does not take a commit") && line.contains(&of_talk))
}

async fn a_stop_gets_through_though_nothing_can_be_kept(claude: Claude) -> anyhow::Result<()> {
    let Some(disk) = Disk::mount(Kind::Ext4, SIZE)? else { return Ok(()) };
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").limits(NO_FLOOR);
    let rig = rig.state(&disk.path().join("state")).start().await?;
    let talk = rig.talk("tg:1");
    talk.send(&endless_tool("tool")).await?;
    let tool = noted_pid(&rig.places.work().join("tool")).await?;
    disk.fill(0)?;
    nothing_can_be_kept(&rig).await?;
    let stop = stops_unanswered(&talk, tool).await?;
    assert!(!stop.is_finished(), "nothing is answered before it is durable");
    disk.empty()?;
    assert!(stop.await??.was_running);
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    rig.finish().await
}

async fn an_answer_that_cannot_be_kept_is_taken_later_and_once(claude: Claude) -> anyhow::Result<()> {
    let Some(disk) = Disk::mount(Kind::Ext4, SIZE)? else { return Ok(()) };
    let rig = Rig::builder().claude(claude).limits(NO_FLOOR);
    let rig = rig.state(&disk.path().join("state")).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send(&format!("{}\n!text Done", bash("echo run >> $CWD/effects"))).await?;
    let request = talk.asked().await?.request;
    disk.fill(0)?;
    nothing_can_be_kept(&rig).await?;
    assert!(!is_not_taken(&rig, &talk), "what is not taken is to be the answer");
    let answers: Vec<_> = ["Alex", "Bo", "Chris"]
        .map(|by| {
            let (talk, request) = (talk.clone(), request.clone());
            tokio::spawn(async move { talk.answer(&request, Decision::Allow, by).await })
        })
        .into();
    not_taken(&rig, &talk).await?;
    assert!(!answers.iter().any(JoinHandle::is_finished), "nothing is answered before it is durable");
    assert_eq!(lines(&rig.places.work().join("effects")), [""; 0]);
    disk.empty()?;
    let mut taken = 0;
    for answer in answers {
        taken += usize::from(answer.await?.is_ok());
    }
    assert_eq!(taken, 1, "the first wins, the others are told");
    assert!(talk.answer_to(prompt).await?.contains(&"Done".to_owned()));
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    rig.finish().await
}

async fn a_daemon_that_starts_with_a_full_disk_takes_up_what_runs(claude: Claude) -> anyhow::Result<()> {
    let Some(disk) = Disk::mount(Kind::Ext4, SIZE)? else { return Ok(()) };
    let mut rig =
        Rig::builder().claude(claude).limits(FLOOR).state(&disk.path().join("state")).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!stream 30 words\n!gate on\n!text The end").await?;
    talk.streamed("[30]").await?;
    let pid = talk.pid().await?;
    rig.kill_daemon().await?;
    disk.fill(0)?;
    rig.restart_daemon().await?;
    let free = |problem: &String| problem.contains("MB free: prompts wait");
    status_says(&rig, "the full disk to be told", |status| status.problems.iter().any(free).then_some(()))
        .await?;
    let other = rig.talk("tg:2");
    let waiting = tokio::spawn({
        let other = other.clone();
        async move { other.send("!text After").await }
    });
    disk.empty()?;
    // Stopped for want of space, or not yet: both are fine, as long as it is told.
    rig.open_gate("on")?;
    let outcome = rig.events.ended(prompt).await?;
    assert!(matches!(outcome, PromptOutcome::Completed | PromptOutcome::Cancelled), "{outcome:?}");
    assert_eq!(other.answer_to(waiting.await??).await?, ["After"]);
    assert_eq!(talk.say("!text Still here").await?.last().map(String::as_str), Some("Still here"));
    if outcome == PromptOutcome::Completed {
        assert_eq!(talk.pid().await?, pid);
    }
    assert_eq!(rig.events.log().state.conversations[talk.key()].unrecognised, 0);
    rig.finish().await
}

/// With the journal's log taken in and removed, a new one must be made.
async fn starts_later(claude: Claude) -> anyhow::Result<()> {
    let Some(disk) = Disk::mount(Kind::Tmpfs, SIZE)? else { return Ok(()) };
    let mut rig =
        Rig::builder().claude(claude).limits(FLOOR).state(&disk.path().join("state")).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Before").await?;
    rig.terminate_daemon().await?;
    // It stays after an orderly end, too: the reader's connection is open to the last.
    let journal = journal::path(&rig);
    journal::fold(&journal)?;
    assert!(!journal::log_of(&journal).exists(), "the last who has it open removes it");
    disk.fill(0)?;
    let mut refused = rig.another_daemon(&[])?;
    let status = refused.wait(carcin_lab::rig::PATIENCE).await?;
    assert_eq!(status.code(), Some(1), "{}", refused.log_text());
    assert!(refused.log_text().contains("the disk is full"), "{}", refused.log_text());
    disk.empty()?;
    rig.restart_daemon().await?;
    assert_eq!(talk.say("!text After").await?, ["After"]);
    rig.finish().await
}
