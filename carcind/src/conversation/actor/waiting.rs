//! Those who wait for a word of Claude's. Claude may take its time, and may say nothing: so nobody waits for ever, and
//! the actor does not wait with them.

use std::time::Duration;

use carcin_proto::event::MAX_RAW;
use carcin_proto::inquiry::Inquiry;
use carcin_proto::request::{Configure, Withdrawal};
use carcin_proto::{IdempotencyKey, PromptId, Refusal, RefusalCode};
use tokio::time::Instant;

use super::Actor;
use crate::claude::control;
use crate::conversation::handle::Reply;
use crate::conversation::machine::{Inquired, Withdrawing};

/// How long Claude may take to answer. It does within milliseconds; a machine that swaps takes longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same for a setting, which stands without an answer too. Claude asks the API whether there is such a model.
const SETTING: Duration = Duration::from_secs(2);
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
    /// The answer to a question.
    Inquiry(String, Reply<Result<String, Refusal>>),
    /// That a task is told to end.
    StopTask(String, Reply<Result<(), Refusal>>),
    /// That Claude takes the settings of these lines.
    Settings(Vec<String>, Reply<Result<(), Refusal>>),
}

impl Waiting {
    /// For how long.
    pub(super) fn until(&self) -> Instant {
        self.until
    }
}

impl Actor {
    pub(super) async fn withdraw(&mut self, key: IdempotencyKey, reply: Reply<Result<Withdrawal, Refusal>>) {
        let withdrawing = self.machine.withdraw_prompt(&key);
        self.flush().await;
        match withdrawing {
            Withdrawing::Done(known) => drop(reply.send(Ok(known))),
            Withdrawing::Asked(prompt) => self.wait(What::Withdrawal(prompt, reply)),
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

    pub(super) async fn inquire(&mut self, about: Inquiry, reply: Reply<Result<String, Refusal>>) {
        let inquired = self.machine.inquire(about);
        self.flush().await;
        match inquired {
            Inquired::Asked(id) => self.wait(What::Inquiry(id, reply)),
            Inquired::NotYet => drop(reply.send(Err(not_yet()))),
            Inquired::NoClaude => {
                let refusal = Refusal::new(
                    RefusalCode::NoConversation,
                    "Claude is not running in this conversation now",
                );
                let _ = reply.send(Err(refusal.hint("send it something first, then it can be asked")));
            }
        }
    }

    pub(super) async fn stop_task(&mut self, task: &str, reply: Reply<Result<(), Refusal>>) {
        let stopping = self.machine.stop_task(task);
        self.flush().await;
        match stopping {
            Some(Inquired::Asked(id)) => self.wait(What::StopTask(id, reply)),
            Some(Inquired::NotYet) => drop(reply.send(Err(not_yet()))),
            // It does not run any more, and that is what was asked for.
            Some(Inquired::NoClaude) | None => drop(reply.send(Ok(()))),
        }
    }

    pub(super) async fn configure(&mut self, configure: &Configure, reply: Reply<Result<(), Refusal>>) {
        let told = self.machine.configure(configure);
        self.flush().await;
        if told.is_empty() {
            let _ = reply.send(Ok(()));
        } else {
            self.wait(What::Settings(told, reply));
        }
    }

    fn wait(&mut self, what: What) {
        if self.waiting.len() < MOST {
            let patience = if matches!(what, What::Settings(..)) { SETTING } else { PATIENCE };
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
        for Waiting { until, what } in std::mem::take(&mut self.waiting) {
            let Some(what) = self.tell(what) else { continue };
            if now < until && !what.is_unheard() {
                self.waiting.push(Waiting { until, what });
            } else {
                what.give_up();
            }
        }
        let (mut prompts, mut inquiries) = (Vec::new(), Vec::new());
        for waiting in &self.waiting {
            match &waiting.what {
                What::Withdrawal(prompt, _) => prompts.push(*prompt),
                What::Inquiry(id, _) | What::StopTask(id, _) => inquiries.push(id.clone()),
                What::Settings(ids, _) => inquiries.extend(ids.iter().cloned()),
            }
        }
        self.machine.withdrawals_awaited(&prompts);
        self.machine.inquiries_awaited(&inquiries);
    }

    /// Tells one who waits; gives it back if there is nothing to tell yet.
    fn tell(&self, what: What) -> Option<What> {
        match what {
            What::Withdrawal(prompt, reply) => match self.machine.withdrawal(prompt) {
                Some(known) => drop(reply.send(Ok(known))),
                None => return Some(What::Withdrawal(prompt, reply)),
            },
            What::Inquiry(id, reply) => match self.machine.inquired(&id) {
                Some(answer) => {
                    let answer = answer.map_err(|why| refused(&why)).and_then(|answer| shorter(&answer));
                    let _ = reply.send(answer);
                }
                None => return Some(What::Inquiry(id, reply)),
            },
            What::StopTask(id, reply) => match self.machine.inquired(&id) {
                Some(answer) => drop(reply.send(answer.map(drop).map_err(|why| refused(&why)))),
                None => return Some(What::StopTask(id, reply)),
            },
            What::Settings(ids, reply) => match self.machine.settings_taken(&ids) {
                Some(taken) => drop(reply.send(taken)),
                None => return Some(What::Settings(ids, reply)),
            },
        }
        None
    }
}

impl What {
    /// Whether whoever asked has gone.
    fn is_unheard(&self) -> bool {
        match self {
            Self::Withdrawal(_, reply) => reply.is_closed(),
            Self::Inquiry(_, reply) => reply.is_closed(),
            Self::StopTask(_, reply) | Self::Settings(_, reply) => reply.is_closed(),
        }
    }

    fn give_up(self) {
        match self {
            Self::Withdrawal(_, reply) => {
                let text = "Claude does not say whether it has begun the prompt";
                let hint = "ask again in a moment; if it has not, it does not any more";
                let _ = reply.send(Err(Refusal::new(RefusalCode::NoAnswer, text).hint(hint)));
            }
            Self::Inquiry(_, reply) => drop(reply.send(Err(silent()))),
            Self::StopTask(_, reply) => drop(reply.send(Err(silent()))),
            // Should Claude refuse it yet, that is told as an event.
            Self::Settings(_, reply) => drop(reply.send(Ok(()))),
        }
    }
}

fn silent() -> Refusal {
    let text = format!("Claude has not answered within {} s", PATIENCE.as_secs());
    Refusal::new(RefusalCode::NoAnswer, text).hint("try again in a moment")
}

fn not_yet() -> Refusal {
    Refusal::new(RefusalCode::NoAnswer, "Claude is just being started or taken up")
        .hint("try again in a moment")
}

fn refused(why: &str) -> Refusal {
    Refusal::new(RefusalCode::NoAnswer, format!("Claude does not answer: {why}"))
}

fn shorter(answer: &str) -> Result<String, Refusal> {
    let too_long = || Refusal::new(RefusalCode::NoAnswer, "Claude's answer is too long");
    control::within(answer, MAX_RAW).ok_or_else(too_long)
}
