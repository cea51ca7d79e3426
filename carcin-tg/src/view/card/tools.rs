//! The tools on a card: what runs, what ran, and whose it is.

use carcin_proto::Millis;
use carcin_proto::event::{ToolEnded, ToolStarted};
use serde::{Deserialize, Serialize};

use super::super::phrases::{AGENT, elapsed};
use super::tool::{Stage, TOOL_LINE, Tool, is_todo, tail};
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
/// How the answer to a call begins that somebody stopped or denied without a word.
const REFUSED: &str = "The user doesn't want to ";

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
        self.runs_now(tool);
        true
    }

    /// A subagent of an earlier turn goes on: what it does is shown under it.
    pub fn went_on(&mut self, tool_use: &str, description: &str, started_at: u64) {
        self.runs_now(Tool {
            tool_use: tool_use.to_owned(),
            name: AGENT.to_owned(),
            argument: description.to_owned(),
            started_at,
            stage: Stage::GoesOn,
            ..Tool::default()
        });
    }

    fn runs_now(&mut self, tool: Tool) {
        if self.running.len() >= MAX_RUNNING {
            // Sooner one of many inside of a subagent than the subagent.
            let first = self.running.iter().position(|tool| tool.parent.is_some()).unwrap_or(0);
            self.running.remove(first);
        }
        self.running.push(tool);
    }

    /// The call came back, and what it began goes on.
    pub fn goes_on(&mut self, tool_use: &str) {
        self.running
            .iter_mut()
            .filter(|tool| tool.tool_use == tool_use)
            .for_each(|tool| tool.stage = Stage::GoesOn);
    }

    /// What went on after its call came back is over. Whether that is news.
    pub fn task_ended(&mut self, tool_use: &str, failed: bool) -> bool {
        let at =
            self.running.iter().position(|tool| tool.tool_use == tool_use && tool.stage == Stage::GoesOn);
        let Some(at) = at else { return false };
        let stage = if failed { Stage::Failed } else { Stage::Done };
        let tool = Tool { stage, ..self.running.remove(at) };
        // With a subagent all that it did is over, also what it was not said of.
        self.running.retain(|inner| inner.parent.as_deref() != Some(tool_use));
        self.keep_done(tool);
        true
    }

    /// Somebody denied this use.
    pub fn refuse(&mut self, tool_use: &str) {
        self.running
            .iter_mut()
            .filter(|tool| tool.tool_use == tool_use)
            .for_each(|tool| tool.stage = Stage::Refused);
    }

    /// One came back: which, where it is known.
    pub fn ended(&mut self, ended: &ToolEnded) -> Option<Tool> {
        let at = self.running.iter().position(|tool| tool.tool_use == ended.tool_use.as_str())?;
        let tool = self.running.remove(at);
        let refused = tool.stage == Stage::Refused || ended.output.starts_with(REFUSED);
        let stage = match (ended.is_error, refused) {
            (false, _) => Stage::Done,
            (true, false) => Stage::Failed,
            (true, true) => Stage::Refused,
        };
        let tool = Tool { stage, ..tool };
        if stage == Stage::Failed {
            self.failed = self.failed.saturating_add(1);
            if self.failures.len() < MAX_FAILURES {
                self.failures.push(tool.plain());
            }
        } else if stage == Stage::Done && tool.changes && !self.files.contains(&tool.argument) {
            if self.files.len() < MAX_FILES {
                self.files.push(tool.argument.clone());
            } else {
                self.more_files = self.more_files.saturating_add(1);
            }
        }
        self.keep_done(tool.clone());
        Some(tool)
    }

    fn keep_done(&mut self, tool: Tool) {
        // What was inside of it is its own business.
        self.done.retain(|inner| inner.parent.as_ref() != Some(&tool.tool_use));
        let same = |other: &&Tool| other.parent == tool.parent;
        let most = if tool.parent.is_none() { SHOWN_DONE } else { SHOWN_INNER };
        if self.done.iter().filter(same).count() >= most {
            let first = self.done.iter().position(|other| other.parent == tool.parent);
            first.map(|first| self.done.remove(first));
        } else if self.done.len() >= MAX_DONE {
            self.done.remove(0);
        }
        self.done.push(tool);
    }

    /// Whether this use runs.
    pub fn runs(&self, tool_use: &str) -> bool {
        self.running.iter().any(|tool| tool.tool_use == tool_use)
    }

    /// The latest use of this tool that runs.
    pub fn running_use_of(&self, name: &str) -> Option<String> {
        self.running.iter().rev().find(|tool| tool.tool == name).map(|tool| tool.tool_use.clone())
    }

    /// Whether it is a use of Claude's own that runs, and none of a subagent's.
    pub fn runs_itself(&self, tool_use: &str) -> bool {
        self.running.iter().any(|tool| tool.tool_use == tool_use && tool.parent.is_none())
    }

    /// How many different files were changed.
    pub fn files_changed(&self) -> u32 {
        u32::try_from(self.files.len()).unwrap_or(u32::MAX).saturating_add(self.more_files)
    }

    /// The last few, and those that run, each on a line of its own.
    pub fn push(&self, text: &mut TextBuilder, now: Millis) {
        let is_root = |tool: &&Tool| tool.parent.as_ref().is_none_or(|parent| !self.runs(parent));
        let done: Vec<&Tool> = self.done.iter().filter(is_root).collect();
        for tool in done.iter().skip(done.len().saturating_sub(SHOWN_DONE)) {
            tool.push(text, 0);
        }
        let mut roots: Vec<&Tool> = self.running.iter().filter(is_root).collect();
        // What is done now, before what goes on for long.
        roots.sort_by_key(|tool| tool.stage == Stage::GoesOn);
        for tool in roots.iter().take(SHOWN_RUNNING) {
            self.push_running(text, tool, 0, now);
        }
        if roots.len() > SHOWN_RUNNING {
            text.newline().push(&format!("▸ and {} more", roots.len() - SHOWN_RUNNING));
        }
    }

    fn push_running(&self, text: &mut TextBuilder, tool: &Tool, depth: usize, now: Millis) {
        tool.push(text, depth);
        let since = now.0.saturating_sub(tool.started_at);
        if since >= 1000 && tool.started_at > 0 {
            text.push(&format!(" · {}", elapsed(Millis(since))));
        }
        if depth + 1 >= DEPTH {
            return;
        }
        let inner = |other: &&Tool| other.parent.as_ref() == Some(&tool.tool_use);
        for done in self.done.iter().filter(inner) {
            done.push(text, depth + 1);
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
