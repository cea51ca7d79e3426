//! What is answered at once, whatever else goes on: looking at things, settings, and what cannot be done.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use carcin_proto::request::{Configure, ListSessions, Recent};
use carcin_proto::{Reply, Request};
use tokio::time::timeout;

use super::{Desk, Handled, control, now, refused};
use crate::commands::{self, Command, Other, Setting};
use crate::link::AskError;
use crate::markdown::{self, MESSAGE_LIMIT, Text};
use crate::menu;
use crate::message;
use crate::outbox::Lane as OutLane;
use crate::place::Place;
use crate::store::inbox::{self, End, Lane, Row};
use crate::store::outbox::create_in;
use crate::store::pickers::{self, Picked};
use crate::store::{StoreError, outbox, restarts};
use crate::update::{Content, Message};
use crate::view::picker::sessions::PAGE;
use crate::view::picker::{Choice, Folders, Picker, SessionPage, Tasks, What};
use crate::view::{recent, status};

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
                control(tx, place, Text::plain("⏳ This takes a moment…"))
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
            let message = create_in(tx, place, OutLane::Control, &picker.message(&nonce))?;
            pickers::insert(tx, &Picked { nonce, conversation: place.conversation(), picker, message })
        });
        offer.await?;
        Ok(Handled::Done)
    }

    async fn status(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
        let asking = async {
            tokio::join!(self.look(Request::Status), self.look(Request::About(place.conversation())))
        };
        let (status, about) = self.patiently(row, place, asking).await?;
        let about = match &about {
            Ok(Reply::About(about)) => Some(about.as_ref()),
            _ => None,
        };
        let text = match status {
            Ok(Reply::Status(status)) => {
                status::render(&status, about, &place.conversation(), self.house.bot(), now())
            }
            Err(AskError::Away { why, .. }) => status::away(&why, self.house.bot()),
            other => return self.no_answer(row, place, other).await,
        };
        self.reply(row.id, End::Accepted, place, text).await
    }

    async fn folders(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
        let looking = async {
            match self.look(in_folder(place, None)).await {
                Ok(Reply::Folders(list)) => Ok(Folders::new(&list.path.clone(), list)),
                other => self.folders_around(place).await.ok_or(other),
            }
        };
        match self.patiently(row, place, looking).await? {
            Ok(folders) => self.offer(row.id, End::Accepted, place, What::Folders(folders)).await,
            Err(other) => self.no_answer(row, place, other).await,
        }
    }

    /// Where the conversation's folder cannot be looked into: it may be gone. Then the nearest one around it that can.
    async fn folders_around(&self, place: Place) -> Option<Folders> {
        let Ok(Reply::About(about)) = self.look(Request::About(place.conversation())).await else {
            return None;
        };
        let current = about.status.cwd;
        for around in current.ancestors().skip(1) {
            match self.look(in_folder(place, Some(around.to_owned()))).await {
                Ok(Reply::Folders(list)) => return Some(Folders::around_lost(&current, list)),
                Err(AskError::Refused(_)) => {}
                _ => return None,
            }
        }
        None
    }

    async fn sessions(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
        let list = ListSessions { limit: PAGE, ..ListSessions::default() };
        match self.patiently(row, place, self.look(Request::ListSessions(list))).await? {
            Ok(Reply::SessionList(list)) => {
                let page = SessionPage::new(0, &list, place.conversation().as_str(), now());
                self.offer(row.id, End::Accepted, place, What::Sessions(page)).await
            }
            other => self.no_answer(row, place, other).await,
        }
    }

    async fn recent(&self, row: &Row, place: Place, many: Option<&str>) -> Result<Handled, StoreError> {
        let limit = match recent::how_many(many) {
            Ok(limit) => limit,
            Err(why) => return self.reply(row.id, End::Refused, place, Text::plain(&why)).await,
        };
        let request = Request::Recent(Recent { conversation: place.conversation(), limit });
        let texts = match self.patiently(row, place, self.look(request)).await? {
            Ok(Reply::Recent(texts)) => texts,
            other => return self.no_answer(row, place, other).await,
        };
        let id = row.id;
        let parts: Vec<Text> = recent::render(&texts, now())
            .iter()
            .flat_map(|text| markdown::split(text, MESSAGE_LIMIT))
            .filter(|part| !part.is_blank())
            .collect();
        let answer = self.store.write(move |tx| {
            inbox::finish(tx, id, End::Accepted)?;
            for (index, part) in parts.into_iter().enumerate() {
                // Only the first is ahead of all: a lot of them would use up what Telegram allows.
                let lane = if index == 0 { OutLane::Control } else { OutLane::Prose };
                outbox::send(tx, place, lane, &message::Message::silent(part))?;
            }
            Ok(())
        });
        answer.await?;
        Ok(Handled::Done)
    }

    /// What there is to choose from for a setting.
    async fn choice(&self, place: Place, setting: Setting) -> Result<Choice, AskError> {
        match self.look(Request::About(place.conversation())).await {
            Ok(Reply::About(about)) => Ok(Choice::of(setting, Some(&about))),
            Err(error @ AskError::Away { .. }) => Err(error),
            Ok(_) | Err(AskError::Refused(_)) => Ok(Choice::of(setting, None)),
        }
    }

    async fn choose(&self, row: &Row, place: Place, setting: Setting) -> Result<Handled, StoreError> {
        match self.patiently(row, place, self.choice(place, setting)).await? {
            Ok(choice) => self.offer(row.id, End::Accepted, place, What::Choice(choice)).await,
            Err(error) => self.no_answer(row, place, Err(error)).await,
        }
    }

    async fn set(
        &self,
        row: &Row,
        place: Place,
        setting: Setting,
        typed: &str,
    ) -> Result<Handled, StoreError> {
        let setting_it = async {
            let value =
                self.choice(place, setting).await.map_or_else(|_| typed.to_owned(), |c| c.meant(typed));
            (self.look(configure(place, setting, &value)).await, value)
        };
        match self.patiently(row, place, setting_it).await? {
            (Ok(_), value) => {
                self.reply(row.id, End::Accepted, place, Text::plain(&Choice::done(setting, &value))).await
            }
            (other, _) => self.no_answer(row, place, other).await,
        }
    }

    async fn tasks(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
        match self.patiently(row, place, self.look(Request::About(place.conversation()))).await? {
            Ok(Reply::About(about)) => {
                self.offer(row.id, End::Accepted, place, What::Tasks(Tasks::new(&about.tasks))).await
            }
            other => self.no_answer(row, place, other).await,
        }
    }

    /// Who asked is told afterwards, by the program that comes back. What Claude does is none of its business.
    async fn restart(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
        let id = row.id;
        let noted = self.store.write(move |tx| {
            inbox::finish(tx, id, End::Accepted)?;
            restarts::ask(tx, place)?;
            control(tx, place, Text::plain("🔄 I restart. What Claude does goes on."))
        });
        noted.await?;
        self.house.restart.begin();
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

/// The request for the folders in `path`; `None`: where the conversation works.
pub(super) fn in_folder(place: Place, path: Option<PathBuf>) -> Request {
    Request::Folders(carcin_proto::inquiry::Folders { conversation: place.conversation(), path })
}

/// The request that sets it.
pub(super) fn configure(place: Place, setting: Setting, value: &str) -> Request {
    let when = |wanted: Setting| (setting == wanted).then(|| value.to_owned());
    Request::Configure(Configure {
        conversation: place.conversation(),
        model: when(Setting::Model),
        permission_mode: when(Setting::Mode),
        effort: when(Setting::Effort),
    })
}
