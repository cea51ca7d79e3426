//! `stream_event`: the Messages API's own events, while the model writes.

use carcin_proto::ToolUseId;
use carcin_proto::event::LineProblem;

use super::json::Object;
use super::line::{Meaning, bad, parent, tool_use_id};
use super::output::{BlockKind, Output};

const KIND: &str = "stream_event";

pub(super) fn event(frame: &Object<'_>) -> Meaning {
    let parent = parent(frame, KIND)?;
    let event = frame.object("event").ok_or_else(|| bad(KIND))?;
    match event.name_or_empty("type").as_str() {
        "message_start" => {
            let message = event.object("message").and_then(|message| message.name("id")).unwrap_or_default();
            Ok(vec![Output::MessageStarted { parent, message }])
        }
        "content_block_start" => block_start(parent, &event),
        "content_block_delta" => block_delta(parent, &event),
        "content_block_stop" => Ok(vec![Output::BlockStopped { parent, index: index(&event)? }]),
        "message_stop" => Ok(vec![Output::MessageStopped { parent }]),
        "message_delta" | "ping" | "error" => Ok(Vec::new()),
        "" => Err(bad(KIND)),
        unknown => Err(LineProblem::UnknownType(format!("{KIND}/{unknown}"))),
    }
}

fn index(event: &Object<'_>) -> Result<u32, LineProblem> {
    event.small_count("index").ok_or_else(|| bad(KIND))
}

fn block_start(parent: Option<ToolUseId>, event: &Object<'_>) -> Meaning {
    let index = index(event)?;
    let block = event.object("content_block").ok_or_else(|| bad(KIND))?;
    let kind = match block.name_or_empty("type").as_str() {
        "text" => BlockKind::Text,
        "thinking" | "redacted_thinking" => BlockKind::Thinking,
        "tool_use" => {
            let id = tool_use_id(&block, "id").ok_or_else(|| bad(KIND))?;
            BlockKind::ToolUse { id, name: block.name_or_empty("name") }
        }
        _ => BlockKind::Other,
    };
    // A block may begin with some of its text.
    let first = match kind {
        BlockKind::Text => block.text("text").and_then(|text| text_delta(parent.clone(), index, text)),
        BlockKind::Thinking => {
            block.text("thinking").and_then(|text| thinking_delta(parent.clone(), index, text))
        }
        _ => None,
    };
    let started = Output::BlockStarted { parent, index, kind };
    Ok(std::iter::once(started).chain(first).collect())
}

fn block_delta(parent: Option<ToolUseId>, event: &Object<'_>) -> Meaning {
    let index = index(event)?;
    let delta = event.object("delta").ok_or_else(|| bad(KIND))?;
    let output = match delta.name_or_empty("type").as_str() {
        "text_delta" => text_delta(parent, index, delta.text("text").ok_or_else(|| bad(KIND))?),
        // Redacted thinking has deltas without text.
        "thinking_delta" => thinking_delta(parent, index, delta.text_or_empty("thinking")),
        "input_json_delta" | "signature_delta" | "citations_delta" | "connector_text_delta" => None,
        "" => return Err(bad(KIND)),
        unknown => return Err(LineProblem::UnknownType(format!("{KIND}/{unknown}"))),
    };
    Ok(output.into_iter().collect())
}

fn text_delta(parent: Option<ToolUseId>, index: u32, text: String) -> Option<Output> {
    (!text.is_empty()).then_some(Output::TextDelta { parent, index, text })
}

fn thinking_delta(parent: Option<ToolUseId>, index: u32, text: String) -> Option<Output> {
    (!text.is_empty()).then_some(Output::ThinkingDelta { parent, index, text })
}
