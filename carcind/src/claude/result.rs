//! `result`: how a turn ended, and what it used.

use carcin_proto::Millis;
use carcin_proto::event::{MAX_EXCERPT, Usage};

use super::json::{Object, whole};
use super::output::TurnResult;
use super::string;
use super::text::cut;

/// The longest error kept, in bytes.
const MAX_ERROR: usize = 4 * 1024;
/// How many errors are kept.
const MAX_ERRORS: usize = 16;
/// How many models a turn may have used.
const MAX_MODELS: usize = 64;
/// What Claude Code adds to the errors for its own diagnosis begins with this.
const DIAGNOSTIC: &str = "[ede_diagnostic]";

pub(super) fn turn(frame: &Object<'_>) -> TurnResult {
    let (text, _) = frame.text_within("result", MAX_EXCERPT).unwrap_or_default();
    let errors = frame.list("errors").unwrap_or_default().into_iter();
    let errors = errors
        .filter_map(|error| string::decode(error, MAX_ERROR))
        .map(|(error, _)| error)
        .filter(|error| !error.starts_with(DIAGNOSTIC))
        .take(MAX_ERRORS)
        .collect();
    let num_turns = frame.small_count("num_turns").unwrap_or_default();
    let models = models(frame);
    TurnResult {
        subtype: frame.name_or_empty("subtype"),
        is_error: frame.is_true("is_error"),
        text,
        errors,
        usage: usage(frame, &models, num_turns),
        context_windows: models.into_iter().map(|model| (model.name, model.context_window)).collect(),
        stop_reason: frame.name("stop_reason"),
        terminal_reason: frame.name("terminal_reason"),
        permission_denials: frame
            .list("permission_denials")
            .map_or(0, |denials| u32::try_from(denials.len()).unwrap_or(u32::MAX)),
        num_turns,
        api_error_status: frame.count("api_error_status").and_then(|status| u16::try_from(status).ok()),
        prompts: prompts(frame),
        queued: frame.small_count("queued_turn_count"),
        startup_failure: frame.name("startup_failure_reason"),
        duration: Millis(frame.count("duration_ms").unwrap_or_default()),
    }
}

/// Tokens in the context after a request, from the request's usage.
pub(super) fn context_tokens(usage: &Object<'_>) -> u64 {
    input_tokens(usage).saturating_add(usage.count("output_tokens").unwrap_or_default())
}

fn input_tokens(usage: &Object<'_>) -> u64 {
    let parts = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
    parts.iter().filter_map(|part| usage.count(part)).fold(0, u64::saturating_add)
}

struct Model {
    name: String,
    context_window: u64,
    tokens_read: u64,
}

/// The models that tell how much their context holds.
fn models(frame: &Object<'_>) -> Vec<Model> {
    let Some(usage) = frame.object("modelUsage") else { return Vec::new() };
    let models = usage.fields().filter_map(|(name, raw)| {
        let model = Object::parse(raw)?;
        let context_window = model.count("contextWindow").filter(|window| *window > 0)?;
        let read = ["inputTokens", "cacheCreationInputTokens", "cacheReadInputTokens"];
        let tokens_read = read.iter().filter_map(|part| model.count(part)).fold(0, u64::saturating_add);
        Some(Model { name: cut(name, MAX_EXCERPT).to_owned(), context_window, tokens_read })
    });
    models.take(MAX_MODELS).collect()
}

fn usage(frame: &Object<'_>, models: &[Model], model_requests: u32) -> Usage {
    let usage = frame.object("usage");
    let usage = usage.as_ref();
    Usage {
        input_tokens: usage.map_or(0, input_tokens),
        output_tokens: usage.and_then(|usage| usage.count("output_tokens")).unwrap_or_default(),
        cost_micro_usd: whole((frame.number("total_cost_usd").unwrap_or_default() * 1e6).round()),
        model_requests,
        context_tokens: 0,
        // Subagents may use a smaller model; the one that read most is Claude's own.
        context_window: models
            .iter()
            .max_by_key(|model| model.tokens_read)
            .map_or(0, |model| model.context_window),
    }
}

fn prompts(frame: &Object<'_>) -> Vec<carcin_proto::PromptId> {
    let mut ids = frame.texts("user_message_uuids");
    if ids.is_empty() {
        ids.extend(frame.text("user_message_uuid"));
    }
    ids.iter().filter_map(|id| id.parse().ok()).collect()
}
