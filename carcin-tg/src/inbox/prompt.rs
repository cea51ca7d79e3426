//! Prompts.

use std::io;
use std::path::PathBuf;

use carcin_proto::request::{Placement, Stop, Submit, SubmitWith};
use carcin_proto::{IdempotencyKey, Request};

use super::compose::{Letter, one_text};
use super::{Desk, Handled, control, refused};
use crate::commands::{self, Command};
use crate::link::AskError;
use crate::markdown::Text;
use crate::place::Place;
use crate::queue::Lane;
use crate::store::bundle::{self, Bundle, Part};
use crate::store::inbox::{self, Composed, End, Row};
use crate::store::{StoreError, Transaction, facts};
use crate::update::{Content, Message, Update};
use crate::uploads;

/// Said when a message is edited that Claude has begun to work on.
const READ_ALREADY: &str =
    "✏️ Claude has read that message already. Write what should be different as a new message.";

impl Desk {
    pub(super) async fn prompt(&self, bundle: &Bundle) -> Result<Handled, StoreError> {
        let row = &bundle.head;
        // The list of allowed users may be another since the row came in.
        let Some(Update::Message(message)) = self.gate.admit(&row.raw) else {
            // A press on a list keeps its place among the prompts, too.
            return self.handle(Lane::Prompt, row).await;
        };
        self.unless_command(row, &message).await?;
        if row.cancelled {
            return self.take_back(row, &message).await;
        }
        if !bundle.others.is_empty() && self.made_one(bundle, &message).await? {
            // It is seen to as that.
            return Ok(Handled::Done);
        }
        if let (true, true) = (bundle.others.is_empty(), row.composed.is_none())
            && let Some(handled) = self.written_answer(row, &message).await?
        {
            return Ok(handled);
        }
        let place = message.place;
        if let Some(command) = self.command_of(&message) {
            let _moving = if message.edited > 0 { Some(self.moving.lock().await) } else { None };
            if let Some(waits) = self.take_earlier(row.id, &message).await? {
                return Ok(waits);
            }
            return match self.names_topic(&message, &command) {
                Some(name) => self.open_topic(row, &message, name).await,
                None => self.ordered(row, &message, command).await,
            };
        }
        if !self.store.read(|tx| Ok(facts::cursor(tx)?.is_some())).await? {
            return self.wait_for_cursor(row.id, place).await;
        }
        if let Some(composed) = row.composed.clone() {
            return self.submit(row, &message, composed).await;
        }
        let mut messages = self.admitted(&bundle.messages);
        let (chat, number, id) = (place.chat, message.message, row.id);
        let earlier = self.store.read(move |tx| bundle::earlier(tx, chat, number, id)).await?;
        let Some((old, key, mut rows)) = earlier.filter(|_| message.edited > 0) else {
            let letter = Letter::of(&messages);
            return self.submit_new(bundle, &message, &letter, Composed::default()).await;
        };
        let _moving = self.moving.lock().await;
        match self.take_from_daemon(&message, &key).await {
            Ok(Some(placement)) => {
                rows.push(id);
                let all = self.store.read(move |tx| bundle::messages(tx, &rows)).await?;
                messages = self.admitted(&all);
                let queued = placement == Placement::Queue;
                let how = Composed { queued, replaces: Some(old), ..Composed::default() };
                self.submit_new(bundle, &message, &Letter::of(&messages), how).await
            }
            Ok(None) => self.reply(id, End::Refused, place, Text::plain(READ_ALREADY)).await,
            Err(AskError::Refused(refusal)) => self.reply(id, End::Refused, place, refused(&refusal)).await,
            Err(AskError::Away { why, .. }) => self.wait(id, place, why, true).await,
        }
    }

    /// Takes back what the message said before it was edited into a command, if Claude has not begun it. `Some`: the daemon
    /// is away.
    async fn take_earlier(&self, id: i64, message: &Message) -> Result<Option<Handled>, StoreError> {
        if message.edited == 0 {
            return Ok(None);
        }
        let (place, number) = (message.place, message.message);
        let earlier = self.store.read(move |tx| bundle::earlier(tx, place.chat, number, id)).await?;
        let Some((_, key, _)) = earlier else { return Ok(None) };
        match self.take_from_daemon(message, &key).await {
            Err(AskError::Away { why, .. }) => self.wait(id, place, why, true).await.map(Some),
            Ok(_) | Err(AskError::Refused(_)) => Ok(None),
        }
    }

    /// Makes one message of a command or an answer that Telegram has split. `false`: it is neither.
    async fn made_one(&self, bundle: &Bundle, message: &Message) -> Result<bool, StoreError> {
        let Some(text) = one_text(&self.admitted(&bundle.messages)) else { return Ok(false) };
        if self.command_of(message).is_none() && !self.is_answer(bundle.head.id, message).await? {
            return Ok(false);
        }
        let (id, others) = (bundle.head.id, bundle.others.clone());
        self.store.write(move |tx| bundle::make_one(tx, id, &others, &text)).await?;
        Ok(true)
    }

    fn admitted(&self, messages: &[(serde_json::Value, Option<Part>)]) -> Vec<(Message, Option<Part>)> {
        let admit = |(raw, part): &(serde_json::Value, Option<Part>)| match self.gate.admit(raw) {
            Some(Update::Message(message)) => Some((message, part.clone())),
            _ => None,
        };
        messages.iter().filter_map(admit).collect()
    }

    fn command_of(&self, message: &Message) -> Option<Command> {
        match &message.content {
            Content::Text(text) if message.forwarded.is_none() => commands::parse(text, &self.username),
            _ => None,
        }
    }

    async fn submit_new(
        &self,
        bundle: &Bundle,
        message: &Message,
        letter: &Letter,
        how: Composed,
    ) -> Result<Handled, StoreError> {
        if letter.is_empty() {
            return self.finish(bundle.head.id, End::Cancelled).await;
        }
        let said = if letter.is_long() {
            match self.write_down(bundle.head.id, message, letter).await {
                Ok(file) => letter.beside(&file),
                Err(error) => {
                    let why =
                        format!("❌ I cannot give your long text to Claude: {}", uploads::not_stored(&error));
                    return self.reply(bundle.head.id, End::Refused, message.place, Text::plain(&why)).await;
                }
            }
        } else {
            letter.whole()
        };
        let composed = Composed { queued: how.queued, replaces: how.replaces, ..said };
        let (id, others, settled) = (bundle.head.id, bundle.others.clone(), composed.clone());
        if !self.store.write(move |tx| bundle::submit(tx, id, &others, &settled)).await? {
            return Ok(Handled::Done);
        }
        self.submit(&bundle.head, message, composed).await
    }

    /// Puts all that is said into a file, which is the same one when this is done again.
    async fn write_down(&self, row: i64, message: &Message, letter: &Letter) -> io::Result<PathBuf> {
        let name = format!("{}-{row}-text.txt", message.message);
        uploads::write(self.program.uploads(), message.place, name, letter.all_said()).await
    }

    async fn submit(&self, row: &Row, message: &Message, composed: Composed) -> Result<Handled, StoreError> {
        let (id, place, replaces) = (row.id, message.place, composed.replaces);
        let Ok(key) = IdempotencyKey::new(row.key.clone()) else {
            return self.finish(id, End::Cancelled).await;
        };
        if !self.store.write(move |tx| inbox::submit(tx, id)).await? {
            return Ok(Handled::Done);
        }
        let request = request(message, key, composed);
        self.settle(id, place, &request, move |tx| match replaces {
            Some(old) => bundle::adopt(tx, old, id),
            None => Ok(()),
        })
        .await
    }

    /// Asks the daemon, and settles the row by what it says.
    async fn settle(
        &self,
        id: i64,
        place: Place,
        request: &Request,
        done: impl FnOnce(&Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Handled, StoreError> {
        match self.daemon.ask(request).await {
            Ok(_) => {
                let accepted = move |tx: &Transaction<'_>| {
                    inbox::accept(tx, id)?;
                    facts::end_outage(tx)?;
                    done(tx)
                };
                self.store.write(accepted).await?;
                Ok(Handled::Done)
            }
            Err(AskError::Refused(refusal)) => self.reply(id, End::Refused, place, refused(&refusal)).await,
            Err(AskError::Away { why, maybe_done }) => self.wait(id, place, why, maybe_done).await,
        }
    }

    /// At the very first start, events count from the first snapshot on. A prompt before it could have its answer
    /// missed.
    pub(super) async fn wait_for_cursor(&self, id: i64, place: Place) -> Result<Handled, StoreError> {
        match self.daemon.ask(&Request::Status).await {
            Err(AskError::Away { why, .. }) => self.wait(id, place, why, true).await,
            Ok(_) | Err(AskError::Refused(_)) => Ok(Handled::Away),
        }
    }

    /// The prompt waits; the chat is told once in an outage.
    pub(super) async fn wait(
        &self,
        id: i64,
        place: Place,
        why: String,
        maybe_done: bool,
    ) -> Result<Handled, StoreError> {
        let waits = move |tx: &Transaction<'_>| {
            if !maybe_done {
                inbox::withdraw(tx, id)?;
            }
            if facts::tell_outage(tx, place.chat)? {
                let text = format!("💤 {why}. Your message is kept and will be delivered.");
                control(tx, place, &Text::plain(&text))?;
            }
            Ok(())
        };
        self.store.write(waits).await?;
        Ok(Handled::Away)
    }

    /// A `/stop` came while the prompt was on its way, and may have overtaken it: stop once more, now that
    /// nothing later of this chat can have been submitted.
    async fn take_back(&self, row: &Row, message: &Message) -> Result<Handled, StoreError> {
        let stop = Stop { conversation: message.place.conversation(), by: message.from.name.clone() };
        match self.daemon.ask(&Request::Stop(stop)).await {
            Ok(_) | Err(AskError::Refused(_)) => self.finish(row.id, End::Cancelled).await,
            Err(AskError::Away { .. }) => Ok(Handled::Away),
        }
    }
}

fn request(message: &Message, key: IdempotencyKey, composed: Composed) -> Request {
    let placement = if composed.queued { Placement::Queue } else { Placement::Steer };
    let conversation = message.place.conversation();
    let submit = Submit { conversation, key, text: composed.text, placement, by: message.from.name.clone() };
    with_images(submit, composed.images)
}

/// The request for a prompt, with its pictures where it has any.
pub(super) fn with_images(submit: Submit, images: Vec<PathBuf>) -> Request {
    if images.is_empty() {
        Request::Submit(submit)
    } else {
        Request::SubmitWith(SubmitWith { submit, images })
    }
}
