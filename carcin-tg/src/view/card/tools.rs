//! The tools on a card: what runs, what ran, and whose it is.

use carcin_proto::Millis;
use carcin_proto::event::{ToolEnded, ToolStarted};
use serde::{Deserialize, Serialize};

use super::super::phrases::{elapsed, one_line};
use crate::markdown::TextBuilder;

/// The last finished tools that a card shows of Claude itself.
const SHOWN_DONE: usize = 4;
/// The last finished ones, and the running ones, that it shows of a subagent.
const SHOWN_INNER: usize = 2;
/// Running tools of Claude itself that it names; the others are counted.
const SHOWN_RUNNING: usize = 3;
/// How deep subagents of subagents are indented.
const DEPTH: usize = 3;
/// Running tools that are remembered, so that a row stays small whatever Claude does.
const MAX_RUNNING: usize = 24;
/// Finished ones that are remembered, of all subagents together.
const MAX_DONE: usize = 16;
/// Names of tools that are counted each on its own.
const MAX_NAMES: usize = 16;
/// Changed files that are remembered by name; the others are counted.
const MAX_FILES: usize = 40;
/// Failed tools that the end names.
const MAX_FAILURES: usize = 5;
/// The longest line of a tool, in characters: two lines on a phone.
const TOOL_LINE: usize = 60;
/// As much of an argument is remembered, in characters.
const KEPT_ARGUMENT: usize = 240;

/// Tools that keep the todo list. The card shows the list itself.
const TODO_TOOLS: [&str; 5] = ["TodoWrite", "TaskCreate", "TaskUpdate", "TaskList", "TaskGet"];
/// Tools whose telling argument is a file, with whether they change it.
const FILE_TOOLS: [(&str, bool); 5] =
    [("Read", false), ("Edit", true), ("Write", true), ("MultiEdit", true), ("NotebookEdit", true)];

/// A tool that runs, or ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tool {
    /// The use.
    pub tool_use: String,
    /// The use of the subagent that uses it.
    pub parent: Option<String>,
    /// The tool's name, as people know it.
    pub name: String,
    /// Its telling argument.
    pub argument: String,
    /// When it began, in milliseconds of the wall clock.
    pub started_at: u64,
    /// Of one that ran, whether it failed.
    pub failed: bool,
    /// Whether it changes the file that its argument names.
    pub changes: bool,
}

/// The tools of a turn. Bounded, however many there are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tools {
    /// How many were used.
    pub count: u32,
    /// How many of them failed.
    pub failed: u32,
    running: Vec<Tool>,
    done: Vec<Tool>,
    names: Vec<(String, u32)>,
    files: Vec<String>,
    more_files: u32,
    failures: Vec<String>,
}

impl Tool {
    /// As an event tells it; paths are told relative to `folder`.
    fn of(started: &ToolStarted, at: Millis, folder: &str) -> Self {
        let file = FILE_TOOLS.iter().find(|(name, _)| *name == started.name);
        let argument = match file {
            _ if started.name == "Bash" => one_line(&started.summary, KEPT_ARGUMENT),
            Some(_) => path(&relative(&started.summary, folder)),
            None => one_line(&relative(&started.summary, folder), KEPT_ARGUMENT),
        };
        Self {
            tool_use: started.tool_use.to_string(),
            parent: started.parent.as_ref().map(ToString::to_string),
            name: title(&started.name),
            argument,
            started_at: at.0,
            failed: false,
            changes: file.is_some_and(|(_, changes)| *changes),
        }
    }

    /// `Bash cargo test`, on one line.
    pub fn plain(&self) -> String {
        one_line(&format!("{} {}", self.name, self.argument), TOOL_LINE)
    }

    fn push(&self, text: &mut TextBuilder, indent: usize, sign: &str) {
        text.newline().push(&"\u{2003}".repeat(indent)).push(sign).push(" ").bold(&self.name);
        let room = TOOL_LINE.saturating_sub(self.name.chars().count());
        let is_path = FILE_TOOLS.iter().any(|(name, _)| *name == self.name);
        let argument = if is_path { tail(&self.argument, room) } else { one_line(&self.argument, room) };
        if !argument.is_empty() {
            text.push(" ").code(&argument);
        }
    }
}

impl Tools {
    /// Those of a turn that runs already, as a snapshot tells them.
    pub fn of(count: u32, running: &[(Millis, ToolStarted)], folder: &str) -> Self {
        let mut tools = Self { count, ..Self::default() };
        for (at, started) in running.iter().filter(|(_, started)| !is_todo(&started.name)) {
            tools.running.push(Tool::of(started, *at, folder));
        }
        tools.running.truncate(MAX_RUNNING);
        tools
    }

    /// What a snapshot knows, with what only this side does.
    pub fn brought_up(&mut self, now: Self) {
        self.count = self.count.max(now.count);
        self.running = now.running;
    }

    /// One begins. Whether it counts: the todo list is shown as such.
    pub fn started(&mut self, started: &ToolStarted, at: Millis, folder: &str) -> bool {
        if is_todo(&started.name) {
            return false;
        }
        let tool = Tool::of(started, at, folder);
        self.count = self.count.saturating_add(1);
        let has_room = self.names.len() < MAX_NAMES;
        match self.names.iter_mut().find(|(name, _)| *name == tool.name) {
            Some((_, count)) => *count = count.saturating_add(1),
            None if has_room => self.names.push((tool.name.clone(), 1)),
            None => {}
        }
        if self.running.len() >= MAX_RUNNING {
            self.running.remove(0);
        }
        self.running.push(tool);
        true
    }

    /// One came back: which, where it is known.
    pub fn ended(&mut self, ended: &ToolEnded) -> Option<Tool> {
        let at = self.running.iter().position(|tool| tool.tool_use == ended.tool_use.as_str())?;
        let tool = Tool { failed: ended.is_error, ..self.running.remove(at) };
        // What was inside of it is its own business.
        self.done.retain(|inner| inner.parent.as_ref() != Some(&tool.tool_use));
        if tool.failed {
            self.failed = self.failed.saturating_add(1);
            if self.failures.len() < MAX_FAILURES {
                self.failures.push(tool.plain());
            }
        } else if tool.changes && !self.files.contains(&tool.argument) {
            if self.files.len() < MAX_FILES {
                self.files.push(tool.argument.clone());
            } else {
                self.more_files = self.more_files.saturating_add(1);
            }
        }
        let same = |other: &&Tool| other.parent == tool.parent;
        let most = if tool.parent.is_none() { SHOWN_DONE } else { SHOWN_INNER };
        if self.done.iter().filter(same).count() >= most {
            let first = self.done.iter().position(|other| other.parent == tool.parent);
            first.map(|first| self.done.remove(first));
        } else if self.done.len() >= MAX_DONE {
            self.done.remove(0);
        }
        self.done.push(tool.clone());
        Some(tool)
    }

    /// Whether this use runs.
    pub fn runs(&self, tool_use: &str) -> bool {
        self.running.iter().any(|tool| tool.tool_use == tool_use)
    }

    /// How many different files were changed.
    pub fn files_changed(&self) -> u32 {
        u32::try_from(self.files.len()).unwrap_or(u32::MAX).saturating_add(self.more_files)
    }

    /// The last few, and those that run, each on a line of its own.
    pub fn push(&self, text: &mut TextBuilder, now: Millis) {
        // A subagent in the background outlives the call that began it.
        let is_root = |tool: &&Tool| tool.parent.as_ref().is_none_or(|parent| !self.runs(parent));
        let done: Vec<&Tool> = self.done.iter().filter(is_root).collect();
        for tool in done.iter().skip(done.len().saturating_sub(SHOWN_DONE)) {
            tool.push(text, 0, if tool.failed { "✗" } else { "✓" });
        }
        let roots: Vec<&Tool> = self.running.iter().filter(is_root).collect();
        for tool in roots.iter().take(SHOWN_RUNNING) {
            self.push_running(text, tool, 0, now);
        }
        if roots.len() > SHOWN_RUNNING {
            text.newline().push(&format!("▸ and {} more", roots.len() - SHOWN_RUNNING));
        }
    }

    fn push_running(&self, text: &mut TextBuilder, tool: &Tool, depth: usize, now: Millis) {
        tool.push(text, depth, "▸");
        let since = now.0.saturating_sub(tool.started_at);
        if since >= 1000 {
            text.push(&format!(" · {}", elapsed(Millis(since))));
        }
        if depth + 1 >= DEPTH {
            return;
        }
        let inner = |other: &&Tool| other.parent.as_ref() == Some(&tool.tool_use);
        for done in self.done.iter().filter(inner) {
            done.push(text, depth + 1, if done.failed { "✗" } else { "✓" });
        }
        let running: Vec<&Tool> = self.running.iter().filter(inner).collect();
        for one in running.iter().take(SHOWN_INNER) {
            self.push_running(text, one, depth + 1, now);
        }
        if running.len() > SHOWN_INNER {
            let more = running.len() - SHOWN_INNER;
            text.newline().push(&"\u{2003}".repeat(depth + 1)).push(&format!("▸ and {more} more"));
        }
    }

    /// For the folded part of the end: what was used how often, which files changed, what failed.
    pub fn push_details(&self, text: &mut TextBuilder) {
        let mut names: Vec<&(String, u32)> = self.names.iter().collect();
        names.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
        let used: Vec<String> = names.iter().map(|(name, count)| format!("{name} {count}")).collect();
        text.push(&used.join(" · "));
        for file in &self.files {
            text.newline().push("✎ ").code(&tail(file, TOOL_LINE));
        }
        if self.more_files > 0 {
            text.newline().push(&format!("✎ and {} more", self.more_files));
        }
        for failure in &self.failures {
            text.newline().push("✗ ").push(failure);
        }
        let named = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        if self.failed > named {
            text.newline().push(&format!("✗ and {} more", self.failed - named));
        }
    }
}

fn is_todo(name: &str) -> bool {
    TODO_TOOLS.contains(&name)
}

/// A tool's name as people know it: `mcp__github__list_issues` is `github: list_issues`.
fn title(name: &str) -> String {
    let title = match name.strip_prefix("mcp__").and_then(|rest| rest.split_once("__")) {
        Some((server, tool)) => format!("{server}: {tool}"),
        None if name == "Agent" => "Task".to_owned(),
        None => name.to_owned(),
    };
    one_line(&title, TOOL_LINE / 2)
}

/// The argument without the folder, wherever a path in it begins with that.
fn relative(argument: &str, folder: &str) -> String {
    let folder = folder.trim_end_matches('/');
    if folder.is_empty() { argument.to_owned() } else { argument.replace(&format!("{folder}/"), "") }
}

fn path(path: &str) -> String {
    tail(&one_line(path, usize::MAX), KEPT_ARGUMENT)
}

/// The end of a path tells more than its beginning.
fn tail(path: &str, max: usize) -> String {
    let length = path.chars().count();
    if length <= max {
        return path.to_owned();
    }
    let kept: String = path.chars().skip(length - max.saturating_sub(1)).collect();
    format!("…{kept}")
}
