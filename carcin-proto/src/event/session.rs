//! What a conversation works with: its session, its folder, its settings, its process.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Todo;
use crate::ids::SessionId;

/// See [`Event::ConversationOpened`](super::Event::ConversationOpened).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConversationOpened {
    /// Where Claude works.
    pub cwd: PathBuf,
}

/// See [`Event::SessionChanged`](super::Event::SessionChanged).
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

/// See [`Event::SettingsChanged`](super::Event::SettingsChanged). The whole state, not a difference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SettingsChanged {
    /// The model; `None`: Claude's default, not yet told.
    pub model: Option<String>,
    /// The permission mode (`default`, `acceptEdits`, `plan`, …); `None`: Claude's default, not yet told.
    pub permission_mode: Option<String>,
    /// The effort; `None`: the model's default.
    pub effort: Option<String>,
}

/// See [`Event::ProcessStarted`](super::Event::ProcessStarted).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessStarted {
    /// Its process id.
    pub pid: u32,
    /// It was started by an earlier run of the daemon, which it outlived.
    pub adopted: bool,
}

/// See [`Event::ProcessEnded`](super::Event::ProcessEnded).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessEnded {
    /// How it ended.
    pub exit: Exit,
    /// One sentence for the user; `None` where the end is nothing to speak of (idle close, asked for).
    pub message: Option<String>,
    /// The end of its stderr, at most 4 KiB.
    pub stderr_tail: String,
}

/// See [`Event::ConversationRecalled`](super::Event::ConversationRecalled). All of it stands in the place of what was known before.
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
