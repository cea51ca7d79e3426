//! What a client may ask, and what it is answered.
//!
//! A request is answered after its effect is durable, never when it is merely queued.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::event::{RequestOpened, Settlement};
use crate::ids::{
    ConversationKey, Cursor, IdempotencyKey, JournalId, Millis, PromptId, RequestId, Seq, SessionId,
};
use crate::inquiry::{About, Changes, FolderList, Folders, Inquire};
use crate::snapshot::{ConversationState, Snapshot};

/// The first frame of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Which program it is (`carcin-tg`, `carcin-ctl`, …).
    pub client: String,
    /// Its version.
    pub version: String,
}

/// The daemon's answer to a hello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The daemon's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// The journal that sequence numbers belong to.
    pub journal: JournalId,
    /// The last durable event.
    pub head: Seq,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// How is the daemon? → [`Reply::Status`]
    Status,
    /// A prompt for Claude. The same key again changes nothing and is answered the same. → [`Reply::Submitted`]
    Submit(Submit),
    /// An answer to what Claude asks; the first one wins. → [`Reply::Answered`]
    Answer(Answer),
    /// End the running turn and cancel what is queued; Claude stays warm. → [`Reply::Stopped`]
    Stop(Stop),
    /// A new session with the next prompt, maybe in another folder. → [`Reply::Done`]
    New(New),
    /// Go on with an earlier session. → [`Reply::Resumed`]
    Resume(Resume),
    /// The sessions on this machine, latest first. → [`Reply::Sessions`]
    Sessions(Sessions),
    /// The last texts of Claude in a conversation's session, also those from before it was the conversation's, oldest
    /// first. → [`Reply::Recent`]
    Recent(Recent),
    /// What Claude asks and nobody has answered. → [`Reply::Pending`]
    Pending(Option<ConversationKey>),
    /// Change the model, the permission mode or the effort. → [`Reply::Done`]
    Configure(Configure),
    /// Tell the user something. → [`Reply::Done`]
    Notify(Notify),
    /// Give the user a file. → [`Reply::Done`]
    SendFile(SendFile),
    /// From here on this connection carries events. → [`Reply::Subscribed`]
    Subscribe(Subscribe),
    /// End all Claudes, then the daemon. → [`Reply::Done`]
    Shutdown,
    /// The sessions on this machine that fit, latest first, and who has them open. → [`Reply::SessionList`]
    ListSessions(ListSessions),
    /// The last texts of Claude in a session, also one of the terminal, oldest first. → [`Reply::Recent`]
    RecentOf(RecentOf),
    /// A prompt with pictures. Otherwise as [`Request::Submit`]. → [`Reply::Submitted`]
    SubmitWith(SubmitWith),
    /// Take a prompt back that Claude has not begun. Again, it is answered the same. → [`Reply::Withdrawn`]
    Withdraw(Withdraw),
    /// All about one conversation. → [`Reply::About`]
    About(ConversationKey),
    /// Ask the conversation's Claude, which must be running. → [`Reply::Inquired`]
    Inquire(Inquire),
    /// End a background task or a subagent; Claude goes on. → [`Reply::Done`]
    StopTask(StopTask),
    /// What has changed in the working tree. → [`Reply::Changes`]
    Changes(ConversationKey),
    /// The folders in a folder, to choose one. → [`Reply::Folders`]
    Folders(Folders),
}

impl Request {
    /// Whether it may be sent again when nobody knows what became of it: the second time changes nothing, or
    /// nothing that the first had not changed. A shutdown may not: it would end the daemon's successor.
    pub fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Notify(_) | Self::SendFile(_) | Self::Shutdown | Self::Subscribe(_))
    }
}

/// See [`Request::Submit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit {
    /// Opened if it does not exist.
    pub conversation: ConversationKey,
    /// The prompt's identity at the sender.
    pub key: IdempotencyKey,
    /// What Claude is to read; not blank. How long it may be, the daemon says when it refuses one.
    pub text: String,
    /// What becomes of it while Claude works.
    pub placement: Placement,
    /// In whose name, for people to read.
    pub by: String,
}

/// See [`Request::SubmitWith`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitWith {
    /// The prompt. It names its pictures too: one that cannot be given as a picture is there for Claude to read.
    pub submit: Submit,
    /// Absolute paths of pictures (JPEG, PNG, GIF, WebP) that Claude is to see, in order. One that is too large for
    /// the way to Claude, or is no picture, is left out.
    pub images: Vec<PathBuf>,
}

/// See [`Request::Withdraw`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// Where.
    pub conversation: ConversationKey,
    /// The key with which the prompt was submitted.
    pub key: IdempotencyKey,
}

/// See [`Request::StopTask`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopTask {
    /// Where.
    pub conversation: ConversationKey,
    /// The task, as [`TaskChanged`](crate::event::TaskChanged) names it.
    pub task: String,
}

/// What becomes of a prompt that arrives while Claude works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Claude reads it after the current tool, within the running turn.
    #[default]
    Steer,
    /// Claude gets it when the running turn is over.
    Queue,
}

/// See [`Request::Answer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What is answered.
    pub request: RequestId,
    /// The decision.
    pub decision: Decision,
    /// In whose name, for people to read.
    pub by: String,
}

/// A decision. Which one fits which [`Ask`](crate::event::Ask), each variant says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Permission: this once. Plan: go on, and ask as before.
    Allow,
    /// Permission: this, and what the suggestions cover from now on. Plan: go on, and accept edits.
    AllowAlways,
    /// Any: no, and why; Claude reads the reason.
    Deny(String),
    /// Questions: (question, answer), for each of them; several choices are joined with ", ".
    Answers(Vec<(String, String)>),
    /// Elicitation: the form's content as raw JSON.
    Content(String),
    /// Elicitation: neither yes nor no.
    Cancel,
}

/// See [`Request::Stop`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Where.
    pub conversation: ConversationKey,
    /// In whose name, for people to read.
    pub by: String,
}

/// See [`Request::New`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct New {
    /// Opened if it does not exist.
    pub conversation: ConversationKey,
    /// An existing directory; `None`: where the conversation is.
    pub cwd: Option<PathBuf>,
}

/// See [`Request::Resume`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// Opened if it does not exist.
    pub conversation: ConversationKey,
    /// The session's id, or the beginning of it.
    pub session: String,
    /// Take it even where it seems to be open in a terminal.
    pub force: bool,
}

/// See [`Request::Sessions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// How many to skip.
    pub offset: u32,
    /// At most this many; at most 100.
    pub limit: u32,
}

/// See [`Request::ListSessions`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSessions {
    /// How many of those that fit to skip.
    pub offset: u32,
    /// At most this many; at most 100.
    pub limit: u32,
    /// Only those that worked in this folder or below it; absolute.
    pub cwd: Option<PathBuf>,
    /// Only those in whose title, first prompt, folder, branch or id all of these words are, in whatever case.
    pub search: Option<String>,
}

/// See [`Request::RecentOf`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentOf {
    /// The session's id, or the beginning of it.
    pub session: String,
    /// At most this many; at most 100.
    pub limit: u32,
}

/// See [`Request::Recent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Where.
    pub conversation: ConversationKey,
    /// At most this many; at most 100.
    pub limit: u32,
}

/// See [`Request::Configure`]. `None` leaves a setting as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configure {
    /// Opened if it does not exist.
    pub conversation: ConversationKey,
    /// The model, as Claude names it.
    pub model: Option<String>,
    /// The permission mode, as Claude names it.
    pub permission_mode: Option<String>,
    /// The effort, as Claude names it.
    pub effort: Option<String>,
}

/// See [`Request::Notify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// `None`: the conversation active most recently.
    pub conversation: Option<ConversationKey>,
    /// Not blank; at most [`MAX_EXCERPT`](crate::event::MAX_EXCERPT) bytes.
    pub text: String,
    /// What it is about, such as `compact`; may be empty.
    pub topic: String,
}

/// See [`Request::SendFile`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendFile {
    /// `None`: the conversation active most recently.
    pub conversation: Option<ConversationKey>,
    /// Absolute; an existing regular file that the daemon can read.
    pub path: PathBuf,
    /// May be empty; at most 1,024 characters.
    pub caption: String,
}

/// See [`Request::Subscribe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// Where to begin.
    pub from: From,
    /// Whether to send transient events too.
    pub transients: bool,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum From {
    /// With a snapshot, then what happens from now on.
    Now,
    /// With what happened after the cursor. One that cannot be served gets a [`Gap`].
    After(Cursor),
}

/// Why a cursor cannot be served, and the state to go on from: the payload of [`Kind::GAP`](crate::Kind::GAP).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Why.
    pub reason: GapReason,
    /// The state now.
    pub snapshot: Snapshot,
}

/// Why a cursor cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// It belongs to another journal: that one was lost or deleted.
    OtherJournal,
    /// It is beyond the last event: the journal lost its tail, as by a power cut.
    BeyondHead,
    /// It is before the oldest event still kept.
    BehindRetention,
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// The request had its effect; there is nothing else to say.
    Done,
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Submit`].
    Submitted(Submitted),
    /// To [`Request::Answer`].
    Answered(Settlement),
    /// To [`Request::Stop`].
    Stopped(Stopped),
    /// To [`Request::Resume`].
    Resumed(SessionSummary),
    /// To [`Request::Sessions`].
    Sessions(Vec<SessionSummary>),
    /// To [`Request::Recent`] and [`Request::RecentOf`].
    Recent(Vec<RecentText>),
    /// To [`Request::Pending`].
    Pending(Vec<PendingRequest>),
    /// To [`Request::Subscribe`]: the cursor from which events follow.
    Subscribed(Cursor),
    /// The request was refused and had no effect.
    Refused(Refusal),
    /// To [`Request::ListSessions`].
    SessionList(SessionList),
    /// To [`Request::Withdraw`].
    Withdrawn(Withdrawal),
    /// To [`Request::About`].
    About(Box<About>),
    /// To [`Request::Inquire`]: Claude's raw JSON, at most [`MAX_RAW`](crate::event::MAX_RAW) bytes.
    Inquired(String),
    /// To [`Request::Changes`].
    Changes(Box<Changes>),
    /// To [`Request::Folders`].
    Folders(FolderList),
}

/// What became of a prompt that was to be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    /// Claude never begins it.
    Withdrawn,
    /// Claude has begun it, or is done with it.
    Begun,
    /// Nobody has submitted it.
    Unknown,
}

/// The daemon's state, as `carcin-ctl status --json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The protocol's version, `major.minor`.
    pub protocol: String,
    /// The daemon's process id.
    pub pid: u32,
    /// Since it was ready.
    pub uptime_ms: Millis,
    /// Where it listens.
    pub socket: PathBuf,
    /// The last durable event.
    pub last_seq: Seq,
    /// The Claude Code in use.
    pub claude: ClaudeStatus,
    /// Most recently active first.
    pub conversations: Vec<ConversationStatus>,
    /// Who is subscribed.
    pub clients: Vec<ClientStatus>,
    /// What is wrong with the machine, in sentences, such as a disk that is nearly full.
    pub problems: Vec<String>,
}

/// The Claude Code in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaudeStatus {
    /// The program; `None`: not found.
    pub path: Option<PathBuf>,
    /// What it says its version is; `None`: not known yet.
    pub version: Option<String>,
}

/// A conversation in a [`Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationStatus {
    /// Its key.
    pub key: ConversationKey,
    /// Its session, once there is one.
    pub session_id: Option<SessionId>,
    /// Where Claude works.
    pub cwd: PathBuf,
    /// What it is doing.
    pub state: ConversationState,
    /// The Claude process, while there is one.
    pub claude_pid: Option<u32>,
    /// How many prompts wait.
    pub queued: u32,
    /// The model, once known.
    pub model: Option<String>,
    /// The permission mode, once known.
    pub permission_mode: Option<String>,
    /// When something last happened, on the wall clock.
    pub active_at: Millis,
    /// How many requests wait for an answer.
    pub pending: u32,
    /// How many lines of Claude's were not understood.
    pub unrecognised: u64,
}

/// A subscriber in a [`Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// Which program it is.
    pub name: String,
    /// The last durable event written to it.
    pub cursor: Seq,
}

/// The reply to a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Its id.
    pub prompt: PromptId,
    /// How many prompts are before it.
    pub ahead: u32,
    /// The event that made it known.
    pub seq: Seq,
}

/// The reply to a stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Whether a turn was running.
    pub was_running: bool,
    /// The prompts that had not begun, and will not.
    pub cancelled: Vec<PromptId>,
}

/// A session, known by its transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// Its id.
    pub session: SessionId,
    /// Its title or else its first prompt, one line; may be empty.
    pub title: String,
    /// Where it worked, where told.
    pub cwd: Option<PathBuf>,
    /// The git branch, where told.
    pub branch: Option<String>,
    /// When it was last written, on the wall clock.
    pub modified: Millis,
    /// The transcript's size in bytes.
    pub size: u64,
    /// The conversation that has it now.
    pub conversation: Option<ConversationKey>,
}

/// A page of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// How many fit, on all pages.
    pub total: u32,
    /// Those of this page, latest first.
    pub sessions: Vec<ListedSession>,
}

/// A session in a [`SessionList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSession {
    /// What its transcript tells, and which conversation has it.
    pub summary: SessionSummary,
    /// What the user typed first, one line, where it is known.
    pub first_prompt: Option<String>,
    /// The Claude Codes that have it open now and are not ours.
    pub open: Vec<OpenElsewhere>,
}

/// A Claude Code of this user's, not one of ours, that has a session open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenElsewhere {
    /// Its process id.
    pub pid: u32,
    /// Where it was started.
    pub cwd: Option<PathBuf>,
    /// Since when it runs, on the wall clock.
    pub since: Millis,
    /// How it was started, in Claude Code's words: `cli` in a terminal, `sdk-cli` with `-p`, …
    pub entrypoint: String,
    /// What it does, in Claude Code's words: `idle`, `busy`, …; may be empty.
    pub status: String,
}

/// A text of Claude's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentText {
    /// When, on the wall clock.
    pub at: Millis,
    /// Markdown.
    pub text: String,
}

/// A request that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingRequest {
    /// Where.
    pub conversation: ConversationKey,
    /// Since when, on the wall clock.
    pub at: Millis,
    /// What is asked.
    pub opened: RequestOpened,
}

/// Why a request had no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people: what failed, with the value.
    pub message: String,
    /// For people: what to do about it.
    pub hint: Option<String>,
}

/// Why, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// This peer may not ask that.
    NotAllowed,
    /// The request makes no sense as it is.
    Invalid,
    /// This version does not know the request.
    Unsupported,
    /// There is no such conversation, or none at all.
    NoConversation,
    /// Nobody asks that, or no longer.
    NoRequest,
    /// Somebody answered before; the message says who and what.
    AlreadyAnswered,
    /// No session has this id.
    NoSession,
    /// More than one session begins like this.
    AmbiguousSession,
    /// The session is open elsewhere.
    SessionOpen,
    /// Too much is queued, or too many are subscribed.
    Full,
    /// The daemon is ending, or fails in this conversation and takes it up again: ask once more, later.
    ShuttingDown,
    /// The daemon failed; its log says more.
    Internal,
    /// Claude runs, and has not answered in time: ask once more, later.
    NoAnswer,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
