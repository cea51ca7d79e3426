//! The todo list.

use std::fs;
use std::path::Path;

use carcin_proto::ToolUseId;
use carcin_proto::event::{Todo, TodoStatus};
use carcind::claude::{Block, Output, Parsed, Todos, parse};
use serde_json::json;

fn id(id: &str) -> ToolUseId {
    ToolUseId::new(id).unwrap()
}

fn shown(todos: &[Todo]) -> String {
    let mark = |status| match status {
        TodoStatus::Pending => ' ',
        TodoStatus::InProgress => '>',
        TodoStatus::Completed => 'x',
    };
    let todos: Vec<_> =
        todos.iter().map(|todo| format!("{}[{}]{}", todo.id, mark(todo.status), todo.text)).collect();
    todos.join(" ")
}

/// A use that succeeds; what the list is then, if it changed.
fn used(
    todos: &mut Todos,
    name: &str,
    input: &serde_json::Value,
    structured: &serde_json::Value,
) -> Option<String> {
    todos.started(&id("t"), name, &input.to_string());
    todos.finished(&id("t"), false, "", &structured.to_string()).map(|todos| shown(&todos))
}

/// The lists that a recording goes through.
fn lists(recording: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../carcin-lab/corpus/claude").join(recording);
    let mut todos = Todos::default();
    let mut lists = Vec::new();
    for line in fs::read(path).expect("the recording is in the tree").split(|byte| *byte == b'\n') {
        let Parsed::Outputs { outputs, .. } = parse(line) else { panic!("a problem") };
        for output in outputs {
            match output {
                Output::Assistant(assistant) => {
                    for block in assistant.blocks {
                        let Block::ToolUse { id, name, input, .. } = block else { continue };
                        todos.started(&id, &name, &input);
                    }
                }
                Output::ToolResult(result) => {
                    let list =
                        todos.finished(&result.tool_use, result.is_error, &result.output, &result.structured);
                    lists.extend(list.map(|list| shown(&list)));
                }
                _ => {}
            }
            // The daemon may die anywhere.
            todos = serde_json::from_str(&serde_json::to_string(&todos).unwrap()).unwrap();
        }
    }
    lists
}

#[test]
fn the_task_tools_of_the_real_cli_are_followed() {
    let lists = lists("task-tools.ndjson");
    assert_eq!(&lists[..3], ["1[ ]one", "1[ ]one 2[ ]two", "1[>]one 2[ ]two"]);
    // Uses side by side come back in any order.
    assert_eq!(lists.last().map(String::as_str), Some("1[x]one 2[x]two"));
}

#[test]
fn a_list_that_is_written_replaces_the_one_before() {
    let mut todos = Todos::default();
    let list = json!({ "todos": [{ "content": "a", "status": "completed" }, { "content": "b", "status": "in_progress" }, { "content": "c" }] });
    assert_eq!(used(&mut todos, "TodoWrite", &list, &json!({})).as_deref(), Some("1[x]a 2[>]b 3[ ]c"));
    assert_eq!(used(&mut todos, "TodoWrite", &list, &json!({})), None, "nothing changed");
    assert_eq!(used(&mut todos, "TodoWrite", &json!({ "todos": [] }), &json!({})).as_deref(), Some(""));
}

#[test]
fn a_use_that_fails_changes_nothing() {
    let mut todos = Todos::default();
    todos.started(&id("t"), "TaskCreate", r#"{"subject":"a"}"#);
    assert_eq!(todos.finished(&id("t"), true, "Error", ""), None);
    todos.started(&id("t"), "TaskUpdate", r#"{"taskId":"1","status":"completed"}"#);
    assert_eq!(todos.finished(&id("t"), false, "Task not found", r#"{"success":false}"#), None);
    assert_eq!(todos.finished(&id("t"), false, "", r#"{"task":{"id":"1"}}"#), None, "it came back twice");
    assert_eq!(todos.list(), []);
}

#[test]
fn a_task_is_created_also_without_a_structured_result() {
    let mut todos = Todos::default();
    todos.started(&id("t"), "TaskCreate", r#"{"subject":"a  b"}"#);
    let list = todos.finished(&id("t"), false, "Task #12 created successfully: a  b", "");
    assert_eq!(list.as_deref().map(shown).as_deref(), Some("12[ ]a b"));
}

#[test]
fn tasks_are_renamed_deleted_and_listed() {
    let mut todos = Todos::default();
    let created = |id: &str| json!({ "task": { "id": id } });
    used(&mut todos, "TaskCreate", &json!({ "subject": "a" }), &created("1"));
    used(&mut todos, "TaskCreate", &json!({ "subject": "b" }), &created("2"));
    let renamed = used(
        &mut todos,
        "TaskUpdate",
        &json!({ "taskId": "1", "subject": "A" }),
        &json!({ "success": true }),
    );
    assert_eq!(renamed.as_deref(), Some("1[ ]A 2[ ]b"));
    let deleted = used(&mut todos, "TaskUpdate", &json!({ "taskId": "1", "status": "deleted" }), &json!({}));
    assert_eq!(deleted.as_deref(), Some("2[ ]b"));
    let listed = used(
        &mut todos,
        "TaskList",
        &json!({}),
        &json!({ "tasks": [{ "id": "7", "subject": "z", "status": "completed" }] }),
    );
    assert_eq!(listed.as_deref(), Some("7[x]z"));
}

#[test]
fn a_task_from_before_is_known_from_its_update_on() {
    let mut todos = Todos::default();
    let updated =
        used(&mut todos, "TaskUpdate", &json!({ "taskId": "5", "status": "in_progress" }), &json!({}));
    assert_eq!(updated.as_deref(), Some("5[>]Task 5"));
}

#[test]
fn other_tools_and_nonsense_are_no_todos() {
    let mut todos = Todos::default();
    for (name, input) in [
        ("Bash", "{}"),
        ("TodoWrite", "no JSON"),
        ("TodoWrite", "{}"),
        ("TaskCreate", "[]"),
        ("TaskUpdate", "{}"),
    ] {
        todos.started(&id("t"), name, input);
        assert_eq!(todos.finished(&id("t"), false, "Task #1 created", ""), None, "{name} {input}");
    }
}
