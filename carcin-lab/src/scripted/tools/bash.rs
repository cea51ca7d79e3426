//! Bash, each command in a session of its own, in the foreground or the background.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::{Child, Command};

use super::super::io::Event;
use super::super::session::{Halt, Session};
use super::{Outcome, ToolUse};

/// How long a command may take unless the call says otherwise.
const TIMEOUT: Duration = Duration::from_mins(2);
/// How much of each output Claude is told, in bytes.
const MAX_OUTPUT: u64 = 30_000;

/// A command that leads its own session, killed with all its group when this is dropped.
#[derive(Debug)]
struct Leader(Option<Pid>);

impl Drop for Leader {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may have ended by itself.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// A command in the background.
#[derive(Debug)]
pub(crate) struct Background {
    task_id: String,
    description: String,
    _leader: Leader,
}

/// The end of a command in the background.
#[derive(Debug)]
pub(crate) struct Finished {
    task_id: String,
    tool_use_id: String,
    description: String,
    output: PathBuf,
    exit_code: i32,
}

impl Session {
    pub(super) async fn bash(&mut self, tool_use: &ToolUse) -> Result<Outcome, Halt> {
        if tool_use.input["run_in_background"] == true {
            return Ok(self.bash_in_background(tool_use));
        }
        let run =
            Files::new().and_then(|files| Ok((spawn(tool_use.text("command"), &self.cwd, &files)?, files)));
        let (mut child, mut files) = match run {
            Ok(run) => run,
            Err(error) => return Ok(Outcome::failed(&error.to_string())),
        };
        let leader = Leader(pid_of(&child));
        let patience = tool_use.input["timeout"].as_u64().map_or(TIMEOUT, Duration::from_millis);
        let ended = self.while_taking(tokio::time::timeout(patience, child.wait())).await?;
        let outcome = match ended {
            Ok(Ok(status)) => {
                // What the command left in the background lives on, as it does in the real one.
                std::mem::forget(leader);
                told(status, &mut files)
            }
            Ok(Err(error)) => Outcome::failed(&error.to_string()),
            Err(_) => Outcome::failed(&format!("Command timed out after {} ms", patience.as_millis())),
        };
        Ok(outcome)
    }

    fn bash_in_background(&mut self, tool_use: &ToolUse) -> Outcome {
        let task_id = format!("b{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let output = self.home.join(".claude/tasks").join(format!("{task_id}.output"));
        let description = tool_use.text("description").to_owned();
        let opened = std::fs::create_dir_all(self.home.join(".claude/tasks")).and_then(|()| {
            let stdout = File::create(&output)?;
            let files = Files { stderr: stdout.try_clone()?, stdout };
            spawn(tool_use.text("command"), &self.cwd, &files)
        });
        let mut child = match opened {
            Ok(child) => child,
            Err(error) => return Outcome::failed(&error.to_string()),
        };
        let leader = Leader(pid_of(&child));
        self.background.push(Background {
            task_id: task_id.clone(),
            description: description.clone(),
            _leader: leader,
        });
        self.emit_background();
        self.out.system(
            "task_started",
            json!({"task_id": task_id, "tool_use_id": tool_use.id, "description": description, "is_backgrounded": true,
                "task_type": "local_bash"}),
        );
        let finished = Finished {
            task_id: task_id.clone(),
            tool_use_id: tool_use.id.clone(),
            description,
            output: output.clone(),
            exit_code: 0,
        };
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let status = child.wait().await;
            let exit_code = status.ok().and_then(|status| status.code()).unwrap_or(-1);
            // Nobody listens any more when the process is about to exit.
            let _ = sender.send(Event::Finished(Finished { exit_code, ..finished })).await;
        });
        Outcome::done(
            format!(
                "Command running in background with ID: {task_id}. Output is being written to: {}. You will be notified when \
                 it completes. To check interim output, use Read on that file path.",
                output.display()
            ),
            json!({"stdout": "", "stderr": "", "interrupted": false, "isImage": false, "noOutputExpected": false,
                "backgroundTaskId": task_id}),
        )
    }

    /// Tells of the end of a command in the background; a turn of its own follows.
    pub(in crate::scripted) fn background_finished(&mut self, finished: Finished) {
        let running = self.background.len();
        self.background.retain(|background| background.task_id != finished.task_id);
        if self.background.len() == running {
            // It was stopped, and its end told.
            return;
        }
        let status = if finished.exit_code == 0 { "completed" } else { "failed" };
        self.out.system("task_updated", json!({"task_id": finished.task_id, "patch": {"status": status}}));
        let summary = format!(
            "Background command \"{}\" {status} (exit code {})",
            finished.description, finished.exit_code
        );
        self.out.system(
            "task_notification",
            json!({"task_id": finished.task_id, "tool_use_id": finished.tool_use_id, "status": status,
                "output_file": finished.output, "summary": summary}),
        );
        self.emit_background();
        self.finished.push_back(finished);
    }

    /// Ends a command in the background, if there is one of this id.
    pub(in crate::scripted) fn stop_task(&mut self, task_id: &str) {
        let Some(at) = self.background.iter().position(|background| background.task_id == task_id) else {
            return;
        };
        let stopped = self.background.remove(at);
        self.out.system("task_updated", json!({"task_id": task_id, "patch": {"status": "killed"}}));
        let summary = format!("Background command \"{}\" was stopped", stopped.description);
        self.out.system(
            "task_notification",
            json!({"task_id": task_id, "status": "stopped", "summary": summary}),
        );
        self.emit_background();
    }

    pub(in crate::scripted) fn emit_background(&self) {
        let task = |background: &Background| json!({"task_id": background.task_id, "task_type": "local_bash", "description": background.description});
        let tasks: Vec<_> = self.background.iter().map(task).collect();
        self.out.system("background_tasks_changed", json!({"tasks": tasks}));
    }
}

/// Where a command's output goes: files, so that a grandchild which keeps them open does not hold up the end.
struct Files {
    stdout: File,
    stderr: File,
}

impl Files {
    fn new() -> std::io::Result<Self> {
        Ok(Self { stdout: tempfile::tempfile()?, stderr: tempfile::tempfile()? })
    }
}

/// Through `setsid`, because a session of its own takes a call between fork and exec.
fn spawn(command: &str, cwd: &Path, files: &Files) -> std::io::Result<Child> {
    Command::new("setsid")
        .args(["bash", "-c", command])
        .current_dir(cwd)
        .env("CLAUDECODE", "1")
        .stdin(Stdio::null())
        .stdout(files.stdout.try_clone()?)
        .stderr(files.stderr.try_clone()?)
        .spawn()
}

fn pid_of(child: &Child) -> Option<Pid> {
    child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw)
}

fn told(status: ExitStatus, files: &mut Files) -> Outcome {
    let (stdout, stderr) = (contents(&mut files.stdout), contents(&mut files.stderr));
    let both: Vec<&str> =
        [stdout.as_str(), stderr.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
    let both = both.join("\n");
    match status.code() {
        Some(0) => Outcome::done(
            both,
            json!({"stdout": stdout, "stderr": stderr, "interrupted": false, "isImage": false,
                "noOutputExpected": false}),
        ),
        Some(code) => Outcome::failed(&format!("Exit code {code}\n{both}")),
        None => Outcome::failed(&format!("Command was killed\n{both}")),
    }
}

fn contents(file: &mut File) -> String {
    let mut bytes = Vec::new();
    // What cannot be read is not told.
    let _ = file.rewind().and_then(|()| file.take(MAX_OUTPUT).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}
