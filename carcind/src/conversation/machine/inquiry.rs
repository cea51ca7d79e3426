//! Questions to Claude that change nothing in the conversation, and the end of a single task.

use std::collections::BTreeMap;

use carcin_proto::inquiry::Inquiry;

use super::{InputKind, Machine, Process, control};

/// Whether Claude can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inquired {
    /// It is asked; see [`Machine::inquired`].
    Asked(String),
    /// It has not yet begun to take lines.
    NotYet,
    /// None runs.
    NoClaude,
}

/// What Claude was asked, and what it has answered.
pub(super) type Inquiries = BTreeMap<String, Option<Result<String, String>>>;

impl Machine {
    /// Asks Claude about itself.
    pub fn inquire(&mut self, about: Inquiry) -> Inquired {
        self.put(|id| match about {
            Inquiry::Context => control::get_context_usage(id),
            Inquiry::Usage => control::get_usage(id),
        })
    }

    /// Has Claude end a subagent or a background task. `None`: no such task runs.
    pub fn stop_task(&mut self, task: &str) -> Option<Inquired> {
        let runs = self.row.tasks.iter().any(|known| known.task == task);
        runs.then(|| self.put(|id| control::stop_task(id, task)))
    }

    /// What Claude has answered, or why it does not; `None`: nothing yet.
    pub fn inquired(&self, id: &str) -> Option<Result<String, String>> {
        self.inquiries.get(id).cloned().flatten()
    }

    /// Nobody waits any more for the answers to others than these.
    pub fn inquiries_awaited(&mut self, ids: &[String]) {
        self.inquiries.retain(|id, _| ids.contains(id));
    }

    /// As a sign of life, it says nothing of whether Claude goes on: it does not count as given.
    fn put(&mut self, line: impl FnOnce(&str) -> String) -> Inquired {
        match self.process {
            Process::Ready => {}
            Process::Starting | Process::Adopted | Process::Greeted => return Inquired::NotYet,
            Process::Absent | Process::Ending => return Inquired::NoClaude,
        }
        let id = self.fresh_id();
        self.journal(&id, InputKind::Control, line(&id));
        self.write(&id);
        self.inquiries.insert(id.clone(), None);
        Inquired::Asked(id)
    }

    pub(super) fn inquiry_answered(&mut self, id: &str, answer: Result<&str, &str>) {
        if let Some(waiting) = self.inquiries.get_mut(id) {
            *waiting = Some(answer.map(str::to_owned).map_err(str::to_owned));
        }
    }

    /// Claude is gone.
    pub(super) fn nothing_is_answered_any_more(&mut self) {
        for waiting in self.inquiries.values_mut() {
            waiting.get_or_insert_with(|| Err("Claude has ended".to_owned()));
        }
    }
}
