//! The todo list on a card: a checklist of a few lines.

use carcin_proto::event::{Todo, TodoStatus};
use serde::{Deserialize, Serialize};

use super::super::phrases::one_line;
use crate::markdown::TextBuilder;

/// Lines that the list takes at most.
const LINES: usize = 10;
/// Items that are remembered.
const MAX_ITEMS: usize = 60;
/// The longest item, in characters.
const ITEM: usize = 56;

/// The todo list, as far as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Todos {
    items: Vec<(TodoStatus, String)>,
    /// Items beyond those.
    more: usize,
}

impl Todos {
    /// As an event tells it.
    pub fn of(todos: &[Todo]) -> Self {
        let items = todos.iter().take(MAX_ITEMS).map(|todo| (todo.status, one_line(&todo.text, ITEM)));
        Self { items: items.collect(), more: todos.len().saturating_sub(MAX_ITEMS) }
    }

    /// Writes the list below what is there. Where it is long, what is done is folded, and the rest is counted.
    pub fn push(&self, text: &mut TextBuilder) {
        let all = self.items.len() + self.more;
        let long = all > LINES;
        let done = self.items.iter().filter(|(status, _)| *status == TodoStatus::Completed).count();
        let mut shown: Vec<&(TodoStatus, String)> = self.items.iter().collect();
        if long {
            if done > 0 {
                text.newline().push(&format!("✅ {done} of {all} done"));
            }
            shown.retain(|(status, _)| *status != TodoStatus::Completed);
            // What runs is never among what is only counted.
            shown.sort_by_key(|(status, _)| *status != TodoStatus::InProgress);
        }
        let room = if long { LINES - 2 } else { LINES };
        for (status, item) in shown.iter().take(room) {
            let sign = match status {
                TodoStatus::Completed => "✅",
                TodoStatus::InProgress => "🔄",
                TodoStatus::Pending => "⬜",
            };
            text.newline().push(sign).push(" ").push(item);
        }
        let left = shown.len().saturating_sub(room) + self.more;
        if left > 0 {
            text.newline().push(&format!("⬜ and {left} more"));
        }
    }
}
