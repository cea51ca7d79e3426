//! People who call: what they are told must be on the disk.

use carcin_proto::request::{Answer, Configure, Decision, Submit, Withdrawal};
use carcin_proto::{RefusalCode, SessionId};

use super::super::call::{Answered, Call, Committed, Reply, Ticket};
use super::*;

/// What somebody has called for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Called {
    Submit,
    Answer(RequestId),
    Withdraw(PromptId, IdempotencyKey),
    Stop,
    Session(Option<SessionId>),
    Configure(String),
    /// Whatever it is, nothing of it is on the disk.
    Inquire,
}

impl World {
    /// Hands a call in; its reply comes with the next [`Self::flush`], or later.
    pub(super) fn call(&mut self, call: Call, called: Called) -> Ticket {
        self.calls += 1;
        let ticket = Ticket(self.calls);
        self.called.insert(ticket, called);
        self.machine.call(ticket, call);
        ticket
    }

    pub(super) fn submit(&mut self, text: &str, placement: Placement) {
        self.submitted += 1;
        let submit = Submit {
            conversation: key(),
            key: IdempotencyKey::new(format!("key-{}", self.submitted)).expect("a valid key"),
            text: text.to_owned(),
            placement,
            by: "test".to_owned(),
        };
        self.call(Call::Submit(submit, vec![]), Called::Submit);
    }

    /// A person answers, if anything is asked.
    pub(super) fn answer(&mut self, which: usize, allow: bool) {
        let open = self.disk.requests.values().filter(|request| request.state == RequestState::Open);
        let open: Vec<_> = open.map(|request| request.id.clone()).collect();
        if open.is_empty() {
            return;
        }
        let request = open[which % open.len()].clone();
        if self.dies_in_step != Some(false) {
            self.given.entry(request.clone()).or_insert(allow);
        }
        let decision = if allow { Decision::Allow } else { Decision::Deny("no".to_owned()) };
        let answer = Answer { request: request.clone(), decision, by: "test".to_owned() };
        self.call(Call::Answer(answer), Called::Answer(request));
    }

    /// Somebody takes a prompt back, settled or not.
    pub(super) fn withdraw(&mut self, which: usize) {
        if self.disk.prompts.is_empty() {
            return;
        }
        let row = self.disk.prompts.values().rev().nth(which % self.disk.prompts.len()).expect("it is there");
        let (id, key) = (row.id, row.key.clone());
        self.endable.insert(id);
        self.call(Call::Withdraw(key.clone()), Called::Withdraw(id, key));
    }

    pub(super) fn stop(&mut self) {
        self.call(Call::Stop { by: "test".to_owned() }, Called::Stop);
    }

    pub(super) fn new_session(&mut self) {
        self.call(Call::New { cwd: None, by: "test".to_owned() }, Called::Session(None));
    }

    pub(super) fn resume(&mut self, session: SessionId) {
        let called = Called::Session(Some(session.clone()));
        self.call(Call::Resume { session, cwd: None, over: vec![], by: "test".to_owned() }, called);
    }

    pub(super) fn configure(&mut self, model: &str) -> Ticket {
        let configure = Configure {
            conversation: key(),
            model: Some(model.to_owned()),
            permission_mode: None,
            effort: None,
        };
        self.call(Call::Configure(configure), Called::Configure(model.to_owned()))
    }

    pub(super) fn inquire(&mut self) {
        self.call(Call::Inquire(carcin_proto::inquiry::Inquiry::Usage), Called::Inquire);
    }

    /// Those who wait to hear what became of a prompt.
    pub(super) fn withdrawing(&self) -> usize {
        self.called.values().filter(|called| matches!(called, Called::Withdraw(..))).count()
    }

    /// The caller gets a reply: what it says must be on the disk by now.
    pub(super) fn replied(&mut self, ticket: Ticket, reply: Answered) {
        let called = self.called.remove(&ticket).expect("a call is answered once");
        self.replies.insert(ticket, reply.clone());
        match (called, reply) {
            (Called::Submit, Ok(Reply::Submitted(submitted))) => {
                let row = self.disk.prompts.values().find(|prompt| prompt.id == submitted.prompt);
                assert!(row.is_some(), "{submitted:?} is not on the disk");
                let at = usize::try_from(submitted.seq.0).expect("small") - 1;
                let event = self.disk.events.get(at);
                let right = matches!(event, Some(Event::PromptAccepted(accepted)) if accepted.prompt == submitted.prompt);
                assert!(right, "{submitted:?}, and event {at} is {event:?}");
            }
            (Called::Submit, Err(refusal)) => assert_eq!(refusal.code, RefusalCode::Full),
            (Called::Answer(id), Ok(Reply::Settled(settlement))) => {
                let request = self.disk.requests.values().find(|request| request.id == id);
                let state = request.map(|request| request.state.clone());
                assert_eq!(state, Some(RequestState::Settled(settlement, "test".to_owned())));
            }
            (Called::Withdraw(id, _), Ok(Reply::Withdrawal(known))) => self.told_of_withdrawal(id, known),
            // Claude is silent: somebody who wants it back asks again.
            (Called::Withdraw(id, key), Err(refusal)) if refusal.code == RefusalCode::NoAnswer => {
                self.call(Call::Withdraw(key.clone()), Called::Withdraw(id, key));
            }
            (Called::Stop, Ok(Reply::Stopped(stopped))) => {
                let open = |id: &&PromptId| {
                    self.disk.prompts.values().any(|row| row.id == **id && row.state != PromptState::Settled)
                };
                let open: Vec<_> = stopped.cancelled.iter().filter(open).collect();
                assert!(open.is_empty(), "said to be cancelled, and open: {open:?}");
            }
            (Called::Session(session), Ok(Reply::Done(()))) => {
                assert_eq!(self.disk.row().session, session, "the session is another on the disk");
            }
            (Called::Configure(model), Ok(Reply::Done(()))) => {
                // Perhaps another one, which was asked for since.
                assert!(self.disk.row().wanted.model.is_some(), "{model:?} is not on the disk");
            }
            (Called::Configure(_) | Called::Inquire, _) => {}
            (called, reply) => panic!("{called:?} is answered {reply:?}"),
        }
    }

    fn told_of_withdrawal(&mut self, id: PromptId, known: Withdrawal) {
        let begun = self.begun.get(&id).map_or(0, Vec::len);
        let row = self.disk.prompts.values().find(|prompt| prompt.id == id).expect("it is on the disk");
        match known {
            Withdrawal::Withdrawn => {
                let excused = self.excused.get(&id).copied().unwrap_or_default();
                assert!(begun <= excused, "{id} is taken back, and had begun");
                assert!(row.state == PromptState::Settled && row.unbegun, "not yet taken back: {row:?}");
                self.withdrawn.entry(id).or_insert(begun);
            }
            Withdrawal::Begun => {
                assert!(!self.withdrawn.contains_key(&id), "{id} was taken back before");
                let begun = matches!(row.state, PromptState::Started | PromptState::Settled) && !row.unbegun;
                assert!(begun, "not known to have begun: {row:?}");
            }
            Withdrawal::Unknown => panic!("{id} is known"),
        }
    }

    /// The journal answers what is not open.
    pub(super) fn recall(&mut self, ticket: Ticket, past: &Past) {
        let reply = match past {
            Past::Prompt(key) => {
                let row = self.disk.prompts.values().find(|prompt| prompt.key == *key);
                Reply::Withdrawal(match row {
                    None => Withdrawal::Unknown,
                    Some(row) if row.unbegun => Withdrawal::Withdrawn,
                    Some(_) => Withdrawal::Begun,
                })
            }
            Past::Request(answer) => panic!("{answer:?} is to what is open on the disk"),
        };
        self.replied(ticket, Ok(reply));
    }

    /// The number that the journal gives to its last event, and what it proves of a step with these items.
    pub(super) fn proof(&self, items: &[Item]) -> Committed {
        Committed::at(items, Seq(self.disk.events.len() as u64))
    }
}
