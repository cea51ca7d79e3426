//! What is told besides: of the API and the context, of hooks and tools, of lines that mean nothing to us.

use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use crate::ids::Millis;

/// See [`Event::ApiRetried`](super::Event::ApiRetried). Claude asks up to ten times with growing delays, even for a 401.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiRetried {
    /// Which attempt failed, from 1.
    pub attempt: u32,
    /// How many there will be.
    pub max_attempts: u32,
    /// How long until the next.
    pub delay: Millis,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// One sentence for the user.
    pub message: String,
}

/// See [`Event::Compacted`](super::Event::Compacted).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compacted {
    /// Begun, done or failed.
    pub phase: CompactionPhase,
    /// Tokens before, where told.
    pub before: Option<u64>,
    /// Tokens after, where told.
    pub after: Option<u64>,
}

/// A compaction's phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactionPhase {
    /// It runs.
    Started,
    /// It is done.
    Finished,
    /// It failed; why.
    Failed(String),
}

/// See [`Event::Notice`](super::Event::Notice).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// One sentence, for the user.
    pub text: String,
    /// What to do about it, where there is something.
    pub hint: Option<String>,
}

/// How much something matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Something may be wrong.
    Warning,
    /// Something failed.
    Error,
}

/// See [`Event::Notification`](super::Event::Notification).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The text, at most [`MAX_EXCERPT`](super::MAX_EXCERPT) bytes.
    pub text: String,
    /// What it is about, such as `compact`; may be empty.
    pub topic: String,
}

/// See [`Event::FileOffered`](super::Event::FileOffered).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOffered {
    /// Absolute; the reader opens it itself.
    pub path: PathBuf,
    /// May be empty.
    pub caption: String,
}

/// See [`Event::Unrecognised`](super::Event::Unrecognised).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrecognised {
    /// What is the matter with it.
    pub problem: LineProblem,
    /// The line's size in bytes.
    pub size: u64,
    /// Its beginning, at most [`MAX_RAW`](super::MAX_RAW) bytes; as text in JSON.
    #[serde(serialize_with = "bytes_or_text")]
    pub raw: Vec<u8>,
}

/// See [`Event::UnrecognisedLines`](super::Event::UnrecognisedLines): what a flood of such lines becomes after the first ones of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnrecognisedLines {
    /// How many lines.
    pub lines: u64,
    /// Their size in bytes, together.
    pub size: u64,
    /// The first of them with their beginnings, at most [`MAX_RAW`](super::MAX_RAW) bytes together; none once a turn has had more of
    /// them than are kept.
    pub kept: Vec<Unrecognised>,
}

/// Bytes on the wire, text for people: nobody reads an array of numbers.
fn bytes_or_text<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&String::from_utf8_lossy(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}

/// Why a line was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineProblem {
    /// It is longer than the cap.
    TooLong,
    /// It is not JSON.
    NotJson,
    /// It is JSON, but not an object with a `type`.
    NotAFrame,
    /// It is a frame of this type, which this version does not know.
    UnknownType(String),
    /// It is a frame of this type, but not of the shape that it should have.
    BadShape(String),
    /// It ended without a newline: its writer died.
    Fragment,
    /// Carcin failed on it, again and again: a defect of Carcin's.
    Defect,
}
