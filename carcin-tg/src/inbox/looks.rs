//! Looking at things: what the daemon knows, as a message or as a list to choose from.

use std::path::PathBuf;

use carcin_proto::request::{ListSessions, Recent};
use carcin_proto::{Reply, Request};

use super::{Desk, Handled, now};
use crate::link::AskError;
use crate::markdown::{self, MESSAGE_LIMIT, Text};
use crate::message;
use crate::place::Place;
use crate::queue::Priority;
use crate::store::inbox::{self, End, Row};
use crate::store::{StoreError, outbox};
use crate::view::picker::sessions::PAGE;
use crate::view::picker::{Folders, SessionPage, Tasks, What};
use crate::view::{recent, status};

impl Desk {
    pub(super) async fn status(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
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
                status::render(&status, about, &place.conversation(), self.program.bot(), now())
            }
            Err(AskError::Away { why, .. }) => status::away(&why, self.program.bot()),
            other => return self.no_answer(row, place, other).await,
        };
        self.reply(row.id, End::Accepted, place, text).await
    }

    pub(super) async fn folders(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
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

    pub(super) async fn sessions(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
        let list = ListSessions { limit: PAGE, ..ListSessions::default() };
        match self.patiently(row, place, self.look(Request::ListSessions(list))).await? {
            Ok(Reply::SessionList(list)) => {
                let page = SessionPage::new(0, &list, place.conversation().as_str(), now());
                self.offer(row.id, End::Accepted, place, What::Sessions(page)).await
            }
            other => self.no_answer(row, place, other).await,
        }
    }

    pub(super) async fn recent(
        &self,
        row: &Row,
        place: Place,
        many: Option<&str>,
    ) -> Result<Handled, StoreError> {
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
                let lane = if index == 0 { Priority::Control } else { Priority::Prose };
                outbox::send(tx, place, lane, &message::Message::silent(part))?;
            }
            Ok(())
        });
        answer.await?;
        Ok(Handled::Done)
    }

    pub(super) async fn tasks(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
        match self.patiently(row, place, self.look(Request::About(place.conversation()))).await? {
            Ok(Reply::About(about)) => {
                self.offer(row.id, End::Accepted, place, What::Tasks(Tasks::new(&about.tasks))).await
            }
            other => self.no_answer(row, place, other).await,
        }
    }
}

/// The request for the folders in `path`; `None`: where the conversation works.
pub(super) fn in_folder(place: Place, path: Option<PathBuf>) -> Request {
    Request::Folders(carcin_proto::inquiry::Folders { conversation: place.conversation(), path })
}
