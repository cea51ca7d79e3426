//! The telling argument of a tool use.

use super::json::Object;
use super::string;
use super::text::one_line;

/// The longest summary, in characters.
const MAX_CHARS: usize = 400;
/// As much of an argument is looked at, in bytes: enough for a summary of it.
const LOOKED_AT: usize = 16 << 10;

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
        "AskUserQuestion" => Some(joined(
            input.objects("questions").map(|question| beginning(&question, "question").unwrap_or_default()),
        )),
        "TaskUpdate" => Some(joined(
            [
                beginning(&input, "taskId").map(|id| format!("#{id}")),
                beginning(&input, "subject"),
                beginning(&input, "status"),
            ]
            .into_iter()
            .flatten(),
        )),
        "TaskGet" | "TaskStop" | "TaskOutput" => {
            beginning(&input, "taskId").or_else(|| beginning(&input, "task_id"))
        }
        "Skill" => {
            Some(joined([beginning(&input, "skill"), beginning(&input, "args")].into_iter().flatten()))
        }
        "Grep" | "Glob" => {
            Some(joined([beginning(&input, "pattern"), beginning(&input, "path")].into_iter().flatten()))
        }
        // What an agent is asked is long; its description is made to be shown.
        "Task" | "Agent" => beginning(&input, "description"),
        _ => None,
    };
    let telling = own.or_else(|| {
        TELLING.iter().find_map(|name| beginning(&input, name).filter(|text| !text.trim().is_empty()))
    });
    one_line(&telling.or_else(|| first_text(&input)).unwrap_or_default(), MAX_CHARS)
}

/// What is in progress, and how far the list is.
fn todos(input: &Object<'_>) -> String {
    let (mut all, mut completed, mut now) = (0, 0, None);
    for todo in input.objects("todos") {
        all += 1;
        match todo.name_or_empty("status").as_str() {
            "completed" => completed += 1,
            "in_progress" if now.is_none() => now = Some(beginning(&todo, "content").unwrap_or_default()),
            _ => {}
        }
    }
    let done = format!("{completed}/{all}");
    joined([Some(done), now].into_iter().flatten())
}

fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(" ")
}

/// For tools of which nothing is known: the first string.
fn first_text(input: &Object<'_>) -> Option<String> {
    input.fields().find_map(|(_, raw)| {
        let (text, _) = string::decode(raw, LOOKED_AT)?;
        Some(text).filter(|text| !text.trim().is_empty())
    })
}

/// As much of a string as a summary can use.
fn beginning(object: &Object<'_>, name: &str) -> Option<String> {
    object.text_within(name, LOOKED_AT).map(|(text, _)| text)
}
