//! Every verb: what it asks, what it says, how it exits.

use carcin_proto::event::{Ask, PermissionAsk, RequestOpened, Settlement};
use carcin_proto::inquiry::Changes;
use carcin_proto::request::{
    Answer, Decision, ListSessions, ListedSession, New, Notify, PendingRequest, RecentOf, RecentText, Resume,
    SendFile, SessionList, SessionSummary, Stop, StopTask, Stopped,
};
use carcin_proto::{
    ConversationKey, ConversationState, Millis, Refusal, RefusalCode, Reply, Request, RequestId, SessionId,
    TurnId,
};
use tokio::io::AsyncWriteExt;

use crate::stand_in::{Daemon, Told, command, ended, status};

/// Answers everything, with two conversations.
fn daemon() -> Daemon {
    Daemon::start(|request| match request {
        Request::Status => status(&["tg:7", "cli"]),
        Request::Stop(_) => Reply::Stopped(Stopped { was_running: true, cancelled: vec![] }),
        Request::Pending(_) => Reply::Pending(vec![asked("abc1"), asked("abc2"), asked("x")]),
        Request::Answer(_) => Reply::Answered(Settlement::Allowed),
        Request::ListSessions(_) => {
            let listed = ListedSession { summary: session(), first_prompt: Some("Go".into()), open: vec![] };
            Reply::SessionList(SessionList { total: 1, sessions: vec![listed] })
        }
        Request::Resume(_) => Reply::Resumed(session()),
        Request::Changes(_) => Reply::Changes(Box::new(Changes {
            root: "/src".into(),
            branch: Some("main".into()),
            files: vec![],
            files_omitted: 0,
            patch: String::new(),
            patch_omitted: 0,
        })),
        Request::Recent(_) | Request::RecentOf(_) => {
            Reply::Recent(vec![RecentText { at: Millis(1_700_000_000_000), text: "Done.".into() }])
        }
        _ => Reply::Done,
    })
}

fn asked(id: &str) -> PendingRequest {
    let ask = Ask::Permission(PermissionAsk {
        tool: "Bash".into(),
        tool_use: None,
        summary: "ls".into(),
        input: "{}".into(),
        description: String::new(),
        reason: String::new(),
        blocked_path: None,
        suggestions: String::new(),
    });
    let opened = RequestOpened { request: RequestId::new(id).unwrap(), turn: TurnId(1), ask };
    PendingRequest { conversation: key("tg:7"), at: Millis(1_700_000_000_000), opened }
}

fn session() -> SessionSummary {
    SessionSummary {
        session: SessionId::new("5e55ab12-0000").unwrap(),
        title: "Fix it".into(),
        cwd: Some("/src".into()),
        branch: None,
        modified: Millis(1_700_000_000_000),
        size: 1,
        conversation: None,
    }
}

fn key(text: &str) -> ConversationKey {
    ConversationKey::new(text).unwrap()
}

fn said(told: &Told, out: &str) {
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (Some(0), out, ""));
}

#[tokio::test]
async fn without_a_daemon_one_sentence_and_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let verbs = [
        &["status"][..],
        &["send", "hi"],
        &["watch"],
        &["stop"],
        &["pending"],
        &["shutdown"],
        &["notify", "hi"],
        &["answer", "x", "allow"],
    ];
    for verb in verbs {
        let told = ended(command(&socket, verb).spawn().unwrap()).await;
        assert_eq!((told.code, told.out.as_str()), (Some(1), ""), "{verb:?}");
        let expected = format!(
            "error: carcind is not running (nothing listens on {})\nhint: start it with `systemctl --user start \
             carcind`, or run `carcind` in another terminal\n",
            socket.display()
        );
        assert_eq!(told.err, expected, "{verb:?}");
    }
}

#[tokio::test]
async fn a_hook_may_notify_whether_the_daemon_runs_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let absent = command(&dir.path().join("s"), &["notify", "--if-running", "hi"]).spawn().unwrap();
    said(&ended(absent).await, "");
}

#[tokio::test]
async fn a_refusal_is_its_message_and_its_hint() {
    let daemon = Daemon::start(|request| match request {
        Request::Status => status(&["cli"]),
        _ => Reply::Refused(Refusal::new(RefusalCode::Full, "100 prompts are queued").hint("stop some")),
    });
    for verb in [&["send", "hi"][..], &["send", "--no-wait", "hi"], &["notify", "hi"], &["sessions"]] {
        let told = daemon.run(verb).await;
        assert_eq!(told.code, Some(1));
        assert_eq!(told.err, "error: 100 prompts are queued\nhint: stop some\n");
    }
}

#[tokio::test]
async fn the_default_is_the_conversation_most_recently_active() {
    let mut daemon = daemon();
    said(&daemon.run(&["stop"]).await, "tg:7: stopped\n");
    let by = || "terminal (ana)".to_owned();
    assert_eq!(daemon.asked().await, Request::Stop(Stop { conversation: key("tg:7"), by: by() }));
    said(&daemon.run(&["stop", "--conversation", "cli"]).await, "cli: stopped\n");
    assert_eq!(daemon.asked().await, Request::Stop(Stop { conversation: key("cli"), by: by() }));
    let mut from_env = command(&daemon.socket(), &["stop"]);
    said(&ended(from_env.env("CARCIN_CONVERSATION", "cli").spawn().unwrap()).await, "cli: stopped\n");
}

#[tokio::test]
async fn without_a_conversation_it_says_so() {
    let daemon = Daemon::start(|_| status(&[]));
    let told = daemon.run(&["stop"]).await;
    assert_eq!(told.code, Some(1));
    assert_eq!(told.err, "error: there is no conversation yet\nhint: `carcin-ctl send PROMPT` begins one\n");
}

#[tokio::test]
async fn status_is_one_json_object() {
    let daemon = daemon();
    let told = daemon.run(&["status", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "version",
        "protocol",
        "pid",
        "uptime_ms",
        "socket",
        "last_seq",
        "claude",
        "conversations",
        "clients",
        "problems",
    ];
    assert_eq!(names, expected);
    assert_eq!(json["conversations"][0]["state"], "running");
    let told = daemon.run(&["status"]).await;
    assert!(told.out.contains("tg:7") && !told.out.contains('\x1b'), "{told:?}");
}

#[tokio::test]
async fn an_answer_finds_its_request() {
    let mut daemon = daemon();
    let told = daemon.run(&["answer", "x", "allow"]).await;
    said(&told, "allowed: may Claude use Bash: ls\n");
    assert_eq!(daemon.asked().await, Request::Pending(None));
    let Request::Answer(Answer { request, decision, by }) = daemon.asked().await else { panic!("an answer") };
    assert_eq!((request.as_str(), decision, by.as_str()), ("x", Decision::Allow, "terminal (ana)"));
    let told = daemon.run(&["answer", "abc", "allow"]).await;
    assert_eq!(told.err, "error: \"abc\" may be any of abc1, abc2\nhint: give more of the id\n");
    let told = daemon.run(&["answer", "q", "deny", "too", "dangerous"]).await;
    assert!(told.err.starts_with("error: no request that waits begins with \"q\"\nhint: "), "{told:?}");
}

#[tokio::test]
async fn pending_sessions_and_recent_print() {
    let daemon = daemon();
    let told = daemon.run(&["pending"]).await;
    assert!(told.out.contains("carcin-ctl answer abc1 allow | deny [REASON]"), "{told:?}");
    let told = daemon.run(&["sessions"]).await;
    assert!(told.out.contains("5e55ab12  2023-11-14  1 B   Fix it"), "{told:?}");
    said(&daemon.run(&["recent", "1"]).await, "2023-11-14\nDone.\n");
    let told = daemon.run(&["recent", "--json"]).await;
    said(&told, "[{\"at\":1700000000000,\"text\":\"Done.\"}]\n");
}

#[tokio::test]
async fn sessions_are_looked_for_as_said() {
    let mut daemon = daemon();
    let dir = daemon.dir().canonicalize().unwrap();
    std::fs::create_dir(dir.join("src")).unwrap();
    let mut list = command(
        &daemon.socket(),
        &["sessions", "--cwd", "src/../src", "--search", "a b", "--limit", "7", "--offset", "2", "--json"],
    );
    let told = ended(list.current_dir(&dir).spawn().unwrap()).await;
    let json: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let expected = serde_json::json!([{
        "session": "5e55ab12-0000", "title": "Fix it", "cwd": "/src", "branch": null,
        "modified": 1_700_000_000_000_u64, "size": 1, "conversation": null, "first_prompt": "Go", "open": [],
    }]);
    assert_eq!(json, expected);
    let expected =
        ListSessions { offset: 2, limit: 7, cwd: Some(dir.join("src")), search: Some("a b".into()) };
    assert_eq!(daemon.asked().await, Request::ListSessions(expected));
    said(&daemon.run(&["recent", "3", "--session", "5e55"]).await, "2023-11-14\nDone.\n");
    let expected = RecentOf { session: "5e55".into(), limit: 3 };
    assert_eq!(daemon.asked().await, Request::RecentOf(expected));
}

#[tokio::test]
async fn one_task_is_stopped_and_the_changes_are_asked_for() {
    let mut daemon = daemon();
    let told = daemon.run(&["tasks", "--stop", "b1"]).await;
    said(&told, "b1: stopped\n");
    let expected = StopTask { conversation: key("tg:7"), task: "b1".into() };
    assert_eq!(daemon.asked().await, Request::StopTask(expected));
    let told = daemon.run(&["diff", "--stat", "--conversation", "cli"]).await;
    said(&told, "/src main\nnothing has changed\n");
    assert_eq!(daemon.asked().await, Request::Changes(key("cli")));
}

#[tokio::test]
async fn new_and_resume_are_asked_as_said() {
    let mut daemon = daemon();
    let dir = daemon.dir().to_owned();
    let mut new = command(&daemon.socket(), &["new", "--cwd", "sub"]);
    let told = ended(new.current_dir(&dir).spawn().unwrap()).await;
    said(&told, "tg:7: the next prompt begins a new session\n");
    let expected = New { conversation: key("tg:7"), cwd: Some(dir.join("sub")) };
    assert_eq!(daemon.asked().await, Request::New(expected));
    let told = daemon.run(&["resume", "5e55", "--force"]).await;
    said(&told, "tg:7: goes on with session 5e55ab12 “Fix it” in /src\n");
    let expected = Resume { conversation: key("tg:7"), session: "5e55".into(), force: true };
    assert_eq!(daemon.asked().await, Request::Resume(expected));
}

#[tokio::test]
async fn tools_and_hooks_need_no_status() {
    let mut daemon = Daemon::start(|request| match request {
        Request::Notify(_) | Request::SendFile(_) => Reply::Done,
        other => panic!("a tool may not ask {other:?}"),
    });
    said(&daemon.run(&["notify", "--topic", "compact", "The", "context"]).await, "");
    let notify = Notify { conversation: None, text: "The context".into(), topic: "compact".into() };
    assert_eq!(daemon.asked().await, Request::Notify(notify));
    let dir = daemon.dir().to_owned();
    let mut send_file = command(&daemon.socket(), &["send-file", "a.png", "--caption", "A"]);
    send_file.current_dir(&dir).env("CARCIN_CONVERSATION", "tg:7");
    said(&ended(send_file.spawn().unwrap()).await, "");
    let expected = SendFile { conversation: Some(key("tg:7")), path: dir.join("a.png"), caption: "A".into() };
    assert_eq!(daemon.asked().await, Request::SendFile(expected));
}

#[tokio::test]
async fn a_notification_may_come_on_standard_input() {
    let mut daemon = daemon();
    let mut notify = command(&daemon.socket(), &["notify", "-"]);
    let mut child = notify.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe\n").await.unwrap();
    said(&ended(child).await, "");
    let Request::Notify(notify) = daemon.asked().await else { panic!("a notification") };
    assert_eq!(notify.text, "from a pipe\n");
}

/// One conversation, in this state.
fn with_state(state: ConversationState) -> Daemon {
    Daemon::start(move |request| match request {
        Request::Status => {
            let Reply::Status(mut status) = status(&["tg:7"]) else { panic!("a status") };
            status.conversations[0].state = state;
            Reply::Status(status)
        }
        _ => Reply::Done,
    })
}

#[tokio::test]
async fn shutdown_asks_nothing_when_nothing_runs() {
    let mut daemon = with_state(ConversationState::Idle);
    said(&daemon.run(&["shutdown"]).await, "carcind and its Claudes are ending\n");
    assert_eq!(daemon.asked().await, Request::Shutdown);
}

#[tokio::test]
async fn shutdown_of_a_running_turn_needs_a_yes() {
    let mut daemon = with_state(ConversationState::Running);
    let told = daemon.run(&["shutdown"]).await;
    assert_eq!((told.code, told.out.as_str()), (Some(1), ""));
    assert_eq!(
        told.err,
        "error: 1 turn running, and there is no terminal to ask on\nhint: to end them, run `carcin-ctl shutdown --now`\n"
    );
    said(&daemon.run(&["shutdown", "--now"]).await, "carcind and its Claudes are ending\n");
    assert_eq!(daemon.asked().await, Request::Shutdown, "only the second one reached the daemon");
}

/// A man page refers to others as `carcin-ctl-send(1)`.
#[tokio::test]
async fn every_page_that_the_manual_names_can_be_printed() {
    let dir = tempfile::tempdir().unwrap();
    let man =
        async |arguments: &[&str]| ended(command(&dir.path().join("s"), arguments).spawn().unwrap()).await;
    let page = man(&["man"]).await.out.replace("\\-", "-");
    let named: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("carcin-ctl-")?.strip_suffix("(1)")).collect();
    assert!(named.contains(&"send") && named.contains(&"man"), "{page}");
    for name in named.into_iter().filter(|name| *name != "help") {
        let told = man(&["man", name]).await;
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{name}");
        assert!(told.out.contains(".TH carcin-ctl"), "{name}");
    }
}

#[tokio::test]
async fn help_fits_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    for verb in ["--help", "send", "watch", "sessions", "shutdown", "notify"] {
        let mut help = command(&dir.path().join("s"), &[verb, "--help"]);
        help.env("COLUMNS", "80");
        let told = ended(help.spawn().unwrap()).await;
        let wide: Vec<&str> = told.out.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{verb}: {wide:#?}");
    }
}

#[tokio::test]
async fn completions_and_the_manual_need_no_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    for (verb, expected) in [(&["completions", "bash"][..], "complete -F"), (&["man"], ".TH carcin-ctl")] {
        let told = ended(command(&socket, verb).spawn().unwrap()).await;
        assert_eq!(told.code, Some(0));
        assert!(told.out.contains(expected), "{verb:?}");
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = command(&dir.path().join("s"), &["completions", "bash"]).spawn().unwrap();
    drop(child.stdout.take());
    let told = ended(child).await;
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""));
}
