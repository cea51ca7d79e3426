//! The telling argument of a tool use.

use super::json::{self, Object};
use super::text::one_line;

/// The longest summary, in characters.
const MAX_CHARS: usize = 400;

/// The arguments that tell what a use is about, the most telling first.
const TELLING: &[&str] = &[
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "query",
    "url",
    "description",
    "subject",
    "skill",
    "question",
    "plan",
    "path",
    "name",
    "title",
    "prompt",
    "message",
    "text",
    "id",
];

/// The telling argument (path, command, pattern, query, …) of a use of `tool`, from its raw JSON input: one
/// line, at most 400 characters; empty where there is none.
pub fn summary(tool: &str, input: &str) -> String {
    let Some(input) = Object::parse(input) else { return String::new() };
    let own = match tool {
        "TodoWrite" => Some(todos(&input)),
        "AskUserQuestion" => {
            Some(joined(input.objects("questions").iter().map(|question| question.text_or_empty("question"))))
        }
        "TaskUpdate" => Some(joined(
            [input.text("taskId").map(|id| format!("#{id}")), input.text("subject"), input.text("status")]
                .into_iter()
                .flatten(),
        )),
        "TaskGet" | "TaskStop" | "TaskOutput" => input.text("taskId").or_else(|| input.text("task_id")),
        "Skill" => Some(joined([input.text("skill"), input.text("args")].into_iter().flatten())),
        "Grep" | "Glob" => Some(joined([input.text("pattern"), input.text("path")].into_iter().flatten())),
        // What an agent is asked is long; its description is made to be shown.
        "Task" | "Agent" => input.text("description"),
        _ => None,
    };
    let telling = own
        .or_else(|| TELLING.iter().find_map(|name| input.text(name).filter(|text| !text.trim().is_empty())));
    one_line(&telling.or_else(|| first_text(&input)).unwrap_or_default(), MAX_CHARS)
}

/// What is in progress, and how far the list is.
fn todos(input: &Object<'_>) -> String {
    let todos = input.objects("todos");
    let having =
        |status: &str| todos.iter().filter(|todo| todo.text_or_empty("status") == status).collect::<Vec<_>>();
    let now = having("in_progress").first().map(|todo| todo.text_or_empty("content"));
    let done = format!("{}/{}", having("completed").len(), todos.len());
    joined([Some(done), now].into_iter().flatten())
}

fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(" ")
}

/// For tools of which nothing is known: the first string.
fn first_text(input: &Object<'_>) -> Option<String> {
    input.fields().find_map(|(_, raw)| json::text(raw).filter(|text| !text.trim().is_empty()))
}
