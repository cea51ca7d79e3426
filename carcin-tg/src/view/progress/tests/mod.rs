//! What a phone shows of what happens, event by event.

mod cards;

use std::fmt::Write as _;

use carcin_proto::event::{
    Ask, ConversationOpened, Level, Notice, PermissionAsk, PlanAsk, ProcessEnded, ProcessStarted,
    PromptEnded, PromptOutcome, PromptStarted, RequestSettled, SettingsChanged, Settlement, TaskChanged,
    TaskStatus, TextBlock, Todo, TodoStatus, TodosChanged, TurnEnded, TurnOutcome, Usage,
};
use carcin_proto::snapshot::Turn;
use carcin_proto::{BlockId, PromptId, TurnId};

use super::*;
use crate::markdown::MESSAGE_LIMIT;

const TURN: TurnId = TurnId(7);

fn started() -> Event {
    let prompt = PromptId::random();
    TurnStarted { turn: TURN, prompt: Some(prompt) }.into()
}

fn ended(outcome: TurnOutcome) -> Event {
    TurnEnded { turn: TURN, outcome, duration: Millis(12_000), usage: Usage::default() }.into()
}

fn text(text: &str, parent: Option<&str>) -> Event {
    let parent = parent.map(|id| id.parse().expect("an id"));
    TextBlock { turn: TURN, block: BlockId(0), text: text.into(), parent }.into()
}

fn tool(id: &str) -> Event {
    tool_of(id, None, "Bash", &format!("run {id}"))
}

fn tool_of(id: &str, parent: Option<&str>, name: &str, summary: &str) -> Event {
    ToolStarted {
        turn: TURN,
        block: BlockId(0),
        tool_use: id.parse().expect("an id"),
        name: name.into(),
        summary: summary.into(),
        input: String::new(),
        parent: parent.map(|id| id.parse().expect("an id")),
    }
    .into()
}

fn tool_done(id: &str, is_error: bool) -> Event {
    tool_said(id, is_error, "")
}

fn tool_said(id: &str, is_error: bool, output: &str) -> Event {
    ToolEnded {
        turn: TURN,
        tool_use: id.parse().expect("an id"),
        is_error,
        output: output.into(),
        omitted: 0,
        duration: Millis(5),
        parent: None,
    }
    .into()
}

fn permission_for(tool_use: &str) -> PermissionAsk {
    PermissionAsk {
        tool: "Bash".into(),
        tool_use: Some(tool_use.parse().expect("an id")),
        summary: String::new(),
        input: String::new(),
        description: String::new(),
        reason: String::new(),
        blocked_path: None,
        suggestions: String::new(),
    }
}

fn todos(items: &[(TodoStatus, &str)]) -> Event {
    let todo = |(index, (status, text)): (usize, &(TodoStatus, &str))| Todo {
        id: index.to_string(),
        text: (*text).into(),
        status: *status,
    };
    TodosChanged { todos: items.iter().enumerate().map(todo).collect() }.into()
}

fn take(progress: &mut Progress, seconds: u64, event: &Event) -> Vec<Output> {
    progress.take(Millis(seconds * 1000), event, 0, &Style::default())
}

/// What a phone would see, one line for each thing; a second passes with each event.
fn play(progress: &mut Progress, events: &[Event]) -> String {
    let mut seen = String::new();
    for (second, event) in events.iter().enumerate() {
        let at = Millis((second as u64 + 1) * 1000);
        for output in progress.take(at, event, 0, &Style::default()) {
            let shown = |progress: &Progress| progress.card.as_ref().map(|card| card.working(at).text);
            let line = match output {
                Output::Say { text, sound: true } => format!("say ♪ {}", text.text),
                Output::Say { text, sound: false } => format!("say {}", text.text),
                Output::Text { text, sound: true } => format!("text ♪ {}", text.text),
                Output::Text { text, sound: false } => format!("text {}", text.text),
                Output::File { name, content, caption } => {
                    format!("file {name} of {} bytes: {caption}", content.len())
                }
                Output::Files { files, .. } => format!("files {files:?}"),
                Output::Picture(path) => format!("picture {}", path.display()),
                Output::Card => format!("card {}", shown(progress).unwrap_or_default()),
                Output::CardMoved => format!("moved {}", shown(progress).unwrap_or_default()),
                Output::CardBegun => "begin".to_owned(),
                Output::CardEnded { text, heard: true } => format!("end ♪? {}", text.text),
                Output::CardEnded { text, heard: false } => format!("end {}", text.text),
            };
            writeln!(seen, "{}", line.replace('\n', " ⏎ ")).expect("a string takes it");
        }
    }
    seen
}

#[test]
fn only_the_final_text_makes_a_sound() {
    let mut progress = Progress::default();
    let events = [
        started(),
        text("I will look.", None),
        tool("t1"),
        text("for Claude's eyes", Some("t1")),
        tool_done("t1", true),
        text("Found **it**.", None),
        ended(TurnOutcome::Completed),
    ];
    insta::assert_snapshot!(play(&mut progress, &events));
    assert!(!progress.is_busy());
}

#[test]
fn a_stopped_turn_never_says_done() {
    let mut progress = Progress::default();
    let seen =
        play(&mut progress, &[started(), text("half", None), ended(TurnOutcome::Stopped("Ann".into()))]);
    assert!(!seen.contains("Done") && !seen.contains('♪'), "{seen}");
    assert!(seen.contains("Stopped by Ann"), "{seen}");
}

#[test]
fn a_failure_is_heard_once() {
    let failed = || ended(TurnOutcome::Failed("no credit".into()));
    let mut progress = Progress::default();
    let silent = play(&mut progress, &[started(), failed()]);
    let spoken = play(&mut progress, &[started(), text("Credit balance is too low", None), failed()]);
    // The summary calls only if no text before it has.
    insta::assert_snapshot!(format!("{silent}---\n{spoken}"));
}

#[test]
fn a_failure_that_was_heard_just_now_is_not_heard_again_at_the_end() {
    let limit =
        || Event::from(Notice { level: Level::Error, text: "The limit is reached".into(), hint: None });
    let failed = || ended(TurnOutcome::Failed("You've hit your limit".into()));
    let mut progress = Progress::default();
    let mut sounds = |events: &[(u64, Event)]| {
        let outputs: Vec<Output> =
            events.iter().flat_map(|(second, event)| take(&mut progress, *second, event)).collect();
        let heard = |output: &&Output| match output {
            Output::Say { sound, .. } | Output::Text { sound, .. } => *sound,
            Output::CardEnded { heard, .. } => *heard,
            _ => false,
        };
        outputs.iter().filter(heard).count()
    };
    assert_eq!(sounds(&[(1_000, started()), (1_001, limit()), (1_002, failed())]), 1);
    // What goes on for long and fails in the end is heard: nobody waits for it any more.
    assert_eq!(sounds(&[(2_000, started()), (2_001, limit()), (9_000, failed())]), 2);
    // The next one fails of the same, and says so alone.
    assert_eq!(sounds(&[(9_001, limit()), (9_002, started()), (9_003, failed())]), 2);
    assert_eq!(sounds(&[(9_100, started()), (9_101, limit()), (9_102, ended(TurnOutcome::Completed))]), 2);
}

#[test]
fn a_failure_is_told_once_however_many_prompts_were_in_it() {
    let why = "no credit";
    let [first, second, waiting] = [(); 3].map(|()| PromptId::random());
    let begins = |prompt| Event::from(PromptStarted { prompt, turn: TURN });
    let fails =
        |prompt, why: &str| Event::from(PromptEnded { prompt, outcome: PromptOutcome::Failed(why.into()) });
    let mut progress = Progress::default();
    let turn = [started(), begins(first), begins(second), ended(TurnOutcome::Failed(why.into()))];
    play(&mut progress, &turn);
    assert_eq!(play(&mut progress, &[fails(second, why), fails(first, why)]), "");
    // Of one that never began, its sender does not know.
    let seen = play(&mut progress, &[fails(waiting, why)]);
    assert_eq!(seen, "say ♪ ❌ Your message could not be given to Claude: no credit\n");
}

#[test]
fn a_card_is_not_buried_by_the_message_that_it_answers() {
    let prompt = PromptId::random();
    let begins = |prompt| Event::from(PromptStarted { prompt, turn: TURN });
    let mut progress = Progress::default();
    take(&mut progress, 0, &TurnStarted { turn: TURN, prompt: Some(prompt) }.into());
    take(&mut progress, 0, &begins(prompt));
    assert!(!take(&mut progress, 20, &tool("t1")).contains(&Output::CardMoved), "nothing is below it");
    take(&mut progress, 21, &begins(PromptId::random()));
    assert!(take(&mut progress, 22, &tool("t2")).contains(&Output::CardMoved), "a message is below it");
}

#[test]
fn a_death_is_heard_once_whatever_it_takes_with_it() {
    let mut progress = Progress::default();
    let interrupted = ended(TurnOutcome::Interrupted("Claude was killed by signal 9".into()));
    let exit = carcin_proto::event::Exit::Signal(9);
    let gone: Event = ProcessEnded {
        exit,
        message: Some("Claude was killed by signal 9.".into()),
        stderr_tail: String::new(),
    }
    .into();
    let seen = play(&mut progress, &[started(), interrupted.clone()]);
    assert!(!seen.contains('♪'), "the prompt's own message does it: {seen}");
    assert!(progress.hear_death() && !progress.hear_death(), "for the first prompt");
    assert!(!play(&mut progress, std::slice::from_ref(&gone)).contains('♪'));
    // Nobody's prompt is in it.
    let alone: Event = TurnStarted { turn: TURN, prompt: None }.into();
    let seen = play(&mut progress, &[alone, interrupted, gone.clone()]);
    assert_eq!(seen.matches('♪').count(), 1, "{seen}");
    // Nothing ran at all.
    let process = ProcessStarted { pid: 1, adopted: false };
    let seen = play(&mut progress, &[process.into(), gone]);
    assert_eq!(seen.matches('♪').count(), 1, "{seen}");
}

#[test]
fn first_pictures_of_a_turns_own_tools_are_shown() {
    let picture = |number: u32, parent: Option<&str>| {
        Event::from(ToolPicture {
            turn: TURN,
            tool_use: "t1".parse().expect("an id"),
            path: format!("/state/pictures/{number}.png").into(),
            media_type: "image/png".into(),
            size: 70_000,
            parent: parent.map(|parent| parent.parse().expect("an id")),
        })
    };
    let mut events = vec![started(), picture(9, Some("t0"))];
    events.extend((0..6).map(|number| picture(number, None)));
    let seen = play(&mut Progress::default(), &events);
    assert_eq!(seen.matches("picture /state/pictures/").count(), 4, "{seen}");
    assert!(!seen.contains("9.png") && seen.contains("3.png"), "{seen}");
    let style = Style { pictures: false, ..Style::default() };
    let mut progress = Progress::default();
    progress.take(Millis(1), &started(), 0, &style);
    assert_eq!(progress.take(Millis(2), &picture(0, None), 0, &style), []);
}

#[test]
fn a_refused_key_is_told_at_once_and_an_overload_only_when_it_lasts() {
    let retried = |attempt, status| {
        let message = format!("attempt {attempt} failed with {status}");
        Event::from(ApiRetried {
            attempt,
            max_attempts: 10,
            delay: Millis(500),
            status: Some(status),
            message,
        })
    };
    let mut progress = Progress::default();
    let seen = play(&mut progress, &[started(), retried(1, 401), retried(2, 401), retried(3, 401)]);
    assert_eq!(seen.matches("say").count(), 1, "{seen}");
    let seen =
        play(&mut progress, &[started(), retried(1, 529), retried(2, 529), retried(3, 529), retried(4, 529)]);
    assert_eq!(seen.matches("say").count(), 1, "{seen}");
    assert!(seen.contains("say ⚠️ attempt 3"), "{seen}");
}

#[test]
fn what_compacting_prints_is_not_told_again() {
    let compacted = Compacted { phase: CompactionPhase::Finished, before: Some(9_000), after: Some(900) };
    let printed = text("Compacted PreCompact ['notify-compact' daemon] completed successfully", None);
    let mut progress = Progress::default();
    let events = [started(), compacted.into(), printed, ended(TurnOutcome::Completed)];
    let seen = play(&mut progress, &events);
    assert!(!seen.contains("PreCompact") && seen.contains("say 🗜 Context compacted: 9k"), "{seen}");
    // What Claude says of it in its own words is told.
    let seen = play(
        &mut progress,
        &[started(), text("Compacted files are here.", None), ended(TurnOutcome::Completed)],
    );
    assert!(seen.contains("text ♪ Compacted files"), "{seen}");
}

#[test]
fn the_card_says_when_claude_waits() {
    let request: carcin_proto::RequestId = "r".parse().expect("an id");
    let opened = RequestOpened {
        request: request.clone(),
        turn: TURN,
        ask: Ask::Plan(PlanAsk { plan: String::new(), path: None }),
    };
    let settled = RequestSettled { request, settlement: Settlement::Allowed, by: "Ann".into() };
    let seen = play(&mut Progress::default(), &[started(), opened.into(), settled.into()]);
    insta::assert_snapshot!(seen);
}

#[test]
fn everything_that_happens_is_told_in_one_clear_message() {
    let notice = |level, hint: Option<&str>| {
        Event::from(Notice { level, text: "The disk is nearly full".into(), hint: hint.map(str::to_owned) })
    };
    let compacted = |phase| Event::from(Compacted { phase, before: Some(155_000), after: Some(900) });
    let events = [
        notice(Level::Info, None),
        notice(Level::Warning, Some("Free some space")),
        notice(Level::Error, None),
        compacted(CompactionPhase::Started),
        compacted(CompactionPhase::Finished),
        ProcessEnded {
            exit: carcin_proto::event::Exit::Signal(9),
            message: Some("Claude was killed by signal 9.".into()),
            stderr_tail: "oom\n".into(),
        }
        .into(),
        ProcessEnded { exit: carcin_proto::event::Exit::Code(0), message: None, stderr_tail: "x".into() }
            .into(),
        PromptEnded {
            prompt: carcin_proto::PromptId::random(),
            outcome: PromptOutcome::Failed("the folder is gone".into()),
        }
        .into(),
    ];
    insta::assert_snapshot!(play(&mut Progress::default(), &events));
}

#[test]
fn a_card_whose_turn_is_over_is_closed_and_one_that_runs_is_kept() {
    let mut progress = Progress::default();
    play(&mut progress, &[started(), tool("t1"), text("held", None)]);
    let mut kept = progress.clone();
    let turn = Turn { turn: TURN, prompts: vec![], started_at: Millis(1_000), tools: 4, running: vec![] };
    let now = |turn| Conversation { turn, ..Conversation::default() };
    let outputs = kept.reconcile(Some(&now(Some(turn.clone()))));
    assert!(matches!(&outputs[..], [Output::Text { sound: false, .. }, Output::Card]), "{outputs:?}");
    assert_eq!(kept.card.map(|card| card.tools.count), Some(4));

    let another = Turn { started_at: Millis(9_000), ..turn };
    let outputs = progress.clone().reconcile(Some(&now(Some(another))));
    assert!(
        matches!(&outputs[..], [_, Output::CardEnded { .. }, Output::CardBegun, Output::Card]),
        "{outputs:?}"
    );

    let outputs = progress.reconcile(None);
    assert!(matches!(&outputs[..], [_, Output::CardEnded { .. }]), "{outputs:?}");
    assert!(!progress.is_busy());
}

#[test]
fn what_is_held_back_survives_as_json() {
    let mut progress = Progress::default();
    play(&mut progress, &[started(), tool("t1"), text("held", None)]);
    let json = serde_json::to_string(&progress).expect("serialises");
    assert_eq!(serde_json::from_str::<Progress>(&json).expect("parses"), progress);
}

#[test]
fn thinking_ends_the_wait_for_a_final_text() {
    let thinking = ThinkingBlock { turn: TURN, block: BlockId(1), text: String::new(), parent: None };
    let seen = play(&mut Progress::default(), &[text("so far", None), thinking.into()]);
    assert_eq!(seen, "text so far\n");
}

#[test]
fn what_goes_on_beside_is_told_in_one_line_each() {
    let mode = |mode: &str| SettingsChanged { permission_mode: Some(mode.into()), ..Default::default() };
    let task = |status, tool_use: &str| TaskChanged {
        task: format!("task of {tool_use}"),
        tool_use: Some(tool_use.parse().expect("an id")),
        description: "cargo build --release".into(),
        status,
    };
    let by_itself: Event = TurnStarted { turn: TURN, prompt: None }.into();
    let events = [
        mode("default").into(),
        started(),
        mode("plan").into(),
        mode("plan").into(),
        tool("t1"),
        // One in the foreground ends before its call comes back, and is nothing to speak of.
        task(TaskStatus::Running, "t1").into(),
        task(TaskStatus::Completed, "t1").into(),
        tool_done("t1", false),
        tool("t2"),
        task(TaskStatus::Running, "t2").into(),
        tool_done("t2", false),
        ended(TurnOutcome::Completed),
        mode("acceptEdits").into(),
        task(TaskStatus::Failed, "t2").into(),
        by_itself,
        tool("t3"),
        PromptStarted { prompt: PromptId::random(), turn: TURN }.into(),
        tool("t4"),
    ];
    insta::assert_snapshot!(play(&mut Progress::default(), &events));
}

#[test]
fn thinking_is_shown_folded_where_it_is_wanted() {
    let thinking = ThinkingBlock { turn: TURN, block: BlockId(1), text: "Hm.\nWell.".into(), parent: None };
    let style = Style { thinking: true, ..Style::default() };
    let outputs = Progress::default().take(Millis(1), &thinking.clone().into(), 0, &style);
    let [Output::Say { text, sound: false }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(text.text, "💭 Thinking\nHm.\nWell.");
    assert_eq!(take(&mut Progress::default(), 1, &thinking.into()), []);
}

#[test]
fn a_text_of_very_many_messages_is_begun_in_one_and_is_a_file() {
    let answer = format!("# Title\n\n{}[[telegram:send:/tmp/a.png]]", "A *few* words. ".repeat(70_000));
    let mut progress = Progress::default();
    let mut outputs = Vec::new();
    for event in [started(), text(&answer, None), ended(TurnOutcome::Completed)] {
        outputs.extend(progress.take(Millis(1), &event, 0, &Style::default()));
    }
    let [
        ..,
        Output::Text { text, sound: true },
        file,
        Output::Files { sound: false, .. },
        Output::CardEnded { .. },
    ] = &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert!(text.text.starts_with("Title\nA few words.") && text.text.ends_with('…'));
    assert!(text.units() <= MESSAGE_LIMIT);
    let Output::File { name, content, caption } = file else { panic!("{file:?}") };
    assert_eq!((&**name, &**caption), ("answer.md", "📄 The whole of it, 1050008 characters"));
    assert!(content.starts_with("# Title\n\nA *few* words.") && !content.contains("telegram:send"));
}

#[test]
fn what_tools_do_is_shown_folded_or_as_a_file_where_it_is_wanted() {
    let style = Style { output: true, edits: true, ..Style::default() };
    let edit = |use_id: &str, new: &str| {
        let input = serde_json::json!({"file_path": "/w/a.rs", "old_string": "one\ntwo", "new_string": new});
        let Event::ToolStarted(tool) = tool_of(use_id, None, "Edit", "/w/a.rs") else { unreachable!() };
        Event::from(ToolStarted { input: input.to_string(), ..tool })
    };
    let printed = |use_id: &str, output: &str| tool_said(use_id, false, output);
    let asked = RequestOpened {
        request: "r1".parse().expect("an id"),
        turn: TURN,
        ask: Ask::Permission(permission_for("asked")),
    };
    let long = "x\n".repeat(1_000);
    let events = [
        started(),
        tool_of("ls", None, "Bash", "ls"),
        edit("e1", "one\nthree"),
        printed("ls", "a.rs\nb.rs"),
        printed("e1", "The file has been updated"),
        edit("asked", "one\nfour"),
        asked.into(),
        printed("asked", "The file has been updated"),
        edit("e2", &long),
        printed("e2", "The file has been updated"),
        edit("fails", "one\nfive"),
        tool_done("fails", true),
        tool_of("inner", Some("ls"), "Bash", "pwd"),
        printed("inner", "/w"),
        tool_of("empty", None, "Bash", "true"),
        printed("empty", "\n"),
    ];
    let mut progress = Progress::default();
    let shown: Vec<Output> = events
        .iter()
        .flat_map(|event| progress.take(Millis(1), event, 0, &style))
        .filter(|output| matches!(output, Output::Say { .. } | Output::File { .. }))
        .collect();
    let shown: Vec<String> = shown
        .iter()
        .map(|output| match output {
            Output::Say { text, sound } => format!("{sound} {}", text.text),
            Output::File { name, content, caption } => format!("{name} of {}: {caption}", content.len()),
            other => panic!("{other:?}"),
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n\n"));
    assert!(progress.edits.is_empty());
}

/// Drafts depend on it: one that comes after its message would stay.
#[test]
fn whatever_sends_the_text_is_known_to_end_it() {
    let events = [
        started(),
        text("next", None),
        text("inner", Some("t")),
        tool("t1"),
        tool_of("t2", Some("t1"), "Read", "x"),
        tool_done("t1", true),
        ended(TurnOutcome::Completed),
        todos(&[]),
        Notice { level: Level::Info, text: "x".into(), hint: None }.into(),
        Compacted { phase: CompactionPhase::Started, before: None, after: None }.into(),
        ThinkingBlock { turn: TURN, block: BlockId(1), text: String::new(), parent: None }.into(),
        PromptEnded { prompt: PromptId::random(), outcome: PromptOutcome::Failed("x".into()) }.into(),
        ProcessStarted { pid: 1, adopted: false }.into(),
        ConversationOpened { cwd: "/".into() }.into(),
        SettingsChanged::default().into(),
    ];
    for event in events {
        let mut progress = Progress { held: Some("held".into()), ..Progress::default() };
        let sent = take(&mut progress, 1, &event).iter().any(|output| matches!(output, Output::Text { .. }));
        assert!(!sent || ends_text(&event), "{event:?}");
    }
}
