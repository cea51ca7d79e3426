//! Background tasks, each with a button that stops it.

use carcin_proto::event::TaskChanged;
use serde::{Deserialize, Serialize};

use super::{Action, button, numbered};
use crate::markdown::{Text, TextBuilder};
use crate::message::Button;
use crate::view::phrases::one_line;

/// The most that are shown.
const MOST: usize = 20;
/// The longest description, in characters.
const DESCRIPTION: usize = 120;
/// The longest on a button.
const LABEL: usize = 30;

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks {
    /// Id and description.
    pub tasks: Vec<(String, String)>,
    /// How many more run.
    pub more: usize,
}

impl Tasks {
    /// These tasks.
    pub fn new(tasks: &[TaskChanged]) -> Self {
        let shown = tasks.iter().take(MOST);
        let shown = shown.map(|task| (task.task.clone(), one_line(&task.description, DESCRIPTION)));
        Self { tasks: shown.collect(), more: tasks.len().saturating_sub(MOST) }
    }

    pub(super) fn render(&self, data: &dyn Fn(&str) -> String) -> (Text, Vec<Vec<Button>>) {
        let mut text = TextBuilder::new();
        if self.tasks.is_empty() {
            text.push("Nothing runs in the background.");
            return (text.build(), Vec::new());
        }
        text.bold("In the background");
        for (index, (task, description)) in self.tasks.iter().enumerate() {
            text.newline().push(&format!("{}. ", index + 1));
            text.push(named(task, description));
        }
        if self.more > 0 {
            text.newline().push(&format!("and {} more", self.more));
        }
        let buttons = self.tasks.iter().enumerate().map(|(index, (task, description))| {
            let label = format!("⏹ {}. {}", index + 1, one_line(named(task, description), LABEL));
            vec![button(label, data(&format!("k{index}")))]
        });
        (text.build(), buttons.collect())
    }

    pub(super) fn press(&self, argument: &str) -> Option<Action> {
        let (task, description) = self.tasks.get(numbered(argument, "k")?)?;
        Some(Action::StopTask(task.clone(), description.clone()))
    }

    /// The same without this one.
    #[must_use]
    pub fn without(&self, task: &str) -> Self {
        let left = self.tasks.iter().filter(|(id, _)| id != task).cloned();
        Self { tasks: left.collect(), more: self.more }
    }
}

fn named<'a>(task: &'a str, description: &'a str) -> &'a str {
    if description.is_empty() { task } else { description }
}

#[cfg(test)]
mod tests {
    use carcin_proto::event::TaskStatus;

    use super::super::{Picker, What, shown};
    use super::*;

    #[test]
    fn each_task_has_its_button() {
        let task = |id: &str, description: &str| TaskChanged {
            task: id.into(),
            tool_use: None,
            description: description.into(),
            status: TaskStatus::Running,
        };
        let tasks = Tasks::new(&[task("b1", "npm run dev"), task("a2", "")]);
        assert_eq!(tasks.press("k1"), Some(Action::StopTask("a2".into(), String::new())));
        assert_eq!(tasks.press("k2"), None);
        let all = [tasks.clone(), tasks.without("b1"), Tasks::new(&[])];
        let all = all.map(|tasks| shown(&Picker::new(What::Tasks(tasks))));
        insta::assert_snapshot!(all.join("\n\n"));
    }
}
