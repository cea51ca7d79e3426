//! A child as a transient systemd service: a cgroup of its own with limits, leftovers killed, exit status kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::dir::ChildDir;
use super::exit::read_whole;
use super::spawn::SpawnError;
use super::spec::Spec;

/// How long the user's systemd may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What starts children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// A process of the daemon's own, in a session of its own.
    Plain {
        /// The `carcind` program.
        exe: PathBuf,
    },
    /// A transient service of the user's systemd.
    Systemd {
        /// The `carcind` program.
        exe: PathBuf,
    },
}

/// Which launcher to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preference {
    /// systemd if the daemon runs under it, plain otherwise.
    #[default]
    Auto,
    /// Always plain.
    Plain,
    /// Always systemd.
    Systemd,
}

impl Launcher {
    /// The launcher for this surrounding. `exe` is the absolute path of the `carcind` program. Takes 5 s at
    /// most.
    pub async fn detect(exe: PathBuf, preference: Preference) -> Self {
        let systemd = match preference {
            Preference::Plain => false,
            Preference::Systemd => true,
            // systemd sets INVOCATION_ID in what it starts.
            Preference::Auto => std::env::var_os("INVOCATION_ID").is_some() && user_manager_answers().await,
        };
        if systemd { Self::Systemd { exe } } else { Self::Plain { exe } }
    }
}

async fn user_manager_answers() -> bool {
    run("systemctl", &["--user", "show", "--property=Version"]).await.is_ok()
}

/// The unit that `dir` was started as, if it was.
pub(super) fn unit_of(dir: &ChildDir) -> Option<String> {
    fs::read_to_string(dir.unit_path()).ok()
}

/// How the name of a Claude's unit begins.
pub(crate) const UNIT: &str = "carcin-claude-";

pub(super) fn unit_name(dir: &ChildDir) -> String {
    format!("{UNIT}{}.service", dir.generation())
}

/// Has systemd start the launcher; returns when it was executed.
pub(super) async fn start(dir: &ChildDir, exe: &Path) -> Result<(), SpawnError> {
    fs::write(dir.unit_path(), unit_name(dir))?;
    let limits = read_whole::<Spec>(&dir.spec_path()).map(|spec| spec.limits).unwrap_or_default();
    let (exe, path) = (exe.to_string_lossy(), dir.path().to_string_lossy());
    let mut arguments: Vec<String> = [
        "--user",
        "--quiet",
        // Gone from systemd's memory once it has ended; the status is in our own file by then.
        "--collect",
        "--no-ask-password",
        "--service-type=exec",
        "--property=KillMode=control-group",
        "--property=TimeoutStopSec=5",
        // A tool that eats the memory is killed, not Claude with it.
        "--property=OOMPolicy=continue",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(format!("--unit={}", unit_name(dir)));
    arguments.push(format!("--property=ExecStopPost={} child-ended {}", quoted(&exe), quoted(&path)));
    arguments.extend(limits.memory_max.map(|bytes| format!("--property=MemoryMax={bytes}")));
    arguments.extend(limits.tasks_max.map(|tasks| format!("--property=TasksMax={tasks}")));
    arguments.extend(["--".to_owned(), exe.into_owned(), "child".to_owned(), dollars_doubled(&path)]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let failed = |reason| SpawnError::Launcher { launcher: "systemd-run".to_owned(), reason };
    run("systemd-run", &arguments).await.map_err(failed)
}

/// Kills all that is in `unit`. One that is gone is fine.
pub(super) async fn kill(unit: &str) {
    if let Err(reason) = run("systemctl", &["--user", "kill", "--signal=KILL", unit]).await {
        tracing::debug!(unit, reason, "nothing to kill");
    }
}

/// Runs a command of systemd's to its end; the error is what it said.
async fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(ANSWER_TIMEOUT, command.output()).await;
    let output = output.map_err(|_| format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))?;
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{} ({})", said.trim(), output.status))
}

/// `word` as one word of a systemd command line (`systemd.service(5)`).
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', r"\\").replace('"', "\\\"");
    format!("\"{}\"", dollars_doubled(&escaped))
}

/// systemd replaces `$NAME` in arguments; `$$` is a plain dollar sign.
fn dollars_doubled(word: &str) -> String {
    word.replace('$', "$$")
}
