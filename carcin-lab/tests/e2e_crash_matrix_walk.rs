//! The daemon dies at each of its fault points, twice, in one and the same conversation: nobody who takes part may
//! be able to tell afterwards, but by the time it took.

#[macro_use]
mod e2e_support;

use anyhow::bail;
use carcin_lab::rig::{Claude, Fault, Heard, PATIENCE, Rig};
use carcin_proto::Request;
use carcin_proto::event::{PromptOutcome, Settlement};
use carcin_proto::request::{Decision, GapReason, Notify};
use e2e_support::front::Front;
use e2e_support::{bash, lines, run, signal};
use nix::sys::signal::Signal;

/// A test for each point, with either Claude, and the list of the points.
macro_rules! walk {
    ($($name:ident = $point:literal,)+) => {
        const WALKED: &[&str] = &[$($point),+];

        mod dying_at {
            mod scripted {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    $crate::run($crate::walk(carcin_lab::rig::Claude::Scripted, $point)).await;
                })+
            }
            mod real {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs the real Claude Code CLI: set CARCIN_REAL_CLAUDE"]
                async fn $name() {
                    $crate::run($crate::walk(carcin_lab::rig::Claude::Real, $point)).await;
                })+
            }
        }
    };
}

walk! {
    prompt_committed = "prompt-committed",
    committed = "committed",
    spawn_due = "spawn-due",
    directory_made = "directory-made",
    launcher_started = "launcher-started",
    launcher_begins = "launcher-begins",
    launcher_claimed = "launcher-claimed",
    launcher_leased = "launcher-leased",
    spawned_unrecorded = "spawned-unrecorded",
    spawn_committed = "spawn-committed",
    control_unwritten = "control-unwritten",
    control_written = "control-written",
    prompt_unwritten = "prompt-unwritten",
    prompt_written = "prompt-written",
    reply_unsent = "reply-unsent",
    receipt_unread = "receipt-unread",
    receipt_committed = "receipt-committed",
    line_uncommitted = "line-uncommitted",
    text_committed = "text-committed",
    event_unsent = "event-unsent",
    question_committed = "question-committed",
    answer_committed = "answer-committed",
    answer_unwritten = "answer-unwritten",
    answer_written = "answer-written",
    stop_committed = "stop-committed",
    interrupt_unwritten = "interrupt-unwritten",
    interrupt_written = "interrupt-written",
    turn_end_committed = "turn-end-committed",
    prompt_end_committed = "prompt-end-committed",
    recovering = "recovering",
    adopted_uncommitted = "adopted-uncommitted",
    adopted_committed = "adopted-committed",
    caught_up_uncommitted = "caught-up-uncommitted",
    recovered = "recovered",
    exit_uncommitted = "exit-uncommitted",
    exit_committed = "exit-committed",
    directory_swept = "directory-swept",
    snapshot_stored = "snapshot-stored",
    pruning = "pruning",
    closing = "closing",
    closed = "closed",
    shutdown_signalled = "shutdown-signalled",
    shutdown_half_way = "shutdown-half-way",
    shutdown_done = "shutdown-done",
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_point_is_walked() {
    run(async {
        assert_eq!(Rig::fault_points().await?, WALKED);
        Ok(())
    })
    .await;
}

/// The prompt with a question in it, and a pause in which it is steered.
fn first() -> String {
    format!("{}\n!text Half\n!gate on\n!todo > one\n!text Whole", bash("echo run >> $CWD/effects"))
}

async fn walk(claude: Claude, point: &str) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).faults().start().await?;
    let front = Front::new(&rig, "walk");
    let fault = Fault::at(point).times(2);
    if point == "pruning" {
        return prune(rig, fault).await;
    }
    rig.arm(Some(fault))?;
    rig.kill_daemon().await?;
    converse(&mut rig, &front).await?;
    match point {
        "snapshot-stored" => rig.through_faults(chatter(&front)).await?,
        "closing" | "closed" => terminate(&mut rig).await?,
        _ if point.starts_with("shutdown") => shut_down(&mut rig).await?,
        _ => {}
    }
    anyhow::ensure!(rig.fired() > 0, "nobody came to {point}: it is no place to die");
    rig.arm(None)?;
    kill_if_alive(&mut rig).await?;
    rig.restart_daemon().await?;
    assert_eq!(front.say("last", "!text Still here").await?, PromptOutcome::Completed);
    let mut asked = rig.asked()?;
    asked.retain(|prompt| prompt != OPEN);
    asked.sort();
    let mut expected =
        [&first(), "!text Steered", ENDLESS, "!text Fourth", "!text Fifth", "!text Still here"];
    expected.sort_unstable();
    assert_eq!(asked, expected);
    for text in ["Half", "Whole", "Steered", "Endless", "Fourth", "Fifth", "Still here"] {
        assert_eq!(front.times_said(text), 1, "{text}: {}", rig.events.log().transcript());
    }
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    rig.finish().await
}

const ENDLESS: &str = "!text Endless\n!gate never";
const OPEN: &str = "!text Open\n!gate never";

/// A prompt with a question, a plain kill while that is open, the answer, a second prompt that steers, a stop, a
/// prompt to the same Claude and one to a new session.
async fn converse(rig: &mut Rig, front: &Front) -> anyhow::Result<()> {
    let script = first();
    let begin = async {
        let first = front.submit("first", &script).await?;
        Ok((first, front.asked().await?.request))
    };
    let (accepted, request) = rig.through_faults(begin).await?;
    kill_if_alive(rig).await?;
    let half = async {
        assert_eq!(front.submit("first", &script).await?, accepted, "the key is known");
        match front.answer(&request, Decision::Allow).await? {
            Ok(settlement) => assert_eq!(settlement, Settlement::Allowed),
            // The one before the death was the first.
            Err(refusal) => assert_eq!(refusal.message, "Alex allowed it already"),
        }
        front.said("Half").await?;
        Ok(front.submit("second", "!text Steered").await?.prompt)
    };
    let gap = |heard: &Heard| matches!(heard, Heard::Gap(gap) if gap.reason == GapReason::BehindRetention);
    let back = front.events.wait("the gap", |log| log.heard.iter().any(gap).then_some(()));
    rig.through_faults(back).await?;
    anyhow::ensure!(rig.fired() == 2, "pruning was not come to twice");
    assert_eq!(oldest()?, 4097);
    assert_eq!(front.say("second", "!text Second").await?, PromptOutcome::Completed);
    assert_eq!(rig.asked()?, ["!text First", "!text Second"]);
    // What is to be checked of a whole journal begins with its first event.
    rig.discard();
    Ok(())
}

fn tick(front: &Front) -> Request {
    let (conversation, text) = (Some(front.key.clone()), "tick".to_owned());
    Request::Notify(Notify { conversation, text, topic: String::new() })
}
