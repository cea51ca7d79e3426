//! Where a message comes from: whom it was forwarded from, which part of another it answers.

use serde::Deserialize;
use serde_json::{Value, json};

use super::model::Entity;
use super::text::utf16_len;

/// From whom a message was forwarded (`MessageOrigin`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A user whom Telegram names.
    User {
        /// Their id.
        id: i64,
        /// Their name.
        name: String,
    },
    /// A user who does not want to be named to bots: only what they call themselves is told.
    HiddenUser {
        /// What they call themselves.
        name: String,
    },
    /// A group, for which an anonymous administrator spoke.
    Chat {
        /// The group's id.
        id: i64,
        /// Its title.
        title: String,
    },
    /// A channel.
    Channel {
        /// The channel's id.
        id: i64,
        /// Its title.
        title: String,
        /// The message there.
        message: i64,
        /// Who signed it.
        #[serde(default)]
        signature: Option<String>,
    },
}

impl Origin {
    /// `forward_origin`, of a message first sent at `date`.
    pub(super) fn wire(&self, date: u64) -> Value {
        match self {
            Self::User { id, name } => json!({
                "type": "user", "date": date, "sender_user": {"id": id, "is_bot": false, "first_name": name},
            }),
            Self::HiddenUser { name } => {
                json!({"type": "hidden_user", "date": date, "sender_user_name": name})
            }
            Self::Chat { id, title } => json!({
                "type": "chat", "date": date, "sender_chat": {"id": id, "type": "supergroup", "title": title},
            }),
            Self::Channel { id, title, message, signature } => {
                let mut out = json!({
                    "type": "channel", "date": date, "message_id": message,
                    "chat": {"id": id, "type": "channel", "title": title},
                });
                if let Some(signature) = signature {
                    out["author_signature"] = json!(signature);
                }
                out
            }
        }
    }

    /// What a client shows.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::User { name, .. } | Self::HiddenUser { name } => name,
            Self::Chat { title, .. } | Self::Channel { title, .. } => title,
        }
    }
}

/// The part of a message which another answers (`TextQuote`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The part.
    pub text: String,
    /// Where it begins, in UTF-16 units.
    pub position: usize,
    /// The entities in it that quotes keep: those of style.
    pub entities: Vec<Entity>,
}

impl Quote {
    /// `part` of a text with these entities; `None` where it is no part of it.
    pub(super) fn of(text: &str, entities: &[Entity], part: &str) -> Option<Self> {
        let at = text.find(part).filter(|_| !part.trim().is_empty())?;
        let (position, length) = (utf16_len(&text[..at]), utf16_len(part));
        let kept = |entity: &&Entity| {
            matches!(entity.kind.as_str(), "bold" | "italic" | "underline" | "strikethrough" | "spoiler")
        };
        let start = i64::try_from(position).ok()?;
        let end = start + i64::try_from(length).ok()?;
        let clip = |entity: &Entity| {
            let (from, to) = (entity.offset.max(start), (entity.offset + entity.length).min(end));
            (from < to).then(|| Entity { offset: from - start, length: to - from, ..entity.clone() })
        };
        let entities = entities.iter().filter(kept).filter_map(clip).collect();
        Some(Self { text: part.to_owned(), position, entities })
    }

    /// `quote`.
    pub(super) fn wire(&self) -> Value {
        let mut out = json!({"text": self.text, "position": self.position, "is_manual": true});
        if !self.entities.is_empty() {
            out["entities"] = json!(self.entities);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_a_part_with_its_style() {
        let entities = [Entity::new("bold", 3, 8), Entity::new("code", 3, 3), Entity::new("italic", 0, 2)];
        let quote = Quote::of("🦀 one two three", &entities, "two three").unwrap();
        assert_eq!((quote.position, quote.entities), (7, vec![Entity::new("bold", 0, 4)]));
        assert_eq!(Quote::of("one", &[], "two"), None);
        assert_eq!(Quote::of("one two", &[], " "), None);
    }
}
