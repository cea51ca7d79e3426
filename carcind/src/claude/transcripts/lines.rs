//! What the lines of a transcript tell.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use carcin_proto::event::MAX_EXCERPT;
use carcin_proto::request::RecentText;

use super::time;
use crate::claude::content::plain_text;
use crate::claude::json::Object;
use crate::claude::text;

/// How much is read of a transcript's beginning, and of its end, in bytes.
const WINDOW: u64 = 64 * 1024;
/// How much is read from its end to find texts, in bytes.
const RECENT_WINDOW: u64 = 1024 * 1024;
/// The longest title, in characters.
const MAX_TITLE: usize = 120;

/// What the beginning and the end of a transcript tell.
#[derive(Debug, Default)]
pub(super) struct Digest {
    /// There is a message of the user's or of Claude's.
    pub(super) has_messages: bool,
    /// The first one told.
    pub(super) cwd: Option<String>,
    /// The last one told.
    pub(super) branch: Option<String>,
    custom_title: Option<String>,
    title: Option<String>,
    first_prompt: Option<String>,
    last_prompt: Option<String>,
}

impl Digest {
    /// What cannot be read tells nothing.
    pub(super) fn of(path: &Path, size: u64) -> Self {
        let mut digest = Self::default();
        let Ok(mut file) = File::open(path) else { return digest };
        digest.read(&window(&mut file, 0, WINDOW), false);
        if size > WINDOW {
            digest.read(&window(&mut file, size.saturating_sub(WINDOW).max(WINDOW), WINDOW), true);
        }
        // A first message longer than the window is not seen, but then the rest is no empty session either.
        digest.has_messages |= size > 2 * WINDOW;
        digest
    }

    /// The title that the user gave, else the one that Claude gave, else the first prompt; may be empty.
    pub(super) fn title(&self) -> String {
        let titles = [&self.custom_title, &self.title, &self.first_prompt, &self.last_prompt];
        titles.into_iter().flatten().next().cloned().unwrap_or_default()
    }

    fn read(&mut self, bytes: &[u8], begins_within_a_line: bool) {
        for line in whole_lines(bytes, begins_within_a_line) {
            if let Some(line) = Object::parse(line) {
                self.take(&line);
            }
        }
    }

    fn take(&mut self, line: &Object<'_>) {
        let told = |name| {
            line.text(name).map(|text| text::one_line(&text, MAX_TITLE)).filter(|text| !text.is_empty())
        };
        match line.text_or_empty("type").as_str() {
            "custom-title" => self.custom_title = told("customTitle"),
            "ai-title" => self.title = told("aiTitle").or_else(|| self.title.take()),
            "summary" => self.title = self.title.take().or_else(|| told("summary")),
            "last-prompt" => self.last_prompt = told("lastPrompt"),
            kind @ ("user" | "assistant") => {
                self.has_messages = true;
                if kind == "user" && self.first_prompt.is_none() {
                    self.first_prompt = prompt(line);
                }
            }
            _ => {}
        }
        // Later ones follow the `cd`s of Claude's shell.
        self.cwd = self.cwd.take().or_else(|| line.text("cwd"));
        self.branch =
            line.text("gitBranch").filter(|branch| !branch.is_empty()).or_else(|| self.branch.take());
    }
}

/// What the user typed; `None` for what Claude Code itself says in the user's name.
fn prompt(line: &Object<'_>) -> Option<String> {
    if line.is_true("isMeta") || line.is_true("isSidechain") || line.is_true("isCompactSummary") {
        return None;
    }
    let text = plain_text(&line.object("message")?)?;
    let text = text::one_line(&text, MAX_TITLE);
    let typed = !["<local-command", "<command-", "<system-reminder>", "Caveat:", "[Request interrupted"]
        .iter()
        .any(|sign| text.starts_with(sign));
    (typed && !text.is_empty()).then_some(text)
}

/// The last texts of Claude's own, at most `limit`, oldest first.
pub(super) fn recent_texts(path: &Path, size: u64, limit: usize) -> Vec<RecentText> {
    let Ok(mut file) = File::open(path) else { return Vec::new() };
    let from = size.saturating_sub(RECENT_WINDOW);
    let bytes = window(&mut file, from, RECENT_WINDOW);
    let mut texts: Vec<_> = whole_lines(&bytes, from > 0)
        .rev()
        .filter_map(|line| answer(&Object::parse(line)?))
        .take(limit)
        .collect();
    texts.reverse();
    texts
}

/// A text of Claude's own in a line: not a subagent's, not an error.
fn answer(line: &Object<'_>) -> Option<RecentText> {
    if line.text_or_empty("type") != "assistant"
        || line.is_true("isSidechain")
        || line.is_true("isApiErrorMessage")
    {
        return None;
    }
    let message = line.object("message").filter(|message| message.text_or_empty("model") != "<synthetic>")?;
    let mut text = plain_text(&message).filter(|text| !text.trim().is_empty())?;
    text::cut_to(&mut text, MAX_EXCERPT);
    let at = line.text("timestamp").and_then(|timestamp| time::parse(&timestamp)).unwrap_or_default();
    Some(RecentText { at, text })
}

fn window(file: &mut File, from: u64, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(from)).is_ok() {
        // What was read before an error is as good as if the file ended there.
        let _ = file.take(length).read_to_end(&mut bytes);
    }
    bytes
}

/// The lines in `bytes` that are there from their beginning to their newline.
fn whole_lines(bytes: &[u8], begins_within_a_line: bool) -> impl DoubleEndedIterator<Item = &str> {
    let newline = |byte: &u8| *byte == b'\n';
    let end = bytes.iter().rposition(newline).unwrap_or(0);
    let cut = if begins_within_a_line { bytes.iter().position(newline).unwrap_or(end) } else { 0 };
    bytes[cut..end].split(newline).filter_map(|line| std::str::from_utf8(line).ok())
}
