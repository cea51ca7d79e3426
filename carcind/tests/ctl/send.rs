//! `carcin-ctl send`: a prompt followed to its end, through restarts and Ctrl-C.

use std::process::Stdio;

use carcin_proto::event::{
    Ask, PermissionAsk, PromptEnded, PromptOutcome, PromptStarted, RequestOpened, TextBlock, TextDelta,
    ToolEnded, ToolStarted, TurnEnded, TurnOutcome, Usage,
};
use carcin_proto::request::{Placement, Stopped, Submit, Submitted};
use carcin_proto::{BlockId, Millis, PromptId, Reply, Request, RequestId, Seq, ToolUseId, TurnId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Child;
use uuid::Uuid;

use crate::stand_in::{Daemon, Told, command, ended, key, status};

const TURN: TurnId = TurnId(3);

fn prompt() -> PromptId {
    PromptId(Uuid::from_bytes([7; 16]))
}

fn daemon() -> Daemon {
    Daemon::start(|request| match request {
        Request::Status => status(&["cli"]),
        Request::Submit(_) => Reply::Submitted(Submitted { prompt: prompt(), ahead: 0, seq: Seq(1) }),
        Request::Stop(_) => Reply::Stopped(Stopped { was_running: true, cancelled: vec![] }),
        other => panic!("{other:?} was not expected"),
    })
}

async fn submitted(daemon: &mut Daemon) -> Submit {
    match daemon.asked().await {
        Request::Submit(submit) => submit,
        other => panic!("expected a prompt, got {other:?}"),
    }
}

fn start(daemon: &Daemon) {
    daemon.event(PromptStarted { prompt: prompt(), turn: TURN });
}

fn text(block: u32, text: &str) -> TextBlock {
    TextBlock { turn: TURN, block: BlockId(block), text: text.into(), parent: None }
}

fn delta(offset: u64, text: &str) -> TextDelta {
    TextDelta { turn: TURN, block: BlockId(0), offset, text: text.into() }
}

fn end(daemon: &Daemon, prompt_outcome: PromptOutcome, outcome: TurnOutcome) {
    daemon.event(PromptEnded { prompt: prompt(), outcome: prompt_outcome });
    daemon.event(TurnEnded { turn: TURN, outcome, duration: Millis(1500), usage: Usage::default() });
}

fn complete(daemon: &Daemon) {
    end(daemon, PromptOutcome::Completed, TurnOutcome::Completed);
}

fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id().expect("it runs")).expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("it is ours");
}

#[tokio::test]
async fn the_words_come_to_standard_output_and_the_rest_to_standard_error() {
    let mut daemon = daemon();
    let child = daemon.spawn(&["send", "Run", "the tests"]);
    let submit = submitted(&mut daemon).await;
    assert_eq!((submit.conversation, submit.text.as_str()), (key(), "Run the tests"));
    assert_eq!((submit.placement, submit.by.as_str()), (Placement::Steer, "terminal (ana)"));
    start(&daemon);
    daemon.transient(delta(0, "I run "));
    daemon.transient(delta(6, "them."));
    daemon.event(text(0, "I run them."));
    let tool_use = ToolUseId::new("toolu_1").unwrap();
    daemon.event(ToolStarted {
        turn: TURN,
        block: BlockId(1),
        tool_use: tool_use.clone(),
        name: "Bash".into(),
        summary: "cargo test".into(),
        input: "{}".into(),
        parent: None,
    });
    daemon.event(RequestOpened {
        request: RequestId::new("a1b2c3d4-1111").unwrap(),
        turn: TURN,
        ask: Ask::Permission(PermissionAsk {
            tool: "Bash".into(),
            tool_use: Some(tool_use.clone()),
            summary: "cargo test".into(),
            input: "{}".into(),
            description: String::new(),
            reason: String::new(),
            blocked_path: None,
            suggestions: r#"[{"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"cargo test:*"}]},{"type":"setMode","mode":"acceptEdits","destination":"session"}]"#
                .into(),
        }),
    });
    daemon.event(ToolEnded {
        turn: TURN,
        tool_use,
        is_error: false,
        output: String::new(),
        omitted: 0,
        duration: Millis(3200),
        parent: None,
    });
    daemon.event(text(2, "They pass."));
    complete(&daemon);
    let expected = Told {
        code: Some(0),
        out: "I run them.\n\nThey pass.\n".into(),
        err: "may Claude use Bash: cargo test\n  always 1: allow Bash(cargo test:*)\n  \
              always 2: switch to mode acceptEdits, in this session\n  \
              carcin-ctl answer a1b2c3d4 allow | always NUMBER | deny [REASON]\n\
              ✓ Bash cargo test  3.2 s\ncompleted after 1.5 s\n"
            .into(),
    };
    assert_eq!(ended(child).await, expected);
}

#[tokio::test]
async fn the_exit_code_says_how_it_ended() {
    for (prompt_outcome, turn_outcome, code, last) in [
        (PromptOutcome::Completed, TurnOutcome::Completed, 0, "completed after 1.5 s"),
        (PromptOutcome::Completed, TurnOutcome::Failed("overloaded".into()), 1, "failed: overloaded"),
        (PromptOutcome::Failed("no disk".into()), TurnOutcome::Completed, 1, "failed: no disk"),
        (PromptOutcome::Cancelled, TurnOutcome::Stopped("bo".into()), 3, "stopped by bo"),
        (
            PromptOutcome::Interrupted("killed".into()),
            TurnOutcome::Interrupted("killed".into()),
            4,
            "interrupted: killed",
        ),
    ] {
        let mut daemon = daemon();
        let child = daemon.spawn(&["send", "hi"]);
        submitted(&mut daemon).await;
        start(&daemon);
        end(&daemon, prompt_outcome, turn_outcome);
        let told = ended(child).await;
        assert_eq!((told.code, told.err.lines().last()), (Some(code), Some(last)));
    }
}

#[tokio::test]
async fn a_restart_of_the_daemon_in_the_middle_loses_nothing() {
    let mut daemon = daemon();
    let mut child = daemon.spawn(&["send", "hi"]);
    submitted(&mut daemon).await;
    start(&daemon);
    daemon.transient(delta(0, "Half"));
    let mut half = [0; 4];
    child.stdout.as_mut().unwrap().read_exact(&mut half).await.unwrap();
    assert_eq!(&half, b"Half");
    daemon.kill().await;
    daemon.event(text(0, "Half and half"));
    complete(&daemon);
    daemon.come_back();
    let told = ended(child).await;
    assert_eq!((told.code, told.out.as_str()), (Some(0), " and half\n"));
    assert!(told.err.contains("the turn goes on, waiting for carcind\n"), "{told:?}");
    assert!(told.err.contains("carcind is back\n"), "{told:?}");
}

#[tokio::test]
async fn ctrl_c_stops_the_turn() {
    let mut daemon = daemon();
    let mut child = daemon.spawn(&["send", "hi"]);
    submitted(&mut daemon).await;
    start(&daemon);
    daemon.event(text(0, "Working"));
    let mut words = [0; 7];
    child.stdout.as_mut().unwrap().read_exact(&mut words).await.unwrap();
    interrupt(&child);
    assert!(matches!(daemon.asked().await, Request::Stop(stop) if stop.conversation == key()));
    end(&daemon, PromptOutcome::Cancelled, TurnOutcome::Stopped("terminal (ana)".into()));
    let told = ended(child).await;
    assert_eq!(told.code, Some(3));
    assert!(told.err.starts_with("stopping the turn; Ctrl-C again leaves it as it is\n"), "{told:?}");
}

#[tokio::test]
async fn a_second_ctrl_c_leaves() {
    let mut daemon = daemon();
    let mut child = daemon.spawn(&["send", "hi"]);
    submitted(&mut daemon).await;
    start(&daemon);
    daemon.event(text(0, "Working"));
    let mut words = [0; 7];
    child.stdout.as_mut().unwrap().read_exact(&mut words).await.unwrap();
    interrupt(&child);
    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(err.next_line().await.unwrap().unwrap(), "stopping the turn; Ctrl-C again leaves it as it is");
    interrupt(&child);
    assert_eq!(
        err.next_line().await.unwrap().unwrap(),
        "detached; `carcin-ctl watch` shows how it goes on, `carcin-ctl stop` ends it"
    );
    assert_eq!(ended(child).await.code, Some(130));
}

#[tokio::test]
async fn a_prompt_may_look_like_a_flag_or_a_command() {
    for (args, text) in [
        (&["send", "--no-wait", "--", "-p", "--json"][..], "-p --json"),
        (&["send", "--no-wait", "--", "/compact"], "/compact"),
        (&["send", "--no-wait", "/compact", "now"], "/compact now"),
    ] {
        let mut daemon = daemon();
        let told = daemon.run(args).await;
        assert_eq!(submitted(&mut daemon).await.text, text);
        assert_eq!(told.out, "cli: accepted as 07070707-0707-0707-0707-070707070707\n");
        assert_eq!(told.code, Some(0));
    }
}

#[tokio::test]
async fn a_prompt_may_come_on_standard_input() {
    let mut daemon = daemon();
    let mut send = command(&daemon.socket(), &["send", "--no-wait", "--queue", "-"]);
    let mut child = send.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("Größe?\nZeile 2".as_bytes()).await.unwrap();
    let submit = submitted(&mut daemon).await;
    assert_eq!((submit.text.as_str(), submit.placement), ("Größe?\nZeile 2", Placement::Queue));
    assert_eq!(ended(child).await.code, Some(0));
}

#[tokio::test]
async fn without_a_conversation_a_prompt_begins_one() {
    let mut daemon = Daemon::start(|request| match request {
        Request::Status => status(&[]),
        _ => Reply::Submitted(Submitted { prompt: prompt(), ahead: 2, seq: Seq(1) }),
    });
    let told = daemon.run(&["send", "--no-wait", "hi"]).await;
    assert_eq!(submitted(&mut daemon).await.conversation, key());
    assert!(told.out.ends_with(", 2 prompts before it\n"), "{told:?}");
}

#[tokio::test]
async fn json_is_a_line_for_each_event() {
    let mut daemon = daemon();
    let child = daemon.spawn(&["send", "--json", "hi"]);
    submitted(&mut daemon).await;
    start(&daemon);
    daemon.event(text(0, "Hi"));
    complete(&daemon);
    let told = ended(child).await;
    let types: Vec<String> = told
        .out
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(types, ["prompt_started", "text_block", "prompt_ended", "turn_ended"]);
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""));
}
