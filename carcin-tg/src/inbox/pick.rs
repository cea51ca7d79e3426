//! Presses on the buttons of lists.

use std::time::Duration;

use carcin_proto::inquiry::Folders;
use carcin_proto::request::{ListSessions, New, RefusalCode, Resume, StopTask};
use carcin_proto::{Reply, Request};
use tokio::time::timeout;

use super::ordered::{moved, resumed, take_over};
use super::settings::configure;
use super::{Desk, Handled, control, now, reason, refused};
use crate::link::AskError;
use crate::markdown::Text;
use crate::queue::{Lane, Priority};
use crate::store::inbox::{self, End, Row};
use crate::store::pickers::{self, Picked};
use crate::store::{StoreError, outbox};
use crate::update::Press;
use crate::view::picker::sessions::PAGE;
use crate::view::picker::{self, Action, Choice, SessionPage, What};

/// How long one press may hold up the others: a little longer than carcind waits for a word of Claude's, so that it can
/// say that there was none.
const PRESS: Duration = Duration::from_secs(8);
/// Said of a button that was pressed before, or of a list that shows something else by now.
const CHANGED: &str = "This list has changed since";

impl Desk {
    /// A press on a list. `in_order`: in the lane of prompts, where what changes a conversation is done.
    pub(super) async fn picked(
        &self,
        row: &Row,
        press: &Press,
        in_order: bool,
    ) -> Result<Handled, StoreError> {
        let mut parts = press.data.splitn(3, ':').skip(1);
        let (nonce, argument) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let nonce = nonce.to_owned();
        let found = self.store.read(move |tx| pickers::by_nonce(tx, &nonce)).await?;
        let Some(picked) = found.filter(|picked| picked.conversation == press.place.conversation()) else {
            return self.stale(row, press, super::button::STALE).await;
        };
        let Some(action) = picked.picker.press(argument) else {
            return self.stale(row, press, CHANGED).await;
        };
        if row.cancelled {
            return self.stale(row, press, "Stopped").await;
        }
        let id = row.id;
        if action.is_ordered() {
            if !in_order {
                self.store.write(move |tx| inbox::move_to(tx, id, Lane::Prompt)).await?;
                return Ok(Handled::Done);
            }
            if !self.store.write(move |tx| inbox::submit(tx, id)).await? {
                return Ok(Handled::Done);
            }
        }
        match self.act(&picked, press, &action).await {
            Ok(what) => self.shows(row, press, picked, what).await,
            Err(AskError::Away { why, maybe_done }) if in_order => {
                if !maybe_done {
                    self.store.write(move |tx| inbox::withdraw(tx, id)).await?;
                }
                self.keep(row, press, &why).await
            }
            Err(AskError::Away { why, .. }) => self.stale(row, press, &format!("💤 {why}")).await,
            Err(AskError::Refused(refusal)) => {
                self.toast(&press.id, reason(&refusal));
                let place = press.place;
                let refuse = self.store.write(move |tx| {
                    inbox::finish(tx, id, End::Refused)?;
                    control(tx, place, &refused(&refusal))
                });
                refuse.await?;
                Ok(Handled::Done)
            }
        }
    }

    /// Does what was pressed; what the list shows then.
    async fn act(&self, picked: &Picked, press: &Press, action: &Action) -> Result<What, AskError> {
        let conversation = picked.conversation.clone();
        let request = match action {
            Action::Show(what) => return Ok(what.clone()),
            Action::Look(path) => Request::Folders(Folders { conversation, path: Some(path.clone()) }),
            Action::Use(path) => Request::New(New { conversation, cwd: Some(path.clone()) }),
            Action::Page(offset) => Request::ListSessions(ListSessions {
                offset: *offset,
                limit: PAGE,
                ..ListSessions::default()
            }),
            Action::Resume { session, force, .. } => {
                Request::Resume(Resume { conversation, session: session.clone(), force: *force })
            }
            Action::Set(setting, value) => configure(press.place, *setting, value),
            Action::StopTask(task, _) => Request::StopTask(StopTask { conversation, task: task.clone() }),
        };
        // What changes a conversation may take as long as the prompts around it.
        let limit = if action.is_ordered() { Duration::from_mins(1) } else { PRESS };
        let late = AskError::Away { why: "carcind does not answer".to_owned(), maybe_done: true };
        let reply = timeout(limit, self.daemon.ask(&request)).await.unwrap_or(Err(late));
        Ok(match (action, reply) {
            (Action::Resume { session, title, force: false }, Err(AskError::Refused(refusal)))
                if refusal.code == RefusalCode::SessionOpen =>
            {
                take_over(session, title, &refusal)
            }
            (_, Err(error)) => return Err(error),
            (Action::Look(_), Ok(Reply::Folders(list))) => {
                let current = match &picked.picker.what {
                    What::Folders(folders) => folders.current.clone(),
                    _ => list.path.clone(),
                };
                What::Folders(picker::Folders::new(&current, list))
            }
            (Action::Page(offset), Ok(Reply::SessionList(list))) => {
                What::Sessions(SessionPage::new(*offset, &list, picked.conversation.as_str(), now()))
            }
            (Action::Use(path), Ok(_)) => What::Closed(moved(path).text),
            (Action::Resume { .. }, Ok(Reply::Resumed(session))) => What::Closed(resumed(&session).text),
            (Action::Set(setting, value), Ok(_)) => What::Closed(Choice::done(*setting, value)),
            (Action::StopTask(task, _), Ok(_)) => match &picked.picker.what {
                What::Tasks(tasks) => What::Tasks(tasks.without(task)),
                other => other.clone(),
            },
            (_, Ok(_)) => What::Closed("❌ carcind gave an answer that I do not understand".to_owned()),
        })
    }

    /// Ends the press, and has its message show what is there now.
    async fn shows(
        &self,
        row: &Row,
        press: &Press,
        picked: Picked,
        what: What,
    ) -> Result<Handled, StoreError> {
        self.toast(&press.id, if matches!(what, What::Tasks(_)) { "⏹ Told to stop" } else { "" });
        let (id, place) = (row.id, press.place);
        let next = picked.picker.then(what);
        let shown = self.store.write(move |tx| {
            inbox::finish(tx, id, End::Accepted)?;
            if pickers::update(tx, &picked.nonce, picked.picker.generation, &next)? {
                outbox::edit(tx, picked.message, Priority::Control, &next.message(&picked.nonce))?;
            } else if let What::Closed(how) = &next.what {
                // The list went on to something else meanwhile, but this has had its effect.
                control(tx, place, &Text::plain(how))?;
            }
            Ok(())
        });
        shown.await?;
        Ok(Handled::Done)
    }
}
