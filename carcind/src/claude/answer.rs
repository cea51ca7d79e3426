//! Answers to what Claude asks.

use std::collections::BTreeSet;

use carcin_proto::RequestId;
use carcin_proto::event::{Ask, ElicitationAsk, PermissionAsk, Question};
use carcin_proto::request::Decision;
use serde_json::{Map, Value, json};

use super::control::on_one_line;
use super::json::Object;

/// A decision that cannot be given to what is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Another kind of decision is needed.
    #[error("{decision} is no answer to {ask}")]
    DoesNotFit {
        /// The decision.
        decision: &'static str,
        /// What is asked.
        ask: &'static str,
    },
    /// A suggestion that Claude does not offer, or none at all.
    #[error("Claude offers no such permission to grant; allow it once")]
    NotOffered,
    /// An answer to what is not asked.
    #[error("nobody asks {0:?}")]
    NotAsked(String),
    /// A question without an answer.
    #[error("{0:?} is not answered")]
    Unanswered(String),
    /// An elicitation's content that is not a JSON object.
    #[error("the content must be a JSON object")]
    NotAnObject,
}

/// The answer to a question; `tool_input` is that of [`Asked`](super::Asked).
///
/// A permission is answered without its input, which leaves it as it was: answers stay small.
pub fn answer(
    request: &RequestId,
    ask: &Ask,
    tool_input: &str,
    decision: &Decision,
) -> Result<String, AnswerError> {
    let body = match (ask, decision) {
        (Ask::Elicitation(_), Decision::Deny(_)) => json!({ "action": "decline" }).to_string(),
        (Ask::Elicitation(_), Decision::Cancel) => json!({ "action": "cancel" }).to_string(),
        (_, Decision::Deny(reason)) => deny(reason),
        (Ask::Permission(_), Decision::Allow) => json!({ "behavior": "allow" }).to_string(),
        (Ask::Permission(ask), Decision::AllowAlways(granted)) => allow_always(ask, granted)?,
        (Ask::Plan(_), Decision::Allow) => allow_plan("default"),
        (Ask::Plan(_), Decision::AllowAlways(granted)) if granted.is_empty() => allow_plan("acceptEdits"),
        (Ask::Questions(questions), Decision::Answers(answers)) => {
            format!(r#"{{"behavior":"allow","updatedInput":{}}}"#, answered(questions, tool_input, answers)?)
        }
        (Ask::Elicitation(_), Decision::Content(content)) => accept(content)?,
        (Ask::Elicitation(ask), Decision::Allow) if needs_no_content(ask) => accept("{}")?,
        (ask, decision) => return Err(does_not_fit(ask, decision)),
    };
    let id = Value::from(request.as_str());
    let response = format!(r#"{{"subtype":"success","request_id":{id},"response":{body}}}"#);
    Ok(on_one_line(&format!(r#"{{"type":"control_response","response":{response}}}"#)))
}

fn deny(reason: &str) -> String {
    let message = if reason.trim().is_empty() { "The user said no." } else { reason };
    json!({ "behavior": "deny", "message": message, "interrupt": false }).to_string()
}

/// Grants the suggestions at these positions, each as Claude offered it and once, and no other.
fn allow_always(ask: &PermissionAsk, granted: &[u16]) -> Result<String, AnswerError> {
    let offered = serde_json::from_str::<Vec<&serde_json::value::RawValue>>(&ask.suggestions);
    let offered = offered.map_err(|_| AnswerError::NotOffered)?;
    let granted: BTreeSet<u16> = granted.iter().copied().collect();
    let updates: Option<Vec<&str>> =
        granted.iter().map(|&at| offered.get(usize::from(at)).map(|update| update.get())).collect();
    match updates {
        Some(updates) if !updates.is_empty() => {
            Ok(format!(r#"{{"behavior":"allow","updatedPermissions":[{}]}}"#, updates.join(",")))
        }
        _ => Err(AnswerError::NotOffered),
    }
}

fn allow_plan(mode: &str) -> String {
    let set_mode = json!({ "type": "setMode", "mode": mode, "destination": "session" });
    json!({ "behavior": "allow", "updatedPermissions": [set_mode] }).to_string()
}

/// The input of `AskUserQuestion` with its answers, keyed by the question's text.
fn answered(
    questions: &[Question],
    tool_input: &str,
    answers: &[(String, String)],
) -> Result<String, AnswerError> {
    if let Some((stray, _)) =
        answers.iter().find(|(text, _)| !questions.iter().any(|asked| asked.question == *text))
    {
        return Err(AnswerError::NotAsked(stray.clone()));
    }
    let mut by_question = Map::new();
    for Question { question, .. } in questions {
        let answer =
            answers.iter().rev().find(|(text, answer)| text == question && !answer.trim().is_empty());
        let (_, answer) = answer.ok_or_else(|| AnswerError::Unanswered(question.clone()))?;
        by_question.insert(question.clone(), Value::from(answer.as_str()));
    }
    let asked = match Object::parse(tool_input) {
        Some(input) => {
            let kept = input.fields().filter(|(name, _)| *name != "answers");
            kept.map(|(name, raw)| format!("{}:{raw}", Value::from(name))).collect()
        }
        None => vec![format!(r#""questions":{}"#, questions.iter().map(as_input).collect::<Value>())],
    };
    let answers = format!(r#""answers":{}"#, Value::from(by_question));
    Ok(format!("{{{}}}", asked.into_iter().chain([answers]).collect::<Vec<_>>().join(",")))
}

/// A question as Claude had put it, as far as it is known.
fn as_input(question: &Question) -> Value {
    let options = question
        .options
        .iter()
        .map(|option| json!({ "label": option.label, "description": option.description }));
    json!({
        "question": question.question,
        "header": question.header,
        "options": options.collect::<Value>(),
        "multiSelect": question.multi_select,
    })
}

fn accept(content: &str) -> Result<String, AnswerError> {
    Object::parse(content).ok_or(AnswerError::NotAnObject)?;
    Ok(format!(r#"{{"action":"accept","content":{content}}}"#))
}

/// A link that the user opened, or a form with nothing to fill in.
fn needs_no_content(ask: &ElicitationAsk) -> bool {
    let fields = Object::parse(&ask.schema).and_then(|schema| schema.object("properties"));
    ask.url.is_some() || fields.is_none_or(|fields| fields.fields().next().is_none())
}

fn does_not_fit(ask: &Ask, decision: &Decision) -> AnswerError {
    let decision = match decision {
        Decision::Allow => "allow",
        Decision::AllowAlways(_) => "allow always",
        Decision::Deny(_) => "deny",
        Decision::Answers(_) => "a list of answers",
        Decision::Content(_) => "a form's content",
        Decision::Cancel => "cancel",
    };
    let ask = match ask {
        Ask::Permission(_) => "a permission request",
        Ask::Questions(_) => "a question",
        Ask::Plan(_) => "a plan",
        Ask::Elicitation(_) => "a form",
    };
    AnswerError::DoesNotFit { decision, ask }
}
