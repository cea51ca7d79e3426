//! The real CLI, driven by the lines that Carcin writes. For a new version of Claude Code:
//!
//! ```text
//! CARCIN_REAL_CLAUDE=…/claude ANTHROPIC_BASE_URL=$(the lab's Messages API) \
//!   cargo test -p carcind --test claude real_cli -- --ignored
//! ```

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use carcin_proto::event::Ask;
use carcin_proto::request::Decision;
use carcin_proto::{ConversationKey, PromptId, SessionId};
use carcind::claude::launch::{Launch, SessionArg, Surroundings, environment};
use carcind::claude::transcripts::{Known, Transcripts};
use carcind::claude::{Asked, LifecycleState, Output, Parsed, SessionState, ToolResult, control, parse};
use tempfile::TempDir;

/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running CLI with a home of its own.
struct Real {
    home: TempDir,
    session: SessionId,
    child: Child,
    stdin: ChildStdin,
    outputs: Receiver<Output>,
}

impl Real {
    fn start(mode: Option<&str>) -> Self {
        let home = TempDir::new().unwrap();
        let session = SessionId::new(PromptId::random().to_string()).unwrap();
        let launch = Launch {
            claude: std::env::var_os("CARCIN_REAL_CLAUDE").expect("CARCIN_REAL_CLAUDE names the CLI").into(),
            session: SessionArg::New(session.clone()),
            model: None,
            effort: Some("high".to_owned()),
            permission_mode: mode.map(str::to_owned),
            plugin_dirs: vec![],
            settings: Some(r#"{"hooks":{}}"#.to_owned()),
            add_dirs: vec![home.path().to_owned()],
            append_system_prompt: Some("- be brief".to_owned()),
        };
        let argv = launch.argv();
        let api = std::env::var("ANTHROPIC_BASE_URL").expect("ANTHROPIC_BASE_URL names the Messages API");
        let inherited = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("HOME", home.path().to_str().unwrap()),
            ("IS_SANDBOX", "1"),
            ("ANTHROPIC_BASE_URL", &api),
            ("ANTHROPIC_API_KEY", "sk-ant-dummy"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
        ];
        let conversation = ConversationKey::new("test").unwrap();
        let surroundings = Surroundings {
            socket: Path::new("/nonexistent"),
            conversation: &conversation,
            idle_exit: Duration::from_mins(10),
        };
        let environment =
            environment(inherited.map(|(name, value)| (name.to_owned(), value.to_owned())), &surroundings);
        let mut child = Command::new(&argv[0])
            .args(&argv[1..])
            .env_clear()
            .envs(environment)
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the CLI starts");
        let (sender, outputs) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.split(b'\n') {
                let line = line.unwrap();
                match parse(&line) {
                    Parsed::Outputs { outputs, .. } => {
                        for output in outputs {
                            drop(sender.send(output));
                        }
                    }
                    Parsed::Problem(problem) => panic!("{problem:?}: {}", String::from_utf8_lossy(&line)),
                }
            }
        });
        let stdin = child.stdin.take().unwrap();
        Self { home, session, child, stdin, outputs }
    }

    fn write(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    fn prompt(&mut self, text: &str) -> PromptId {
        let id = PromptId::random();
        self.write(&control::prompt(id, text));
        id
    }

    /// The next output that `pick` takes.
    fn next<T>(&self, pick: impl Fn(Output) -> Option<T>) -> T {
        loop {
            let output = self.outputs.recv_timeout(PATIENCE).expect("the CLI goes on");
            if let Some(picked) = pick(output) {
                return picked;
            }
        }
    }

    fn asked(&self) -> Asked {
        self.next(|output| match output {
            Output::Ask(asked) => Some(asked),
            _ => None,
        })
    }

    fn tool_result(&self) -> ToolResult {
        self.next(|output| match output {
            Output::ToolResult(result) => Some(result),
            _ => None,
        })
    }

    fn receipt(&self, id: &str) -> Result<String, String> {
        self.next(|output| match output {
            Output::ControlResponse(response) if response.request_id == id => Some(response.result),
            _ => None,
        })
    }

    fn idle(&self) {
        self.next(|output| (output == Output::StateChanged(SessionState::Idle)).then_some(()));
    }

    /// Answers, and waits for the receipt.
    fn answer(&mut self, asked: &Asked, decision: &Decision) {
        self.write(&control::answer(&asked.request, &asked.ask, &asked.tool_input, decision).unwrap());
        self.receipt(asked.request.as_str()).unwrap();
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs the real CLI and a Messages API, see above"]
fn a_plan_is_accepted_without_repeating_it() {
    for (decision, mode) in [(Decision::Allow, "default"), (Decision::AllowAlways(Vec::new()), "acceptEdits")]
    {
        let mut real = Real::start(Some("plan"));
        real.prompt("!plan First this\n!text Done.");
        let asked = real.asked();
        let Ask::Plan(plan) = &asked.ask else { panic!("{asked:?}") };
        assert!(plan.plan.contains("First this"), "{plan:?}");
        real.answer(&asked, &decision);
        let changed = real.next(|output| match output {
            Output::ModeChanged(mode) => Some(mode),
            _ => None,
        });
        assert_eq!(changed, mode);
        let result = real.tool_result();
        assert!(!result.is_error, "{result:?}");
        real.idle();
    }
}

#[test]
#[ignore = "needs the real CLI and a Messages API, see above"]
fn a_plan_is_revised_after_a_comment() {
    let mut real = Real::start(Some("plan"));
    real.prompt("!plan First this\n!text Done.");
    let asked = real.asked();
    real.answer(&asked, &Decision::Deny("shorter\nplease \u{2028}".to_owned()));
    let result = real.tool_result();
    assert!(result.is_error && result.output.contains("shorter"), "{result:?}");
    real.idle();
}

#[test]
#[ignore = "needs the real CLI and a Messages API, see above"]
fn questions_are_answered() {
    let mut real = Real::start(None);
    real.prompt("!ask Which? | Red | Blue && +When? | Now | Later\n!text Done.");
    let mut asked = real.asked();
    for keep_input in [true, false] {
        if !keep_input {
            real.idle();
            real.prompt("!ask Which? | Red | Blue && +When? | Now | Later\n!text Done.");
            asked = real.asked();
            asked.tool_input.clear();
        }
        let pairs = [("Which?", "none of \"them\""), ("When?", "Now, Later")];
        let answers = pairs.map(|(question, answer)| (question.to_owned(), answer.to_owned()));
        real.answer(&asked, &Decision::Answers(answers.to_vec()));
        let result = real.tool_result();
        assert!(
            !result.is_error && result.output.contains("none of") && result.output.contains("Now, Later"),
            "{result:?}"
        );
    }
    real.idle();
}

#[test]
#[ignore = "needs the real CLI and a Messages API, see above"]
fn permissions_are_given_once_always_or_not() {
    let mut real = Real::start(None);
    let write =
        |name: &str| format!("!tool Write {{\"file_path\":\"$CWD/{name}\",\"content\":\"x\"}}\n!text Done.");
    real.prompt(&write("denied"));
    let asked = real.asked();
    real.answer(&asked, &Decision::Deny("not that".to_owned()));
    assert!(real.tool_result().output.contains("not that"));
    real.idle();
    real.prompt(&write("once"));
    let asked = real.asked();
    real.answer(&asked, &Decision::Allow);
    assert!(!real.tool_result().is_error);
    real.idle();
    real.prompt(&write("always"));
    let asked = real.asked();
    real.answer(&asked, &Decision::AllowAlways(vec![0]));
    assert!(!real.tool_result().is_error);
    real.idle();
    real.prompt(&write("again"));
    assert!(!real.tool_result().is_error, "it is not asked again");
    real.idle();
    let written = |name: &str| real.home.path().join(name).exists();
    assert_eq!(["denied", "once", "always", "again"].map(written), [false, true, true, true]);
}

#[test]
#[ignore = "needs the real CLI and a Messages API, see above"]
fn every_request_has_a_receipt() {
    let mut real = Real::start(None);
    real.write(&control::initialize("init"));
    real.receipt("init").unwrap();
    let prompt = real.prompt("!text one\u{2028}two\u{2029}three");
    real.next(|output| {
        (output == Output::Lifecycle { prompt, state: LifecycleState::Completed }).then_some(())
    });
    real.idle();
    for (id, line) in [
        ("model", control::set_model("model", "haiku")),
        ("mode", control::set_permission_mode("mode", "acceptEdits")),
        ("effort", control::set_effort("effort", "low")),
        ("context", control::get_context_usage("context")),
        ("interrupt", control::interrupt("interrupt", true)),
        ("cancel", control::cancel_async_message("cancel", prompt)),
    ] {
        real.write(&line);
        real.receipt(id).unwrap_or_else(|why| panic!("{id}: {why}"));
    }
    let transcripts = Transcripts::new(&real.home.path().join(".claude"));
    assert!(matches!(transcripts.known(&real.session), Ok(Known::Yes(_))));
    let sessions = transcripts.find(&real.session.as_str()[..8]);
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].session, real.session);
    let digest = sessions[0].digest().unwrap().0;
    assert!(digest.title().starts_with("!text one"), "{digest:?}");
    let cwd = digest.cwd.as_deref().map(Path::new);
    assert_eq!(cwd, Some(&*real.home.path().canonicalize().unwrap()));
    let texts = sessions[0].recent_texts(5).unwrap();
    assert_eq!(
        texts.iter().map(|text| text.text.as_str()).collect::<Vec<_>>(),
        ["one\u{2028}two\u{2029}three"]
    );
    assert!(texts[0].at.0 > 1_700_000_000_000, "{texts:?}");
    let open: Vec<_> = transcripts.open_sessions().into_iter().map(|open| (open.session, open.pid)).collect();
    assert_eq!(open, [(real.session.clone(), real.child.id())]);
    real.write(&control::end_session("end", "idle"));
    real.receipt("end").unwrap();
    assert!(real.child.wait().unwrap().success());
    assert_eq!(transcripts.open_sessions(), []);
}
