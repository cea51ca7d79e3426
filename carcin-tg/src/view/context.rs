//! The answer to `/context`.

use carcin_proto::event::Usage;
use serde_json::Value;

use super::phrases::{many, one_line};
use super::status::filled;
use crate::markdown::{Text, TextBuilder};

/// How many blocks a full bar has.
const BAR: u64 = 10;
/// Parts that are shown.
const MOST: usize = 20;
/// The longest name of a part, in characters: a phone is narrow.
const NAME: usize = 22;

/// What Claude says fills its context (`get_context_usage`). `None`: that is not in it.
pub fn render(raw: &str) -> Option<Text> {
    let told: Value = serde_json::from_str(raw).ok()?;
    let (total, max) = (told["totalTokens"].as_u64()?, told["maxTokens"].as_u64()?);
    let mut text = TextBuilder::new();
    text.bold("Context");
    let usage = Usage { context_tokens: total, context_window: max, ..Usage::default() };
    if let Some(filled) = filled(&usage) {
        text.push(": ").push(&filled);
    }
    let parts = told["categories"].as_array().into_iter().flatten().take(MOST);
    let lines: Vec<String> = parts.filter_map(|part| line(part, max)).collect();
    if !lines.is_empty() {
        text.newline().pre(&lines.join("\n"), None);
    }
    text.newline().push("/compact makes room, /clear begins anew.");
    Some(text.build())
}

fn line(part: &Value, max: u64) -> Option<String> {
    let (name, tokens) = (part["name"].as_str()?, part["tokens"].as_u64()?);
    let is_used = part["kind"].as_str().is_none_or(|kind| kind == "used");
    let halves = (tokens * BAR * 2).checked_div(max.max(1))?;
    let full = usize::try_from(halves.min(BAR * 2) / 2).ok()?;
    let half = usize::from(halves % 2 == 1 && full < 10);
    let block = if is_used { "█" } else { "▒" };
    let rest = usize::try_from(BAR).ok()?.saturating_sub(full + half);
    let bar = format!("{}{}{}", block.repeat(full), "▌".repeat(half), "░".repeat(rest));
    Some(format!("{bar} {:>6} {}", many(tokens), one_line(name, NAME)))
}

/// The same where Claude does not say: what the last turn told, if it did, and why there is no more.
pub fn poor(usage: Option<&Usage>, why: &str) -> Text {
    let mut text = TextBuilder::new();
    text.bold("Context");
    if let Some(filled) = usage.and_then(filled) {
        text.push(&format!(", after the last turn: {filled}"));
    }
    text.newline();
    text.push(&one_line(why, 300));
    text.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_bar() {
        let raw = r#"{"totalTokens": 108630, "maxTokens": 200000, "categories": [
            {"name": "System prompt", "tokens": 1964, "kind": "used"},
            {"name": "Messages", "tokens": 106666, "kind": "used"},
            {"name": "A very long name of some part of it", "tokens": 15000},
            {"name": "Autocompact buffer", "tokens": 33000, "kind": "buffer"},
            {"name": "Free space", "tokens": 91370, "kind": "free"}, {"odd": 1}]}"#;
        let usage = Usage { context_tokens: 9, context_window: 10, ..Usage::default() };
        let shown = [
            render(raw).expect("it is there"),
            render(r#"{"totalTokens": 0, "maxTokens": 0, "categories": [{"name": "x", "tokens": 5}]}"#)
                .expect("fine"),
            poor(Some(&usage), "no Claude runs here"),
            poor(None, "no Claude runs here"),
        ];
        insta::assert_snapshot!(shown.map(|text| text.text).join("\n---\n"));
        for odd in ["", "[]", "{}", r#"{"totalTokens": "x"}"#] {
            assert_eq!(render(odd), None, "{odd}");
        }
    }
}
