//! Presses on buttons: who sees to which, and interrupted prompts run again.

use carcin_proto::IdempotencyKey;
use carcin_proto::request::{Placement, Submit};

use super::prompt::with_images;
use super::{Desk, Handled, reason};
use crate::link::AskError;
use crate::queue::Priority;
use crate::store::inbox::{self, End, Row};
use crate::store::prompts::Interrupted;
use crate::store::{StoreError, Transaction, outbox, prompts};
use crate::update::Press;
use crate::view::{ask, picker, prompt, steering};

/// Said of a button whose message is too old, or of another bot.
pub(super) const STALE: &str = "This button is no longer valid";

impl Desk {
    /// Each kind of button has a prefix of its own; behind it stand a nonce, and what the button says with it.
    pub(super) async fn press(&self, row: &Row, press: &Press) -> Result<Handled, StoreError> {
        let mut parts = press.data.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(picker::PICK | picker::TASK), _, _) => self.picked(row, press, false).await,
            (Some(ask::ANSWER), Some(nonce), Some(argument)) => {
                self.press_answer(row, press, nonce, argument).await
            }
            (Some(steering::STEER), Some(nonce), Some(place)) => {
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

    /// Tells the finger that there is nothing to be had.
    pub(super) async fn stale(&self, row: &Row, press: &Press, why: &str) -> Result<Handled, StoreError> {
        self.toast(&press.id, why);
        self.finish(row.id, End::Refused).await
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
                    outbox::edit(tx, interrupted.message, Priority::Control, &message)
                };
                self.store.write(done).await?;
                Ok(Handled::Done)
            }
            Err(AskError::Refused(refusal)) => self.stale(row, press, reason(&refusal)).await,
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
