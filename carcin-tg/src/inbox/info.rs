//! What is answered without changing anything: `/start`, `/status`, and what cannot be done.

use carcin_proto::{Reply, Request};

use super::{Desk, Handled, now, refused};
use crate::commands::{self, Command};
use crate::link::AskError;
use crate::markdown::Text;
use crate::store::StoreError;
use crate::store::inbox::{End, Row};
use crate::update::{Content, Message};
use crate::view::status;

impl Desk {
    pub(super) async fn info(&self, row: &Row, message: &Message) -> Result<Handled, StoreError> {
        let (end, text) = match &message.content {
            Content::Text(text) => match commands::parse(text, &self.username) {
                Some(Command::Start) => (End::Accepted, commands::help()),
                Some(Command::Status) => (End::Accepted, self.status(message).await),
                Some(Command::Unknown(name)) => (End::Refused, commands::unknown(&name)),
                _ => return self.finish(row.id, End::Cancelled).await,
            },
            Content::Unsupported(what) => {
                let text = format!("I cannot give {what} to Claude. Nothing was sent.");
                (End::Refused, Text::plain(&text))
            }
            Content::File(_) | Content::Fact(_) | Content::Service => {
                return self.finish(row.id, End::Cancelled).await;
            }
        };
        self.reply(row.id, end, message.place, text).await
    }

    async fn status(&self, message: &Message) -> Text {
        match self.daemon.ask(&Request::Status).await {
            Ok(Reply::Status(status)) => status::render(&status, &message.place.conversation(), now()),
            Ok(_) => Text::plain("❌ carcind gave no status"),
            Err(AskError::Refused(refusal)) => refused(&refusal),
            Err(AskError::Away { why, .. }) => Text::plain(&format!("💤 {why}")),
        }
    }
}
