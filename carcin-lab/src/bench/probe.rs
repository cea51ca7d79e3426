//! A `claude` that does what the benchmark wants and takes no time of its own.
//!
//! It keeps to the protocol as far as one turn goes, and no further. A prompt may be a `Command`; any other is
//! answered with the moments at which it came and was answered.

use std::io::{BufRead, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{clock, corpus};

/// The file name under which the benchmark's own program is this.
pub const NAME: &str = "claude";
/// Between what is measured and what is synced: the beginning and the end of a turn wait for the disk.
const APART: Duration = Duration::from_millis(300);
/// The files beside this program by which it is told to go on, and tells that it is done.
pub(super) const GO: &str = "go";
/// See [`GO`].
pub(super) const DONE: &str = "done";
/// How often to look for a file.
const LOOK: Duration = Duration::from_millis(10);
/// Copies are written this much at a time.
const WRITE: usize = 256 << 10;

/// Makes this program's `claude` in a directory.
pub(super) fn install(dir: &Path) -> anyhow::Result<PathBuf> {
    let path = dir.join(NAME);
    symlink(std::env::current_exe()?, &path).context("cannot make the probe")?;
    Ok(path)
}

/// What the probe is told to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// So many lines, one in so many microseconds, each with its moment, and every so many-th a durable event.
    Stream { lines: usize, every: u64, durable: usize },
    /// So many bytes of recordings, as fast as they can be written, then a line that a retry is.
    Corpus { bytes: usize },
    /// So many of one kind, once the file [`GO`] is there; then the file [`DONE`], and death in the middle of the turn.
    Repeat { kind: Kind, count: usize },
}

/// A kind of line, with what it needs around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Partial text: a transient event.
    Delta,
    /// Finished text: a durable event.
    Text,
    /// A use of a tool and its result, two lines.
    Tool,
    /// The arguments of a tool as they are written: no event.
    Quiet,
}

impl Kind {
    pub(super) const ALL: [(Self, &'static str); 4] =
        [(Self::Delta, "delta"), (Self::Text, "text"), (Self::Tool, "tool"), (Self::Quiet, "quiet")];
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stream { lines, every, durable } => write!(f, "!stream {lines} {every} {durable}"),
            Self::Corpus { bytes } => write!(f, "!corpus {bytes}"),
            Self::Repeat { kind, count } => {
                let name = Kind::ALL.iter().find(|(other, _)| other == kind).map_or("", |(_, name)| name);
                write!(f, "!repeat {name} {count}")
            }
        }
    }
}

impl Command {
    fn read(prompt: &str) -> Option<Self> {
        let words: Vec<&str> = prompt.split(' ').collect();
        Some(match words[..] {
            ["!stream", lines, every, durable] => Self::Stream {
                lines: lines.parse().ok()?,
                every: every.parse().ok()?,
                durable: durable.parse().ok()?,
            },
            ["!corpus", bytes] => Self::Corpus { bytes: bytes.parse().ok()? },
            ["!repeat", kind, count] => Self::Repeat {
                kind: Kind::ALL.iter().find(|(_, name)| *name == kind)?.0,
                count: count.parse().ok()?,
            },
            _ => return None,
        })
    }
}

/// Answers prompts until its input ends.
pub fn run() -> std::io::Result<()> {
    let mut probe = Probe { session: session(), output: std::io::stdout().lock() };
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let arrived = clock::now();
        let Ok(frame) = serde_json::from_str::<Value>(&line) else { continue };
        match frame["type"].as_str() {
            Some("control_request") => {
                let ends = frame["request"]["subtype"] == "end_session";
                probe.print(&[json!({
                    "type": "control_response",
                    "response": {"subtype": "success", "request_id": frame["request_id"], "response": {}},
                })])?;
                if ends {
                    return Ok(());
                }
            }
            Some("user") => {
                let prompt = frame["uuid"].as_str().unwrap_or_default();
                match frame["message"]["content"].as_str().and_then(Command::read) {
                    None => probe.turn(prompt, arrived)?,
                    Some(command) => probe.obey(prompt, command)?,
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn session() -> String {
    let option =
        |name: &str| std::env::args().find_map(|argument| argument.strip_prefix(name).map(str::to_owned));
    option("--session-id=").or_else(|| option("--resume=")).unwrap_or_default()
}

struct Probe {
    session: String,
    output: std::io::StdoutLock<'static>,
}

impl Probe {
    /// In one write, as it would print several frames that are ready at once.
    fn print(&mut self, frames: &[Value]) -> std::io::Result<()> {
        let lines: Vec<String> = frames.iter().map(Value::to_string).collect();
        self.write(format!("{}\n", lines.join("\n")).as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.output.write_all(bytes)?;
        self.output.flush()
    }

    /// A turn that answers at once.
    fn turn(&mut self, prompt: &str, arrived: u64) -> std::io::Result<()> {
        let mut frames = self.beginning(prompt);
        frames.push(self.text(&Moments { arrived, written: clock::now() }.to_string()));
        frames.extend(self.end(prompt));
        self.print(&frames)
    }

    /// A turn in which a command is obeyed.
    fn obey(&mut self, prompt: &str, command: Command) -> std::io::Result<()> {
        self.print(&self.beginning(prompt))?;
        std::thread::sleep(APART);
        match command {
            Command::Stream { lines, every, durable } => self.stream(lines, every, durable)?,
            Command::Corpus { bytes } => {
                let flood = corpus::Flood::new(&self.session, bytes);
                self.flood(&flood.bytes)?;
            }
            Command::Repeat { kind, count } => {
                let beside =
                    |name| Path::new(&std::env::args_os().next().unwrap_or_default()).with_file_name(name);
                while !beside(GO).exists() {
                    std::thread::sleep(LOOK);
                }
                let lines: String = (0..count).map(|number| self.lines_of(kind, number)).collect();
                self.write(format!("{}{lines}", self.block_begins()).as_bytes())?;
                std::fs::write(beside(DONE), "")?;
                std::process::exit(0);
            }
        }
        std::thread::sleep(APART);
        self.print(&self.end(prompt))
    }

    /// Each line in its own moment, by a timetable: what is late is not made later.
    fn stream(&mut self, lines: usize, every: u64, durable: usize) -> std::io::Result<()> {
        let began = clock::now();
        for line in 0..lines {
            let due = began + line as u64 * every * 1000;
            std::thread::sleep(Duration::from_nanos(due.saturating_sub(clock::now())));
            if line % durable == durable - 1 {
                let now = clock::now();
                let text = self.text(&Moments { arrived: now, written: now }.to_string()).to_string();
                self.write(format!("{text}\n").as_bytes())?;
            } else {
                if line % durable == 0 {
                    self.write(self.block_begins().as_bytes())?;
                }
                let now = clock::now();
                // A line each: what is read at once is told at once.
                let text = format!("{}\n", Moments { arrived: now, written: now });
                self.write(self.delta(&text).as_bytes())?;
            }
        }
        Ok(())
    }

    /// All at once, then a retry, then, apart, when it began.
    fn flood(&mut self, lines: &[u8]) -> std::io::Result<()> {
        let began = clock::now();
        for part in lines.chunks(WRITE) {
            self.output.write_all(part)?;
        }
        self.print(&[json!({
            "type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10, "retry_delay_ms": 594,
            "error_status": 529, "error": "overloaded", "session_id": self.session,
        })])?;
        let arrived = clock::now();
        std::thread::sleep(APART);
        self.print(&[self.text(&Moments { arrived, written: began }.to_string())])
    }

    fn lines_of(&self, kind: Kind, number: usize) -> String {
        match kind {
            Kind::Delta => self.delta("a few words of it "),
            Kind::Text => {
                format!("{}\n", self.text("A sentence or two, as one says between two steps of the work."))
            }
            Kind::Tool => {
                let (session, id) = (&self.session, format!("toolu_{number:032x}"));
                let start = json!({
                    "type": "assistant", "parent_tool_use_id": null, "session_id": session,
                    "message": {"id": "msg", "role": "assistant", "model": "probe", "content": [{
                        "type": "tool_use", "id": id, "name": "Bash",
                        "input": {"command": "ls -l", "description": "List the files"},
                    }]},
                });
                let end = json!({
                    "type": "user", "parent_tool_use_id": null, "session_id": session,
                    "message": {"role": "user", "content": [{
                        "type": "tool_result", "tool_use_id": id, "content": "total 0", "is_error": false,
                    }]},
                    "tool_use_result": {"stdout": "total 0", "stderr": "", "interrupted": false},
                });
                format!("{start}\n{end}\n")
            }
            Kind::Quiet => self.event(&json!({
                "type": "content_block_delta", "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": "a few words of it "},
            })),
        }
    }

    fn block_begins(&self) -> String {
        let message = self.event(&json!({"type": "message_start", "message": {"id": "msg"}}));
        let block = self.event(&json!({
            "type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""},
        }));
        message + &block
    }

    fn delta(&self, text: &str) -> String {
        self.event(&json!({
            "type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text},
        }))
    }

    /// As long as the CLI's own lines are.
    fn event(&self, event: &Value) -> String {
        let session = &self.session;
        format!(
            r#"{{"type":"stream_event","event":{event},"session_id":"{session}","parent_tool_use_id":null,"uuid":"9e0aee4c-ae55-4b55-9e66-c9f62c4b3c0a","api_message_id":"msg_f5ca3b2444e04b0897f11d7c042be075"}}"#
        ) + "\n"
    }

    fn beginning(&self, prompt: &str) -> Vec<Value> {
        vec![
            self.state("running"),
            self.lifecycle(prompt, "queued"),
            self.lifecycle(prompt, "started"),
            json!({
                "type": "system", "subtype": "init", "session_id": self.session, "model": "probe",
                "permissionMode": "default",
            }),
        ]
    }

    fn end(&self, prompt: &str) -> Vec<Value> {
        vec![
            json!({
                "type": "result", "subtype": "success", "is_error": false, "result": "", "num_turns": 1,
                "session_id": self.session, "terminal_reason": "completed",
            }),
            self.lifecycle(prompt, "completed"),
            self.state("idle"),
        ]
    }

    fn lifecycle(&self, prompt: &str, state: &str) -> Value {
        json!({"type": "command_lifecycle", "command_uuid": prompt, "state": state, "session_id": self.session})
    }

    fn state(&self, state: &str) -> Value {
        json!({
            "type": "system", "subtype": "session_state_changed", "state": state, "session_id": self.session,
        })
    }

    fn text(&self, text: &str) -> Value {
        json!({
            "type": "assistant", "parent_tool_use_id": null, "session_id": self.session,
            "message": {
                "id": "msg", "role": "assistant", "model": "probe", "content": [{"type": "text", "text": text}],
            },
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_as_it_was_written() {
        let commands = [
            Command::Stream { lines: 3, every: 1000, durable: 20 },
            Command::Corpus { bytes: 100 },
            Command::Repeat { kind: Kind::Tool, count: 7 },
        ];
        for command in commands {
            assert_eq!(Command::read(&command.to_string()), Some(command));
        }
        assert_eq!(Command::read("prompt 1"), None);
    }
}
