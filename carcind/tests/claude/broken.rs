//! Frames that are not what they should be: nothing panics, and what is not touched is still found.

use std::sync::OnceLock;

use carcin_proto::event::LineProblem;
use carcind::claude::{Asked, Block, Output, Parsed, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::recordings::{lines, recordings};

/// What a value becomes.
#[derive(Debug, Clone)]
enum Change {
    Deleted,
    Replaced(Value),
    /// A number that no type holds.
    Number(&'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(7),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}x\u{202e}"),
        json!("x".repeat(1000)),
        json!([]),
        json!([null]),
        json!({}),
        json!({ "type": "text" }),
    ];
    let digits: &'static str = Box::leak("9".repeat(400).into_boxed_str());
    prop_oneof![
        1 => Just(Change::Deleted),
        4 => prop::sample::select(values.to_vec()).prop_map(Change::Replaced),
        1 => prop::sample::select(vec!["1e999", "-1e999", "18446744073709551617", "1e-999", digits]).prop_map(Change::Number),
    ]
}

/// The places of all values within `value`, as JSON pointers.
fn places(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, places: &mut Vec<String>) {
        let below: Vec<(String, &Value)> = match value {
            Value::Object(fields) => {
                let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
                fields.iter().map(|(name, value)| (escaped(name), value)).collect()
            }
            Value::Array(items) => {
                items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect()
            }
            _ => Vec::new(),
        };
        for (name, value) in below {
            let place = format!("{at}/{name}");
            walk(value, &place, places);
            places.push(place);
        }
    }
    let mut places_below = Vec::new();
    walk(value, "", &mut places_below);
    places_below
}

/// The frame with that change at `place`, as a line.
fn changed(mut frame: Value, place: &str, change: &Change) -> Vec<u8> {
    const MARK: &str = "a number comes here";
    match change {
        Change::Deleted => {
            let (parent, name) = place.rsplit_once('/').expect("a pointer begins with a slash");
            match frame.pointer_mut(parent) {
                Some(Value::Object(fields)) => {
                    fields.remove(&name.replace("~1", "/").replace("~0", "~"));
                }
                Some(Value::Array(items)) => {
                    items.remove(name.parse().expect("an index"));
                }
                _ => unreachable!("the place was found in it"),
            }
        }
        Change::Replaced(value) => {
            *frame.pointer_mut(place).expect("the place was found in it") = value.clone();
        }
        Change::Number(_) => *frame.pointer_mut(place).expect("the place was found in it") = json!(MARK),
    }
    let line = frame.to_string();
    match change {
        Change::Number(digits) => line.replace(&format!("\"{MARK}\""), digits).into_bytes(),
        _ => line.into_bytes(),
    }
}

/// What must be found again, and the places that it is found by.
fn receipt(output: &Output) -> Option<(&'static [&'static str], String)> {
    let (by, what): (&[&str], String) = match output {
        Output::Lifecycle { .. } => (&["/type", "/command_uuid", "/state"], format!("{output:?}")),
        Output::ControlResponse(response) => {
            (&["/type", "/response", "/response/request_id"], format!("answered {}", response.request_id))
        }
        Output::PromptReplayed { .. } => {
            (&["/type", "/uuid", "/isReplay", "/message"], format!("{output:?}"))
        }
        Output::Result(_) => (&["/type"], "a result".to_owned()),
        // Whatever is the matter with it: one that cannot be asked is refused by its id.
        Output::Ask(Asked { request, .. }) | Output::AskUnsupported { request, .. } => {
            (&["/type", "/request_id"], format!("asked {request}"))
        }
        Output::AskCancelled { .. } => (&["/type", "/request_id"], format!("{output:?}")),
        Output::StateChanged(_) => (&["/type", "/subtype", "/state"], format!("{output:?}")),
        Output::Compaction(told) => {
            (&["/type", "/subtype", "/status", "/compact_result"], format!("{:?}", told.phase))
        }
        _ => return None,
    };
    Some((by, what))
}

fn receipts(parsed: &Parsed) -> Vec<(&'static [&'static str], String)> {
    match parsed {
        Parsed::Outputs { outputs, .. } => outputs.iter().filter_map(receipt).collect(),
        Parsed::Problem(_) => Vec::new(),
    }
}

fn frames() -> &'static [Value] {
    static FRAMES: OnceLock<Vec<Value>> = OnceLock::new();
    FRAMES.get_or_init(|| {
        let all = recordings();
        let frames = all
            .iter()
            .flat_map(|(_, recording)| lines(recording))
            .filter_map(|line| serde_json::from_slice(line).ok());
        frames.collect()
    })
}

#[test]
fn the_recordings_hold_every_kind_of_receipt() {
    let found: std::collections::BTreeSet<_> = frames()
        .iter()
        .flat_map(|frame| receipts(&parse(frame.to_string().as_bytes())))
        .map(|(by, _)| by.join(" "))
        .collect();
    assert_eq!(found.len(), 7, "{found:#?}");
}

#[test]
fn what_is_understood_of_a_frame_is_not_lost_with_the_rest() {
    let outputs = |frame: &Value| match parse(frame.to_string().as_bytes()) {
        Parsed::Outputs { outputs, .. } => outputs,
        Parsed::Problem(problem) => panic!("{problem:?}"),
    };
    let nameless = json!({ "type": "tool_use", "input": {} });
    let content = json!([nameless, { "type": "text", "text": "still said" }]);
    let found = outputs(&json!({ "type": "assistant", "message": { "content": content } }));
    let [Output::Assistant(assistant), Output::Partly(LineProblem::BadShape(_))] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(assistant.blocks, [Block::Text("still said".to_owned())]);
    let content =
        json!([{ "type": "tool_result" }, { "type": "tool_result", "tool_use_id": "t", "content": "out" }]);
    let found = outputs(&json!({ "type": "user", "message": { "content": content } }));
    assert!(
        matches!(&found[..], [Output::ToolResult(result), Output::Partly(_)] if result.output == "out"),
        "{found:?}"
    );
}

#[test]
fn what_surrounds_a_frame_does_not_matter() {
    for line in [
        &b"\xef\xbb\xbf{\"type\":\"keep_alive\"}"[..],
        b"  {\"type\":\"keep_alive\"} \r",
        b"\xef\xbb\xbf",
        b"\r",
    ] {
        assert_eq!(parse(line), Parsed::Outputs { session: None, outputs: vec![] }, "{line:?}");
    }
}

#[test]
fn a_prompt_about_a_commands_output_is_not_one() {
    let frame = |content: &str| json!({ "type": "user", "message": { "content": content } }).to_string();
    let said = |content: &str| match parse(frame(content).as_bytes()) {
        Parsed::Outputs { outputs, .. } => outputs,
        Parsed::Problem(problem) => panic!("{problem:?}"),
    };
    assert_eq!(said("What is <local-command-stdout>x</local-command-stdout>?"), []);
    assert_eq!(said("<local-command-stdout>x</local-command-stdout>"), [Output::LocalOutput("x".to_owned())]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_touched_is_still_found(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        change in change(),
    ) {
        let frame = which.get(frames());
        let places = places(frame);
        let place = place.get(&places);
        let before = parse(frame.to_string().as_bytes());
        let line = changed(frame.clone(), place, &change);
        let after = parse(&line);
        if let (Parsed::Outputs { session: was, .. }, Parsed::Outputs { session: is, .. }) = (&before, &after)
            && place != "/session_id"
        {
            prop_assert_eq!(was, is);
        }
        let found = receipts(&after);
        for (by, what) in receipts(&before) {
            let touched = by.iter().any(|field| field == place);
            prop_assert!(
                touched || found.iter().any(|(_, found)| *found == what),
                "{what} is lost by a change of {place}: {}", String::from_utf8_lossy(&line)
            );
        }
    }

    /// Frames of known types that hold anything at all.
    #[test]
    fn a_frame_of_anything_never_panics(frame in hostile_frame()) {
        let line = frame.to_string();
        parse(line.as_bytes());
    }
}

/// Names that mean something, in any place.
const NAMES: &[&str] = &[
    "type",
    "subtype",
    "session_id",
    "message",
    "content",
    "text",
    "thinking",
    "id",
    "name",
    "input",
    "usage",
    "input_tokens",
    "model",
    "event",
    "delta",
    "index",
    "content_block",
    "request",
    "request_id",
    "tool_name",
    "questions",
    "question",
    "options",
    "label",
    "plan",
    "response",
    "state",
    "command_uuid",
    "uuid",
    "isReplay",
    "modelUsage",
    "contextWindow",
    "errors",
    "duration_ms",
    "num_turns",
    "total_cost_usd",
    "task_id",
    "status",
    "patch",
    "tool_use_id",
    "is_error",
    "todos",
    "permission_suggestions",
    "pending_permission_requests",
    "rate_limit_info",
    "resetsAt",
    "utilization",
    "retry_delay_ms",
];
const WORDS: &[&str] = &[
    "assistant",
    "user",
    "system",
    "result",
    "stream_event",
    "control_request",
    "control_response",
    "control_cancel_request",
    "command_lifecycle",
    "tool_progress",
    "rate_limit_event",
    "conversation_reset",
    "auth_status",
    "init",
    "status",
    "api_retry",
    "task_started",
    "task_updated",
    "compact_boundary",
    "session_state_changed",
    "text",
    "tool_use",
    "tool_result",
    "thinking",
    "content_block_start",
    "content_block_delta",
    "text_delta",
    "can_use_tool",
    "elicitation",
    "AskUserQuestion",
    "ExitPlanMode",
    "idle",
    "queued",
    "rejected",
    "running",
    "success",
    "error",
    "",
    "\u{1b}[2J",
    "00000000-0000-4000-8000-000000000000",
];

fn hostile_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<u64>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        prop::sample::select(WORDS).prop_map(|word| json!(word)),
        any::<String>().prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| json!(items)),
            prop::collection::vec((prop::sample::select(NAMES), inner), 0..6).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

fn hostile_frame() -> impl Strategy<Value = Value> {
    let fields = prop::collection::vec((prop::sample::select(NAMES), hostile_value()), 0..8);
    (prop::sample::select(WORDS), prop::sample::select(WORDS), fields).prop_map(|(kind, subtype, fields)| {
        let mut frame: serde_json::Map<String, Value> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        frame.insert("type".to_owned(), json!(kind));
        frame.entry("subtype").or_insert(json!(subtype));
        Value::Object(frame)
    })
}
