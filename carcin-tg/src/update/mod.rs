//! What Telegram tells, and the one gate through which it comes in.
//!
//! Updates stay raw JSON until here: a typed parser refuses a message for an entity type that it does not
//! know, and the message would be lost.

mod content;
mod quote;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::commands::{self, Command};
use crate::place::Place;
pub(crate) use content::LARGEST_SIDE;
pub use content::{Attachment, Content, FileKind};
pub use quote::Quote;
pub(crate) use quote::quoted;

/// Who may talk to the bot. Never empty.
#[derive(Debug, Clone)]
pub struct Gate {
    allowed: BTreeSet<i64>,
    first: i64,
}

/// Who sent something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Telegram's id of the user.
    pub id: i64,
    /// What people call them: the first name, else the username.
    pub name: String,
}

/// Something an allowed user did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// A message, new or edited.
    Message(Message),
    /// A press on a button.
    Press(Press),
}

/// A message of an allowed user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "an id has the name of what it identifies")]
pub struct Message {
    /// Where.
    pub place: Place,
    /// Its id in the chat.
    pub message: i64,
    /// When it was edited, in Unix seconds; 0: never.
    pub edited: i64,
    /// Who.
    pub from: Sender,
    /// The message of the same chat to which it is a reply.
    pub reply_to: Option<i64>,
    /// Whether the chat has topics.
    pub has_topics: bool,
    /// What.
    pub content: Content,
    /// The album that it is a part of.
    pub album: Option<String>,
    /// What it answers, in words.
    pub quote: Option<Quote>,
    /// Whom it was first written by, where it is forwarded.
    pub forwarded: Option<String>,
}

/// A press on a button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Press {
    /// The callback's id: unique for every press.
    pub id: String,
    /// The chat of the message that carries the button.
    pub place: Place,
    /// Who.
    pub from: Sender,
    /// What the button carries.
    pub data: String,
}

impl Update {
    /// Where it was done.
    pub fn place(&self) -> Place {
        match self {
            Self::Message(message) => message.place,
            Self::Press(press) => press.place,
        }
    }
}

impl Gate {
    /// Lets in the users with these ids; `None`: the list is empty.
    pub fn new(allowed: &[i64]) -> Option<Self> {
        Some(Self { first: *allowed.first()?, allowed: allowed.iter().copied().collect() })
    }

    /// The user named first, who gets what belongs to no chat.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// All of them.
    pub fn ids(&self) -> impl Iterator<Item = i64> {
        self.allowed.iter().copied()
    }

    /// Whether this user may talk to the bot.
    pub fn admits(&self, user: i64) -> bool {
        self.allowed.contains(&user)
    }

    /// The stranger who sends `/id` in a private chat, and nothing else: the only thing that strangers are answered.
    pub fn stranger_asks_for_id(&self, raw: &Value, bot: &str) -> Option<i64> {
        let message = message(raw.get("message")?)?;
        let Content::Text(text) = &message.content else { return None };
        let is_theirs = message.place == Place::private(message.from.id) && !self.admits(message.from.id);
        (is_theirs && commands::parse(text, bot) == Some(Command::Id)).then_some(message.from.id)
    }

    /// What an allowed user did. `None`: a stranger did it, or it is nothing that Carcin knows. There is no
    /// other way from raw JSON to an [`Update`].
    pub fn admit(&self, raw: &Value) -> Option<Update> {
        let update = parse(raw)?;
        let from = match &update {
            Update::Message(message) => &message.from,
            Update::Press(press) => &press.from,
        };
        self.admits(from.id).then_some(update)
    }
}

/// The number of an update, by which it is confirmed.
pub fn update_id(raw: &Value) -> Option<i64> {
    raw["update_id"].as_i64()
}

fn parse(raw: &Value) -> Option<Update> {
    if let Some(query) = raw.get("callback_query") {
        return press(query).map(Update::Press);
    }
    if let Some(stopped) = raw.get("stopped_message_generation") {
        return stop_button(stopped).map(Update::Message);
    }
    message(raw.get("message").or_else(|| raw.get("edited_message"))?).map(Update::Message)
}

fn message(raw: &Value) -> Option<Message> {
    Some(Message {
        place: place(raw)?,
        message: raw["message_id"].as_i64()?,
        edited: raw["edit_date"].as_i64().unwrap_or(0),
        from: sender(&raw["from"])?,
        has_topics: raw["chat"]["is_forum"].as_bool().unwrap_or(false)
            || raw["is_topic_message"].as_bool().unwrap_or(false),
        content: content::of(raw),
        album: raw["media_group_id"].as_str().map(str::to_owned),
        reply_to: raw["reply_to_message"]["message_id"].as_i64(),
        quote: quote::of(raw),
        forwarded: quote::origin(raw),
    })
}

/// Telegram's own Stop button, below a text that is being written: as good as `/stop`. It does not say who pressed
/// it; there are drafts in private chats alone, which have their user's id.
fn stop_button(raw: &Value) -> Option<Message> {
    let chat = raw["chat"]["id"].as_i64().filter(|chat| *chat > 0)?;
    Some(Message {
        place: Place { chat, thread: raw["message_thread_id"].as_i64() },
        // No message has a number below zero: so it is a thing of its own, the same however often it is delivered.
        message: raw["draft_id"].as_i64()?.checked_neg()?,
        edited: 0,
        from: sender(&raw["chat"])?,
        content: Content::Text("/stop".to_owned()),
        reply_to: None,
        has_topics: raw["message_thread_id"].is_i64(),
        album: None,
        quote: None,
        forwarded: None,
    })
}

fn press(raw: &Value) -> Option<Press> {
    Some(Press {
        id: raw["id"].as_str()?.to_owned(),
        place: place(&raw["message"])?,
        from: sender(&raw["from"])?,
        data: raw["data"].as_str()?.to_owned(),
    })
}

fn place(message: &Value) -> Option<Place> {
    let chat = message["chat"]["id"].as_i64()?;
    // Replies in a plain group carry a thread too, but only topics are conversations of their own.
    let is_topic = message["is_topic_message"].as_bool().unwrap_or(false);
    let thread = message["message_thread_id"].as_i64().filter(|_| is_topic);
    Some(Place { chat, thread })
}

fn sender(from: &Value) -> Option<Sender> {
    let id = from["id"].as_i64()?;
    Some(Sender { id, name: name(from).unwrap_or_else(|| id.to_string()) })
}

/// What people call a user or a chat.
fn name(from: &Value) -> Option<String> {
    let text = |field: &str| from[field].as_str().map(str::trim).filter(|text| !text.is_empty());
    let named = text("first_name").or_else(|| text("title")).map(str::to_owned);
    named.or_else(|| text("username").map(|username| format!("@{username}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gate() -> Gate {
        Gate::new(&[42, 7]).expect("not empty")
    }

    #[test]
    fn an_empty_list_makes_no_gate() {
        assert!(Gate::new(&[]).is_none());
    }

    #[test]
    fn strangers_are_kept_out_whatever_they_send() {
        let from = json!({"id": 666, "first_name": "Eve"});
        let message = json!({"message_id": 1, "chat": {"id": 42}, "from": from, "text": "hi"});
        for raw in [
            json!({"update_id": 1, "message": message}),
            json!({"update_id": 1, "edited_message": message}),
            json!({"update_id": 1, "callback_query": {"id": "9", "from": from, "message": {"chat": {"id": 42}}, "data": "a:x:0"}}),
            json!({"update_id": 1, "message": {"message_id": 1, "chat": {"id": 42}, "text": "no sender"}}),
            json!({"update_id": 1, "channel_post": message}),
        ] {
            assert_eq!(gate().admit(&raw), None, "{raw}");
        }
    }

    #[test]
    fn an_unknown_entity_type_loses_no_message() {
        let raw = json!({"update_id": 1, "message": {
            "message_id": 5, "chat": {"id": 42}, "from": {"id": 42, "first_name": "Ann"},
            "text": "hi", "entities": [{"type": "of_tomorrow", "offset": 0, "length": 2}]}});
        let Some(Update::Message(message)) = gate().admit(&raw) else { panic!("dropped") };
        assert_eq!(message.content, Content::Text("hi".into()));
        assert_eq!(message.from.name, "Ann");
        assert_eq!(message.reply_to, None);
    }

    #[test]
    fn a_reply_names_the_message_that_it_is_to() {
        let raw = json!({"update_id": 1, "message": {
            "message_id": 5, "chat": {"id": 42}, "from": {"id": 42, "first_name": "Ann"}, "text": "why?",
            "reply_to_message": {"message_id": 3, "chat": {"id": 42}, "text": "so"}}});
        let Some(Update::Message(message)) = gate().admit(&raw) else { panic!("dropped") };
        assert_eq!(message.reply_to, Some(3));
    }

    #[test]
    fn telegrams_stop_button_is_a_stop_of_who_has_the_chat() {
        let raw = |chat: i64| {
            json!({"update_id": 1, "stopped_message_generation": {
                "chat": {"id": chat, "first_name": "Ann", "type": "private"}, "draft_id": 77}})
        };
        let Some(Update::Message(stop)) = gate().admit(&raw(42)) else { panic!("dropped") };
        assert_eq!(
            (stop.content, stop.from.name.as_str(), stop.message),
            (Content::Text("/stop".into()), "Ann", -77)
        );
        assert_eq!(gate().admit(&raw(666)), None);
        assert_eq!(gate().admit(&raw(-42)), None);
    }

    #[test]
    fn a_thread_counts_only_in_a_topic() {
        let mut raw = json!({"update_id": 1, "message": {
            "message_id": 5, "chat": {"id": -100}, "from": {"id": 42, "username": "ann"},
            "text": "hi", "message_thread_id": 3}});
        let Some(Update::Message(plain)) = gate().admit(&raw) else { panic!("dropped") };
        assert_eq!((plain.place.thread, plain.from.name.as_str()), (None, "@ann"));
        raw["message"]["is_topic_message"] = json!(true);
        let Some(Update::Message(topic)) = gate().admit(&raw) else { panic!("dropped") };
        assert_eq!(topic.place.thread, Some(3));
    }
}
