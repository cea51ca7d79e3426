//! `assistant` and `user`: finished content blocks.

use carcin_proto::event::{LineProblem, MAX_EXCERPT, MAX_RAW, MAX_TEXT};

use super::json::{self, Object};
use super::line::{Meaning, bad, parent, tool_use_id};
use super::output::{Assistant, Block, Output, ToolResult};
use super::{result, summary, text};

/// What Claude Code puts in place of an answer where none was asked for.
const NO_ANSWER: &str = "No response requested.";
/// The model that Claude Code names for what it writes itself.
const SYNTHETIC: &str = "<synthetic>";

pub(super) fn assistant(frame: &Object<'_>) -> Meaning {
    const KIND: &str = "assistant";
    let message = frame.object("message").ok_or_else(|| bad(KIND))?;
    let model = message.text_or_empty("model");
    let synthetic = model == SYNTHETIC;
    let mut blocks = match message.text("content") {
        Some(text) => vec![Block::Text(text)],
        None => blocks(&message)?,
    };
    if synthetic {
        blocks.retain(|block| !matches!(block, Block::Text(text) if text == NO_ANSWER));
    }
    Ok(vec![Output::Assistant(Assistant {
        parent: parent(frame, KIND)?,
        message: message.text_or_empty("id"),
        model,
        blocks,
        context_tokens: message.object("usage").map_or(0, |usage| result::context_tokens(&usage)),
        synthetic,
        error: frame.text("error"),
        aborted: frame.is_true("aborted"),
    })])
}

fn blocks(message: &Object<'_>) -> Result<Vec<Block>, LineProblem> {
    message.list("content").ok_or_else(|| bad("assistant"))?;
    message.objects("content").iter().filter_map(|item| block(item).transpose()).collect()
}

/// `None`: a kind of block of which Carcin shows nothing.
fn block(item: &Object<'_>) -> Result<Option<Block>, LineProblem> {
    Ok(match item.text_or_empty("type").as_str() {
        "text" => item.text("text").map(Block::Text),
        "thinking" => {
            let mut thinking = item.text_or_empty("thinking");
            text::cut_to(&mut thinking, MAX_EXCERPT);
            Some(Block::Thinking(thinking))
        }
        "redacted_thinking" => Some(Block::Thinking(String::new())),
        "tool_use" => {
            let id = tool_use_id(item, "id").ok_or_else(|| bad("assistant"))?;
            let name = item.text_or_empty("name");
            let summary = item.raw("input").map(|input| summary::summary(&name, input)).unwrap_or_default();
            let input = item.raw_within("input", MAX_RAW).unwrap_or_default().to_owned();
            Some(Block::ToolUse { id, name, input, summary })
        }
        _ => None,
    })
}

pub(super) fn user(frame: &Object<'_>) -> Meaning {
    const KIND: &str = "user";
    let message = frame.object("message").ok_or_else(|| bad(KIND))?;
    let mut outputs = Vec::new();
    if let Some(text) = message.text("content") {
        outputs.extend(local_output(&text).map(Output::LocalOutput));
    } else {
        let blocks = message.objects("content");
        let results: Vec<_> =
            blocks.iter().filter(|block| block.text_or_empty("type") == "tool_result").collect();
        // The structured result does not say whose it is; with one result alone there is no doubt.
        let structured = if results.len() == 1 { frame.raw_within("tool_use_result", MAX_RAW) } else { None };
        for block in results {
            outputs.push(tool_result(frame, block, structured)?);
        }
    }
    if frame.is_true("isReplay") {
        let prompt = frame.text("uuid").and_then(|id| id.parse().ok());
        outputs.extend(prompt.map(|prompt| Output::PromptReplayed { prompt }));
    }
    Ok(outputs)
}

fn tool_result(
    frame: &Object<'_>,
    block: &Object<'_>,
    structured: Option<&str>,
) -> Result<Output, LineProblem> {
    let mut output = block.text("content").unwrap_or_else(|| joined(&block.objects("content")));
    let omitted = text::cut_to(&mut output, MAX_EXCERPT);
    Ok(Output::ToolResult(ToolResult {
        parent: parent(frame, "user")?,
        tool_use: tool_use_id(block, "tool_use_id").ok_or_else(|| bad("user"))?,
        is_error: block.is_true("is_error"),
        output,
        omitted,
        structured: structured.unwrap_or_default().to_owned(),
    }))
}

/// A tool's output in blocks, as text: what is not text is named.
fn joined(blocks: &[Object<'_>]) -> String {
    let texts = blocks.iter().map(|block| match block.text_or_empty("type").as_str() {
        "text" => block.text_or_empty("text"),
        other => format!("[{other}]"),
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// What a slash command printed, from the user message in which Claude Code keeps it.
fn local_output(text: &str) -> Option<String> {
    let (_, rest) =
        ["<local-command-stdout>", "<local-command-stderr>"].iter().find_map(|tag| text.split_once(tag))?;
    let (output, _) = rest.rsplit_once("</local-command-std").unwrap_or((rest, ""));
    let output = text::cut(output.trim(), MAX_TEXT);
    (!output.is_empty()).then(|| output.to_owned())
}

/// The text of a message's content, from a string or from its text blocks.
pub(super) fn plain_text(message: &Object<'_>) -> Option<String> {
    if let Some(text) = message.text("content") {
        return Some(text);
    }
    let texts = message.list("content")?.into_iter().filter_map(Object::parse);
    let texts: Vec<_> = texts
        .filter(|block| block.raw("type").and_then(json::text).as_deref() == Some("text"))
        .filter_map(|block| block.text("text"))
        .collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}
