//! One line to its meaning.

use carcin_proto::event::LineProblem;
use carcin_proto::{RequestId, SessionId, ToolUseId};

use super::json::Object;
use super::output::{LifecycleState, Output, Parsed};
use super::scan::is_json;
use super::{ask, content, result, stream, system};

/// The byte order mark.
const BOM: &str = "\u{feff}";

/// What a reader of one type of frame makes of it.
pub(super) type Meaning = Result<Vec<Output>, LineProblem>;

/// Reads one complete line without its newline. Never fails, never panics; the depth of the JSON and the length
/// of the line do not matter.
///
/// What is around a frame costs nothing: blanks, a carriage return, a byte order mark. Bytes that are no UTF-8, and
/// halves of surrogate pairs, become U+FFFD: better a mark in a text than a lost `result`.
pub fn parse(line: &[u8]) -> Parsed {
    match std::str::from_utf8(line) {
        Ok(text) => parse_text(text),
        Err(_) => repaired(line).map_or(Parsed::Problem(LineProblem::NotJson), |text| parse_text(&text)),
    }
}

/// The line with its invalid bytes replaced, if it looks like a frame that has a few of them. Of anything else a
/// copy is not worth its memory.
fn repaired(line: &[u8]) -> Option<String> {
    /// By how much a replacement may lengthen the line, in bytes.
    const SLACK: usize = 64 << 10;
    let frame = line.strip_prefix(BOM.as_bytes()).unwrap_or(line).trim_ascii();
    if !frame.starts_with(b"{") || !frame.ends_with(b"}") {
        return None;
    }
    let mut text = String::with_capacity(frame.len() + SLACK);
    for chunk in frame.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        if text.len() > frame.len() + SLACK {
            return None;
        }
    }
    Some(text)
}

fn parse_text(text: &str) -> Parsed {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    if text.trim_ascii().is_empty() {
        return Parsed::Outputs { session: None, outputs: Vec::new() };
    }
    let Some(frame) = Object::parse(text) else {
        return Parsed::Problem(if is_json(text) { LineProblem::NotAFrame } else { LineProblem::NotJson });
    };
    let Some(kind) = frame.name("type") else { return Parsed::Problem(LineProblem::NotAFrame) };
    let session = frame.text("session_id").and_then(|id| SessionId::new(id).ok());
    match meaning(&kind, &frame) {
        Ok(outputs) => Parsed::Outputs { session, outputs },
        Err(problem) => Parsed::Problem(problem),
    }
}

fn meaning(kind: &str, frame: &Object<'_>) -> Meaning {
    match kind {
        "stream_event" => stream::event(frame),
        "assistant" => content::assistant(frame),
        "user" => content::user(frame),
        "system" => system::system(frame),
        "result" => Ok(vec![Output::Result(result::turn(frame))]),
        "command_lifecycle" => lifecycle(frame),
        "control_request" => ask::request(frame).map(|asked| vec![asked]),
        "control_cancel_request" => cancelled(frame),
        "control_response" => ask::response(frame),
        "tool_progress" => tool_progress(frame),
        "rate_limit_event" => Ok(system::rate_limit(frame)),
        "conversation_reset" => conversation_reset(frame),
        "auth_status" => Ok(system::auth_status(frame)),
        "keep_alive"
        | "tool_use_summary"
        | "prompt_suggestion"
        | "active_goal"
        | "transcript_mirror"
        | "turn_preempted"
        | "tombstone"
        | "streamlined_text"
        | "streamlined_tool_use_summary" => Ok(Vec::new()),
        unknown => Err(LineProblem::UnknownType(unknown.to_owned())),
    }
}

/// The problem of a frame that lacks what it cannot do without.
pub(super) fn bad(kind: &str) -> LineProblem {
    LineProblem::BadShape(kind.to_owned())
}

/// The subagent that a frame comes from.
pub(super) fn parent(frame: &Object<'_>, kind: &str) -> Result<Option<ToolUseId>, LineProblem> {
    match frame.text("parent_tool_use_id") {
        None => Ok(None),
        Some(id) if id.is_empty() => Ok(None),
        Some(id) => ToolUseId::new(id).map(Some).map_err(|_| bad(kind)),
    }
}

pub(super) fn tool_use_id(object: &Object<'_>, name: &str) -> Option<ToolUseId> {
    object.text(name).and_then(|id| ToolUseId::new(id).ok())
}

pub(super) fn request_id(object: &Object<'_>) -> Option<RequestId> {
    object.text("request_id").and_then(|id| RequestId::new(id).ok())
}

fn lifecycle(frame: &Object<'_>) -> Meaning {
    const KIND: &str = "command_lifecycle";
    let state = match frame.name_or_empty("state").as_str() {
        "queued" => LifecycleState::Queued,
        "started" => LifecycleState::Started,
        "completed" => LifecycleState::Completed,
        "cancelled" => LifecycleState::Cancelled,
        "" => return Err(bad(KIND)),
        unknown => return Err(LineProblem::UnknownType(format!("{KIND}/{unknown}"))),
    };
    let prompt = frame.text("command_uuid").and_then(|id| id.parse().ok()).ok_or_else(|| bad(KIND))?;
    Ok(vec![Output::Lifecycle { prompt, state }])
}

fn cancelled(frame: &Object<'_>) -> Meaning {
    let request = request_id(frame).ok_or_else(|| bad("control_cancel_request"))?;
    Ok(vec![Output::AskCancelled { request }])
}

fn tool_progress(frame: &Object<'_>) -> Meaning {
    let tool_use = tool_use_id(frame, "tool_use_id").ok_or_else(|| bad("tool_progress"))?;
    let elapsed = system::millis(frame.number("elapsed_time_seconds").unwrap_or_default() * 1000.0);
    Ok(vec![Output::ToolProgress { tool_use, elapsed }])
}

fn conversation_reset(frame: &Object<'_>) -> Meaning {
    let session = frame.text("new_conversation_id").and_then(|id| SessionId::new(id).ok());
    Ok(vec![Output::SessionReset { session: session.ok_or_else(|| bad("conversation_reset"))? }])
}

/// Whether `beginning`, cut from a line, is that of the line with which a turn begins.
pub fn begins_turn(beginning: &[u8]) -> bool {
    let has = |part: &[u8]| beginning.windows(part.len()).any(|window| window == part);
    has(br#""type":"system""#) && has(br#""subtype":"init""#)
}
