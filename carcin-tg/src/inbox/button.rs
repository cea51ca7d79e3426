//! Presses on buttons: answers to what Claude asks, and interrupted prompts run again.

use carcin_proto::request::{Answer, Placement, RefusalCode, Submit};
use carcin_proto::{IdempotencyKey, Reply, Request};

use super::prompt::with_images;
use super::{Desk, Handled};
use crate::link::{AskError, apply};
use crate::outbox::Lane as OutLane;
use crate::store::inbox::{self, End, Row};
use crate::store::prompts::Interrupted;
use crate::store::requests::Asked;
use crate::store::{StoreError, Transaction, outbox, prompts, requests};
use crate::update::Press;
use crate::view::{ask, prompt, steering};

/// Said of a button whose message is too old, or of another bot.
pub(super) const STALE: &str = "This button is no longer valid";

impl Desk {
    pub(super) async fn press(&self, row: &Row, press: &Press) -> Result<Handled, StoreError> {
        let mut parts = press.data.split(':');
        match (parts.next(), parts.next(), parts.next().map(str::parse)) {
            (Some(ask::ANSWER), Some(nonce), Some(Ok(index))) => {
                let nonce = nonce.to_owned();
                match self.store.read(move |tx| requests::by_nonce(tx, &nonce)).await? {
                    Some(asked) => self.answer(row, press, asked, index).await,
                    None => self.stale(row, press, STALE).await,
                }
            }
            (Some(steering::STEER), Some(nonce), Some(Ok(place))) => {
                self.move_prompt(row, press, nonce, place).await
            }
            (Some(ask::RERUN), Some(nonce), None) => {
                let nonce = nonce.to_owned();
                let wanted = nonce.clone();
                match self.store.read(move |tx| prompts::by_nonce(tx, &wanted)).await? {
                    Some(interrupted) => self.rerun(row, press, nonce, interrupted).await,
                    None => self.stale(row, press, STALE).await,
                }
            }
            _ => self.stale(row, press, STALE).await,
        }
    }

    pub(super) async fn stale(&self, row: &Row, press: &Press, why: &str) -> Result<Handled, StoreError> {
        self.toast(&press.id, why);
        self.finish(row.id, End::Refused).await
    }

    async fn answer(
        &self,
        row: &Row,
        press: &Press,
        asked: Asked,
        index: usize,
    ) -> Result<Handled, StoreError> {
        if let Some(outcome) = &asked.outcome {
            return self.stale(row, press, &format!("Settled already. {outcome}")).await;
        }
        let Some(decision) = ask::decision(&asked.ask, index) else {
            return self.stale(row, press, STALE).await;
        };
        // The button shows where it was pressed; only there does it count.
        if asked.conversation != press.place.conversation() {
            return self.stale(row, press, STALE).await;
        }
        let answer = Answer { request: asked.request.clone(), decision, by: press.from.name.clone() };
        match self.daemon.ask(&Request::Answer(answer)).await {
            Ok(Reply::Answered(settlement)) => {
                // The message itself changes with the event.
                self.toast(&press.id, &ask::outcome(&asked.ask, &settlement, &press.from.name));
                self.finish(row.id, End::Accepted).await
            }
            Ok(_) => {
                self.toast(&press.id, "");
                self.finish(row.id, End::Accepted).await
            }
            Err(AskError::Refused(refusal)) => {
                self.toast(&press.id, &refusal.message);
                let forgotten = matches!(refusal.code, RefusalCode::NoRequest | RefusalCode::NoConversation);
                let id = row.id;
                let close = move |tx: &Transaction<'_>| {
                    inbox::finish(tx, id, End::Refused)?;
                    // Unless the event that says how it was settled has come in the meantime.
                    match requests::by_nonce(tx, &asked.nonce)? {
                        Some(asked) if forgotten && asked.outcome.is_none() => {
                            apply::close_forgotten(tx, &asked)
                        }
                        _ => Ok(()),
                    }
                };
                self.store.write(close).await?;
                Ok(Handled::Done)
            }
            Err(AskError::Away { why, .. }) => self.keep(row, press, &why).await,
        }
    }

    async fn rerun(
        &self,
        row: &Row,
        press: &Press,
        nonce: String,
        interrupted: Interrupted,
    ) -> Result<Handled, StoreError> {
        if interrupted.rerun {
            return self.stale(row, press, "It was run again already").await;
        }
        if row.cancelled {
            return self.finish(row.id, End::Cancelled).await;
        }
        // One new identity for all presses on the button: a second one is the same prompt.
        let key = format!("tg:{}:rerun:{}", self.bot, interrupted.prompt);
        let Ok(key) = IdempotencyKey::new(key) else { return self.stale(row, press, STALE).await };
        let submit = Submit {
            conversation: interrupted.conversation.clone(),
            key,
            text: interrupted.text.clone(),
            placement: Placement::Steer,
            by: press.from.name.clone(),
        };
        let of = interrupted.key.clone();
        let whole = self.store.read(move |tx| inbox::prompt_of(tx, &of)).await?;
        let images = whole.map(|whole| whole.images).unwrap_or_default();
        match self.daemon.ask(&with_images(submit, images)).await {
            Ok(_) => {
                self.toast(&press.id, "");
                let (id, by) = (row.id, press.from.name.clone());
                let done = move |tx: &Transaction<'_>| {
                    inbox::finish(tx, id, End::Accepted)?;
                    prompts::set_rerun(tx, &nonce)?;
                    let message = prompt::rerun(&interrupted.text, &by);
                    outbox::edit(tx, interrupted.message, OutLane::Control, &message)
                };
                self.store.write(done).await?;
                Ok(Handled::Done)
            }
            Err(AskError::Refused(refusal)) => self.stale(row, press, &refusal.message).await,
            Err(AskError::Away { why, .. }) => self.keep(row, press, &why).await,
        }
    }

    /// The press waits for the daemon; the finger is told once.
    pub(super) async fn keep(&self, row: &Row, press: &Press, why: &str) -> Result<Handled, StoreError> {
        if !row.told {
            self.toast(&press.id, &format!("{why}. Your answer is kept and will be delivered."));
            let id = row.id;
            self.store.write(move |tx| inbox::set_told(tx, id)).await?;
        }
        Ok(Handled::Away)
    }
}
