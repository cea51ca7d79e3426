//! Answers to what Claude asks.

use serde::{Deserialize, Serialize};

use crate::event::RequestOpened;
use crate::ids::{ConversationKey, Millis, RequestId};

/// See [`Request::Answer`](super::Request::Answer).
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
    /// Permission: allow this, and grant the suggestions at these positions, counted from 0, of
    /// [`PermissionAsk::suggestions`](crate::event::PermissionAsk::suggestions); at least one. Each is a grant of its own
    /// (a rule, a directory, a mode). Plan: approve it and accept edits; the list is empty.
    AllowAlways(Vec<u16>),
    /// Any: no, and why; Claude reads the reason.
    Deny(String),
    /// Questions: (question, answer), for each of them; several choices are joined with ", ".
    Answers(Vec<(String, String)>),
    /// Elicitation: the form's content as raw JSON.
    Content(String),
    /// Elicitation: neither yes nor no.
    Cancel,
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
