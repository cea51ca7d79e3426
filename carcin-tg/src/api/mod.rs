//! The Bot API as Carcin uses it: its methods, and failures by what is to be done about them.
//!
//! Bodies and results are raw JSON, since the types of a library lag behind the API. Calls are sent by `http`, and an
//! answer is judged by its HTTP status and `error_code` (`answer`). Nothing here waits or repeats: that is up to the
//! caller, so one failure holds up nothing else.

mod answer;
mod failure;
mod files;
mod http;
mod waits;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::token::Token;
pub use failure::{ApiError, Conflict};
pub use files::{Shape, Upload};
use http::Http;
use waits::{Scope, Waits};

/// How long Telegram holds a poll open when there is nothing. It allows 50 s.
pub const POLL: Duration = Duration::from_secs(30);
/// What a connection may take on top of a poll, and a whole request other than an upload.
const ANSWER: Duration = Duration::from_secs(20);
/// How long an upload may take: 50 MB over a slow line.
const UPLOAD: Duration = Duration::from_mins(10);
/// The longest text of an answer to a button (Bot API, `answerCallbackQuery`), in characters.
pub const MAX_TOAST: usize = 200;

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
    http: Http,
    waits: Arc<Waits>,
    own_server: bool,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// A bot with this token, at Telegram's server or another one.
    pub fn new(token: &Token, url: Option<&str>) -> Result<Self, ApiError> {
        Ok(Self { http: Http::new(token, url)?, waits: Arc::default(), own_server: url.is_some() })
    }

    /// Who the bot is.
    pub async fn me(&self) -> Result<Me, ApiError> {
        let me = self.call("getMe", json!({})).await?;
        Ok(Me {
            username: me["username"].as_str().unwrap_or_default().to_owned(),
            has_private_topics: me["has_topics_enabled"].as_bool().unwrap_or(false),
        })
    }

    /// The address of the webhook that is set; `None`: there is none.
    pub async fn webhook(&self) -> Result<Option<String>, ApiError> {
        let info = self.call("getWebhookInfo", json!({})).await?;
        Ok(info["url"].as_str().filter(|url| !url.is_empty()).map(str::to_owned))
    }

    /// Updates from `offset` on; confirms those before it. Waits up to [`POLL`].
    pub async fn updates(&self, offset: i64) -> Result<Vec<Value>, ApiError> {
        let body = json!({
            "offset": offset,
            "timeout": POLL.as_secs(),
            "allowed_updates": ["message", "edited_message", "callback_query", "stopped_message_generation"],
        });
        match self.call_within(POLL + ANSWER, "getUpdates", body).await? {
            Value::Array(updates) => Ok(updates),
            _ => Err(ApiError::Unknown("the updates are no list".to_owned())),
        }
    }

    /// Sends a message; its id, where Telegram told it.
    pub async fn send(&self, body: Value) -> Result<Option<i64>, ApiError> {
        Ok(self.call("sendMessage", body).await?["message_id"].as_i64())
    }

    /// Edits a message.
    pub async fn edit(&self, body: Value) -> Result<(), ApiError> {
        self.call("editMessageText", body).await.map(drop)
    }

    /// Takes a message away.
    pub async fn delete(&self, body: Value) -> Result<(), ApiError> {
        self.call("deleteMessage", body).await.map(drop)
    }

    /// Shows a text that is not finished.
    pub async fn draft(&self, body: Value) -> Result<(), ApiError> {
        self.call("sendMessageDraft", body).await.map(drop)
    }

    /// Shows for five seconds that somebody types.
    pub async fn typing(&self, chat: i64, thread: Option<i64>) -> Result<(), ApiError> {
        let mut body = json!({"chat_id": chat, "action": "typing"});
        if let Some(thread) = thread {
            body["message_thread_id"] = thread.into();
        }
        self.call("sendChatAction", body).await.map(drop)
    }

    /// Ends the wait of a pressed button, saying `text` where that is not empty.
    pub async fn answer_press(&self, id: &str, text: &str) -> Result<(), ApiError> {
        let text: String = text.chars().take(MAX_TOAST).collect();
        let body = json!({"callback_query_id": id, "text": text});
        self.call("answerCallbackQuery", body).await.map(drop)
    }

    /// Puts the commands into Telegram's menu.
    pub async fn set_commands(&self, menu: &[(String, String)]) -> Result<(), ApiError> {
        let commands: Vec<Value> = menu
            .iter()
            .map(|(command, description)| json!({"command": command, "description": description}))
            .collect();
        self.call("setMyCommands", json!({"commands": commands})).await.map(drop)
    }

    /// Opens a topic; its id.
    pub async fn create_topic(&self, chat: i64, name: &str) -> Result<i64, ApiError> {
        let made = self.call("createForumTopic", json!({"chat_id": chat, "name": name})).await?;
        made["message_thread_id"].as_i64().ok_or_else(|| ApiError::Unknown("the topic has no id".to_owned()))
    }

    /// Whether the Bot API server is not Telegram's own, and has other limits.
    pub fn is_own_server(&self) -> bool {
        self.own_server
    }

    async fn call(&self, method: &'static str, body: Value) -> Result<Value, ApiError> {
        self.call_within(ANSWER, method, body).await
    }

    async fn call_within(
        &self,
        patience: Duration,
        method: &'static str,
        body: Value,
    ) -> Result<Value, ApiError> {
        let scope = body["chat_id"].as_i64().map_or(Scope::Method(method), Scope::Chat);
        self.unless_told_to_wait(scope, self.http.json(method, &body, patience)).await
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

#[cfg(test)]
mod tests {
    use carcin_lab::telegram::{Fault, FaultKind, LabConfig, TelegramLab};

    use super::*;

    #[tokio::test]
    async fn a_server_error_is_returned_at_once() {
        let telegram = TelegramLab::start(LabConfig::default()).await.expect("starts");
        let token = Token::parse(telegram.token()).expect("a token");
        let api = Api::new(&token, Some(&telegram.api_url())).expect("a client");
        telegram.fault(Fault::on("getMe", FaultKind::refuse(503, "Service Unavailable")));
        telegram.fault(Fault::on("getMe", FaultKind::proxy(502, "<html>")));
        for expected in
            ["HTTP 503 Service Unavailable: Service Unavailable", "HTTP 502 Bad Gateway, not from"]
        {
            let called = tokio::time::timeout(Duration::from_secs(8), api.me()).await.expect("no sleep");
            let Err(ApiError::Unknown(why)) = called else { panic!("{called:?}") };
            assert!(why.starts_with(expected), "{why}");
        }
        api.me().await.expect("well again");
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
