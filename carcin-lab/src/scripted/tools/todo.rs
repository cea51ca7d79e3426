//! The todo tools: `TodoWrite`, and `TaskCreate`, `TaskUpdate`, `TaskList`.

use serde_json::json;

use super::{Outcome, ToolUse};

pub(super) fn write(tool_use: &ToolUse) -> Outcome {
    let said = "Todos have been modified successfully. Ensure that you continue to use the todo list to track your progress. \
                Please proceed with the current tasks if applicable";
    Outcome::done(said, json!({"oldTodos": [], "newTodos": tool_use.input["todos"]}))
}

/// `tasks` are subjects and states; a task's id is its place, from 1.
pub(super) fn create(tool_use: &ToolUse, tasks: &mut Vec<(String, String)>) -> Outcome {
    let subject = tool_use.text("subject");
    tasks.push((subject.to_owned(), "pending".to_owned()));
    let id = tasks.len().to_string();
    let task = json!({"id": id, "subject": subject, "description": tool_use.input["description"]});
    Outcome::done(format!("Task #{id} created successfully: {subject}"), json!({"task": task}))
}

pub(super) fn update(tool_use: &ToolUse, tasks: &mut [(String, String)]) -> Outcome {
    let (id, status) = (tool_use.text("taskId"), tool_use.text("status"));
    let place = id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
    let Some((_, state)) = place.and_then(|place| tasks.get_mut(place)) else {
        return Outcome::failed("Task not found");
    };
    let from = std::mem::replace(state, status.to_owned());
    Outcome::done(
        format!("Updated task #{id} status"),
        json!({"success": true, "taskId": id, "updatedFields": ["status"], "statusChange": {"from": from, "to": status}}),
    )
}

pub(super) fn list(tasks: &[(String, String)]) -> Outcome {
    let lines: Vec<String> = tasks
        .iter()
        .enumerate()
        .map(|(at, (subject, state))| format!("#{} [{state}] {subject}", at + 1))
        .collect();
    Outcome::done(lines.join("\n"), json!({}))
}
