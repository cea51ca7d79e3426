//! Claude Code's side of the conversation: its stream-json and its control protocol.
//!
//! Pure: bytes in, values out, and lines to write. The only I/O is reading transcript files. The shapes are
//! those of `sdk.d.ts` in the npm package `@anthropic-ai/claude-agent-sdk` (0.3.330). Reading is tolerant: a
//! field that is missing, null or of another type counts as absent, and only where nothing can be said
//! without it the line becomes a problem, to be kept raw.

mod abilities;
mod answer;
mod ask;
mod content;
pub mod control;
mod cut;
mod delta;
pub mod failure;
mod json;
pub mod launch;
mod line;
mod output;
mod result;
mod scan;
mod stream;
mod string;
mod summary;
mod system;
mod text;
mod todos;
pub mod transcripts;

pub use abilities::{abilities, take_in};
pub use cut::cut_ask;
pub use delta::{Delta, More, delta};
pub use line::{begins_turn, parse};
pub use output::{
    Asked, Assistant, Block, BlockKind, ControlResponse, Init, LifecycleState, Output, Parsed, Picture,
    RateLimit, SessionState, ToolResult, TurnResult,
};
pub use summary::summary;
pub(crate) use text::cut;
pub use todos::Todos;
