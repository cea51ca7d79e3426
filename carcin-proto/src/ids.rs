//! Identities: a type for each, so that one is never passed where another is meant.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An id that is empty, too long, or holds control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to {max} bytes without control characters, got {got:?}")]
pub struct InvalidId {
    what: &'static str,
    max: usize,
    got: String,
}

/// Declares an id that is a short printable string, checked wherever it is made, also when it is decoded.
macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The longest id allowed, in bytes.
            pub const MAX_LEN: usize = $max;

            /// Checks and takes `value`.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidId> {
                let value = value.into();
                if value.is_empty() || value.len() > $max || value.chars().any(char::is_control) {
                    let got = value.chars().take(80).collect();
                    return Err(InvalidId { what: $what, max: $max, got });
                }
                Ok(Self(value))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

string_id!(
    /// A conversation, named by the front end that opened it (`tg:<chat>`, `tg:<chat>:<thread>`); opaque to
    /// the daemon.
    ConversationKey, "a conversation key", 128
);
string_id!(
    /// A Claude Code session: the name of its transcript. A UUID in practice; followed, never interpreted.
    SessionId, "a session id", 128
);
string_id!(
    /// A question that Claude asks and waits on: the `request_id` of its `control_request`.
    RequestId, "a request id", 256
);
string_id!(
    /// One use of a tool by Claude (`toolu_…`).
    ToolUseId, "a tool use id", 256
);
string_id!(
    /// Chosen by the sender of a prompt; the same key twice is the same prompt.
    IdempotencyKey, "an idempotency key", 256
);

/// Declares an id that is a random UUID.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new random id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(value: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(value).map(Self)
            }
        }
    };
}

uuid_id!(
    /// A prompt accepted by the daemon; also the `uuid` under which Claude knows it.
    PromptId
);
uuid_id!(
    /// One journal, from its creation to its deletion. Sequence numbers mean nothing across two journals.
    JournalId
);

/// Declares an id that is a number counted up by the daemon.
macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $repr:ty) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// The place of a durable event in the journal, from 1; 0 is before the first. It may jump, it never
    /// goes back.
    Seq, u64
);
number_id!(
    /// A turn of a conversation, from 1.
    TurnId, u64
);
number_id!(
    /// A content block within its turn, from 0, in the order in which Claude began them.
    BlockId, u32
);
number_id!(
    /// Milliseconds: of the wall clock since 1970 for a moment, else a duration. What it is, its field says.
    Millis, u64
);

impl Millis {
    /// What the wall clock says.
    pub fn now() -> Self {
        SystemTime::now().into()
    }
}

/// A moment of the wall clock; one before 1970 is taken for that.
impl From<SystemTime> for Millis {
    fn from(moment: SystemTime) -> Self {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// How far a reader has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The journal that `seq` belongs to.
    pub journal: JournalId,
    /// The last durable event that the reader has taken care of.
    pub seq: Seq,
}
