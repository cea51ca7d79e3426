//! Failures: the Bot API's, as the bot sees them, and the lab's own, as a test sees them.

use serde_json::{Value, json};

/// A refusal as the Bot API words it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code} {description}")]
pub struct ApiError {
    /// HTTP status and `error_code` alike.
    pub code: u16,
    /// `description`, with the prefix of its code ("Bad Request: …").
    pub description: String,
    /// `parameters.retry_after`, in seconds, of a 429.
    pub retry_after: Option<u64>,
    /// `parameters.migrate_to_chat_id` of a group that has become a supergroup.
    pub migrate_to: Option<i64>,
}

impl ApiError {
    pub(super) fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), retry_after: None, migrate_to: None }
    }

    /// 400 with "Bad Request: " before `what`.
    pub(super) fn bad(what: impl AsRef<str>) -> Self {
        Self::new(400, format!("Bad Request: {}", what.as_ref()))
    }

    /// 403 with "Forbidden: " before `what`.
    pub(super) fn forbidden(what: &str) -> Self {
        Self::new(403, format!("Forbidden: {what}"))
    }

    /// 429 with the seconds to wait.
    pub(super) fn flood(seconds: u64) -> Self {
        Self {
            code: 429,
            description: format!("Too Many Requests: retry after {seconds}"),
            retry_after: Some(seconds),
            migrate_to: None,
        }
    }

    /// 400 with the chat that a group has become.
    pub(super) fn moved(target: i64) -> Self {
        let error = Self::bad("group chat was upgraded to a supergroup chat");
        Self { migrate_to: Some(target), ..error }
    }

    /// The answer's body.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({"ok": false, "error_code": self.code, "description": self.description});
        if let Some(seconds) = self.retry_after {
            body["parameters"] = json!({"retry_after": seconds});
        }
        if let Some(chat) = self.migrate_to {
            body["parameters"] = json!({"migrate_to_chat_id": chat});
        }
        body
    }
}

/// What a person in the lab cannot do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabError {
    /// The chat was never made.
    #[error("no chat {0} in the lab")]
    NoChat(i64),
    /// The user was never made.
    #[error("no user {0} in the lab")]
    NoUser(i64),
    /// The message never was, or is deleted.
    #[error("no message {message} in chat {chat}")]
    NoMessage {
        /// The chat.
        chat: i64,
        /// The message.
        message: i64,
    },
    /// Only one's own messages can be edited.
    #[error("message {message} in chat {chat} is not from user {user}")]
    NotYours {
        /// The chat.
        chat: i64,
        /// The message.
        message: i64,
        /// Who tried.
        user: i64,
    },
    /// No such button under the message.
    #[error("message {message} in chat {chat} has no button {wanted:?}; it has {has:?}")]
    NoButton {
        /// The chat.
        chat: i64,
        /// The message.
        message: i64,
        /// The text or data asked for.
        wanted: String,
        /// What the buttons say.
        has: Vec<String>,
    },
    /// A client sends 1 to 4096 UTF-16 units in one message (longer text it splits).
    #[error("a message takes 1 to 4096 UTF-16 units, not {0}")]
    TextLength(usize),
    /// No topic of that id.
    #[error("no topic {thread} in chat {chat}")]
    NoTopic {
        /// The chat.
        chat: i64,
        /// The topic.
        thread: i64,
    },
    /// Only what is in a message can be quoted of it.
    #[error("message {message} in chat {chat} does not say {part:?}")]
    NoQuote {
        /// The chat.
        chat: i64,
        /// The message.
        message: i64,
        /// What was to be quoted.
        part: String,
    },
    /// Clients do not send empty files.
    #[error("the file {0:?} is empty")]
    EmptyFile(String),
    /// No such draft is shown, or it has no Stop button.
    #[error("chat {chat} shows no draft {draft} that can be stopped")]
    NoDraft {
        /// The chat.
        chat: i64,
        /// The draft.
        draft: i64,
    },
}
