//! PROTOCOL.md says what the code does.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::golden::hex;
use crate::event::{Envelope, Event, MAX_EXCERPT, MAX_RAW, MAX_TEXT, TextBlock, Transient};
use crate::frame::{Frame, MAX_FRAME, MAX_REQUEST};
use crate::{BlockId, ConversationKey, Millis, Seq, TurnId, preamble};

const DOCUMENT: &str = include_str!("../../PROTOCOL.md");

/// The rows of the document's tables that begin with a kind: `| 0x0100 | ConversationOpened | … |`.
fn documented_kinds() -> BTreeMap<u16, &'static str> {
    DOCUMENT
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| 0x")?.split('|').map(str::trim);
            let kind = u16::from_str_radix(cells.next()?, 16).expect("a kind in hex");
            Some((kind, cells.next().expect("a name after the kind").trim_matches('`')))
        })
        .collect()
}

#[test]
fn the_tables_of_kinds_are_the_codes() {
    let control = [
        (0x0001, "Hello"),
        (0x0002, "Welcome"),
        (0x0003, "Request"),
        (0x0004, "Reply"),
        (0x0005, "Snapshot"),
        (0x0006, "Gap"),
        (0x0007, "Farewell"),
    ];
    let expected: BTreeMap<u16, &str> =
        control.iter().chain(Event::KINDS).chain(Transient::KINDS).copied().collect();
    assert_eq!(documented_kinds(), expected);
}

#[test]
fn the_limits_are_the_codes() {
    for (name, limit) in [
        ("MAX_FRAME", MAX_FRAME),
        ("MAX_REQUEST", MAX_REQUEST),
        ("MAX_TEXT", MAX_TEXT),
        ("MAX_RAW", MAX_RAW),
        ("MAX_EXCERPT", MAX_EXCERPT),
    ] {
        let row = DOCUMENT.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let bytes = row.and_then(|row| row.split('|').nth(2)).map(|cell| cell.trim().replace(',', ""));
        assert_eq!(bytes, Some(limit.to_string()), "{name}");
    }
}

#[test]
fn the_worked_example_is_what_the_code_writes() {
    let envelope = Envelope {
        conversation: ConversationKey::new("cli").expect("valid"),
        at: Millis(1_800_000_000_000),
        event: TextBlock { turn: TurnId(300), block: BlockId(2), text: "Hé".into(), parent: None }.into(),
    };
    let mut bytes = BytesMut::new();
    Frame::durable(Seq(70_000), &envelope).expect("encodes").put(&mut bytes);
    assert_eq!(example("frame"), hex(&bytes));
    assert_eq!(example("preamble"), hex(&preamble::ours()));
}

/// The hexadecimal digits at the beginning of each line of the block that is marked with `name`.
fn example(name: &str) -> String {
    let (_, rest) = DOCUMENT.split_once(&format!("```text {name}\n")).expect("a marked block");
    let (block, _) = rest.split_once("```").expect("an end of the block");
    block.lines().filter_map(|line| line.split("  ").next()).flat_map(|bytes| bytes.split(' ')).collect()
}
