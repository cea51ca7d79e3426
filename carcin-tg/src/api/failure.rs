//! Why a call failed, by what is to be done about it.

use std::time::Duration;

/// Why a call failed, by what is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Wait this long: the only right answer to a flood wait.
    #[error("Telegram wants {} s of silence", .0.as_millis().div_ceil(1000))]
    RetryAfter(Duration),
    /// The message shows this already: as good as done.
    #[error("the message is not modified")]
    NotModified,
    /// The chat cannot be written to: blocked, left, deleted.
    #[error("the chat cannot be written to: {0}")]
    ChatGone(String),
    /// The topic cannot be written to: deleted, closed.
    #[error("the topic cannot be written to: {0}")]
    TopicGone(String),
    /// The group has another id now.
    #[error("the group has become the supergroup {0}")]
    Moved(i64),
    /// Somebody else takes this bot's updates.
    #[error("{0}")]
    Conflict(Conflict),
    /// The token is not valid.
    #[error("Telegram refuses the token")]
    Unauthorized,
    /// The request is wrong, and stays so.
    #[error("{0}")]
    BadRequest(String),
    /// It never left: nobody could be reached.
    #[error("Telegram cannot be reached: {0}")]
    Unreachable(String),
    /// It may or may not have had its effect: the answer was lost, or a server on the way failed. Repeat it.
    #[error("no result from Telegram: {0}")]
    Unknown(String),
    /// A file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(String),
}

/// Who else takes the updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A webhook is set.
    #[error("a webhook is set for this bot, so Telegram gives no updates to anybody who asks for them")]
    Webhook,
    /// Another program polls.
    #[error("another program polls with this bot's token")]
    OtherPoller,
}
