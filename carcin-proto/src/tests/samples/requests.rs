//! What may be asked, and what is answered.

use super::events::{permission, settings, settlements, task, tool_started, usage};
use super::*;

/// In the order of the variants; where one holds an enum, once for each variant of that.
pub(in crate::tests) fn requests() -> Vec<Request> {
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
        Decision::AllowAlways(vec![0, 300]),
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
pub(in crate::tests) fn replies() -> Vec<Reply> {
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
        RefusalCode::SessionTaken,
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

pub(in crate::tests) fn snapshot() -> Snapshot {
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

pub(in crate::tests) fn gaps() -> Vec<Gap> {
    [GapReason::OtherJournal, GapReason::BeyondHead, GapReason::BehindRetention]
        .map(|reason| Gap { reason, snapshot: Snapshot { seq: Seq(300), ..Snapshot::default() } })
        .into()
}
