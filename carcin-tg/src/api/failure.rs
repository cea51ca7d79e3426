//! Why a call failed, sorted by what is to be done about it.

use std::time::Duration;

use teloxide::RequestError;

use super::Api;

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
    /// It may or may not have had its effect.
    #[error("Telegram did not answer: {0}")]
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

impl Api {
    pub(super) fn failure(&self, error: RequestError) -> ApiError {
        match error {
            RequestError::RetryAfter(seconds) => ApiError::RetryAfter(seconds.duration()),
            RequestError::MigrateToChatId(chat) => ApiError::Moved(chat.0),
            RequestError::Api(error) => refusal(&description(error)),
            RequestError::Network(error) if error.is_connect() => {
                ApiError::Unreachable(self.token.scrub(&chain(&*error)))
            }
            RequestError::Network(error) => ApiError::Unknown(self.token.scrub(&chain(&*error))),
            // The raw answer stays out of logs: it may hold what people wrote.
            RequestError::InvalidJson { source, .. } => {
                ApiError::Unknown(format!("an unreadable answer: {source}"))
            }
            RequestError::Io(error) => ApiError::File(error.to_string()),
        }
    }
}

/// An error with its causes, which is where reqwest tells what happened.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn description(error: teloxide::ApiError) -> String {
    match error {
        teloxide::ApiError::Unknown(text) => text,
        known => known.to_string(),
    }
}

/// Said of a topic that is deleted, or closed to everybody but who may manage topics.
const TOPIC_GONE: &[&str] = &[
    "message thread not found",
    "TOPIC_DELETED",
    "TOPIC_CLOSED",
    "TOPIC_ID_INVALID",
    "MESSAGE_THREAD_INVALID",
];

/// Said of a chat in which nothing can be written, whatever it is. (What one may send there is another matter: "not
/// enough rights to send photos".)
const CHAT_GONE: &[&str] = &[
    "chat not found",
    "group is deactivated",
    "PEER_ID_INVALID",
    "CHAT_WRITE_FORBIDDEN",
    "have no rights to send a message",
    "not enough rights to send text messages",
    "need administrator rights in the channel chat",
];

/// What is waited for where it is not said how long.
const UNSAID: Duration = Duration::from_secs(5);

/// The wait in what follows "Too Many Requests", where that is all that is told of it, as by what stands before
/// Telegram's servers.
fn told_wait(rest: &str) -> Duration {
    let seconds = rest.rsplit(' ').next().and_then(|last| last.parse::<u32>().ok());
    seconds.map_or(UNSAID, |seconds| Duration::from_secs(seconds.into()))
}

/// Sorts Telegram's descriptions, which are all that teloxide hands on. Texts: Bot API server, `Client.cpp`.
fn refusal(description: &str) -> ApiError {
    let has = |words: &str| description.contains(words);
    if has("webhook is active") || has("terminated by setWebhook") {
        ApiError::Conflict(Conflict::Webhook)
    } else if has("terminated by other getUpdates") || description.starts_with("Conflict") {
        ApiError::Conflict(Conflict::OtherPoller)
    } else if ["Unauthorized", "Not Found", "Invalid bot token"].contains(&description) {
        ApiError::Unauthorized
    } else if has("message is not modified") {
        ApiError::NotModified
    } else if let Some(rest) = description.strip_prefix("Too Many Requests") {
        ApiError::RetryAfter(told_wait(rest))
    } else if TOPIC_GONE.iter().any(|words| has(words)) {
        ApiError::TopicGone(description.to_owned())
    } else if description.starts_with("Forbidden")
        || description.starts_with("Unauthorized: ")
        || CHAT_GONE.iter().any(|words| has(words))
    {
        ApiError::ChatGone(description.to_owned())
    } else if description.starts_with("Internal Server Error") || description.starts_with("Bad Gateway") {
        ApiError::Unknown(description.to_owned())
    } else {
        ApiError::BadRequest(description.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_sorted_by_what_is_to_be_done() {
        use teloxide::ApiError as Known;
        let gone = |text: &str| ApiError::ChatGone(text.to_owned());
        let topic = |text: &str| ApiError::TopicGone(text.to_owned());
        for (known, expected) in [
            (Known::CantGetUpdates, ApiError::Conflict(Conflict::Webhook)),
            (
                Known::Unknown("Conflict: terminated by setWebhook request".into()),
                ApiError::Conflict(Conflict::Webhook),
            ),
            (Known::TerminatedByOtherGetUpdates, ApiError::Conflict(Conflict::OtherPoller)),
            (Known::InvalidToken, ApiError::Unauthorized),
            (Known::MessageNotModified, ApiError::NotModified),
            (Known::BotBlocked, gone("Forbidden: bot was blocked by the user")),
            (Known::ChatNotFound, gone("Bad Request: chat not found")),
            (
                Known::Unknown("Bad Request: message thread not found".into()),
                topic("Bad Request: message thread not found"),
            ),
            (Known::Unknown("Bad Request: TOPIC_DELETED".into()), topic("Bad Request: TOPIC_DELETED")),
            (
                Known::Unknown("Bad Request: not enough rights to send text messages to the chat".into()),
                gone("Bad Request: not enough rights to send text messages to the chat"),
            ),
            (
                Known::Unknown("Bad Request: not enough rights to send photos to the chat".into()),
                ApiError::BadRequest("Bad Request: not enough rights to send photos to the chat".into()),
            ),
            (
                Known::Unknown("Too Many Requests: retry after 17".into()),
                ApiError::RetryAfter(Duration::from_secs(17)),
            ),
            (Known::Unknown("Too Many Requests".into()), ApiError::RetryAfter(UNSAID)),
            (
                Known::Unknown(
                    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook".into(),
                ),
                ApiError::Conflict(Conflict::Webhook),
            ),
            (
                Known::Unknown("Bad Request: new of tomorrow".into()),
                ApiError::BadRequest("Bad Request: new of tomorrow".into()),
            ),
            (
                Known::Unknown("Internal Server Error".into()),
                ApiError::Unknown("Internal Server Error".into()),
            ),
        ] {
            assert_eq!(refusal(&description(known)), expected);
        }
    }
}
