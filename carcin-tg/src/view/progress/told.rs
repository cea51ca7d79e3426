//! What is told in a line or two beside the card.

use std::fmt::Write as _;

use carcin_proto::event::{
    ApiRetried, Compacted, CompactionPhase, Level, Notice, SettingsChanged, TaskChanged, TaskStatus,
    ToolEnded,
};
use carcin_proto::{Millis, ToolUseId};
use serde::{Deserialize, Serialize};

use super::super::card::{Card, Stage, Tool, Tools, tokens};
use super::super::phrases::{bare, one_line};
use super::{Output, Progress};
use crate::commands::Setting;
use crate::markdown::{Text, TextBuilder};

/// The longest text that is shown folded in the chat, in characters; what is longer becomes a file.
const FOLDED: usize = 1_500;
/// Failed tools of a turn whose output is told; of the others the card counts.
const TOLD_FAILURES: u32 = 5;
/// Tasks that are remembered.
const MAX_TASKS: usize = 16;
/// The longest description of a task, in characters.
const DESCRIPTION: usize = 120;

/// A subagent, or a task in the background.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    id: String,
    tool_use: Option<String>,
    description: String,
    /// When it began, in milliseconds of the wall clock; 0: not known.
    started_at: u64,
    /// The call that began it has come back, and it goes on.
    background: bool,
    /// A subagent has begun it: that is the subagent's business.
    inner: bool,
}

impl Task {
    /// Whether this use began it.
    pub(super) fn is_of(&self, tool_use: &ToolUseId) -> bool {
        self.tool_use.as_deref() == Some(tool_use.as_str())
    }

    /// Shows it on a card that has not seen it begin.
    pub(super) fn goes_on_with(&self, tools: &mut Tools) {
        if let Some(tool_use) = &self.tool_use {
            tools.went_on(tool_use, &self.description, self.started_at);
        }
    }
}

impl Progress {
    pub(super) fn notice(&mut self, notice: &Notice, at: Millis, out: &mut Vec<Output>) {
        self.flush(false, out);
        let sound = notice.level == Level::Error;
        if sound {
            self.alarmed_at = Some(at.0);
        }
        let hint = notice.hint.as_deref();
        let text = match notice.level {
            Level::Info => told("ℹ️ ", &notice.text, hint),
            Level::Warning => warning(&notice.text, hint),
            Level::Error => failure(&notice.text, hint),
        };
        out.push(Output::Say { text, sound });
    }

    /// A mode that changes while Claude works is told; what changes it in between says so itself.
    pub(super) fn settings_changed(&mut self, settings: &SettingsChanged, out: &mut Vec<Output>) {
        let before = std::mem::replace(&mut self.mode, settings.permission_mode.clone());
        if let (Some(before), Some(now), true) = (before, &settings.permission_mode, self.card.is_some())
            && before != *now
        {
            let mut text = TextBuilder::new();
            text.push("🎛 Permission mode: ").bold(&Setting::Mode.shown(now));
            out.push(Output::Say { text: text.build(), sound: false });
        }
    }

    /// A call came back. A task that it began and that runs still, runs in the background. Whether there is one.
    pub(super) fn background(&mut self, ended: &ToolEnded) -> bool {
        let mut any = false;
        for task in self.tasks.iter_mut().filter(|task| task.is_of(&ended.tool_use)) {
            (task.background, any) = (true, true);
        }
        any
    }

    /// How many tasks of Claude's own go on without it.
    pub(super) fn tasks_going_on(&self) -> u32 {
        let going_on = self.tasks.iter().filter(|task| task.background && !task.inner).count();
        u32::try_from(going_on).unwrap_or(u32::MAX)
    }

    /// Remembers a task; `found` is one that was not seen to begin.
    pub(super) fn keep_task(&mut self, changed: &TaskChanged, at: Millis, found: bool) {
        if self.tasks.len() >= MAX_TASKS {
            self.tasks.remove(0);
        }
        let tool_use = changed.tool_use.as_ref().map(ToString::to_string);
        let tools = self.card.as_ref().map(|card| &card.tools);
        let runs = |tool_use: &String| tools.is_some_and(|tools| tools.runs(tool_use));
        // Only Claude's own tools run in a turn of its own and belong to nobody else.
        let is_own = |tool_use: &String| tools.is_some_and(|tools| tools.runs_itself(tool_use));
        self.tasks.push(Task {
            id: changed.task.clone(),
            background: !tool_use.as_ref().is_some_and(runs),
            inner: !found && !tool_use.as_ref().is_none_or(is_own),
            tool_use,
            description: one_line(&changed.description, DESCRIPTION),
            started_at: at.0,
        });
    }

    pub(super) fn task_changed(&mut self, changed: &TaskChanged, at: Millis, out: &mut Vec<Output>) {
        let known = self.tasks.iter().position(|task| task.id == changed.task);
        if changed.status == TaskStatus::Running {
            if known.is_none() {
                self.keep_task(changed, at, false);
            }
            return;
        }
        let Some(task) = known.map(|at| self.tasks.remove(at)).filter(|task| task.background) else { return };
        if let (Some(card), Some(tool_use)) = (&mut self.card, &task.tool_use)
            && card.tools.task_ended(tool_use, changed.status == TaskStatus::Failed)
        {
            out.push(Output::Card);
        }
        if task.inner {
            return;
        }
        let (sign, how) = match changed.status {
            TaskStatus::Failed => ("❌", "failed"),
            TaskStatus::Stopped => ("⏹", "was stopped"),
            TaskStatus::Running | TaskStatus::Completed => ("✅", "has finished"),
        };
        let mut text = TextBuilder::new();
        text.push(sign).push(" A background task ").push(how);
        if !task.description.is_empty() {
            text.push(": ").push(&task.description);
        }
        out.push(Output::Say { text: text.build(), sound: false });
    }
}

/// What a failed tool said. What a subagent's said is the subagent's business, and the first few are enough.
pub(super) fn failed_tool(card: &mut Card, tool: &Tool, ended: &ToolEnded) -> Option<Output> {
    let said = unwrapped(&ended.output);
    if tool.stage != Stage::Failed || tool.parent.is_some() || said.trim().is_empty() {
        return None;
    }
    card.told_failures = card.told_failures.saturating_add(1);
    if card.told_failures > TOLD_FAILURES {
        return None;
    }
    Some(output("✗", tool, said, ended.omitted))
}

/// What a tool said: folded, or as a file.
pub(super) fn output(sign: &str, tool: &Tool, said: &str, omitted: u64) -> Output {
    let mut said = said.to_owned();
    if omitted > 0 {
        // A string takes it.
        let _ = write!(said, "\n… and {omitted} bytes more");
    }
    folded(sign, &tool.plain(), "output.txt", &said)
}

/// What a tool said, without the marks in which Claude Code puts what is wrong with a call.
fn unwrapped(output: &str) -> &str {
    let wrapped = output.trim().strip_prefix("<tool_use_error>");
    wrapped.and_then(|wrapped| wrapped.strip_suffix("</tool_use_error>")).unwrap_or(output)
}

/// Why the API is asked again, and how often it was.
pub(super) fn retry(retried: &ApiRetried) -> String {
    let ApiRetried { attempt, max_attempts, message, .. } = retried;
    let next = attempt.saturating_add(1);
    // A login that is refused again ends the turn.
    if next > *max_attempts || retried.status == Some(401) {
        return message.clone();
    }
    format!("{}. Claude tries again: {next} of {max_attempts}", bare(message))
}

/// A long text: folded in the chat, or as a file.
pub(super) fn folded(sign: &str, head: &str, name: &str, content: &str) -> Output {
    if content.chars().count() > FOLDED {
        let caption = format!("{sign} {head}");
        return Output::File { name: name.to_owned(), content: content.to_owned(), caption };
    }
    let mut text = TextBuilder::new();
    text.push(sign).push(" ").bold(head).newline().expandable_quote(|quote| {
        quote.push(content.trim());
    });
    Output::Say { text: text.build(), sound: false }
}

pub(super) fn compaction(compacted: &Compacted) -> Text {
    match (&compacted.phase, compacted.before, compacted.after) {
        (CompactionPhase::Started, ..) => Text::plain("🗜 Compacting the context…"),
        (CompactionPhase::Failed(why), ..) => warning(&format!("Compacting the context failed: {why}"), None),
        (CompactionPhase::Finished, Some(before), Some(after)) => {
            Text::plain(&format!("🗜 Context compacted: {} → {} tokens", tokens(before), tokens(after)))
        }
        (CompactionPhase::Finished, ..) => Text::plain("🗜 Context compacted"),
    }
}

pub(super) fn warning(text: &str, hint: Option<&str>) -> Text {
    told("⚠️ ", text, hint)
}

pub(super) fn failure(text: &str, hint: Option<&str>) -> Text {
    told("❌ ", text, hint)
}

fn told(sign: &str, text: &str, hint: Option<&str>) -> Text {
    let mut line = TextBuilder::new();
    line.push(sign).push(text.trim());
    if let Some(hint) = hint {
        line.newline().italic(hint.trim());
    }
    line.build()
}
