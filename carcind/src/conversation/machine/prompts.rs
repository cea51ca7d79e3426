//! The life of a prompt: accepted, given, begun, settled.

use std::path::PathBuf;

use carcin_proto::event::{MAX_EXCERPT, PromptAccepted, PromptEnded, PromptOutcome, PromptStarted};
use carcin_proto::request::{Placement, Submit, Submitted};
use carcin_proto::{Refusal, RefusalCode, RequestId};

use super::{
    InputKind, InputRow, LifecycleState, Machine, Process, PromptId, PromptRow, PromptState, Row, control,
};
use crate::claude::cut;

/// How many prompts a conversation takes before the first must be done.
const MAX_PROMPTS: usize = 100;
/// The longest prompt, in bytes. It reaches Claude as one line in one piece, and a pipe holds 1 MiB at most.
pub(super) const MAX_PROMPT: usize = 256 * 1024;
/// How many Claudes may die on a prompt before it begins, until it is given up.
const MAX_ATTEMPTS: u32 = 3;

impl Machine {
    /// Takes a prompt with its pictures. The journal gives it a number.
    pub(super) fn submit(&mut self, submit: Submit, images: Vec<PathBuf>) -> Result<Submitted, Refusal> {
        self.acceptable(&submit.text)?;
        let ahead = self.ahead(submit.placement);
        let row = PromptRow {
            id: PromptId((self.fresh)()),
            key: submit.key,
            text: submit.text,
            images,
            by: submit.by,
            placement: submit.placement,
            position: self.position(),
            ahead,
            seq: carcin_proto::Seq(0),
            state: PromptState::Accepted,
            attempts: 0,
            withdrawing: false,
            unbegun: false,
        };
        self.emit(PromptAccepted {
            prompt: row.id,
            key: row.key.clone(),
            text: cut(&row.text, MAX_EXCERPT).to_owned(),
            by: row.by.clone(),
            ahead,
        });
        self.step.rows.push(Row::Prompt(Box::new(row.clone())));
        self.step.sync = true;
        let submitted = Submitted { prompt: row.id, ahead, seq: row.seq };
        self.prompts.push(row);
        self.advance();
        Ok(submitted)
    }

    fn acceptable(&self, text: &str) -> Result<(), Refusal> {
        if self.closing {
            return Err(Refusal::new(RefusalCode::ShuttingDown, "carcind is ending"));
        }
        if text.trim().is_empty() {
            return Err(Refusal::new(RefusalCode::Invalid, "a prompt needs some text"));
        }
        if text.len() > MAX_PROMPT {
            let message = format!("the prompt has {} bytes, at most {MAX_PROMPT} are taken", text.len());
            return Err(Refusal::new(RefusalCode::Invalid, message)
                .hint("put the long part into a file and name its path"));
        }
        if self.prompts.len() >= MAX_PROMPTS {
            let message = format!("{MAX_PROMPTS} prompts wait already");
            return Err(
                Refusal::new(RefusalCode::Full, message).hint("stop the task, or wait until it is done")
            );
        }
        Ok(())
    }

    fn ahead(&self, placement: Placement) -> u32 {
        let waiting = |prompt: &&PromptRow| match placement {
            Placement::Steer => prompt.state == PromptState::Accepted && prompt.placement == Placement::Steer,
            Placement::Queue => true,
        };
        u32::try_from(self.prompts.iter().filter(waiting).count()).unwrap_or(u32::MAX)
    }

    /// Gives Claude what it may have now: what steers at once, what queues when nothing runs.
    pub(super) fn give_all(&mut self) {
        for at in 0..self.prompts.len() {
            let prompt = &self.prompts[at];
            let now = prompt.placement == Placement::Steer || !self.busy();
            if prompt.state == PromptState::Accepted && now {
                self.give(at);
            }
        }
    }

    fn give(&mut self, at: usize) {
        let prompt = &mut self.prompts[at];
        prompt.state = PromptState::Given;
        let (id, line) = (prompt.id.to_string(), control::prompt(prompt.id, &prompt.text));
        self.step.rows.push(Row::Prompt(Box::new(prompt.clone())));
        if let Some(child) = &mut self.row.child {
            child.prompted = true;
        }
        self.send(&id, InputKind::Prompt, line);
    }

    /// Claude says where a prompt stands: the receipt of its line, whatever it says.
    pub(super) fn lifecycle(&mut self, id: PromptId, state: LifecycleState) {
        self.lines.receipt(&id.to_string(), &mut self.step);
        let Some(at) = self.prompts.iter().position(|prompt| prompt.id == id) else {
            // One that was cancelled here before Claude read it; the interrupt is behind it.
            return;
        };
        match state {
            // Said again, it must not take a prompt back to where the next Claude would run it again.
            LifecycleState::Queued if self.prompts[at].state != PromptState::Given => {}
            LifecycleState::Started if self.prompts[at].state == PromptState::Started => {}
            LifecycleState::Queued => self.set_prompt(at, PromptState::Queued),
            LifecycleState::Started => {
                self.set_prompt(at, PromptState::Started);
                // Also after a power cut it is not begun again.
                self.step.sync = true;
                self.too_late_to_withdraw(id);
                self.begin_turn(Some(id));
                let turn = self.row.last_turn;
                self.emit(PromptStarted { prompt: id, turn });
            }
            LifecycleState::Completed if self.unanswered() => self.end_unanswered(),
            // One that is ended drops what it has not begun, which nobody has cancelled: that is for the next one.
            LifecycleState::Cancelled if self.is_dropped_at_the_end(at) => {
                self.set_prompt(at, PromptState::Accepted);
            }
            // Claude calls a prompt cancelled too whose turn ended on an error of the API.
            LifecycleState::Completed | LifecycleState::Cancelled => {
                let prompt = &mut self.prompts[at];
                prompt.unbegun = state == LifecycleState::Cancelled && prompt.state != PromptState::Started;
                let outcome = match self.row.failed.clone() {
                    _ if prompt.unbegun && prompt.withdrawing => PromptOutcome::Cancelled,
                    Some(why) if self.row.turn.is_none() => PromptOutcome::Failed(why),
                    _ if state == LifecycleState::Completed => PromptOutcome::Completed,
                    _ => PromptOutcome::Cancelled,
                };
                self.settle(at, outcome);
            }
        }
    }

    fn is_dropped_at_the_end(&self, at: usize) -> bool {
        let prompt = &self.prompts[at];
        self.process == Process::Ending && prompt.state != PromptState::Started && !prompt.withdrawing
    }

    /// Claude has read a prompt. It tells of one that it takes up before this; where it has not, it has had the
    /// prompt in an earlier life, and passes over it.
    pub(super) fn replayed(&mut self, id: PromptId) {
        self.lines.receipt(&id.to_string(), &mut self.step);
        let given = |prompt: &PromptRow| prompt.id == id && prompt.state == PromptState::Given;
        if let Some(at) = self.prompts.iter().position(given) {
            let why =
                "Claude has had this prompt before, and does not run it again; send it once more".to_owned();
            self.settle(at, PromptOutcome::Failed(why));
        }
    }

    fn set_prompt(&mut self, at: usize, state: PromptState) {
        let prompt = &mut self.prompts[at];
        prompt.state = state;
        self.step.rows.push(Row::Prompt(Box::new(prompt.clone())));
    }

    /// Settles a prompt, for good.
    pub(super) fn settle(&mut self, at: usize, outcome: PromptOutcome) {
        let mut prompt = self.prompts.remove(at);
        self.lines.receipt(&prompt.id.to_string(), &mut self.step);
        prompt.unbegun |= prompt.state == PromptState::Accepted;
        prompt.state = PromptState::Settled;
        self.withdrawal_settled(&prompt);
        self.emit(PromptEnded { prompt: prompt.id, outcome });
        self.step.rows.push(Row::Prompt(Box::new(prompt)));
        self.step.sync = true;
    }

    /// Settles every prompt that `which` picks, and names them.
    pub(super) fn settle_all(
        &mut self,
        which: impl Fn(&PromptRow) -> bool,
        outcome: &PromptOutcome,
    ) -> Vec<PromptId> {
        let mut settled = Vec::new();
        while let Some(at) = self.prompts.iter().position(&which) {
            settled.push(self.prompts[at].id);
            self.settle(at, outcome.clone());
        }
        settled
    }

    /// Claude died. What it had begun is interrupted (or cancelled, if it was stopped); what it had not goes to
    /// the next Claude, unless too many have died on it. Whether a prompt was settled so.
    pub(super) fn bereave(&mut self, stopped: bool, why: &str, blameless: bool) -> bool {
        let begun =
            if stopped { PromptOutcome::Cancelled } else { PromptOutcome::Interrupted(why.to_owned()) };
        let mut told = !self.settle_all(|prompt| prompt.state == PromptState::Started, &begun).is_empty();
        self.withdraw_what_was_not_begun();
        for prompt in &mut self.prompts {
            if prompt.state != PromptState::Accepted {
                prompt.state = PromptState::Accepted;
                prompt.attempts += u32::from(!blameless);
                self.step.rows.push(Row::Prompt(Box::new(prompt.clone())));
            }
        }
        let failed = PromptOutcome::Failed(why.to_owned());
        told |= !self.settle_all(|prompt| prompt.attempts >= MAX_ATTEMPTS, &failed).is_empty();
        told
    }

    /// Claude died, and may have begun what it was given: run once more it might be done twice. Whether there was any.
    pub(super) fn give_up_what_may_have_begun(&mut self, why: &str) -> bool {
        let given = |prompt: &PromptRow| matches!(prompt.state, PromptState::Given | PromptState::Queued);
        !self.settle_all(given, &PromptOutcome::Interrupted(why.to_owned())).is_empty()
    }

    /// A line could not be written, and never can be: it is longer than the pipe to Claude.
    pub fn unwritable(&mut self, id: &str, why: &str) {
        if let Some(at) = self.prompts.iter().position(|prompt| prompt.id.to_string() == id) {
            self.settle(at, PromptOutcome::Failed(why.to_owned()));
        } else {
            self.withdrawal_unwritable(id);
            self.waits.answered(id, Err(why), &mut self.step);
            let lost = self.lines.find(id).cloned();
            self.lines.receipt(id, &mut self.step);
            self.notice(carcin_proto::event::Level::Error, why, None);
            self.refuse_unanswered(lost, why);
        }
        if self.lines.is_barrier(id) {
            self.give_up_on_claude(why.to_owned());
        }
        self.advance();
    }

    /// Claude waits for an answer that it cannot be given: a refusal is short. Once, should that not go either.
    fn refuse_unanswered(&mut self, lost: Option<InputRow>, why: &str) {
        let Some(InputRow { id, kind: InputKind::Answer, line, .. }) = lost else { return };
        if let Ok(request) = RequestId::new(id)
            && line != control::refuse(&request, why)
        {
            self.refuse(&request, why);
        }
    }
}
