//! The daemon and what it has, at a glance.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::{ConversationKey, Millis, Seq, SessionId};
use crate::snapshot::ConversationState;

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
