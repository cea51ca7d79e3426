//! What Claude asks, as a message with buttons, and what becomes of it.

use carcin_proto::event::{Ask, PermissionAsk, PlanAsk, Question, Settlement};
use carcin_proto::request::Decision;
use serde_json::Value;

use super::phrases::one_line;
use crate::markdown::{self, Text, TextBuilder, truncate};
use crate::message::{Button, Message};

/// The longest label of a button, in characters; the message has the whole.
const LABEL: usize = 40;
/// The longest excerpt of what a tool is to do, in UTF-16 code units.
const EXCERPT: usize = 1_500;
/// The longest plan shown, in UTF-16 code units: with the rest around it, within one message.
const PLAN: usize = 3_500;

/// The prefix of the data of an answer's button.
pub const ANSWER: &str = "a";
/// The prefix of the data of the button that runs a prompt again.
pub const RERUN: &str = "p";

/// The message that asks, its buttons carrying `nonce`. `request` is what `carcin-ctl answer` takes.
pub fn question(ask: &Ask, nonce: &str, request: &str) -> Message {
    let labels = choices(ask);
    let mut text = TextBuilder::new();
    text.append(&body(ask));
    if labels.is_empty() {
        text.blank_line().push("Answer it on the machine: ").code(&format!("carcin-ctl answer {request} …"));
    }
    let buttons = labels.into_iter().enumerate().map(|(index, (label, _))| Button {
        label: one_line(&label, LABEL),
        data: format!("{ANSWER}:{nonce}:{index}"),
    });
    Message::loud(text.build()).with_buttons(rows(ask, buttons.collect()))
}

/// The message after the request is settled: what was asked, what was answered, by whom; no buttons.
pub fn settled(ask: &Ask, outcome: &str) -> Message {
    let mut text = TextBuilder::new();
    text.append(&body(ask)).blank_line().bold(outcome);
    Message::silent(text.build())
}

/// How a request was settled, in words.
pub fn outcome(ask: &Ask, settlement: &Settlement, by: &str) -> String {
    let by = one_line(by, LABEL);
    match settlement {
        Settlement::Allowed if matches!(ask, Ask::Plan(_)) => format!("✅ Approved by {by}"),
        Settlement::Allowed => format!("✅ Allowed by {by}"),
        Settlement::AllowedAlways => format!("✅ Always allowed by {by}"),
        Settlement::Denied(_) if matches!(ask, Ask::Plan(_)) => format!("✏️ {by}: keep planning"),
        Settlement::Denied(_) => format!("🚫 Denied by {by}"),
        Settlement::Answered(answers) => {
            let answers: Vec<&str> = answers.iter().map(|(_, answer)| answer.as_str()).collect();
            format!("💬 {by}: {}", one_line(&answers.join("; "), 200))
        }
        Settlement::Withdrawn(why) => format!("⌛ No longer asked: {}", one_line(why, 200)),
    }
}

/// The decision behind a button of this request; `None`: there is no such button.
pub fn decision(ask: &Ask, index: usize) -> Option<Decision> {
    choices(ask).into_iter().nth(index).map(|(_, decision)| decision)
}

/// The buttons, each with the decision behind it. Empty: this cannot be answered by buttons.
fn choices(ask: &Ask) -> Vec<(String, Decision)> {
    let deny = |reason: &str| Decision::Deny(reason.to_owned());
    match ask {
        Ask::Permission(ask) => {
            let mut choices = vec![("✅ Allow".to_owned(), Decision::Allow)];
            if !ask.suggestions.is_empty() {
                choices.push(("♾ Always".to_owned(), Decision::AllowAlways));
            }
            choices.push(("🚫 Deny".to_owned(), deny("The user denied this.")));
            choices
        }
        Ask::Plan(_) => vec![
            ("✅ Approve".to_owned(), Decision::Allow),
            ("✏️ Keep planning".to_owned(), deny("The user wants you to keep planning.")),
        ],
        Ask::Questions(questions) => match &questions[..] {
            [question] if !question.multi_select => question
                .options
                .iter()
                .map(|option| {
                    let answer = vec![(question.question.clone(), option.label.clone())];
                    (option.label.clone(), Decision::Answers(answer))
                })
                .collect(),
            _ => Vec::new(),
        },
        Ask::Elicitation(_) => Vec::new(),
    }
}

/// Options are sentences, one a row; the others are words, side by side.
fn rows(ask: &Ask, buttons: Vec<Button>) -> Vec<Vec<Button>> {
    match ask {
        _ if buttons.is_empty() => Vec::new(),
        Ask::Questions(_) => buttons.into_iter().map(|button| vec![button]).collect(),
        _ => vec![buttons],
    }
}

fn body(ask: &Ask) -> Text {
    match ask {
        Ask::Permission(ask) => permission(ask),
        Ask::Plan(ask) => plan(ask),
        Ask::Questions(questions) => many_questions(questions),
        Ask::Elicitation(ask) => {
            let mut text = TextBuilder::new();
            text.push("❓ ").bold(&format!("{} asks", ask.server)).newline().push(&ask.message);
            if let Some(url) = &ask.url {
                text.newline().push(url);
            }
            truncate(&text.build(), PLAN)
        }
    }
}

fn permission(ask: &PermissionAsk) -> Text {
    let mut text = TextBuilder::new();
    text.push("🔐 ").bold(&format!("May I use {}?", one_line(&ask.tool, LABEL)));
    if let Some(path) = path(ask) {
        text.newline().code(&path);
    }
    let (detail, language) = detail(ask);
    for line in [&ask.description, &ask.reason] {
        // Where Claude has nothing to say of it, it repeats the command, or the file's name.
        if !detail.contains(line.trim()) && !ask.summary.ends_with(line.trim()) {
            text.newline().push(&one_line(line, 300));
        }
    }
    if !detail.trim().is_empty() {
        let whole = pre(&detail, language);
        text.newline().append(&truncate(&whole, EXCERPT));
        if whole.units() > EXCERPT {
            // Nobody is to allow what they have not seen without knowing it.
            text.newline().push("⚠️ ").bold(&format!("Shortened: all of it is {} characters", whole.units()));
        }
    }
    if let Some(path) = &ask.blocked_path {
        text.newline().push("Out of bounds: ").code(path);
    }
    if let Some(scope) = scope(&ask.suggestions) {
        text.newline().push("Always: ").code(&one_line(&scope, 200));
    }
    text.build()
}

fn pre(code: &str, language: Option<&str>) -> Text {
    let mut text = TextBuilder::new();
    text.pre(code, language);
    text.build()
}

/// The file that the tool is about.
fn path(ask: &PermissionAsk) -> Option<String> {
    let input: Value = serde_json::from_str(&ask.input).ok()?;
    let named = ["file_path", "notebook_path"].into_iter().find_map(|name| input[name].as_str());
    named.map(str::to_owned)
}

/// What the tool is to do: a command in full, a path, else the telling argument, else the raw input.
fn detail(ask: &PermissionAsk) -> (String, Option<&'static str>) {
    let input: Value = serde_json::from_str(&ask.input).unwrap_or_default();
    if let Some(command) = input["command"].as_str() {
        return (command.to_owned(), Some("bash"));
    }
    if let (Some(old), Some(new)) = (input["old_string"].as_str(), input["new_string"].as_str()) {
        let marked = |sign: char, text: &str| -> Vec<String> {
            text.lines().map(|line| format!("{sign} {line}")).collect()
        };
        return ([marked('-', old), marked('+', new)].concat().join("\n"), Some("diff"));
    }
    if let Some(content) = input["content"].as_str() {
        return (content.to_owned(), None);
    }
    if path(ask).is_some() {
        return (String::new(), None);
    }
    if !ask.summary.trim().is_empty() {
        return (ask.summary.clone(), None);
    }
    (ask.input.clone(), Some("json"))
}

/// What "always" covers, as far as Claude's suggestions tell: `Bash(npm test:*), acceptEdits`.
fn scope(suggestions: &str) -> Option<String> {
    let updates: Vec<Value> = serde_json::from_str(suggestions).ok()?;
    let mut parts = Vec::new();
    for update in &updates {
        for rule in update["rules"].as_array().into_iter().flatten() {
            let tool = rule["toolName"].as_str()?;
            parts.push(match rule["ruleContent"].as_str() {
                Some(content) => format!("{tool}({content})"),
                None => tool.to_owned(),
            });
        }
        parts.extend(update["mode"].as_str().map(str::to_owned));
        let directories = update["directories"].as_array().into_iter().flatten();
        parts.extend(directories.filter_map(Value::as_str).map(str::to_owned));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn plan(ask: &PlanAsk) -> Text {
    let mut text = TextBuilder::new();
    text.push("📋 ").bold("Is this plan good?").newline();
    if ask.plan.trim().is_empty() {
        match &ask.path {
            Some(path) => text.push("It is in ").code(&path.to_string_lossy()),
            None => text.push("Claude does not show it."),
        };
    } else {
        text.append(&truncate(&markdown::render(&ask.plan), PLAN));
    }
    text.build()
}

fn many_questions(questions: &[Question]) -> Text {
    let mut text = TextBuilder::new();
    for question in questions {
        text.blank_line().push("❓ ").bold(&question.question);
        for option in &question.options {
            text.newline().push("• ").push(&option.label);
            if !option.description.trim().is_empty() {
                text.push(": ").push(&one_line(&option.description, 300));
            }
        }
    }
    truncate(&text.build(), PLAN)
}

#[cfg(test)]
mod tests {
    use carcin_proto::event::{ElicitationAsk, QuestionOption};

    use super::*;
    use crate::message::MAX_BUTTON_DATA;

    fn show(message: &Message) -> String {
        let rows: Vec<String> = message
            .buttons
            .iter()
            .map(|row| {
                row.iter().map(|b| format!("[{} | {}]", b.label, b.data)).collect::<Vec<_>>().join(" ")
            })
            .collect();
        format!("{}\n{}", message.text.text, rows.join("\n"))
    }

    fn bash() -> Ask {
        Ask::Permission(PermissionAsk {
            tool: "Bash".into(),
            tool_use: None,
            summary: "rm -rf build".into(),
            input: r#"{"command":"rm -rf build\nls","description":"Clean"}"#.into(),
            description: "Clean the build folder".into(),
            reason: String::new(),
            blocked_path: Some("/srv/build".into()),
            suggestions: r#"[{"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"rm:*"}],"behavior":"allow","destination":"session"},{"type":"setMode","mode":"acceptEdits","destination":"session"}]"#.into(),
        })
    }

    fn questions(multi_select: bool) -> Ask {
        Ask::Questions(vec![Question {
            question: "Which database?".into(),
            header: "DB".into(),
            options: vec![
                QuestionOption { label: "SQLite".into(), description: "no server".into() },
                QuestionOption {
                    label: "PostgreSQL, with everything that it takes to run it".into(),
                    description: String::new(),
                },
            ],
            multi_select,
        }])
    }

    fn plan_ask(plan: &str) -> Ask {
        Ask::Plan(PlanAsk { plan: plan.into(), path: Some("/home/ann/plan.md".into()) })
    }

    #[test]
    fn every_question_can_be_read_and_answered() {
        let elicitation = Ask::Elicitation(ElicitationAsk {
            server: "jira".into(),
            message: "Which project?".into(),
            url: None,
            schema: "{}".into(),
        });
        let mut edit = bash();
        if let Ask::Permission(ask) = &mut edit {
            *ask = PermissionAsk {
                tool: "Edit".into(),
                summary: "/srv/a.sh".into(),
                input: r#"{"file_path":"/srv/a.sh","old_string":"echo $1","new_string":"echo $*\nexit"}"#
                    .into(),
                description: "a.sh".into(),
                ..ask.clone()
            };
        }
        let mut write = bash();
        if let Ask::Permission(ask) = &mut write {
            *ask = PermissionAsk {
                tool: "Write".into(),
                summary: "/srv/a.txt".into(),
                input: r#"{"file_path":"/srv/a.txt","content":"one\ntwo\n"}"#.into(),
                suggestions: String::new(),
                blocked_path: None,
                ..ask.clone()
            };
        }
        let asks = [
            bash(),
            edit,
            write,
            plan_ask("1. **Read**\n2. Write"),
            plan_ask(""),
            questions(false),
            questions(true),
            elicitation,
        ];
        let shown: Vec<String> = asks.iter().map(|ask| show(&question(ask, "n0nce", "req-1"))).collect();
        insta::assert_snapshot!(shown.join("\n=====\n"));
    }

    #[test]
    fn a_settled_question_says_who_and_what_and_has_no_buttons() {
        let outcomes = [
            outcome(&bash(), &Settlement::Allowed, "Ann"),
            outcome(&bash(), &Settlement::AllowedAlways, "Ann"),
            outcome(&bash(), &Settlement::Denied("no".into()), "carcin-ctl"),
            outcome(&plan_ask("x"), &Settlement::Allowed, "Ann"),
            outcome(&plan_ask("x"), &Settlement::Denied("no".into()), "Ann"),
            outcome(
                &questions(false),
                &Settlement::Answered(vec![("Which?".into(), "SQLite".into())]),
                "Ann",
            ),
            outcome(&bash(), &Settlement::Withdrawn("Claude ended".into()), "claude"),
        ];
        let message = settled(&bash(), &outcomes[0]);
        assert!(message.buttons.is_empty() && !message.sound);
        insta::assert_snapshot!(format!("{}\n---\n{}", outcomes.join("\n"), message.text.text));
    }

    #[test]
    fn each_button_decides_what_it_says() {
        assert_eq!(decision(&bash(), 0), Some(Decision::Allow));
        assert_eq!(decision(&bash(), 1), Some(Decision::AllowAlways));
        assert!(matches!(decision(&bash(), 2), Some(Decision::Deny(_))));
        assert_eq!(decision(&bash(), 3), None);
        let answer = vec![("Which database?".to_owned(), "SQLite".to_owned())];
        assert_eq!(decision(&questions(false), 0), Some(Decision::Answers(answer)));
        assert_eq!(decision(&questions(true), 0), None, "several choices do not fit a button");
    }

    #[test]
    fn no_question_is_too_long_for_a_message() {
        let long = "x ".repeat(60_000);
        let mut ask = bash();
        if let Ask::Permission(permission) = &mut ask {
            permission.input = serde_json::json!({"command": long}).to_string();
            permission.description = long.clone();
            permission.reason = long.clone();
        }
        let nonce = "0123456789abcdef0123456789abcdef";
        for ask in [ask, plan_ask(&long)] {
            let message = question(&ask, nonce, &"r".repeat(256));
            assert!(message.text.units() <= markdown::MESSAGE_LIMIT, "{}", message.text.units());
            assert!(message.text.text.contains("Shortened") || matches!(ask, Ask::Plan(_)));
            assert!(settled(&ask, &"o".repeat(250)).text.units() <= markdown::MESSAGE_LIMIT);
            assert!(message.buttons.iter().flatten().all(|button| button.data.len() <= MAX_BUTTON_DATA));
        }
    }
}
