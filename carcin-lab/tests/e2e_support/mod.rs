//! What the end-to-end tests share: each is written once and runs with either Claude.
#![allow(dead_code, unreachable_pub, unused_macros)] // each test program uses its own part

pub mod clock;
pub mod crash;
pub mod death;
pub mod disk;
pub mod front;
pub mod journal;
pub mod pace;
pub mod proc;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use carcin_lab::rig::{PATIENCE, Rig, Talk};
use carcin_proto::event::{PromptOutcome, TurnOutcome};
use carcin_proto::request::{Status, Stopped};
use carcin_proto::{Event, Reply, Request};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::task::JoinHandle;

/// Runs each test with the scripted Claude, and with the real one where that is asked for.
macro_rules! with_either_claude {
    ($($(#[$attribute:meta])* $name:ident),+ $(,)?) => {
        mod scripted {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::e2e_support::run(super::$name(carcin_lab::rig::Claude::Scripted)).await;
            })+
        }
        mod real {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs the real Claude Code CLI: set CARCIN_REAL_CLAUDE"]
            async fn $name() {
                $crate::e2e_support::run(super::$name(carcin_lab::rig::Claude::Real)).await;
            })+
        }
    };
}

/// Runs each test with whoever may die, and with either Claude.
macro_rules! whoever_dies {
    ($($name:ident),+ $(,)?) => {
        whoever_dies!(in claude_alone, Claude, $($name),+);
        whoever_dies!(in the_daemon_too, Both, $($name),+);
        whoever_dies!(in while_the_daemon_is_away, ClaudeUnseen, $($name),+);
    };
    (in $who:ident, $dies:ident, $($name:ident),+) => {
        mod $who {
            use carcin_lab::rig::Claude;

            use $crate::e2e_support::death::Who;

            $(async fn $name(claude: Claude) -> anyhow::Result<()> {
                super::$name(claude, Who::$dies).await
            })+

            with_either_claude! { $($name),+ }
        }
    };
}

/// A PNG of one pixel.
pub const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

/// Fails the test with the whole error.
pub async fn run(test: impl Future<Output = anyhow::Result<()>>) {
    if let Err(error) = test.await {
        panic!("{error:?}");
    }
}

/// Waits until `probe` finds something; for what nobody announces, such as a file.
pub async fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    looking(what, Duration::from_millis(10), async || probe()).await
}

/// The same where it must be asked for, which costs somebody something.
pub async fn eventually_asking<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
    looking(what, Duration::from_millis(50), probe).await
}

async fn looking<T>(
    what: &str,
    pause: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let looking = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(pause).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.map_err(|_| anyhow::anyhow!("waited {PATIENCE:?} in vain for {what}"))
}

/// Sends SIGKILL to a process.
pub fn slay(pid: u32) -> anyhow::Result<()> {
    signal(pid, Signal::SIGKILL)
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    Ok(kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
}

/// Whether a process lives; a zombie does not.
pub fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Whether a process was stopped by a signal, with each of its threads.
pub fn stands_still(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        std::fs::read_to_string(thread.path().join("stat")).is_ok_and(|stat| stat.contains(") T "))
    })
}

/// The lines of a file; none where there is no file.
pub fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// A script step that runs this command.
pub fn bash(command: &str) -> String {
    format!("!tool Bash {}", serde_json::json!({ "command": command }))
}

/// A script step that notes the tool's own pid in the file `name`, then runs until it is killed.
pub fn endless_tool(name: &str) -> String {
    bash(&format!("echo $$ > $CWD/{name}; exec tail -f /dev/null"))
}

/// The pid that [`endless_tool`] notes.
pub async fn noted_pid(file: &Path) -> anyhow::Result<u32> {
    eventually("the tool to begin", || lines(file).first()?.parse().ok()).await
}

/// Stops a conversation, and sees its tool's process end, whether or not the stop can be answered yet.
pub async fn stops_unanswered(talk: &Talk, tool: u32) -> anyhow::Result<JoinHandle<anyhow::Result<Stopped>>> {
    let stop = tokio::spawn({
        let talk = talk.clone();
        async move { talk.stop().await }
    });
    eventually("the tool's process to end", || (!lives(tool)).then_some(())).await?;
    Ok(stop)
}

/// What the daemon says of itself.
pub async fn status(rig: &carcin_lab::rig::Rig) -> anyhow::Result<Status> {
    match rig.request(&Request::Status).await? {
        Reply::Status(status) => Ok(*status),
        other => anyhow::bail!("the status is {other:?}"),
    }
}

/// Waits until the daemon says of itself what `probe` looks for.
pub async fn status_says<T>(
    rig: &carcin_lab::rig::Rig,
    what: &str,
    mut probe: impl FnMut(&Status) -> Option<T>,
) -> anyhow::Result<T> {
    let mut last = None;
    let found = eventually_asking(what, async || {
        let status = status(rig).await.ok()?;
        let found = probe(&status);
        last = Some(status);
        found
    })
    .await;
    found.with_context(|| format!("the last status is {last:?}"))
}

/// What a person is told of failures, the same sentence in the ends of a turn and of its prompts once.
pub fn told(rig: &Rig) -> Vec<String> {
    let log = rig.events.log();
    let mut told: Vec<String> = Vec::new();
    let mut of_turn: Option<String> = None;
    for envelope in log.envelopes() {
        let (sentence, with_turn) = match &envelope.event {
            Event::TurnStarted(_) => {
                of_turn = None;
                continue;
            }
            Event::TurnEnded(ended) => match &ended.outcome {
                TurnOutcome::Failed(why) | TurnOutcome::Interrupted(why) => (why, true),
                TurnOutcome::Completed | TurnOutcome::Stopped(_) => continue,
            },
            Event::PromptEnded(ended) => match &ended.outcome {
                PromptOutcome::Failed(why) | PromptOutcome::Interrupted(why) => (why, true),
                PromptOutcome::Completed | PromptOutcome::Cancelled => continue,
            },
            Event::ProcessEnded(ended) => match &ended.message {
                Some(message) => (message, false),
                None => continue,
            },
            Event::Notice(notice) => (&notice.text, false),
            _ => continue,
        };
        if with_turn && of_turn.as_ref() == Some(sentence) {
            continue;
        }
        if with_turn {
            of_turn = Some(sentence.clone());
        }
        told.push(sentence.clone());
    }
    told
}
