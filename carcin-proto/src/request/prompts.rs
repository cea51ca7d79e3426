//! Prompts: to give them, to take them back, to stop what they began.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::{ConversationKey, IdempotencyKey, PromptId, Seq};

/// See [`Request::Submit`](super::Request::Submit).
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

/// See [`Request::SubmitWith`](super::Request::SubmitWith).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitWith {
    /// The prompt. It names its pictures too: one that cannot be given as a picture is there for Claude to read.
    pub submit: Submit,
    /// Absolute paths of pictures (JPEG, PNG, GIF, WebP) that Claude is to see, in order. One that is too large for
    /// the way to Claude, or is no picture, is left out.
    pub images: Vec<PathBuf>,
}

/// See [`Request::Withdraw`](super::Request::Withdraw).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// Where.
    pub conversation: ConversationKey,
    /// The key with which the prompt was submitted.
    pub key: IdempotencyKey,
}

/// See [`Request::StopTask`](super::Request::StopTask).
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

/// See [`Request::Stop`](super::Request::Stop).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Where.
    pub conversation: ConversationKey,
    /// In whose name, for people to read.
    pub by: String,
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
