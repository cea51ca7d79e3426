//! What people and tools ask of a conversation, each answered once its effect is durable.

use std::path::PathBuf;

use carcin_proto::event::Settlement;
use carcin_proto::request::{Answer, Submit, Submitted};
use carcin_proto::{Refusal, RefusalCode};
use tokio::sync::oneshot;

use super::Actor;
use crate::conversation::handle::{Ask, Rest};
use crate::conversation::machine::{Rung, settlement_of};
use crate::fault;
use crate::store::{RequestState, StoreError};

impl Actor {
    pub(super) async fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Submit(submit, images, reply) => {
                let result = self.submit(submit, images).await;
                let _ = reply.send(result);
            }
            Ask::Answer(answer, reply) => {
                let result = match self.machine.answer(&answer) {
                    Some(result) => result,
                    None => self.answered_before(&answer).await,
                };
                self.flush().await;
                let _ = reply.send(result);
            }
            Ask::Withdraw(key, reply) => self.withdraw(key, reply).await,
            Ask::Stop(by, reply) => {
                let stopped = self.machine.stop(&by);
                self.give_up = None;
                self.stopping = Some(Rung::Interrupt);
                self.flush().await;
                self.stopping = None;
                let _ = reply.send(stopped);
            }
            Ask::New { cwd, by, done } => {
                self.machine.new_session(cwd, &by);
                self.finish(done).await;
            }
            Ask::Resume { session, cwd, over, by, done } => {
                self.machine.resume(session, cwd, &by);
                self.machine.take_over(over);
                self.finish(done).await;
            }
            Ask::Configure(configure, reply) => self.configure(&configure, reply).await,
            Ask::Notify { text, topic, done } => {
                fault::line(text.as_bytes());
                self.machine.notify(text, topic);
                self.finish(done).await;
            }
            Ask::OfferFile { path, caption, done } => {
                self.machine.offer_file(path, caption);
                self.finish(done).await;
            }
            Ask::Inquire(about, reply) => self.inquire(about, reply).await,
            Ask::StopTask(task, reply) => self.stop_task(&task, reply).await,
            Ask::About(reply) => {
                let row = self.machine.row();
                let (usage, active_at) = (row.usage, row.active_at);
                let _ = reply.send(Rest { at_rest: self.machine.recalled(), usage, active_at });
            }
            Ask::WorksIn(session, reply) => drop(reply.send(self.machine.works_in(&session))),
            Ask::Folder(reply) => drop(reply.send(self.machine.row().cwd.clone())),
            Ask::Shutdown { by, gone } => {
                self.machine.shutdown(&by);
                self.give_up = None;
                self.closing = Some(gone);
                self.stopping = Some(Rung::Terminate);
                self.flush().await;
                self.stopping = None;
            }
        }
    }

    async fn finish(&mut self, done: oneshot::Sender<()>) {
        self.flush().await;
        let _ = done.send(());
    }

    async fn submit(&mut self, submit: Submit, images: Vec<PathBuf>) -> Result<Submitted, Refusal> {
        let internal = |error: StoreError| Refusal::new(RefusalCode::Internal, error.to_string());
        if let Some(known) = self.site.store.prompt_by_key(&self.key, &submit.key).await.map_err(internal)? {
            return Ok(Submitted { prompt: known.id, ahead: known.ahead, seq: known.seq });
        }
        let row = self.machine.submit_with(submit, images)?;
        let seq = self.flush_to(row.id).await;
        Ok(Submitted { prompt: row.id, ahead: row.ahead, seq })
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
            Err(error) => Refusal::new(RefusalCode::Internal, error.to_string()),
        };
        Err(refusal)
    }
}

fn already(settlement: &Settlement, by: &str) -> String {
    match settlement {
        Settlement::Allowed => format!("{by} allowed it already"),
        Settlement::AllowedAlways => format!("{by} allowed it for good already"),
        Settlement::Denied(_) => format!("{by} denied it already"),
        Settlement::Answered(_) => format!("{by} answered it already"),
        Settlement::Cancelled => format!("{by} cancelled it"),
        Settlement::Withdrawn(why) => format!("it is no longer asked: {why}"),
    }
}
