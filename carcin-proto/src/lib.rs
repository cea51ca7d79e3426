//! The contract between `carcind` and whoever talks to it.
//!
//! Types plus one small client, nothing else: ids, requests and replies, durable and transient events, the
//! snapshot with the reducer that both sides use, the preamble and the framing. What the bytes look like is
//! told in `PROTOCOL.md`, beside this crate's manifest.
//!
//! Compatibility: frame kinds and enum variants are only ever appended, fields never change. The golden bytes
//! in this crate's tests freeze that.
#![warn(missing_docs)]

pub mod client;
mod codec;
pub mod event;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod ids;
pub mod inquiry;
pub mod paths;
pub mod preamble;
pub mod request;
pub mod snapshot;
#[cfg(test)]
mod tests;

pub use client::{Client, ClientError, Delivery, Followed, Follower, Reconnecting, Subscription};
pub use codec::{CodecError, decode, encode};
pub use event::{Envelope, Event, Transient, TransientEnvelope};
pub use frame::{Frame, Kind, MAX_FRAME};
pub use ids::{
    BlockId, ConversationKey, Cursor, IdempotencyKey, InvalidId, JournalId, Millis, PromptId, RequestId, Seq,
    SessionId, ToolUseId, TurnId,
};
pub use request::{Refusal, RefusalCode, Reply, Request};
pub use snapshot::{Conversation, ConversationState, Snapshot};
