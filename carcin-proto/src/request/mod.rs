//! What a client may ask, and what it is answered.
//!
//! A request is answered after its effect is durable, never when it is merely queued.

mod answers;
mod prompts;
mod refusal;
mod sessions;
mod status;
mod subscribe;
mod tell;

use serde::{Deserialize, Serialize};

use crate::event::Settlement;
use crate::ids::{ConversationKey, Cursor, JournalId, Seq};
use crate::inquiry::{About, Changes, FolderList, Folders, Inquire};
pub use answers::{Answer, Decision, PendingRequest};
pub use prompts::{Placement, Stop, StopTask, Stopped, Submit, SubmitWith, Submitted, Withdraw, Withdrawal};
pub use refusal::{Refusal, RefusalCode};
pub use sessions::{
    Configure, ListSessions, ListedSession, New, OpenElsewhere, Recent, RecentOf, RecentText, Resume,
    SessionList, SessionSummary, Sessions,
};
pub use status::{ClaudeStatus, ClientStatus, ConversationStatus, Status};
pub use subscribe::{From, Gap, GapReason, Subscribe};
pub use tell::{Notify, SendFile};

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
