//! What is worthless a moment later.

use serde::{Deserialize, Serialize};

use crate::ids::{BlockId, Millis, ToolUseId, TurnId};

/// See [`Transient::TextDelta`](super::Transient::TextDelta).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextDelta {
    /// The turn.
    pub turn: TurnId,
    /// The block.
    pub block: BlockId,
    /// How many characters (Unicode scalar values) of the block came before. On a mismatch, wait for the
    /// durable block.
    pub offset: u64,
    /// The text to append.
    pub text: String,
}

/// See [`Transient::TextSoFar`](super::Transient::TextSoFar). It stands in the place of all that the reader had of the block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSoFar {
    /// The turn.
    pub turn: TurnId,
    /// The block.
    pub block: BlockId,
    /// How many characters (Unicode scalar values) of the block came before, and are left out.
    pub offset: u64,
    /// What came after those, at most [`MAX_EXCERPT`](super::MAX_EXCERPT) bytes.
    pub text: String,
}

/// See [`Transient::ThinkingDelta`](super::Transient::ThinkingDelta).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThinkingDelta {
    /// The turn.
    pub turn: TurnId,
    /// The block.
    pub block: BlockId,
    /// As in [`TextDelta::offset`].
    pub offset: u64,
    /// The text to append.
    pub text: String,
}

/// See [`Transient::ToolProgress`](super::Transient::ToolProgress).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolProgress {
    /// The turn.
    pub turn: TurnId,
    /// The use.
    pub tool_use: ToolUseId,
    /// How long it has run.
    pub elapsed: Millis,
}
