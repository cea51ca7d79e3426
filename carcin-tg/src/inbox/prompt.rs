//! The lane of prompts: what a message in it is, decided once, and what is done about each kind.

use std::io;
use std::path::PathBuf;

use carcin_proto::request::{Placement, Stop, Submit, SubmitWith};
use carcin_proto::{IdempotencyKey, Request};

use super::ask::{self, Answered};
use super::compose::{Letter, one_text};
use super::{Desk, Handled, control, refused};
use crate::commands::{self, Command};
use crate::link::AskError;
use crate::markdown::Text;
use crate::place::Place;
use crate::store::bundle::{self, Bundle, Earlier, Part};
use crate::store::inbox::{self, Composed, End, Row};
use crate::store::{StoreError, Transaction, facts};
use crate::update::{Content, Message, Update};
use crate::uploads;

/// Said when a message is edited that Claude has begun to work on.
const READ_ALREADY: &str =
    "✏️ Claude has read that message already. Write what should be different as a new message.";

/// What a message in the lane of prompts is.
enum Work {
    /// Taken back by a `/stop` while it was on its way.
    Stopped,
    /// A command or an answer that Telegram has split, and its whole text.
    Split(String),
    /// The answer to a question.
    Answer,
    /// Something else, of somebody who was about to write the answer to the question with this nonce, and no longer is.
    NoAnswer(String),
    /// A command.
    Command(Command),
    /// A prompt from before the daemon's events were followed.
    TooEarly,
    /// A prompt that was composed before.
    Again(Composed),
    /// An edit of a message that was accepted as a prompt.
    Edit(Earlier),
    /// A prompt.
    New(Letter),
}

impl Desk {
    /// Works on what is next in the lane.
    pub(super) async fn prompt(&self, bundle: &Bundle) -> Result<Handled, StoreError> {
        let row = &bundle.head;
        let message = match self.gate.admit(&row.raw) {
            Some(Update::Message(message)) => message,
            // A press on a list keeps its place among the prompts, too.
            Some(Update::Press(press)) => return self.picked(row, &press, true).await,
            // The list of allowed users may be another since the row came in.
            None => return self.finish(row.id, End::Cancelled).await,
        };
        self.unless_command(row, &message).await?;
        match self.classify(bundle, &message).await? {
            Work::Stopped => self.take_back(row, &message).await,
            // As one message it is classified again.
            Work::Split(text) => self.join(bundle, text).await,
            // Where the question was settled meanwhile, it is classified again, too.
            Work::Answer => Ok(self.written_answer(row, &message).await?.unwrap_or(Handled::Done)),
            Work::NoAnswer(nonce) => self.stop_writing(nonce).await,
            Work::Command(command) => self.command(row, &message, command).await,
            Work::TooEarly => self.wait_for_cursor(row.id, message.place).await,
            Work::Again(composed) => self.submit_again(row, &message, composed).await,
            Work::Edit(earlier) => self.replace(bundle, &message, earlier).await,
            Work::New(letter) => self.submit_new(bundle, &message, &letter, Composed::default()).await,
        }
    }

    /// Decides what a message is, from one look at the store.
    async fn classify(&self, bundle: &Bundle, message: &Message) -> Result<Work, StoreError> {
        let row = &bundle.head;
        if row.cancelled {
            return Ok(Work::Stopped);
        }
        let (asked, gate, username) = (message.clone(), self.gate.clone(), self.username.clone());
        let (id, chat, number, edited) = (row.id, message.place.chat, message.message, message.edited > 0);
        let look = self.store.read(move |tx| {
            let answered = ask::answered(tx, id, &asked, &gate, &username)?;
            let earlier = if edited { bundle::earlier(tx, chat, number, id)? } else { None };
            Ok((answered, earlier, facts::cursor(tx)?.is_some()))
        });
        let (answered, earlier, is_following) = look.await?;
        let command = self.command_of(message);
        let messages = self.admitted(&bundle.messages);
        if !bundle.others.is_empty()
            && (command.is_some() || matches!(answered, Answered::Question))
            && let Some(whole) = one_text(&messages)
        {
            return Ok(Work::Split(whole));
        }
        Ok(match (command, row.composed.clone(), answered, earlier) {
            (Some(command), ..) => Work::Command(command),
            (None, None, Answered::Lapsed(nonce), _) => Work::NoAnswer(nonce),
            (None, None, Answered::Question | Answered::Before, _) if bundle.others.is_empty() => {
                Work::Answer
            }
            _ if !is_following => Work::TooEarly,
            (None, Some(composed), ..) => Work::Again(composed),
            (None, None, _, Some(earlier)) => Work::Edit(earlier),
            (None, None, _, None) => Work::New(Letter::of(&messages)),
        })
    }

    /// Makes one message of what Telegram has split.
    async fn join(&self, bundle: &Bundle, text: String) -> Result<Handled, StoreError> {
        let (id, others) = (bundle.head.id, bundle.others.clone());
        self.store.write(move |tx| bundle::make_one(tx, id, &others, &text)).await?;
        Ok(Handled::Done)
    }

    async fn command(&self, row: &Row, message: &Message, command: Command) -> Result<Handled, StoreError> {
        let _moving = if message.edited > 0 { Some(self.moving.lock().await) } else { None };
        if let Some(waits) = self.take_earlier(row.id, message).await? {
            return Ok(waits);
        }
        match self.names_topic(message, &command) {
            Some(name) => self.open_topic(row, message, name).await,
            None => self.ordered(row, message, command).await,
        }
    }

    /// Puts what a message says now into the place of what it said, if Claude has not begun that.
    async fn replace(
        &self,
        bundle: &Bundle,
        message: &Message,
        earlier: Earlier,
    ) -> Result<Handled, StoreError> {
        let (id, place) = (bundle.head.id, message.place);
        let Earlier { head, key, mut rows } = earlier;
        let _moving = self.moving.lock().await;
        match self.take_from_daemon(message, &key).await {
            Ok(Some(placement)) => {
                rows.push(id);
                let all = self.store.read(move |tx| bundle::messages(tx, &rows)).await?;
                let letter = Letter::of(&self.admitted(&all));
                let queued = placement == Placement::Queue;
                let how = Composed { queued, replaces: Some(head), ..Composed::default() };
                self.submit_new(bundle, message, &letter, how).await
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
        let Some(Earlier { key, .. }) = earlier else { return Ok(None) };
        match self.take_from_daemon(message, &key).await {
            Err(AskError::Away { why, .. }) => self.wait(id, place, why, true).await.map(Some),
            Ok(_) | Err(AskError::Refused(_)) => Ok(None),
        }
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

    /// Submits a prompt once more, as it was composed. From here on it may reach the daemon.
    async fn submit_again(
        &self,
        row: &Row,
        message: &Message,
        composed: Composed,
    ) -> Result<Handled, StoreError> {
        let id = row.id;
        if !self.store.write(move |tx| inbox::submit(tx, id)).await? {
            return Ok(Handled::Done);
        }
        self.submit(row, message, composed).await
    }

    /// Gives the daemon a prompt that the store has as submitted.
    async fn submit(&self, row: &Row, message: &Message, composed: Composed) -> Result<Handled, StoreError> {
        let (id, place, replaces) = (row.id, message.place, composed.replaces);
        let Ok(key) = IdempotencyKey::new(row.key.clone()) else {
            return self.finish(id, End::Cancelled).await;
        };
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
