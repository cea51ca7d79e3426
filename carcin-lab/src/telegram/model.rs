//! What exists in the lab: people, chats, messages, drafts, callbacks, calls.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::origin::{Origin, Quote};

/// A person, or the bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Telegram's id.
    pub id: i64,
    /// Whether it is the bot.
    pub is_bot: bool,
    /// Name shown.
    pub first_name: String,
    /// `@name`, without the `@`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// IETF tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_code: Option<String>,
}

/// Which kind of chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// One person and the bot; its id is the person's.
    Private,
    /// A supergroup.
    Group,
    /// A supergroup with topics.
    Forum,
}

/// A topic of a forum, or of a private chat with topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Topic {
    /// `message_thread_id`.
    pub id: i64,
    /// Name shown.
    pub name: String,
    /// A closed topic takes no more messages.
    pub closed: bool,
}

/// A chat and all that was said in it.
#[derive(Debug, Clone)]
pub struct Chat {
    /// Telegram's id: a user's for private chats, negative for groups.
    pub id: i64,
    /// Kind.
    pub kind: ChatKind,
    /// Title, or the person's name.
    pub title: String,
    /// Topics by id.
    pub topics: BTreeMap<i64, Topic>,
    /// Whether the person blocked the bot (or the group threw it out).
    pub blocked: bool,
    /// Whether there is no such chat any more: the account, or the group, was deleted.
    pub deleted: bool,
    /// The supergroup that the group has become.
    pub moved: Option<i64>,
    /// Messages by id, deleted ones too; the oldest are dropped beyond [`super::MAX_MESSAGES`].
    pub messages: BTreeMap<i64, ChatMessage>,
    /// Pinned message ids, newest last.
    pub pinned: Vec<i64>,
    /// What `sendChatAction` was told, newest last; bounded by [`super::MAX_TRACES`].
    pub actions: VecDeque<ActionTrace>,
    /// Drafts, newest last; bounded by [`super::MAX_TRACES`].
    pub drafts: VecDeque<Draft>,
    pub(super) next_message: i64,
}

/// One `sendChatAction`.
#[derive(Debug, Clone)]
pub struct ActionTrace {
    /// "typing", "`upload_document`"…
    pub action: String,
    /// Topic.
    pub thread: Option<i64>,
    /// When.
    pub at: SystemTime,
}

/// A draft: what `sendMessageDraft` showed under one id.
#[derive(Debug, Clone)]
pub struct Draft {
    /// `draft_id`.
    pub id: i64,
    /// Topic.
    pub thread: Option<i64>,
    /// Each text shown, in order, newest last; bounded by [`super::MAX_HISTORY`].
    pub frames: VecDeque<Revision>,
    /// Whether Telegram shows its Stop button.
    pub can_stop: bool,
    /// Whether the draft stays (for its 30 s) when stopped.
    pub keep_on_stop: bool,
    /// Why it is no longer shown; `None` while it is (it also vanishes 30 s after its last frame).
    pub ended: Option<DraftEnd>,
}

/// Why a draft is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftEnd {
    /// The bot sent a message, which takes its place.
    Sent,
    /// The person pressed Stop.
    Stopped,
    /// Another draft took its place.
    Replaced,
}

/// One entity of a text (`MessageEntity`); offsets in UTF-16 code units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// `type`, as on the wire.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it begins.
    pub offset: i64,
    /// How long it is.
    pub length: i64,
    /// Of `text_link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Of `pre`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Of `text_mention`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Value>,
    /// Of `custom_emoji`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_emoji_id: Option<String>,
}

impl Entity {
    /// An entity without attributes.
    pub fn new(kind: impl Into<String>, offset: i64, length: i64) -> Self {
        Self {
            kind: kind.into(),
            offset,
            length,
            url: None,
            language: None,
            user: None,
            custom_emoji_id: None,
        }
    }
}

/// A button of an inline keyboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Button {
    /// What it says.
    pub text: String,
    /// `callback_data`, of buttons that call back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_data: Option<String>,
    /// Link, of buttons that open one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `copy_text`, of buttons that copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_text: Option<Value>,
    /// `danger`, `success`, `primary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style: Option<String>,
}

/// Rows of buttons.
pub type Keyboard = Vec<Vec<Button>>;

/// What a file is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// Any file.
    Document,
    /// A picture, shown.
    Photo,
    /// A film.
    Video,
    /// Music.
    Audio,
    /// A voice note.
    Voice,
    /// A film without sound.
    Animation,
    /// A round film.
    VideoNote,
    /// A sticker: a picture, a film or an animation, by its name's ending (`webp`, `webm`, `tgs`).
    Sticker,
}

impl MediaKind {
    /// The name of the field in a message, and of the parameter of the sending method.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Photo => "photo",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Animation => "animation",
            Self::VideoNote => "video_note",
            Self::Sticker => "sticker",
        }
    }
}

/// A file in a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Media {
    /// What it is sent as.
    pub kind: MediaKind,
    /// `file_id`; ask [`super::TelegramLab::file`] for the bytes.
    pub file_id: String,
    /// Name as sent.
    pub file_name: String,
    /// MIME type.
    pub mime: String,
    /// Bytes.
    pub size: u64,
    /// Of a photo: the smaller sizes that Telegram makes of it, smallest first.
    pub previews: Vec<Preview>,
}

/// A smaller size of a photo; its file is a picture of one pixel, so that who takes it for the photo is found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// `file_id`.
    pub file_id: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Text (or caption) and file of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// Text, or the caption where there is a file.
    pub text: String,
    /// Its entities, those that Telegram finds by itself included.
    pub entities: Vec<Entity>,
    /// The file.
    pub media: Option<Media>,
    /// What is neither text nor file, as the fields that it makes in a message: `{"location": {…}}`.
    pub other: Option<Value>,
}

/// One state of a message or draft.
#[derive(Debug, Clone)]
pub struct Revision {
    /// Content then.
    pub content: Content,
    /// Keyboard then.
    pub keyboard: Option<Keyboard>,
    /// When it became so.
    pub at: SystemTime,
    /// Which [`Call`] made it so; `None` for a person's.
    pub call: Option<u64>,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The bot.
    Bot,
    /// A person.
    User(i64),
}

/// A message, with everything it ever was.
#[derive(Debug, Clone)]
pub struct ChatMessage {
    /// `message_id`.
    pub id: i64,
    /// Its chat.
    pub chat: i64,
    /// Its topic.
    pub thread: Option<i64>,
    /// Who wrote it.
    pub author: Author,
    /// When it was sent.
    pub sent: SystemTime,
    /// When it was last edited.
    pub edited: Option<SystemTime>,
    /// What it says now.
    pub content: Content,
    /// Its buttons now.
    pub keyboard: Option<Keyboard>,
    /// Earlier states, oldest first; the oldest are dropped beyond [`super::MAX_HISTORY`].
    pub history: VecDeque<Revision>,
    /// Sent with `disable_notification`: the phone stayed silent.
    pub silent: bool,
    /// Deleted; kept to be looked at.
    pub deleted: bool,
    /// The message it answers.
    pub reply_to: Option<i64>,
    /// Which part of that message it answers.
    pub quote: Option<Quote>,
    /// Where it was forwarded from.
    pub forwarded: Option<Origin>,
    /// `media_group_id` of an album.
    pub album: Option<String>,
    /// The bot's reaction.
    pub reaction: Option<String>,
    /// What happened, for service messages ("topic created").
    pub service: Option<Value>,
    /// Which [`Call`] sent it.
    pub call: Option<u64>,
    pub(super) revision: u64,
}

impl ChatMessage {
    /// The text, or the caption.
    pub fn text(&self) -> &str {
        &self.content.text
    }

    /// Whether the bot wrote it.
    pub fn from_bot(&self) -> bool {
        self.author == Author::Bot
    }

    /// Whether it is to be seen: not deleted.
    pub fn visible(&self) -> bool {
        !self.deleted
    }

    /// All buttons, row by row.
    pub fn buttons(&self) -> impl Iterator<Item = &Button> {
        self.keyboard.iter().flatten().flatten()
    }
}

/// A press on a button.
#[derive(Debug, Clone)]
pub struct Callback {
    /// `callback_query.id`.
    pub id: String,
    /// Chat.
    pub chat: i64,
    /// Message whose button it was.
    pub message: i64,
    /// Who pressed.
    pub from: i64,
    /// `callback_data`.
    pub data: String,
    /// When.
    pub at: SystemTime,
    /// What `answerCallbackQuery` said.
    pub answer: Option<CallbackAnswer>,
    pub(super) revision: u64,
}

/// The answer to a press.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallbackAnswer {
    /// The notice, if any.
    pub text: Option<String>,
    /// A box to be closed instead of a passing notice.
    pub show_alert: bool,
}

/// A call of the Bot API.
#[derive(Debug, Clone)]
pub struct Call {
    /// Counts calls, from 1.
    pub seq: u64,
    /// Method, as documented ("sendMessage").
    pub method: String,
    /// Parameters; files as `{"file_name", "size"}`, too large ones cut to a note.
    pub params: Value,
    /// When it came.
    pub at: SystemTime,
    /// Bytes of query and body.
    pub bytes: u64,
    /// How it ended; `None` while it runs.
    pub outcome: Option<Outcome>,
}

impl Call {
    /// `params[name]` as an integer, however it was written.
    pub fn int(&self, name: &str) -> Option<i64> {
        let value = &self.params[name];
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    /// `params[name]` as a text.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.params[name].as_str()
    }

    /// Whether it was answered with success.
    pub fn ok(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Answered { status: 200, .. }))
    }

    /// The description of a refusal.
    pub fn refusal(&self) -> Option<&str> {
        match &self.outcome {
            Some(Outcome::Answered { body, .. }) => body["description"].as_str(),
            _ => None,
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Answered; `processed` is false where a fault answered instead of the method.
    Answered {
        /// HTTP status.
        status: u16,
        /// The body, as JSON.
        body: Value,
        /// Whether the method ran.
        processed: bool,
    },
    /// The connection was closed without an answer.
    Closed {
        /// Whether the method ran before that: a lost reply.
        processed: bool,
    },
    /// The bot gave up waiting.
    Abandoned,
}
