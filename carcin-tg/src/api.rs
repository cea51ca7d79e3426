//! The Bot API: raw methods over teloxide's client, and failures by what is to be done about them.
//!
//! Bodies and results are raw JSON: teloxide's own types refuse a message with an entity that they do not know,
//! and lag behind the API.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use teloxide::net::Download;
use teloxide::payloads::{SendDocumentSetters, SendMediaGroupSetters, SendPhotoSetters};
use teloxide::requests::{JsonRequest, Payload, Request, Requester};
use teloxide::types::{
    ChatId, InputFile, InputMedia, InputMediaDocument, InputMediaPhoto, MessageId, ThreadId,
};
use teloxide::{Bot, RequestError};
use tokio::io::AsyncWrite;

use crate::token::Token;

/// How long Telegram holds a poll open when there is nothing. It allows 50 s.
pub const POLL: Duration = Duration::from_secs(30);
/// What a connection may take on top of a poll, and a whole request other than an upload.
const ANSWER: Duration = Duration::from_secs(20);
/// How long an upload may take: 50 MB over a slow line.
const UPLOAD: Duration = Duration::from_mins(10);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest text of an answer to a button (Bot API, `answerCallbackQuery`), in characters.
pub const MAX_TOAST: usize = 200;

/// Why a call failed, by what is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Wait this long: the only right answer to a flood wait.
    #[error("Telegram wants {} s of silence", .0.as_secs())]
    RetryAfter(Duration),
    /// The message shows this already: as good as done.
    #[error("the message is not modified")]
    NotModified,
    /// The chat cannot be written to: blocked, left, deleted.
    #[error("the chat cannot be written to: {0}")]
    ChatGone(String),
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

/// Declares Bot API methods with a raw body and a raw result.
macro_rules! methods {
    ($($name:ident),+ $(,)?) => {$(
        #[derive(Debug, Clone, Serialize)]
        #[serde(transparent)]
        struct $name(Value);

        impl Payload for $name {
            type Output = Value;
            const NAME: &'static str = stringify!($name);
        }
    )+};
}

methods!(
    GetMe,
    GetWebhookInfo,
    GetUpdates,
    SendMessage,
    EditMessageText,
    DeleteMessage,
    SendMessageDraft,
    SendChatAction,
    AnswerCallbackQuery,
    SetMyCommands,
    GetFile,
    CreateForumTopic,
);

/// Who the bot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// Its username.
    pub username: String,
    /// Whether its private chats have topics.
    pub has_private_topics: bool,
}

/// What files are sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Pictures, which are shown.
    Photo,
    /// As they are.
    Document,
}

/// Files to send.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// Which; at least one, at most ten.
    pub files: &'a [PathBuf],
    /// As what.
    pub shape: Shape,
    /// Where to.
    pub chat: i64,
    /// The topic, where there is one.
    pub thread: Option<i64>,
    /// May be empty.
    pub caption: &'a str,
    /// Whether the phone stays quiet.
    pub silent: bool,
}

/// A bot that talks to Telegram.
#[derive(Clone)]
pub struct Api {
    quick: Bot,
    patient: Bot,
    upload: Bot,
    token: Token,
    /// Until when Telegram wants no answers to presses.
    presses_wait: Arc<Mutex<Option<Instant>>>,
    own_server: bool,
}

/// teloxide's `Bot` shows its token.
impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("token", &self.token).finish_non_exhaustive()
    }
}

impl Api {
    /// A bot with this token, at Telegram's server or another one.
    pub fn new(token: &Token, url: Option<&str>) -> Result<Self, ApiError> {
        let bot = |patience: Duration| -> Result<Bot, ApiError> {
            let client = teloxide::net::default_reqwest_settings()
                .connect_timeout(CONNECT)
                .timeout(patience)
                .build()
                .map_err(|error| ApiError::Unreachable(token.scrub(&error.to_string())))?;
            let bot = Bot::with_client(token.expose(), client);
            match url {
                Some(url) => at_server(bot, url),
                None => Ok(bot),
            }
        };
        Ok(Self {
            quick: bot(ANSWER)?,
            patient: bot(POLL + ANSWER)?,
            upload: bot(UPLOAD)?,
            token: token.clone(),
            presses_wait: Arc::default(),
            own_server: url.is_some(),
        })
    }

    /// Who the bot is.
    pub async fn me(&self) -> Result<Me, ApiError> {
        let me = self.call(&self.quick, GetMe(json!({}))).await?;
        Ok(Me {
            username: me["username"].as_str().unwrap_or_default().to_owned(),
            has_private_topics: me["has_topics_enabled"].as_bool().unwrap_or(false),
        })
    }

    /// The address of the webhook that is set; `None`: there is none.
    pub async fn webhook(&self) -> Result<Option<String>, ApiError> {
        let info = self.call(&self.quick, GetWebhookInfo(json!({}))).await?;
        Ok(info["url"].as_str().filter(|url| !url.is_empty()).map(str::to_owned))
    }

    /// Updates from `offset` on; confirms those before it. Waits up to [`POLL`].
    pub async fn updates(&self, offset: i64) -> Result<Vec<Value>, ApiError> {
        let body = json!({
            "offset": offset,
            "timeout": POLL.as_secs(),
            "allowed_updates": ["message", "edited_message", "callback_query", "stopped_message_generation"],
        });
        match self.call(&self.patient, GetUpdates(body)).await? {
            Value::Array(updates) => Ok(updates),
            _ => Err(ApiError::Unknown("the updates are no list".to_owned())),
        }
    }

    /// Sends a message; its id, where Telegram told it.
    pub async fn send(&self, body: Value) -> Result<Option<i64>, ApiError> {
        Ok(self.call(&self.quick, SendMessage(body)).await?["message_id"].as_i64())
    }

    /// Edits a message.
    pub async fn edit(&self, body: Value) -> Result<(), ApiError> {
        self.call(&self.quick, EditMessageText(body)).await.map(drop)
    }

    /// Takes a message away.
    pub async fn delete(&self, body: Value) -> Result<(), ApiError> {
        self.call(&self.quick, DeleteMessage(body)).await.map(drop)
    }

    /// Shows a text that is not finished.
    pub async fn draft(&self, body: Value) -> Result<(), ApiError> {
        self.call(&self.quick, SendMessageDraft(body)).await.map(drop)
    }

    /// Shows for five seconds that somebody types.
    pub async fn typing(&self, chat: i64, thread: Option<i64>) -> Result<(), ApiError> {
        let mut body = json!({"chat_id": chat, "action": "typing"});
        if let Some(thread) = thread {
            body["message_thread_id"] = thread.into();
        }
        self.call(&self.quick, SendChatAction(body)).await.map(drop)
    }

    /// Ends the wait of a pressed button, saying `text` where that is not empty.
    pub async fn answer_press(&self, id: &str, text: &str) -> Result<(), ApiError> {
        let wait = || self.presses_wait.lock().unwrap_or_else(PoisonError::into_inner);
        // A press is forgotten before a wait is over.
        let left = wait().map(|until| until.saturating_duration_since(Instant::now()));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            return Err(ApiError::RetryAfter(left));
        }
        let text: String = text.chars().take(MAX_TOAST).collect();
        let body = json!({"callback_query_id": id, "text": text});
        let answered = self.call(&self.quick, AnswerCallbackQuery(body)).await.map(drop);
        if let Err(ApiError::RetryAfter(time)) = &answered {
            *wait() = Some(Instant::now() + *time);
        }
        answered
    }

    /// Puts the commands into Telegram's menu.
    pub async fn set_commands(&self, menu: &[(String, String)]) -> Result<(), ApiError> {
        let commands: Vec<Value> = menu
            .iter()
            .map(|(command, description)| json!({"command": command, "description": description}))
            .collect();
        self.call(&self.quick, SetMyCommands(json!({"commands": commands}))).await.map(drop)
    }

    /// Where the server has a file: a path below its own, or on a server of one's own an absolute one.
    pub async fn file_path(&self, id: &str) -> Result<String, ApiError> {
        let file = self.call(&self.quick, GetFile(json!({"file_id": id}))).await?;
        let path = file["file_path"].as_str().map(str::to_owned);
        path.ok_or_else(|| ApiError::BadRequest("the file is not there any longer".to_owned()))
    }

    /// Fetches a file piece by piece.
    pub async fn download(
        &self,
        path: &str,
        target: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> Result<(), ApiError> {
        use teloxide::DownloadError;
        self.upload.download_file(path, target).await.map_err(|error| match error {
            DownloadError::Network(error)
                if error.status().is_some_and(|status| status.is_client_error()) =>
            {
                ApiError::BadRequest(self.token.scrub(&error.to_string()))
            }
            DownloadError::Network(error) => ApiError::Unreachable(self.token.scrub(&chain(&error))),
            DownloadError::Io(error) if is_full(&error) => {
                ApiError::File("there is no room on the disk. Make some, and send it again.".to_owned())
            }
            DownloadError::Io(error) => ApiError::File(error.to_string()),
        })
    }

    /// Opens a topic; its id.
    pub async fn create_topic(&self, chat: i64, name: &str) -> Result<i64, ApiError> {
        let made = self.call(&self.quick, CreateForumTopic(json!({"chat_id": chat, "name": name}))).await?;
        made["message_thread_id"].as_i64().ok_or_else(|| ApiError::Unknown("the topic has no id".to_owned()))
    }

    /// Sends files: one as it is, several as an album. The id of the first message, where Telegram told it.
    pub async fn send_files(&self, upload: Upload<'_>) -> Result<Option<i64>, ApiError> {
        let (chat, thread) = (ChatId(upload.chat), upload.thread.and_then(thread_id));
        let caption = Some(upload.caption).filter(|caption| !caption.is_empty());
        let [one] = upload.files else {
            let media = upload.files.iter().enumerate().map(|(index, path)| {
                let file = InputFile::file(path);
                let caption = caption.filter(|_| index == 0).map(str::to_owned);
                match upload.shape {
                    Shape::Photo => {
                        InputMedia::Photo(InputMediaPhoto { caption, ..InputMediaPhoto::new(file) })
                    }
                    Shape::Document => {
                        InputMedia::Document(InputMediaDocument { caption, ..InputMediaDocument::new(file) })
                    }
                }
            });
            let mut request = self.upload.send_media_group(chat, media).disable_notification(upload.silent);
            request.message_thread_id = thread;
            return self.sent(request.send().await.map(|messages| messages.first().map(|first| first.id)));
        };
        match upload.shape {
            Shape::Photo => {
                let mut request = self.upload.send_photo(chat, InputFile::file(one));
                request = request.disable_notification(upload.silent);
                request.caption = caption.map(str::to_owned);
                request.message_thread_id = thread;
                self.sent(request.send().await.map(|message| Some(message.id)))
            }
            Shape::Document => {
                let mut request = self.upload.send_document(chat, InputFile::file(one));
                request = request.disable_notification(upload.silent);
                request.caption = caption.map(str::to_owned);
                request.message_thread_id = thread;
                self.sent(request.send().await.map(|message| Some(message.id)))
            }
        }
    }

    /// Sends a text as a file, without a sound.
    pub async fn send_text_file(
        &self,
        chat: i64,
        thread: Option<i64>,
        name: String,
        content: String,
        caption: &str,
    ) -> Result<Option<i64>, ApiError> {
        let file = InputFile::memory(content).file_name(name);
        let mut request = self.upload.send_document(ChatId(chat), file).disable_notification(true);
        request.caption = Some(caption.to_owned()).filter(|caption| !caption.is_empty());
        if let Some(thread) = thread.and_then(thread_id) {
            request = request.message_thread_id(thread);
        }
        self.sent(request.send().await.map(|message| Some(message.id)))
    }

    /// Whether the Bot API server is not Telegram's own, and has other limits.
    pub fn is_own_server(&self) -> bool {
        self.own_server
    }

    fn sent(&self, sent: Result<Option<MessageId>, RequestError>) -> Result<Option<i64>, ApiError> {
        match sent {
            Ok(id) => Ok(id.map(|id| i64::from(id.0))),
            // Sent, and told in words that teloxide does not know.
            Err(RequestError::InvalidJson { raw, .. }) if is_ok(&raw) => Ok(None),
            Err(error) => Err(self.failure(error)),
        }
    }

    async fn call<P>(&self, bot: &Bot, payload: P) -> Result<Value, ApiError>
    where
        P: Payload<Output = Value> + Serialize + Send + Sync + 'static,
    {
        JsonRequest::new(bot.clone(), payload).send().await.map_err(|error| self.failure(error))
    }

    fn failure(&self, error: RequestError) -> ApiError {
        match error {
            RequestError::RetryAfter(seconds) => ApiError::RetryAfter(seconds.duration()),
            RequestError::MigrateToChatId(chat) => {
                ApiError::ChatGone(format!("it is the supergroup {chat} now"))
            }
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

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

fn at_server(bot: Bot, url: &str) -> Result<Bot, ApiError> {
    match url.parse() {
        Ok(parsed) => Ok(bot.set_api_url(parsed)),
        Err(error) => Err(ApiError::BadRequest(format!("{url} is no URL: {error}"))),
    }
}

fn thread_id(thread: i64) -> Option<ThreadId> {
    i32::try_from(thread).ok().map(|id| ThreadId(MessageId(id)))
}

fn is_ok(raw: &str) -> bool {
    serde_json::from_str::<Value>(raw).is_ok_and(|answer| answer["ok"] == true)
}

/// An error with its causes, which is where reqwest tells what happened.
fn chain(error: &dyn std::error::Error) -> String {
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
    } else if description.starts_with("Forbidden")
        || description.starts_with("Unauthorized: ")
        || has("chat not found")
        || has("group is deactivated")
        || has("message thread not found")
        || has("TOPIC_DELETED")
        || has("TOPIC_CLOSED")
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
                gone("Bad Request: message thread not found"),
            ),
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

    #[tokio::test]
    async fn errors_do_not_tell_the_token() {
        let token = Token::parse("42:AAF-secret_x").expect("a token");
        // Nobody listens on the discard port.
        let api = Api::new(&token, Some("http://127.0.0.1:9")).expect("a client");
        let error = api.me().await.expect_err("nobody is there");
        assert!(matches!(error, ApiError::Unreachable(_)), "{error:?}");
        assert!(!format!("{error} {error:?} {api:?}").contains("AAF"), "{error}");
    }
}
