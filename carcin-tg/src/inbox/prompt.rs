//! Prompts, and `/new`, which keeps its place among them.

use std::path::PathBuf;

use carcin_proto::IdempotencyKey;
use carcin_proto::Request;
use carcin_proto::request::{New, Placement, Stop, Submit};

use super::{Desk, Handled, control, refused};
use crate::commands::{self, Command};
use crate::link::AskError;
use crate::markdown::Text;
use crate::place::Place;
use crate::store::inbox::{self, End, Row};
use crate::store::{StoreError, Transaction, facts};
use crate::update::{Content, Message};

impl Desk {
    pub(super) async fn prompt(&self, row: &Row, message: &Message) -> Result<Handled, StoreError> {
        if row.cancelled {
            return self.take_back(row, message).await;
        }
        if let Some(handled) = self.written_answer(row, message).await? {
            return Ok(handled);
        }
        if let Content::Text(text) = &message.content {
            match commands::parse(text, &self.username) {
                None | Some(Command::New(_)) => {}
                Some(command) => return self.ordered(row, message, command).await,
            }
        }
        let (Content::Text(text), Ok(key)) = (&message.content, IdempotencyKey::new(row.key.clone())) else {
            return self.finish(row.id, End::Cancelled).await;
        };
        let (request, done) = match commands::parse(text, &self.username) {
            Some(Command::New(folder)) => {
                (new_session(message, folder), Some("🆕 The next message begins a new session"))
            }
            _ => (submit(message, key, text.clone()), None),
        };
        let (id, place) = (row.id, message.place);
        if !self.store.read(|tx| Ok(facts::cursor(tx)?.is_some())).await? {
            return self.wait_for_cursor(id, place).await;
        }
        if !self.store.read(move |tx| inbox::submit(tx, id)).await? {
            return Ok(Handled::Done);
        }
        match self.daemon.ask(&request).await {
            Ok(_) => {
                let accepted = move |tx: &Transaction<'_>| {
                    inbox::accept(tx, id)?;
                    facts::end_outage(tx)?;
                    done.map_or(Ok(()), |done| control(tx, place, Text::plain(done)))
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
                control(tx, place, Text::plain(&text))?;
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

fn new_session(message: &Message, folder: Option<String>) -> Request {
    let cwd = folder.map(|folder| match folder.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        None if folder == "~" => std::env::home_dir().unwrap_or_default(),
        None => PathBuf::from(folder),
    });
    Request::New(New { conversation: message.place.conversation(), cwd })
}

fn submit(message: &Message, key: IdempotencyKey, text: String) -> Request {
    Request::Submit(Submit {
        conversation: message.place.conversation(),
        key,
        text,
        placement: Placement::Steer,
        by: message.from.name.clone(),
    })
}
