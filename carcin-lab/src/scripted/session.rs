//! A session: its state, and the loop that takes what comes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::arguments::Arguments;
use super::clock::timestamp;
use super::io::{Event, Output, events};
use super::permission::{Mode, Rules};
use super::tools::bash::{Background, Finished};
use super::transcript::{Transcript, answered_prompts};
use super::{control, recorded};

/// A prompt that waits for its turn.
#[derive(Debug, Clone)]
pub(super) struct Prompt {
    /// The host's id for it.
    pub(super) uuid: Option<String>,
    /// Its text blocks.
    pub(super) text: String,
    /// As it came.
    pub(super) content: Value,
}

/// What ends whatever is going on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The turn is to stop.
    Interrupted,
    /// The process is to exit with this code, at once.
    Exit(i32),
}

/// All that a session is; one task owns it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub(super) struct Session {
    pub(super) out: Output,
    pub(super) transcript: Transcript,
    pub(super) home: PathBuf,
    pub(super) cwd: PathBuf,
    pub(super) plan_file: PathBuf,
    pub(super) model: String,
    pub(super) mode: Mode,
    pub(super) may_bypass: bool,
    pub(super) rules: Rules,
    pub(super) queue: VecDeque<Prompt>,
    /// Uuids of prompts that are not run again.
    pub(super) seen: HashSet<String>,
    /// The permission requests that are open, oldest first.
    pub(super) open_requests: Vec<Value>,
    /// The requests of calls that were asked about while Claude was still speaking, by the call's id.
    pub(super) asked_early: HashMap<String, String>,
    pub(super) answers: HashMap<String, Value>,
    pub(super) tasks: Vec<(String, String)>,
    pub(super) background: Vec<Background>,
    pub(super) finished: VecDeque<Finished>,
    pub(super) sender: mpsc::Sender<Event>,
    pub(super) busy: bool,
    pub(super) input_ended: bool,
    /// The code to exit with when the turn is over.
    pub(super) leaving: Option<i32>,
    pub(super) last_turn_failed: bool,
    pub(super) totals: Totals,
    idle_exit: Option<Duration>,
    pub(super) prompted: bool,
    events: mpsc::Receiver<Event>,
}

/// Running totals over the process.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) results: u64,
}

/// A session that does not begin.
#[derive(Debug)]
pub(super) enum Refusal {
    /// `--resume` of an id that has no transcript.
    Unknown(String),
    /// `--session-id` of an id that has one.
    InUse(String),
    /// The process cannot work here.
    Environment(String),
}

impl Refusal {
    /// Says it as the real CLI does; returns the exit code.
    pub(super) fn tell(&self) -> i32 {
        match self {
            Self::Unknown(id) => {
                let message = format!("No conversation found with session ID: {id}");
                eprintln!("{message}");
                let mut result = recorded::result();
                super::io::merge(
                    &mut result,
                    json!({"subtype": "error_during_execution", "is_error": true, "num_turns": 0, "stop_reason": null,
                        "session_id": id, "errors": [message], "modelUsage": {}, "total_cost_usd": 0, "result_index": 0,
                        "uuid": uuid::Uuid::new_v4()}),
                );
                if let Some(fields) = result.as_object_mut() {
                    fields.retain(|name, _| {
                        !["result", "terminal_reason", "user_message_uuid", "user_message_uuids"]
                            .contains(&name.as_str())
                    });
                }
                println!("{result}");
            }
            Self::InUse(id) => eprintln!("Error: Session ID {id} is already in use."),
            Self::Environment(message) => eprintln!("Error: {message}"),
        }
        1
    }
}

impl Session {
    pub(super) fn open(arguments: &Arguments) -> Result<Self, Refusal> {
        let environment = |error: std::io::Error| Refusal::Environment(error.to_string());
        let home = PathBuf::from(
            std::env::var_os("HOME").ok_or_else(|| Refusal::Environment("HOME is not set".to_owned()))?,
        );
        let cwd = std::env::current_dir().map_err(environment)?;
        let mut seen = HashSet::new();
        let id = if let Some(id) = &arguments.resume {
            let path = Transcript::find(&home, id).ok_or_else(|| Refusal::Unknown(id.clone()))?;
            seen = answered_prompts(&std::fs::read_to_string(path).map_err(environment)?);
            id.clone()
        } else {
            let id = arguments.session_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
            if Transcript::find(&home, &id).is_some() {
                return Err(Refusal::InUse(id));
            }
            id
        };
        let (sender, events) = events().map_err(environment)?;
        Ok(Self {
            transcript: Transcript::new(&home, &cwd, &id),
            plan_file: home.join(format!(".claude/plans/scripted-{}.md", &id[..8.min(id.len())])),
            out: Output {
                session_id: id,
                partial_messages: arguments.partial_messages,
                replay: arguments.replay,
                state_events: is_set("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS"),
            },
            home,
            cwd,
            model: control::resolve_model(arguments.model.as_deref().unwrap_or("default")),
            mode: arguments.permission_mode,
            may_bypass: arguments.may_bypass,
            rules: Rules::default(),
            queue: VecDeque::new(),
            seen,
            open_requests: Vec::new(),
            asked_early: HashMap::new(),
            answers: HashMap::new(),
            tasks: Vec::new(),
            background: Vec::new(),
            finished: VecDeque::new(),
            sender,
            busy: false,
            input_ended: false,
            leaving: None,
            last_turn_failed: false,
            totals: Totals::default(),
            idle_exit: milliseconds("CLAUDE_CODE_EXIT_AFTER_STOP_DELAY"),
            prompted: false,
            events,
        })
    }

    /// Works until there is nothing left to do; returns the exit code.
    pub(super) async fn run(mut self) -> i32 {
        match self.work().await {
            Halt::Exit(code) => code,
            Halt::Interrupted => 0,
        }
    }

    async fn work(&mut self) -> Halt {
        loop {
            let worked = if !self.queue.is_empty() {
                let prompts = self.queue.drain(..).collect();
                Some(self.prompted_turn(prompts).await)
            } else if let Some(finished) = self.finished.pop_front() {
                Some(self.notice_turn(&finished).await)
            } else {
                None
            };
            if let Some(Err(halt)) = worked {
                return halt;
            }
            if let Some(code) = self.leaving {
                return Halt::Exit(code);
            }
            if worked.is_some() {
                if self.queue.is_empty() {
                    self.busy = false;
                    self.out.state("idle");
                }
                continue;
            }
            if self.input_ended && self.background.is_empty() {
                return Halt::Exit(i32::from(self.last_turn_failed));
            }
            if let Some(halt) = self.wait_idle().await {
                return halt;
            }
        }
    }

    /// Waits for the next event, or for the idle exit.
    async fn wait_idle(&mut self) -> Option<Halt> {
        let patience = self.idle_exit.filter(|_| self.prompted && self.background.is_empty());
        let event = match patience {
            Some(patience) => match tokio::time::timeout(patience, self.events.recv()).await {
                Ok(event) => event,
                Err(_) => return Some(Halt::Exit(0)),
            },
            None => self.events.recv().await,
        };
        match self.take(event) {
            Err(Halt::Exit(code)) => Some(Halt::Exit(code)),
            Err(Halt::Interrupted) | Ok(()) => self.leaving.map(Halt::Exit),
        }
    }

    /// Lets `work` go on while events are taken; an interrupt ends it.
    pub(super) async fn while_taking<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                event = self.events.recv() => self.take(event)?,
                done = &mut work => return Ok(done),
            }
        }
    }

    /// Waits for the next event and takes it.
    pub(super) async fn take_next(&mut self) -> Result<(), Halt> {
        let event = self.events.recv().await;
        self.take(event)
    }

    fn take(&mut self, event: Option<Event>) -> Result<(), Halt> {
        match event {
            Some(Event::Line(line)) => self.take_line(&line),
            Some(Event::EndOfInput) => {
                self.input_ended = true;
                Ok(())
            }
            Some(Event::Interrupt) => {
                self.leaving = Some(0);
                Err(Halt::Interrupted)
            }
            Some(Event::Terminate) | None => Err(Halt::Exit(143)),
            Some(Event::Finished(finished)) => {
                self.background_finished(finished);
                Ok(())
            }
        }
    }

    fn take_line(&mut self, line: &str) -> Result<(), Halt> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let Ok(frame) = serde_json::from_str::<Value>(line) else {
            eprintln!("Error parsing streaming input line ({} chars): SyntaxError", line.chars().count());
            return Err(Halt::Exit(1));
        };
        match frame["type"].as_str() {
            Some("user") => self.take_prompt(&frame),
            Some("control_request") => control::request(self, &frame),
            Some("control_response") => {
                control::response(self, &frame);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_prompt(&mut self, frame: &Value) -> Result<(), Halt> {
        let role = &frame["message"]["role"];
        if role != "user" {
            eprintln!("Error: Expected message role 'user', got '{}'", role.as_str().unwrap_or("undefined"));
            return Err(Halt::Exit(1));
        }
        let content = frame["message"]["content"].clone();
        let uuid = frame["uuid"].as_str().map(str::to_owned);
        let prompt = Prompt { uuid, text: text_of(&content), content };
        if prompt.uuid.as_ref().is_some_and(|uuid| !self.seen.insert(uuid.clone())) {
            self.replay(&prompt, false);
            if !self.busy {
                self.out.state("idle");
            }
            return Ok(());
        }
        if !self.busy {
            self.busy = true;
            self.out.state("running");
        }
        self.prompted = true;
        self.out.lifecycle(prompt.uuid.as_deref(), "queued");
        self.queue.push_back(prompt);
        Ok(())
    }

    /// Prints a prompt as an acknowledgement.
    pub(super) fn replay(&self, prompt: &Prompt, stamped: bool) {
        if !self.out.replay {
            return;
        }
        let mut frame = json!({"type": "user", "message": {"role": "user", "content": prompt.content},
            "parent_tool_use_id": null, "uuid": prompt.uuid, "isReplay": true});
        if stamped {
            frame["timestamp"] = json!(timestamp());
        }
        self.out.emit(frame);
    }
}

fn text_of(content: &Value) -> String {
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let texts = blocks.iter().filter_map(|block| block["text"].as_str());
    content.as_str().into_iter().chain(texts).collect::<Vec<_>>().join("\n")
}

pub(super) fn is_set(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| value == "1" || value == "true")
}

fn milliseconds(variable: &str) -> Option<Duration> {
    std::env::var(variable).ok()?.parse().ok().map(Duration::from_millis)
}
