//! What Claude asks, and how to answer it.

use carcin_proto::event::{Ask, ElicitationAsk, PermissionAsk, PlanAsk, Question};

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
    let words =
        if ask.suggestions.is_empty() { "allow | deny [REASON]" } else { "allow | always | deny [REASON]" };
    (body, vec![words.to_owned()])
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
