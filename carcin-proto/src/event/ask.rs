//! What Claude asks, and how that was settled.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::{RequestId, ToolUseId, TurnId};

/// See [`Event::RequestOpened`](super::Event::RequestOpened).
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
    /// The telling argument, as in [`ToolStarted::summary`](super::ToolStarted::summary).
    pub summary: String,
    /// Claude's raw JSON input; empty when over [`MAX_RAW`](super::MAX_RAW).
    pub input: String,
    /// What the tool says it is about to do; may be empty.
    pub description: String,
    /// Why it is asked; may be empty.
    pub reason: String,
    /// The path that is out of bounds, where one is.
    pub blocked_path: Option<String>,
    /// The raw JSON list of the `PermissionUpdate`s that can be granted, each on its own
    /// ([`Decision::AllowAlways`](crate::request::Decision::AllowAlways)); empty: none is offered.
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

/// See [`Event::RequestSettled`](super::Event::RequestSettled).
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
    /// Allowed, and the suggestions at these positions granted. A plan: approved, edits accepted; the list is empty.
    AllowedAlways(Vec<u16>),
    /// Denied, with the reason that Claude is told.
    Denied(String),
    /// The questions' answers: (question, answer).
    Answered(Vec<(String, String)>),
    /// Nobody waits for it any longer; why.
    Withdrawn(String),
    /// Neither yes nor no: somebody put it away.
    Cancelled,
}
