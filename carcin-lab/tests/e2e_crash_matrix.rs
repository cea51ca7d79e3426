//! The rows of the crash matrix in which the daemon dies: each at its own place, with what the model was asked, what
//! the journal holds and what a subscriber was told. `e2e_crash_matrix_walk` has all places and one conversation.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Claude, Events, Fault, Heard, Rig};
use carcin_proto::event::{PromptOutcome, Settlement};
use carcin_proto::request::Decision;
use carcin_proto::{Cursor, Envelope, Event, Refusal, RefusalCode, RequestId, Seq};
use e2e_support::crash::{
    armed, asked_in_any_order, asked_once, complaints, directories, has_directories, journalled, say, start,
};
use e2e_support::death::UNSEEN;
use e2e_support::front::Front;
use e2e_support::{bash, eventually, lines, lives, run, slay};
use tokio::task::JoinHandle;

with_either_claude! {
    request_sent_and_no_reply_it_is_answered_as_it_was,
    prompt_durable_and_no_claude_yet_one_is_started,
    spawned_and_its_pid_not_recorded_it_is_found_by_its_lease,
    a_prompt_not_written_or_written_reaches_claude_once,
    a_receipt_in_the_spool_is_found_before_anything_is_sent_again,
    a_line_not_committed_is_read_again,
    committed_and_not_published_it_is_replayed,
    received_and_not_committed_by_the_front_end_it_is_told_again,
    an_answer_not_written_or_written_has_its_effect_once,
    of_an_answer_before_the_death_and_another_after_it_the_first_wins,
    an_answer_to_a_claude_that_died_stays_and_has_no_effect,
    a_stop_not_written_or_written_stops_what_it_was_to_stop_and_nothing_later,
    dying_while_it_takes_up_claude_it_dies_alone,
    dying_after_every_few_commits_it_gets_everything_done,
    dying_before_the_directory_is_removed_leaves_none,
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
    let at = accepted
        .iter()
        .find(|(_, e)| matches!(&e.event, Event::PromptAccepted(a) if a.prompt == told.prompt));
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
    // While a process becomes another program, there is no reading what it is.
    let pids = eventually("the one that was started", || {
        let pids: Vec<u32> = rig.living().iter().filter(|it| mine(it)).map(|(pid, _)| *pid).collect();
        (!pids.is_empty()).then_some(pids)
    });
    let pids = pids.await?;
    assert_eq!(pids.len(), 1, "{:?}", rig.living());
    rig.restart_daemon().await?;
    assert_eq!(prompt.await??, PromptOutcome::Completed);
    assert_eq!(front.pids(), pids, "it is the one that was started");
    let adopted = |event: &Event| matches!(event, Event::ProcessStarted(started) if started.adopted);
    assert_eq!(journalled(&rig, adopted).await?, 1);
    asked_once(&rig, &["!text Once"])?;
    rig.finish().await
}

async fn a_prompt_not_written_or_written_reaches_claude_once(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    assert_eq!(front.say("warm", "!text Warm").await?, PromptOutcome::Completed);
    let pid = front.pid().await?;
    armed(&mut rig, "prompt-unwritten").await?;
    let prompt = say(&front, "first", "!text First");
    rig.dies().await?;
    asked_once(&rig, &["!text Warm"])?;
    armed_again(&mut rig, "prompt-written")?;
    // Without a receipt it is sent again, and that is where the second daemon dies.
    rig.dies().await?;
    rig.restart_daemon().await?;
    assert_eq!(prompt.await??, PromptOutcome::Completed);
    assert_eq!((front.pid().await?, front.times_said("First")), (pid, 1));
    asked_once(&rig, &["!text Warm", "!text First"])?;
    rig.finish().await
}

/// A daemon with this fault takes the place of one that is dead already.
fn armed_again(rig: &mut Rig, point: &str) -> anyhow::Result<()> {
    rig.arm(Some(Fault::at(point)))?;
    rig.daemon = rig.another_daemon(&[])?;
    Ok(())
}

async fn a_receipt_in_the_spool_is_found_before_anything_is_sent_again(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    armed(&mut rig, "receipt-unread").await?;
    let prompt = say(&front, "once", "!text Once");
    rig.dies().await?;
    // Were the prompt sent again, this one would die, too.
    armed_again(&mut rig, "prompt-unwritten")?;
    assert_eq!(prompt.await??, PromptOutcome::Completed);
    assert_eq!(rig.fired(), 0, "it was sent again");
    assert_eq!(front.times_said("Once"), 1);
    asked_once(&rig, &["!text Once"])?;
    rig.finish().await
}

async fn a_line_not_committed_is_read_again(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    armed(&mut rig, "line-uncommitted").await?;
    let script = format!("!text One\n{}\n!text Two", bash("echo run >> $CWD/effects"));
    let prompt = front.submit("once", &script).await?.prompt;
    rig.dies().await?;
    rig.restart_daemon().await?;
    assert_eq!(front.ended(prompt).await?, PromptOutcome::Completed);
    assert_eq!((front.times_said("One"), front.times_said("Two")), (1, 1));
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    asked_once(&rig, &[&script])?;
    rig.finish().await
}

async fn committed_and_not_published_it_is_replayed(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    armed(&mut rig, "text-committed").await?;
    let script = "!text Once\n!gate on\n!text Twice";
    let prompt = front.submit("once", script).await?.prompt;
    rig.dies().await?;
    assert_eq!(front.times_said("Once"), 0, "it was told before the death");
    rig.restart_daemon().await?;
    front.said("Once").await?;
    rig.open_gate("on")?;
    assert_eq!(front.ended(prompt).await?, PromptOutcome::Completed);
    assert_eq!((front.times_said("Once"), front.times_said("Twice")), (1, 1));
    let texts = journalled(&rig, |event| matches!(event, Event::TextBlock(_))).await?;
    assert_eq!(texts, 2);
    asked_once(&rig, &[script])?;
    rig.finish().await
}

async fn received_and_not_committed_by_the_front_end_it_is_told_again(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    let script = "!text Once\n!gate on\n!text Twice";
    let prompt = front.submit("once", script).await?.prompt;
    front.said("Once").await?;
    let cursor = Cursor { journal: rig.journal_id(), seq: Seq(3) };
    // A front end that was told more than it could keep, twice: by this daemon, and by the one after its death.
    let told = |events: &Events| {
        events.log().durable().map(|(seq, event)| (seq, event.clone())).collect::<Vec<(Seq, Envelope)>>()
    };
    let before = rig.subscribe(Some(cursor));
    let said = |e: &carcin_proto::Envelope| matches!(&e.event, Event::TextBlock(_));
    before.wait_for("the first half", said).await?;
    // It may die before it says that it is ready: of the first thing that it has to tell a subscriber who is back.
    rig.kill_daemon().await?;
    armed_again(&mut rig, "event-unsent")?;
    rig.open_gate("on")?;
    rig.dies().await?;
    rig.restart_daemon().await?;
    assert_eq!(front.ended(prompt).await?, PromptOutcome::Completed);
    let after = rig.subscribe(Some(cursor));
    after.ended(prompt).await?;
    before.ended(prompt).await?;
    let (before, after) = (told(&before), told(&after));
    let common = before.len().min(after.len());
    assert_eq!(before[..common], after[..common]);
    let numbers: Vec<u64> = after.iter().map(|(seq, _)| seq.0).collect();
    assert_eq!(numbers, (4..).take(after.len()).collect::<Vec<u64>>());
    let gaps = rig.events.log().heard.iter().filter(|heard| matches!(heard, Heard::Gap(_))).count();
    assert_eq!(gaps, 0);
    assert_eq!((front.times_said("Once"), front.times_said("Twice")), (1, 1));
    asked_once(&rig, &[script])?;
    rig.finish().await
}

/// A tool that notes in a file of the point's name that it ran, and what it says.
fn script(point: &str) -> String {
    format!("{}\n!echo-result", bash(&format!("echo run >> $CWD/{point}")))
}

/// A tool that is asked for, in a conversation of its own, up to the question.
async fn asked(rig: &Rig, point: &str) -> anyhow::Result<(Front, carcin_proto::PromptId, RequestId)> {
    let front = Front::new(rig, point);
    let prompt = front.submit("once", &script(point)).await?.prompt;
    let request = front.asked().await?.request;
    Ok((front, prompt, request))
}

/// Allows it, from a person who is not waited for.
fn allowing(front: &Front, request: &RequestId) -> JoinHandle<anyhow::Result<Result<Settlement, Refusal>>> {
    let (front, request) = (front.clone(), request.clone());
    tokio::spawn(async move { front.answer(&request, Decision::Allow).await })
}

async fn an_answer_not_written_or_written_has_its_effect_once(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).faults().start().await?;
    let mut expected = Vec::new();
    for point in ["answer-committed", "answer-unwritten", "answer-written"] {
        let (front, prompt, request) = asked(&rig, point).await?;
        let pid = front.pid().await?;
        armed(&mut rig, point).await?;
        let answer = allowing(&front, &request);
        rig.dies().await?;
        rig.restart_daemon().await?;
        // The reply got out before the death, or the answer was sent again and is the same.
        assert_eq!(answer.await??, Ok(Settlement::Allowed), "{point}");
        assert_eq!(front.ended(prompt).await?, PromptOutcome::Completed, "{point}");
        assert_eq!(lines(&rig.places.work().join(point)), ["run"], "{point}");
        assert_eq!(front.pid().await?, pid, "{point}");
        let settled = |event: &Event| matches!(event, Event::RequestSettled(s) if s.request == request);
        assert_eq!(journalled(&rig, settled).await?, 1, "{point}");
        expected.push(script(point));
    }
    asked_in_any_order(&rig, &expected.iter().map(String::as_str).collect::<Vec<_>>())?;
    rig.finish().await
}

async fn of_an_answer_before_the_death_and_another_after_it_the_first_wins(
    claude: Claude,
) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).faults().start().await?;
    let (front, prompt, request) = asked(&rig, "effects").await?;
    armed(&mut rig, "answer-committed").await?;
    let first = rig.client().await?;
    let lost = tokio::spawn(async move {
        let mut first = first;
        let answer =
            carcin_proto::request::Answer { request, decision: Decision::Allow, by: "Robin".to_owned() };
        let reply = first.request(&carcin_proto::Request::Answer(answer.clone())).await;
        (reply.is_err(), answer.request)
    });
    rig.dies().await?;
    rig.restart_daemon().await?;
    let (lost, request) = lost.await?;
    assert!(lost, "the answer was told before it died");
    let second = front.answer(&request, Decision::Deny("no".to_owned())).await?;
    let Err(refusal) = second else { anyhow::bail!("the second answer got {second:?}") };
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (RefusalCode::AlreadyAnswered, "Robin allowed it already")
    );
    assert_eq!(front.ended(prompt).await?, PromptOutcome::Completed);
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    asked_once(&rig, &[&script("effects")])?;
    rig.finish().await
}

/// Claude dies before it is given an answer that is durable: that answer stands, what it was for does not happen.
async fn an_answer_to_a_claude_that_died_stays_and_has_no_effect(claude: Claude) -> anyhow::Result<()> {
    for point in ["answer-committed", "answer-unwritten"] {
        let mut rig = Rig::builder().claude(claude.clone()).faults().start().await?;
        let (front, prompt, request) = asked(&rig, point).await?;
        let pid = front.pid().await?;
        armed(&mut rig, point).await?;
        let answer = allowing(&front, &request);
        rig.dies().await?;
        slay(pid)?;
        eventually("Claude to be gone", || (!lives(pid)).then_some(())).await?;
        rig.restart_daemon().await?;
        assert_eq!(front.ended(prompt).await?, PromptOutcome::Interrupted(UNSEEN.to_owned()), "{point}");
        let second = front.answer(&request, Decision::Deny("no".to_owned())).await?;
        let Err(second) = second else { anyhow::bail!("{point}: the second answer got {second:?}") };
        let known = (RefusalCode::AlreadyAnswered, "Alex allowed it already");
        assert_eq!((second.code, second.message.as_str()), known, "{point}");
        // Its reply got out before the death, or it was asked once more.
        match answer.await?? {
            Ok(settlement) => assert_eq!(settlement, Settlement::Allowed, "{point}"),
            Err(refusal) => assert_eq!(refusal, second, "{point}"),
        }
        assert_eq!(front.say("still", "!text Still here").await?, PromptOutcome::Completed, "{point}");
        let settled: Vec<Settlement> = (rig.journal().await?.into_iter())
            .filter_map(|(_, envelope)| match envelope.event {
                Event::RequestSettled(settled) if settled.request == request => Some(settled.settlement),
                _ => None,
            })
            .collect();
        assert_eq!(settled, [Settlement::Allowed], "{point}");
        assert_eq!(
            lines(&rig.places.work().join(point)),
            [] as [&str; 0],
            "{point}: nobody is there to do it"
        );
        asked_once(&rig, &[&script(point), "!text Still here"])?;
        rig.finish().await?;
    }
    Ok(())
}

async fn a_stop_not_written_or_written_stops_what_it_was_to_stop_and_nothing_later(
    claude: Claude,
) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    let mut expected = Vec::new();
    for (round, point) in
        ["stop-committed", "interrupt-unwritten", "interrupt-written"].into_iter().enumerate()
    {
        let (endless, later) =
            (format!("!text Endless {round}\n!gate never"), format!("!text Later {round}"));
        let prompt = front.submit(&format!("endless-{round}"), &endless).await?.prompt;
        front.said(&format!("Endless {round}")).await?;
        let pid = front.pid().await?;
        armed(&mut rig, point).await?;
        let stop = tokio::spawn({
            let front = front.clone();
            async move { front.stop().await }
        });
        rig.dies().await?;
        rig.restart_daemon().await?;
        assert_eq!(front.ended(prompt).await?, PromptOutcome::Cancelled, "{point}");
        stop.await??;
        assert_eq!(front.say(&format!("later-{round}"), &later).await?, PromptOutcome::Completed, "{point}");
        assert_eq!(front.pid().await?, pid, "{point}: Claude stayed warm");
        expected.extend([endless, later]);
        asked_once(&rig, &expected.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    rig.finish().await
}

async fn dying_while_it_takes_up_claude_it_dies_alone(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    let prompt = front.submit("once", "!text Before\n!gate on\n!text After").await?.prompt;
    front.said("Before").await?;
    let pid = front.pid().await?;
    for point in
        ["recovering", "adopted-uncommitted", "adopted-committed", "caught-up-uncommitted", "recovered"]
    {
        rig.arm(Some(Fault::at(point).times(2)))?;
        rig.kill_daemon().await?;
        rig.daemon = rig.another_daemon(&[])?;
        rig.dies().await?;
        rig.daemon = rig.another_daemon(&[])?;
        rig.dies().await?;
        assert!(lives(pid), "{point}");
        rig.restart_daemon().await?;
        assert_eq!(rig.fired(), 2, "{point}");
    }
    rig.open_gate("on")?;
    assert_eq!(front.ended(prompt).await?, PromptOutcome::Completed);
    assert_eq!((front.times_said("Before"), front.times_said("After")), (1, 1));
    assert!(front.pids().iter().all(|each| *each == pid), "{:?}", front.pids());
    asked_once(&rig, &["!text Before\n!gate on\n!text After"])?;
    rig.finish().await
}

/// No start may need more commits than a daemon lives for: it would never get on.
async fn dying_after_every_few_commits_it_gets_everything_done(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    let rounds = 8;
    let tool = bash("echo run >> $CWD/effects");
    let script: Vec<String> = (0..rounds).map(|round| format!("!text Round {round}\n{tool}")).collect();
    let script = script.join("\n");
    rig.arm(Some(Fault::at("committed").nth(4).times(200)))?;
    rig.kill_daemon().await?;
    let work = async {
        assert_eq!(front.say("first", &script).await?, PromptOutcome::Completed);
        assert_eq!(front.say("second", "!text And on").await?, PromptOutcome::Completed);
        Ok(())
    };
    rig.through_faults(work).await?;
    let deaths = rig.fired();
    assert!((3..200).contains(&deaths), "it died {deaths} times");
    for round in 0..rounds {
        assert_eq!(front.times_said(&format!("Round {round}")), 1);
    }
    assert_eq!(lines(&rig.places.work().join("effects")).len(), rounds);
    rig.arm(None)?;
    if rig.daemon.is_running() {
        rig.kill_daemon().await?;
    }
    rig.restart_daemon().await?;
    asked_once(&rig, &[&script, "!text And on"])?;
    rig.finish().await
}

async fn dying_before_the_directory_is_removed_leaves_none(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    for (round, point) in ["exit-uncommitted", "exit-committed", "directory-swept"].into_iter().enumerate() {
        let said = front.say(&format!("{round}"), "!text Once").await?;
        assert_eq!(said, PromptOutcome::Completed);
        armed(&mut rig, point).await?;
        front.new_session().await?;
        rig.dies().await?;
        assert_eq!(directories(&rig), 1, "{point}");
        rig.restart_daemon().await?;
        front.closed().await?;
        has_directories(&rig, 0).await?;
    }
    let ended = |event: &Event| matches!(event, Event::ProcessEnded(_));
    assert_eq!(journalled(&rig, ended).await?, 3);
    assert_eq!(complaints(&front), [] as [&str; 0]);
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_without_fault_points_is_not_asked_for_a_fault() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        let refused = rig.arm(Some(Fault::at("recovering")));
        let why = refused.expect_err("it was armed").to_string();
        assert!(why.starts_with("a fault is asked of a carcind without fault points"), "{why}");
        rig.finish().await
    })
    .await;
}
