//! The daemon dies, at the worst moments: Claude keeps its pid and its work, and nothing is lost or said twice.

#[macro_use]
mod e2e_support;

use std::time::Duration;

use carcin_lab::rig::{Claude, Events, Rig, Talk};
use carcin_proto::event::Settlement;
use carcin_proto::request::{Decision, Placement};
use carcin_proto::{Cursor, Event, PromptId, Seq};
use e2e_support::{bash, eventually, lines, lives};

with_either_claude! {
    killed_in_mid_stream_it_loses_no_word,
    killed_again_and_again_it_loses_no_word,
    killed_at_any_moment_each_prompt_runs_once,
    killed_in_a_tool_it_finds_the_tool_running,
    killed_with_a_question_open_it_still_takes_the_answer,
    killed_right_after_an_answer_it_runs_the_tool_once,
    killed_right_after_a_prompt_it_runs_the_prompt_once,
    the_same_key_again_is_the_same_prompt_also_across_a_kill,
    what_claude_finished_meanwhile_is_told_even_if_claude_is_gone,
    told_to_end_it_leaves_claude_at_work,
    a_subscriber_that_comes_back_is_told_what_it_missed_and_nothing_twice,
}

/// Kills the daemon and starts it again; Claude must be the same.
async fn kill_and_restart(rig: &mut Rig, talk: &Talk) -> anyhow::Result<()> {
    let pid = talk.pid().await?;
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    adopted(&rig.events, rig.daemon.pid(), pid).await
}

/// Waits until the daemon says that it took up the Claude of this pid.
async fn adopted(events: &Events, daemon: u32, pid: u32) -> anyhow::Result<()> {
    let connected = |log: &carcin_lab::rig::Log| {
        log.heard.iter().any(|heard| matches!(heard, carcin_lab::rig::Heard::Connected(by) if *by == daemon))
    };
    events.wait("the new daemon", |log| connected(log).then_some(())).await?;
    let is_it = |event: &Event| matches!(event, Event::ProcessStarted(started) if started.adopted);
    let last = events.wait_for("the adoption", |envelope| is_it(&envelope.event)).await?;
    let Event::ProcessStarted(started) = last.event else { unreachable!() };
    anyhow::ensure!(started.pid == pid, "it adopted {} instead of {pid}", started.pid);
    Ok(())
}

async fn same_claude_answers(talk: &Talk, pid: u32) -> anyhow::Result<()> {
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert_eq!(talk.pid().await?, pid);
    Ok(())
}

async fn killed_in_mid_stream_it_loses_no_word(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!stream 30 words\n!gate on\n!text And the second half").await?;
    talk.streamed("[30]").await?;
    let pid = talk.pid().await?;
    rig.kill_daemon().await?;
    rig.open_gate("on")?;
    rig.restart_daemon().await?;
    let answer = talk.answer_to(prompt).await?;
    assert_eq!(answer.len(), 2, "{answer:?}");
    assert!(answer[0].starts_with("The crab walks") && answer[0].contains("[30]"), "{answer:?}");
    assert_eq!(answer[1], "And the second half");
    same_claude_answers(&talk, pid).await?;
    rig.finish().await
}

async fn killed_again_and_again_it_loses_no_word(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    let tool = bash("echo run >> $CWD/effects");
    let rounds = 6;
    let round = |n: usize| format!("!stream 20 words 20ms\n{tool}\n!text Round {n}");
    let script: Vec<String> = (0..rounds).map(round).collect();
    let prompt = talk.send(&script.join("\n")).await?;
    let pid = talk.pid().await?;
    for n in 0..rounds {
        let what = format!("round {n}");
        let passed = |log: &carcin_lab::rig::Log| {
            let said = log.envelopes().filter(|e| matches!(&e.event, Event::ToolStarted(_))).count();
            (said > n).then_some(())
        };
        rig.events.wait(&what, passed).await?;
        rig.kill_daemon().await?;
        rig.restart_daemon().await?;
    }
    let answer = talk.answer_to(prompt).await?;
    let rounds_said: Vec<&String> = answer.iter().filter(|text| text.starts_with("Round")).collect();
    assert_eq!(rounds_said, ["Round 0", "Round 1", "Round 2", "Round 3", "Round 4", "Round 5"]);
    let streams: Vec<&String> = answer.iter().filter(|text| text.contains("[20]")).collect();
    assert_eq!(streams.len(), rounds, "{answer:?}");
    assert!(streams.iter().all(|text| *text == streams[0]), "{answer:?}");
    assert_eq!(lines(&rig.places.work().join("effects")).len(), rounds);
    same_claude_answers(&talk, pid).await?;
    rig.finish().await
}

/// A prompt to a conversation that is warm and one to a conversation that is new, then a kill that much later:
/// from before Claude is started to after it has answered.
async fn killed_at_any_moment_each_prompt_runs_once(claude: Claude) -> anyhow::Result<()> {
    let (rounds, step) = match claude {
        Claude::Real => (16, Duration::from_millis(60)),
        _ => (24, Duration::from_millis(3)),
    };
    let mut rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let warm = rig.talk("warm");
    warm.say("!text Ready").await?;
    let pid = warm.pid().await?;
    for round in 0..rounds {
        let cold = rig.talk(&format!("cold:{round}"));
        let script = |who: &str| {
            format!(
                "!text {who} begins\n{}\n!text {who} ends",
                bash(&format!("echo run >> $CWD/{who}-{round}"))
            )
        };
        let (first, second) = (warm.send(&script("warm")).await?, cold.send(&script("cold")).await?);
        tokio::time::sleep(step * round).await;
        rig.kill_daemon().await?;
        rig.restart_daemon().await?;
        assert_eq!(warm.answer_to(first).await?, ["warm begins", "warm ends"], "round {round}");
        assert_eq!(cold.answer_to(second).await?, ["cold begins", "cold ends"], "round {round}");
        for who in ["warm", "cold"] {
            let effects = lines(&rig.places.work().join(format!("{who}-{round}")));
            assert_eq!(effects, ["run"], "{who} in round {round}");
        }
    }
    assert_eq!(warm.pid().await?, pid);
    rig.finish().await
}

async fn killed_in_a_tool_it_finds_the_tool_running(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    let wait = "touch $CWD/begun; while [ ! -e $CWD/go ]; do sleep 0.05; done; echo run >> $CWD/effects";
    let prompt = talk.send(&format!("{}\n!text Done", bash(wait))).await?;
    let work = rig.places.work();
    eventually("the tool to begin", || work.join("begun").exists().then_some(())).await?;
    let pid = talk.pid().await?;
    kill_and_restart(&mut rig, &talk).await?;
    std::fs::write(work.join("go"), "")?;
    assert_eq!(talk.answer_to(prompt).await?, ["Done"]);
    assert_eq!(lines(&work.join("effects")), ["run"]);
    same_claude_answers(&talk, pid).await?;
    rig.finish().await
}

async fn killed_with_a_question_open_it_still_takes_the_answer(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send(&format!("{}\n!text Done", bash("echo run >> $CWD/effects"))).await?;
    let request = talk.asked().await?.request;
    let pid = talk.pid().await?;
    kill_and_restart(&mut rig, &talk).await?;
    let late = rig.subscribe(None);
    let open =
        late.wait_state("the question", talk.key(), |c| Some(c.requests.first()?.1.request.clone())).await?;
    assert_eq!(open, request);
    assert_eq!(talk.answer(&request, Decision::Allow, "Alex").await?, Settlement::Allowed);
    assert_eq!(talk.answer_to(prompt).await?, ["Done"]);
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    same_claude_answers(&talk, pid).await?;
    rig.finish().await
}

async fn killed_right_after_an_answer_it_runs_the_tool_once(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send(&format!("{}\n!text Done", bash("echo run >> $CWD/effects"))).await?;
    let request = talk.asked().await?.request;
    let pid = talk.pid().await?;
    talk.answer(&request, Decision::Allow, "Alex").await?;
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    assert_eq!(talk.answer_to(prompt).await?, ["Done"]);
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    same_claude_answers(&talk, pid).await?;
    rig.finish().await
}

async fn killed_right_after_a_prompt_it_runs_the_prompt_once(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!text Once").await?;
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    assert_eq!(talk.answer_to(prompt).await?, ["Once"]);
    assert_eq!(rig.asked()?, ["!text Once"]);
    rig.finish().await
}

async fn the_same_key_again_is_the_same_prompt_also_across_a_kill(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let first = talk.submit("key", "!text Once", Placement::Steer).await?;
    assert_eq!(talk.submit("key", "!text Once", Placement::Steer).await?, first);
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    assert_eq!(talk.submit("key", "!text Once", Placement::Steer).await?, first);
    assert_eq!(talk.answer_to(first.prompt).await?, ["Once"]);
    assert_eq!(talk.submit("key", "!text Once", Placement::Steer).await?, first);
    talk.say("!text Another").await?;
    assert_eq!(rig.asked()?, ["!text Once", "!text Another"]);
    rig.finish().await
}

async fn what_claude_finished_meanwhile_is_told_even_if_claude_is_gone(claude: Claude) -> anyhow::Result<()> {
    let idle = Duration::from_millis(300);
    let mut rig = Rig::builder().claude(claude).idle_exit(idle).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!text Before\n!gate on\n!text After").await?;
    talk.streamed("Before").await?;
    let pid = talk.pid().await?;
    rig.kill_daemon().await?;
    rig.open_gate("on")?;
    eventually("the idle Claude to end", || (!lives(pid)).then_some(())).await?;
    rig.restart_daemon().await?;
    assert_eq!(talk.answer_to(prompt).await?, ["Before", "After"]);
    talk.closed().await?;
    assert_eq!(complaints(&rig), [] as [&str; 0]);
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    rig.finish().await
}

async fn told_to_end_it_leaves_claude_at_work(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!text Before\n!gate on\n!text After").await?;
    talk.streamed("Before").await?;
    let pid = talk.pid().await?;
    rig.terminate_daemon().await?;
    assert!(lives(pid));
    rig.restart_daemon().await?;
    rig.open_gate("on")?;
    assert_eq!(talk.answer_to(prompt).await?, ["Before", "After"]);
    same_claude_answers(&talk, pid).await?;
    rig.finish().await
}

async fn a_subscriber_that_comes_back_is_told_what_it_missed_and_nothing_twice(
    claude: Claude,
) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text One").await?;
    let seen = rig.journal().await?;
    let cursor = Cursor { journal: rig.journal_id(), seq: seen.last().map_or(Seq(0), |(seq, _)| *seq) };
    let missed: PromptId = talk.send("!text Two").await?;
    talk.answer_to(missed).await?;
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    let back = rig.subscribe(Some(cursor));
    back.ended(missed).await?;
    let numbers: Vec<u64> = back.log().durable().map(|(seq, _)| seq.0).collect();
    let expected: Vec<u64> = (cursor.seq.0 + 1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    rig.finish().await
}

/// What was said of failures besides the ends of turns and prompts.
fn complaints(rig: &Rig) -> Vec<String> {
    let log = rig.events.log();
    let complaint = |event: &Event| match event {
        Event::ProcessEnded(ended) => ended.message.clone(),
        Event::Notice(notice) => Some(notice.text.clone()),
        _ => None,
    };
    log.envelopes().filter_map(|envelope| complaint(&envelope.event)).collect()
}
