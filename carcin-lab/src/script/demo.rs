//! What Claude does with ordinary text: a friendly answer, and a few natural words that show a feature.

use std::time::Duration;

use serde_json::json;

use super::TodoStatus::{self, Completed, InProgress, Pending};
use super::{Step, TodoItem, ToolCall};

/// The steps for a prompt.
type Behaviour = fn(&str) -> Vec<Step>;

/// What to write to see something, and what it shows.
pub const TRICKS: [(&str, &str); 9] = [
    ("fix the test", "reads, edits and runs files, and asks you first"),
    ("list files", "runs a tool that needs no permission"),
    ("create a file", "asks for permission"),
    ("tell a long story", "takes a while: time to /stop it, or to restart something"),
    ("ask me", "asks a question"),
    ("make a plan", "shows a plan to approve"),
    ("todo", "keeps a todo list"),
    ("review the code", "thinks, sends out a subagent, keeps a todo list"),
    ("send me a file", "sends a file"),
];

/// The project that [`TRICKS`] are about, as file names and contents. One of them has a defect.
pub const PROJECT: [(&str, &str); 3] = [
    ("README.md", "# Greeter\n\nGreets everyone whose name is given: `sh greet.sh Ann Bob`\n"),
    ("greet.sh", "# Greets everyone whose name is given.\necho \"Hello, $1!\"\n"),
    (
        "test.sh",
        "want='Hello, Ann Bob!'\ngot=$(sh greet.sh Ann Bob)\nif [ \"$got\" = \"$want\" ]; then\n  echo \"ok: $got\"\nelse\n  \
         echo \"failed: wanted $want, got $got\"\n  exit 1\nfi\n",
    ),
];

/// Which words bring which behaviour; the first match wins.
const KEYWORDS: [(&[&str], Behaviour); 10] = [
    (&["fix"], fix_test),
    (&["list files", "tool"], list_files),
    (&["plan"], plan),
    (&["review"], review),
    (&["send me"], send_file),
    (&["todo", "steps"], todo_list),
    (&["create", "write"], create_file),
    (&["long", "count", "story"], long_story),
    (&["ask"], ask),
    (&["overloaded"], overloaded),
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
    let tricks = TRICKS.map(|(word, shows)| format!("- **{word}**: {shows}")).join("\n");
    vec![Step::Text(format!(
        "You said: “{}”.\n\nMy words come from a *script*, so I know only a few tricks. Write to me:\n\n{tricks}",
        prompt.trim()
    ))]
}

fn fix_test(_: &str) -> Vec<Step> {
    let file = |name: &str| format!("$CWD/{name}");
    let read = |name: &str| ToolCall { name: "Read".to_owned(), input: json!({"file_path": file(name)}) };
    let edit = json!({"file_path": file("greet.sh"), "old_string": "Hello, $1!", "new_string": "Hello, $*!"});
    vec![
        Step::Text("I will look at the script and at its test.".to_owned()),
        Step::Tools(vec![read("greet.sh"), read("test.sh")]),
        Step::Text(
            "Here is the defect. `greet.sh` greets **only the first** name:\n\n- it says `$1`, the first argument\n- it \
             needs `$*`, all of them"
                .to_owned(),
        ),
        tool("Edit", edit),
        tool("Bash", json!({"command": "sh test.sh", "description": "Run the test"})),
        Step::EchoResult,
    ]
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
    vec![Step::Stream { words: 400, chars: None, every: Duration::from_millis(50) }]
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

fn review(_: &str) -> Vec<Step> {
    let list = |statuses: [TodoStatus; 3]| {
        let items = ["Read the script", "Check every name", "Say what I found"].into_iter().zip(statuses);
        Step::Todo(items.map(|(content, status)| TodoItem { content: content.to_owned(), status }).collect())
    };
    let pause = || Step::Delay(Duration::from_secs(3));
    let prompt = "!tool Read {\"file_path\":\"$CWD/greet.sh\"}\n!tool Read {\"file_path\":\"$CWD/test.sh\"}\n!delay 2s\n\
                  !text `greet.sh` uses only `$1`.";
    let agent =
        json!({"description": "Look for lost names", "prompt": prompt, "subagent_type": "general-purpose"});
    vec![
        Step::Think("A script of two lines. What happens to the second name?".to_owned()),
        list([InProgress, Pending, Pending]),
        tool("Read", json!({"file_path": "$CWD/README.md"})),
        list([Completed, InProgress, Pending]),
        pause(),
        tool("Agent", agent),
        list([Completed, Completed, InProgress]),
        pause(),
        list([Completed, Completed, Completed]),
        Step::Text("The greeter loses **every name but the first**: `$1` should be `$*`.".to_owned()),
    ]
}

fn send_file(_: &str) -> Vec<Step> {
    let said = "Here is the script that greets.\n\n[[telegram:send:$CWD/greet.sh]]";
    vec![tool("Read", json!({"file_path": "$CWD/greet.sh"})), Step::Text(said.to_owned())]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn first_tool(prompt: &str) -> Option<String> {
        steps(prompt).into_iter().find_map(|step| match step {
            Step::Tools(calls) => Some(calls[0].name.clone()),
            _ => None,
        })
    }

    #[test]
    fn natural_words_show_a_feature() {
        assert_eq!(first_tool("Fix the test, please").as_deref(), Some("Read"));
        assert_eq!(first_tool("Please list files here").as_deref(), Some("Bash"));
        assert_eq!(first_tool("Create a file!").as_deref(), Some("Write"));
        assert_eq!(first_tool("ask me something").as_deref(), Some("AskUserQuestion"));
        assert_eq!(first_tool("Make a plan").as_deref(), Some("EnterPlanMode"));
        assert!(matches!(steps("tell me a long story")[..], [Step::Stream { .. }]));
    }

    #[test]
    fn every_trick_is_one() {
        for (word, _) in TRICKS {
            assert!(!matches!(steps(word)[..], [Step::Text(_)]), "{word}");
        }
    }

    #[test]
    fn a_word_within_a_word_is_no_keyword() {
        for prompt in ["the task is planned", "a country", "basket"] {
            assert!(matches!(steps(prompt)[..], [Step::Text(_)]), "{prompt}");
        }
    }

    #[test]
    fn anything_else_is_said_back() {
        let [Step::Text(text)] = &steps("Good morning ")[..] else { panic!("one text") };
        assert!(text.starts_with("You said: “Good morning”."));
    }
}
