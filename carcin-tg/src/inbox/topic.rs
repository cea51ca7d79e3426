//! Topics: each is a conversation of its own, and `/new NAME` opens one where there are topics.

use std::path::PathBuf;

use carcin_proto::request::{Configure, New};
use carcin_proto::{Reply, Request};
use tracing::warn;

use super::{Desk, Handled, control};
use crate::api::ApiError;
use crate::commands::Command;
use crate::link::AskError;
use crate::markdown::{Text, TextBuilder};
use crate::place::Place;
use crate::store::inbox::{self, End, Row};
use crate::store::{StoreError, Transaction, topics};
use crate::update::Message;

/// The longest name of a topic, in characters (Bot API, `createForumTopic`).
const MAX_NAME: usize = 128;

impl Desk {
    /// The name of the topic that `/new` asks for; `None`: it asks for a session here, maybe in a folder.
    pub(super) fn names_topic(&self, message: &Message, command: &Command) -> Option<String> {
        let Command::New(Some(name)) = command else { return None };
        let has_topics = message.has_topics || (message.place.chat > 0 && self.has_private_topics);
        (has_topics && !is_folder(name)).then(|| name.chars().take(MAX_NAME).collect())
    }

    /// Opens a topic and greets in it. It begins with the folder, the model and the mode of where it was asked for.
    /// Telegram cannot be asked whether it did: what was cut off is not repeated.
    pub(super) async fn open_topic(
        &self,
        row: &Row,
        message: &Message,
        name: String,
    ) -> Result<Handled, StoreError> {
        let (id, place) = (row.id, message.place);
        let cut_off =
            format!("⚠️ I was cut off while opening “{name}”. If there is no such topic, please ask again.");
        if row.submitted {
            return self.reply(id, End::Refused, place, Text::plain(&cut_off)).await;
        }
        let settings = match self.settings_of(place).await {
            Ok(settings) => settings,
            Err(AskError::Away { why, .. }) => return self.wait(id, place, why, false).await,
            Err(AskError::Refused(_)) => None,
        };
        if !self.store.write(move |tx| inbox::submit(tx, id)).await? {
            return Ok(Handled::Done);
        }
        match self.api.create_topic(place.chat, &name).await {
            Ok(thread) => {
                let there = Place { chat: place.chat, thread: Some(thread) };
                let begun = self.begin_with(there, settings.as_ref()).await;
                let opened = move |tx: &Transaction<'_>| {
                    inbox::finish(tx, id, End::Accepted)?;
                    topics::set_name(tx, there, &name)?;
                    control(tx, there, &greeting(&name, settings.as_ref(), begun))
                };
                self.store.write(opened).await?;
                Ok(Handled::Done)
            }
            // It may be there.
            Err(ApiError::Unknown(_)) => self.reply(id, End::Refused, place, Text::plain(&cut_off)).await,
            // Not kept to be asked again: the prompts of all chats would wait behind it, for hours in a flood wait.
            Err(error) => {
                let text = format!("❌ I cannot open a topic here: {error}");
                self.reply(id, End::Refused, place, Text::plain(&text)).await
            }
        }
    }

    /// What a conversation works with; `None`: nobody has worked in it yet.
    async fn settings_of(&self, place: Place) -> Result<Option<Configured>, AskError> {
        let Reply::About(about) = self.daemon.ask(&Request::About(place.conversation())).await? else {
            return Ok(None);
        };
        let status = about.status;
        let configure = Configure {
            conversation: place.conversation(),
            model: status.model,
            permission_mode: status.permission_mode,
            effort: about.effort,
        };
        Ok(Some((status.cwd, configure)))
    }

    /// Gives these to a new conversation. Whether it has them: if not, it begins as every other.
    async fn begin_with(&self, place: Place, settings: Option<&Configured>) -> bool {
        let Some((cwd, configure)) = settings else { return true };
        let conversation = place.conversation();
        let new = New { conversation: conversation.clone(), cwd: Some(cwd.clone()) };
        for request in
            [Request::New(new), Request::Configure(Configure { conversation, ..configure.clone() })]
        {
            if let Err(error) = self.daemon.ask(&request).await {
                warn!("a new topic does not begin as where it was asked for: {error:?}");
                return false;
            }
        }
        true
    }
}

/// The folder, and the rest.
type Configured = (PathBuf, Configure);

fn greeting(name: &str, settings: Option<&Configured>, begun: bool) -> Text {
    let mut text = TextBuilder::new();
    text.push("🆕 ").bold(name).newline();
    text.push("A conversation of its own: write here what is to be done.");
    match settings {
        Some((cwd, _)) if begun => text.newline().push("📁 ").code(&cwd.to_string_lossy()),
        Some((cwd, _)) => text
            .newline()
            .push("⚠️ It may not begin in ")
            .code(&cwd.to_string_lossy())
            .push(": look with /cwd"),
        None => &mut text,
    };
    text.build()
}

/// Whether what follows `/new` is a folder rather than a name.
fn is_folder(argument: &str) -> bool {
    ["/", "~/", "./", "../"].iter().any(|start| argument.starts_with(start))
        || ["~", ".", ".."].contains(&argument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told_from_a_name() {
        for folder in ["/srv/app", "~", "~/app", "./x", "..", "../x"] {
            assert!(is_folder(folder), "{folder}");
        }
        for name in ["Docs", "the app/docs", "v1.0", "~ish"] {
            assert!(!is_folder(name), "{name}");
        }
    }
}
