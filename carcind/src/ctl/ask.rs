//! What Claude asks, and how to answer it.

use carcin_proto::event::{Ask, ElicitationAsk, PermissionAsk, PlanAsk, Question};

use serde_json::Value;

use super::style::Style;
use super::text::{lines, one_line, push_line};

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

fn permission_body(ask: &PermissionAsk) -> Body {
    let mut body = Vec::new();
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
