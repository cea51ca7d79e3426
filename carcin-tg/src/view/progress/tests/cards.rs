//! What the card of a turn looks like.

use super::*;

#[test]
fn every_kind_of_tool_is_shown_by_what_it_is_about() {
    let folder = ConversationOpened { cwd: "/home/ann/app".into() };
    let long = format!("/home/ann/app/{}/deep.rs", "very/long/path".repeat(5));
    let tools = [
        ("Bash", "cargo test --workspace -- --nocapture 2>&1 | grep -v '^$' | tail -n 40"),
        ("Read", "/home/ann/app/src/main.rs"),
        ("Edit", long.as_str()),
        ("Write", "/etc/hosts"),
        ("NotebookEdit", "/home/ann/app/a.ipynb"),
        ("Grep", "fn main /home/ann/app/src"),
        ("Glob", "**/*.rs"),
        ("WebFetch", "https://example.com/docs"),
        ("WebSearch", "rust sqlite wal"),
        ("Agent", "Look for the leak"),
        ("Skill", "telegram-send"),
        ("mcp__github__list_issues", "state open"),
        ("ExitPlanMode", ""),
        ("AskUserQuestion", "Which colour?"),
        ("TaskOutput", "b1"),
        ("TaskStop", "b1"),
        ("CronCreate", "Is the build green?"),
        ("CronDelete", "c1"),
        ("CronList", ""),
        ("EnterPlanMode", ""),
        ("EnterWorktree", "fix-the-leak"),
        ("ExitWorktree", "keep"),
        ("ListAgents", ""),
        ("Monitor", "tail -f build.log"),
        ("ReportFindings", "high"),
        ("ScheduleWakeup", "Look at the build again"),
        ("SendMessage", "Stop after the first one"),
        ("ToolSearch", "select:WebFetch"),
        ("Workflow", "Review every module"),
        // The list itself is on the card.
        ("TodoWrite", "1/3 Find the bug"),
        ("TaskCreate", "Find the bug"),
        ("TaskUpdate", "#1 completed"),
        ("TaskGet", "1"),
        ("TaskList", ""),
    ];
    for tool in claudes_tools() {
        // `Agent` is what Claude Code calls it when it uses it.
        assert!(tool == "Task" || tools.iter().any(|(name, _)| *name == tool), "{tool} is not among them");
    }
    let mut shown = Vec::new();
    for (name, summary) in tools {
        let mut progress = Progress::default();
        let seen =
            play(&mut progress, &[folder.clone().into(), started(), tool_of("t", None, name, summary)]);
        shown.push(seen.lines().last().unwrap_or_default().to_owned());
    }
    insta::assert_snapshot!(shown.join("\n"));
}

/// The tools that Claude Code says it has.
fn claudes_tools() -> Vec<String> {
    let recorded = include_str!("../../../../../carcin-lab/corpus/claude/demo-plain.ndjson");
    let mut frames = recorded.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let init = frames.find(|frame| frame["subtype"] == "init").expect("it begins");
    let tools = init["tools"].as_array().expect("it has tools").iter();
    tools.filter_map(|tool| tool.as_str().map(str::to_owned)).collect()
}

#[test]
fn a_whole_turn_as_its_card_shows_it() {
    use TodoStatus::{Completed, InProgress, Pending};
    let mut progress = Progress::default();
    let mut shown = Vec::new();
    let events = [
        ConversationOpened { cwd: "/srv/app".into() }.into(),
        ProcessStarted { pid: 1, adopted: false }.into(),
        started(),
        todos(&[(InProgress, "Find the bug"), (Pending, "Fix it"), (Pending, "Run the tests")]),
        tool_of("t1", None, "Grep", "panic /srv/app/src"),
        tool_done("t1", false),
        tool_of("t2", None, "Task", "Look for the leak"),
        tool_of("t3", Some("t2"), "Read", "/srv/app/src/pool.rs"),
        tool_done("t3", false),
        tool_of("t4", Some("t2"), "Bash", "cargo check"),
        tool_done("t4", true),
        tool_of("t5", Some("t2"), "Task", "Ask another one"),
        tool_of("t6", Some("t5"), "Read", "/srv/app/src/main.rs"),
        tool_done("t6", false),
        tool_done("t5", false),
        tool_done("t2", false),
        todos(&[(Completed, "Find the bug"), (InProgress, "Fix it"), (Pending, "Run the tests")]),
        tool_of("t7", None, "Edit", "/srv/app/src/pool.rs"),
        tool_done("t7", false),
        tool_of("t8", None, "Bash", "cargo test"),
        tool_said("t8", true, "1 test failed"),
        tool_of("t9", None, "Edit", "/srv/app/src/pool.rs"),
        tool_done("t9", false),
        Compacted { phase: CompactionPhase::Started, before: None, after: None }.into(),
    ];
    for (second, event) in events.iter().enumerate() {
        take(&mut progress, second as u64 * 5, event);
        if let Some(card) = &progress.card {
            let text = card.working(Millis(second as u64 * 5_000 + 4_000));
            assert!(text.units() < 1_000, "it is for a phone: {}", text.text);
            shown.push(text.text);
        }
    }
    let usage = Usage {
        input_tokens: 45_000,
        output_tokens: 1_200,
        cost_micro_usd: 123_400,
        context_tokens: 60_000,
        context_window: 200_000,
        ..Usage::default()
    };
    let outcome = TurnOutcome::Completed;
    let end = TurnEnded { turn: TURN, outcome, duration: Millis(92_000), usage };
    for output in progress.take(Millis(92_000), &end.into(), 123_400, &Style::default()) {
        if let Output::CardEnded { text, .. } = output {
            shown.push(text.text);
        }
    }
    insta::assert_snapshot!(shown.join("\n---\n"));
}

#[test]
fn a_long_todo_list_takes_ten_lines() {
    use TodoStatus::{Completed, InProgress, Pending};
    let list = |done: usize, all: usize| {
        let mut items = vec![(Completed, "Done before"); done];
        items.push((InProgress, "What is done now"));
        items.resize(all, (Pending, "Still to be done"));
        let mut progress = Progress::default();
        take(&mut progress, 1, &started());
        take(&mut progress, 1, &todos(&items));
        progress.card.expect("a card").working(Millis(1_000)).text
    };
    for (done, all) in [(0, 1), (9, 10), (5, 11), (30, 40), (0, 40), (500, 1_000)] {
        let shown = list(done, all);
        assert!(shown.lines().count() <= 11, "{shown}");
        assert!(shown.contains("What is done now") || done >= 60, "{shown}");
    }
    insta::assert_snapshot!(format!("{}\n---\n{}", list(30, 40), list(0, 12)));
}

#[test]
fn five_hundred_tools_make_a_small_row_and_a_small_card() {
    let mut progress = Progress::default();
    take(&mut progress, 1, &started());
    let (mut row, mut units) = (0, 0);
    for index in 0..500_u64 {
        let id = format!("toolu_{index:024}");
        let name = if index % 3 == 0 { format!("mcp__server{index}__tool") } else { "Edit".to_owned() };
        take(
            &mut progress,
            index,
            &tool_of(&id, None, &name, &format!("/srv/{}/{index}.rs", "x".repeat(390))),
        );
        units = units.max(progress.card.as_ref().expect("a card").working(Millis(index * 1000)).units());
        if index % 7 != 0 {
            take(&mut progress, index, &tool_said(&id, index % 5 == 0, "it failed"));
        }
        row = row.max(serde_json::to_string(&progress).expect("serialises").len());
    }
    assert!(row < 40_000, "{row} bytes");
    assert!(units < 2_000, "{units} units");
    let outputs = take(&mut progress, 600, &ended(TurnOutcome::Completed));
    let Some(Output::CardEnded { text, .. }) = outputs.last() else { panic!("{outputs:?}") };
    assert!(text.units() <= markdown::MESSAGE_LIMIT && text.text.contains("500 tools"), "{}", text.text);
}

#[test]
fn a_card_moves_below_what_was_said_at_the_next_tool_but_not_all_the_time() {
    let mut progress = Progress::default();
    let mut moves = Vec::new();
    take(&mut progress, 0, &started());
    for second in 1..60 {
        take(&mut progress, second, &text("I go on.", None));
        let outputs = take(&mut progress, second, &tool(&format!("t{second}")));
        if outputs.contains(&Output::CardMoved) {
            moves.push(second);
        }
    }
    assert_eq!(moves, [10, 20, 30, 40, 50]);
    for second in 100..200 {
        let outputs = take(&mut progress, second, &tool(&format!("t{second}")));
        assert!(second == 100 || !outputs.contains(&Output::CardMoved), "nothing is below it");
    }
}

#[test]
fn what_a_failed_tool_said_is_folded_or_a_file_and_only_a_few_times() {
    let mut progress = Progress::default();
    let mut events = vec![started()];
    for index in 0..8 {
        let id = format!("t{index}");
        let output = if index == 1 { "line\n".repeat(500) } else { "error: no such thing\n".to_owned() };
        events.extend([tool(&id), tool_said(&id, true, &output)]);
    }
    let seen = play(&mut progress, &events);
    let told: Vec<&str> = seen.lines().filter(|line| !line.starts_with("card")).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_marker_of_the_end_is_what_was_configured_and_only_for_what_went_well() {
    let style = Style { done: "Finished".into(), ..Style::default() };
    for (outcome, expected) in [
        (TurnOutcome::Completed, "✅ Finished · 12 s"),
        (TurnOutcome::Stopped("Ann".into()), "⏹ Stopped by Ann · 12 s"),
    ] {
        let mut progress = Progress::default();
        take(&mut progress, 0, &started());
        let outputs = progress.take(Millis(12_000), &ended(outcome), 0, &style);
        let Some(Output::CardEnded { text, .. }) = outputs.last() else { panic!("{outputs:?}") };
        assert_eq!(text.text, expected);
    }
}

#[test]
fn a_turn_is_told_its_cost_where_no_other_is_in_it() {
    let mut progress = Progress::default();
    let mut costs = Vec::new();
    let mut turn = |progress: &mut Progress, grown| {
        take(progress, 0, &started());
        let usage = Usage { cost_micro_usd: 2_000_000, ..Usage::default() };
        let outcome = TurnOutcome::Completed;
        let end = TurnEnded { turn: TURN, outcome, duration: Millis(1_000), usage };
        let outputs = progress.take(Millis(1_000), &end.into(), grown, &Style::default());
        let Some(Output::CardEnded { text, .. }) = outputs.last() else { panic!("{outputs:?}") };
        costs.push(text.text.clone());
    };
    // Where the bot joined in the middle, nobody knows how much of it was spent before.
    turn(&mut progress, 900_000);
    turn(&mut progress, 100_000);
    take(&mut progress, 0, &ProcessStarted { pid: 1, adopted: true }.into());
    turn(&mut progress, 4_000);
    progress.reconcile(None);
    turn(&mut progress, 900_000);
    take(&mut progress, 0, &ProcessStarted { pid: 2, adopted: false }.into());
    turn(&mut progress, 20_000);
    let expected = ["", " · $0.10", " · <$0.01", "", " · $0.02"];
    assert_eq!(costs, expected.map(|cost| format!("✅ Done · 1 s{cost}")));
}

fn task(status: TaskStatus, tool_use: &str, description: &str) -> Event {
    TaskChanged {
        task: format!("task of {tool_use}"),
        tool_use: Some(tool_use.parse().expect("an id")),
        description: description.into(),
        status,
    }
    .into()
}

/// That is how Claude Code runs its agents unless it is told otherwise.
#[test]
fn a_subagent_in_the_background_is_shown_with_what_it_does_until_it_ends() {
    use TaskStatus::{Completed, Running};
    let by_itself: Event = TurnStarted { turn: TURN, prompt: None }.into();
    let events = [
        started(),
        tool_of("a1", None, "Agent", "Look for the leak"),
        task(Running, "a1", "Look for the leak"),
        tool_done("a1", false),
        tool_of("b1", Some("a1"), "Bash", "cargo build"),
        task(Running, "b1", "cargo build"),
        tool("t1"),
        ended(TurnOutcome::Completed),
        // What a subagent has in the background is its own business.
        task(Completed, "b1", "cargo build"),
        by_itself,
        tool_of("r1", Some("a1"), "Read", "/srv/app/src/pool.rs"),
        task(Completed, "a1", "Look for the leak"),
        tool("t2"),
        ended(TurnOutcome::Completed),
    ];
    insta::assert_snapshot!(play(&mut Progress::default(), &events).replace(" ⏎ ", "\n     "));
}

#[test]
fn what_was_denied_or_stopped_has_not_failed_and_is_told_once() {
    let request = |id: &str| -> carcin_proto::RequestId { id.parse().expect("an id") };
    let denies = |id: &str, ask: Ask| {
        let settlement = Settlement::Denied("Not there".into());
        let settled = RequestSettled { request: request(id), settlement, by: "Ann".into() };
        [RequestOpened { request: request(id), turn: TURN, ask }.into(), settled.into()]
    };
    let permission = Ask::Permission(permission_for("t1"));
    let plan = Ask::Plan(PlanAsk { plan: String::new(), path: None });
    let mut events = vec![started(), tool("t1")];
    events.extend(denies("r1", permission));
    events.extend([tool_said("t1", true, "Not there"), tool_of("p1", None, "ExitPlanMode", "")]);
    events.extend(denies("r2", plan));
    events.extend([
        tool_said("p1", true, "Not there"),
        tool("t2"),
        tool_said("t2", true, "The user doesn't want to proceed with this tool use. STOP what you are doing"),
        ended(TurnOutcome::Stopped("Ann".into())),
    ]);
    let seen = play(&mut Progress::default(), &events);
    assert!(!seen.contains("say") && !seen.contains("failed"), "{seen}");
    assert!(seen.contains("🚫 Bash run t1 ⏎ 🚫 Show plan ⏎ 🚫 Bash run t2"), "{seen}");
}

#[test]
fn what_a_tool_says_of_a_wrong_call_is_told_without_its_marks() {
    let wrong = "<tool_use_error>File has not been read yet.</tool_use_error>";
    let seen = play(&mut Progress::default(), &[started(), tool("t1"), tool_said("t1", true, wrong)]);
    assert!(seen.contains("say ✗ Bash run t1 ⏎ File has not been read yet.\n"), "{seen}");
}

#[test]
fn of_many_at_once_a_subagent_is_not_forgotten() {
    let mut progress = Progress::default();
    take(&mut progress, 0, &started());
    take(&mut progress, 0, &tool_of("a1", None, "Agent", "Look for the leak"));
    for index in 0..60 {
        take(&mut progress, 1, &tool_of(&format!("b{index}"), Some("a1"), "Read", "x.rs"));
    }
    let shown = progress.card.as_ref().expect("a card").working(Millis(2_000)).text;
    assert!(shown.contains("▸ Task Look for the leak"), "{shown}");
}
