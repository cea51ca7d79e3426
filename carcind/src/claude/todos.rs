//! The todo list, as the todo tools leave it.

use carcin_proto::ToolUseId;
use carcin_proto::event::Todo;
use serde::{Deserialize, Serialize};

/// Follows `TodoWrite`, and `TaskCreate`, `TaskUpdate` and `TaskList`, whichever this Claude has. Serialises, to outlive the
/// daemon. Feed it what Claude itself does, not its subagents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todos {
    todos: Vec<Todo>,
}

impl Todos {
    /// A tool use begins. `Some`: the list is this now.
    pub fn started(&mut self, tool_use: &ToolUseId, name: &str, input: &str) -> Option<Vec<Todo>> {
        let _ = (tool_use, name, input);
        None
    }

    /// A tool use came back, with [`ToolResult`](super::ToolResult)'s fields. `Some`: the list is this now.
    pub fn finished(
        &mut self,
        tool_use: &ToolUseId,
        is_error: bool,
        output: &str,
        structured: &str,
    ) -> Option<Vec<Todo>> {
        let _ = (tool_use, is_error, output, structured);
        None
    }

    /// The list now.
    pub fn list(&self) -> &[Todo] {
        &self.todos
    }
}
