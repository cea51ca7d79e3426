//! Why something has no effect.

use serde::{Deserialize, Serialize};

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
    /// The session is open in a terminal: it is had by `force`.
    SessionOpen,
    /// Too much is queued, or too many are subscribed.
    Full,
    /// The daemon is ending, or fails in this conversation and takes it up again: ask once more, later.
    ShuttingDown,
    /// The daemon failed; its log says more.
    Internal,
    /// Claude runs, and has not answered in time: ask once more, later.
    NoAnswer,
    /// Another conversation has the session, or its Claude is still leaving it.
    SessionTaken,
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
