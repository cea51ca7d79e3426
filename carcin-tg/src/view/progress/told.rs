//! What is told in a line or two beside the card.

use std::fmt::Write as _;

use carcin_proto::event::{
    Compacted, CompactionPhase, Level, Notice, SettingsChanged, TaskChanged, TaskStatus, ToolEnded,
};
use serde::{Deserialize, Serialize};

use super::super::card::{Card, Tool, tokens};
use super::super::phrases::one_line;
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
    /// The call that began it has come back, and it goes on.
    background: bool,
}

impl Progress {
    pub(super) fn notice(&mut self, notice: &Notice, out: &mut Vec<Output>) {
        self.flush(false, out);
        let hint = notice.hint.as_deref();
        let text = match notice.level {
            Level::Info => told("ℹ️ ", &notice.text, hint),
            Level::Warning => warning(&notice.text, hint),
            Level::Error => failure(&notice.text, hint),
        };
        out.push(Output::Say { text, sound: notice.level == Level::Error });
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

    /// A call came back. A task that it began and that runs still, runs in the background.
    pub(super) fn background(&mut self, ended: &ToolEnded) {
        let of_it = |task: &&mut Task| task.tool_use.as_deref() == Some(ended.tool_use.as_str());
        self.tasks.iter_mut().filter(of_it).for_each(|task| task.background = true);
    }

    pub(super) fn keep_task(&mut self, changed: &TaskChanged) {
        if self.tasks.len() >= MAX_TASKS {
            self.tasks.remove(0);
        }
        let tool_use = changed.tool_use.as_ref().map(ToString::to_string);
        let runs = |tool_use: &String| self.card.as_ref().is_some_and(|card| card.tools.runs(tool_use));
        self.tasks.push(Task {
            id: changed.task.clone(),
            background: !tool_use.as_ref().is_some_and(runs),
            tool_use,
            description: one_line(&changed.description, DESCRIPTION),
        });
    }

    pub(super) fn task_changed(&mut self, changed: &TaskChanged, out: &mut Vec<Output>) {
        let known = self.tasks.iter().position(|task| task.id == changed.task);
        if changed.status == TaskStatus::Running {
            if known.is_none() {
                self.keep_task(changed);
            }
            return;
        }
        let Some(task) = known.map(|at| self.tasks.remove(at)).filter(|task| task.background) else { return };
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
    if !tool.failed || tool.parent.is_some() || ended.output.trim().is_empty() {
        return None;
    }
    card.told_failures = card.told_failures.saturating_add(1);
    if card.told_failures > TOLD_FAILURES {
        return None;
    }
    let mut output = ended.output.clone();
    if ended.omitted > 0 {
        // A string takes it.
        let _ = write!(output, "\n… and {} bytes more", ended.omitted);
    }
    Some(folded("✗", &tool.plain(), "output.txt", &output))
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
