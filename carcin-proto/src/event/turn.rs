//! Prompts and turns, and how each ended.

use serde::{Deserialize, Serialize};

use crate::ids::{Millis, PromptId, TurnId};

/// See [`Event::PromptAccepted`](super::Event::PromptAccepted).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptAccepted {
    /// The prompt.
    pub prompt: PromptId,
    /// The sender's key.
    pub key: crate::ids::IdempotencyKey,
    /// Its text, cut at [`MAX_EXCERPT`](super::MAX_EXCERPT).
    pub text: String,
    /// The name of the client that sent it.
    pub by: String,
    /// How many prompts are before it: 0 when it is next, or steers the running turn.
    pub ahead: u32,
}

/// See [`Event::PromptStarted`](super::Event::PromptStarted).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptStarted {
    /// The prompt.
    pub prompt: PromptId,
    /// The turn that takes it up.
    pub turn: TurnId,
}

/// See [`Event::PromptEnded`](super::Event::PromptEnded).
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

/// See [`Event::TurnStarted`](super::Event::TurnStarted).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnStarted {
    /// The turn.
    pub turn: TurnId,
    /// The prompt that began it; `None`: it began by itself, as after a background task.
    pub prompt: Option<PromptId>,
}

/// See [`Event::TurnEnded`](super::Event::TurnEnded).
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
