//! One tool on a card: its name as people know it, and what it is about.

use carcin_proto::Millis;
use carcin_proto::event::ToolStarted;
use serde::{Deserialize, Serialize};

use super::super::phrases::{one_line, tool_name};
use crate::markdown::TextBuilder;

/// The longest line of a tool, in characters: two lines on a phone.
pub(super) const TOOL_LINE: usize = 60;
/// As much of an argument is remembered, in characters.
const KEPT_ARGUMENT: usize = 240;
/// Tools that keep the todo list. The card shows the list itself.
const TODO_TOOLS: [&str; 5] = ["TodoWrite", "TaskCreate", "TaskUpdate", "TaskList", "TaskGet"];
/// Tools whose telling argument is a file, with whether they change it.
const FILE_TOOLS: [(&str, bool); 5] =
    [("Read", false), ("Edit", true), ("Write", true), ("MultiEdit", true), ("NotebookEdit", true)];

/// The folder in which Claude Code keeps its plans.
const PLANS: &str = "/.claude/plans/";

/// Where a use of a tool stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It runs.
    #[default]
    Runs,
    /// Its call has come back, and what it began goes on.
    GoesOn,
    /// It has done what it should.
    Done,
    /// It has failed.
    Failed,
    /// Somebody denied it, or stopped it while it ran: nothing has failed. Also before its call has come back.
    Refused,
}

/// A tool that runs, or ran.
#[expect(clippy::struct_field_names, reason = "an id has the name of what it identifies")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tool {
    /// The use.
    pub tool_use: String,
    /// The use of the subagent that uses it.
    pub parent: Option<String>,
    /// The tool's name, as Claude calls it.
    pub tool: String,
    /// What it does, in a word or two.
    pub name: String,
    /// Its telling argument.
    pub argument: String,
    /// When it began, in milliseconds of the wall clock.
    pub started_at: u64,
    /// Where it stands.
    pub stage: Stage,
    /// Whether it changes the file that its argument names.
    pub changes: bool,
}

impl Tool {
    /// As an event tells it; paths are told relative to `folder`.
    pub(super) fn of(started: &ToolStarted, at: Millis, folder: &str) -> Self {
        let file = FILE_TOOLS.iter().find(|(name, _)| *name == started.name);
        // Where Claude Code keeps its plans is nobody's business, and they are no work that was done.
        let plan = file.filter(|_| started.summary.contains(PLANS));
        let name = match plan {
            Some((_, true)) => "Write plan".to_owned(),
            Some((_, false)) => "Read plan".to_owned(),
            None => tool_name(&started.name),
        };
        let argument = match file {
            _ if plan.is_some() => String::new(),
            _ if started.name == "Bash" => one_line(&started.summary, KEPT_ARGUMENT),
            Some(_) => path(&relative(&started.summary, folder)),
            None => one_line(&relative(&started.summary, folder), KEPT_ARGUMENT),
        };
        Self {
            tool_use: started.tool_use.to_string(),
            parent: started.parent.as_ref().map(ToString::to_string),
            tool: one_line(&started.name, TOOL_LINE),
            name: one_line(&name, TOOL_LINE / 2),
            argument,
            started_at: at.0,
            changes: plan.is_none() && file.is_some_and(|(_, changes)| *changes),
            ..Self::default()
        }
    }

    /// Whether a tool of this name changes files.
    pub fn changes_files(name: &str) -> bool {
        FILE_TOOLS.iter().any(|(tool, changes)| *tool == name && *changes)
    }

    /// Whether it reads or writes the file that its argument names.
    pub fn is_of_files(&self) -> bool {
        FILE_TOOLS.iter().any(|(name, _)| *name == self.tool)
    }

    fn sign(&self) -> &'static str {
        match self.stage {
            Stage::Runs | Stage::GoesOn => "▸",
            Stage::Done => "✓",
            Stage::Failed => "✗",
            Stage::Refused => "🚫",
        }
    }

    /// `Bash cargo test`, on one line.
    pub fn plain(&self) -> String {
        one_line(&format!("{} {}", self.name, self.argument), TOOL_LINE)
    }

    pub(super) fn push(&self, text: &mut TextBuilder, indent: usize) {
        text.newline().push(&"\u{2003}".repeat(indent)).push(self.sign()).push(" ").bold(&self.name);
        let room = TOOL_LINE.saturating_sub(self.name.chars().count());
        let argument =
            if self.is_of_files() { tail(&self.argument, room) } else { one_line(&self.argument, room) };
        if !argument.is_empty() {
            text.push(" ").code(&argument);
        }
    }
}

pub(super) fn is_todo(name: &str) -> bool {
    TODO_TOOLS.contains(&name)
}

/// The argument without the folder, wherever a path in it begins with that.
fn relative(argument: &str, folder: &str) -> String {
    let folder = folder.trim_end_matches('/');
    if folder.is_empty() {
        return argument.to_owned();
    }
    let inside = format!("{folder}/");
    let mut out = String::with_capacity(argument.len());
    for (at, piece) in argument.split(&inside).enumerate() {
        // In `/mnt/home/ann/x` the folder `/home/ann` is another one.
        let begins = out
            .chars()
            .next_back()
            .is_none_or(|before| !(before.is_alphanumeric() || "/.-_~".contains(before)));
        if at > 0 && !begins {
            out.push_str(&inside);
        }
        out.push_str(piece);
    }
    out
}

fn path(path: &str) -> String {
    tail(&one_line(path, usize::MAX), KEPT_ARGUMENT)
}

/// The end of a path tells more than its beginning.
pub(super) fn tail(path: &str, max: usize) -> String {
    let length = path.chars().count();
    if length <= max {
        return path.to_owned();
    }
    let kept: String = path.chars().skip(length - max.saturating_sub(1)).collect();
    format!("…{kept}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_that_begins_with_the_folder_is_told_without_it() {
        for (argument, told) in [
            ("/home/ann/src/main.rs", "src/main.rs"),
            ("fn main /home/ann/src", "fn main src"),
            ("\"/home/ann/a\" --out=/home/ann/b", "\"a\" --out=b"),
            ("/mnt/home/ann/src", "/mnt/home/ann/src"),
            ("~/home/ann/a.rs", "~/home/ann/a.rs"),
            ("/home/ann", "/home/ann"),
            ("https://x.org/home/ann/a", "https://x.org/home/ann/a"),
        ] {
            assert_eq!(relative(argument, "/home/ann/"), told);
        }
        assert_eq!(relative("/a/b", "/"), "/a/b");
    }
}
