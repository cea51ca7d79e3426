//! The Bot API: raw methods over teloxide's client, and failures by what is to be done about them.
//!
//! Bodies and results are raw JSON: teloxide's own types refuse a message with an entity that they do not know,
//! and lag behind the API.

mod failure;
mod files;
mod waits;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use teloxide::Bot;
use teloxide::requests::{JsonRequest, Payload, Request};

use crate::token::Token;
pub use failure::{ApiError, Conflict};
pub use files::{Shape, Upload};
use waits::{Scope, Waits};

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

/// A method with a raw body.
trait Raw: Payload<Output = Value> {
    fn body(&self) -> &Value;
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

        impl Raw for $name {
            fn body(&self) -> &Value {
                &self.0
            }
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

/// A bot that talks to Telegram.
#[derive(Clone)]
pub struct Api {
    quick: Bot,
    patient: Bot,
    upload: Bot,
    token: Token,
    waits: Arc<Waits>,
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
            waits: Arc::default(),
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
        let text: String = text.chars().take(MAX_TOAST).collect();
        let body = json!({"callback_query_id": id, "text": text});
        self.call(&self.quick, AnswerCallbackQuery(body)).await.map(drop)
    }

    /// Puts the commands into Telegram's menu.
    pub async fn set_commands(&self, menu: &[(String, String)]) -> Result<(), ApiError> {
        let commands: Vec<Value> = menu
            .iter()
            .map(|(command, description)| json!({"command": command, "description": description}))
            .collect();
        self.call(&self.quick, SetMyCommands(json!({"commands": commands}))).await.map(drop)
    }

    /// Opens a topic; its id.
    pub async fn create_topic(&self, chat: i64, name: &str) -> Result<i64, ApiError> {
        let made = self.call(&self.quick, CreateForumTopic(json!({"chat_id": chat, "name": name}))).await?;
        made["message_thread_id"].as_i64().ok_or_else(|| ApiError::Unknown("the topic has no id".to_owned()))
    }

    /// Whether the Bot API server is not Telegram's own, and has other limits.
    pub fn is_own_server(&self) -> bool {
        self.own_server
    }

    async fn call<P>(&self, bot: &Bot, payload: P) -> Result<Value, ApiError>
    where
        P: Raw + Serialize + Send + Sync + 'static,
    {
        let scope = payload.body()["chat_id"].as_i64().map_or(Scope::Method(P::NAME), Scope::Chat);
        let request = JsonRequest::new(bot.clone(), payload);
        self.unless_told_to_wait(scope, async { request.send().await.map_err(|error| self.failure(error)) })
            .await
    }

    /// Telegram has wanted silence in this chat before this program was started.
    pub fn wait_in(&self, chat: i64, wait: Duration) {
        self.waits.begin(Scope::Chat(chat), wait, Instant::now());
    }

    /// Makes a call, unless Telegram has said that it wants none of its kind for a while, and remembers if it says so
    /// now. Whoever calls, from whichever task: none is made into a known wait.
    async fn unless_told_to_wait<T>(
        &self,
        scope: Scope,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        if let Some(left) = self.waits.left(scope, Instant::now()) {
            return Err(ApiError::RetryAfter(left));
        }
        let result = call.await;
        if let Err(ApiError::RetryAfter(wait)) = &result {
            self.waits.begin(scope, *wait, Instant::now());
        }
        result
    }
}

fn at_server(bot: Bot, url: &str) -> Result<Bot, ApiError> {
    match url.parse() {
        Ok(parsed) => Ok(bot.set_api_url(parsed)),
        Err(error) => Err(ApiError::BadRequest(format!("{url} is no URL: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
