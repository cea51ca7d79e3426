//! What a client may find out about one conversation and where it works: for people who choose from a list rather
//! than type.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::event::{TaskChanged, Usage};
use crate::ids::ConversationKey;
use crate::request::ConversationStatus;
use crate::snapshot::QueuedPrompt;

/// The longest patch in [`Changes`], in bytes.
pub const MAX_PATCH: usize = 4 * 1024 * 1024;
/// The most files that [`Changes`] names.
pub const MAX_CHANGED: usize = 500;
/// The most folders that [`FolderList`] names.
pub const MAX_FOLDERS: usize = 200;

/// The reply to [`Request::About`](crate::Request::About).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// As in the daemon's status.
    pub status: ConversationStatus,
    /// The effort; `None`: the model's default.
    pub effort: Option<String>,
    /// The session's title or else its first prompt, one line, where it is known.
    pub title: Option<String>,
    /// The git branch of the folder, where there is one.
    pub branch: Option<String>,
    /// Subagents and background tasks that run.
    pub tasks: Vec<TaskChanged>,
    /// Prompts that are accepted and not begun, in order.
    pub queue: Vec<QueuedPrompt>,
    /// What the last turn that told used, and how full the context was then.
    pub usage: Option<Usage>,
    /// What Claude can be set to and told, as it said itself; empty where no Claude has said so yet.
    pub abilities: Abilities,
}

/// What Claude offers to choose from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// The models, in Claude's order.
    pub models: Vec<ModelInfo>,
    /// The slash commands and skills that mean something outside a terminal, in Claude's order.
    pub commands: Vec<CommandInfo>,
}

/// A model that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// What [`Configure`](crate::request::Configure) takes.
    pub value: String,
    /// What people call it.
    pub name: String,
    /// What it is good for; may be empty.
    pub description: String,
    /// The efforts that it knows, the lowest first; may be empty.
    pub efforts: Vec<String>,
}

/// A slash command or a skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandInfo {
    /// Without the slash.
    pub name: String,
    /// What it does; may be empty.
    pub description: String,
    /// What may follow, in Claude's words; may be empty.
    pub argument_hint: String,
}

/// See [`Request::Inquire`](crate::Request::Inquire).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inquire {
    /// Where.
    pub conversation: ConversationKey,
    /// What about.
    pub about: Inquiry,
}

/// What only a running Claude knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inquiry {
    /// What fills the context (`get_context_usage`).
    Context,
    /// What the session has used, and how much of the plan's limits (`get_usage`).
    Usage,
}

/// See [`Request::Folders`](crate::Request::Folders).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folders {
    /// Where.
    pub conversation: ConversationKey,
    /// The folder to look into, absolute; `None`: where the conversation works.
    pub path: Option<PathBuf>,
}

/// The folders in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderList {
    /// The folder, absolute.
    pub path: PathBuf,
    /// The one it is in; `None`: it is the root.
    pub parent: Option<PathBuf>,
    /// The names of those in it, sorted, hidden ones left out; at most [`MAX_FOLDERS`].
    pub folders: Vec<String>,
    /// How many more there are.
    pub omitted: u32,
    /// Where sessions worked of late, latest first; at most 10.
    pub recent: Vec<PathBuf>,
}

/// What the working tree of a conversation's folder has changed since the last commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The working tree's root.
    pub root: PathBuf,
    /// The branch; `None`: none is checked out.
    pub branch: Option<String>,
    /// The files, sorted; at most [`MAX_CHANGED`].
    pub files: Vec<ChangedFile>,
    /// How many more there are.
    pub files_omitted: u32,
    /// The changes of tracked files as a unified diff, and new text files as additions; at most [`MAX_PATCH`] bytes,
    /// cut at the end of a line.
    pub patch: String,
    /// How many bytes the cut left out.
    pub patch_omitted: u64,
}

/// A file that is not as the last commit has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// From the root.
    pub path: PathBuf,
    /// How.
    pub change: Change,
    /// Lines that came in; `None`: it is no text.
    pub added: Option<u64>,
    /// Lines that went out; `None`: it is no text.
    pub removed: Option<u64>,
}

/// How a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new, and git knows it.
    Added,
    /// It is new, and git does not know it.
    Untracked,
    /// It says something else.
    Modified,
    /// It is gone.
    Deleted,
    /// It has another name.
    Renamed,
    /// It is in conflict.
    Unmerged,
}
