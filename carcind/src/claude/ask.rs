//! What Claude asks and waits for (`control_request`), and the receipts of what was asked of it
//! (`control_response`).

use std::path::PathBuf;

use carcin_proto::RequestId;
use carcin_proto::event::{
    Ask, ElicitationAsk, LineProblem, MAX_EXCERPT, MAX_RAW, PermissionAsk, PlanAsk, Question, QuestionOption,
};

use super::json::Object;
use super::line::{Meaning, bad, request_id, tool_use_id};
use super::output::{Asked, ControlResponse, Output};
use super::{summary, text};

/// The longest description or reason shown, in characters.
const MAX_SENTENCE: usize = 1000;

/// A question, or a request that Carcin cannot answer: a hook's callback, an SDK server's message, a dialog, or what
/// lacks what it would take to answer it.
pub(super) fn request(frame: &Object<'_>) -> Result<Output, LineProblem> {
    let request = request_id(frame).ok_or_else(|| bad("control_request"))?;
    let body = frame.object("request");
    let subtype = body.as_ref().map(|body| body.name_or_empty("subtype")).unwrap_or_default();
    let asked = body.and_then(|body| match subtype.as_str() {
        "can_use_tool" => tool(&request, &body),
        "elicitation" => Some(Asked {
            request: request.clone(),
            ask: Ask::Elicitation(elicitation(&body)),
            tool_input: String::new(),
        }),
        _ => None,
    });
    Ok(asked.map_or(Output::AskUnsupported { request, subtype }, Output::Ask))
}

pub(super) fn response(frame: &Object<'_>) -> Meaning {
    const KIND: &str = "control_response";
    let body = frame.object("response").ok_or_else(|| bad(KIND))?;
    let request_id = body.text("request_id").ok_or_else(|| bad(KIND))?;
    let result = if body.text("subtype").as_deref() == Some("error") {
        Err(body
            .text_within("error", MAX_EXCERPT)
            .map_or_else(|| "Claude does not say why".to_owned(), |told| told.0))
    } else {
        Ok(body.raw("response").unwrap_or("{}").to_owned())
    };
    Ok(vec![Output::ControlResponse(ControlResponse { request_id, result, pending: pending(&body) })])
}

fn pending(body: &Object<'_>) -> Option<Vec<Asked>> {
    body.list("pending_permission_requests")?;
    let lists = ["pending_permission_requests", "pending_elicitation_requests"];
    let asked = lists.iter().flat_map(|list| body.objects(list)).filter_map(|frame| match request(&frame) {
        Ok(Output::Ask(asked)) => Some(asked),
        _ => None,
    });
    Some(asked.collect())
}

fn tool(request: &RequestId, body: &Object<'_>) -> Option<Asked> {
    let tool = body.name("tool_name")?;
    let input = body.object("input");
    let (ask, tool_input) = match tool.as_str() {
        "AskUserQuestion" => {
            // Without its questions it must not pass for a permission: allowing it would answer them with nothing.
            // They come back with the answer, which must fit into Claude's input.
            let raw = body.raw_within("input", MAX_RAW)?;
            (Ask::Questions(questions(input.as_ref()?)?), raw.to_owned())
        }
        "ExitPlanMode" => (Ask::Plan(plan(input.as_ref())), String::new()),
        _ => (Ask::Permission(permission(tool, body)), String::new()),
    };
    Some(Asked { request: request.clone(), ask, tool_input })
}

fn permission(tool: String, body: &Object<'_>) -> PermissionAsk {
    let sentence = |name| {
        let told = body.text_within(name, MAX_EXCERPT).unwrap_or_default();
        text::one_line(&told.0, MAX_SENTENCE)
    };
    let suggestions = body.raw_within("permission_suggestions", MAX_RAW).filter(|_| {
        !body.is_true("suppress_always_allow_rule") && body.objects("permission_suggestions").next().is_some()
    });
    PermissionAsk {
        summary: body.raw("input").map(|input| summary::summary(&tool, input)).unwrap_or_default(),
        tool: body.name("display_name").filter(|name| !name.is_empty()).unwrap_or(tool),
        tool_use: tool_use_id(body, "tool_use_id"),
        input: body.raw_within("input", MAX_RAW).unwrap_or_default().to_owned(),
        description: sentence("description"),
        reason: sentence("decision_reason"),
        blocked_path: body.text_within("blocked_path", MAX_EXCERPT).map(|(path, _)| path),
        suggestions: suggestions.unwrap_or_default().to_owned(),
    }
}

/// `None`: not one question that could be asked.
fn questions(input: &Object<'_>) -> Option<Vec<Question>> {
    let questions = input.objects("questions").map(|question| {
        let options = question.objects("options").filter_map(|option| {
            Some(QuestionOption {
                label: option.text("label")?,
                description: option.text_or_empty("description"),
            })
        });
        Some(Question {
            question: question.text("question")?,
            header: question.text_or_empty("header"),
            options: options.collect(),
            multi_select: question.is_true("multiSelect"),
        })
    });
    let questions: Vec<_> = questions.collect::<Option<_>>()?;
    (!questions.is_empty()).then_some(questions)
}

fn plan(input: Option<&Object<'_>>) -> PlanAsk {
    let plan = input.and_then(|input| input.text_within("plan", MAX_RAW)).unwrap_or_default();
    let path = input.and_then(|input| input.text_within("planFilePath", MAX_EXCERPT));
    PlanAsk { plan: plan.0, path: path.map(|(path, _)| PathBuf::from(path)) }
}

fn elicitation(body: &Object<'_>) -> ElicitationAsk {
    let whole = |(text, omitted)| (omitted == 0).then_some(text);
    ElicitationAsk {
        server: body.name("display_name").unwrap_or_else(|| body.name_or_empty("mcp_server_name")),
        message: body.text_within("message", MAX_EXCERPT).unwrap_or_default().0,
        // Half a link leads elsewhere.
        url: body.text_within("url", MAX_EXCERPT).and_then(whole),
        schema: body.raw_within("requested_schema", MAX_RAW).unwrap_or_default().to_owned(),
    }
}
