//! Frames that the recordings do not have, and frames that are not as they should be.

use carcin_proto::event::{Ask, CompactionPhase, Level, LineProblem, MAX_EXCERPT, MAX_RAW, TaskStatus};
use carcin_proto::{Millis, PromptId, ToolUseId};
use carcind::claude::{Block, BlockKind, Output, Parsed, cut_ask, parse, summary};
use serde_json::{Value, json};

fn outputs(line: &Value) -> Vec<Output> {
    match parse(line.to_string().as_bytes()) {
        Parsed::Outputs { outputs, .. } => outputs,
        Parsed::Problem(problem) => panic!("{problem:?}: {line}"),
    }
}

fn output(line: &Value) -> Output {
    let mut outputs = outputs(line);
    assert_eq!(outputs.len(), 1, "{outputs:?}");
    outputs.remove(0)
}

fn problem(line: &[u8]) -> LineProblem {
    match parse(line) {
        Parsed::Problem(problem) => problem,
        Parsed::Outputs { outputs, .. } => panic!("{outputs:?}"),
    }
}

fn assistant(content: &Value) -> Value {
    json!({ "type": "assistant", "message": { "id": "msg_1", "model": "m", "content": content } })
}

fn ask(request: &Value) -> Output {
    output(&json!({ "type": "control_request", "request_id": "r1", "request": request }))
}

#[test]
fn a_blank_line_means_nothing() {
    for line in [&b""[..], b" ", b"\t\r"] {
        assert_eq!(parse(line), Parsed::Outputs { session: None, outputs: vec![] });
    }
}

#[test]
fn what_is_not_a_frame_is_told_apart() {
    for line in [
        &b"hello"[..],
        b"{",
        b"{\"type\":\"user\"",
        b"\xff\xfe",
        b"{\"type\":\"x\"}{}",
        b"{\"a\":\xff}",
        b"{\"a\":\"\xff\"",
    ] {
        assert_eq!(problem(line), LineProblem::NotJson, "{}", String::from_utf8_lossy(line));
    }
    for line in [&b"[]"[..], b"1", b"null", b"{}", b"{\"type\":1}", b"{\"a\":\"\xff\"}"] {
        assert_eq!(problem(line), LineProblem::NotAFrame, "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn what_is_unknown_is_named() {
    let unknown = |line: &Value| match problem(line.to_string().as_bytes()) {
        LineProblem::UnknownType(kind) => kind,
        problem => panic!("{problem:?}"),
    };
    assert_eq!(unknown(&json!({ "type": "novelty" })), "novelty");
    assert_eq!(unknown(&json!({ "type": "system", "subtype": "novelty" })), "system/novelty");
    assert_eq!(
        unknown(&json!({ "type": "stream_event", "event": { "type": "novelty" } })),
        "stream_event/novelty"
    );
    let lifecycle = json!({ "type": "command_lifecycle", "command_uuid": PromptId::random().to_string(), "state": "novelty" });
    assert_eq!(unknown(&lifecycle), "command_lifecycle/novelty");
}

#[test]
fn a_frame_without_what_it_needs_is_a_bad_shape() {
    for line in [
        json!({ "type": "assistant" }),
        json!({ "type": "assistant", "message": null }),
        json!({ "type": "assistant", "message": { "content": 3 } }),
        json!({ "type": "user", "message": [] }),
        json!({ "type": "system" }),
        json!({ "type": "stream_event", "event": { "type": "content_block_stop", "index": "0" } }),
        json!({ "type": "command_lifecycle", "command_uuid": "no uuid", "state": "started" }),
        json!({ "type": "control_request", "request": { "subtype": "can_use_tool" } }),
        json!({ "type": "control_request", "request_id": "", "request": {} }),
        json!({ "type": "control_response" }),
        assistant(&json!([{ "type": "tool_use", "id": null, "name": "Bash", "input": {} }])),
    ] {
        let kind = line["type"].as_str().unwrap();
        let told = problem(line.to_string().as_bytes());
        assert!(matches!(&told, LineProblem::BadShape(bad) if bad.starts_with(kind)), "{told:?} for {line}");
    }
}

#[test]
fn a_field_of_another_type_costs_the_field_alone() {
    let Output::Result(result) = output(&json!({
        "type": "result", "subtype": null, "is_error": "no", "result": 7, "errors": "none", "num_turns": null,
        "usage": { "input_tokens": null, "output_tokens": 5.0, "cache_read_input_tokens": 1e3 },
        "total_cost_usd": "free", "modelUsage": { "a": null, "b": { "contextWindow": "big" }, "c": { "contextWindow": 9 } },
        "api_error_status": 99_999, "permission_denials": {}, "user_message_uuids": [1, "x"],
    })) else {
        panic!("no result")
    };
    assert_eq!((result.subtype.as_str(), result.is_error, result.text.as_str()), ("", false, ""));
    assert_eq!(
        (result.usage.input_tokens, result.usage.output_tokens, result.usage.cost_micro_usd),
        (1000, 5, 0)
    );
    assert_eq!(
        (result.usage.context_window, result.context_window("b"), result.context_window("c")),
        (9, 9, 9)
    );
    assert_eq!((result.api_error_status, result.prompts.len()), (None, 0));
}

#[test]
fn nesting_of_any_depth_costs_no_stack() {
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let frame = format!(r#"{{"type":"keep_alive","x":{deep}}}"#);
    assert_eq!(parse(frame.as_bytes()), Parsed::Outputs { session: None, outputs: vec![] });
    let input = format!(r#"{{"command":"ls","x":{deep}}}"#);
    let frame = format!(
        r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","id":"t","name":"Bash","input":{input}}}]}}}}"#
    );
    let Parsed::Outputs { outputs, .. } = parse(frame.as_bytes()) else { panic!("a problem") };
    let [Output::Assistant(assistant)] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(
        matches!(&assistant.blocks[0], Block::ToolUse { input, summary, .. } if input.is_empty() && summary == "ls")
    );
    // Cut off, it is no JSON.
    assert_eq!(problem("[".repeat(1_000_000).as_bytes()), LineProblem::NotJson);
    assert_eq!(problem(r#"{"type":"#.repeat(1_000_000).as_bytes()), LineProblem::NotJson);
}

#[test]
fn half_a_surrogate_pair_costs_one_character() {
    let line = br#"{"type":"assistant","message":{"content":[{"type":"text","text":"a\ud83d \udc00\ud83d\ude00 \u00e9\n"}]}}"#;
    let Parsed::Outputs { outputs, .. } = parse(line) else { panic!("a problem") };
    let [Output::Assistant(assistant)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(assistant.blocks, [Block::Text("a\u{fffd} \u{fffd}\u{1f600} é\n".to_owned())]);
}

#[test]
fn the_last_of_two_fields_of_a_name_counts() {
    let line = br#"{"type":"keep_alive","type":"novelty"}"#;
    assert_eq!(problem(line), LineProblem::UnknownType("novelty".to_owned()));
}

#[test]
fn long_tool_output_is_cut_between_two_characters() {
    let text = "é".repeat(MAX_EXCERPT);
    let Output::ToolResult(result) = output(&json!({
        "type": "user",
        "message": { "content": [{ "type": "tool_result", "tool_use_id": "t", "content": "x".to_owned() + &text }] },
    })) else {
        panic!("no result")
    };
    assert_eq!(result.output.len(), MAX_EXCERPT - 1);
    assert_eq!(result.omitted, (2 * MAX_EXCERPT + 1 - result.output.len()) as u64);
}

#[test]
fn tool_output_in_blocks_is_joined() {
    let Output::ToolResult(result) = output(&json!({
        "type": "user", "parent_tool_use_id": "p",
        "message": { "content": [{ "type": "tool_result", "tool_use_id": "t", "is_error": true, "content": [
            { "type": "text", "text": "one" }, { "type": "image", "source": {} }, { "type": "text", "text": "two" },
        ] }] },
    })) else {
        panic!("no result")
    };
    assert_eq!((result.output.as_str(), result.is_error), ("one\n[image]\ntwo", true));
    assert_eq!(result.parent.unwrap().as_str(), "p");
}

#[test]
fn pictures_of_a_tool_come_before_its_result() {
    let image = |data: &str| json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": data } });
    let line = json!({
        "type": "user", "parent_tool_use_id": "p",
        "message": { "content": [{ "type": "tool_result", "tool_use_id": "t", "content": [
            image("AAAA"), { "type": "text", "text": "two" }, image("BBBB"),
        ] }] },
        "tool_use_result": { "a": 1 },
    });
    let outputs = outputs(&line);
    let [Output::Picture(first), Output::Picture(second), Output::ToolResult(result)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((first.data.as_str(), second.data.as_str()), ("AAAA", "BBBB"));
    assert_eq!((first.tool_use.as_str(), first.parent.as_ref().map(ToolUseId::as_str)), ("t", Some("p")));
    assert_eq!((result.output.as_str(), result.structured.as_str()), ("[image]\ntwo\n[image]", r#"{"a":1}"#));
    assert!(!format!("{first:?}").contains("AAAA"), "what is as long is not logged");
}

#[test]
fn a_structured_result_is_kept_only_where_its_use_is_certain() {
    let frame = |uses: &[&str]| {
        let results: Vec<_> = uses
            .iter()
            .map(|id| json!({ "type": "tool_result", "tool_use_id": id, "content": "" }))
            .collect();
        json!({ "type": "user", "message": { "content": results }, "tool_use_result": { "a": 1 } })
    };
    let structured = |line: &Value| {
        let kept = outputs(line).into_iter().map(|output| match output {
            Output::ToolResult(result) => result.structured,
            output => panic!("{output:?}"),
        });
        kept.collect::<Vec<_>>()
    };
    assert_eq!(structured(&frame(&["a"])), [r#"{"a":1}"#]);
    assert_eq!(structured(&frame(&["a", "b"])), ["", ""]);
}

#[test]
fn tool_input_over_the_cap_is_left_out_but_summarised() {
    let input = json!({ "file_path": "/a/b", "content": "x".repeat(MAX_RAW) });
    let frame = assistant(&json!([{ "type": "tool_use", "id": "t", "name": "Write", "input": input }]));
    let Output::Assistant(assistant) = output(&frame) else { panic!("no message") };
    let Block::ToolUse { input, summary, .. } = &assistant.blocks[0] else { panic!("no tool use") };
    assert_eq!((input.as_str(), summary.as_str()), ("", "/a/b"));
}

#[test]
fn what_claude_code_says_for_want_of_an_answer_is_left_out() {
    let frame = json!({ "type": "assistant", "message": { "model": "<synthetic>", "content": "No response requested." } });
    let Output::Assistant(assistant) = output(&frame) else { panic!("no message") };
    assert!(assistant.synthetic && assistant.blocks.is_empty());
}

#[test]
fn a_block_may_begin_with_text() {
    let frame = json!({ "type": "stream_event", "event": { "type": "content_block_start", "index": 2, "content_block": { "type": "text", "text": "Hi" } } });
    let kinds: Vec<_> = outputs(&frame);
    assert_eq!(kinds[0], Output::BlockStarted { parent: None, index: 2, kind: BlockKind::Text });
    assert_eq!(kinds[1], Output::TextDelta { parent: None, index: 2, text: "Hi".to_owned() });
}

#[test]
fn a_permission_is_asked_with_all_that_helps_to_decide() {
    let suggestions = json!([{ "type": "setMode", "mode": "acceptEdits", "destination": "session" }]);
    let Output::Ask(asked) = ask(&json!({
        "subtype": "can_use_tool", "tool_name": "mcp__files__write", "display_name": "Write a file", "tool_use_id": "t",
        "input": { "path": "/etc/passwd" }, "description": "two\nlines", "decision_reason": "\u{1b}[1mout of bounds\u{1b}[0m",
        "blocked_path": "/etc/passwd", "permission_suggestions": suggestions,
    })) else {
        panic!("no question")
    };
    let Ask::Permission(permission) = asked.ask else { panic!("no permission") };
    assert_eq!((permission.tool.as_str(), permission.summary.as_str()), ("Write a file", "/etc/passwd"));
    assert_eq!((permission.description.as_str(), permission.reason.as_str()), ("two lines", "out of bounds"));
    assert_eq!(permission.blocked_path.as_deref(), Some("/etc/passwd"));
    assert_eq!(permission.suggestions, suggestions.to_string());
    assert_eq!((asked.request.as_str(), asked.tool_input.as_str()), ("r1", ""));
}

#[test]
fn always_is_not_offered_where_claude_forbids_it() {
    let suggestions = |more: Value| {
        let mut request = json!({ "subtype": "can_use_tool", "tool_name": "Bash", "input": {}, "permission_suggestions": [{ "type": "addRules" }] });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        match ask(&request) {
            Output::Ask(asked) => match asked.ask {
                Ask::Permission(permission) => permission.suggestions,
                ask => panic!("{ask:?}"),
            },
            output => panic!("{output:?}"),
        }
    };
    assert_ne!(suggestions(json!({})), "");
    assert_eq!(suggestions(json!({ "suppress_always_allow_rule": true })), "");
    assert_eq!(suggestions(json!({ "permission_suggestions": [] })), "");
    assert_eq!(suggestions(json!({ "permission_suggestions": null })), "");
}

#[test]
fn a_question_that_cannot_be_shown_is_never_taken_for_a_permission() {
    let endless = "?".repeat(100_000);
    for input in [
        json!({}),
        json!(null),
        json!({ "questions": [] }),
        json!({ "questions": [{ "header": "h" }] }),
        json!({ "questions": [{ "question": endless }] }),
    ] {
        let output =
            ask(&json!({ "subtype": "can_use_tool", "tool_name": "AskUserQuestion", "input": input }));
        assert!(matches!(output, Output::AskUnsupported { .. }), "{output:?}");
    }
}

#[test]
fn what_carcin_cannot_answer_can_be_refused() {
    for request in [
        json!({ "subtype": "hook_callback" }),
        json!({ "subtype": "mcp_message" }),
        json!(null),
        json!({ "subtype": "can_use_tool" }),
    ] {
        let output = ask(&request);
        assert!(
            matches!(&output, Output::AskUnsupported { request, .. } if request.as_str() == "r1"),
            "{output:?}"
        );
    }
}

#[test]
fn an_mcp_server_may_ask_for_a_form() {
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let Output::Ask(asked) = ask(
        &json!({ "subtype": "elicitation", "mcp_server_name": "s", "message": "Who?", "mode": "form", "requested_schema": schema }),
    ) else {
        panic!("no question")
    };
    let Ask::Elicitation(form) = asked.ask else { panic!("no form") };
    assert_eq!((form.server.as_str(), form.message.as_str(), form.url), ("s", "Who?", None));
    assert_eq!(form.schema, schema.to_string());
}

#[test]
fn the_id_of_a_question_is_found_in_its_beginning() {
    let line = json!({ "type": "control_request", "request_id": "r\"1", "request": { "subtype": "can_use_tool", "input": "x".repeat(1000) } });
    // As Claude Code orders the fields; `Value` orders them by name.
    let line = format!(r#"{{"type":"control_request","request_id":"r\"1","request":{}}}"#, line["request"]);
    for cut in [60, 200, line.len() - 1, line.len()] {
        assert_eq!(
            cut_ask(&line.as_bytes()[..cut], b"").map(String::from).as_deref(),
            Some("r\"1"),
            "cut at {cut}"
        );
    }
    assert_eq!(cut_ask(&line.as_bytes()[..30], b""), None);
    assert_eq!(cut_ask(br#"{"type":"control_response","request_id":"r1","x":"#, b""), None);
    assert_eq!(
        cut_ask(br#"{"type":"assistant","message":{"type":"control_request","request_id":"r1"#, b""),
        None
    );
    assert_eq!(cut_ask(br#"["control_request","#, b""), None);
    assert_eq!(cut_ask(b"", b""), None);
}

#[test]
fn a_compaction_that_fails_says_why() {
    let status = json!({ "type": "system", "subtype": "status", "status": null, "compact_result": "failed", "compact_error": "no room" });
    let Output::Compaction(compacted) = output(&status) else { panic!("no compaction") };
    assert_eq!(compacted.phase, CompactionPhase::Failed("no room".to_owned()));
}

#[test]
fn housekeeping_is_no_task() {
    let frame = json!({ "type": "system", "subtype": "task_started", "task_id": "t", "description": "d", "ambient": true });
    assert_eq!(outputs(&frame), []);
}

#[test]
fn a_killed_task_is_stopped() {
    let frame = json!({ "type": "system", "subtype": "task_updated", "task_id": "t", "patch": { "status": "killed" } });
    let Output::Task(task) = output(&frame) else { panic!("no task") };
    assert_eq!((task.task.as_str(), task.status), ("t", TaskStatus::Stopped));
    let frame = json!({ "type": "system", "subtype": "task_updated", "task_id": "t", "patch": { "is_backgrounded": true } });
    assert_eq!(outputs(&frame), []);
}

#[test]
fn only_a_limit_that_is_near_or_reached_is_told() {
    let limit = |status: &str| json!({ "type": "rate_limit_event", "rate_limit_info": { "status": status, "rateLimitType": "five_hour", "resetsAt": 1_800_000_000, "utilization": 0.914 } });
    assert_eq!(outputs(&limit("allowed")), []);
    let Output::RateLimited(near) = output(&limit("allowed_warning")) else { panic!("no limit") };
    assert_eq!(
        (near.reached, near.percent, near.resets_at),
        (false, Some(90), Some(Millis(1_800_000_000_000)))
    );
    assert_eq!(near.notice().text, "More than 90 % of the 5-hour usage limit is used");
    let Output::RateLimited(reached) = output(&limit("rejected")) else { panic!("no limit") };
    assert_eq!(
        (reached.notice().level, reached.notice().text.as_str()),
        (Level::Error, "The 5-hour usage limit is reached")
    );
}

#[test]
fn tool_progress_is_in_milliseconds() {
    let frame = json!({ "type": "tool_progress", "tool_use_id": "t", "tool_name": "Bash", "elapsed_time_seconds": 2.5 });
    let Output::ToolProgress { elapsed, .. } = output(&frame) else { panic!("no progress") };
    assert_eq!(elapsed, Millis(2500));
}

#[test]
fn a_notice_is_one_clean_line() {
    let frame = json!({ "type": "system", "subtype": "informational", "level": "warning", "content": "a\u{202e}b\n\u{1b}[31mc\u{1b}[0m\u{7}" });
    let Output::Notice(notice) = output(&frame) else { panic!("no notice") };
    assert_eq!((notice.level, notice.text.as_str()), (Level::Warning, "ab c"));
    let quiet = json!({ "type": "system", "subtype": "informational", "level": "info", "content": "x" });
    assert_eq!(outputs(&quiet), []);
}

#[test]
fn summaries_name_the_telling_argument() {
    for (tool, input, telling) in [
        ("Bash", json!({ "description": "List", "command": "ls\n  -l" }), "ls -l"),
        ("Read", json!({ "file_path": "/a" }), "/a"),
        ("Grep", json!({ "pattern": "fn", "path": "/src", "output_mode": "content" }), "fn /src"),
        ("WebFetch", json!({ "prompt": "read", "url": "http://x" }), "http://x"),
        ("Task", json!({ "prompt": "long", "description": "Count", "subagent_type": "g" }), "Count"),
        (
            "TodoWrite",
            json!({ "todos": [{ "content": "a", "status": "completed" }, { "content": "b", "status": "in_progress" }] }),
            "1/2 b",
        ),
        ("TaskUpdate", json!({ "taskId": "3", "status": "completed" }), "#3 completed"),
        ("AskUserQuestion", json!({ "questions": [{ "question": "Red?" }] }), "Red?"),
        ("mcp__x__y", json!({ "count": 3, "whatever": "this" }), "this"),
        ("mcp__x__y", json!({ "query": " ", "text": "that" }), "that"),
        ("mcp__x__y", json!({ "count": 3 }), ""),
        ("Bash", json!("ls"), ""),
        ("Bash", json!({ "command": "echo \u{202e}safe" }), "echo safe"),
    ] {
        assert_eq!(summary(tool, &input.to_string()), telling, "{tool} {input}");
    }
    let long = summary("Bash", &json!({ "command": "é".repeat(1000) }).to_string());
    assert_eq!((long.chars().count(), long.ends_with('…')), (400, true));
    assert_eq!(summary("Bash", &json!({ "command": "é".repeat(400) }).to_string()), "é".repeat(400));
}
