//! What Claude asks, and how to answer it.

use carcin_proto::event::{Ask, ElicitationAsk, PermissionAsk, PlanAsk, Question};

use serde_json::Value;

use super::style::Style;
use super::text::{count, lines, one_line, push_line};

/// In one line: what is asked.
pub(super) fn headline(ask: &Ask) -> String {
    one_line(&match ask {
        Ask::Permission(permission) if permission.summary.is_empty() => {
            format!("may Claude use {}?", permission.tool)
        }
        Ask::Permission(permission) => format!("may Claude use {}: {}", permission.tool, permission.summary),
        Ask::Questions(questions) => match questions.as_slice() {
            [question] => question.question.clone(),
            questions => format!("{} questions", questions.len()),
        },
        Ask::Plan(_) => "is this plan good?".to_owned(),
        Ask::Elicitation(elicitation) => format!("{} asks: {}", elicitation.server, elicitation.message),
    })
}

/// All of it, and the command that answers, for the request that `id` names.
pub(super) fn render(ask: &Ask, id: &str, style: Style) -> String {
    let (body, words) = match ask {
        Ask::Permission(permission) => permission_body(permission),
        Ask::Questions(questions) => questions_body(questions),
        Ask::Plan(plan) => plan_body(plan),
        Ask::Elicitation(elicitation) => elicitation_body(elicitation),
    };
    let mut out = format!("{}\n", style.bold(&headline(ask)));
    for line in body {
        push_line(&mut out, format!("  {line}").trim_end());
    }
    for words in words {
        push_line(&mut out, &format!("  {}", style.cyan(&format!("carcin-ctl answer {id} {words}"))));
    }
    out
}

/// What there is to read, and what to say.
type Body = (Vec<String>, Vec<String>);

/// The most lines of what a tool would do that are shown.
const MAX_LINES: usize = 60;

/// What the tool would run or write, line by line: the command, the new content, the edit. Empty where the headline
/// says it all.
fn effect(ask: &PermissionAsk) -> Vec<String> {
    let input: Value = serde_json::from_str(&ask.input).unwrap_or_default();
    let text = |value: &Value, name: &str| value[name].as_str().map(lines);
    let marked =
        |mark: &str, text: String| text.lines().map(|line| format!("{mark}{line}")).collect::<Vec<_>>();
    let edit = |edit: &Value| {
        let (old, new) = (text(edit, "old_string"), text(edit, "new_string"));
        [old.map(|old| marked("- ", old)), new.map(|new| marked("+ ", new))]
    };
    let mut effect: Vec<String> = if let Some(command) = text(&input, "command") {
        if command.trim() == ask.summary.trim() { Vec::new() } else { marked("$ ", command) }
    } else if let Some(content) = text(&input, "content") {
        marked("+ ", content)
    } else if let Some(edits) = input["edits"].as_array() {
        edits.iter().flat_map(edit).flatten().flatten().collect()
    } else {
        edit(&input).into_iter().flatten().flatten().collect()
    };
    if effect.len() > MAX_LINES {
        let more = effect.len() - MAX_LINES;
        effect.truncate(MAX_LINES);
        effect.push(format!("… {}", count(more, "more line")));
    }
    effect
}

fn permission_body(ask: &PermissionAsk) -> Body {
    let mut body = effect(ask);
    if !ask.description.is_empty() && ask.description != ask.summary {
        body.push(one_line(&ask.description));
    }
    if !ask.reason.is_empty() {
        body.push(format!("why: {}", one_line(&ask.reason)));
    }
    if let Some(path) = &ask.blocked_path {
        body.push(format!("out of bounds: {}", one_line(path)));
    }
    let grants = grants(ask);
    let words = match grants.len() {
        0 => "allow | deny [REASON]",
        1 => "allow | always | deny [REASON]",
        _ => "allow | always NUMBER | deny [REASON]",
    };
    for (at, grant) in grants.iter().enumerate() {
        body.push(format!("always {}: {}", at + 1, one_line(grant)));
    }
    (body, vec![words.to_owned()])
}

/// What "always" can grant, a line for each of Claude's suggestions.
pub(super) fn grants(ask: &PermissionAsk) -> Vec<String> {
    let updates: Vec<Value> = serde_json::from_str(&ask.suggestions).unwrap_or_default();
    updates.iter().map(grant).collect()
}

fn grant(update: &Value) -> String {
    let list = |name: &str| update[name].as_array().into_iter().flatten();
    let rule = |rule: &Value| match (rule["toolName"].as_str(), rule["ruleContent"].as_str()) {
        (Some(tool), Some(content)) => format!("{tool}({content})"),
        (tool, _) => tool.unwrap_or("?").to_owned(),
    };
    let what = match update["type"].as_str().unwrap_or_default() {
        "addRules" => {
            let rules = list("rules").map(rule).collect::<Vec<_>>().join(", ");
            format!("{} {rules}", update["behavior"].as_str().unwrap_or("allow"))
        }
        "addDirectories" => {
            let directories: Vec<_> = list("directories").filter_map(Value::as_str).collect();
            format!("allow access to {}", directories.join(", "))
        }
        "setMode" => format!("switch to mode {}", update["mode"].as_str().unwrap_or("?")),
        _ => return update.to_string(),
    };
    match update["destination"].as_str() {
        Some("session") => format!("{what}, in this session"),
        Some("localSettings" | "projectSettings") => format!("{what}, in this project"),
        Some("userSettings") => format!("{what}, everywhere"),
        _ => what,
    }
}

fn questions_body(questions: &[Question]) -> Body {
    let mut body = Vec::new();
    for (at, question) in questions.iter().enumerate() {
        let several = if question.multi_select { " (several, separated by commas)" } else { "" };
        if questions.len() > 1 {
            body.push(format!("{}. {}{several}", at + 1, one_line(&question.question)));
        } else if !several.is_empty() {
            body.push(several.trim_start().to_owned());
        }
        for option in &question.options {
            let label = one_line(&option.label);
            body.push(match one_line(&option.description) {
                description if description.is_empty() => format!("- {label}"),
                description => format!("- {label}: {description}"),
            });
        }
    }
    let answer = if questions.len() > 1 {
        (1..=questions.len()).map(|at| format!("--question {at}=LABEL")).collect::<Vec<_>>().join(" ")
    } else {
        "LABEL".to_owned()
    };
    (body, vec![answer, "deny [REASON]".to_owned()])
}

fn plan_body(plan: &PlanAsk) -> Body {
    let mut body: Vec<String> = lines(&plan.plan).lines().map(str::to_owned).collect();
    if let Some(path) = &plan.path {
        body.push(format!("in {}", one_line(&path.display().to_string())));
    }
    (body, vec!["allow | always | deny [REASON]".to_owned()])
}

fn elicitation_body(ask: &ElicitationAsk) -> Body {
    match &ask.url {
        Some(url) => (vec![format!("open {}", one_line(url))], vec!["allow | deny".to_owned()]),
        None => (
            vec![format!("it wants: {}", one_line(&ask.schema))],
            vec!["'{\"field\": \"value\"}'".to_owned(), "deny".to_owned()],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(summary: &str, input: &Value) -> Vec<String> {
        let Ask::Permission(ask) = super::super::pending::tests::permission() else { panic!("a permission") };
        effect(&PermissionAsk { summary: summary.into(), input: input.to_string(), ..ask })
    }

    #[test]
    fn a_permission_shows_what_would_be_run_or_written() {
        use serde_json::json;
        assert_eq!(shown("ls", &json!({"command": "ls"})), Vec::<String>::new(), "the headline says it");
        assert_eq!(shown("make …", &json!({"command": "make\nmake install"})), ["$ make", "$ make install"]);
        assert_eq!(
            shown("a.txt", &json!({"file_path": "a.txt", "content": "one\ntwo\n"})),
            ["+ one", "+ two"]
        );
        assert_eq!(
            shown("a.txt", &json!({"old_string": "one", "new_string": "1\n2"})),
            ["- one", "+ 1", "+ 2"]
        );
        let edits =
            json!({"edits": [{"old_string": "a", "new_string": "b"}, {"old_string": "c", "new_string": ""}]});
        assert_eq!(shown("a.txt", &edits), ["- a", "+ b", "- c"]);
        assert_eq!(shown("x", &json!({"url": "https://example.org"})), Vec::<String>::new());
        let long = "x\n".repeat(MAX_LINES + 2);
        assert_eq!(shown("a", &json!({"content": long})).last().map(String::as_str), Some("… 2 more lines"));
    }

    #[test]
    fn what_would_be_written_cannot_move_the_cursor() {
        let lines = shown("a", &serde_json::json!({"content": "a\u{1b}[2Jb"}));
        assert!(!lines.concat().contains('\u{1b}'), "{lines:?}");
    }
}
