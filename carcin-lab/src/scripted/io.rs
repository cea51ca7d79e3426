//! The standard streams and the signals.

use std::io::{BufRead as _, Write as _};

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::tools::bash::Finished;

/// Lines that may be read ahead; beyond, stdin waits, as a pipe does.
const READ_AHEAD: usize = 64;

/// Whatever happens to the process.
#[derive(Debug)]
pub(super) enum Event {
    /// A line came on stdin.
    Line(String),
    /// Stdin has ended.
    EndOfInput,
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// A command in the background has ended.
    Finished(Finished),
}

/// Starts to read stdin and to watch for signals. The sender is for whatever else will happen.
pub(super) fn events() -> std::io::Result<(mpsc::Sender<Event>, mpsc::Receiver<Event>)> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let lines = sender.clone();
    // A thread of its own and not tokio's stdin: a read that never ends must not hold up the runtime.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line).into_owned();
            if lines.blocking_send(Event::Line(line)).is_err() {
                return;
            }
        }
        // Nobody listens any more when the process is about to exit.
        let _ = lines.blocking_send(Event::EndOfInput);
    });
    forward(SignalKind::interrupt(), sender.clone(), || Event::Interrupt)?;
    forward(SignalKind::terminate(), sender.clone(), || Event::Terminate)?;
    Ok((sender, receiver))
}

fn forward(kind: SignalKind, sender: mpsc::Sender<Event>, event: fn() -> Event) -> std::io::Result<()> {
    let mut signals = signal(kind)?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            if sender.send(event()).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Stdout, one frame a line.
#[derive(Debug)]
pub(super) struct Output {
    /// The id that every frame carries.
    pub(super) session_id: String,
    pub(super) partial_messages: bool,
    pub(super) replay: bool,
    pub(super) state_events: bool,
}

impl Output {
    /// Prints a frame under the session's id and a uuid, unless it has one; returns the uuid.
    pub(super) fn emit(&self, mut frame: Value) -> String {
        let uuid = frame["uuid"].as_str().map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
        frame["session_id"] = json!(self.session_id);
        frame["uuid"] = json!(uuid);
        emit_bare(&frame);
        uuid
    }

    pub(super) fn system(&self, subtype: &str, fields: Value) -> String {
        let mut frame = json!({"type": "system", "subtype": subtype});
        merge(&mut frame, fields);
        self.emit(frame)
    }

    /// `running`, `requires_action` or `idle`, if the host wants to know.
    pub(super) fn state(&self, state: &str) {
        if self.state_events {
            self.system("session_state_changed", json!({"state": state}));
        }
    }

    /// How far a prompt is; prompts without a uuid are not told about.
    pub(super) fn lifecycle(&self, prompt: Option<&str>, state: &str) {
        if let Some(prompt) = prompt {
            self.emit(json!({"type": "command_lifecycle", "command_uuid": prompt, "state": state}));
        }
    }
}

/// Prints a frame as it is: control frames carry no session id.
pub(super) fn emit_bare(frame: &Value) {
    let mut line = frame.to_string();
    line.push('\n');
    let mut stdout = std::io::stdout().lock();
    // As the real CLI: a reader that is gone or a disk that is full does not end the work.
    let _ = stdout.write_all(line.as_bytes());
    let _ = stdout.flush();
}

/// Puts the fields of one object into another.
pub(super) fn merge(into: &mut Value, fields: Value) {
    if let (Some(into), Value::Object(fields)) = (into.as_object_mut(), fields) {
        into.extend(fields);
    }
}
