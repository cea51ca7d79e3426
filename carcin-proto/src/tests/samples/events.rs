//! What may happen.

use super::*;

/// In the order of the kinds; where a kind holds an enum, once for each variant.
pub(in crate::tests) fn events() -> Vec<Event> {
    let mut out: Vec<Event> = vec![ConversationOpened { cwd: cwd() }.into()];
    for (session, cause) in [
        (None, SessionCause::New),
        (Some(session()), SessionCause::Resumed),
        (Some(session()), SessionCause::Moved),
        (Some(session()), SessionCause::Followed),
        (None, SessionCause::Lost),
    ] {
        out.push(SessionChanged { session, cwd: cwd(), cause }.into());
    }
    out.push(settings().into());
    out.push(ProcessStarted { pid: 4242, adopted: true }.into());
    for exit in [Exit::Code(1), Exit::Signal(9), Exit::Unknown, Exit::NotStarted("no claude".into())] {
        out.push(ProcessEnded { exit, message: Some("It died".into()), stderr_tail: "oops".into() }.into());
    }
    let recalled = ConversationRecalled {
        cwd: cwd(),
        session: Some(session()),
        settings: settings(),
        todos: vec![Todo { id: "1".into(), text: "test".into(), status: TodoStatus::InProgress }],
        unrecognised: 5,
    };
    out.push(recalled.into());
    prompts(&mut out);
    turns(&mut out);
    blocks(&mut out);
    requests_and_settlements(&mut out);
    notices(&mut out);
    out
}

pub(super) fn settings() -> SettingsChanged {
    SettingsChanged { model: Some("opus".into()), permission_mode: Some("plan".into()), effort: None }
}

fn prompts(out: &mut Vec<Event>) {
    let prompt = prompt();
    let key = IdempotencyKey::new("tg:7:99").expect("valid");
    out.push(PromptAccepted { prompt, key, text: "Hé 🦀".into(), by: "ana".into(), ahead: 2 }.into());
    out.push(PromptStarted { prompt, turn: TurnId(3) }.into());
    for outcome in [
        PromptOutcome::Completed,
        PromptOutcome::Cancelled,
        PromptOutcome::Interrupted("killed".into()),
        PromptOutcome::Failed("no disk".into()),
    ] {
        out.push(PromptEnded { prompt, outcome }.into());
    }
}

fn turns(out: &mut Vec<Event>) {
    let turn = TurnId(3);
    out.push(TurnStarted { turn, prompt: Some(prompt()) }.into());
    out.push(TurnStarted { turn, prompt: None }.into());
    let usage = usage();
    for outcome in [
        TurnOutcome::Completed,
        TurnOutcome::Stopped("ana".into()),
        TurnOutcome::Failed("overloaded".into()),
        TurnOutcome::Interrupted("killed".into()),
    ] {
        out.push(TurnEnded { turn, outcome, duration: Millis(5_000_000_000), usage }.into());
    }
}

fn blocks(out: &mut Vec<Event>) {
    let (turn, block) = (TurnId(3), BlockId(1));
    out.push(TextBlock { turn, block, text: "**Done**".into(), parent: None }.into());
    out.push(ThinkingBlock { turn, block, text: "Hm".into(), parent: Some(tool_use()) }.into());
    out.push(tool_started().into());
    out.push(
        ToolEnded {
            turn,
            tool_use: tool_use(),
            is_error: false,
            output: "ok".into(),
            omitted: 17,
            duration: Millis(1500),
            parent: None,
        }
        .into(),
    );
    let todo = |id: &str, status| Todo { id: id.into(), text: "test".into(), status };
    out.push(
        TodosChanged {
            todos: vec![
                todo("1", TodoStatus::Pending),
                todo("2", TodoStatus::InProgress),
                todo("3", TodoStatus::Completed),
            ],
        }
        .into(),
    );
    for status in [TaskStatus::Running, TaskStatus::Completed, TaskStatus::Failed, TaskStatus::Stopped] {
        out.push(task(status).into());
    }
    out.push(
        ToolPicture {
            turn,
            tool_use: tool_use(),
            path: "/state/pictures/1.png".into(),
            media_type: "image/png".into(),
            size: 70_000,
            parent: None,
        }
        .into(),
    );
}

pub(super) fn tool_started() -> ToolStarted {
    ToolStarted {
        turn: TurnId(3),
        block: BlockId(1),
        tool_use: tool_use(),
        name: "Bash".into(),
        summary: "ls".into(),
        input: r#"{"command":"ls"}"#.into(),
        parent: None,
    }
}

pub(super) fn task(status: TaskStatus) -> TaskChanged {
    TaskChanged { task: "b1".into(), tool_use: Some(tool_use()), description: "build".into(), status }
}

pub(super) fn permission() -> RequestOpened {
    let ask = Ask::Permission(PermissionAsk {
        tool: "Bash".into(),
        tool_use: Some(tool_use()),
        summary: "rm x".into(),
        input: "{}".into(),
        description: "Remove x".into(),
        reason: "not allowed yet".into(),
        blocked_path: Some("/x".into()),
        suggestions: "[]".into(),
    });
    RequestOpened { request: request(), turn: TurnId(3), ask }
}

fn requests_and_settlements(out: &mut Vec<Event>) {
    out.push(permission().into());
    let question = Question {
        question: "Which?".into(),
        header: "Pick".into(),
        options: vec![QuestionOption { label: "A".into(), description: "first".into() }],
        multi_select: true,
    };
    for ask in [
        Ask::Questions(vec![question]),
        Ask::Plan(PlanAsk { plan: "# Plan".into(), path: Some("/plan.md".into()) }),
        Ask::Elicitation(ElicitationAsk {
            server: "db".into(),
            message: "Login".into(),
            url: Some("https://x".into()),
            schema: String::new(),
        }),
    ] {
        out.push(RequestOpened { request: request(), turn: TurnId(3), ask }.into());
    }
    for settlement in settlements() {
        out.push(RequestSettled { request: request(), settlement, by: "ana".into() }.into());
    }
}

pub(super) fn settlements() -> Vec<Settlement> {
    vec![
        Settlement::Allowed,
        Settlement::AllowedAlways(vec![0, 300]),
        Settlement::Denied("no".into()),
        Settlement::Answered(vec![("Which?".into(), "A".into())]),
        Settlement::Withdrawn("killed".into()),
        Settlement::Cancelled,
    ]
}

fn notices(out: &mut Vec<Event>) {
    out.push(
        ApiRetried {
            attempt: 1,
            max_attempts: 10,
            delay: Millis(500),
            status: Some(529),
            message: "Overloaded".into(),
        }
        .into(),
    );
    for phase in [CompactionPhase::Started, CompactionPhase::Finished, CompactionPhase::Failed("no".into())] {
        out.push(Compacted { phase, before: Some(150_000), after: None }.into());
    }
    for level in [Level::Info, Level::Warning, Level::Error] {
        out.push(Notice { level, text: "Disk".into(), hint: Some("free some".into()) }.into());
    }
    out.push(Notification { text: "Ready".into(), topic: "compact".into() }.into());
    out.push(FileOffered { path: "/src/a.png".into(), caption: "A".into() }.into());
    for problem in [
        LineProblem::TooLong,
        LineProblem::NotJson,
        LineProblem::NotAFrame,
        LineProblem::UnknownType("x".into()),
        LineProblem::BadShape("user".into()),
        LineProblem::Fragment,
        LineProblem::Defect,
    ] {
        out.push(Unrecognised { problem, size: 3, raw: vec![b'{', 0xff, b'}'] }.into());
    }
    let line = |size| Unrecognised { problem: LineProblem::NotJson, size, raw: vec![b'?', 0xff] };
    out.push(UnrecognisedLines { lines: 300, size: 70_000, kept: vec![line(2), line(400)] }.into());
}

pub(in crate::tests) fn transients() -> Vec<Transient> {
    let (turn, block) = (TurnId(3), BlockId(1));
    vec![
        TextDelta { turn, block, offset: 300, text: "more".into() }.into(),
        ThinkingDelta { turn, block, offset: 0, text: "hm".into() }.into(),
        ToolProgress { turn, tool_use: tool_use(), elapsed: Millis(30_000) }.into(),
        TextSoFar { turn, block, offset: 300, text: "more".into() }.into(),
    ]
}

pub(in crate::tests) fn envelope(event: Event) -> Envelope {
    Envelope { conversation: key(), at: Millis(1_800_000_000_000), event }
}

pub(in crate::tests) fn transient_envelope(event: Transient) -> TransientEnvelope {
    TransientEnvelope { conversation: key(), event }
}

pub(super) fn usage() -> Usage {
    Usage {
        input_tokens: 70_000,
        output_tokens: 250,
        cost_micro_usd: 251,
        model_requests: 4,
        context_tokens: 65_536,
        context_window: 200_000,
    }
}
