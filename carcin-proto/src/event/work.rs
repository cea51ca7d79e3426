//! What Claude does in a turn: text, tools, the todo list, tasks.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::{BlockId, Millis, ToolUseId, TurnId};

/// See [`Event::TextBlock`](super::Event::TextBlock).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextBlock {
    /// The turn.
    pub turn: TurnId,
    /// The block; the deltas of the same block are superseded.
    pub block: BlockId,
    /// Markdown, at most [`MAX_TEXT`](super::MAX_TEXT) bytes.
    pub text: String,
    /// The tool use of the subagent that wrote it; `None`: Claude itself.
    pub parent: Option<ToolUseId>,
}

/// See [`Event::ThinkingBlock`](super::Event::ThinkingBlock).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThinkingBlock {
    /// The turn.
    pub turn: TurnId,
    /// The block.
    pub block: BlockId,
    /// At most [`MAX_EXCERPT`](super::MAX_EXCERPT) bytes; may be empty where thinking is redacted.
    pub text: String,
    /// The tool use of the subagent that thought it; `None`: Claude itself.
    pub parent: Option<ToolUseId>,
}

/// See [`Event::ToolStarted`](super::Event::ToolStarted).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolStarted {
    /// The turn.
    pub turn: TurnId,
    /// The block.
    pub block: BlockId,
    /// This use.
    pub tool_use: ToolUseId,
    /// The tool's name.
    pub name: String,
    /// The telling argument (path, command, pattern, query), at most 400 characters, one line; may be empty.
    pub summary: String,
    /// Claude's raw JSON input; empty when over [`MAX_RAW`](super::MAX_RAW), then it is in the transcript only.
    pub input: String,
    /// The tool use of the subagent that uses it; `None`: Claude itself.
    pub parent: Option<ToolUseId>,
}

/// See [`Event::ToolEnded`](super::Event::ToolEnded).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolEnded {
    /// The turn.
    pub turn: TurnId,
    /// The use.
    pub tool_use: ToolUseId,
    /// Whether Claude was told of an error, a denial included.
    pub is_error: bool,
    /// The output, cut at [`MAX_EXCERPT`](super::MAX_EXCERPT).
    pub output: String,
    /// How many bytes the cut left out.
    pub omitted: u64,
    /// How long it took, by the daemon's clock.
    pub duration: Millis,
    /// The tool use of the subagent that used it; `None`: Claude itself.
    pub parent: Option<ToolUseId>,
}

/// See [`Event::ToolPicture`](super::Event::ToolPicture).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolPicture {
    /// The turn.
    pub turn: TurnId,
    /// The use that returned it.
    pub tool_use: ToolUseId,
    /// Absolute, in the daemon's state directory. The reader opens it itself and soon: the oldest pictures are removed.
    pub path: PathBuf,
    /// `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
    pub media_type: String,
    /// The file's size in bytes.
    pub size: u64,
    /// The tool use of the subagent that used the tool; `None`: Claude itself.
    pub parent: Option<ToolUseId>,
}

/// See [`Event::TodosChanged`](super::Event::TodosChanged).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TodosChanged {
    /// All of them, in order.
    pub todos: Vec<Todo>,
}

/// One item of the todo list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// What Claude calls it where it does (`TaskCreate`), else its place in the list.
    pub id: String,
    /// What is to be done.
    pub text: String,
    /// How far it is.
    pub status: TodoStatus,
}

/// How far a todo item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TodoStatus {
    /// Open.
    Pending,
    /// Running.
    InProgress,
    /// Done.
    Completed,
}

/// See [`Event::TaskChanged`](super::Event::TaskChanged).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskChanged {
    /// Claude's id of the task.
    pub task: String,
    /// The tool use that began it, where told.
    pub tool_use: Option<ToolUseId>,
    /// What it does.
    pub description: String,
    /// Where it stands.
    pub status: TaskStatus,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// It runs.
    Running,
    /// It is done.
    Completed,
    /// It failed.
    Failed,
    /// It was stopped.
    Stopped,
}
