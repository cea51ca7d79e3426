//! A line over the cap, of which only the two ends are known: whether it is a question that must be refused.

use carcin_proto::RequestId;

use super::scan::Scanner;
use super::string;

/// What tells a question from other frames, as far as it was found.
#[derive(Debug, Default)]
struct Found {
    kind: Option<String>,
    id: Option<String>,
}

impl Found {
    fn take(&mut self, name: &str, value: impl FnOnce() -> Option<String>) {
        match name {
            "type" => self.kind = value(),
            "request_id" => self.id = value(),
            _ => {}
        }
    }
}

/// Whether `head` and `tail`, the two ends of a line over the cap, are those of a question of Claude's; then it must
/// be refused by this id, or Claude waits for ever. Claude Code writes type and id before what makes the line long;
/// where they come behind it, they are found as long as nothing but plain values is between them and the end.
pub fn cut_ask(head: &[u8], tail: &[u8]) -> Option<RequestId> {
    let mut found = Found::default();
    // It ends in a value that has no end, as a rule: the line is cut.
    let _ = Scanner::new(&String::from_utf8_lossy(head)).fields(|name, scanner| {
        let name = name.meant();
        if let "type" | "request_id" = &*name {
            let value = scanner.string()?;
            found.take(&name, || Some(value.meant().into_owned()));
        } else {
            scanner.value()?;
        }
        Some(())
    });
    if found.kind.is_none() || found.id.is_none() {
        last_fields(tail, &mut found);
    }
    if found.kind? == "control_request" { RequestId::new(found.id?).ok() } else { None }
}

/// Reads the fields before the end of the outermost object, backwards, up to one whose value is no string, number or
/// word: what is nested could hold a name of any depth.
fn last_fields(tail: &[u8], found: &mut Found) {
    let Some(mut rest) = tail.trim_ascii_end().strip_suffix(b"}") else { return };
    loop {
        let Some((before, value)) = last_scalar(rest.trim_ascii_end()) else { return };
        let Some(before) = before.trim_ascii_end().strip_suffix(b":") else { return };
        let Some((before, name)) = last_string(before.trim_ascii_end()) else { return };
        let text = |raw: &[u8]| {
            let (text, omitted) = string::decode(std::str::from_utf8(raw).ok()?, RequestId::MAX_LEN)?;
            (omitted == 0).then_some(text)
        };
        if let Some(name) = text(name) {
            found.take(&name, || text(value));
        }
        let Some(before) = before.trim_ascii_end().strip_suffix(b",") else { return };
        rest = before;
    }
}

/// The value that `bytes` ends with, and what is before it.
fn last_scalar(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.ends_with(b"\"") {
        return last_string(bytes);
    }
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let length = bytes.iter().rev().take_while(|byte| is_part(byte)).count();
    (length > 0).then(|| bytes.split_at(bytes.len() - length))
}

/// The string that `bytes` ends with, and what is before it.
fn last_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = bytes.strip_suffix(b"\"")?;
    let mut end = inner.len();
    loop {
        let quote = inner[..end].iter().rposition(|byte| *byte == b'"')?;
        let escapes = inner[..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some(bytes.split_at(quote));
        }
        end = quote;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(head: &str, tail: &str) -> Option<String> {
        cut_ask(head.as_bytes(), tail.as_bytes()).map(String::from)
    }

    #[test]
    fn the_id_may_be_at_the_end() {
        let kind = r#"{"type":"control_request","request":{"input":"xxxx"#;
        assert_eq!(id(kind, r#"xx"},"request_id":"r1"}"#).as_deref(), Some("r1"));
        assert_eq!(
            id(kind, "xx\"} , \"request_id\" : \"r1\" , \"n\":-1.5e3,\"w\":true,\"s\":\"\" }\r").as_deref(),
            Some("r1")
        );
        let request = r#"{"request":{"input":"xxxx"#;
        let both = r#"]},"type":"control_request","request_id":"a\"\u0062\\"}"#;
        assert_eq!(id(request, both).as_deref(), Some(r#"a"b\"#));
    }

    #[test]
    fn an_id_within_something_is_no_id() {
        let kind = r#"{"type":"control_request","request":{"input":"xxxx"#;
        assert_eq!(id(kind, r#"xx","request_id":"r1"}}"#), None);
        assert_eq!(id(kind, r#"xx","request_id":"r1"},"x":{}}"#), None);
        assert_eq!(id(kind, r#"xx\",\"request_id\":\"r1\"}"#), None);
        assert_eq!(id(kind, r#"request_id":"r1"}"#), None, "the tail begins within the name");
        assert_eq!(id(kind, ""), None);
        assert_eq!(id(r#"{"type":"assistant","message":"#, r#"},"request_id":"r1"}"#), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(head in any::<Vec<u8>>(), tail in any::<Vec<u8>>()) {
            cut_ask(&head, &tail);
        }

        #[test]
        fn no_tail_panics(tail in r#"[",:{}\\a1é ]{0,40}"#) {
            cut_ask(br#"{"type":"control_request","x":"#, tail.as_bytes());
            last_string(tail.as_bytes());
        }

        /// Wherever the line is cut: with the id in the tail it is found, whatever else the frame holds.
        #[test]
        fn an_id_behind_the_input_is_found(id in "[a-z0-9-]{1,20}", input in any::<String>(), cut in 30usize..60) {
            let input = serde_json::to_string(&input).unwrap();
            let line = format!(r#"{{"type":"control_request","request":{{"input":{input}}},"request_id":"{id}"}}"#);
            let tail = &line.as_bytes()[line.len() - id.len() - 18..];
            let head = &line.as_bytes()[..cut.min(line.len() - tail.len())];
            prop_assert_eq!(cut_ask(head, tail).map(String::from), Some(id));
        }
    }
}
