//! The whole state in small, and the reducer by which both sides keep it up to date.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::event::{
    ConversationRecalled, Envelope, Event, RequestOpened, SettingsChanged, TaskChanged, TaskStatus, Todo,
    TodoStatus, ToolStarted, Unrecognised,
};
use crate::ids::{ConversationKey, Millis, PromptId, Seq, SessionId, ToolUseId, TurnId};

/// How many conversations a snapshot holds. Those at rest that were active least recently make room for others; only
/// if so many are at work at once, there are more.
pub const MAX_CONVERSATIONS: usize = 128;
/// The longest text kept of a queued prompt, in characters.
pub const MAX_QUEUED_TEXT: usize = 200;

/// The most tools of a turn, and the most tasks of a conversation, that are known to run at a time: a snapshot must
/// fit a frame whatever Claude prints.
const MAX_RUNNING: usize = 256;

/// The conversations after the event `seq`: all that are at work, and of the others those active most recently.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last event taken in.
    pub seq: Seq,
    /// The conversations by key.
    pub conversations: BTreeMap<ConversationKey, Conversation>,
}

/// A conversation's state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Where Claude works.
    pub cwd: PathBuf,
    /// Claude's session, once there is one.
    pub session: Option<SessionId>,
    /// The settings under which Claude works.
    pub settings: SettingsChanged,
    /// The Claude process, while there is one.
    pub claude_pid: Option<u32>,
    /// The running turn.
    pub turn: Option<Turn>,
    /// Prompts that are accepted and not begun, in order.
    pub queue: Vec<QueuedPrompt>,
    /// What Claude asks and nobody has answered, in order, with the moment it was asked.
    pub requests: Vec<(Millis, RequestOpened)>,
    /// The todo list.
    pub todos: Vec<Todo>,
    /// Subagents and background tasks that run.
    pub tasks: Vec<TaskChanged>,
    /// When something last happened, on the wall clock.
    pub active_at: Millis,
    /// How many lines of Claude's were not understood.
    pub unrecognised: u64,
}

/// A running turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Which.
    pub turn: TurnId,
    /// The prompts taken up in it and not settled.
    pub prompts: Vec<PromptId>,
    /// When it began, on the wall clock.
    pub started_at: Millis,
    /// How many tools were used.
    pub tools: u32,
    /// The tools that run now, with the moment they began; the input is left out.
    pub running: Vec<(Millis, ToolStarted)>,
}

/// A prompt that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedPrompt {
    /// Which.
    pub prompt: PromptId,
    /// How it begins, at most [`MAX_QUEUED_TEXT`] characters.
    pub text: String,
}

/// What a conversation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationState {
    /// A Claude process waits for a prompt.
    Idle,
    /// Claude works.
    Running,
    /// Claude waits for an answer.
    Waiting,
    /// There is no Claude process; the next prompt starts one.
    Closed,
}

impl std::fmt::Display for ConversationState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Closed => "closed",
        })
    }
}

impl Conversation {
    /// What it is doing.
    pub fn state(&self) -> ConversationState {
        if !self.requests.is_empty() {
            ConversationState::Waiting
        } else if self.turn.is_some() {
            ConversationState::Running
        } else if self.claude_pid.is_some() {
            ConversationState::Idle
        } else {
            ConversationState::Closed
        }
    }

    /// Whether nothing goes on: no process, no turn, no prompt that waits, nothing that is asked.
    pub fn is_at_rest(&self) -> bool {
        self.state() == ConversationState::Closed && self.queue.is_empty()
    }
}

impl Snapshot {
    /// The conversation active most recently. It is there always, if there is any.
    pub fn latest(&self) -> Option<(&ConversationKey, &Conversation)> {
        self.conversations.iter().max_by_key(|(_, conversation)| conversation.active_at)
    }

    /// Takes in the event at `seq`. One that is not beyond the last changes nothing.
    pub fn apply(&mut self, seq: Seq, envelope: &Envelope) {
        self.take_in(seq, &envelope.conversation, envelope.at, &envelope.event);
    }

    /// The same for an event that is in no envelope.
    pub fn take_in(&mut self, seq: Seq, key: &ConversationKey, at: Millis, event: &Event) {
        if seq <= self.seq {
            return;
        }
        self.seq = seq;
        let known = self.conversations.contains_key(key);
        if !known {
            self.conversations.insert(key.clone(), Conversation::default());
        }
        let Some(conversation) = self.conversations.get_mut(key) else { return };
        conversation.active_at = at;
        conversation.apply(at, event);
        if !known {
            self.make_room_for(key);
        }
    }

    /// Lets go of conversations at rest, until there are no more than may be. It depends on nothing but the state,
    /// so that all who follow let go of the same; and it happens only when a conversation comes in, so that whoever
    /// writes the events knows of each when its own next event must describe it anew.
    fn make_room_for(&mut self, newcomer: &ConversationKey) {
        while self.conversations.len() > MAX_CONVERSATIONS {
            let at_rest = self.conversations.iter().filter(|(key, at)| *key != newcomer && at.is_at_rest());
            let Some(oldest) = at_rest.min_by_key(|(_, at)| at.active_at).map(|(key, _)| key.clone()) else {
                return;
            };
            self.conversations.remove(&oldest);
        }
    }

    /// Advances over an event of a kind that this version does not know.
    pub fn skip(&mut self, seq: Seq) {
        self.seq = self.seq.max(seq);
    }
}

impl Conversation {
    fn apply(&mut self, at: Millis, event: &Event) {
        match event {
            Event::ConversationOpened(opened) => self.cwd.clone_from(&opened.cwd),
            Event::ConversationRecalled(recalled) => self.recall(recalled),
            Event::SessionChanged(changed) => {
                self.session.clone_from(&changed.session);
                self.cwd.clone_from(&changed.cwd);
                self.todos.clear();
            }
            Event::SettingsChanged(settings) => self.settings = settings.clone(),
            Event::ProcessStarted(started) => self.claude_pid = Some(started.pid),
            Event::ProcessEnded(_) => {
                self.claude_pid = None;
                self.tasks.clear();
            }
            Event::PromptAccepted(accepted) => self.queue.push(QueuedPrompt {
                prompt: accepted.prompt,
                text: accepted.text.chars().take(MAX_QUEUED_TEXT).collect(),
            }),
            Event::PromptStarted(started) => {
                self.queue.retain(|queued| queued.prompt != started.prompt);
                if let Some(turn) = &mut self.turn {
                    turn.prompts.push(started.prompt);
                }
            }
            Event::PromptEnded(ended) => {
                self.queue.retain(|queued| queued.prompt != ended.prompt);
                if let Some(turn) = &mut self.turn {
                    turn.prompts.retain(|prompt| *prompt != ended.prompt);
                }
            }
            Event::TurnStarted(started) => {
                self.turn = Some(Turn {
                    turn: started.turn,
                    prompts: Vec::new(),
                    started_at: at,
                    tools: 0,
                    running: Vec::new(),
                });
            }
            Event::TurnEnded(_) => {
                self.turn = None;
                if self.todos.iter().all(|todo| todo.status == TodoStatus::Completed) {
                    self.todos.clear();
                }
            }
            Event::ToolStarted(started) => self.tool_started(at, started),
            Event::ToolEnded(ended) => self.tool_ended(&ended.tool_use),
            Event::TodosChanged(changed) => self.todos.clone_from(&changed.todos),
            Event::TaskChanged(changed) => {
                self.tasks.retain(|task| task.task != changed.task);
                if changed.status == TaskStatus::Running {
                    make_room(&mut self.tasks);
                    self.tasks.push(changed.clone());
                }
            }
            Event::RequestOpened(opened) => self.requests.push((at, opened.clone())),
            Event::RequestSettled(settled) => {
                self.requests.retain(|(_, opened)| opened.request != settled.request);
            }
            Event::Unrecognised(Unrecognised { .. }) => {
                self.unrecognised = self.unrecognised.saturating_add(1);
            }
            Event::UnrecognisedLines(many) => {
                self.unrecognised = self.unrecognised.saturating_add(many.lines);
            }
            Event::TextBlock(_)
            | Event::ThinkingBlock(_)
            | Event::ApiRetried(_)
            | Event::Compacted(_)
            | Event::Notice(_)
            | Event::Notification(_)
            | Event::FileOffered(_)
            | Event::ToolPicture(_) => {}
        }
    }

    fn recall(&mut self, recalled: &ConversationRecalled) {
        self.cwd.clone_from(&recalled.cwd);
        self.session.clone_from(&recalled.session);
        self.settings = recalled.settings.clone();
        self.todos.clone_from(&recalled.todos);
        self.unrecognised = recalled.unrecognised;
    }

    fn tool_started(&mut self, at: Millis, started: &ToolStarted) {
        if let Some(turn) = &mut self.turn {
            turn.tools = turn.tools.saturating_add(1);
            make_room(&mut turn.running);
            turn.running.push((at, ToolStarted { input: String::new(), ..started.clone() }));
        }
    }

    fn tool_ended(&mut self, tool_use: &ToolUseId) {
        if let Some(turn) = &mut self.turn {
            turn.running.retain(|(_, running)| running.tool_use != *tool_use);
        }
    }
}

/// Forgets the oldest where there are [`MAX_RUNNING`].
fn make_room<T>(running: &mut Vec<T>) {
    if running.len() >= MAX_RUNNING {
        running.remove(0);
    }
}
