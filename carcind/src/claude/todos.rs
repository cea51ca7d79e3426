//! The todo list, as the todo tools leave it.

use std::collections::VecDeque;

use carcin_proto::ToolUseId;
use carcin_proto::event::{Todo, TodoStatus};
use serde::{Deserialize, Serialize};

use super::json::Object;
use super::text::one_line;

/// How many uses may be on their way at once; of more, the oldest are forgotten.
const MAX_OPEN: usize = 256;
/// How many todos are kept.
const MAX_TODOS: usize = 1000;
/// The longest text of a todo, in characters.
const MAX_CHARS: usize = 400;

/// Follows `TodoWrite`, and `TaskCreate`, `TaskUpdate` and `TaskList`, whichever this Claude has. A use counts when it
/// came back without an error. Serialises, to outlive the daemon. Feed it what Claude itself does, not its subagents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todos {
    #[serde(rename = "todos")]
    current: Vec<Todo>,
    open: VecDeque<(ToolUseId, Use)>,
    /// Todos of earlier lists. Claude Code keeps them in the session and may still name them.
    #[serde(default)]
    earlier: Vec<Todo>,
    /// The list was there before the latest prompt, and Claude has changed none of it since.
    #[serde(default)]
    untouched: bool,
}

/// What a use of a todo tool is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Use {
    Replace(Vec<Todo>),
    Create(String),
    Update { id: String, text: Option<String>, status: Option<TodoStatus>, deleted: bool },
    List,
}

impl Todos {
    /// Somebody's prompt begins a turn. Todos that Claude creates next are a new list, unless it first goes on with
    /// this one. Whether anything changed that is to be stored.
    pub fn prompted(&mut self) -> bool {
        let before = std::mem::replace(&mut self.untouched, !self.current.is_empty());
        before != self.untouched
    }

    /// A tool use begins; `input` is its raw JSON. Whether it is one to follow.
    pub fn started(&mut self, tool_use: &ToolUseId, name: &str, input: &str) -> bool {
        let Some(todo_use) = todo_use(name, input) else { return false };
        self.open.retain(|(open, _)| open != tool_use);
        if self.open.len() == MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back((tool_use.clone(), todo_use));
        true
    }

    /// Whether this use is followed, and has not come back.
    pub fn is_open(&self, tool_use: &ToolUseId) -> bool {
        self.open.iter().any(|(open, _)| open == tool_use)
    }

    /// A tool use came back, with the fields of [`ToolResult`](super::ToolResult). `Some`: it changed the list,
    /// which is this now.
    pub fn finished(
        &mut self,
        tool_use: &ToolUseId,
        is_error: bool,
        output: &str,
        structured: &str,
    ) -> Option<Vec<Todo>> {
        let at = self.open.iter().position(|(open, _)| open == tool_use)?;
        let (_, todo_use) = self.open.remove(at)?;
        let told = Object::parse(structured);
        if is_error || told.as_ref().is_some_and(|told| told.raw("success") == Some("false")) {
            return None;
        }
        let before = self.current.clone();
        self.apply(todo_use, output, told.as_ref());
        self.current.truncate(MAX_TODOS);
        let surplus = self.earlier.len().saturating_sub(MAX_TODOS);
        self.earlier.drain(..surplus);
        (self.current != before).then(|| self.current.clone())
    }

    /// The list now.
    pub fn list(&self) -> &[Todo] {
        &self.current
    }

    fn apply(&mut self, todo_use: Use, output: &str, told: Option<&Object<'_>>) {
        match todo_use {
            Use::Replace(todos) => {
                self.current = todos;
                self.untouched = false;
            }
            Use::Create(text) => {
                let Some(id) = created_id(output, told) else { return };
                if std::mem::take(&mut self.untouched) {
                    self.earlier.append(&mut self.current);
                }
                self.earlier.retain(|todo| todo.id != id);
                self.current.retain(|todo| todo.id != id);
                self.current.push(Todo { id, text, status: TodoStatus::Pending });
            }
            Use::Update { id, deleted: true, .. } => {
                self.current.retain(|todo| todo.id != id);
                self.earlier.retain(|todo| todo.id != id);
            }
            Use::Update { id, text, status, deleted: false } => self.update(id, text, status),
            Use::List => {
                if let Some(told) = told.filter(|told| told.raw("tasks").is_some()) {
                    let all = told.objects("tasks").filter_map(|task| todo(&task, "subject"));
                    let is_earlier = |todo: &Todo| self.earlier.iter().any(|earlier| earlier.id == todo.id);
                    self.current = all.filter(|todo| !is_earlier(todo)).collect();
                }
            }
        }
    }

    /// One that is not known, from before Carcin followed the session, is known from here on.
    fn update(&mut self, id: String, text: Option<String>, status: Option<TodoStatus>) {
        self.untouched = false;
        if let Some(at) = self.earlier.iter().position(|todo| todo.id == id) {
            let todo = self.earlier.remove(at);
            self.current.insert(0, todo);
        }
        if let Some(todo) = self.current.iter_mut().find(|todo| todo.id == id) {
            todo.status = status.unwrap_or(todo.status);
            todo.text = text.unwrap_or_else(|| std::mem::take(&mut todo.text));
        } else if let Some(status) = status {
            let text = text.unwrap_or_else(|| format!("Task {id}"));
            self.current.push(Todo { id, text, status });
        }
    }
}

/// `None`: not a todo tool, or its input says nothing.
fn todo_use(name: &str, input: &str) -> Option<Use> {
    let input = || Object::parse(input);
    match name {
        "TaskList" => Some(Use::List),
        "TodoWrite" => {
            let input = input()?;
            let todos = input.objects("todos").enumerate().filter_map(|(place, item)| {
                Some(Todo { id: (place + 1).to_string(), ..todo(&item, "content")? })
            });
            input.list("todos").map(|_| Use::Replace(todos.collect()))
        }
        "TaskCreate" => text(&input()?, "subject").map(Use::Create),
        "TaskUpdate" => {
            let input = input()?;
            let told = input.text_or_empty("status");
            let status = status(&told);
            let id = input.text("taskId")?;
            Some(Use::Update { id, text: text(&input, "subject"), status, deleted: told == "deleted" })
        }
        _ => None,
    }
}

fn todo(item: &Object<'_>, name: &str) -> Option<Todo> {
    let status = status(&item.text_or_empty("status")).unwrap_or(TodoStatus::Pending);
    Some(Todo { id: item.text_or_empty("id"), text: text(item, name)?, status })
}

fn text(item: &Object<'_>, name: &str) -> Option<String> {
    item.text(name).map(|text| one_line(&text, MAX_CHARS)).filter(|text| !text.is_empty())
}

fn status(told: &str) -> Option<TodoStatus> {
    match told {
        "pending" => Some(TodoStatus::Pending),
        "in_progress" => Some(TodoStatus::InProgress),
        "completed" => Some(TodoStatus::Completed),
        _ => None,
    }
}

/// From the structured result, else from the sentence "Task #1 created successfully: …".
fn created_id(output: &str, told: Option<&Object<'_>>) -> Option<String> {
    let told = told.and_then(|told| told.object("task")).and_then(|task| task.text("id"));
    told.or_else(|| {
        let (_, rest) = output.split_once("Task #")?;
        let end = rest.find(char::is_whitespace)?;
        Some(rest[..end].to_owned())
    })
}
