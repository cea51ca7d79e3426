//! A conversation with everything in its place: prompts, permissions, stops, steering, sessions.

#[macro_use]
mod e2e_support;

use std::time::Duration;

use anyhow::Context as _;
use carcin_lab::rig::{Claude, PATIENCE, Rig};
use carcin_proto::event::{Ask, PromptOutcome, SessionCause, Settlement, TurnOutcome};
use carcin_proto::request::{Decision, Placement};
use carcin_proto::{ClientError, Event, RefusalCode, Request};
use e2e_support::{bash, endless_tool, eventually, lines, lives, noted_pid, signal, stops_unanswered};
use nix::sys::signal::Signal;

with_either_claude! {
    a_prompt_comes_back_answered_and_the_next_by_the_same_process,
    an_allowed_tool_runs_once,
    the_reason_of_a_denial_reaches_claude,
    a_servers_form_and_link_are_asked_and_their_answers_go_back,
    of_two_answers_the_first_wins_and_the_second_is_told_who_was_first,
    an_answer_that_is_sent_again_gets_the_same_reply_and_no_other_does,
    a_stop_in_mid_stream_leaves_claude_warm,
    a_stop_cancels_what_is_queued,
    a_stop_in_a_tool_kills_the_tools_process,
    a_stop_gets_through_while_the_journal_takes_nothing,
    a_shutdown_gets_through_while_the_journal_takes_nothing,
    a_stop_right_after_a_prompt_means_that_it_does_nothing,
    a_stop_that_claude_hears_only_after_its_start_is_still_the_persons,
    a_prompt_during_a_tool_is_folded_into_the_running_turn,
    a_queued_prompt_runs_after_the_turn,
    a_new_session_ends_the_old_process_and_resume_goes_back,
    a_new_session_in_mid_turn_stops_the_turn,
    after_the_idle_exit_the_next_message_resumes_the_session_with_its_history,
    twenty_conversations_at_once_each_get_their_own_answer,
    a_long_answer_arrives_word_by_word,
    a_prompt_is_never_taken_for_an_option,
    a_shutdown_ends_claude_and_the_next_start_goes_on,
}

async fn a_prompt_comes_back_answered_and_the_next_by_the_same_process(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    assert_eq!(talk.say("!text Hello from Claude").await?, ["Hello from Claude"]);
    let pid = talk.pid().await?;
    assert_eq!(talk.say("!text And again").await?, ["And again"]);
    assert_eq!(talk.pid().await?, pid);
    assert_eq!(rig.asked()?, ["!text Hello from Claude", "!text And again"]);
    rig.finish().await
}

async fn an_allowed_tool_runs_once(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send(&format!("{}\n!text Done", bash("echo run >> $CWD/effects"))).await?;
    let request = talk.asked().await?.request;
    assert_eq!(lines(&rig.places.work().join("effects")), [] as [&str; 0], "it ran before it was allowed");
    assert_eq!(talk.answer(&request, Decision::Allow, "Alex").await?, Settlement::Allowed);
    assert_eq!(talk.answer_to(prompt).await?, ["Done"]);
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    rig.finish().await
}

async fn the_reason_of_a_denial_reaches_claude(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send(&format!("{}\n!echo-result", bash("echo run >> $CWD/effects"))).await?;
    let request = talk.asked().await?.request;
    talk.answer(&request, Decision::Deny("Not on a Friday".to_owned()), "Alex").await?;
    let answer = talk.answer_to(prompt).await?.concat();
    assert!(answer.contains("Not on a Friday"), "{answer}");
    assert_eq!(lines(&rig.places.work().join("effects")), [] as [&str; 0]);
    rig.finish().await
}

async fn a_servers_form_and_link_are_asked_and_their_answers_go_back(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).mcp_server().start().await?;
    let talk = rig.talk("tg:1");
    let script = "!form Who are you? {\"name\":\"string\"}\n!echo-result\n!link https://example.org/login Log in\n!echo-result";
    let prompt = talk.send(script).await?;
    let form = talk.asked().await?;
    let Ask::Elicitation(asked) = &form.ask else { anyhow::bail!("no form but {form:?}") };
    assert_eq!((asked.server.as_str(), asked.message.as_str()), ("lab", "Who are you?"));
    assert!(asked.url.is_none() && asked.schema.contains("\"name\""), "{asked:?}");
    talk.answer(&form.request, Decision::Content("{\"name\":\"Ada\"}".to_owned()), "Alex").await?;
    let link = talk.asked().await?;
    let Ask::Elicitation(asked) = &link.ask else { anyhow::bail!("no link but {link:?}") };
    assert_eq!(asked.url.as_deref(), Some("https://example.org/login"));
    talk.answer(&link.request, Decision::Deny("no".to_owned()), "Alex").await?;
    let said = talk.answer_to(prompt).await?.concat();
    assert!(said.contains("Ada") && said.contains("decline"), "{said}");
    rig.finish().await
}

async fn of_two_answers_the_first_wins_and_the_second_is_told_who_was_first(
    claude: Claude,
) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send(&format!("{}\n!text Done", bash("echo run >> $CWD/effects"))).await?;
    let request = talk.asked().await?.request;
    talk.answer(&request, Decision::Allow, "Alex").await?;
    let second = talk.answer(&request, Decision::Deny("no".to_owned()), "Robin").await;
    let Err(ClientError::Refused(refusal)) = second else {
        anyhow::bail!("the second answer got {second:?}")
    };
    assert_eq!(refusal.code, RefusalCode::AlreadyAnswered);
    assert_eq!(refusal.message, "Alex allowed it already");
    talk.answer_to(prompt).await?;
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    rig.finish().await
}

async fn an_answer_that_is_sent_again_gets_the_same_reply_and_no_other_does(
    claude: Claude,
) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send(&format!("{}\n!echo-result", bash("echo run >> $CWD/effects"))).await?;
    let request = talk.asked().await?.request;
    let no = || Decision::Deny("Not on a Friday".to_owned());
    for _ in 0..2 {
        let settled = talk.answer(&request, no(), "Alex").await?;
        assert_eq!(settled, Settlement::Denied("Not on a Friday".to_owned()));
    }
    talk.answer_to(prompt).await?;
    talk.answer(&request, no(), "Alex").await?;
    let others = [(no(), "Robin"), (Decision::Deny("Never".to_owned()), "Alex"), (Decision::Allow, "Alex")];
    for (decision, by) in others {
        let Err(ClientError::Refused(refusal)) = talk.answer(&request, decision.clone(), by).await else {
            anyhow::bail!("{decision:?} by {by} was taken too")
        };
        assert_eq!(refusal.code, RefusalCode::AlreadyAnswered);
        assert_eq!(refusal.message, "Alex denied it already");
    }
    assert_eq!(lines(&rig.places.work().join("effects")), [] as [&str; 0]);
    rig.finish().await
}

async fn a_stop_in_mid_stream_leaves_claude_warm(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!stream 5000 words 20ms").await?;
    let pid = talk.pid().await?;
    talk.streamed("[10]").await?;
    assert!(talk.stop().await?.was_running);
    talk.idle().await?;
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Cancelled);
    let ended = rig.events.wait_for("the turn's end", |e| matches!(e.event, Event::TurnEnded(_))).await?;
    let Event::TurnEnded(ended) = ended.event else { unreachable!() };
    assert_eq!(ended.outcome, TurnOutcome::Stopped("Alex".to_owned()));
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert_eq!(talk.pid().await?, pid);
    rig.finish().await
}

async fn a_stop_cancels_what_is_queued(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    talk.send("!stream 5000 words 20ms").await?;
    talk.streamed("[10]").await?;
    let steering = talk.send("!text steered").await?;
    let queued = talk.queue("!text queued").await?;
    let stopped = talk.stop().await?;
    assert!(stopped.cancelled.contains(&steering) && stopped.cancelled.contains(&queued), "{stopped:?}");
    assert_eq!(rig.events.ended(steering).await?, PromptOutcome::Cancelled);
    assert_eq!(rig.events.ended(queued).await?, PromptOutcome::Cancelled);
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert!(!rig.asked()?.iter().any(|prompt| prompt.contains("steered") || prompt.contains("queued")));
    rig.finish().await
}

async fn a_stop_in_a_tool_kills_the_tools_process(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    talk.send(&endless_tool("tool")).await?;
    let tool = noted_pid(&rig.places.work().join("tool")).await?;
    let pid = talk.pid().await?;
    talk.stop().await?;
    talk.idle().await?;
    eventually("the tool's process to end", || (!lives(tool)).then_some(())).await?;
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert_eq!(talk.pid().await?, pid);
    rig.finish().await
}

async fn a_stop_gets_through_while_the_journal_takes_nothing(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    talk.send(&endless_tool("tool")).await?;
    let tool = noted_pid(&rig.places.work().join("tool")).await?;
    let journal = rusqlite::Connection::open(rig.places.state().join("journal.db"))?;
    journal.execute_batch("BEGIN IMMEDIATE")?;
    let stop = stops_unanswered(&talk, tool).await?;
    assert!(!stop.is_finished(), "nothing is answered before it is durable");
    journal.execute_batch("COMMIT")?;
    assert!(stop.await??.was_running);
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    rig.finish().await
}

async fn a_shutdown_gets_through_while_the_journal_takes_nothing(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let (works, hangs, waits) = (rig.talk("tg:1"), rig.talk("tg:2"), rig.talk("tg:3"));
    works.send(&endless_tool("tool")).await?;
    let tool = noted_pid(&rig.places.work().join("tool")).await?;
    hangs.say("!text Hello").await?;
    waits.say("!text Hello").await?;
    let claudes = [works.pid().await?, hangs.pid().await?, waits.pid().await?];
    signal(claudes[1], Signal::SIGSTOP)?;
    let journal = rusqlite::Connection::open(rig.places.state().join("journal.db"))?;
    journal.execute_batch("BEGIN IMMEDIATE")?;
    let prompt = tokio::spawn({
        let waits = waits.clone();
        async move { waits.send("!text Too late").await }
    });
    // As a rule the actor waits for the journal by now; if not, the end of all comes before the prompt.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut client = rig.client().await?;
    let shutdown = tokio::spawn(async move { client.request(&Request::Shutdown).await });
    for pid in claudes.into_iter().chain([tool]) {
        eventually("all that ran to end", || (!lives(pid)).then_some(())).await?;
    }
    assert!(!shutdown.is_finished(), "nothing is answered before it is durable");
    journal.execute_batch("COMMIT")?;
    shutdown.await??;
    assert!(rig.daemon.wait(PATIENCE).await?.success());
    rig.restart_daemon().await?;
    // Taken or refused, as it came.
    if let Ok(prompt) = prompt.await? {
        assert_eq!(waits.answer_to(prompt).await?, ["Too late"]);
    }
    assert_eq!(hangs.say("!text Still here").await?, ["Still here"]);
    rig.finish().await
}

async fn a_stop_right_after_a_prompt_means_that_it_does_nothing(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send(&format!("!gate never\n{}", bash("echo run >> $CWD/effects"))).await?;
    talk.stop().await?;
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Cancelled);
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert!(!rig.places.work().join("effects").exists());
    rig.finish().await
}

/// The prompt and the stop behind it lie in Claude's input together.
async fn a_stop_that_claude_hears_only_after_its_start_is_still_the_persons(
    claude: Claude,
) -> anyhow::Result<()> {
    for _ in 0..5 {
        if heard_after_the_start(claude.clone()).await? {
            return Ok(());
        }
    }
    anyhow::bail!("Claude never hears of the stop before it is ended for that")
}

/// `false`: Claude has needed longer for its start than the daemon waits for its obedience, and was ended.
async fn heard_after_the_start(claude: Claude) -> anyhow::Result<bool> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions");
    let rig = rig.slow_start().start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send(&bash("echo run >> $CWD/effects")).await?;
    let pid = talk.pid().await?;
    assert_eq!(talk.stop().await?.cancelled, [prompt]);
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Cancelled);
    rig.let_start()?;
    let next = talk.send("!text Still here").await?;
    rig.events.ended(next).await?;
    let ladder =
        |e: &Event| matches!(e, Event::Notice(n) if n.text.starts_with("Claude did not stop within"));
    if rig.events.log().envelopes().any(|e| ladder(&e.event)) {
        rig.finish().await?;
        return Ok(false);
    }
    assert_eq!(talk.answer_to(next).await?, ["Still here"]);
    assert_eq!(talk.pid().await?, pid);
    assert!(!rig.places.work().join("effects").exists());
    let stopped = TurnOutcome::Stopped("Alex".to_owned());
    let odd = |e: &Event| matches!(e, Event::TurnEnded(t) if !matches!(&t.outcome, TurnOutcome::Completed) && t.outcome != stopped);
    assert!(!rig.events.log().envelopes().any(|e| odd(&e.event)), "{}", rig.events.log().transcript());
    rig.finish().await?;
    Ok(true)
}

async fn a_prompt_during_a_tool_is_folded_into_the_running_turn(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    let wait = "touch $CWD/begun; while [ ! -e $CWD/go ]; do sleep 0.05; done";
    let first = talk.send(&format!("{}\n!text The first is done", bash(wait))).await?;
    let work = rig.places.work();
    eventually("the tool to begin", || work.join("begun").exists().then_some(())).await?;
    let second = talk.send("!text And the second").await?;
    std::fs::write(work.join("go"), "")?;
    assert_eq!(rig.events.ended(first).await?, PromptOutcome::Completed);
    assert_eq!(rig.events.ended(second).await?, PromptOutcome::Completed);
    talk.idle().await?;
    let log = rig.events.log();
    let turn = log.turn_of(first).context("the first never started")?;
    assert_eq!(log.turn_of(second), Some(turn), "{}", log.transcript());
    assert_eq!(log.texts(talk.key(), turn), ["The first is done", "And the second"]);
    rig.finish().await
}

async fn a_queued_prompt_runs_after_the_turn(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let first = talk.send("!text before\n!gate on\n!text after").await?;
    talk.streamed("before").await?;
    let second = talk.submit("second", "!text The second", Placement::Queue).await?;
    assert_eq!(second.ahead, 1);
    rig.open_gate("on")?;
    assert_eq!(talk.answer_to(first).await?, ["before", "after"]);
    assert_eq!(talk.answer_to(second.prompt).await?, ["The second"]);
    rig.finish().await
}

async fn a_new_session_ends_the_old_process_and_resume_goes_back(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text In the first session").await?;
    let (first, old) = (talk.session().await?, talk.pid().await?);
    talk.new_session().await?;
    eventually("the old process to end", || (!lives(old)).then_some(())).await?;
    talk.say("!text In the second session").await?;
    let second = talk.session().await?;
    assert_ne!(first, second);
    talk.resume(&first[..8]).await?;
    talk.say("!text In the first session again").await?;
    assert_eq!(talk.session().await?, first);
    let causes: Vec<SessionCause> = (rig.events.log().envelopes())
        .filter_map(|envelope| match &envelope.event {
            Event::SessionChanged(changed) => Some(changed.cause),
            _ => None,
        })
        .collect();
    assert!(causes.ends_with(&[SessionCause::Resumed]), "{causes:?}");
    let noise = rig.events.log().envelopes().filter(|e| matches!(&e.event, Event::Notice(_))).count();
    assert_eq!(noise, 0, "{}", rig.events.log().transcript());
    rig.finish().await
}

async fn a_new_session_in_mid_turn_stops_the_turn(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!stream 5000 words 20ms").await?;
    talk.streamed("[10]").await?;
    let (session, pid) = (talk.session().await?, talk.pid().await?);
    talk.new_session().await?;
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Cancelled);
    eventually("the old process to end", || (!lives(pid)).then_some(())).await?;
    assert_eq!(talk.say("!text In a new session").await?, ["In a new session"]);
    assert_ne!(talk.session().await?, session);
    let complaint = |e: &Event| matches!(e, Event::ProcessEnded(ended) if ended.message.is_some());
    assert!(!rig.events.log().envelopes().any(|e| complaint(&e.event)), "{}", rig.events.log().transcript());
    rig.finish().await
}

async fn after_the_idle_exit_the_next_message_resumes_the_session_with_its_history(
    claude: Claude,
) -> anyhow::Result<()> {
    let real = claude == Claude::Real;
    let rig = Rig::builder().claude(claude).idle_exit(Duration::from_millis(300)).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Remember the lantern").await?;
    let session = talk.session().await?;
    talk.closed().await?;
    assert_eq!(talk.say("!text What was it?").await?, ["What was it?"]);
    assert_eq!(talk.session().await?, session);
    if real {
        let request = rig.model.requests().pop().context("the model was not asked")?;
        assert!(request.body["messages"].to_string().contains("Remember the lantern"));
    }
    let messages: Vec<_> = (rig.events.log().envelopes())
        .filter_map(|envelope| match &envelope.event {
            Event::ProcessEnded(ended) => ended.message.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(messages, [] as [&str; 0], "an idle exit is nothing to speak of");
    rig.finish().await
}

async fn twenty_conversations_at_once_each_get_their_own_answer(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..20 {
        let talk = rig.talk(&format!("tg:{number}"));
        asking.spawn(async move { (number, talk.say(&format!("!text Answer {number}")).await) });
    }
    while let Some(answered) = asking.join_next().await {
        let (number, answer) = answered?;
        assert_eq!(answer?, [format!("Answer {number}")]);
    }
    rig.finish().await
}

async fn a_long_answer_arrives_word_by_word(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let answer = talk.say("!stream 20000 words").await?.concat();
    let numbers: Vec<usize> = answer
        .split_whitespace()
        .filter_map(|word| word.strip_prefix('[')?.split(']').next()?.parse().ok())
        .collect();
    let expected: Vec<usize> = (1..=2000).map(|tenth| tenth * 10).collect();
    assert_eq!(numbers, expected);
    assert_eq!(rig.events.log().streamed(talk.key()), answer, "the stream is the same text");
    rig.finish().await
}

async fn a_prompt_is_never_taken_for_an_option(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    for prompt in
        ["--version\n!text One", "- an item\n!text One", "\u{1f980} \"quoted\" \\ \u{2028}\n!text One"]
    {
        assert_eq!(talk.say(prompt).await?, ["One"]);
        assert_eq!(rig.asked()?.last().map(String::as_str), Some(prompt));
    }
    rig.finish().await
}

async fn a_shutdown_ends_claude_and_the_next_start_goes_on(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send(&endless_tool("tool")).await?;
    let tool = noted_pid(&rig.places.work().join("tool")).await?;
    let (session, pid) = (talk.session().await?, talk.pid().await?);
    let queued = talk.queue("!text Later").await?;
    rig.request(&Request::Shutdown).await?;
    assert!(rig.daemon.wait(PATIENCE).await?.success());
    assert!(!lives(pid));
    eventually("the tool's process to end", || (!lives(tool)).then_some(())).await?;
    rig.restart_daemon().await?;
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Cancelled);
    assert_eq!(talk.answer_to(queued).await?, ["Later"]);
    assert_eq!(talk.session().await?, session);
    rig.finish().await
}
