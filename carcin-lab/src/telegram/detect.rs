//! The entities that Telegram finds in a text by itself: commands, links, mentions, hashtags.
//!
//! A small copy of Telegram's rules, enough to show a bot what happens to `main.rs` or `foo.md` outside code:
//! `.rs` and `.md` are top-level domains, so they become links.

use super::model::Entity;

/// Top-level domains which a programmer's text meets, and the commonest others.
const DOMAINS: &[&str] = &[
    "ai", "app", "cc", "com", "de", "dev", "eu", "fr", "in", "info", "io", "is", "it", "md", "me", "ml",
    "mm", "net", "nl", "org", "pl", "pm", "ps", "py", "rs", "ru", "sh", "so", "st", "tf", "to", "tv", "uk",
    "us", "zip",
];

/// Adds to `entities` what Telegram finds in `text` outside code and links.
pub(super) fn add(text: &str, entities: &mut Vec<Entity>) {
    let mut found = Vec::new();
    let mut units = 0_i64;
    let mut before = None;
    for piece in text.split_inclusive(is_break) {
        let word = piece.trim_end_matches(is_break);
        // `</b>` is no command.
        let tag = matches!(before, Some('<' | '>')) && word.starts_with('/');
        if let Some((length, kind)) = classify(word).filter(|_| !tag) {
            let offset = units;
            let end = offset + length;
            let taken = entities.iter().any(|entity| {
                matches!(entity.kind.as_str(), "code" | "pre" | "text_link" | "text_mention")
                    && entity.offset < end
                    && offset < entity.offset + entity.length
            });
            if !taken {
                found.push(Entity::new(kind, offset, length));
            }
        }
        units += units_of(piece);
        before = piece.chars().next_back();
    }
    entities.extend(found);
    entities.sort_by_key(|entity| (entity.offset, -entity.length));
}

fn is_break(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '(' | ')' | '"' | '\'' | '`' | '<' | '>' | '|' | ',' | ';')
}

fn units_of(text: &str) -> i64 {
    i64::try_from(text.encode_utf16().count()).expect("a text in memory is shorter than i64::MAX")
}

/// Length in units and type of what `word` is.
fn classify(word: &str) -> Option<(i64, &'static str)> {
    let word = word.trim_end_matches(['.', ':', '!', '?']);
    let name =
        |rest: &str| rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let whole = |length: usize| i64::try_from(length).expect("short");
    if let Some(rest) = word.strip_prefix('/') {
        let length = name(rest);
        let mention = rest[length..].strip_prefix('@').map_or(0, |rest| 1 + name(rest));
        let complete = length + mention == rest.len();
        return (complete && (1..=32).contains(&length))
            .then(|| (whole(1 + length + mention), "bot_command"));
    }
    if let Some(rest) = word.strip_prefix('@') {
        let length = name(rest);
        return (length >= 4 && length == rest.len()).then(|| (whole(1 + length), "mention"));
    }
    if let Some(rest) = word.strip_prefix('#') {
        let good = !rest.is_empty()
            && rest.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !rest.chars().all(|c| c.is_ascii_digit());
        return good.then(|| (units_of(word), "hashtag"));
    }
    is_link(word).then(|| (units_of(word), "url"))
}

fn is_link(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let (explicit, rest) = match lower.split_once("://") {
        Some(("http" | "https" | "tg" | "ftp", rest)) => (true, rest),
        Some(_) => return false,
        None => (false, lower.as_str()),
    };
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    let sound = labels.len() >= 2
        && labels.iter().all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        });
    let known = labels.last().is_some_and(|last| DOMAINS.contains(last));
    sound && (known || (explicit && labels.iter().all(|label| label.bytes().all(|b| b.is_ascii_digit()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, i64, i64)> {
        let mut entities = Vec::new();
        add(text, &mut entities);
        entities.into_iter().map(|entity| (entity.kind, entity.offset, entity.length)).collect()
    }

    #[test]
    fn a_command_is_found() {
        assert_eq!(found("/start now"), [("bot_command".into(), 0, 6)]);
        assert_eq!(found("/stop@carcin_bot"), [("bot_command".into(), 0, 16)]);
        assert_eq!(found("/usr/bin/env and 1/2 and <b>x</b>"), []);
    }

    #[test]
    fn a_file_name_becomes_a_link_unless_it_is_code() {
        assert_eq!(found("🦀 see main.rs."), [("url".into(), 7, 7)]);
        let mut entities = vec![Entity::new("code", 4, 7)];
        add("see main.rs", &mut entities);
        assert_eq!(entities.len(), 1);
    }

    #[test]
    fn plain_words_are_nothing() {
        assert_eq!(found("e.g. this, a.b and v1.2.3 #1 @me"), []);
    }
}
