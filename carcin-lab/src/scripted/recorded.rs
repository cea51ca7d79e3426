//! What the real CLI said, to say it again: long answers that nobody should invent.

use serde_json::Value;

/// A session in which many control requests were asked.
const CONTROL: &str = include_str!("../../corpus/claude/control.ndjson");

/// The real `system/init`.
pub(super) fn init() -> Value {
    find(|frame| frame["subtype"] == "init")
}

/// The real `result` of a turn that succeeded.
pub(super) fn result() -> Value {
    find(|frame| frame["type"] == "result")
}

/// What the real CLI answered to a control request: `initialize`, `get_context_usage`, `get_session_cost`, `get_usage` or
/// `list_models`.
pub(super) fn response(subtype: &str) -> Option<Value> {
    let request_id = match subtype {
        "initialize" => "init-1",
        "get_context_usage" => "ctx-1",
        "get_session_cost" => "cost-1",
        "get_usage" => "use-1",
        "list_models" => "lm-1",
        _ => return None,
    };
    let frame =
        find(|frame| frame["type"] == "control_response" && frame["response"]["request_id"] == request_id);
    Some(frame["response"]["response"].clone())
}

fn find(wanted: impl Fn(&Value) -> bool) -> Value {
    let frames = CONTROL.lines().filter_map(|line| serde_json::from_str(line).ok());
    frames.into_iter().find(wanted).expect("the recording is part of the source and holds one of each")
}
