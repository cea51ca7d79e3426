//! Reads a Messages API request: what was asked, and how far the answer has come.

use serde_json::Value;

use super::record::{Asked, ModelRequest};
use crate::script::{Context, Script, Step, pictures};

/// What introduces a message that was sent while Claude was working.
const STEERING: &str = "The user sent a new message while you were working:";
/// What the CLI says behind such a message.
const STEERING_END: &str = "\n\nThis is how Claude Code surfaces messages";
/// What the CLI asks for when it compacts.
const SUMMARY: &str = "Your task is to create a detailed summary of";
/// In the system prompt of a subagent.
const SUBAGENT: &str = "cc_is_subagent=true";
/// In the message that tells of the end of work in the background.
const NOTICE: &str = "[SYSTEM NOTIFICATION - NOT USER INPUT]";
/// What the texts begin with which the CLI puts beside a prompt.
const BESIDE: [&str; 4] = ["<system-reminder>", "[Image", CUT_OFF, STEERING];
/// What the CLI says when a stream was cut.
const CUT_OFF: &str = "Your response above was cut off mid-stream";
/// What the texts begin with which the CLI puts into the user's mouth; a prompt that follows in the same message is a new one.
const BEFORE: [&str; 5] = [
    "[Request interrupted by user",
    "<local-command-",
    "<command-name>",
    "<command-message>",
    "This session is being continued from a previous conversation",
];
/// Introduces, in a message of the system's, the tools which may be called but are not in the request's list.
const DEFERRED: &str = "deferred tools are now available";

/// A request, understood.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) request: ModelRequest,
    pub(super) script: Script,
    pub(super) context: Context,
}

/// Understands the body of a request.
pub(super) fn read(body: Value) -> Conversation {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let notice = messages.iter().rposition(is_notice).filter(|at| turn_ended(&messages[..*at]));
    let spoken = messages.iter().rposition(|message| prompt_of(message).is_some());
    let position = notice.max(spoken).unwrap_or(0);
    let prompt = messages.get(position).and_then(prompt_of).unwrap_or_default();
    let since = messages.get(position..).unwrap_or_default();
    let steered: Vec<String> = since.iter().flat_map(steering_of).collect();
    let results: Vec<Vec<String>> =
        since.iter().map(tool_results_of).filter(|results| !results.is_empty()).collect();
    let asked = asked(&body, &prompt, notice.is_some() && notice > spoken);
    let mut script = match asked {
        Asked::Notice => {
            Script { steps: vec![Step::Text("The work in the background has ended.".to_owned())] }
        }
        _ if prompt.is_empty() => Script { steps: vec![Step::Text("Going on.".to_owned())] },
        _ => Script::of_prompt(&prompt),
    };
    for message in &steered {
        script.steer(message);
    }
    let context = Context {
        cwd: find(&body["system"], "orking directory: ")
            .or_else(|| find(&body["messages"], "orking directory: "))
            .unwrap_or_default(),
        plan_file: plan_file(&body).unwrap_or_default(),
        tools: tool_names(&body),
        tasks_before: messages[..position]
            .iter()
            .map(|message| tools_called(message, Some("TaskCreate")))
            .sum(),
        tools_done: since.iter().map(|message| tools_called(message, None)).sum(),
        cuts: since
            .iter()
            .filter(|message| texts(&message["content"]).any(|text| text.contains(CUT_OFF)))
            .count(),
        pictures: messages.get(position).map(|message| pictures(&message["content"])).unwrap_or_default(),
        last_results: results.last().cloned().unwrap_or_default(),
        errors_so_far: 0,
    };
    let request = ModelRequest {
        number: 0,
        asked,
        session_id: session_id(&body),
        position,
        prompt,
        steered,
        tools_called: context.tools_done,
        tool_results: results.concat(),
        body,
    };
    Conversation { request, script, context }
}

impl Conversation {
    /// Names this place in this conversation: a retry is at the same one.
    pub(super) fn place(&self) -> String {
        let request = &self.request;
        format!("{} {} {} {}", request.session_id, request.position, self.context.tools_done, request.prompt)
    }
}

fn asked(body: &Value, prompt: &str, is_notice: bool) -> Asked {
    if prompt.contains(SUMMARY) {
        Asked::Summary
    } else if body["tools"].as_array().is_none_or(Vec::is_empty) {
        Asked::Aside
    } else if texts(&body["system"]).any(|text| text.contains(SUBAGENT)) {
        Asked::Subagent
    } else if is_notice {
        Asked::Notice
    } else {
        Asked::Turn
    }
}

/// The text of a user's message that is a prompt: one without tool results, or with an interrupt behind them.
fn prompt_of(message: &Value) -> Option<String> {
    if message["role"] != "user" {
        return None;
    }
    let mut answers_tools = !tool_results_of(message).is_empty();
    let mut said = Vec::new();
    for text in texts(&message["content"]) {
        if BEFORE.iter().any(|start| text.starts_with(start)) {
            said.clear();
            answers_tools = false;
        } else if !BESIDE.iter().any(|start| text.starts_with(start)) {
            said.push(text);
        }
    }
    (!answers_tools && !said.is_empty()).then(|| said.join("\n"))
}

fn is_notice(message: &Value) -> bool {
    message["role"] == "user" && texts(&message["content"]).any(|text| text.contains(NOTICE))
}

/// Whether the last thing Claude did was not a tool call.
fn turn_ended(messages: &[Value]) -> bool {
    let last = messages.iter().rfind(|message| message["role"] == "assistant");
    last.is_some_and(|message| tools_called(message, None) == 0)
}

/// What the user sent while Claude was working, as the CLI passes it on: in a message of the system, or since 2.1.332
/// beside a tool result.
fn steering_of(message: &Value) -> Vec<String> {
    if message["role"] == "assistant" {
        return Vec::new();
    }
    let said = texts(&message["content"]).filter_map(|text| text.split_once(STEERING));
    said.map(|(_, said)| said.split(STEERING_END).next().unwrap_or_default().trim().to_owned()).collect()
}

fn tool_results_of(message: &Value) -> Vec<String> {
    let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let results = blocks.iter().filter(|block| block["type"] == "tool_result");
    results.map(|result| texts(&result["content"]).collect::<Vec<_>>().join("\n")).collect()
}

/// How many tools (of that name) a message of the assistant calls.
fn tools_called(message: &Value, name: Option<&str>) -> usize {
    if message["role"] != "assistant" {
        return 0;
    }
    let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
    calls.filter(|call| name.is_none_or(|name| call["name"] == name)).count()
}

/// The texts of a content, which is a string or blocks.
fn texts(content: &Value) -> impl Iterator<Item = &str> {
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    content.as_str().into_iter().chain(blocks.iter().filter_map(|block| block["text"].as_str()))
}

/// The tools in the request's list and the deferred ones, which the CLI runs just as well.
fn tool_names(body: &Value) -> Vec<String> {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let listed = tools.iter().filter_map(|tool| tool["name"].as_str());
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let notes = messages.iter().filter(|message| message["role"] == "system");
    let deferred = notes
        .flat_map(|message| texts(&message["content"]))
        .filter_map(|text| text.split_once(DEFERRED))
        .flat_map(|(_, names)| names.lines().skip(1).take_while(|line| !line.is_empty()));
    listed.chain(deferred).map(str::to_owned).collect()
}

/// The session id, which the CLI hides as JSON in `metadata.user_id`.
fn session_id(body: &Value) -> String {
    let user = body["metadata"]["user_id"].as_str().unwrap_or_default();
    let user: Value = serde_json::from_str(user).unwrap_or_default();
    user["session_id"].as_str().unwrap_or_default().to_owned()
}

/// The rest of the first line behind `marker` in any string of `value`.
fn find(value: &Value, marker: &str) -> Option<String> {
    match value {
        Value::String(text) => {
            let (_, rest) = text.split_once(marker)?;
            rest.lines().next().map(|line| line.trim().to_owned())
        }
        Value::Array(values) => values.iter().find_map(|value| find(value, marker)),
        Value::Object(fields) => fields.values().find_map(|value| find(value, marker)),
        _ => None,
    }
}

/// The plan file that the CLI named last.
fn plan_file(body: &Value) -> Option<String> {
    let text = body["messages"].to_string();
    let middle = text.rfind("/.claude/plans/")?;
    let start = text[..middle].rfind(|c: char| c.is_whitespace() || "\"'`(".contains(c))? + 1;
    let end = middle + text[middle..].find(".md")? + ".md".len();
    Some(text[start..end].to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::Beat;

    fn conversation(messages: &Value) -> Conversation {
        read(
            json!({"messages": messages, "tools": [{"name": "Bash"}], "system": [{"type": "text", "text": "You are."}],
            "metadata": {"user_id": "{\"session_id\":\"s1\"}"}}),
        )
    }

    fn said(conversation: &Conversation) -> String {
        let beats = conversation.script.answer(&conversation.context);
        beats
            .iter()
            .filter_map(|beat| if let Beat::Delta(piece) = beat { Some(piece.as_str()) } else { None })
            .collect()
    }

    fn tool_use() -> Value {
        json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]})
    }

    fn tool_result() -> Value {
        json!({"type": "tool_result", "tool_use_id": "t", "content": "went"})
    }

    #[test]
    fn the_prompt_is_what_the_user_said_and_not_what_the_cli_adds() {
        let seen = conversation(&json!([
            {"role": "user", "content": [{"type": "text", "text": "<system-reminder>\nx"}, {"type": "text", "text": "!text hi"}]},
            {"role": "system", "content": " - Primary working directory: /home/user/project\nmore"},
        ]));
        assert_eq!(seen.request.prompt, "!text hi");
        assert_eq!(seen.request.session_id, "s1");
        assert_eq!(seen.context.cwd, "/home/user/project");
        assert_eq!(said(&seen), "hi");
    }

    #[test]
    fn the_script_goes_on_behind_a_tool_with_what_was_sent_meanwhile() {
        let steering = "The user sent a new message while you were working:\n!text two\n\nThis is how Claude Code surfaces messages \
                        the user sends";
        let steering = json!({"type": "text", "text": steering});
        let in_a_message_of_its_own = [
            json!({"role": "user", "content": [tool_result()]}),
            json!({"role": "system", "content": [steering]}),
        ];
        let beside_the_result = [json!({"role": "user", "content": [tool_result(), steering]})];
        for rest in [&in_a_message_of_its_own[..], &beside_the_result] {
            let begin = [json!({"role": "user", "content": "!tool Bash\n!text one"}), tool_use()];
            let seen = conversation(&json!([&begin, rest].concat()));
            assert_eq!(seen.request.steered, ["!text two"]);
            assert_eq!(seen.request.tool_results, ["went"]);
            assert_eq!(said(&seen), "onetwo");
        }
    }

    #[test]
    fn a_prompt_behind_an_interrupted_tool_is_a_new_one() {
        let seen = conversation(&json!([
            {"role": "user", "content": "!tool Bash\n!text never"},
            tool_use(),
            {"role": "user", "content": [tool_result(), {"type": "text", "text": "[Request interrupted by user for tool use]"},
                {"type": "text", "text": "!text new"}]},
        ]));
        assert_eq!(seen.request.prompt, "!text new");
        assert_eq!(seen.request.position, 2);
        assert_eq!(said(&seen), "new");
    }

    #[test]
    fn what_a_command_printed_is_no_prompt() {
        let seen = conversation(&json!([{"role": "user", "content": [
            {"type": "text", "text": "<local-command-caveat>x"}, {"type": "text", "text": "<command-name>/model"},
            {"type": "text", "text": "<local-command-stdout>set"}, {"type": "text", "text": "!text hi"}]}]));
        assert_eq!(seen.request.prompt, "!text hi");
    }

    #[test]
    fn the_end_of_background_work_begins_a_turn_only_where_none_runs() {
        let notice =
            json!({"type": "text", "text": "<system-reminder>\n[SYSTEM NOTIFICATION - NOT USER INPUT]\nx"});
        let spoken = json!({"role": "assistant", "content": [{"type": "text", "text": "It runs."}]});
        let prompt = json!({"role": "user", "content": "!tool Bash\n!text It runs."});
        let idle = conversation(&json!([
            prompt, tool_use(), {"role": "user", "content": [tool_result()]}, spoken, {"role": "user", "content": [notice]},
        ]));
        assert_eq!(idle.request.asked, Asked::Notice);
        assert_eq!(said(&idle), "The work in the background has ended.");
        let running =
            conversation(&json!([prompt, tool_use(), {"role": "user", "content": [tool_result(), notice]}]));
        assert_eq!(running.request.asked, Asked::Turn);
        assert_eq!(said(&running), "It runs.");
    }

    #[test]
    fn deferred_tools_count_as_tools() {
        let seen = conversation(&json!([
            {"role": "user", "content": "!todo a"},
            {"role": "system", "content": "The following deferred tools are now available via ToolSearch. Use it:\nTodoWrite\nX\n\nMore"},
        ]));
        assert_eq!(seen.context.tools, ["Bash", "TodoWrite", "X"]);
    }
}
