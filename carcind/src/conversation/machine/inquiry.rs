//! Questions to Claude that change nothing in the conversation, and the end of a single task.

use carcin_proto::inquiry::Inquiry;
use carcin_proto::{Refusal, RefusalCode};

use super::call::{Reply, Ticket};
use super::waits::Awaits;
use super::{InputKind, Machine, Process, control};

/// Why Claude cannot be asked.
enum Unasked {
    /// It has not yet begun to take lines.
    NotYet,
    /// None runs.
    NoClaude,
}

impl Machine {
    /// Asks Claude about itself.
    pub(super) fn inquire(&mut self, ticket: Ticket, about: Inquiry) {
        let asked = self.put(|id| match about {
            Inquiry::Context => control::get_context_usage(id),
            Inquiry::Usage => control::get_usage(id),
        });
        match asked {
            Ok(id) => self.wait(ticket, Awaits::Inquiry(id)),
            Err(Unasked::NotYet) => self.reply(ticket, Err(not_yet())),
            Err(Unasked::NoClaude) => {
                let text = "Claude is not running in this conversation now";
                let refusal = Refusal::new(RefusalCode::NoConversation, text);
                let hint = "send it something first, then it can be asked";
                self.reply(ticket, Err(refusal.hint(hint)));
            }
        }
    }

    /// Has Claude end a subagent or a background task.
    pub(super) fn stop_task(&mut self, ticket: Ticket, task: &str) {
        let runs = self.row.tasks.iter().any(|known| known.task == task);
        let asked = if runs { self.put(|id| control::stop_task(id, task)) } else { Err(Unasked::NoClaude) };
        match asked {
            Ok(id) => self.wait(ticket, Awaits::StopTask(id)),
            Err(Unasked::NotYet) => self.reply(ticket, Err(not_yet())),
            // It does not run any more, and that is what was asked for.
            Err(Unasked::NoClaude) => self.reply(ticket, Ok(Reply::Done(()))),
        }
    }

    /// As a sign of life, it says nothing of whether Claude goes on: it does not count as given.
    fn put(&mut self, line: impl FnOnce(&str) -> String) -> Result<String, Unasked> {
        match self.process {
            Process::Ready => {}
            Process::Starting | Process::Adopted | Process::Greeted => return Err(Unasked::NotYet),
            Process::Absent | Process::Ending => return Err(Unasked::NoClaude),
        }
        let id = self.fresh_id();
        self.journal(&id, InputKind::Control, line(&id));
        self.write(&id);
        Ok(id)
    }
}

fn not_yet() -> Refusal {
    Refusal::new(RefusalCode::NoAnswer, "Claude is just being started or taken up")
        .hint("try again in a moment")
}
