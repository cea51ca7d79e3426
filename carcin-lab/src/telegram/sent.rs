//! What a person sends.

use serde_json::{Value, json};

use super::model::{Entity, MediaKind};
use super::origin::Origin;

/// A text that a person sends.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// The text.
    pub text: String,
    /// Entities that the client marked; commands, links and the like are added by the lab.
    pub entities: Vec<Entity>,
    /// Topic.
    pub thread: Option<i64>,
    /// The message it answers.
    pub reply_to: Option<i64>,
    /// The part of that message which it answers.
    pub quote: Option<String>,
    /// Whom it is forwarded from.
    pub forwarded: Option<Origin>,
}

impl Typed {
    /// A plain text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Into a topic.
    #[must_use]
    pub const fn thread(mut self, thread: i64) -> Self {
        self.thread = Some(thread);
        self
    }

    /// As a reply.
    #[must_use]
    pub const fn reply_to(mut self, message: i64) -> Self {
        self.reply_to = Some(message);
        self
    }

    /// As a reply to a part of a message.
    #[must_use]
    pub fn quoting(mut self, message: i64, part: impl Into<String>) -> Self {
        self.quote = Some(part.into());
        self.reply_to(message)
    }

    /// As forwarded.
    #[must_use]
    pub fn forwarded(mut self, from: Origin) -> Self {
        self.forwarded = Some(from);
        self
    }
}

/// A file that a person sends.
#[derive(Debug, Clone)]
pub struct SentFile {
    /// What it is sent as.
    pub kind: MediaKind,
    /// Its name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Caption; empty is none.
    pub caption: String,
    /// The message it answers.
    pub reply_to: Option<i64>,
    /// Whom it is forwarded from.
    pub forwarded: Option<Origin>,
}

impl SentFile {
    /// A file of any kind, without a caption.
    pub fn new(kind: MediaKind, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            name: name.into(),
            bytes: bytes.into(),
            caption: String::new(),
            reply_to: None,
            forwarded: None,
        }
    }

    /// A document without a caption.
    pub fn document(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(MediaKind::Document, name, bytes)
    }

    /// A picture without a caption.
    pub fn photo(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(MediaKind::Photo, name, bytes)
    }

    /// With a caption.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// As a reply.
    #[must_use]
    pub const fn reply_to(mut self, message: i64) -> Self {
        self.reply_to = Some(message);
        self
    }

    /// As forwarded.
    #[must_use]
    pub fn forwarded(mut self, from: Origin) -> Self {
        self.forwarded = Some(from);
        self
    }
}

/// What a person sends that is neither text nor file, as the fields of the message.
pub(super) fn location(latitude: f64, longitude: f64) -> Value {
    json!({"location": {"latitude": latitude, "longitude": longitude}})
}

/// A card of somebody.
pub(super) fn contact(name: &str, phone: &str) -> Value {
    json!({"contact": {"phone_number": phone, "first_name": name}})
}
