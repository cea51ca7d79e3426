//! What happens in a conversation.
//!
//! *Durable* events are in the journal, have a [`Seq`](crate::Seq) and are replayed from any cursor.
//! *Transient* ones are never stored, and may be dropped for a reader that lags.

use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use crate::ids::{BlockId, ConversationKey, Millis, PromptId, RequestId, SessionId, ToolUseId, TurnId};

/// The longest text of one text or thinking block, in bytes. What is longer arrives as several events.
pub const MAX_TEXT: usize = 1024 * 1024;
/// The longest excerpt of a tool's output, in bytes; the whole is in the transcript.
pub const MAX_EXCERPT: usize = 16 * 1024;
/// The longest piece of Claude's raw JSON carried in an event, in bytes.
pub const MAX_RAW: usize = 64 * 1024;

/// A durable event with its conversation and its moment. Serialises as one flat object, for `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Envelope {
    /// The conversation in which it happened.
    pub conversation: ConversationKey,
    /// The wall clock when the daemon recorded it.
    pub at: Millis,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// A transient event with its conversation. Serialises as one flat object, for `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransientEnvelope {
    /// The conversation in which it happened.
    pub conversation: ConversationKey,
    /// What happened.
    #[serde(flatten)]
    pub event: Transient,
}

/// Declares an enum of event types with the frame kind of each, and the codec by kind.
macro_rules! events {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $kind:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum $name {
            $($(#[$vdoc])* $variant($variant),)+
        }

        impl $name {
            /// Every kind of this enum, in order, with its name.
            pub const KINDS: &'static [(u16, &'static str)] = &[$(($kind, stringify!($variant))),+];

            /// The frame kind of this event. Never reused, never changed.
            pub fn kind(&self) -> u16 {
                match self { $(Self::$variant(_) => $kind,)+ }
            }

            pub(crate) fn encode_body(&self, out: &mut Vec<u8>) -> Result<(), crate::CodecError> {
                match self { $(Self::$variant(body) => crate::codec::encode_into(body, out),)+ }
            }

            /// An event of `kind` from any deserialiser.
            #[cfg(test)]
            pub(crate) fn deserialize_body<'de, D: serde::Deserializer<'de>>(
                kind: u16,
                deserializer: D,
            ) -> Result<Option<Self>, D::Error> {
                match kind {
                    $($kind => $variant::deserialize(deserializer).map(Self::$variant).map(Some),)+
                    _ => Ok(None),
                }
            }

            /// `None`: a kind that this version does not know.
            pub(crate) fn decode_body(kind: u16, bytes: &[u8]) -> Result<Option<Self>, crate::CodecError> {
                match kind {
                    $($kind => crate::codec::decode(bytes).map(Self::$variant).map(Some),)+
                    _ => Ok(None),
                }
            }
        }

        $(impl From<$variant> for $name {
            fn from(body: $variant) -> Self {
                Self::$variant(body)
            }
        })+
    };
}

events! {
    /// A durable event.
    Event {
        /// The conversation exists.
        ConversationOpened = 0x0100,
        /// Claude's session, its folder or its settings are others now.
        SessionChanged = 0x0101,
        /// The settings under which Claude works are others now.
        SettingsChanged = 0x0102,
        /// A Claude process serves the conversation.
        ProcessStarted = 0x0103,
        /// The Claude process is gone.
        ProcessEnded = 0x0104,
        /// A conversation of which the snapshot had let go is active again.
        ConversationRecalled = 0x0105,
        /// A prompt is on disk and will be given to Claude.
        PromptAccepted = 0x0110,
        /// Claude has begun to work on a prompt.
        PromptStarted = 0x0111,
        /// A prompt is settled.
        PromptEnded = 0x0112,
        /// Claude is at work.
        TurnStarted = 0x0120,
        /// Claude has stopped working.
        TurnEnded = 0x0121,
        /// A finished block of text.
        TextBlock = 0x0130,
        /// A finished block of thinking.
        ThinkingBlock = 0x0131,
        /// Claude uses a tool.
        ToolStarted = 0x0132,
        /// A tool has come back.
        ToolEnded = 0x0133,
        /// The todo list as a whole.
        TodosChanged = 0x0134,
        /// A subagent or background task began, moved on or ended.
        TaskChanged = 0x0135,
        /// Claude asks and waits.
        RequestOpened = 0x0140,
        /// A request is answered or withdrawn.
        RequestSettled = 0x0141,
        /// The API is being asked again.
        ApiRetried = 0x0150,
        /// The context is being, or has been, compacted.
        Compacted = 0x0151,
        /// Something the user should know, in one line.
        Notice = 0x0152,
        /// `carcin-ctl notify`, by a hook or a tool.
        Notification = 0x0153,
        /// `carcin-ctl send-file`, by a tool or a person.
        FileOffered = 0x0154,
        /// A line of Claude's that is not understood, or was lost.
        Unrecognised = 0x0155,
        /// Many such lines, together.
        UnrecognisedLines = 0x0156,
    }
}

events! {
    /// A transient event.
    Transient {
        /// More of a text block.
        TextDelta = 0x0200,
        /// More of a thinking block.
        ThinkingDelta = 0x0201,
        /// A tool still runs.
        ToolProgress = 0x0202,
    }
}

/// See [`Event::ConversationOpened`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConversationOpened {
    /// Where Claude works.
    pub cwd: PathBuf,
}

/// See [`Event::SessionChanged`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionChanged {
    /// The session from now on; `None`: the next prompt begins a new one.
    pub session: Option<SessionId>,
    /// Where Claude works.
    pub cwd: PathBuf,
    /// Why.
    pub cause: SessionCause,
}

/// Why a session changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionCause {
    /// Asked for a new one.
    New,
    /// Asked to go on with an earlier one.
    Resumed,
    /// The folder was changed.
    Moved,
    /// Claude changed it by itself (`/clear`, a fork).
    Followed,
    /// The transcript of the old one does not exist.
    Lost,
}

/// See [`Event::SettingsChanged`]. The whole state, not a difference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SettingsChanged {
    /// The model; `None`: Claude's default, not yet told.
    pub model: Option<String>,
    /// The permission mode (`default`, `acceptEdits`, `plan`, …); `None`: Claude's default, not yet told.
    pub permission_mode: Option<String>,
    /// The effort; `None`: the model's default.
    pub effort: Option<String>,
}

/// See [`Event::ProcessStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessStarted {
    /// Its process id.
    pub pid: u32,
    /// It was started by an earlier run of the daemon, which it outlived.
    pub adopted: bool,
}

/// See [`Event::ProcessEnded`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessEnded {
    /// How it ended.
    pub exit: Exit,
    /// One sentence for the user; `None` where the end is nothing to speak of (idle close, asked for).
    pub message: Option<String>,
    /// The end of its stderr, at most 4 KiB.
    pub stderr_tail: String,
}

/// See [`Event::ConversationRecalled`]. All of it stands in the place of what was known before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConversationRecalled {
    /// Where Claude works.
    pub cwd: PathBuf,
    /// Claude's session, if there is one.
    pub session: Option<SessionId>,
    /// The settings under which Claude works.
    pub settings: SettingsChanged,
    /// The todo list.
    pub todos: Vec<Todo>,
    /// How many lines of Claude's were not understood so far.
    pub unrecognised: u64,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody saw how: it was not our child, or the machine was restarted.
    Unknown,
    /// It never started; the sentence says why.
    NotStarted(String),
}

/// See [`Event::PromptAccepted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptAccepted {
    /// The prompt.
    pub prompt: PromptId,
    /// The sender's key.
    pub key: crate::ids::IdempotencyKey,
    /// Its text, cut at [`MAX_EXCERPT`].
    pub text: String,
    /// The name of the client that sent it.
    pub by: String,
    /// How many prompts are before it: 0 when it is next, or steers the running turn.
    pub ahead: u32,
}

/// See [`Event::PromptStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptStarted {
    /// The prompt.
    pub prompt: PromptId,
    /// The turn that takes it up.
    pub turn: TurnId,
}

/// See [`Event::PromptEnded`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptEnded {
    /// The prompt.
    pub prompt: PromptId,
    /// How it ended.
    pub outcome: PromptOutcome,
}

/// How a prompt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptOutcome {
    /// Claude is done with it.
    Completed,
    /// Stopped before or while Claude worked on it.
    Cancelled,
    /// Claude died after starting it; the sentence says how. Running it again takes a new prompt.
    Interrupted(String),
    /// It never could be given to Claude; the sentence says why.
    Failed(String),
}

/// See [`Event::TurnStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnStarted {
    /// The turn.
    pub turn: TurnId,
    /// The prompt that began it; `None`: it began by itself, as after a background task.
    pub prompt: Option<PromptId>,
}

/// See [`Event::TurnEnded`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnEnded {
    /// The turn.
    pub turn: TurnId,
    /// How it ended.
    pub outcome: TurnOutcome,
    /// How long it took.
    pub duration: Millis,
    /// What it used, where Claude tells.
    pub usage: Usage,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnOutcome {
    /// Claude finished.
    Completed,
    /// Somebody stopped it; who, as told by the client that did.
    Stopped(String),
    /// Claude reports a failure, in a sentence.
    Failed(String),
    /// The process died; how, in a sentence.
    Interrupted(String),
}

/// What a turn used. Zero where Claude did not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens in, this turn, cached ones included.
    pub input_tokens: u64,
    /// Tokens out, this turn.
    pub output_tokens: u64,
    /// Millionths of a US dollar, running total of the process.
    pub cost_micro_usd: u64,
    /// Requests to the model in this turn.
    pub model_requests: u32,
    /// Tokens in the context at the end of the turn.
    pub context_tokens: u64,
    /// How many tokens the context holds.
    pub context_window: u64,
}

/// See [`Event::TextBlock`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextBlock {
    /// The turn.
    pub turn: TurnId,
    /// The block; the deltas of the same block are superseded.
    pub block: BlockId,
    /// Markdown, at most [`MAX_TEXT`] bytes.
    pub text: String,
    /// The tool use of the subagent that wrote it; `None`: Claude itself.
    pub parent: Option<ToolUseId>,
}

/// See [`Event::ThinkingBlock`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThinkingBlock {
    /// The turn.
    pub turn: TurnId,
    /// The block.
    pub block: BlockId,
    /// At most [`MAX_EXCERPT`] bytes; may be empty where thinking is redacted.
    pub text: String,
    /// The tool use of the subagent that thought it; `None`: Claude itself.
    pub parent: Option<ToolUseId>,
}

/// See [`Event::ToolStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolStarted {
    /// The turn.
    pub turn: TurnId,
    /// The block.
    pub block: BlockId,
    /// This use.
    pub tool_use: ToolUseId,
    /// The tool's name.
    pub name: String,
    /// The telling argument (path, command, pattern, query), at most 400 characters, one line; may be empty.
    pub summary: String,
    /// Claude's raw JSON input; empty when over [`MAX_RAW`], then it is in the transcript only.
    pub input: String,
    /// The tool use of the subagent that uses it; `None`: Claude itself.
    pub parent: Option<ToolUseId>,
}

/// See [`Event::ToolEnded`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolEnded {
    /// The turn.
    pub turn: TurnId,
    /// The use.
    pub tool_use: ToolUseId,
    /// Whether Claude was told of an error, a denial included.
    pub is_error: bool,
    /// The output, cut at [`MAX_EXCERPT`].
    pub output: String,
    /// How many bytes the cut left out.
    pub omitted: u64,
    /// How long it took, by the daemon's clock.
    pub duration: Millis,
    /// The tool use of the subagent that used it; `None`: Claude itself.
    pub parent: Option<ToolUseId>,
}

/// See [`Event::TodosChanged`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TodosChanged {
    /// All of them, in order.
    pub todos: Vec<Todo>,
}

/// One item of the todo list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// What Claude calls it where it does (`TaskCreate`), else its place in the list.
    pub id: String,
    /// What is to be done.
    pub text: String,
    /// How far it is.
    pub status: TodoStatus,
}

/// How far a todo item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TodoStatus {
    /// Open.
    Pending,
    /// Running.
    InProgress,
    /// Done.
    Completed,
}

/// See [`Event::TaskChanged`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskChanged {
    /// Claude's id of the task.
    pub task: String,
    /// The tool use that began it, where told.
    pub tool_use: Option<ToolUseId>,
    /// What it does.
    pub description: String,
    /// Where it stands.
    pub status: TaskStatus,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// It runs.
    Running,
    /// It is done.
    Completed,
    /// It failed.
    Failed,
    /// It was stopped.
    Stopped,
}

/// See [`Event::RequestOpened`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestOpened {
    /// The request; an answer names it.
    pub request: RequestId,
    /// The turn that waits.
    pub turn: TurnId,
    /// What is asked.
    pub ask: Ask,
}

/// What Claude asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// May this tool run?
    Permission(PermissionAsk),
    /// `AskUserQuestion`: one or more questions with options.
    Questions(Vec<Question>),
    /// `ExitPlanMode`: is this plan good?
    Plan(PlanAsk),
    /// An MCP server asks for input (`elicitation`): its raw request.
    Elicitation(ElicitationAsk),
}

/// A permission that Claude asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PermissionAsk {
    /// The tool's name as people know it.
    pub tool: String,
    /// The use that waits, where told.
    pub tool_use: Option<ToolUseId>,
    /// The telling argument, as in [`ToolStarted::summary`].
    pub summary: String,
    /// Claude's raw JSON input; empty when over [`MAX_RAW`].
    pub input: String,
    /// What the tool says it is about to do; may be empty.
    pub description: String,
    /// Why it is asked; may be empty.
    pub reason: String,
    /// The path that is out of bounds, where one is.
    pub blocked_path: Option<String>,
    /// The raw JSON list of `PermissionUpdate`s that "always allow" sends back; empty: not offered.
    pub suggestions: String,
}

/// One question of `AskUserQuestion`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question's full text: the key of its answer.
    pub question: String,
    /// A word or two.
    pub header: String,
    /// The choices.
    pub options: Vec<QuestionOption>,
    /// More than one may be chosen.
    pub multi_select: bool,
}

/// A choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionOption {
    /// What it is called; what an answer says.
    pub label: String,
    /// What it means.
    pub description: String,
}

/// A plan to approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanAsk {
    /// Markdown; empty where Claude does not tell it.
    pub plan: String,
    /// The file it is in, where told.
    pub path: Option<PathBuf>,
}

/// An MCP server's question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElicitationAsk {
    /// The server.
    pub server: String,
    /// What it says.
    pub message: String,
    /// The link to open, for an elicitation by link.
    pub url: Option<String>,
    /// The raw JSON schema of the form; empty for a link.
    pub schema: String,
}

/// See [`Event::RequestSettled`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestSettled {
    /// The request.
    pub request: RequestId,
    /// How it was settled.
    pub settlement: Settlement,
    /// Who settled it: the answering client's words for its user, or `claude`.
    pub by: String,
}

/// How a request was settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// Allowed this once.
    Allowed,
    /// Allowed, and not to be asked again.
    AllowedAlways,
    /// Denied, with the reason that Claude is told.
    Denied(String),
    /// The questions' answers: (question, answer).
    Answered(Vec<(String, String)>),
    /// Nobody waits for it any longer; why.
    Withdrawn(String),
    /// Neither yes nor no: somebody put it away.
    Cancelled,
}

/// See [`Event::ApiRetried`]. Claude asks up to ten times with growing delays, even for a 401.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiRetried {
    /// Which attempt failed, from 1.
    pub attempt: u32,
    /// How many there will be.
    pub max_attempts: u32,
    /// How long until the next.
    pub delay: Millis,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// One sentence for the user.
    pub message: String,
}

/// See [`Event::Compacted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compacted {
    /// Begun, done or failed.
    pub phase: CompactionPhase,
    /// Tokens before, where told.
    pub before: Option<u64>,
    /// Tokens after, where told.
    pub after: Option<u64>,
}

/// A compaction's phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactionPhase {
    /// It runs.
    Started,
    /// It is done.
    Finished,
    /// It failed; why.
    Failed(String),
}

/// See [`Event::Notice`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// One sentence, for the user.
    pub text: String,
    /// What to do about it, where there is something.
    pub hint: Option<String>,
}

/// How much something matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Something may be wrong.
    Warning,
    /// Something failed.
    Error,
}

/// See [`Event::Notification`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The text, at most [`MAX_EXCERPT`] bytes.
    pub text: String,
    /// What it is about, such as `compact`; may be empty.
    pub topic: String,
}

/// See [`Event::FileOffered`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOffered {
    /// Absolute; the reader opens it itself.
    pub path: PathBuf,
    /// May be empty.
    pub caption: String,
}

/// See [`Event::Unrecognised`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrecognised {
    /// What is the matter with it.
    pub problem: LineProblem,
    /// The line's size in bytes.
    pub size: u64,
    /// Its beginning, at most [`MAX_RAW`] bytes; as text in JSON.
    #[serde(serialize_with = "bytes_or_text")]
    pub raw: Vec<u8>,
}

/// See [`Event::UnrecognisedLines`]: what a flood of such lines becomes after the first ones of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnrecognisedLines {
    /// How many lines.
    pub lines: u64,
    /// Their size in bytes, together.
    pub size: u64,
    /// The first of them with their beginnings, at most [`MAX_RAW`] bytes together; none once a turn has had more of
    /// them than are kept.
    pub kept: Vec<Unrecognised>,
}

/// Bytes on the wire, text for people: nobody reads an array of numbers.
fn bytes_or_text<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&String::from_utf8_lossy(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}

/// Why a line was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineProblem {
    /// It is longer than the cap.
    TooLong,
    /// It is not JSON.
    NotJson,
    /// It is JSON, but not an object with a `type`.
    NotAFrame,
    /// It is a frame of this type, which this version does not know.
    UnknownType(String),
    /// It is a frame of this type, but not of the shape that it should have.
    BadShape(String),
    /// It ended without a newline: its writer died.
    Fragment,
    /// Carcin failed on it, again and again: a defect of Carcin's.
    Defect,
}

/// See [`Transient::TextDelta`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextDelta {
    /// The turn.
    pub turn: TurnId,
    /// The block.
    pub block: BlockId,
    /// How many characters (Unicode scalar values) of the block came before. On a mismatch, wait for the
    /// durable block.
    pub offset: u64,
    /// The text to append.
    pub text: String,
}

/// See [`Transient::ThinkingDelta`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThinkingDelta {
    /// The turn.
    pub turn: TurnId,
    /// The block.
    pub block: BlockId,
    /// As in [`TextDelta::offset`].
    pub offset: u64,
    /// The text to append.
    pub text: String,
}

/// See [`Transient::ToolProgress`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolProgress {
    /// The turn.
    pub turn: TurnId,
    /// The use.
    pub tool_use: ToolUseId,
    /// How long it has run.
    pub elapsed: Millis,
}
