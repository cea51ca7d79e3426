//! Partial text: the short cut does what the long way does, and what comes at once is told at once.

use std::time::Duration;

use carcin_proto::{SessionId, Transient};

use super::*;
use crate::claude::{delta, parse};
use crate::rows::ConversationRow;

const LINES: &str = include_str!("../../../../../carcin-lab/corpus/claude/demo-plain.ndjson");

/// A machine in the recording's session.
fn machine() -> Machine {
    let first: serde_json::Value = serde_json::from_str(LINES.lines().next().expect("a line")).expect("JSON");
    let session = SessionId::new(first["session_id"].as_str().expect("a session")).expect("a valid session");
    let conversation = ConversationRow { session: Some(session), ..ConversationRow::default() };
    Machine::load(Loaded { key: key(), conversation, prompts: vec![], inputs: vec![], requests: vec![] })
}

#[test]
fn the_short_cut_does_what_the_long_way_does() {
    let (mut short, mut long) = (machine(), machine());
    let mut cut = 0;
    for (second, line) in (0..).zip(LINES.lines()) {
        for machine in [&mut short, &mut long] {
            machine.at(Millis(second * 1000));
            machine.uptime(Duration::from_secs(second));
        }
        let raw = line.as_bytes();
        if delta(raw).is_some_and(|delta| short.delta(&delta)) {
            cut += 1;
        } else {
            short.line(parse(raw), raw, raw.len() as u64);
        }
        long.line(parse(raw), raw, raw.len() as u64);
        assert_eq!(format!("{short:?}"), format!("{long:?}"), "{line}");
    }
    let deltas = LINES.lines().filter(|line| line.contains("\"content_block_delta\"")).count();
    assert!(deltas > 1, "the recording streams its text");
    assert_eq!(cut, deltas + 3, "each delta, and three ends");
}

#[test]
fn what_comes_at_once_is_told_at_once() {
    let mut machine = machine();
    let (mut whole, mut told) = (String::new(), Vec::new());
    for line in LINES.lines().map(str::as_bytes) {
        machine.line(parse(line), line, line.len() as u64);
    }
    for item in machine.take().items {
        match item {
            Item::Transient(Transient::TextDelta(delta)) => told.push((delta.offset, delta.text)),
            Item::Durable(Event::TextBlock(block)) => whole = block.text,
            _ => {}
        }
    }
    assert_eq!(told, [(0, whole)]);
}
