//! The rows: what a conversation's state machine is made of, and all that it needs to go on after a crash.
//!
//! The machine makes them, the journal keeps them, and neither knows the other. They are stored as JSON, each beside
//! the few columns that are searched by; a field that a newer version adds has a default. Nothing here does anything.

use std::collections::BTreeMap;
use std::path::PathBuf;

use carcin_proto::event::{RequestOpened, SettingsChanged, Settlement, TaskChanged, Usage};
use carcin_proto::request::Placement;
use carcin_proto::{
    BlockId, ConversationKey, Event, IdempotencyKey, Millis, PromptId, RequestId, Seq, SessionId, ToolUseId,
    Transient, TurnId,
};
use serde::{Deserialize, Serialize};

use crate::process_stat::ProcessId;

/// One thing that happened, in its order among durable and transient ones.
#[derive(Debug, Clone)]
pub enum Item {
    /// To be stored and published.
    Durable(Event),
    /// To be published only.
    Transient(Transient),
}

/// Everything that a conversation's actor starts from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its key.
    pub key: ConversationKey,
    /// The conversation.
    pub conversation: ConversationRow,
    /// Its prompts that are not settled, in order.
    pub prompts: Vec<PromptRow>,
    /// Its lines to Claude without a receipt, in order.
    pub inputs: Vec<InputRow>,
    /// Its requests that are open, or answered without a receipt, in order.
    pub requests: Vec<RequestRow>,
}

/// A row to be written. Rows are written whole: the last one wins.
#[derive(Debug, Clone)]
pub enum Row {
    /// The conversation itself.
    Conversation(Box<ConversationRow>),
    /// A prompt.
    Prompt(Box<PromptRow>),
    /// A line to Claude, to be journalled before it is written.
    Input(InputRow),
    /// A line to Claude that has its receipt, or is not to be sent any more.
    InputDone(String),
    /// A request of Claude's.
    Request(Box<RequestRow>),
}

/// A conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConversationRow {
    /// Where Claude works.
    pub cwd: PathBuf,
    /// Claude's session, once there is one.
    pub session: Option<SessionId>,
    /// Whether Claude has ever worked in that session, so that there must be a transcript.
    pub session_used: bool,
    /// The processes that have the session open elsewhere and that the user took it over from.
    pub taken_over: Vec<ProcessId>,
    /// What was asked for; what Claude really has is in the events.
    pub wanted: SettingsChanged,
    /// What of it Claude was started with or has taken: what holds again where it refuses a change.
    pub agreed: SettingsChanged,
    /// What Claude said last.
    pub actual: SettingsChanged,
    /// The number of the last turn.
    pub last_turn: TurnId,
    /// The running turn.
    pub turn: Option<TurnRow>,
    /// Whether Claude says that it is at work; it may be between two turns.
    pub active: bool,
    /// Why the last turn failed, until the next one begins.
    pub failed: Option<String>,
    /// Tokens in the context, and the model that read them, as told last.
    pub context: (u64, String),
    /// The Claude process, alive or not yet known to be dead.
    pub child: Option<ChildRow>,
    /// The todo list as Claude's tools have made it: the tracker's own state, as JSON.
    pub todos: String,
    /// Subagents and background tasks that run.
    pub tasks: Vec<TaskChanged>,
    /// How many lines of Claude's were not understood.
    pub unrecognised: u64,
    /// The next position of a prompt, an input or a request.
    pub next_position: u64,
    /// What the last turn that told has used.
    pub usage: Option<Usage>,
    /// When something last happened, on the wall clock.
    pub active_at: Millis,
}

/// A running turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnRow {
    /// Its number.
    pub turn: TurnId,
    /// When it began, on the wall clock.
    pub started_at: Millis,
    /// The number of the next block.
    pub next_block: u32,
    /// Blocks that Claude has begun and not finished, in order.
    pub open: Vec<OpenBlock>,
    /// The tools that run.
    pub tools: BTreeMap<ToolUseId, ToolRow>,
    /// Who stopped it, once somebody has.
    pub stopped_by: Option<String>,
    /// Claude calls it done and has said nothing: either its answer is still to come, or there will be none.
    pub unanswered: bool,
    /// Why it can only fail, where it is ended for that.
    pub hopeless: Option<String>,
}

/// A block that Claude is writing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenBlock {
    /// Its place in the model's message.
    pub index: u32,
    /// Its number in the turn.
    pub block: BlockId,
    /// How many characters of it are known.
    pub characters: u64,
}

/// A running tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolRow {
    /// When it began, on the wall clock.
    pub started_at: Millis,
    /// Its name.
    pub name: String,
}

/// A Claude process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChildRow {
    /// The name of its directory.
    pub generation: String,
    /// Up to where its stdout is taken care of, in bytes.
    pub offset: u64,
    /// Its process id, once it has its lease.
    pub pid: Option<u32>,
    /// Whether it was ever given a prompt.
    pub prompted: bool,
    /// Its session, which the conversation may have left already.
    #[serde(default)]
    pub session: Option<SessionId>,
    /// Whether it was told to end: it is not what the conversation goes on with.
    #[serde(default)]
    pub ending: bool,
    /// Why it was ended, where nobody asked for that: it hung.
    #[serde(default)]
    pub given_up: Option<String>,
    /// A hash of the environment that it was started with; empty: not known.
    #[serde(default)]
    pub environment: String,
    /// The API refused its login.
    #[serde(default)]
    pub login_refused: bool,
}

/// A prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptRow {
    /// Its id, and Claude's uuid for it.
    pub id: PromptId,
    /// The sender's key.
    pub key: IdempotencyKey,
    /// What Claude is to read.
    pub text: String,
    /// Pictures that Claude is to see with it.
    #[serde(default)]
    pub images: Vec<PathBuf>,
    /// In whose name.
    pub by: String,
    /// What becomes of it while Claude works.
    pub placement: Placement,
    /// Its place among the conversation's rows.
    pub position: u64,
    /// How many were before it when it came.
    pub ahead: u32,
    /// The event that made it known; 0 until that is committed, and filled in by the journal.
    pub seq: Seq,
    /// How far it is.
    pub state: PromptState,
    /// How many processes died on it before it began.
    pub attempts: u32,
    /// Somebody takes it back, and Claude has not said yet whether it had begun it. It is not given to the next one.
    #[serde(default)]
    pub withdrawing: bool,
    /// It is settled, and no Claude ever began it.
    #[serde(default)]
    pub unbegun: bool,
}

/// How far a prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptState {
    /// Durable here, unknown to Claude.
    Accepted,
    /// Its line is journalled and may have been written.
    Given,
    /// Claude has it in its queue.
    Queued,
    /// Claude has begun.
    Started,
    /// Completed, cancelled, interrupted or failed.
    Settled,
}

/// A line to Claude.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRow {
    /// What its receipt names: a prompt's uuid, a control request's id, or an answered request's id.
    pub id: String,
    /// Its place among the conversation's rows; lines are sent in this order.
    pub position: u64,
    /// What it is.
    pub kind: InputKind,
    /// The line, without its newline and without the pictures.
    pub line: String,
    /// Pictures that are put into the line whenever it is written, as far as they are there and fit: they stay out of
    /// the journal.
    #[serde(default)]
    pub images: Vec<PathBuf>,
}

/// What a line to Claude is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// A prompt.
    Prompt,
    /// An answer to a request of Claude's.
    Answer,
    /// An interrupt: sent again in its old place, so that it ends nothing that was sent after it.
    Interrupt,
    /// Any other control request.
    Control,
    /// A setting that a person chose.
    Setting,
}

/// A request of Claude's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRow {
    /// Its id.
    pub id: RequestId,
    /// Whose.
    pub conversation: ConversationKey,
    /// Its place among the conversation's rows.
    pub position: u64,
    /// When it was asked, on the wall clock.
    pub at: Millis,
    /// What is asked.
    pub opened: RequestOpened,
    /// The tool's whole raw input, which some answers must give back.
    pub tool_input: String,
    /// How far it is.
    pub state: RequestState,
}

/// How far a request is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Nobody has answered.
    Open,
    /// Answered or withdrawn: how, and by whom.
    Settled(Settlement, String),
}
