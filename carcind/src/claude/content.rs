//! `assistant` and `user`: finished content blocks.

use carcin_proto::event::{LineProblem, MAX_EXCERPT, MAX_RAW, MAX_TEXT};

use super::json::Object;
use super::line::{Meaning, bad, parent, tool_use_id};
use super::output::{Assistant, Block, Output, Picture, ToolResult};
use super::{result, summary, text};

/// What Claude Code puts in place of an answer where none was asked for.
const NO_ANSWER: &str = "No response requested.";
/// The most pictures of one tool's output that are taken in.
const MAX_PICTURES: usize = 8;
/// The model that Claude Code names for what it writes itself.
const SYNTHETIC: &str = "<synthetic>";

pub(super) fn assistant(frame: &Object<'_>) -> Meaning {
    const KIND: &str = "assistant";
    let message = frame.object("message").ok_or_else(|| bad(KIND))?;
    let model = message.name_or_empty("model");
    let synthetic = model == SYNTHETIC;
    let (mut blocks, problem) = match message.text("content") {
        Some(text) => (vec![Block::Text(text)], None),
        None => blocks(&message)?,
    };
    if synthetic {
        blocks.retain(|block| !matches!(block, Block::Text(text) if text == NO_ANSWER));
    }
    let assistant = Output::Assistant(Assistant {
        parent: parent(frame, KIND)?,
        message: message.name_or_empty("id"),
        model,
        blocks,
        context_tokens: message.object("usage").map_or(0, |usage| result::context_tokens(&usage)),
        synthetic,
        error: frame.name("error"),
        aborted: frame.is_true("aborted"),
    });
    Ok(std::iter::once(assistant).chain(problem.map(Output::Partly)).collect())
}

/// The blocks that are understood, and what is the matter with one that is not.
fn blocks(message: &Object<'_>) -> Result<(Vec<Block>, Option<LineProblem>), LineProblem> {
    let items = message.list("content").ok_or_else(|| bad("assistant"))?;
    let (mut blocks, mut problem) = (Vec::new(), None);
    for item in items.into_iter().filter_map(Object::parse) {
        match block(&item) {
            Ok(block) => blocks.extend(block),
            Err(found) => problem = Some(found),
        }
    }
    if let (true, Some(problem)) = (blocks.is_empty(), &problem) {
        return Err(problem.clone());
    }
    Ok((blocks, problem))
}

/// `None`: a kind of block of which Carcin shows nothing.
fn block(item: &Object<'_>) -> Result<Option<Block>, LineProblem> {
    Ok(match item.name_or_empty("type").as_str() {
        "text" => item.text("text").map(Block::Text),
        "thinking" => {
            let (thinking, _) = item.text_within("thinking", MAX_EXCERPT).unwrap_or_default();
            Some(Block::Thinking(thinking))
        }
        "redacted_thinking" => Some(Block::Thinking(String::new())),
        "tool_use" => {
            let id = tool_use_id(item, "id").ok_or_else(|| bad("assistant"))?;
            let name = item.name_or_empty("name");
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
        let items = match message.raw("content") {
            Some(raw) if raw.starts_with('[') => message.list("content").ok_or_else(|| bad(KIND))?,
            _ => Vec::new(),
        };
        let (mut blocks, mut problem, mut shown) = (0, None, Vec::new());
        for item in items.into_iter().filter_map(Object::parse) {
            if item.name_or_empty("type") == "tool_result" {
                blocks += 1;
                match tool_result(frame, &item) {
                    Ok(result) => {
                        shown.extend(pictures(&item, &result).map(Output::Picture));
                        outputs.push(Output::ToolResult(result));
                    }
                    Err(found) => problem = Some(found),
                }
            }
        }
        // The structured result does not say whose it is; with one result alone there is no doubt.
        if let (1, [Output::ToolResult(result)]) = (blocks, &mut outputs[..]) {
            let structured = frame.raw_within("tool_use_result", MAX_RAW).unwrap_or_default();
            structured.clone_into(&mut result.structured);
        }
        outputs.extend(problem.map(Output::Partly));
        outputs.splice(0..0, shown);
    }
    if frame.is_true("isReplay") {
        let prompt = frame.text("uuid").and_then(|id| id.parse().ok());
        outputs.extend(prompt.map(|prompt| Output::PromptReplayed { prompt }));
    }
    if let [Output::Partly(problem)] = &outputs[..] {
        return Err(problem.clone());
    }
    Ok(outputs)
}

/// Without its structured result.
fn tool_result(frame: &Object<'_>, block: &Object<'_>) -> Result<ToolResult, LineProblem> {
    let (output, omitted) =
        block.text_within("content", MAX_EXCERPT).unwrap_or_else(|| joined(block.objects("content")));
    Ok(ToolResult {
        parent: parent(frame, "user")?,
        tool_use: tool_use_id(block, "tool_use_id").ok_or_else(|| bad("user"))?,
        is_error: block.is_true("is_error"),
        output,
        omitted,
        structured: String::new(),
    })
}

/// The first pictures of a tool's output.
fn pictures(block: &Object<'_>, result: &ToolResult) -> impl Iterator<Item = Picture> {
    let images = block.objects("content").filter(|item| item.name_or_empty("type") == "image");
    let sources = images.filter_map(|image| image.object("source"));
    let data = sources
        .filter(|source| source.name_or_empty("type") == "base64")
        .filter_map(|source| source.text("data"));
    let (tool_use, parent) = (result.tool_use.clone(), result.parent.clone());
    data.take(MAX_PICTURES).map(move |data| Picture {
        tool_use: tool_use.clone(),
        parent: parent.clone(),
        data,
    })
}

/// A tool's output in blocks, as text, and how many bytes of it are left out: what is not text is named.
fn joined<'a>(blocks: impl Iterator<Item = Object<'a>>) -> (String, u64) {
    let (mut output, mut omitted) = (String::new(), 0);
    for (at, block) in blocks.enumerate() {
        let (piece, more) = match block.name_or_empty("type").as_str() {
            "text" => block.text_within("text", MAX_EXCERPT).unwrap_or_default(),
            other => (format!("[{other}]"), 0),
        };
        let piece = if at == 0 { piece } else { format!("\n{piece}") };
        let fits = if omitted == 0 { text::cut(&piece, MAX_EXCERPT - output.len()) } else { "" };
        output.push_str(fits);
        omitted += (piece.len() - fits.len()) as u64 + more;
    }
    (output, omitted)
}

/// What a slash command printed, from the user message in which Claude Code keeps it.
fn local_output(text: &str) -> Option<String> {
    // Anywhere else it is a person's words about it.
    let tags = ["<local-command-stdout>", "<local-command-stderr>"];
    let rest = tags.iter().find_map(|tag| text.trim_start().strip_prefix(tag))?;
    let (output, _) = rest.rsplit_once("</local-command-std").unwrap_or((rest, ""));
    let output = text::cut(output.trim(), MAX_TEXT);
    (!output.is_empty()).then(|| output.to_owned())
}

/// The text of a message's content, from a string or from its text blocks.
pub(super) fn plain_text(message: &Object<'_>) -> Option<String> {
    if let Some(text) = message.text("content") {
        return Some(text);
    }
    let texts: Vec<_> = message
        .objects("content")
        .filter(|block| block.name_or_empty("type") == "text")
        .filter_map(|block| block.text("text"))
        .collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}
