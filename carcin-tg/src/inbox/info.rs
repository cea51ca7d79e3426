//! What is answered at once, whatever else goes on.

use std::future::Future;
use std::time::Duration;

use carcin_proto::{Reply, Request};
use tokio::time::timeout;

use super::{Desk, Handled, control, refused};
use crate::commands::{self, Command, Other};
use crate::link::AskError;
use crate::markdown::Text;
use crate::menu;
use crate::message;
use crate::place::Place;
use crate::queue::{Lane, Priority};
use crate::store::inbox::{self, End, Row};
use crate::store::outbox::create_in;
use crate::store::pickers::{self, Picked};
use crate::store::{StoreError, restarts};
use crate::update::{Content, Message};
use crate::view::picker::{Picker, What};

/// Somebody who has waited for so long is told that it takes longer.
const SOON: Duration = Duration::from_millis(600);
/// A daemon that has not answered after this will not.
const AT_LAST: Duration = Duration::from_secs(12);

/// What the daemon said, or did not.
pub(super) type Asked = Result<Reply, AskError>;

impl Desk {
    pub(super) async fn info(&self, row: &Row, message: &Message) -> Result<Handled, StoreError> {
        let place = message.place;
        let text = match &message.content {
            Content::Text(text) => text,
            Content::Unsupported(what) => {
                let text = format!("I cannot give {what} to Claude. Nothing was sent.");
                return self.reply(row.id, End::Refused, place, Text::plain(&text)).await;
            }
            Content::File(_) | Content::Fact(_) | Content::Service => {
                return self.finish(row.id, End::Cancelled).await;
            }
        };
        match commands::parse(text, &self.username) {
            Some(Command::Start) => self.reply(row.id, End::Accepted, place, commands::help()).await,
            Some(Command::Id) => {
                self.reply(row.id, End::Accepted, place, commands::id(message.from.id)).await
            }
            Some(Command::Status) => self.status(row, place).await,
            Some(Command::Cwd(None)) => self.folders(row, place).await,
            Some(Command::Sessions | Command::Resume(None)) => self.sessions(row, place).await,
            Some(Command::Recent(many)) => self.recent(row, place, many.as_deref()).await,
            Some(Command::Set(setting, None)) => self.choose(row, place, setting).await,
            Some(Command::Set(setting, Some(value))) => self.set(row, place, setting, &value).await,
            Some(Command::Usage) => self.usage(row, place).await,
            Some(Command::Context) => self.context(row, place).await,
            Some(Command::Tasks) => self.tasks(row, place).await,
            Some(Command::Diff) => self.diff(row, place).await,
            Some(Command::Restart) => self.restart(row, place).await,
            Some(Command::Other(other)) => self.other(row, place, &other).await,
            _ => self.finish(row.id, End::Cancelled).await,
        }
    }

    /// Asks for something that only shows.
    pub(super) async fn look(&self, request: Request) -> Asked {
        let late = AskError::Away { why: "carcind does not answer".to_owned(), maybe_done: true };
        timeout(AT_LAST, self.daemon.ask(&request)).await.unwrap_or(Err(late))
    }

    /// Waits for what is asked; who waits for it is told once that it takes long.
    pub(super) async fn patiently<T>(
        &self,
        row: &Row,
        place: Place,
        asking: impl Future<Output = T>,
    ) -> Result<T, StoreError> {
        tokio::pin!(asking);
        if let Ok(answer) = timeout(SOON, &mut asking).await {
            return Ok(answer);
        }
        if !row.told {
            let id = row.id;
            let tell = self.store.write(move |tx| {
                inbox::set_told(tx, id)?;
                control(tx, place, &Text::plain("⏳ This takes a moment…"))
            });
            tell.await?;
        }
        Ok(asking.await)
    }

    /// Tells why there is no answer.
    pub(super) async fn no_answer(
        &self,
        row: &Row,
        place: Place,
        asked: Asked,
    ) -> Result<Handled, StoreError> {
        let text = match asked {
            Err(AskError::Refused(refusal)) => refused(&refusal),
            Err(AskError::Away { why, .. }) => Text::plain(&format!("💤 {why}. Try it again later.")),
            Ok(_) => Text::plain("❌ carcind gave an answer that I do not understand"),
        };
        self.reply(row.id, End::Refused, place, text).await
    }

    /// Ends a row with a list to choose from.
    pub(super) async fn offer(
        &self,
        id: i64,
        end: End,
        place: Place,
        what: What,
    ) -> Result<Handled, StoreError> {
        let picker = Picker::new(what);
        let nonce = message::nonce();
        let offer = self.store.write(move |tx| {
            inbox::finish(tx, id, end)?;
            let message = create_in(tx, place, Priority::Control, &picker.message(&nonce))?;
            pickers::insert(tx, &Picked { nonce, conversation: place.conversation(), picker, message })
        });
        offer.await?;
        Ok(Handled::Done)
    }

    /// Who asked is told afterwards, by the program that comes back. What Claude does is none of its business.
    async fn restart(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
        let id = row.id;
        let noted = self.store.write(move |tx| {
            inbox::finish(tx, id, End::Accepted)?;
            restarts::ask(tx, place)?;
            control(tx, place, &Text::plain("🔄 I restart. What Claude does goes on."))
        });
        noted.await?;
        self.program.restart.begin();
        Ok(Handled::Done)
    }

    /// A command that Claude did not know when it was last asked: it may know it now, or in this folder.
    async fn other(&self, row: &Row, place: Place, other: &Other) -> Result<Handled, StoreError> {
        let about = self.patiently(row, place, self.look(Request::About(place.conversation()))).await?;
        if let Ok(Reply::About(about)) = about {
            let known = &about.abilities.commands;
            if !known.is_empty()
                && menu::meant(known.iter().map(|one| one.name.as_str()), &other.name).is_none()
            {
                return self.reply(row.id, End::Refused, place, commands::unknown(&other.name)).await;
            }
        }
        let id = row.id;
        self.store.write(move |tx| inbox::move_to(tx, id, Lane::Prompt)).await?;
        Ok(Handled::Done)
    }
}
