//! One value of each kind, and of each variant within, for the golden bytes. Append; never change one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use uuid::Uuid;

use crate::event::*;
use crate::ids::*;
use crate::inquiry::*;
use crate::request::*;
use crate::snapshot::*;

fn key() -> ConversationKey {
    ConversationKey::new("tg:7").expect("valid")
}

fn session() -> SessionId {
    SessionId::new("5e55").expect("valid")
}

fn request() -> RequestId {
    RequestId::new("req-1").expect("valid")
}

fn tool_use() -> ToolUseId {
    ToolUseId::new("toolu_1").expect("valid")
}

fn prompt() -> PromptId {
    PromptId(Uuid::from_bytes([0x11; 16]))
}

fn journal() -> JournalId {
    JournalId(Uuid::from_bytes([0x22; 16]))
}

fn cwd() -> PathBuf {
    "/src".into()
}

pub(super) fn hello() -> Hello {
    Hello { client: "carcin-ctl".into(), version: "0.1.0".into() }
}

pub(super) fn welcome() -> Welcome {
    Welcome { version: "0.1.0".into(), pid: 4242, journal: journal(), head: Seq(300) }
}

pub(super) fn farewell() -> Refusal {
    Refusal::new(RefusalCode::NotAllowed, "uid 1001 may not").hint("use your own")
}

/// In the order of the kinds; where a kind holds an enum, once for each variant.
pub(super) fn events() -> Vec<Event> {
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

fn settings() -> SettingsChanged {
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
}

fn tool_started() -> ToolStarted {
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

fn task(status: TaskStatus) -> TaskChanged {
    TaskChanged { task: "b1".into(), tool_use: Some(tool_use()), description: "build".into(), status }
}

fn permission() -> RequestOpened {
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

fn settlements() -> Vec<Settlement> {
    vec![
        Settlement::Allowed,
        Settlement::AllowedAlways,
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

pub(super) fn transients() -> Vec<Transient> {
    let (turn, block) = (TurnId(3), BlockId(1));
    vec![
        TextDelta { turn, block, offset: 300, text: "more".into() }.into(),
        ThinkingDelta { turn, block, offset: 0, text: "hm".into() }.into(),
        ToolProgress { turn, tool_use: tool_use(), elapsed: Millis(30_000) }.into(),
    ]
}

pub(super) fn envelope(event: Event) -> Envelope {
    Envelope { conversation: key(), at: Millis(1_800_000_000_000), event }
}

pub(super) fn transient_envelope(event: Transient) -> TransientEnvelope {
    TransientEnvelope { conversation: key(), event }
}

/// In the order of the variants; where one holds an enum, once for each variant of that.
pub(super) fn requests() -> Vec<Request> {
    let conversation = key();
    let cursor = Cursor { journal: journal(), seq: Seq(300) };
    let mut out = vec![Request::Status];
    for placement in [Placement::Steer, Placement::Queue] {
        out.push(Request::Submit(Submit {
            conversation: conversation.clone(),
            key: IdempotencyKey::new("tg:7:99").expect("valid"),
            text: "-p /x".into(),
            placement,
            by: "ana".into(),
        }));
    }
    for decision in [
        Decision::Allow,
        Decision::AllowAlways,
        Decision::Deny("no".into()),
        Decision::Answers(vec![("Which?".into(), "A, B".into())]),
        Decision::Content("{}".into()),
        Decision::Cancel,
    ] {
        out.push(Request::Answer(Answer { request: request(), decision, by: "ana".into() }));
    }
    out.extend([
        Request::Stop(Stop { conversation: conversation.clone(), by: "ana".into() }),
        Request::New(New { conversation: conversation.clone(), cwd: Some(cwd()) }),
        Request::Resume(Resume { conversation: conversation.clone(), session: "5e".into(), force: true }),
        Request::Sessions(Sessions { offset: 0, limit: 20 }),
        Request::Recent(Recent { conversation: conversation.clone(), limit: 5 }),
        Request::Pending(None),
        Request::Pending(Some(conversation.clone())),
        Request::Configure(Configure {
            conversation: conversation.clone(),
            model: Some("opus".into()),
            permission_mode: None,
            effort: Some("high".into()),
        }),
        Request::Notify(Notify { conversation: None, text: "Ready".into(), topic: "compact".into() }),
        Request::SendFile(SendFile {
            conversation: Some(conversation),
            path: "/src/a.png".into(),
            caption: String::new(),
        }),
        Request::Subscribe(Subscribe { from: From::Now, transients: true }),
        Request::Subscribe(Subscribe { from: From::After(cursor), transients: false }),
        Request::Shutdown,
        Request::ListSessions(ListSessions {
            offset: 20,
            limit: 10,
            cwd: Some(cwd()),
            search: Some("Fix".into()),
        }),
        Request::RecentOf(RecentOf { session: "5e".into(), limit: 5 }),
        Request::SubmitWith(SubmitWith {
            submit: Submit {
                conversation: key(),
                key: IdempotencyKey::new("8:2").expect("a key"),
                text: "What is on /up/a.png?".into(),
                placement: Placement::Steer,
                by: "ana".into(),
            },
            images: vec!["/up/a.png".into()],
        }),
        Request::Withdraw(Withdraw { conversation: key(), key: IdempotencyKey::new("8:2").expect("a key") }),
        Request::About(key()),
        Request::Inquire(Inquire { conversation: key(), about: Inquiry::Context }),
        Request::Inquire(Inquire { conversation: key(), about: Inquiry::Usage }),
        Request::StopTask(StopTask { conversation: key(), task: "b1".into() }),
        Request::Changes(key()),
        Request::Folders(Folders { conversation: key(), path: Some(cwd()) }),
    ]);
    out
}

/// In the order of the variants; where one holds an enum, once for each variant of that.
pub(super) fn replies() -> Vec<Reply> {
    let mut out = vec![Reply::Done, Reply::Status(Box::new(status()))];
    out.push(Reply::Submitted(Submitted { prompt: prompt(), ahead: 1, seq: Seq(301) }));
    out.extend(settlements().into_iter().map(Reply::Answered));
    out.extend([
        Reply::Stopped(Stopped { was_running: true, cancelled: vec![prompt()] }),
        Reply::Resumed(summary()),
        Reply::Sessions(vec![summary()]),
        Reply::Recent(vec![RecentText { at: Millis(1_800_000_000_000), text: "Done".into() }]),
        Reply::Pending(vec![PendingRequest {
            conversation: key(),
            at: Millis(1_800_000_000_000),
            opened: permission(),
        }]),
        Reply::Subscribed(Cursor { journal: journal(), seq: Seq(300) }),
    ]);
    for code in [
        RefusalCode::NotAllowed,
        RefusalCode::Invalid,
        RefusalCode::Unsupported,
        RefusalCode::NoConversation,
        RefusalCode::NoRequest,
        RefusalCode::AlreadyAnswered,
        RefusalCode::NoSession,
        RefusalCode::AmbiguousSession,
        RefusalCode::SessionOpen,
        RefusalCode::Full,
        RefusalCode::ShuttingDown,
        RefusalCode::Internal,
        RefusalCode::NoAnswer,
    ] {
        out.push(Reply::Refused(Refusal::new(code, "no").hint("ask")));
    }
    out.push(Reply::SessionList(session_list()));
    for withdrawal in [Withdrawal::Withdrawn, Withdrawal::Begun, Withdrawal::Unknown] {
        out.push(Reply::Withdrawn(withdrawal));
    }
    out.extend([
        Reply::About(Box::new(about())),
        Reply::Inquired("{}".into()),
        Reply::Changes(Box::new(changes())),
        Reply::Folders(FolderList {
            path: cwd(),
            parent: Some("/".into()),
            folders: vec!["app".into()],
            omitted: 1,
            recent: vec!["/srv".into()],
        }),
    ]);
    out
}

fn usage() -> Usage {
    Usage {
        input_tokens: 70_000,
        output_tokens: 250,
        cost_micro_usd: 251,
        model_requests: 4,
        context_tokens: 65_536,
        context_window: 200_000,
    }
}

fn about() -> About {
    let model = ModelInfo {
        value: "opus".into(),
        name: "Opus".into(),
        description: "For hard work".into(),
        efforts: vec!["low".into(), "high".into()],
    };
    let command = CommandInfo {
        name: "compact".into(),
        description: "Make room".into(),
        argument_hint: "[what to keep]".into(),
    };
    About {
        status: status().conversations.remove(0),
        effort: Some("high".into()),
        title: Some("Fix it".into()),
        branch: Some("main".into()),
        tasks: vec![],
        queue: vec![],
        usage: Some(usage()),
        abilities: Abilities { models: vec![model], commands: vec![command] },
    }
}

fn changes() -> Changes {
    let changes = [
        Change::Added,
        Change::Untracked,
        Change::Modified,
        Change::Deleted,
        Change::Renamed,
        Change::Unmerged,
    ];
    let file = |change| ChangedFile { path: "a.rs".into(), change, added: Some(3), removed: None };
    Changes {
        root: cwd(),
        branch: Some("main".into()),
        files: changes.map(file).into(),
        files_omitted: 0,
        patch: "+x\n".into(),
        patch_omitted: 9,
    }
}

fn status() -> Status {
    let conversation = |state| ConversationStatus {
        key: key(),
        session_id: Some(session()),
        cwd: cwd(),
        state,
        claude_pid: Some(4243),
        queued: 1,
        model: Some("opus".into()),
        permission_mode: None,
        active_at: Millis(1_800_000_000_000),
        pending: 2,
        unrecognised: 3,
    };
    Status {
        version: "0.1.0".into(),
        protocol: "1.0".into(),
        pid: 4242,
        uptime_ms: Millis(60_000),
        socket: "/run/carcind.sock".into(),
        last_seq: Seq(300),
        claude: ClaudeStatus { path: Some("/bin/claude".into()), version: Some("2.1.330".into()) },
        conversations: [
            ConversationState::Idle,
            ConversationState::Running,
            ConversationState::Waiting,
            ConversationState::Closed,
        ]
        .map(conversation)
        .into(),
        clients: vec![ClientStatus { name: "carcin-tg".into(), cursor: Seq(299) }],
        problems: vec!["the disk is nearly full".into()],
    }
}

fn session_list() -> SessionList {
    let open = OpenElsewhere {
        pid: 4244,
        cwd: Some(cwd()),
        since: Millis(1_800_000_000_000),
        entrypoint: "cli".into(),
        status: "idle".into(),
    };
    let listed = ListedSession { summary: summary(), first_prompt: Some("Fix it".into()), open: vec![open] };
    SessionList { total: 31, sessions: vec![listed] }
}

fn summary() -> SessionSummary {
    SessionSummary {
        session: session(),
        title: "Fix it".into(),
        cwd: Some(cwd()),
        branch: Some("main".into()),
        modified: Millis(1_800_000_000_000),
        size: 70_000,
        conversation: Some(key()),
    }
}

pub(super) fn snapshot() -> Snapshot {
    let conversation = Conversation {
        cwd: cwd(),
        session: Some(session()),
        settings: settings(),
        claude_pid: Some(4243),
        turn: Some(Turn {
            turn: TurnId(3),
            prompts: vec![prompt()],
            started_at: Millis(1_800_000_000_000),
            tools: 2,
            running: vec![(Millis(1_800_000_000_001), tool_started())],
        }),
        queue: vec![QueuedPrompt { prompt: prompt(), text: "next".into() }],
        requests: vec![(Millis(1_800_000_000_002), permission())],
        todos: vec![Todo { id: "1".into(), text: "test".into(), status: TodoStatus::Pending }],
        tasks: vec![task(TaskStatus::Running)],
        active_at: Millis(1_800_000_000_003),
        unrecognised: 1,
    };
    Snapshot { seq: Seq(300), conversations: BTreeMap::from([(key(), conversation)]) }
}

pub(super) fn gaps() -> Vec<Gap> {
    [GapReason::OtherJournal, GapReason::BeyondHead, GapReason::BehindRetention]
        .map(|reason| Gap { reason, snapshot: Snapshot { seq: Seq(300), ..Snapshot::default() } })
        .into()
}
