//! Those who wait for a word of Claude's. Claude may take its time, and may say nothing: so nobody waits for ever, and
//! the actor does not wait with them.

use std::time::Duration;

use carcin_proto::request::Withdrawal;
use carcin_proto::{IdempotencyKey, PromptId, Refusal, RefusalCode};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Actor;
use crate::conversation::handle::Reply;
use crate::conversation::machine::Withdrawing;

/// How long Claude may take to say whether it gives a prompt back. It answers within milliseconds; a machine that
/// swaps takes longer.
const GIVE_BACK: Duration = Duration::from_secs(5);
/// How many may wait at a time. Each is a person's request.
const MOST: usize = 256;

/// Somebody who waits.
pub(super) struct Waiting {
    until: Instant,
    what: What,
}

enum What {
    /// What becomes of a prompt that was asked back.
    Withdrawal(PromptId, Reply<Result<Withdrawal, Refusal>>),
}

impl Waiting {
    /// For how long.
    pub(super) fn until(&self) -> Instant {
        self.until
    }
}

impl Actor {
    pub(super) async fn withdraw(
        &mut self,
        key: IdempotencyKey,
        reply: oneshot::Sender<Result<Withdrawal, Refusal>>,
    ) {
        let withdrawing = self.machine.withdraw_prompt(&key);
        self.flush().await;
        match withdrawing {
            Withdrawing::Done(known) => drop(reply.send(Ok(known))),
            Withdrawing::Asked(prompt) => self.wait(GIVE_BACK, What::Withdrawal(prompt, reply)),
            Withdrawing::NotOpen => drop(reply.send(self.withdrawn_before(&key).await)),
        }
    }

    /// What became of a prompt that is not open.
    async fn withdrawn_before(&self, key: &IdempotencyKey) -> Result<Withdrawal, Refusal> {
        let known = self.site.store.prompt_by_key(&self.key, key).await;
        let known = known.map_err(|error| Refusal::new(RefusalCode::Internal, error.to_string()))?;
        Ok(match known {
            None => Withdrawal::Unknown,
            Some(prompt) if prompt.unbegun => Withdrawal::Withdrawn,
            Some(_) => Withdrawal::Begun,
        })
    }

    fn wait(&mut self, patience: Duration, what: What) {
        if self.waiting.len() < MOST {
            self.waiting.push(Waiting { until: Instant::now() + patience, what });
        } else {
            what.give_up();
        }
    }

    /// Tells those who wait what is known by now, and those who have waited for too long that it is not. Called when
    /// all that is known is durable.
    pub(super) fn tell_the_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting.what {
                What::Withdrawal(prompt, reply) => match self.machine.withdrawal(prompt) {
                    Some(known) => drop(reply.send(Ok(known))),
                    None => self.wait_on(waiting.until, now, What::Withdrawal(prompt, reply)),
                },
            }
        }
        let awaited: Vec<PromptId> = self.waiting.iter().map(|waiting| waiting.what.prompt()).collect();
        self.machine.withdrawals_awaited(&awaited);
    }

    fn wait_on(&mut self, until: Instant, now: Instant, what: What) {
        if now < until && !what.is_unheard() {
            self.waiting.push(Waiting { until, what });
            return;
        }
        what.give_up();
    }
}

impl What {
    fn prompt(&self) -> PromptId {
        match self {
            Self::Withdrawal(prompt, _) => *prompt,
        }
    }

    /// Whether whoever asked has gone.
    fn is_unheard(&self) -> bool {
        match self {
            Self::Withdrawal(_, reply) => reply.is_closed(),
        }
    }

    fn give_up(self) {
        match self {
            Self::Withdrawal(_, reply) => {
                let refusal = Refusal::new(
                    RefusalCode::NoAnswer,
                    "Claude does not say whether it has begun the prompt",
                );
                let _ = reply
                    .send(Err(refusal.hint("ask again in a moment; if it has not, it does not any more")));
            }
        }
    }
}
