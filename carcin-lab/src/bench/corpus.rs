//! A flood of stream-json, as long as wanted: what the real CLI printed, over and over, with fresh ids.

use serde_json::Value;

/// One turn that says something, and one that uses two tools and then says something.
const TEXT: &str = include_str!("../../corpus/claude/demo-plain.ndjson");
const TOOLS: &str = include_str!("../../corpus/claude/tools-parallel.ndjson");
/// So many messages of text come to one use of the tools that one line in twenty gives a durable event.
const TEXTS: usize = 13;
/// The digits of an id that are replaced.
const DIGITS: usize = 8;

/// A flood.
pub(super) struct Flood {
    /// All of it.
    pub(super) bytes: Vec<u8>,
    /// How many lines it has.
    pub(super) lines: u64,
    /// The length of all partial text in it, in bytes.
    pub(super) text: u64,
}

impl Flood {
    /// What a Claude of this session prints within a turn: about so many bytes.
    pub(super) fn new(session: &str, bytes: usize) -> Self {
        let (text, tools) = (Part::of(TEXT, session), Part::of(TOOLS, session));
        let mut flood = Self { bytes: Vec::with_capacity(bytes + (64 << 10)), lines: 0, text: 0 };
        let mut round = 0u32;
        while flood.bytes.len() < bytes {
            for part in std::iter::once(&tools).chain(std::iter::repeat_n(&text, TEXTS)) {
                part.put(round, &mut flood);
                round += 1;
            }
        }
        flood
    }
}

/// A piece of a recording.
struct Part {
    bytes: Vec<u8>,
    lines: u64,
    partial: u64,
    /// Where the ids have their last digits.
    ids: Vec<usize>,
}

impl Part {
    /// Everything of a recording that comes again with every message: no prompts, no questions, no turn's end.
    fn of(recording: &str, session: &str) -> Self {
        let (mut text, mut ids, mut lines, mut partial) = (String::new(), Vec::new(), 0, 0);
        for line in recording.lines() {
            let frame: Value = serde_json::from_str(line).expect("a recording is JSON");
            let again = match frame["type"].as_str() {
                Some("stream_event" | "assistant") => true,
                Some("user") => frame["isReplay"] != true,
                _ => false,
            };
            if again {
                let recorded = frame["session_id"].as_str().expect("a frame names its session");
                collect_ids(&frame, &mut ids);
                text.push_str(&line.replace(recorded, session));
                text.push('\n');
                lines += 1;
                partial += frame["event"]["delta"]["text"].as_str().map_or(0, |text| text.len() as u64);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let ends = ids.iter().flat_map(|id| text.match_indices(id.as_str()).map(|(at, id)| at + id.len()));
        let ids = ends.map(|end| end - DIGITS).collect();
        Self { bytes: text.into_bytes(), lines, partial, ids }
    }

    fn put(&self, round: u32, flood: &mut Flood) {
        flood.lines += self.lines;
        flood.text += self.partial;
        let out = &mut flood.bytes;
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let fresh = format!("{round:0DIGITS$x}");
        for id in &self.ids {
            out[start + id..start + id + DIGITS].copy_from_slice(fresh.as_bytes());
        }
    }
}

/// The ids of messages, lines and uses of tools, wherever they are.
fn collect_ids(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_id = matches!(name.as_str(), "uuid" | "id" | "api_message_id" | "tool_use_id");
                match value.as_str() {
                    Some(id) if is_id && id.len() > DIGITS => ids.push(id.to_owned()),
                    _ => collect_ids(value, ids),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_ids(item, ids)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_frame_of_the_session_and_no_id_comes_twice() {
        let flood = Flood::new("the-session", 200_000);
        let frames: Vec<Value> = flood
            .bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(frames.len() as u64, flood.lines);
        assert!(frames.iter().all(|frame| frame["session_id"] == "the-session"));
        let mut uuids: Vec<_> = frames.iter().map(|frame| frame["uuid"].as_str().unwrap()).collect();
        uuids.sort_unstable();
        uuids.dedup();
        assert_eq!(uuids.len() as u64, flood.lines);
    }
}
