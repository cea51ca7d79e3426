//! Drives a `claude`, scripted or real, by its standard streams.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use carcin_lab::model::{ModelConfig, ModelLab, claude_env};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long any one thing may take: the real CLI starts in half a second, a loaded machine is slower.
const PATIENCE: Duration = Duration::from_mins(1);

/// Which `claude` is driven.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    Scripted,
    /// The one that `CARCIN_REAL_CLAUDE` names.
    Real,
}

/// A home with a project in it, and for the real one a model to talk to.
pub(crate) struct World {
    which: Which,
    home: TempDir,
    model: ModelLab,
    pub(crate) extra_env: Vec<(&'static str, &'static str)>,
}

impl World {
    pub(crate) async fn new(which: Which) -> Result<Self> {
        let home = tempfile::tempdir()?;
        std::fs::create_dir(home.path().join("project"))?;
        std::fs::write(home.path().join("project/notes.txt"), "one\ntwo\n")?;
        let model = ModelLab::start(ModelConfig::default()).await?;
        Ok(Self { which, home, model, extra_env: Vec::new() })
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.home.path().join("project")
    }

    pub(crate) fn open_gate(&self, name: &str) -> Result<()> {
        self.model.open_gate(name);
        carcin_lab::scripted::open_gate(self.home.path(), name).context("cannot open the gate")
    }

    /// Gives the lab's MCP server to every `claude` that is started from now on; the scripted one has it anyway.
    pub(crate) fn add_mcp_server(&self) -> Result<()> {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_carcin-lab-mcp"));
        let configuration = carcin_lab::mcp::configuration(&program).to_string();
        Ok(std::fs::write(self.home.path().join(".claude.json"), configuration)?)
    }

    /// Waits until a tool has made a file.
    pub(crate) async fn wait_for_file(&self, name: &str) -> Result<()> {
        let path = self.project().join(name);
        let appeared = async {
            while !path.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, appeared).await.with_context(|| format!("{name} did not appear"))
    }

    /// Waits until a process is gone.
    pub(crate) async fn wait_for_end(&self, pid: &str) -> Result<()> {
        let process = PathBuf::from("/proc").join(pid);
        let gone = async {
            while process.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.with_context(|| format!("{pid} did not end"))
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Claude> {
        let program = match self.which {
            Which::Scripted => PathBuf::from(env!("CARGO_BIN_EXE_carcin-lab-claude")),
            Which::Real => PathBuf::from(
                std::env::var_os("CARCIN_REAL_CLAUDE").context("CARCIN_REAL_CLAUDE is not set")?,
            ),
        };
        let mut child = Command::new(program)
            .args(["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"])
            .args([
                "--include-partial-messages",
                "--replay-user-messages",
                "--permission-prompt-tool",
                "stdio",
            ])
            .args(arguments)
            .current_dir(self.project())
            .env_clear()
            .envs(claude_env(&self.model.base_url(), self.home.path()))
            .envs(self.extra_env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().context("stdin is piped")?;
        let stdout = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        Ok(Claude { child, stdin: Some(stdin), stdout, frames: Vec::new() })
    }
}

/// A running `claude`.
pub(crate) struct Claude {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    pub(crate) frames: Vec<Value>,
}

impl Claude {
    pub(crate) async fn send(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("stdin is open")?;
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        stdin.flush().await.context("cannot write to claude")
    }

    pub(crate) async fn prompt(&mut self, text: &str) -> Result<String> {
        let uuid = uuid::Uuid::new_v4().to_string();
        self.prompt_as(text, &uuid).await?;
        Ok(uuid)
    }

    pub(crate) async fn prompt_as(&mut self, text: &str, uuid: &str) -> Result<()> {
        self.prompt_blocks(json!(text), uuid).await
    }

    pub(crate) async fn prompt_blocks(&mut self, content: Value, uuid: &str) -> Result<()> {
        let message = json!({"role": "user", "content": content});
        let line = json!({"type": "user", "message": message, "parent_tool_use_id": null, "session_id": "", "uuid": uuid});
        self.send(&line.to_string()).await
    }

    /// Sends a control request and waits for what is answered.
    pub(crate) async fn control(&mut self, request: Value) -> Result<Value> {
        let id = self.control_only(request).await?;
        self.wait_for("the answer to a control request", |frame| {
            (frame["type"] == "control_response" && frame["response"]["request_id"] == id.as_str())
                .then(|| frame["response"].clone())
        })
        .await
    }

    pub(crate) async fn control_only(&mut self, request: Value) -> Result<String> {
        let id = uuid::Uuid::new_v4().to_string();
        self.send(&json!({"type": "control_request", "request_id": id, "request": request}).to_string())
            .await?;
        Ok(id)
    }

    pub(crate) async fn answer(&mut self, asked: &Value, answer: Value) -> Result<()> {
        let response = json!({"subtype": "success", "request_id": asked["request_id"], "response": answer});
        self.send(&json!({"type": "control_response", "response": response}).to_string()).await
    }

    /// Reads frames until one is what is wanted.
    pub(crate) async fn wait_for<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Value) -> Option<T>,
    ) -> Result<T> {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.stdout.next_line()).await;
            let Some(line) = line.with_context(|| format!("no {what} after {:?}", kinds(&self.frames)))??
            else {
                bail!("the output ended before {what}, after {:?}", kinds(&self.frames));
            };
            let frame: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
            let found = wanted(&frame);
            self.frames.push(frame);
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    pub(crate) async fn idle(&mut self) -> Result<()> {
        self.wait_for("idle", |frame| (frame["state"] == "idle").then_some(())).await
    }

    pub(crate) async fn asked(&mut self) -> Result<Value> {
        self.wait_for("a permission request", |frame| {
            (frame["type"] == "control_request").then(|| frame.clone())
        })
        .await
    }

    pub(crate) async fn lifecycle(&mut self, prompt: &str, state: &str) -> Result<()> {
        self.wait_for("a prompt's state", |frame| {
            (frame["command_uuid"] == prompt && frame["state"] == state).then_some(())
        })
        .await
    }

    pub(crate) async fn streamed(&mut self, pieces: usize) -> Result<()> {
        for _ in 0..pieces {
            self.wait_for("a delta", |frame| (frame["event"]["type"] == "content_block_delta").then_some(()))
                .await?;
        }
        Ok(())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id().context("claude runs")?)?;
        kill(Pid::from_raw(pid), signal).context("cannot signal claude")
    }

    /// Ends the input and waits for the end.
    pub(crate) async fn close(&mut self) -> Result<Option<i32>> {
        self.stdin = None;
        self.exit().await.map(|(code, _)| code)
    }

    /// Reads what is left and waits for the end: exit code and stderr.
    pub(crate) async fn exit(&mut self) -> Result<(Option<i32>, String)> {
        let rest = async {
            while let Some(line) = self.stdout.next_line().await? {
                self.frames.push(serde_json::from_str(&line)?);
            }
            let mut stderr = String::new();
            self.child.stderr.take().context("stderr is piped")?.read_to_string(&mut stderr).await?;
            Ok::<_, anyhow::Error>((self.child.wait().await?.code(), stderr))
        };
        tokio::time::timeout(PATIENCE, rest).await.context("claude did not exit")?
    }

    /// The texts that Claude said.
    pub(crate) fn said(&self) -> Vec<String> {
        let messages = self.frames.iter().filter(|frame| frame["type"] == "assistant");
        let blocks = messages.filter_map(|frame| frame["message"]["content"].as_array()).flatten();
        blocks.filter_map(|block| block["text"].as_str()).map(str::to_owned).collect()
    }
}

/// The frames of a recording of the real CLI.
pub(crate) fn corpus(name: &str) -> Result<Vec<Value>> {
    let path = format!("{}/corpus/claude/{name}.ndjson", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    text.lines().map(|line| serde_json::from_str(line).context("the corpus is JSON")).collect()
}

/// What kinds of frames these are, in their order. Left out is what comes at no certain place or in no certain number: the raw
/// events that end a block or a message, which race with the tools, and every delta of a block but the first.
pub(crate) fn kinds(frames: &[Value]) -> Vec<String> {
    let mut last_event = String::new();
    let mut kinds: Vec<String> = frames.iter().filter_map(kind).collect();
    kinds.retain(|kind| {
        let repeated = kind.contains("content_block_delta") && *kind == last_event;
        if kind.starts_with("stream_event") {
            last_event.clone_from(kind);
        }
        !repeated
    });
    kinds
}

fn kind(frame: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let kind = text(&frame["type"]);
    let blocks = |content: &Value| match content.as_array() {
        Some(blocks) => blocks.iter().map(|block| text(&block["type"])).collect::<Vec<_>>().join(","),
        None => "text".to_owned(),
    };
    Some(match kind.as_str() {
        "stream_event" => {
            let event = text(&frame["event"]["type"]);
            if ["content_block_stop", "message_delta", "message_stop"].contains(&event.as_str()) {
                return None;
            }
            format!("{kind} {event} {}", text(&frame["event"]["delta"]["type"]))
        }
        "system" if frame["subtype"] == "thinking_tokens" => return None,
        "system" => {
            format!("{kind} {} {} {}", text(&frame["subtype"]), text(&frame["state"]), text(&frame["status"]))
        }
        "command_lifecycle" => format!("{kind} {}", text(&frame["state"])),
        "assistant" => {
            format!("{kind} {} aborted={}", blocks(&frame["message"]["content"]), frame["aborted"])
        }
        "user" => {
            let parent = frame["parent_tool_use_id"].is_string();
            format!(
                "{kind} {} replay={} parent={parent}",
                blocks(&frame["message"]["content"]),
                frame["isReplay"]
            )
        }
        "control_response" => format!("{kind} {}", text(&frame["response"]["subtype"])),
        "result" => {
            let (subtype, reason) = (text(&frame["subtype"]), text(&frame["terminal_reason"]));
            format!("{kind} {subtype} {reason} {} error={}", text(&frame["stop_reason"]), frame["is_error"])
        }
        _ => kind,
    })
}
