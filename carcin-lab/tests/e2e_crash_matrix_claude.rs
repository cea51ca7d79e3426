//! The rows of the crash matrix in which Claude dies: alone, together with the daemon, and while the daemon is away.

#[macro_use]
mod e2e_support;

use std::io::Write as _;

use carcin_lab::rig::{Claude, Rig};
use carcin_proto::event::{LineProblem, PromptOutcome, Settlement, TurnOutcome};
use carcin_proto::request::Decision;
use carcin_proto::{Event, PromptId, RefusalCode};
use e2e_support::death::Who;
use e2e_support::front::Front;
use e2e_support::journal::state_of;
use e2e_support::{bash, endless_tool, eventually, lives, noted_pid, signal, stands_still, told};
use nix::sys::signal::Signal;

whoever_dies! {
    killed_in_mid_stream_it_is_told_and_the_next_prompt_is_answered,
    killed_in_a_tool_it_is_told_and_the_tool_is_ended_too,
    killed_with_a_question_open_it_withdraws_the_question,
    killed_with_a_steering_prompt_queued_the_next_has_it_as_a_turn_of_its_own,
    killed_before_any_receipt_the_next_is_given_it,
    killed_in_mid_line_the_fragment_is_kept,
}

async fn start(claude: Claude) -> anyhow::Result<(Rig, Front)> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let front = Front::new(&rig, "tg:1");
    Ok((rig, front))
}

/// It was interrupted, for the reason that there is, and that was said once; and the conversation goes on.
async fn is_interrupted(rig: &Rig, front: &Front, prompt: PromptId, who: Who) -> anyhow::Result<()> {
    let why = who.why();
    assert_eq!(front.ended(prompt).await?, PromptOutcome::Interrupted(why.to_owned()));
    let interrupted = TurnOutcome::Interrupted(why.to_owned());
    let ended = |event: &Event| matches!(event, Event::TurnEnded(ended) if ended.outcome == interrupted);
    front.events.wait_for("the end of its turn", |envelope| ended(&envelope.event)).await?;
    assert_eq!(told(rig), [why]);
    Ok(())
}

async fn still_answers(front: &Front) -> anyhow::Result<()> {
    assert_eq!(front.say("still", "!text Still here").await?, PromptOutcome::Completed);
    assert_eq!(front.times_said("Still here"), 1);
    Ok(())
}

async fn killed_in_mid_stream_it_is_told_and_the_next_prompt_is_answered(
    claude: Claude,
    who: Who,
) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Something to remember").await?;
    let session = talk.session().await?;
    let endless = "!text Before\n!gate never\n!text After";
    let prompt = front.submit("endless", endless).await?.prompt;
    front.said("Before").await?;
    who.dies(&mut rig, &front).await?;
    is_interrupted(&rig, &front, prompt, who).await?;
    front.closed().await?;
    still_answers(&front).await?;
    assert_eq!(talk.session().await?, session);
    assert_eq!(told(&rig), [who.why()]);
    assert_eq!(rig.asked()?, ["!text Something to remember", endless, "!text Still here"]);
    rig.finish().await
}

async fn killed_in_a_tool_it_is_told_and_the_tool_is_ended_too(
    claude: Claude,
    who: Who,
) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    let prompt = front.submit("endless", &endless_tool("tool")).await?.prompt;
    let tool = noted_pid(&rig.places.work().join("tool")).await?;
    who.dies(&mut rig, &front).await?;
    is_interrupted(&rig, &front, prompt, who).await?;
    eventually("the tool to be ended", || (!lives(tool)).then_some(())).await?;
    still_answers(&front).await?;
    assert_eq!(rig.asked()?, [&endless_tool("tool"), "!text Still here"]);
    rig.finish().await
}

async fn killed_with_a_question_open_it_withdraws_the_question(
    claude: Claude,
    who: Who,
) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let front = Front::new(&rig, "tg:1");
    let prompt = front.submit("ask", &bash("echo run >> $CWD/effects")).await?.prompt;
    let request = front.asked().await?.request;
    who.dies(&mut rig, &front).await?;
    is_interrupted(&rig, &front, prompt, who).await?;
    let mine = |event: &Event| matches!(event, Event::RequestSettled(settled) if settled.request == request);
    let settled = front.events.wait_for("the withdrawal", |envelope| mine(&envelope.event)).await?;
    let Event::RequestSettled(settled) = settled.event else { unreachable!() };
    assert_eq!(settled.settlement, Settlement::Withdrawn("Claude has ended".to_owned()));
    let late = front.answer(&request, Decision::Allow).await?.expect_err("nobody asks that any longer");
    assert_eq!(late.code, RefusalCode::AlreadyAnswered);
    assert_eq!(late.message, "it is no longer asked: Claude has ended");
    still_answers(&front).await?;
    assert!(!rig.places.work().join("effects").exists());
    rig.finish().await
}

/// Waits until a prompt is in this state in the journal: nobody is told of these.
async fn in_state(rig: &Rig, prompt: PromptId, state: &str) -> anyhow::Result<()> {
    let is_it = || (state_of(rig, prompt).ok()?? == state).then_some(());
    eventually(&format!("the prompt to be {state}"), is_it).await
}

async fn killed_with_a_steering_prompt_queued_the_next_has_it_as_a_turn_of_its_own(
    claude: Claude,
    who: Who,
) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude).await?;
    let begun = front.submit("begun", &endless_tool("tool")).await?.prompt;
    noted_pid(&rig.places.work().join("tool")).await?;
    let queued = front.submit("queued", "!text The second").await?.prompt;
    in_state(&rig, queued, "queued").await?;
    who.dies(&mut rig, &front).await?;
    is_interrupted(&rig, &front, begun, who).await?;
    assert_eq!(front.ended(queued).await?, PromptOutcome::Completed);
    assert_eq!(front.times_said("The second"), 1);
    let log = rig.events.log();
    assert_ne!(log.turn_of(begun), log.turn_of(queued));
    assert_eq!(rig.asked()?, [&endless_tool("tool"), "!text The second"]);
    still_answers(&front).await?;
    rig.finish().await
}

async fn killed_before_any_receipt_the_next_is_given_it(claude: Claude, who: Who) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).slow_start().start().await?;
    let front = Front::new(&rig, "tg:1");
    let prompt = front.submit("once", "!text Once").await?.prompt;
    in_state(&rig, prompt, "given").await?;
    let first = front.pid().await?;
    who.dies(&mut rig, &front).await?;
    rig.let_start()?;
    assert_eq!(front.ended(prompt).await?, PromptOutcome::Completed);
    let pids = front.pids();
    assert_eq!((pids.first(), pids.len()), (Some(&first), 2), "{pids:?}");
    assert_eq!(front.times_said("Once"), 1);
    assert_eq!(rig.asked()?, ["!text Once"]);
    assert_eq!(told(&rig), [] as [&str; 0], "nothing was begun, so nothing was lost");
    still_answers(&front).await?;
    rig.finish().await
}

async fn killed_in_mid_line_the_fragment_is_kept(claude: Claude, who: Who) -> anyhow::Result<()> {
    const FRAGMENT: &str = r#"{"type":"assistant","message":{"role":"assi"#;
    let (mut rig, front) = start(claude).await?;
    let prompt = front.submit("endless", "!text Before\n!gate never").await?.prompt;
    front.said("Before").await?;
    // Where its writing is cut short, nobody can choose; what it then leaves, one can. It writes nothing behind that.
    let pid = front.pid().await?;
    signal(pid, Signal::SIGSTOP)?;
    eventually("Claude to stand still", || stands_still(pid).then_some(())).await?;
    let spool = std::fs::read_dir(rig.places.state().join("children"))?
        .next()
        .expect("a Claude")?
        .path()
        .join("stdout");
    std::fs::OpenOptions::new().append(true).open(spool)?.write_all(FRAGMENT.as_bytes())?;
    who.dies(&mut rig, &front).await?;
    is_interrupted(&rig, &front, prompt, who).await?;
    let log = rig.events.log();
    let kept: Vec<_> = (log.envelopes())
        .filter_map(|envelope| match &envelope.event {
            Event::Unrecognised(line) => Some((line.problem.clone(), line.raw.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(kept, [(LineProblem::Fragment, FRAGMENT.as_bytes().to_vec())]);
    still_answers(&front).await?;
    rig.finish().await
}
