//! Taking back a prompt that Claude has not begun.
//!
//! One that Claude was never given is settled at once. One that it was given is its own to give back: it is asked, and
//! says whether it still had the prompt in its queue. That somebody wants it back is in the prompt's row meanwhile, so
//! that it is not given to the next Claude if this one dies, and that the next daemon asks on.

use std::collections::BTreeMap;

use carcin_proto::IdempotencyKey;
use carcin_proto::event::PromptOutcome;
use carcin_proto::request::Withdrawal;

use super::call::{Past, Reply, Ticket};
use super::waits::Awaits;
use super::{Effect, InputKind, Machine, Process, PromptId, PromptRow, PromptState, Row, control};

/// The prompts that Claude is asked to give back, by the requests that it has not answered.
pub(super) type Withdrawals = BTreeMap<String, PromptId>;

impl Machine {
    /// Takes back the prompt with this key, as far as it is not settled.
    pub(super) fn withdraw_prompt(&mut self, ticket: Ticket, key: IdempotencyKey) {
        let Some(at) = self.prompts.iter().position(|prompt| prompt.key == key) else {
            return self.step.effects.push(Effect::Recall(ticket, Past::Prompt(key)));
        };
        let id = self.prompts[at].id;
        match self.prompts[at].state {
            PromptState::Accepted => {
                self.settle(at, PromptOutcome::Cancelled);
                self.advance();
                self.reply(ticket, Ok(Reply::Withdrawal(Withdrawal::Withdrawn)));
            }
            PromptState::Started | PromptState::Settled => {
                self.reply(ticket, Ok(Reply::Withdrawal(Withdrawal::Begun)));
            }
            PromptState::Given | PromptState::Queued => {
                self.wait(ticket, Awaits::Withdrawal(id));
                if !self.prompts[at].withdrawing {
                    self.prompts[at].withdrawing = true;
                    self.step.rows.push(Row::Prompt(Box::new(self.prompts[at].clone())));
                    self.step.sync = true;
                }
                // Before that it is not known whether the prompt itself was written.
                if self.process == Process::Ready && !self.withdrawals.values().any(|asked| *asked == id) {
                    self.ask_back(id);
                }
            }
        }
    }

    fn ask_back(&mut self, id: PromptId) {
        let request = self.fresh_id();
        self.withdrawals.insert(request.clone(), id);
        self.send(&request, InputKind::Control, control::cancel_async_message(&request, id));
    }

    /// Claude says whether it had the prompt in its queue. If not, it says itself what becomes of it: it may have
    /// taken it out just now to begin it.
    pub(super) fn withdrawal_answered(&mut self, request: &str, answer: Result<&str, &String>) {
        let Some(id) = self.withdrawals.remove(request) else { return };
        let removed = answer.is_ok_and(control::is_cancelled);
        let open = |prompt: &PromptRow| prompt.id == id && prompt.state != PromptState::Started;
        if removed && let Some(at) = self.prompts.iter().position(open) {
            self.settle_unbegun(at);
        }
    }

    /// Claude cannot be asked.
    pub(super) fn withdrawal_unwritable(&mut self, request: &str) {
        self.withdrawals.remove(request);
    }

    /// Settles a prompt that Claude will not begin.
    pub(super) fn settle_unbegun(&mut self, at: usize) {
        self.prompts[at].unbegun = true;
        self.settle(at, PromptOutcome::Cancelled);
    }

    /// Claude has begun the prompt.
    pub(super) fn too_late_to_withdraw(&mut self, id: PromptId) {
        self.withdrawal_known(id, Withdrawal::Begun);
    }

    pub(super) fn withdrawal_settled(&mut self, prompt: &PromptRow) {
        let known = if prompt.unbegun { Withdrawal::Withdrawn } else { Withdrawal::Begun };
        self.withdrawal_known(prompt.id, known);
    }

    fn withdrawal_known(&mut self, id: PromptId, known: Withdrawal) {
        self.waits.withdrawal_known(id, known, &mut self.step);
    }

    /// Claude is gone, and had not begun these: they go to no other.
    pub(super) fn withdraw_what_was_not_begun(&mut self) {
        self.withdrawals.clear();
        while let Some(at) = self.prompts.iter().position(|prompt| prompt.withdrawing) {
            self.settle_unbegun(at);
        }
    }

    /// An adopted Claude takes lines again, and was never given these: they never are.
    pub(super) fn withdraw_what_was_not_written(&mut self) {
        let unwritten = |machine: &Self, prompt: &PromptRow| {
            let id = prompt.id.to_string();
            prompt.withdrawing && machine.lines.find(&id).is_some()
        };
        while let Some(at) = self.prompts.iter().position(|prompt| unwritten(self, prompt)) {
            self.settle_unbegun(at);
        }
    }

    /// It is asked for the others, behind all that was to be written before.
    pub(super) fn ask_for_the_withdrawn(&mut self) {
        let waiting = |prompt: &&PromptRow| prompt.withdrawing && prompt.state != PromptState::Started;
        let ids: Vec<PromptId> = self.prompts.iter().filter(waiting).map(|prompt| prompt.id).collect();
        for id in ids {
            self.ask_back(id);
        }
    }
}
