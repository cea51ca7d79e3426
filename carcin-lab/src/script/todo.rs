//! `!todo`: the list as it shall look, turned into calls of the todo tools that the session has.

use serde_json::{Value, json};

use super::ToolCall;

/// One line of the todo list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoItem {
    /// What is to be done; the item's identity within a script.
    pub content: String,
    /// How far it is.
    pub status: TodoStatus,
}

/// How far a todo is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TodoStatus {
    /// Not begun.
    Pending,
    /// Being done.
    InProgress,
    /// Done, written `x`.
    Completed,
}

impl TodoStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
        }
    }
}

/// Reads `x done | > doing | open`.
pub(super) fn parse(list: &str) -> Vec<TodoItem> {
    let item = |part: &str| {
        let part = part.trim();
        let (status, content) = if let Some(rest) = part.strip_prefix("x ") {
            (TodoStatus::Completed, rest)
        } else if let Some(rest) = part.strip_prefix('>') {
            (TodoStatus::InProgress, rest)
        } else {
            (TodoStatus::Pending, part)
        };
        TodoItem { content: content.trim().to_owned(), status }
    };
    list.split('|').map(item).filter(|item| !item.content.is_empty()).collect()
}

/// The calls that bring the list from what the tools have been told so far (`known`, which is brought up to date) to
/// `wanted`: batches, of which each waits for the results of the one before.
///
/// A session has `TodoWrite`, or `TaskCreate` and `TaskUpdate`, or none of them. The Task tools number their tasks
/// from 1 over the whole session; `created` is how many there are already.
pub(super) fn calls(
    wanted: &[TodoItem],
    known: &mut Vec<TodoItem>,
    created: usize,
    has_todo_write: bool,
) -> Vec<Vec<ToolCall>> {
    if has_todo_write {
        return vec![vec![ToolCall { name: "TodoWrite".to_owned(), input: todo_write(wanted) }]];
    }
    let mut create = Vec::new();
    let mut update = Vec::new();
    for item in wanted {
        let at = known.iter().position(|other| other.content == item.content).unwrap_or_else(|| {
            create.push(ToolCall {
                name: "TaskCreate".to_owned(),
                input: json!({"subject": item.content, "description": item.content, "activeForm": item.content}),
            });
            known.push(TodoItem { content: item.content.clone(), status: TodoStatus::Pending });
            known.len() - 1
        });
        if known[at].status != item.status {
            known[at].status = item.status;
            let id = (created + at + 1).to_string();
            update.push(ToolCall {
                name: "TaskUpdate".to_owned(),
                input: json!({"taskId": id, "status": item.status.as_str()}),
            });
        }
    }
    [create, update].into_iter().filter(|batch| !batch.is_empty()).collect()
}

fn todo_write(items: &[TodoItem]) -> Value {
    let todos: Vec<Value> = items
        .iter()
        .map(|item| json!({"content": item.content, "status": item.status.as_str(), "activeForm": item.content}))
        .collect();
    json!({"todos": todos})
}
