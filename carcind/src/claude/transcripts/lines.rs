//! What the lines of a transcript tell.

use carcin_proto::event::MAX_EXCERPT;
use carcin_proto::request::RecentText;

use super::read::Reading;
use super::time;
use crate::claude::content::plain_text;
use crate::claude::json::Object;
use crate::claude::text;

/// The longest title, in characters.
const MAX_TITLE: usize = 120;
/// The longest first prompt, in characters.
const MAX_PROMPT: usize = 200;

/// What the beginning and the end of a transcript tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digest {
    /// There is a message of the user's or of Claude's.
    pub has_messages: bool,
    /// It is a subagent's: its first message says so.
    pub sidechain: bool,
    /// Where the session was begun, or moved to.
    pub cwd: Option<String>,
    /// The branch told last.
    pub branch: Option<String>,
    /// What the user typed first, one line.
    pub first_prompt: Option<String>,
    custom_title: Option<String>,
    title: Option<String>,
    last_prompt: Option<String>,
    /// The first slash command: better than nothing.
    command: Option<String>,
}

impl Digest {
    /// What is in both windows.
    pub(super) fn of(reading: &Reading) -> Self {
        let mut digest = Self::default();
        digest.read(&reading.head, false);
        digest.read(&reading.tail, true);
        // A first message longer than the window is not seen, but then the rest is no empty session either.
        digest.has_messages |= reading.has_gap;
        digest
    }

    /// Whether it is a session that a person would look for.
    pub fn is_session(&self) -> bool {
        self.has_messages && !self.sidechain
    }

    /// The title that the user gave, else the one that Claude gave, else the first prompt; may be empty.
    pub fn title(&self) -> String {
        let titles = [&self.custom_title, &self.title, &self.first_prompt, &self.last_prompt, &self.command];
        let title = titles.into_iter().flatten().next();
        title.map(|title| text::one_line(title, MAX_TITLE)).unwrap_or_default()
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
            line.text(name).map(|text| text::one_line(&text, MAX_PROMPT)).filter(|text| !text.is_empty())
        };
        match line.text_or_empty("type").as_str() {
            "custom-title" => self.custom_title = told("customTitle"),
            "ai-title" => self.title = told("aiTitle").or_else(|| self.title.take()),
            "summary" => self.title = self.title.take().or_else(|| told("summary")),
            "last-prompt" => self.last_prompt = told("lastPrompt"),
            "relocated" => {
                if let Some(cwd) = line.text("relocatedCwd") {
                    self.cwd = Some(cwd);
                }
            }
            kind @ ("user" | "assistant") => {
                self.sidechain |= !self.has_messages && line.is_true("isSidechain");
                self.has_messages = true;
                if kind == "user" && self.first_prompt.is_none() {
                    self.prompt(line);
                }
            }
            _ => {}
        }
        // Later ones follow the `cd`s of Claude's shell.
        self.cwd = self.cwd.take().or_else(|| line.text("cwd"));
        // Where there is no branch, and outside of a repository, it is `HEAD`.
        let is_one = |branch: &String| !branch.is_empty() && branch != "HEAD";
        self.branch = line.text("gitBranch").filter(is_one).or_else(|| self.branch.take());
    }

    /// Takes what the user typed; not what Claude Code itself says in the user's name.
    fn prompt(&mut self, line: &Object<'_>) {
        if ["isMeta", "isSidechain", "isCompactSummary"].iter().any(|sign| line.is_true(sign)) {
            return;
        }
        for text in line.object("message").map(|message| texts(&message)).unwrap_or_default() {
            if let Some(command) = between(&text, "<command-name>", "</command-name>") {
                let command = text::one_line(command, MAX_PROMPT);
                self.command = self.command.take().or(Some(command));
            } else if let Some(command) = between(&text, "<bash-input>", "</bash-input>") {
                self.first_prompt = Some(text::one_line(&format!("! {}", command.trim()), MAX_PROMPT));
                return;
            } else if is_typed(&text) {
                self.first_prompt = Some(text::one_line(&text, MAX_PROMPT));
                return;
            }
        }
    }
}

/// The texts of a message, each block's by itself.
fn texts(message: &Object<'_>) -> Vec<String> {
    if let Some(text) = message.text("content") {
        return vec![text];
    }
    let blocks: Vec<_> = message.objects("content").collect();
    if blocks.iter().any(|block| block.text_or_empty("type") == "tool_result") {
        return Vec::new();
    }
    let texts = blocks.iter().filter(|block| block.text_or_empty("type") == "text");
    texts.filter_map(|block| block.text("text")).collect()
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(open)?;
    rest.split_once(close).map(|(inner, _)| inner)
}

/// Whether a person wrote it. What Claude Code adds stands in a tag, `<system-reminder>` or any other.
fn is_typed(text: &str) -> bool {
    let text = text.trim_start();
    let in_a_tag = text.strip_prefix('<').is_some_and(|rest| {
        let name = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
        rest.starts_with(|c: char| c.is_ascii_lowercase())
            && name.is_some_and(|end| rest[end..].starts_with(|c: char| c == '>' || c.is_whitespace()))
    });
    !(text.is_empty() || in_a_tag || text.starts_with("[Request interrupted") || text.starts_with("Caveat:"))
}

/// The last texts of Claude's own in the end of a transcript, at most `limit`, oldest first.
pub(super) fn recent_texts(bytes: &[u8], begins_within_a_line: bool, limit: usize) -> Vec<RecentText> {
    let mut texts: Vec<_> = whole_lines(bytes, begins_within_a_line)
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

/// The lines in `bytes` that are there from their beginning to their newline.
fn whole_lines(bytes: &[u8], begins_within_a_line: bool) -> impl DoubleEndedIterator<Item = &str> {
    let newline = |byte: &u8| *byte == b'\n';
    let end = bytes.iter().rposition(newline).unwrap_or(0);
    let cut = if begins_within_a_line { bytes.iter().position(newline).unwrap_or(end) } else { 0 };
    bytes[cut..end].split(newline).filter_map(|line| std::str::from_utf8(line).ok())
}
