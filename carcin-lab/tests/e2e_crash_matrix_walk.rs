//! The daemon dies at each of its fault points, twice, in one and the same conversation: nobody who takes part may
//! be able to tell afterwards, but by the time it took.

#[macro_use]
mod e2e_support;

use anyhow::bail;
use carcin_lab::rig::{Claude, Fault, PATIENCE, Rig};
use carcin_proto::Request;
use carcin_proto::event::{PromptOutcome, Settlement};
use carcin_proto::request::{Decision, Notify};
use e2e_support::crash::{asked_in_any_order, asked_once};
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
    foundlings_unknown = "foundlings-unknown",
    foundlings_known = "foundlings-known",
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
    let fault = Fault::at(point).times(DEATHS);
    if point == "pruning" {
        return prune(rig, fault).await;
    }
    if point.starts_with("foundlings") {
        return lose_the_journal(rig, fault).await;
    }
    rig.arm(Some(fault))?;
    rig.kill_daemon().await?;
    converse(&mut rig, &front).await?;
    let (mut fronts, mut opened) = (vec![front.clone()], 0);
    for round in 2..=4 {
        if rig.fired() == DEATHS {
            break;
        }
        match point {
            "snapshot-stored" => rig.through_faults(chatter(&front)).await?,
            "closing" | "closed" => terminate(&mut rig).await?,
            _ if point.starts_with("shutdown") => opened += shut_down(&mut rig, round).await?,
            // A conversation comes to some of them once.
            _ => {
                fronts.push(Front::new(&rig, &format!("walk-{round}")));
                converse(&mut rig, &fronts[fronts.len() - 1]).await?;
            }
        }
    }
    let deaths = rig.fired();
    anyhow::ensure!(deaths == DEATHS, "{point} was come to {deaths} times: it is no place to die");
    rig.arm(None)?;
    kill_if_alive(&mut rig).await?;
    rig.restart_daemon().await?;
    assert_eq!(front.say("last", "!text Still here").await?, PromptOutcome::Completed);
    let first = first();
    let all = [&first, "!text Steered", ENDLESS, "!text Fourth", "!text Fifth"];
    let mut expected = all.repeat(fronts.len());
    expected.push("!text Still here");
    expected.extend(vec![OPEN; opened]);
    asked_in_any_order(&rig, &expected)?;
    assert_eq!(front.times_said("Still here"), 1);
    for front in &fronts {
        for text in ["Half", "Whole", "Steered", "Endless", "Fourth", "Fifth"] {
            assert_eq!(front.times_said(text), 1, "{text}: {}", rig.events.log().transcript());
        }
    }
    assert_eq!(lines(&rig.places.work().join("effects")), vec!["run"; fronts.len()]);
    rig.finish().await
}

/// How often the daemon dies at a point.
const DEATHS: usize = 2;
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
        assert_eq!(front.answer(&request, Decision::Allow).await?, Ok(Settlement::Allowed), "also once more");
        front.said("Half").await?;
        Ok(front.submit("second", "!text Steered").await?.prompt)
    };
    let second = rig.through_faults(half).await?;
    rig.open_gate("on")?;
    let rest = async {
        assert_eq!(front.ended(accepted.prompt).await?, PromptOutcome::Completed);
        assert_eq!(front.ended(second).await?, PromptOutcome::Completed);
        let third = front.submit("third", ENDLESS).await?.prompt;
        front.said("Endless").await?;
        front.stop().await?;
        assert_eq!(front.ended(third).await?, PromptOutcome::Cancelled);
        assert_eq!(front.say("fourth", "!text Fourth").await?, PromptOutcome::Completed);
        front.new_session().await?;
        assert_eq!(front.say("fifth", "!text Fifth").await?, PromptOutcome::Completed);
        Ok(())
    };
    rig.through_faults(rest).await
}

fn tick(front: &Front) -> Request {
    let (conversation, text) = (Some(front.key.clone()), "tick".to_owned());
    Request::Notify(Notify { conversation, text, topic: String::new() })
}

/// More events than the journal takes between two snapshots.
async fn chatter(front: &Front) -> anyhow::Result<()> {
    for _ in 0..600 {
        // Whether the last one before a death is there, nobody can know.
        match front.ask(tick(front)).await {
            Err(error) if !error.is_connection() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

async fn kill_if_alive(rig: &mut Rig) -> anyhow::Result<()> {
    if rig.daemon.is_running() { rig.kill_daemon().await } else { Ok(()) }
}

/// Tells the daemon to end until it does so without dying.
async fn terminate(rig: &mut Rig) -> anyhow::Result<()> {
    for _ in 0..4 {
        kill_if_alive(rig).await?;
        rig.restart_daemon().await?;
        signal(rig.daemon.pid(), Signal::SIGTERM)?;
        if rig.daemon.wait(PATIENCE).await?.success() {
            return Ok(());
        }
    }
    bail!("it never ended of itself")
}

/// Shuts the daemon down, with two Claudes at work, until it is done without dying. Tells how many there were.
async fn shut_down(rig: &mut Rig, round: usize) -> anyhow::Result<usize> {
    kill_if_alive(rig).await?;
    rig.restart_daemon().await?;
    let fronts = ["one", "two"].map(|key| Front::new(rig, &format!("{key}-{round}")));
    let mut prompts = Vec::new();
    for front in &fronts {
        prompts.push(front.submit("open", OPEN).await?.prompt);
        front.said("Open").await?;
    }
    for _ in 0..4 {
        // It may die before it replies.
        let _ = rig.request(&Request::Shutdown).await;
        let done = rig.daemon.wait(PATIENCE).await?.success();
        rig.restart_daemon().await?;
        if done {
            for (front, prompt) in fronts.iter().zip(prompts) {
                assert_eq!(front.ended(prompt).await?, PromptOutcome::Cancelled);
                front.closed().await?;
            }
            return Ok(fronts.len());
        }
    }
    bail!("it never shut down")
}

/// Dies while the oldest events are deleted: they are all there or all gone, and the rest goes on.
async fn prune(mut rig: Rig, fault: Fault) -> anyhow::Result<()> {
    let front = Front::new(&rig, "walk");
    assert_eq!(front.say("first", "!text First").await?, PromptOutcome::Completed);
    front.ask(tick(&front)).await?;
    rig.kill_daemon().await?;
    let journal = rusqlite::Connection::open(rig.places.state().join("journal.db"))?;
    // The last event so often that pruning takes a part of it, and a number from which it is due.
    let many = "WITH RECURSIVE more (seq) AS (SELECT max(seq) + 1 FROM event UNION ALL SELECT seq + 1 FROM more LIMIT 5000)
         INSERT INTO event (seq, conversation, kind, format, payload)
         SELECT more.seq, conversation, kind, format, payload
         FROM more, (SELECT * FROM event ORDER BY seq DESC LIMIT 1)";
    journal.execute(many, [])?;
    journal.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('base', '1004100')", [])?;
    let oldest = || journal.query_row("SELECT min(seq) FROM event", [], |row| row.get::<_, i64>(0));
    rig.arm(Some(fault))?;
    rig.daemon = rig.another_daemon(&[])?;
    rig.daemon.ready().await?;
    // Old events go as new ones come.
    let talk = async {
        chatter(&front).await?;
        std::future::pending::<anyhow::Result<()>>().await
    };
    tokio::select! {
        died = rig.dies() => died?,
        failed = talk => return failed,
    }
    assert_eq!(oldest()?, 1, "it deleted some before it committed that");
    rig.through_faults(chatter(&front)).await?;
    anyhow::ensure!(rig.fired() == DEATHS, "pruning was not come to twice");
    assert!(oldest()? > 1, "it deleted nothing");
    assert_eq!(front.say("second", "!text Second").await?, PromptOutcome::Completed);
    asked_once(&rig, &["!text First", "!text Second"])?;
    // What is to be checked of a whole journal begins with its first event.
    rig.discard();
    Ok(())
}

/// Dies at the start after the journal was lost while Claude works: it is taken up by the start that gets further.
async fn lose_the_journal(mut rig: Rig, fault: Fault) -> anyhow::Result<()> {
    let front = Front::new(&rig, "walk");
    let prompt = "!text Half\n!gate on\n!text Whole";
    front.submit("first", prompt).await?;
    front.said("Half").await?;
    let pid = front.pid().await?;
    rig.arm(Some(fault))?;
    rig.kill_daemon().await?;
    std::fs::remove_file(rig.places.state().join("journal.db"))?;
    for _ in 0..2 {
        rig.daemon = rig.another_daemon(&[])?;
        rig.dies().await?;
    }
    anyhow::ensure!(rig.fired() == 2, "it died of something else");
    rig.restart_daemon().await?;
    rig.events.gap().await?;
    assert_eq!(front.pid().await?, pid, "it is the same Claude");
    rig.open_gate("on")?;
    front.said("Whole").await?;
    assert_eq!(front.times_said("Whole"), 1);
    assert_eq!(front.say("last", "!text Still here").await?, PromptOutcome::Completed);
    assert_eq!(front.pid().await?, pid);
    assert_eq!(rig.asked()?, [prompt, "!text Still here"]);
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    assert_eq!(front.pid().await?, pid, "the new journal is a journal");
    // What is to be checked of a whole journal begins with its first event.
    rig.discard();
    Ok(())
}
