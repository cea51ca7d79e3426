//! Calls: the machine takes them, and its steps answer them. What is settled already, the journal answers.

use carcin_proto::event::Settlement;
use carcin_proto::request::{Answer, Submit, Submitted, Withdrawal};
use carcin_proto::{IdempotencyKey, Refusal, RefusalCode};

use super::Actor;
use crate::conversation::machine::{Answered, Call, Past, Reply, Rung, settlement_of};
use crate::conversation::mailbox::Mail;
use crate::fault;
use crate::rows::RequestState;
use crate::store::StoreError;

impl Actor {
    pub(super) async fn take(&mut self, mail: Mail) {
        let Mail { call, reply, .. } = mail;
        let ticket = self.callers.admit(reply);
        match &call {
            Call::Submit(submit, _) => {
                if let Some(reply) = self.submitted_before(submit).await {
                    return self.callers.answer(ticket, reply);
                }
            }
            Call::Notify { text, .. } => fault::line(text.as_bytes()),
            Call::Stop { .. } => {
                self.give_up = None;
                self.stopping = Some(Rung::Interrupt);
            }
            Call::Shutdown { .. } => {
                self.give_up = None;
                self.closing = Some(ticket);
                self.stopping = Some(Rung::Terminate);
            }
            _ => {}
        }
        self.machine.call(ticket, call);
        self.flush().await;
        self.stopping = None;
    }

    /// The reply that this prompt's key got before, if it did.
    async fn submitted_before(&mut self, submit: &Submit) -> Option<Answered> {
        match self.site.store.prompt_by_key(&self.key, &submit.key).await {
            Ok(known) => known.map(|row| {
                Ok(Reply::Submitted(Submitted { prompt: row.id, ahead: row.ahead, seq: row.seq }))
            }),
            Err(error) => Some(Err(internal(&error))),
        }
    }

    /// What the journal says of what is not open.
    pub(super) async fn recall(&self, past: &Past) -> Answered {
        match past {
            Past::Prompt(key) => self.withdrawn_before(key).await.map(Reply::Withdrawal),
            Past::Request(answer) => self.answered_before(answer).await.map(Reply::Settled),
        }
    }

    /// What became of a prompt that is not open.
    async fn withdrawn_before(&self, key: &IdempotencyKey) -> Result<Withdrawal, Refusal> {
        let known = self.site.store.prompt_by_key(&self.key, key).await;
        Ok(match known.map_err(|error| internal(&error))? {
            None => Withdrawal::Unknown,
            Some(prompt) if prompt.unbegun => Withdrawal::Withdrawn,
            Some(_) => Withdrawal::Begun,
        })
    }

    /// An answer to what is not open. The one that was taken gets the same reply again: whoever sends it may not have
    /// had the first.
    async fn answered_before(&self, answer: &Answer) -> Result<Settlement, Refusal> {
        let refusal = match self.site.store.request(&answer.request).await {
            Ok(Some(row)) => match row.state {
                RequestState::Settled(settlement, by) => {
                    if by == answer.by && settlement == settlement_of(&answer.decision) {
                        return Ok(settlement);
                    }
                    Refusal::new(RefusalCode::AlreadyAnswered, already(&settlement, &by))
                }
                RequestState::Open => Refusal::new(RefusalCode::NoRequest, "Claude asks that no longer"),
            },
            Ok(None) => Refusal::new(RefusalCode::NoRequest, format!("nobody asks {}", answer.request))
                .hint("`carcin-ctl pending` shows what is asked"),
            Err(error) => internal(&error),
        };
        Err(refusal)
    }
}

fn internal(error: &StoreError) -> Refusal {
    Refusal::new(RefusalCode::Internal, error.to_string())
}

fn already(settlement: &Settlement, by: &str) -> String {
    match settlement {
        Settlement::Allowed => format!("{by} allowed it already"),
        Settlement::AllowedAlways(_) => format!("{by} allowed it for good already"),
        Settlement::Denied(_) => format!("{by} denied it already"),
        Settlement::Answered(_) => format!("{by} answered it already"),
        Settlement::Cancelled => format!("{by} cancelled it"),
        Settlement::Withdrawn(why) => format!("it is no longer asked: {why}"),
    }
}
