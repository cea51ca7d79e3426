//! A daemon that knows something of everything.

use std::path::Path;

use carcin_proto::event::{TaskChanged, TaskStatus, Usage};
use carcin_proto::inquiry::{
    Abilities, About, Change, ChangedFile, Changes, CommandInfo, FolderList, Inquiry, ModelInfo,
};
use carcin_proto::request::{
    ConversationStatus, ListedSession, OpenElsewhere, RecentText, Refusal, RefusalCode, SessionList,
    SessionSummary,
};
use carcin_proto::{ConversationState, Millis, Reply, Request};

use crate::support::HERE;
use crate::support::daemon::Scripted;

fn about() -> About {
    let status = ConversationStatus {
        key: HERE.parse().expect("a key"),
        session_id: None,
        cwd: "/home/ann/app".into(),
        state: ConversationState::Idle,
        claude_pid: Some(7),
        queued: 0,
        model: Some("opus".into()),
        permission_mode: Some("default".into()),
        active_at: Millis(0),
        pending: 0,
        unrecognised: 0,
    };
    let model = |value: &str| ModelInfo {
        value: value.into(),
        name: value.to_uppercase(),
        description: "It thinks".into(),
        efforts: vec!["low".into(), "max".into()],
    };
    let command = |name: &str| CommandInfo {
        name: name.into(),
        description: format!("Does {name}"),
        argument_hint: String::new(),
    };
    let task = |id: &str| TaskChanged {
        task: id.into(),
        tool_use: None,
        description: format!("server {id}"),
        status: TaskStatus::Running,
    };
    About {
        status,
        effort: Some("low".into()),
        title: Some("Fix the tests".into()),
        branch: Some("main".into()),
        tasks: vec![task("b1"), task("b2")],
        queue: vec![],
        usage: Some(Usage { context_tokens: 50_000, context_window: 200_000, ..Usage::default() }),
        abilities: Abilities {
            models: vec![model("opus"), model("haiku")],
            commands: vec![command("code-review"), command("compact"), command("Illegal Name")],
        },
    }
}

fn session(id: &str, title: &str) -> ListedSession {
    let summary = SessionSummary {
        session: id.parse().expect("an id"),
        title: title.into(),
        cwd: Some("/home/ann/app".into()),
        branch: Some("main".into()),
        modified: Millis(0),
        size: 1,
        conversation: None,
    };
    ListedSession { summary, first_prompt: None, open: vec![] }
}

fn open_in_a_terminal() -> OpenElsewhere {
    OpenElsewhere { pid: 77, cwd: None, since: Millis(0), entrypoint: "cli".into(), status: "idle".into() }
}

/// A daemon that knows all that the commands ask for.
pub(crate) fn knowing(request: &Request) -> Scripted {
    let reply = match request {
        Request::About(_) => Reply::About(Box::new(about())),
        Request::Folders(folders) => {
            let path = folders.path.clone().unwrap_or_else(|| "/home/ann".into());
            Reply::Folders(FolderList {
                parent: path.parent().map(Path::to_owned),
                folders: (0..10).map(|n| format!("dir{n}")).collect(),
                omitted: 0,
                recent: vec!["/srv/other".into()],
                path,
            })
        }
        Request::ListSessions(list) => {
            let mut sessions: Vec<_> =
                (0..7).map(|n| session(&format!("5e55{n}000-0000"), &format!("Session {n}"))).collect();
            sessions[1].open.push(open_in_a_terminal());
            let sessions = sessions.into_iter().skip(list.offset as usize).take(list.limit as usize);
            Reply::SessionList(SessionList { total: 7, sessions: sessions.collect() })
        }
        Request::Resume(resume) if resume.session.starts_with("5e551") && !resume.force => {
            let refusal =
                Refusal::new(RefusalCode::SessionOpen, "the session is open in a terminal (pid 77)");
            Reply::Refused(refusal.hint("close it there, or take it over with --force"))
        }
        Request::Resume(resume) if resume.session.starts_with("5e552") => {
            let refusal = Refusal::new(RefusalCode::SessionTaken, "the conversation tg:9 has this session");
            Reply::Refused(refusal.hint("begin a new session there first"))
        }
        Request::Resume(resume) if resume.session == "5" => {
            Reply::Refused(Refusal::new(RefusalCode::AmbiguousSession, "7 sessions begin with 5"))
        }
        Request::Resume(resume) if !resume.session.starts_with("5e55") => {
            let message = format!("no session begins with {}", resume.session);
            Reply::Refused(Refusal::new(RefusalCode::NoSession, message))
        }
        Request::Resume(resume) => {
            let title = format!("the one called {}", resume.session);
            Reply::Resumed(session("5e550000-0000", &title).summary)
        }
        Request::Recent(recent) => {
            let texts =
                (0..recent.limit).map(|n| RecentText { at: Millis(0), text: format!("Said **{n}**") });
            Reply::Recent(texts.collect())
        }
        Request::Inquire(inquire) => Reply::Inquired(match inquire.about {
            Inquiry::Context => r#"{"totalTokens": 9000, "maxTokens": 200000,
                "categories": [{"name": "Messages", "tokens": 9000, "kind": "used"}]}"#
                .into(),
            Inquiry::Usage => r#"{"rate_limits": {"five_hour": {"utilization": 42}}}"#.into(),
        }),
        Request::Changes(_) => {
            let file = ChangedFile {
                path: "src/lib.rs".into(),
                change: Change::Modified,
                added: Some(1),
                removed: Some(0),
            };
            Reply::Changes(Box::new(Changes {
                root: "/home/ann/app".into(),
                branch: Some("main".into()),
                files: vec![file],
                files_omitted: 0,
                patch: "@@ -1 +1,2 @@\n+new\n".into(),
                patch_omitted: 0,
            }))
        }
        _ => return Scripted::Usual,
    };
    Scripted::Reply(Box::new(reply))
}
