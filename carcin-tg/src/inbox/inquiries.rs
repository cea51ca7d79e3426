//! What a conversation has used, what fills it, and what has changed where it works.

use std::path::PathBuf;

use carcin_proto::inquiry::{Changes, Inquire, Inquiry};
use carcin_proto::{Reply, Request};
use jiff::tz::TimeZone;
use tracing::warn;

use super::info::Asked;
use super::{Desk, Handled, control, now};
use crate::link::AskError;
use crate::place::Place;
use crate::store::inbox::{self, End, Row};
use crate::store::{StoreError, outbox, spending};
use crate::view::{changes, context, usage};

impl Desk {
    /// Asks the conversation's Claude, and what the daemon knows itself.
    async fn inquire(&self, row: &Row, place: Place, about: Inquiry) -> Result<(Asked, Asked), StoreError> {
        let conversation = place.conversation();
        let inquire = Request::Inquire(Inquire { conversation: conversation.clone(), about });
        let asking = async { tokio::join!(self.look(Request::About(conversation)), self.look(inquire)) };
        self.patiently(row, place, asking).await
    }

    pub(super) async fn usage(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
        let (about, told) = self.inquire(row, place, Inquiry::Usage).await?;
        let (conversation, moment) = (place.conversation(), now());
        let sums = self
            .store
            .read(move |tx| Ok((spending::of_session(tx, &conversation)?, spending::of_day(tx, moment)?)));
        let (session, today) = sums.await?;
        let last = match &about {
            Ok(Reply::About(about)) => about.usage.as_ref(),
            _ => None,
        };
        let why = why_not(&told);
        let told = match &told {
            Ok(Reply::Inquired(raw)) => Ok(raw.as_str()),
            _ => Err(why.as_str()),
        };
        let known = usage::Known { session, today, last, told };
        self.reply(row.id, End::Accepted, place, usage::render(known, moment, &TimeZone::system())).await
    }

    pub(super) async fn context(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
        let (about, told) = self.inquire(row, place, Inquiry::Context).await?;
        let shown = match &told {
            Ok(Reply::Inquired(raw)) => context::render(raw),
            _ => None,
        };
        let text = shown.unwrap_or_else(|| {
            let last = match &about {
                Ok(Reply::About(about)) => about.usage.as_ref(),
                _ => None,
            };
            context::poor(last, &why_not(&told))
        });
        self.reply(row.id, End::Accepted, place, text).await
    }

    pub(super) async fn diff(&self, row: &Row, place: Place) -> Result<Handled, StoreError> {
        let request = Request::Changes(place.conversation());
        let changes = match self.patiently(row, place, self.look(request)).await? {
            Ok(Reply::Changes(changes)) => changes,
            other => return self.no_answer(row, place, other).await,
        };
        let diff = changes::render(&changes);
        let id = row.id;
        let file = match diff.file {
            None => None,
            Some(patch) => self.keep_file(id, &file_name(&changes), patch).await,
        };
        let text = diff.text;
        let answer = self.store.write(move |tx| {
            inbox::finish(tx, id, End::Accepted)?;
            control(tx, place, &text)?;
            file.map_or(Ok(()), |path| outbox::send_files(tx, place, &[path], false))
        });
        answer.await?;
        Ok(Handled::Done)
    }

    /// Writes a file that is sent afterwards. `None`: that was not possible.
    async fn keep_file(&self, id: i64, name: &str, content: String) -> Option<PathBuf> {
        let dir = self.program.files().join(id.to_string());
        let path = dir.join(name);
        let written = async {
            tokio::fs::create_dir_all(&dir).await?;
            tokio::fs::write(&path, content).await
        };
        match written.await {
            Ok(()) => Some(path),
            Err(error) => {
                warn!("cannot write {}: {error}", path.display());
                None
            }
        }
    }
}

fn file_name(changes: &Changes) -> String {
    let name = changes.root.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect();
    let name: String = name.chars().take(40).collect();
    if name.is_empty() { "changes.diff".to_owned() } else { format!("{name}.diff") }
}

/// Why Claude says nothing.
fn why_not(asked: &Asked) -> String {
    match asked {
        Err(AskError::Refused(refusal)) => match &refusal.hint {
            Some(hint) => format!("{}: {hint}.", refusal.message),
            None => format!("{}.", refusal.message),
        },
        Err(AskError::Away { why, .. }) => format!("💤 {why}."),
        Ok(_) => "Claude does not say.".to_owned(),
    }
}
