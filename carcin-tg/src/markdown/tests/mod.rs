//! What a phone shows, and what holds for any input.

mod answers;
mod corpus;
mod hard;
mod oracle;
mod properties;
mod splitting;

use super::{Entity, EntityKind, Text};

/// The text with its entities marked, for snapshots: `⟨b:bold⟩`.
pub(super) fn marked(text: &Text) -> String {
    let mut marked = String::new();
    let mut unit = 0;
    let name = |kind: &EntityKind| match kind {
        EntityKind::Bold => "b".to_owned(),
        EntityKind::Italic => "i".to_owned(),
        EntityKind::Strikethrough => "s".to_owned(),
        EntityKind::Code => "code".to_owned(),
        EntityKind::Pre { language: None } => "pre".to_owned(),
        EntityKind::Pre { language: Some(language) } => format!("pre {language}"),
        EntityKind::TextLink { url } => format!("link {url}"),
        EntityKind::Blockquote => "quote".to_owned(),
        EntityKind::ExpandableBlockquote => "fold".to_owned(),
    };
    for c in text.text.chars().map(Some).chain([None]) {
        let ends = |entity: &&Entity| entity.offset + entity.length == unit;
        marked.extend(text.entities.iter().filter(ends).map(|_| '⟩'));
        for entity in text.entities.iter().filter(|entity| entity.offset == unit) {
            marked.extend(["⟨", &name(&entity.kind), ":"]);
        }
        if let Some(c) = c {
            marked.push(c);
            unit += c.len_utf16();
        }
    }
    marked
}
