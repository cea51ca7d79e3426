//! The lines to Claude: each is journalled, then written, and kept until it is known that Claude has had it. Claude
//! reads them in order, so an answer to one is a receipt for those before it.
//!
//! After a restart it is not known which of the lines without a receipt were written. An adopted Claude is asked
//! for a sign of life first, and nothing but interrupts is written until it answers: what has no receipt then was
//! never written, and is, in its old order. So a stop still hits what was sent before it, and nothing after it.

use std::path::PathBuf;

use super::{Effect, InputKind, InputRow, Machine, Process, PromptRow, Row, Step, control};

/// The lines without a receipt, in order.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: Vec<InputRow>,
    /// The request that an adopted Claude has not answered yet. Before it does, it gets no other line.
    barrier: Option<String>,
    /// Lines up to this position may have been written in another order than that of their positions.
    unordered: u64,
    /// Whether this daemon has sent an interrupt, and no prompt behind it.
    interrupted: bool,
}

impl Lines {
    /// Those that an earlier daemon has left.
    pub(super) fn left(open: Vec<InputRow>) -> Self {
        Self { open, ..Self::default() }
    }

    /// Whether each has its receipt.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The line with this id, if it has no receipt.
    pub(super) fn find(&self, id: &str) -> Option<&InputRow> {
        self.open.iter().find(|line| line.id == id)
    }

    /// Those of this kind, in order.
    pub(super) fn of(&self, kind: InputKind) -> impl DoubleEndedIterator<Item = &InputRow> {
        self.open.iter().filter(move |line| line.kind == kind)
    }

    /// Whether Claude has not yet answered to an interrupt.
    pub(super) fn has_interrupt(&self) -> bool {
        self.of(InputKind::Interrupt).next().is_some()
    }

    /// Whether an interrupt is on its way for all that was given.
    pub(super) fn are_interrupted(&self) -> bool {
        self.interrupted && self.has_interrupt()
    }

    /// Whether this is the line that an adopted Claude must answer to before it gets any other.
    pub(super) fn is_barrier(&self, id: &str) -> bool {
        self.barrier.as_deref() == Some(id)
    }

    fn journal(&mut self, row: InputRow, step: &mut Step) {
        self.open.push(row.clone());
        step.rows.push(Row::Input(row));
        step.sync = true;
    }

    fn write(&self, id: &str, step: &mut Step) {
        step.effects.extend(self.find(id).map(effect));
    }

    fn write_all(&self, step: &mut Step) {
        step.effects.extend(self.open.iter().map(effect));
    }

    /// Claude has had this line, or is not to get it any more.
    pub(super) fn receipt(&mut self, id: &str, step: &mut Step) {
        let before = self.open.len();
        self.open.retain(|line| line.id != id);
        if self.open.len() < before {
            step.rows.push(Row::InputDone(id.to_owned()));
        }
    }

    fn receipts(&mut self, which: impl Fn(&InputRow) -> bool, step: &mut Step) {
        let done = self.open.extract_if(.., |line| which(line));
        step.rows.extend(done.map(|line| Row::InputDone(line.id)));
    }

    /// Claude is gone, and gets none of them.
    pub(super) fn forget(&mut self, step: &mut Step) {
        self.receipts(|_| true, step);
        *self = Self::default();
    }
}

fn effect(line: &InputRow) -> Effect {
    Effect::Write { id: line.id.clone(), line: line.line.clone(), images: line.images.clone() }
}

impl Machine {
    /// Journals a line to Claude, and has it written after that, as soon as Claude takes lines.
    pub(super) fn send(&mut self, id: &str, kind: InputKind, line: String) {
        self.given();
        match kind {
            InputKind::Prompt => self.lines.interrupted = false,
            InputKind::Interrupt => self.lines.interrupted = true,
            InputKind::Answer | InputKind::Control | InputKind::Setting => {}
        }
        self.journal(id, kind, line);
        if !self.is_held(kind) {
            self.write(id);
        }
    }

    /// The same for a control request of ours.
    pub(super) fn send_control(&mut self, kind: InputKind, line: impl FnOnce(&str) -> String) -> String {
        let id = self.fresh_id();
        let line = line(&id);
        self.send(&id, kind, line);
        id
    }

    pub(super) fn journal(&mut self, id: &str, kind: InputKind, line: String) {
        let images = self.images_of(id, kind);
        let row = InputRow { id: id.to_owned(), position: self.position(), kind, line, images };
        self.lines.journal(row, &mut self.step);
    }

    fn images_of(&self, id: &str, kind: InputKind) -> Vec<PathBuf> {
        let same = |prompt: &&PromptRow| kind == InputKind::Prompt && prompt.id.to_string() == id;
        self.prompts.iter().find(same).map(|prompt| prompt.images.clone()).unwrap_or_default()
    }

    pub(super) fn write(&mut self, id: &str) {
        self.lines.write(id, &mut self.step);
    }

    pub(super) fn fresh_id(&mut self) -> String {
        format!("carcin-{}", (self.fresh)())
    }

    /// The first lines to a Claude that was just started. Nothing was written to it before.
    pub(super) fn greet(&mut self) {
        self.begin_to_watch();
        let held: Vec<_> = self.lines.open.iter().map(effect).collect();
        self.send_control(InputKind::Control, control::initialize);
        self.step.effects.extend(held);
    }

    /// The first line to an adopted Claude, all of whose words are read.
    pub(super) fn ask_for_a_sign(&mut self) {
        // An earlier daemon waited for the answers to these.
        self.lines.receipts(|line| line.kind == InputKind::Control, &mut self.step);
        self.process = Process::Greeted;
        let id = self.fresh_id();
        self.journal(&id, InputKind::Control, control::initialize(&id));
        self.write(&id);
        self.begin_to_watch();
        self.owes(&id);
        self.lines.barrier = Some(id);
    }

    /// Claude has answered to a line of ours.
    pub(super) fn answered_to(&mut self, id: &str, position: Option<u64>) {
        if self.lines.is_barrier(id) {
            self.lines.barrier = None;
            self.pass_barrier();
        } else if let Some(position) = position.filter(|position| *position > self.lines.unordered) {
            // Claude repeats an answer that it takes, but neither a refusal nor an answer that comes too late.
            let before = |line: &InputRow| line.kind == InputKind::Answer && line.position < position;
            self.lines.receipts(before, &mut self.step);
        }
    }

    fn pass_barrier(&mut self) {
        if self.process != Process::Greeted {
            return;
        }
        self.process = Process::Ready;
        self.lines.unordered = self.row.next_position;
        self.withdraw_what_was_not_written();
        self.lines.write_all(&mut self.step);
        if self.lines.of(InputKind::Answer).next().is_some() {
            self.send_control(InputKind::Control, control::sign_of_life);
        }
        self.ask_for_the_withdrawn();
        self.advance();
        // A row from before its first prompt may be all that is left of a Claude that works.
        if !self.prompted() && !self.busy() {
            self.end_process(false);
        }
    }

    /// Whether a line must wait until Claude takes lines. A stop waits for nothing.
    fn is_held(&self, kind: InputKind) -> bool {
        let early = matches!(self.process, Process::Starting | Process::Adopted | Process::Greeted);
        early && kind != InputKind::Interrupt
    }
}

#[cfg(test)]
mod tests {
    use carcin_proto::{ConversationKey, Millis};

    use super::*;
    use crate::rows::{ChildRow, ConversationRow, Loaded};

    /// What becomes of a Claude that the journal says never had a prompt, when it has answered.
    fn never_prompted(active: bool) -> Process {
        let child = ChildRow { generation: "g".to_owned(), pid: Some(7), ..ChildRow::default() };
        let conversation = ConversationRow { child: Some(child), active, ..ConversationRow::default() };
        let key = ConversationKey::new("test").expect("a valid key");
        let loaded = Loaded { key, conversation, prompts: vec![], inputs: vec![], requests: vec![] };
        let mut machine = Machine::load(loaded);
        machine.at(Millis(1)).adopted(7);
        assert!(machine.caught_up());
        let sign = machine.lines.open[0].id.clone();
        machine.answered_to(&sign, None);
        machine.process
    }

    #[test]
    fn an_adopted_claude_that_never_had_a_prompt_is_ended_unless_it_works() {
        assert_eq!(never_prompted(false), Process::Ending);
        assert_eq!(never_prompted(true), Process::Ready);
    }
}
