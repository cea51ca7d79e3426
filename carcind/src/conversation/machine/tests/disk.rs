//! The world's journal.

use std::collections::BTreeMap;

use super::*;

#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) conversation: Option<Loaded>,
    pub(super) prompts: BTreeMap<u64, PromptRow>,
    pub(super) inputs: BTreeMap<u64, InputRow>,
    pub(super) requests: BTreeMap<u64, RequestRow>,
    pub(super) events: Vec<Event>,
    /// What the events come to, for everybody who follows.
    pub(super) snapshot: Snapshot,
}

impl Disk {
    /// All but the events.
    pub(super) fn rows(&self) -> Self {
        Self {
            conversation: self.conversation.clone(),
            prompts: self.prompts.clone(),
            inputs: self.inputs.clone(),
            requests: self.requests.clone(),
            events: Vec::new(),
            snapshot: self.snapshot.clone(),
        }
    }

    pub(super) fn commit(&mut self, rows: &[Row], items: &[Item]) {
        for row in rows {
            match row.clone() {
                Row::Conversation(row) => {
                    self.conversation = Some(Loaded {
                        key: key(),
                        conversation: *row,
                        prompts: vec![],
                        inputs: vec![],
                        requests: vec![],
                    });
                }
                Row::Prompt(row) => drop(self.prompts.insert(row.position, *row)),
                Row::Input(row) => {
                    self.inputs.retain(|_, input| input.id != row.id);
                    self.inputs.insert(row.position, row);
                }
                Row::InputDone(id) => self.inputs.retain(|_, input| input.id != id),
                Row::Request(row) => drop(self.requests.insert(row.position, *row)),
            }
        }
        for item in items {
            if let Item::Durable(event) = item {
                let event = event.clone();
                self.events.push(event.clone());
                let seq = Seq(self.snapshot.seq.0 + 1);
                self.snapshot.apply(seq, &Envelope { conversation: key(), at: Millis(1), event });
            }
        }
    }

    /// The conversation's own row.
    pub(super) fn row(&self) -> &ConversationRow {
        &self.conversation.as_ref().expect("it was committed when it was opened").conversation
    }

    pub(super) fn load(&self) -> Loaded {
        let open = |prompt: &&PromptRow| prompt.state != PromptState::Settled;
        let waiting = |request: &&RequestRow| request.state == RequestState::Open;
        Loaded {
            prompts: self.prompts.values().filter(open).cloned().collect(),
            inputs: self.inputs.values().cloned().collect(),
            requests: self.requests.values().filter(waiting).cloned().collect(),
            ..self.conversation.clone().expect("the conversation was committed when it was opened")
        }
    }
}
