//! What a tool has done, for who wants to see it: the edits that nobody was asked about, and what tools have said.

use carcin_proto::ToolUseId;
use carcin_proto::event::{Ask, RequestOpened, ToolEnded, ToolStarted};
use serde::{Deserialize, Serialize};

use super::super::card::{Stage, Tool};
use super::super::diff;
use super::told::{folded, output};
use super::{Output, Progress, Style};

/// Edits that can run at once and be shown.
const MAX_EDITS: usize = 8;
/// Tools whose output says again what was sent as a message, or by the person.
const KNOWN: [&str; 3] = ["AskUserQuestion", "ExitPlanMode", "EnterPlanMode"];

/// An edit that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    tool_use: ToolUseId,
    /// The change.
    diff: String,
}

impl Progress {
    /// Keeps the edit in the call until it is done. A call whose input did not reach us is in the transcript only.
    pub(super) fn edit_begins(&mut self, started: &ToolStarted) {
        if !Tool::changes_files(&started.name) {
            return;
        }
        let Some(diff) = serde_json::from_str(&started.input).ok().and_then(|input| diff::of_input(&input))
        else {
            return;
        };
        if self.edits.len() >= MAX_EDITS {
            self.edits.remove(0);
        }
        self.edits.push(Edit { tool_use: started.tool_use.clone(), diff });
    }

    /// Whoever is asked sees the edit there.
    pub(super) fn edit_is_asked(&mut self, opened: &RequestOpened) {
        if let Ask::Permission(ask) = &opened.ask {
            self.edits.retain(|edit| Some(&edit.tool_use) != ask.tool_use.as_ref());
        }
    }

    pub(super) fn edit_ended(&mut self, ended: &ToolEnded) -> Option<Edit> {
        let at = self.edits.iter().position(|edit| edit.tool_use == ended.tool_use)?;
        Some(self.edits.remove(at))
    }
}

/// What is shown of a tool that has done what it should. What a subagent's has said is the subagent's business; what
/// it has changed is not.
pub(super) fn done(tool: &Tool, ended: &ToolEnded, edit: Option<Edit>, style: &Style) -> Option<Output> {
    if tool.stage != Stage::Done {
        return None;
    }
    if let Some(edit) = edit.filter(|edit| !edit.diff.trim().is_empty()) {
        return Some(folded("✏️", &tool.plain(), "edit.diff", &edit.diff));
    }
    let tells = style.output && tool.parent.is_none() && !tool.is_of_files() && !KNOWN.contains(&&*tool.tool);
    (tells && !ended.output.trim().is_empty()).then(|| output("✓", tool, &ended.output, ended.omitted))
}
