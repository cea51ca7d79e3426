//! Sessions: which one a conversation goes on with, how, and what there are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::{ConversationKey, Millis, SessionId};

/// See [`Request::New`](super::Request::New).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct New {
    /// Opened if it does not exist.
    pub conversation: ConversationKey,
    /// An existing directory; `None`: where the conversation is.
    pub cwd: Option<PathBuf>,
}

/// See [`Request::Resume`](super::Request::Resume).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// Opened if it does not exist.
    pub conversation: ConversationKey,
    /// The session's id, or the beginning of it.
    pub session: String,
    /// Take it even where it seems to be open in a terminal.
    pub force: bool,
}

/// See [`Request::Sessions`](super::Request::Sessions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// How many to skip.
    pub offset: u32,
    /// At most this many; at most 100.
    pub limit: u32,
}

/// See [`Request::ListSessions`](super::Request::ListSessions).
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

/// See [`Request::RecentOf`](super::Request::RecentOf).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentOf {
    /// The session's id, or the beginning of it.
    pub session: String,
    /// At most this many; at most 100.
    pub limit: u32,
}

/// See [`Request::Recent`](super::Request::Recent).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Where.
    pub conversation: ConversationKey,
    /// At most this many; at most 100.
    pub limit: u32,
}

/// See [`Request::Configure`](super::Request::Configure). `None` leaves a setting as it is.
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
