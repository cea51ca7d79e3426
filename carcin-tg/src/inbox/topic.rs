//! Topics: each is a conversation of its own, and `/new NAME` opens one where there are topics.

use super::{Desk, Handled, control};
use crate::commands::Command;
use crate::markdown::{Text, TextBuilder};
use crate::place::Place;
use crate::store::inbox::{self, End, Row};
use crate::store::{StoreError, Transaction};
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

    /// Opens a topic and greets in it. Telegram cannot be asked whether it did: what was cut off is not repeated.
    pub(super) async fn open_topic(
        &self,
        row: &Row,
        message: &Message,
        name: String,
    ) -> Result<Handled, StoreError> {
        let (id, place) = (row.id, message.place);
        if row.submitted {
            let text = format!(
                "⚠️ I was cut off while opening “{name}”. If there is no such topic, please ask again."
            );
            return self.reply(id, End::Refused, place, Text::plain(&text)).await;
        }
        if !self.store.read(move |tx| inbox::submit(tx, id)).await? {
            return Ok(Handled::Done);
        }
        match self.api.create_topic(place.chat, &name).await {
            Ok(thread) => {
                let opened = move |tx: &Transaction<'_>| {
                    inbox::finish(tx, id, End::Accepted)?;
                    let mut text = TextBuilder::new();
                    text.push("🆕 ").bold(&name).newline();
                    text.push("A conversation of its own: write here what is to be done.");
                    control(tx, Place { chat: place.chat, thread: Some(thread) }, text.build())
                };
                self.store.write(opened).await?;
                Ok(Handled::Done)
            }
            // Not kept to be asked again: the prompts of all chats would wait behind it, for hours in a flood wait.
            Err(error) => {
                let text = format!("❌ I cannot open a topic here: {error}");
                self.reply(id, End::Refused, place, Text::plain(&text)).await
            }
        }
    }
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
