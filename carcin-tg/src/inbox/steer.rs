//! Prompts that the daemon has and Claude has not begun: moved by a button, or replaced by an edit.
//!
//! A prompt is moved by taking it back and submitting it anew under a key made of its own. Every step can be repeated:
//! after a crash the row of the inbox, the press or the edit, goes through all of them again.

use carcin_proto::request::{Placement, Stop, Submit, Withdraw, Withdrawal};
use carcin_proto::{IdempotencyKey, Reply, Request};

use super::prompt::with_images;
use super::{Desk, Handled, reason};
use crate::link::{AskError, steering as notes};
use crate::queue::{Priority, Spot};
use crate::store::inbox::{self, Composed, End, Row};
use crate::store::steering::{self, Steered};
use crate::store::{StoreError, Transaction, outbox, topics};
use crate::update::{Message, Press};
use crate::view::steering as view;

/// Said where there is nothing to be moved any longer.
const BEGUN: &str = "Claude has it already";
/// Said where the message says something else by now.
const EDITED: &str = "Your edit has taken its place";
/// Said where a turn was stopped for the message.
const STOPPED: &str = "⏹ Stopped";

/// What the store says about a press.
enum Found {
    /// There is no such button, or no longer.
    Stale(&'static str),
    /// A `/stop` took the press back.
    TakenBack,
    /// Go on with this.
    Move(Box<(Steered, Composed, carcin_proto::ConversationKey)>),
}

impl Desk {
    /// A press on a button of a note.
    pub(super) async fn move_prompt(
        &self,
        row: &Row,
        press: &Press,
        nonce: &str,
        to: &str,
    ) -> Result<Handled, StoreError> {
        let place = match to.parse() {
            Ok(view::QUEUE) => Spot::Queue,
            Ok(view::NOW) => Spot::Now,
            _ => return self.stale(row, press, super::button::STALE).await,
        };
        let _moving = self.moving.lock().await;
        let (nonce, pressed, id, again) = (nonce.to_owned(), press.place, row.id, row.submitted);
        let cancelled = row.cancelled;
        let found = self.store.write(move |tx| {
            let Some(steered) = steering::by_nonce(tx, &nonce)? else {
                return Ok(Found::Stale(super::button::STALE));
            };
            // The button shows where it was pressed; only there does it count.
            let home = inbox::place_of(tx, &steered.key)?.unwrap_or(pressed);
            if !topics::is_answered(tx, home, pressed)? {
                return Ok(Found::Stale(super::button::STALE));
            }
            let home = home.conversation();
            if cancelled {
                return Ok(Found::Move(Box::new((steered, Composed::default(), home))));
            }
            let edited = steering::was_edited_before(tx, &steered.key, id)?;
            if edited && !steered.over && steered.prompt.is_none() {
                // An earlier try has taken it from where it waited, so no event ends its note.
                notes::end(tx, &steered, false)?;
            }
            if edited || steered.over {
                return Ok(Found::Stale(if edited { EDITED } else { BEGUN }));
            }
            if !again && steered.place == place {
                return Ok(Found::Stale("It is there already"));
            }
            let Some(whole) = inbox::prompt_of(tx, &steered.key)? else {
                return Ok(Found::Stale(super::button::STALE));
            };
            if !steering::depart(tx, &nonce, place, id)? {
                return Ok(Found::TakenBack);
            }
            Ok(Found::Move(Box::new((Steered { place, ..steered }, whole, home))))
        });
        match found.await? {
            Found::Stale(why) => self.stale(row, press, why).await,
            Found::TakenBack => Ok(Handled::Done),
            Found::Move(found) => {
                let (steered, whole, here) = *found;
                let by = press.from.name.clone();
                let moved = if cancelled {
                    self.drop_moved(row, &here, &by, steered).await
                } else {
                    self.carry_over(row, press, &here, steered, whole).await
                };
                match moved {
                    Ok(handled) => handled,
                    Err(AskError::Away { why, .. }) => self.keep(row, press, &why).await,
                    Err(AskError::Refused(refusal)) => self.stale(row, press, reason(&refusal)).await,
                }
            }
        }
    }

    async fn carry_over(
        &self,
        row: &Row,
        press: &Press,
        here: &carcin_proto::ConversationKey,
        steered: Steered,
        whole: Composed,
    ) -> Result<Result<Handled, StoreError>, AskError> {
        let mut first = true;
        for from in [Spot::Steer, Spot::Queue] {
            if from == steered.place {
                break;
            }
            match self.withdraw(here, &steered.key, from).await? {
                Withdrawal::Withdrawn => {}
                // It never was in the queue.
                Withdrawal::Unknown if !first => {}
                Withdrawal::Begun | Withdrawal::Unknown => {
                    self.toast(&press.id, BEGUN);
                    return Ok(self.end_note(row, steered, End::Refused, true).await);
                }
            }
            first = false;
        }
        if steered.place == Spot::Now && !steered.stopped {
            let stop = Stop { conversation: here.clone(), by: press.from.name.clone() };
            self.daemon.ask(&Request::Stop(stop)).await?;
            let nonce = steered.nonce.clone();
            // Not again when this is repeated: that would stop what is submitted below.
            if let Err(error) = self.store.write(move |tx| steering::set_stopped(tx, &nonce)).await {
                return Ok(Err(error));
            }
        }
        if steered.place == Spot::Now {
            let base = steered.key.clone();
            match self.store.read(move |tx| steering::was_edited(tx, &base)).await {
                // The turn is stopped for what the message says now, which is submitted with the edit.
                Ok(true) => {
                    self.toast(&press.id, STOPPED);
                    return Ok(self.end_note(row, steered, End::Accepted, false).await);
                }
                Ok(false) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        let Some(key) = steered.place.key(&steered.key) else {
            return Ok(self.end_note(row, steered, End::Refused, false).await);
        };
        let submit = Submit {
            conversation: here.clone(),
            key,
            text: whole.text,
            // Behind the turn, also behind one that is ending.
            placement: Placement::Queue,
            by: press.from.name.clone(),
        };
        match self.daemon.ask(&with_images(submit, whole.images)).await {
            Ok(_) => {
                self.toast(&press.id, if steered.place == Spot::Now { STOPPED } else { "🕓 Queued" });
                let id = row.id;
                Ok(self.store.write(move |tx| inbox::accept(tx, id)).await.map(|()| Handled::Done))
            }
            Err(AskError::Refused(refusal)) => {
                // It is taken back, and not taken again: the user must know.
                self.toast(&press.id, reason(&refusal));
                let id = row.id;
                let told = move |tx: &Transaction<'_>| {
                    inbox::finish(tx, id, End::Refused)?;
                    steering::end(tx, &steered.nonce)?;
                    let note = view::refused(&steered.text, reason(&refusal));
                    outbox::edit(tx, steered.message, Priority::Control, &note)
                };
                Ok(self.store.write(told).await.map(|()| Handled::Done))
            }
            Err(away) => Err(away),
        }
    }

    /// A `/stop` came while a press was worked on.
    async fn drop_moved(
        &self,
        row: &Row,
        here: &carcin_proto::ConversationKey,
        by: &str,
        steered: Steered,
    ) -> Result<Result<Handled, StoreError>, AskError> {
        let mut begun = false;
        for place in [Spot::Steer, Spot::Queue, Spot::Now] {
            begun |= self.withdraw(here, &steered.key, place).await? == Withdrawal::Begun;
        }
        if begun {
            let stop = Stop { conversation: here.clone(), by: by.to_owned() };
            self.daemon.ask(&Request::Stop(stop)).await?;
        }
        Ok(self.end_note(row, steered, End::Cancelled, begun).await)
    }

    async fn end_note(
        &self,
        row: &Row,
        steered: Steered,
        end: End,
        begun: bool,
    ) -> Result<Handled, StoreError> {
        let id = row.id;
        let ended = move |tx: &Transaction<'_>| {
            inbox::finish(tx, id, end)?;
            // Unless an event has ended it in the meantime.
            match steering::by_nonce(tx, &steered.nonce)? {
                Some(now) if !now.over => notes::end(tx, &now, begun),
                _ => Ok(()),
            }
        };
        self.store.write(ended).await?;
        Ok(Handled::Done)
    }

    async fn withdraw(
        &self,
        conversation: &carcin_proto::ConversationKey,
        base: &str,
        place: Spot,
    ) -> Result<Withdrawal, AskError> {
        let Some(key) = place.key(base) else { return Ok(Withdrawal::Unknown) };
        self.withdraw_key(conversation, key).await
    }

    async fn withdraw_key(
        &self,
        conversation: &carcin_proto::ConversationKey,
        key: IdempotencyKey,
    ) -> Result<Withdrawal, AskError> {
        let withdraw = Withdraw { conversation: conversation.clone(), key };
        match self.daemon.ask(&Request::Withdraw(withdraw)).await? {
            Reply::Withdrawn(withdrawal) => Ok(withdrawal),
            _ => Ok(Withdrawal::Unknown),
        }
    }

    /// Takes back what was submitted of an edited message, wherever it waits. `None`: Claude has it, or the daemon no
    /// longer knows it. Else where it waited.
    pub(super) async fn take_from_daemon(
        &self,
        message: &Message,
        key: &str,
    ) -> Result<Option<Placement>, AskError> {
        let here = message.place.conversation();
        if self.withdraw(&here, key, Spot::Steer).await? != Withdrawal::Withdrawn {
            return Ok(None);
        }
        let mut placement = Placement::Steer;
        for place in [Spot::Queue, Spot::Now] {
            match self.withdraw(&here, key, place).await? {
                Withdrawal::Begun => return Ok(None),
                Withdrawal::Withdrawn => placement = Placement::Queue,
                Withdrawal::Unknown => {}
            }
        }
        Ok(Some(placement))
    }
}
