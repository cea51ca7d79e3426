//! A `claude` that tells when a prompt reached it and when it answered, and takes no time in between.
//!
//! It keeps to the protocol as far as one turn of text goes, and no further.

use std::io::{BufRead, Write};

use serde_json::{Value, json};

use super::clock;

/// The file name under which the benchmark's own program is this.
pub const NAME: &str = "claude";

/// Answers each prompt with its two moments, as `Moments` reads them.
pub fn run() -> std::io::Result<()> {
    let session = session();
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    for line in input.lines() {
        let line = line?;
        let arrived = clock::now();
        let Ok(frame) = serde_json::from_str::<Value>(&line) else { continue };
        let frames = match frame["type"].as_str() {
            Some("control_request") => vec![json!({
                "type": "control_response",
                "response": {"subtype": "success", "request_id": frame["request_id"], "response": {}},
            })],
            Some("user") => turn(&session, frame["uuid"].as_str().unwrap_or_default(), arrived),
            _ => continue,
        };
        // One write, as it would take several frames that are ready at once.
        let lines: Vec<String> = frames.iter().map(Value::to_string).collect();
        output.write_all(format!("{}\n", lines.join("\n")).as_bytes())?;
        output.flush()?;
    }
    Ok(())
}

fn session() -> String {
    let option =
        |name: &str| std::env::args().find_map(|argument| argument.strip_prefix(name).map(str::to_owned));
    option("--session-id=").or_else(|| option("--resume=")).unwrap_or_default()
}

fn turn(session: &str, prompt: &str, arrived: u64) -> Vec<Value> {
    let lifecycle = |state| json!({"type": "command_lifecycle", "command_uuid": prompt, "state": state, "session_id": session});
    let state = |state| json!({"type": "system", "subtype": "session_state_changed", "state": state, "session_id": session});
    let text = |text: String| {
        json!({
            "type": "assistant", "parent_tool_use_id": null, "session_id": session,
            "message": {"id": "msg", "role": "assistant", "model": "probe", "content": [{"type": "text", "text": text}]},
        })
    };
    vec![
        state("running"),
        lifecycle("queued"),
        lifecycle("started"),
        json!({"type": "system", "subtype": "init", "session_id": session, "model": "probe", "permissionMode": "default"}),
        text(Moments { arrived, written: clock::now() }.to_string()),
        json!({
            "type": "result", "subtype": "success", "is_error": false, "result": "", "num_turns": 1,
            "session_id": session, "terminal_reason": "completed",
        }),
        lifecycle("completed"),
        state("idle"),
    ]
}

/// When a prompt reached the probe, and when it wrote its answer, in nanoseconds of the shared clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    pub(super) arrived: u64,
    pub(super) written: u64,
}

impl std::fmt::Display for Moments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "arrived {} written {}", self.arrived, self.written)
    }
}

impl Moments {
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut number = |word| words.next().filter(|found| *found == word).and(words.next())?.parse().ok();
        Some(Self { arrived: number("arrived")?, written: number("written")? })
    }
}
