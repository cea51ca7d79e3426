//! Markdown to what Telegram can show: plain text, and entities that point into it.
//!
//! Carcin never sends a parse mode, because a message whose markup does not parse is a message
//! that is lost. [`render`] turns `CommonMark` and GFM into a [`Text`], [`split`] cuts it into
//! messages, and [`TextBuilder`] composes a `Text` by hand.
//!
//! **Invariant:** entities are *canonical*, the form that Telegram's own library leaves alone:
//! sorted, fully nested, on code-point boundaries, nothing inside `code` and `pre`, one link or
//! code per place, no quote inside a quote. The module does no I/O, so equal input gives equal
//! output.

mod address;
mod builder;
mod canonical;
mod link;
mod math;
mod render;
mod split;
mod table;
mod words;

#[cfg(test)]
mod tests;

use reqwest::Url;
use teloxide::types::{MessageEntity, MessageEntityKind};

pub use builder::TextBuilder;
pub use link::is_accepted as is_link;
pub use render::{code_ranges, render};
pub use split::{split, truncate};

/// The longest text of one message, in UTF-16 code units (Bot API, `sendMessage`).
pub const MESSAGE_LIMIT: usize = 4096;

/// The longest caption of a file, in UTF-16 code units (Bot API, `sendDocument`).
pub const CAPTION_LIMIT: usize = 1024;

/// How many entities of one message Telegram honours; it ignores those beyond.
pub const ENTITY_LIMIT: usize = 100;

/// Plain text with its formatting, ready for a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text as the reader sees it.
    pub text: String,
    /// Its formatting, in canonical order and form.
    pub entities: Vec<Entity>,
}

/// One formatted range of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// How the range is shown.
    pub kind: EntityKind,
    /// Where it begins, in UTF-16 code units.
    pub offset: usize,
    /// How long it is, in UTF-16 code units; never 0.
    pub length: usize,
}

/// The kinds of formatting that Carcin uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntityKind {
    /// Heavy letters.
    Bold,
    /// Slanted letters.
    Italic,
    /// A line through.
    Strikethrough,
    /// Monospaced within a line; a tap copies it.
    Code,
    /// A monospaced block.
    Pre {
        /// What the clients colour it as, for example `rust`.
        language: Option<String>,
    },
    /// Words that open an address.
    TextLink {
        /// An address that Telegram accepts; see [`is_link`].
        url: String,
    },
    /// A block with a bar beside it.
    Blockquote,
    /// The same, folded to a few lines until tapped.
    ExpandableBlockquote,
}

impl Text {
    /// Text without any formatting.
    pub fn plain(text: &str) -> Self {
        let mut builder = TextBuilder::new();
        builder.push(text);
        builder.build()
    }

    /// The length in UTF-16 code units, which is what Telegram's limits count.
    pub fn units(&self) -> usize {
        utf16_len(&self.text)
    }

    /// Whether the reader would see nothing: Telegram refuses such a message.
    pub fn is_blank(&self) -> bool {
        self.text.chars().all(is_invisible)
    }

    /// The entities as the Bot API takes them.
    pub fn to_message_entities(&self) -> Vec<MessageEntity> {
        let to_message_entity = |entity: &Entity| {
            let kind = message_entity_kind(&entity.kind)?;
            Some(MessageEntity::new(kind, entity.offset, entity.length))
        };
        self.entities.iter().filter_map(to_message_entity).collect()
    }
}

/// Telegram's kind for ours; `None` for a link that is no URL, which [`link::is_accepted`] rules out.
fn message_entity_kind(kind: &EntityKind) -> Option<MessageEntityKind> {
    Some(match kind {
        EntityKind::Bold => MessageEntityKind::Bold,
        EntityKind::Italic => MessageEntityKind::Italic,
        EntityKind::Strikethrough => MessageEntityKind::Strikethrough,
        EntityKind::Code => MessageEntityKind::Code,
        EntityKind::Pre { language } => MessageEntityKind::Pre { language: language.clone() },
        EntityKind::TextLink { url } => MessageEntityKind::TextLink { url: parse_url(url)? },
        EntityKind::Blockquote => MessageEntityKind::Blockquote,
        EntityKind::ExpandableBlockquote => MessageEntityKind::ExpandableBlockquote,
    })
}

/// The target of a link in its normal form; `None`: it is no URL.
fn parse_url(url: &str) -> Option<Url> {
    url.parse().ok()
}

/// The length of `text` in UTF-16 code units, Telegram's measure for offsets and limits.
pub fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Whitespace, and the characters that take no ink either: a message of these alone is refused.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fffc}' | '\u{e0000}'..='\u{e0fff}')
}
