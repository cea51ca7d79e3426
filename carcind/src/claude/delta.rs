//! Partial output, and the ends of it, read quickly: nineteen lines of twenty are that.
//!
//! It knows them as Claude Code prints them, in whatever order its fields are, and gives up at anything unusual:
//! [`parse`](super::parse) reads that, and all of these too, to the same meaning.

use std::borrow::Cow;

use super::scan::Scanner;

/// More of a block that Claude itself writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta<'a> {
    /// The session that it belongs to.
    pub session: &'a str,
    /// The block's place in the message.
    pub index: u32,
    /// What to append.
    pub more: More<'a>,
}

/// What a block gets more of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum More<'a> {
    /// Text; may be empty.
    Text(Cow<'a, str>),
    /// Thinking; may be empty.
    Thinking(Cow<'a, str>),
    /// What Carcin has no use for: a tool's arguments before they are whole, a signature, the end of a block or of a
    /// message, which other lines tell better.
    Other,
}

/// Reads a line, without its newline, if it is partial output of Claude's own and nothing about it is unusual.
pub fn delta(line: &[u8]) -> Option<Delta<'_>> {
    // Nobody else's line needs to be looked through. Claude Code tells the type first.
    if !line.starts_with(br#"{"type":"stream_event","#) {
        return None;
    }
    let mut scanner = Scanner::new(std::str::from_utf8(line).ok()?);
    let (mut kind, mut session, mut parent, mut event) = (None, None, None, None);
    scanner.fields(|name, scanner| match name.plain()? {
        "type" => once(&mut kind, scanner.string()),
        "session_id" => once(&mut session, scanner.string()),
        "parent_tool_use_id" => once(&mut parent, scanner.value()),
        "event" => once(&mut event, body(scanner)),
        _ => scanner.value().map(drop),
    })?;
    let usual = kind?.plain()? == "stream_event" && parent.is_none_or(|parent| parent == "null");
    let session = session?.plain()?;
    let (index, more) = event?;
    (usual && scanner.is_at_end() && !session.is_empty()).then_some(Delta { session, index, more })
}

/// Which block, and what more of it.
fn body<'a>(scanner: &mut Scanner<'a>) -> Option<(u32, More<'a>)> {
    let (mut kind, mut index, mut delta) = (None, None, None);
    scanner.fields(|name, scanner| match name.plain()? {
        "type" => once(&mut kind, scanner.string()),
        "index" => once(&mut index, scanner.value()),
        "delta" => once(&mut delta, more(scanner)),
        _ => scanner.value().map(drop),
    })?;
    match kind?.plain()? {
        "content_block_delta" => {
            let (typed, more) = delta?;
            typed.then_some((index?.parse().ok()?, more))
        }
        "content_block_stop" => Some((index?.parse().ok()?, More::Other)),
        "message_delta" | "message_stop" => Some((0, More::Other)),
        _ => None,
    }
}

/// And whether it says what it is: that of a message does not.
fn more<'a>(scanner: &mut Scanner<'a>) -> Option<(bool, More<'a>)> {
    let (mut kind, mut text, mut thinking) = (None, None, None);
    scanner.fields(|name, scanner| match name.plain()? {
        "type" => once(&mut kind, scanner.string()),
        "text" => once(&mut text, scanner.string()),
        "thinking" => once(&mut thinking, scanner.string()),
        _ => scanner.value().map(drop),
    })?;
    let Some(kind) = kind else { return Some((false, More::Other)) };
    let more = match kind.plain()? {
        "text_delta" => More::Text(text?.meant()),
        "thinking_delta" => More::Thinking(thinking?.meant()),
        "input_json_delta" | "signature_delta" => More::Other,
        _ => return None,
    };
    Some((true, more))
}

/// A field that comes twice is unusual.
fn once<T>(known: &mut Option<T>, found: Option<T>) -> Option<()> {
    match known.replace(found?) {
        None => Some(()),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::claude::{Output, Parsed, parse};

    const LINES: &str = include_str!("../../../carcin-lab/corpus/claude/subagent.ndjson");
    const ESCAPED: &str = r#"{"type":"stream_event","session_id":"s","event":{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"a\n\"é\" \ud83d\ude00"}}}"#;

    /// What the slow reader must make of a line that the quick one has read.
    fn same_meaning(line: &[u8]) -> bool {
        let Some(Delta { session, index, more }) = delta(line) else { return true };
        let outputs = match more {
            More::Text(text) if !text.is_empty() => {
                vec![Output::TextDelta { parent: None, index, text: text.into_owned() }]
            }
            More::Thinking(text) if !text.is_empty() => {
                vec![Output::ThinkingDelta { parent: None, index, text: text.into_owned() }]
            }
            _ => Vec::new(),
        };
        match parse(line) {
            Parsed::Outputs { session: slow, outputs: slow_outputs } => {
                // Of these the state machine makes nothing.
                let ends = |output: &Output| {
                    matches!(
                        output,
                        Output::BlockStopped { parent: None, .. } | Output::MessageStopped { parent: None }
                    )
                };
                let slow_outputs: Vec<Output> =
                    slow_outputs.into_iter().filter(|output| !ends(output)).collect();
                slow.is_some_and(|slow| slow.as_str() == session) && slow_outputs == outputs
            }
            Parsed::Problem(_) => false,
        }
    }

    #[test]
    fn what_is_recorded_of_claudes_own_is_read_quickly_and_nothing_else() {
        const QUICK: [&str; 4] =
            ["content_block_delta", "content_block_stop", "message_delta", "message_stop"];
        for line in LINES.lines() {
            let is_quick = QUICK.iter().any(|kind| line.contains(&format!("\"type\":\"{kind}\"")));
            let own = line.contains(r#""parent_tool_use_id":null"#);
            assert_eq!(delta(line.as_bytes()).is_some(), is_quick && own, "{line}");
            assert!(same_meaning(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn an_escaped_text_is_read_as_it_is_meant() {
        let found = delta(ESCAPED.as_bytes()).expect("a delta");
        assert_eq!(found, Delta { session: "s", index: 2, more: More::Text("a\n\"é\" 😀".into()) });
        assert!(same_meaning(ESCAPED.as_bytes()));
        let half = ESCAPED.replace(r"\ude00", "");
        let more = delta(half.as_bytes()).map(|found| found.more);
        assert_eq!(more, Some(More::Text("a\n\"é\" \u{FFFD}".into())), "half of a pair");
        assert!(same_meaning(half.as_bytes()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_line_changed_is_read_as_the_slow_reader_reads_it_or_left_to_it(
            at in 0usize..10_000,
            piece in prop::sample::select(vec![
                "", "\"", "\\", "{", "}", ",", ":", "0", "1", "null", "\"type\":\"x\",", "\"index\":1.5,", " ", "é",
                "\"text\":3,", "\"session_id\":\"\",", "\\u00e9", "\\ud800", "\u{1}",
            ]),
            removed in 0usize..12,
        ) {
            for line in LINES.lines().filter(|line| line.contains("stream_event")).chain([ESCAPED]) {
                let mut changed = line.as_bytes().to_vec();
                let start = at % changed.len();
                let end = (start + removed).min(changed.len());
                changed.splice(start..end, piece.bytes());
                prop_assert!(same_meaning(&changed), "{}", String::from_utf8_lossy(&changed));
            }
        }
    }
}
