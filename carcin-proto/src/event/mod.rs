//! What happens in a conversation.
//!
//! *Durable* events are in the journal, have a [`Seq`](crate::Seq) and are replayed from any cursor.
//! *Transient* ones are never stored, and may be dropped for a reader that lags.

mod ask;
mod note;
mod session;
mod transient;
mod turn;
mod work;

#[cfg(test)]
use serde::Deserialize;
use serde::Serialize;

use crate::ids::{ConversationKey, Millis};
pub use ask::{
    Ask, ElicitationAsk, PermissionAsk, PlanAsk, Question, QuestionOption, RequestOpened, RequestSettled,
    Settlement,
};
pub use note::{
    ApiRetried, Compacted, CompactionPhase, FileOffered, Level, LineProblem, Notice, Notification,
    Unrecognised, UnrecognisedLines,
};
pub use session::{
    ConversationOpened, ConversationRecalled, Exit, ProcessEnded, ProcessStarted, SessionCause,
    SessionChanged, SettingsChanged,
};
pub use transient::{TextDelta, TextSoFar, ThinkingDelta, ToolProgress};
pub use turn::{
    PromptAccepted, PromptEnded, PromptOutcome, PromptStarted, TurnEnded, TurnOutcome, TurnStarted, Usage,
};
pub use work::{
    TaskChanged, TaskStatus, TextBlock, ThinkingBlock, Todo, TodoStatus, TodosChanged, ToolEnded,
    ToolPicture, ToolStarted,
};

/// The longest text of one text or thinking block, in bytes. What is longer arrives as several events.
pub const MAX_TEXT: usize = 1024 * 1024;
/// The longest excerpt of a tool's output, in bytes; the whole is in the transcript.
pub const MAX_EXCERPT: usize = 16 * 1024;
/// The longest piece of Claude's raw JSON carried in an event, in bytes.
pub const MAX_RAW: usize = 64 * 1024;

/// A durable event with its conversation and its moment. Serialises as one flat object, for `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Envelope {
    /// The conversation in which it happened.
    pub conversation: ConversationKey,
    /// The wall clock when the daemon recorded it.
    pub at: Millis,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// A transient event with its conversation. Serialises as one flat object, for `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransientEnvelope {
    /// The conversation in which it happened.
    pub conversation: ConversationKey,
    /// What happened.
    #[serde(flatten)]
    pub event: Transient,
}

/// Declares an enum of event types with the frame kind of each, and the codec by kind.
macro_rules! events {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $kind:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum $name {
            $($(#[$vdoc])* $variant($variant),)+
        }

        impl $name {
            /// Every kind of this enum, in order, with its name.
            pub const KINDS: &'static [(u16, &'static str)] = &[$(($kind, stringify!($variant))),+];

            /// The frame kind of this event. Never reused, never changed.
            pub fn kind(&self) -> u16 {
                match self { $(Self::$variant(_) => $kind,)+ }
            }

            pub(crate) fn encode_body(&self, out: &mut Vec<u8>) -> Result<(), crate::CodecError> {
                match self { $(Self::$variant(body) => crate::codec::encode_into(body, out),)+ }
            }

            /// An event of `kind` from any deserialiser.
            #[cfg(test)]
            pub(crate) fn deserialize_body<'de, D: serde::Deserializer<'de>>(
                kind: u16,
                deserializer: D,
            ) -> Result<Option<Self>, D::Error> {
                match kind {
                    $($kind => $variant::deserialize(deserializer).map(Self::$variant).map(Some),)+
                    _ => Ok(None),
                }
            }

            /// `None`: a kind that this version does not know.
            pub(crate) fn decode_body(kind: u16, bytes: &[u8]) -> Result<Option<Self>, crate::CodecError> {
                match kind {
                    $($kind => crate::codec::decode(bytes).map(Self::$variant).map(Some),)+
                    _ => Ok(None),
                }
            }
        }

        $(impl From<$variant> for $name {
            fn from(body: $variant) -> Self {
                Self::$variant(body)
            }
        })+
    };
}

events! {
    /// A durable event.
    Event {
        /// The conversation exists.
        ConversationOpened = 0x0100,
        /// Claude's session, its folder or its settings are others now.
        SessionChanged = 0x0101,
        /// The settings under which Claude works are others now.
        SettingsChanged = 0x0102,
        /// A Claude process serves the conversation.
        ProcessStarted = 0x0103,
        /// The Claude process is gone.
        ProcessEnded = 0x0104,
        /// A conversation of which the snapshot had let go is active again.
        ConversationRecalled = 0x0105,
        /// A prompt is on disk and will be given to Claude.
        PromptAccepted = 0x0110,
        /// Claude has begun to work on a prompt.
        PromptStarted = 0x0111,
        /// A prompt is settled.
        PromptEnded = 0x0112,
        /// Claude is at work.
        TurnStarted = 0x0120,
        /// Claude has stopped working.
        TurnEnded = 0x0121,
        /// A finished block of text.
        TextBlock = 0x0130,
        /// A finished block of thinking.
        ThinkingBlock = 0x0131,
        /// Claude uses a tool.
        ToolStarted = 0x0132,
        /// A tool has come back.
        ToolEnded = 0x0133,
        /// The todo list as a whole.
        TodosChanged = 0x0134,
        /// A subagent or background task began, moved on or ended.
        TaskChanged = 0x0135,
        /// A tool has returned a picture.
        ToolPicture = 0x0136,
        /// Claude asks and waits.
        RequestOpened = 0x0140,
        /// A request is answered or withdrawn.
        RequestSettled = 0x0141,
        /// The API is being asked again.
        ApiRetried = 0x0150,
        /// The context is being, or has been, compacted.
        Compacted = 0x0151,
        /// Something the user should know, in one line.
        Notice = 0x0152,
        /// `carcin-ctl notify`, by a hook or a tool.
        Notification = 0x0153,
        /// `carcin-ctl send-file`, by a tool or a person.
        FileOffered = 0x0154,
        /// A line of Claude's that is not understood, or was lost.
        Unrecognised = 0x0155,
        /// Many such lines, together.
        UnrecognisedLines = 0x0156,
    }
}

events! {
    /// A transient event.
    Transient {
        /// More of a text block.
        TextDelta = 0x0200,
        /// More of a thinking block.
        ThinkingDelta = 0x0201,
        /// A tool still runs.
        ToolProgress = 0x0202,
        /// What there is of a text block that is being written, for a reader that begins to listen.
        TextSoFar = 0x0203,
    }
}
