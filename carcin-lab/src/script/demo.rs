//! What Claude does with ordinary text: a friendly answer, and a few natural words that show a feature.

use std::time::Duration;

use serde_json::json;

use super::{Step, TodoItem, TodoStatus, ToolCall};

/// Which words bring which behaviour; the first match wins.
const KEYWORDS: [(&[&str], fn(&str) -> Vec<Step>); 7] = [
    (&["list files", "tool"], list_files),
    (&["plan"], plan),
    (&["todo", "steps"], todo_list),
    (&["create", "write"], create_file),
    (&["long", "count", "story"], long_story),
    (&["ask"], ask),
    (&["error", "overloaded"], overloaded),
];

/// The steps for a prompt that carries no script.
pub fn steps(prompt: &str) -> Vec<Step> {
    let lower = prompt.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let normal = format!(" {} ", words.join(" "));
    KEYWORDS
        .iter()
        .find(|(keywords, _)| keywords.iter().any(|keyword| normal.contains(&format!(" {keyword} "))))
        .map_or_else(|| friendly(prompt), |(_, behaviour)| behaviour(prompt))
}

fn friendly(prompt: &str) -> Vec<Step> {
    vec![Step::Text(format!(
        "You said: “{}”.\n\nI am a **scripted** Claude, so I know only a few tricks:\n\n- *list files* runs a tool\n- *create a \
         file* asks for permission first\n- *tell a long story* streams slowly\n- *ask me* asks a question\n- *make a plan* \
         shows a plan to approve\n- *todo* keeps a todo list",
        prompt.trim()
    ))]
}

fn list_files(_: &str) -> Vec<Step> {
    vec![
        Step::Text("I will look at the working directory.".to_owned()),
        tool("Bash", json!({"command": "ls -la", "description": "List files"})),
        Step::EchoResult,
    ]
}

fn create_file(_: &str) -> Vec<Step> {
    vec![
        Step::Text("I will create a small file.".to_owned()),
        tool("Write", json!({"file_path": "$CWD/hello.md", "content": "# Hello\n\nWritten from a phone.\n"})),
        Step::EchoResult,
    ]
}

fn long_story(_: &str) -> Vec<Step> {
    vec![Step::Stream { words: 400, every: Duration::from_millis(50) }]
}

fn ask(_: &str) -> Vec<Step> {
    let options = json!([
        {"label": "Tea", "description": "Green, no sugar"},
        {"label": "Coffee", "description": "Black and strong"},
    ]);
    let question = json!({"question": "What would you like to drink?", "header": "Drink", "options": options,
        "multiSelect": false});
    vec![tool("AskUserQuestion", json!({"questions": [question]})), Step::EchoResult]
}

fn plan(prompt: &str) -> Vec<Step> {
    let content =
        format!("# Plan\n\nFor “{}”:\n\n1. Look around\n2. Make the change\n3. Check it\n", prompt.trim());
    vec![
        Step::Text("Let me think about how to go about it.".to_owned()),
        tool("EnterPlanMode", json!({})),
        tool("Write", json!({"file_path": "$PLAN_FILE", "content": content})),
        tool("ExitPlanMode", json!({})),
        Step::EchoResult,
    ]
}

fn todo_list(_: &str) -> Vec<Step> {
    let list = |statuses: [TodoStatus; 3]| {
        let items = ["Read the code", "Make the change", "Run the tests"].into_iter().zip(statuses);
        Step::Todo(items.map(|(content, status)| TodoItem { content: content.to_owned(), status }).collect())
    };
    let pause = || Step::Delay(Duration::from_secs(1));
    use TodoStatus::{Completed, InProgress, Pending};
    vec![
        list([InProgress, Pending, Pending]),
        pause(),
        list([Completed, InProgress, Pending]),
        pause(),
        list([Completed, Completed, InProgress]),
        pause(),
        list([Completed, Completed, Completed]),
        Step::Text("All three are done.".to_owned()),
    ]
}

fn overloaded(_: &str) -> Vec<Step> {
    vec![
        Step::Error { status: 529, kind: "overloaded_error".to_owned(), times: Some(2) },
        Step::Text("It was overloaded twice, then it worked.".to_owned()),
    ]
}

fn tool(name: &str, input: serde_json::Value) -> Step {
    Step::Tools(vec![ToolCall { name: name.to_owned(), input }])
}
