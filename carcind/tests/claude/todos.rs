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

/// Creates a todo with this id.
fn create(todos: &mut Todos, id: &str, text: &str) -> Option<String> {
    let structured = json!({ "task": { "id": id, "subject": text } });
    used(todos, "TaskCreate", &json!({ "subject": text }), &structured)
}

fn update(todos: &mut Todos, id: &str, status: &str) -> Option<String> {
    used(todos, "TaskUpdate", &json!({ "taskId": id, "status": status }), &json!({ "success": true }))
}

#[test]
fn todos_of_a_new_task_are_a_new_list() {
    let mut todos = Todos::default();
    todos.prompted();
    create(&mut todos, "1", "Read");
    create(&mut todos, "2", "Write");
    assert_eq!(update(&mut todos, "1", "completed").as_deref(), Some("1[x]Read 2[ ]Write"));
    // Unfinished as it is, the old list is over when Claude begins another one for the next prompt.
    todos.prompted();
    let mut todos: Todos = serde_json::from_str(&serde_json::to_string(&todos).unwrap()).unwrap();
    assert_eq!(create(&mut todos, "3", "Test").as_deref(), Some("3[ ]Test"));
    assert_eq!(create(&mut todos, "4", "Ship").as_deref(), Some("3[ ]Test 4[ ]Ship"));
    let all = json!({ "tasks": [
        { "id": "1", "subject": "Read", "status": "completed" },
        { "id": "2", "subject": "Write", "status": "pending" },
        { "id": "3", "subject": "Test", "status": "completed" },
        { "id": "4", "subject": "Ship", "status": "pending" },
    ] });
    assert_eq!(used(&mut todos, "TaskList", &json!({}), &all).as_deref(), Some("3[x]Test 4[ ]Ship"));
    // A todo that Claude comes back to is on the list again, with its text.
    assert_eq!(update(&mut todos, "2", "in_progress").as_deref(), Some("2[>]Write 3[x]Test 4[ ]Ship"));
}

#[test]
fn a_list_that_claude_goes_on_with_stays_whole() {
    let mut todos = Todos::default();
    create(&mut todos, "1", "Read");
    create(&mut todos, "2", "Write");
    update(&mut todos, "1", "completed");
    todos.prompted();
    assert_eq!(update(&mut todos, "2", "in_progress").as_deref(), Some("1[x]Read 2[>]Write"));
    assert_eq!(create(&mut todos, "3", "Test").as_deref(), Some("1[x]Read 2[>]Write 3[ ]Test"));
}

#[test]
fn a_list_stored_by_an_older_version_is_read() {
    let stored = json!({ "todos": [{ "id": "1", "text": "Read", "status": "pending" }], "open": [] });
    let todos: Todos = serde_json::from_value(stored).unwrap();
    assert_eq!(shown(todos.list()), "1[ ]Read");
}
