//! The lines to Claude: each is journalled, then written, and kept until it is known that Claude has had it. Claude
//! reads them in order, so an answer to one is a receipt for those before it.
//!
//! After a restart it is not known which of the lines without a receipt were written. An adopted Claude is asked
//! for a sign of life first, and nothing but interrupts is written until it answers: what has no receipt then was
//! never written, and is, in its old order. So a stop still hits what was sent before it, and nothing after it.

use std::path::PathBuf;

use super::{Effect, InputKind, InputRow, Machine, Process, PromptRow, Row, control};

/// What is known of the lines that were journalled before this daemon came.
#[derive(Debug, Default)]
pub(super) struct Barrier {
    /// The request that an adopted Claude has not answered yet.
    asked: Option<String>,
    /// Lines up to this position may have been written in another order than that of their positions.
    behind: u64,
}

impl Machine {
    /// Journals a line to Claude, and has it written after that, as soon as Claude takes lines.
    pub(super) fn send(&mut self, id: &str, kind: InputKind, line: String) {
        self.given();
        match kind {
            InputKind::Prompt => self.interrupted = false,
            InputKind::Interrupt => self.interrupted = true,
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
        self.inputs.push(row.clone());
        self.step.rows.push(Row::Input(row));
        self.step.sync = true;
    }

    fn images_of(&self, id: &str, kind: InputKind) -> Vec<PathBuf> {
        let same = |prompt: &&PromptRow| kind == InputKind::Prompt && prompt.id.to_string() == id;
        self.prompts.iter().find(same).map(|prompt| prompt.images.clone()).unwrap_or_default()
    }

    pub(super) fn write(&mut self, id: &str) {
        if let Some(row) = self.inputs.iter().find(|input| input.id == id) {
            self.step.effects.push(Effect::Write {
                id: row.id.clone(),
                line: row.line.clone(),
                images: row.images.clone(),
            });
        }
    }

    pub(super) fn fresh_id(&mut self) -> String {
        format!("carcin-{}", (self.fresh)())
    }

    /// Claude has had this line, or is not to get it any more.
    pub(super) fn receipt(&mut self, id: &str) {
        let before = self.inputs.len();
        self.inputs.retain(|input| input.id != id);
        if self.inputs.len() < before {
            self.step.rows.push(Row::InputDone(id.to_owned()));
        }
    }

    /// The first lines to a Claude that was just started. Nothing was written to it before.
    pub(super) fn greet(&mut self) {
        self.begin_to_watch();
        let held = self.inputs.clone();
        self.send_control(InputKind::Control, control::initialize);
        self.write_all(held);
    }

    /// The first line to an adopted Claude, all of whose words are read.
    pub(super) fn ask_for_a_sign(&mut self) {
        // An earlier daemon waited for the answers to these.
        for id in self.ids_of(|input| input.kind == InputKind::Control) {
            self.receipt(&id);
        }
        self.process = Process::Greeted;
        let id = self.fresh_id();
        self.journal(&id, InputKind::Control, control::initialize(&id));
        self.write(&id);
        self.begin_to_watch();
        self.owes(&id);
        self.barrier.asked = Some(id);
    }

    /// Whether this is the line that an adopted Claude must answer to before it gets any other.
    pub(super) fn is_barrier(&self, id: &str) -> bool {
        self.barrier.asked.as_deref() == Some(id)
    }

    /// Claude has answered to a line of ours.
    pub(super) fn answered_to(&mut self, id: &str, position: Option<u64>) {
        if self.is_barrier(id) {
            self.barrier.asked = None;
            self.pass_barrier();
        } else if let Some(position) = position.filter(|position| *position > self.barrier.behind) {
            // Claude repeats an answer that it takes, but neither a refusal nor an answer that comes too late.
            for id in self.ids_of(|input| input.kind == InputKind::Answer && input.position < position) {
                self.receipt(&id);
            }
        }
    }

    fn pass_barrier(&mut self) {
        if self.process != Process::Greeted {
            return;
        }
        self.process = Process::Ready;
        self.barrier.behind = self.row.next_position;
        self.withdraw_what_was_not_written();
        let unwritten = self.inputs.clone();
        let answers = unwritten.iter().any(|input| input.kind == InputKind::Answer);
        self.write_all(unwritten);
        if answers {
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

    fn write_all(&mut self, lines: Vec<InputRow>) {
        for InputRow { id, line, images, .. } in lines {
            self.step.effects.push(Effect::Write { id, line, images });
        }
    }

    fn ids_of(&self, which: impl Fn(&InputRow) -> bool) -> Vec<String> {
        self.inputs.iter().filter(|input| which(input)).map(|input| input.id.clone()).collect()
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
        let sign = machine.inputs[0].id.clone();
        machine.answered_to(&sign, None);
        machine.process
    }

    #[test]
    fn an_adopted_claude_that_never_had_a_prompt_is_ended_unless_it_works() {
        assert_eq!(never_prompted(false), Process::Ending);
        assert_eq!(never_prompted(true), Process::Ready);
    }
}
