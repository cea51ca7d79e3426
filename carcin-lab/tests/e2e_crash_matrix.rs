//! The rows of the crash matrix in which the daemon dies: each at its own place, with what the model was asked, what
//! the journal holds and what a subscriber was told. `e2e_crash_matrix_walk` has all places and one conversation.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Claude, Fault, Heard, Rig};
use carcin_proto::event::{PromptOutcome, Settlement};
use carcin_proto::request::Decision;
use carcin_proto::{Cursor, Event, RefusalCode, Seq};
use e2e_support::front::Front;
use e2e_support::{bash, eventually, lines, lives, run, signal};
use nix::sys::signal::Signal;

with_either_claude! {
    request_sent_and_no_reply_it_is_answered_as_it_was,
    prompt_durable_and_no_claude_yet_one_is_started,
    spawned_and_its_pid_not_recorded_it_is_found_by_its_lease,
    a_launcher_on_its_way_finds_itself_shut_out,
    a_launcher_with_its_claim_is_waited_for,
    a_launcher_killed_before_it_is_claude_is_no_failure,
    a_launcher_and_the_daemon_killed_together_leave_nothing,
    a_prompt_not_written_or_written_reaches_claude_once,
    a_receipt_in_the_spool_is_found_before_anything_is_sent_again,
    a_line_not_committed_is_read_again,
    committed_and_not_published_it_is_replayed,
    received_and_not_committed_by_the_front_end_it_is_told_again,
    an_answer_not_written_or_written_has_its_effect_once,
    of_an_answer_before_the_death_and_another_after_it_the_first_wins,
    a_stop_not_written_or_written_stops_what_it_was_to_stop_and_nothing_later,
    dying_while_it_takes_up_claude_it_dies_alone,
    dying_after_every_few_commits_it_gets_everything_done,
    dying_before_the_directory_is_removed_leaves_none,
}

async fn start(claude: Claude) -> anyhow::Result<(Rig, Front)> {
    let rig = Rig::builder().claude(claude).faults().permission_mode("bypassPermissions").start().await?;
    let front = Front::new(&rig, "tg:1");
    Ok((rig, front))
}

/// The daemon that runs is replaced by one with this fault.
async fn armed(rig: &mut Rig, point: &str) -> anyhow::Result<()> {
    rig.restart_armed(Fault::at(point)).await
}

/// Asks in the background, as a front end does while the daemon dies under it.
fn say(front: &Front, key: &'static str, text: &'static str) -> tokio::task::JoinHandle<anyhow::Result<PromptOutcome>> {
    let front = front.clone();
    tokio::spawn(async move { front.say(key, text).await })
}

/// It is the first witness: what the model was asked, each once.
fn asked_once(rig: &Rig, prompts: &[&str]) -> anyhow::Result<()> {
    let asked = rig.asked()?;
    anyhow::ensure!(asked == prompts, "the model was asked {asked:?}\n{}", rig.events.log().transcript());
    Ok(())
}

/// How often something is in the journal.
async fn journalled(rig: &Rig, is_it: impl Fn(&Event) -> bool) -> anyhow::Result<usize> {
    Ok(rig.journal().await?.iter().filter(|(_, envelope)| is_it(&envelope.event)).count())
}

async fn request_sent_and_no_reply_it_is_answered_as_it_was(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    armed(&mut rig, "reply-unsent").await?;
    let once = tokio::spawn({
        let front = front.clone();
        async move { front.submit("once", "!text Once").await }
    });
    rig.dies().await?;
    rig.restart_daemon().await?;
    let told = once.await??;
    assert_eq!(front.submit("once", "!text Once").await?, told);
    assert_eq!(front.ended(told.prompt).await?, PromptOutcome::Completed);
    assert_eq!(front.submit("once", "!text Once").await?, told, "also when it is done");
    let accepted = rig.journal().await?;
    let at = accepted.iter().find(|(_, e)| matches!(&e.event, Event::PromptAccepted(a) if a.prompt == told.prompt));
    assert_eq!(at.map(|(seq, _)| *seq), Some(told.seq));
    asked_once(&rig, &["!text Once"])?;
    rig.finish().await
}

async fn prompt_durable_and_no_claude_yet_one_is_started(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, _) = start(claude).await?;
    let mut expected = Vec::new();
    for point in ["prompt-committed", "spawn-due", "directory-made"] {
        let front = Front::new(&rig, point);
        armed(&mut rig, point).await?;
        let prompt = say(&front, "once", "!text Once");
        rig.dies().await?;
        rig.restart_daemon().await?;
        assert_eq!(prompt.await??, PromptOutcome::Completed, "{point}");
        assert_eq!(front.times_said("Once"), 1, "{point}");
        assert_eq!(front.pids().len(), 1, "{point}: one Claude was recorded, and it was not there before");
        expected.push("!text Once");
        asked_once(&rig, &expected)?;
    }
    rig.finish().await
}

async fn spawned_and_its_pid_not_recorded_it_is_found_by_its_lease(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    armed(&mut rig, "spawned-unrecorded").await?;
    let prompt = say(&front, "once", "!text Once");
    rig.dies().await?;
    let mine = |(_, command): &(u32, String)| command.contains("--session-id");
    let pids: Vec<u32> = rig.living().iter().filter(|it| mine(it)).map(|(pid, _)| *pid).collect();
    assert_eq!(pids.len(), 1, "{:?}", rig.living());
    assert_eq!(journalled(&rig, |event| matches!(event, Event::ProcessStarted(_))).await.ok(), None);
    rig.restart_daemon().await?;
    assert_eq!(prompt.await??, PromptOutcome::Completed);
    assert_eq!(front.pids(), pids, "it is the one that was started");
    let adopted = |event: &Event| matches!(event, Event::ProcessStarted(started) if started.adopted);
    assert_eq!(journalled(&rig, adopted).await?, 1);
    asked_once(&rig, &["!text Once"])?;
    rig.finish().await
}
