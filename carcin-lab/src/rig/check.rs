//! What holds in every journal, whatever happened.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use carcin_proto::{ConversationKey, Envelope, Event, PromptId, Seq, TurnId};

/// Checks a whole journal, from its first event, on a machine that was not rebooted meanwhile. The error is a
/// list of what is wrong.
pub fn check(journal: &[(Seq, Envelope)]) -> Result<(), String> {
    let mut checker = Checker::default();
    let mut last = Seq(0);
    for (seq, envelope) in journal {
        if seq.0 != last.0 + 1 {
            checker.wrong(*seq, format!("comes after {last}"));
        }
        last = *seq;
        checker.event(*seq, envelope);
    }
    if checker.wrong.is_empty() { Ok(()) } else { Err(checker.wrong.join("\n")) }
}

#[derive(Debug, Default)]
struct Checker {
    wrong: Vec<String>,
    prompts: HashMap<PromptId, Prompt>,
    turns: HashMap<ConversationKey, Turns>,
    opened: HashSet<String>,
    settled: HashSet<String>,
    keys: HashSet<(ConversationKey, String)>,
    tools_begun: HashSet<String>,
    tools_ended: HashSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Prompt {
    Accepted,
    Started,
    Ended,
}

#[derive(Debug, Default)]
struct Turns {
    last: TurnId,
    running: bool,
}

impl Checker {
    fn wrong(&mut self, seq: Seq, what: impl std::fmt::Display) {
        self.wrong.push(format!("event {seq}: {what}"));
    }

    fn once<T: Hash + Eq + std::fmt::Display + Clone>(
        &mut self,
        seq: Seq,
        what: &str,
        set: fn(&mut Self) -> &mut HashSet<T>,
        id: &T,
    ) {
        if !set(self).insert(id.clone()) {
            self.wrong(seq, format!("{what} {id} a second time"));
        }
    }

    fn event(&mut self, seq: Seq, envelope: &Envelope) {
        let key = &envelope.conversation;
        match &envelope.event {
            Event::PromptAccepted(accepted) => {
                if !self.keys.insert((key.clone(), accepted.key.to_string())) {
                    self.wrong(seq, format!("accepts a prompt of the key {} again", accepted.key));
                }
                self.prompt(seq, accepted.prompt, Prompt::Accepted);
            }
            Event::PromptStarted(started) => self.prompt(seq, started.prompt, Prompt::Started),
            Event::PromptEnded(ended) => self.prompt(seq, ended.prompt, Prompt::Ended),
            Event::TurnStarted(started) => {
                let turns = self.turns.entry(key.clone()).or_default();
                let fine = !turns.running && started.turn > turns.last;
                *turns = Turns { last: started.turn, running: true };
                if !fine {
                    self.wrong(seq, format!("turn {} begins out of order", started.turn));
                }
            }
            Event::TurnEnded(ended) => {
                let turns = self.turns.entry(key.clone()).or_default();
                let fine = turns.running && ended.turn == turns.last;
                turns.running = false;
                if !fine {
                    self.wrong(seq, format!("turn {} ends out of order", ended.turn));
                }
            }
            Event::ToolStarted(started) => {
                let id = started.tool_use.to_string();
                self.once(seq, "begins the tool use", |checker| &mut checker.tools_begun, &id);
            }
            Event::ToolEnded(ended) => {
                let id = ended.tool_use.to_string();
                if !self.tools_begun.contains(&id) {
                    self.wrong(seq, format!("ends the tool use {id}, which never began"));
                }
                self.once(seq, "ends the tool use", |checker| &mut checker.tools_ended, &id);
            }
            Event::RequestOpened(opened) => {
                let id = opened.request.to_string();
                self.once(seq, "opens the request", |checker| &mut checker.opened, &id);
            }
            Event::RequestSettled(settled) => {
                let id = settled.request.to_string();
                if !self.opened.contains(&id) {
                    self.wrong(seq, format!("settles the request {id}, which was never opened"));
                }
                self.once(seq, "settles the request", |checker| &mut checker.settled, &id);
            }
            _ => {}
        }
    }

    /// A prompt goes forward only, and is accepted first.
    fn prompt(&mut self, seq: Seq, id: PromptId, to: Prompt) {
        let from = self.prompts.insert(id, to);
        let fine = match from {
            None => to == Prompt::Accepted,
            Some(from) => from < to,
        };
        if !fine {
            self.wrong(seq, format!("prompt {id} goes from {from:?} to {to:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use carcin_proto::Millis;
    use carcin_proto::event::{PromptEnded, PromptOutcome, TurnStarted};

    use super::*;

    fn at(seq: u64, event: impl Into<Event>) -> (Seq, Envelope) {
        let conversation = ConversationKey::new("test").unwrap();
        (Seq(seq), Envelope { conversation, at: Millis(0), event: event.into() })
    }

    #[test]
    fn a_gap_in_the_numbers_is_wrong() {
        let turn = |turn| TurnStarted { turn: TurnId(turn), prompt: None };
        assert_eq!(check(&[at(1, turn(1))]), Ok(()));
        assert_eq!(check(&[at(2, turn(1))]), Err("event 2: comes after 0".to_owned()));
    }

    #[test]
    fn a_prompt_that_was_never_accepted_cannot_end() {
        let prompt = PromptId::random();
        let ended = PromptEnded { prompt, outcome: PromptOutcome::Completed };
        assert!(check(&[at(1, ended)]).unwrap_err().contains("goes from None to Ended"));
    }
}
