//! What an answer means, by its HTTP status and Telegram's `error_code`: pure.
//!
//! Descriptions only tell apart what has the same code. A server or proxy that fails (5xx) is never taken for a
//! refusal, whatever it says, and whether it says it in JSON, in HTML or not at all.

use std::time::Duration;

use serde_json::Value;

use super::{ApiError, Conflict};

/// What is waited for where Telegram does not say how long.
const UNSAID: Duration = Duration::from_secs(5);

/// An answer as HTTP has it.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    /// The header `Retry-After`, in seconds.
    pub(super) retry_after: Option<u64>,
    pub(super) body: &'a [u8],
}

/// A refusal as Telegram words it.
struct Refusal<'a> {
    code: u16,
    description: &'a str,
    /// `parameters`.
    retry_after: Option<u64>,
    migrate_to: Option<i64>,
}

impl Answer<'_> {
    /// The method's result, or why there is none.
    pub(super) fn result(&self) -> Result<Value, ApiError> {
        let body = serde_json::from_slice::<Value>(self.body).ok();
        let Some(mut body) = body.filter(|body| body["ok"].is_boolean()) else {
            return Err(self.foreign());
        };
        if (200..300).contains(&self.status) && body["ok"] == true {
            return Ok(body["result"].take());
        }
        let code = body["error_code"].as_u64().and_then(|code| u16::try_from(code).ok());
        let parameters = &body["parameters"];
        let refusal = Refusal {
            // A status of 5xx is a server's failure, whatever is in the body.
            code: code.filter(|_| self.status < 500).unwrap_or(self.status),
            description: body["description"].as_str().unwrap_or_default(),
            retry_after: parameters["retry_after"].as_u64(),
            migrate_to: parameters["migrate_to_chat_id"].as_i64(),
        };
        Err(refusal.sort())
    }

    /// The answer of a server that is not the Bot API's: a proxy, or a portal that wants a login.
    fn foreign(&self) -> ApiError {
        match self.status {
            // As Telegram's web server words it.
            413 => ApiError::BadRequest("Request Entity Too Large".to_owned()),
            429 => ApiError::RetryAfter(self.retry_after.map_or(UNSAID, Duration::from_secs)),
            // The body stays out of logs: it may hold anything.
            status => ApiError::Unknown(format!("{}, not from the Bot API", http(status))),
        }
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

/// What the code alone says of a token that is not valid. The same codes with more words are about something else.
const NO_SUCH_BOT: &[&str] = &["Unauthorized", "Not Found", "Invalid bot token"];

impl Refusal<'_> {
    /// Texts: Bot API server, `Client.cpp`.
    fn sort(&self) -> ApiError {
        let has = |words: &str| self.description.contains(words);
        let why = || self.description.to_owned();
        if let Some(seconds) = self.retry_after {
            return ApiError::RetryAfter(Duration::from_secs(seconds));
        }
        if let Some(chat) = self.migrate_to {
            return ApiError::Moved(chat);
        }
        match self.code {
            429 => ApiError::RetryAfter(self.wait_in_words()),
            409 if has("webhook is active") || has("terminated by setWebhook") => {
                ApiError::Conflict(Conflict::Webhook)
            }
            409 => ApiError::Conflict(Conflict::OtherPoller),
            401 | 404 if NO_SUCH_BOT.contains(&self.description) => ApiError::Unauthorized,
            400..500 if has("message is not modified") => ApiError::NotModified,
            400..500 if TOPIC_GONE.iter().any(|words| has(words)) => ApiError::TopicGone(why()),
            401 | 403 => ApiError::ChatGone(why()),
            400..500 if CHAT_GONE.iter().any(|words| has(words)) => ApiError::ChatGone(why()),
            400..500 => ApiError::BadRequest(why()),
            code => ApiError::Unknown(format!("{}: {}", http(code), self.description)),
        }
    }

    /// The wait at the end of "Too Many Requests: retry after 17".
    fn wait_in_words(&self) -> Duration {
        let seconds = self.description.rsplit(' ').next().and_then(|last| last.parse::<u32>().ok());
        seconds.map_or(UNSAID, |seconds| Duration::from_secs(seconds.into()))
    }
}

/// "HTTP 503 Service Unavailable".
fn http(status: u16) -> String {
    let known = reqwest::StatusCode::from_u16(status).ok();
    match known.and_then(|status| status.canonical_reason()) {
        Some(reason) => format!("HTTP {status} {reason}"),
        None => format!("HTTP {status}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &str) -> Result<Value, ApiError> {
        Answer { status, retry_after: None, body: body.as_bytes() }.result()
    }

    /// A refusal, with the same status and code as Telegram gives them.
    fn refused(code: u16, description: &str) -> ApiError {
        let body = json!({"ok": false, "error_code": code, "description": description});
        answer(code, &body.to_string()).expect_err("a refusal")
    }

    #[test]
    fn a_result_is_taken_as_it_is() {
        assert_eq!(answer(200, r#"{"ok":true,"result":{"message_id":7}}"#), Ok(json!({"message_id": 7})));
        assert_eq!(answer(200, r#"{"ok":true,"result":true}"#), Ok(json!(true)));
    }

    #[test]
    fn every_5xx_is_repeated_whatever_its_body() {
        let bodies = [
            "",
            "<html><body><h1>Bad Gateway</h1></body></html>",
            "{}",
            r#"{"ok":false,"error_code":500,"description":"Internal Server Error"}"#,
            r#"{"ok":false,"error_code":503,"description":"Service Unavailable"}"#,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
            r#"{"ok":false,"description":"injected"}"#,
            r#"{"ok":true,"result":true}"#,
            "{\"ok\":fal",
        ];
        for status in [500, 501, 502, 503, 504, 507, 520, 521, 522, 524, 530, 599] {
            for body in bodies {
                let result = answer(status, body);
                let Err(ApiError::Unknown(why)) = &result else { panic!("{status} {body:?}: {result:?}") };
                assert!(why.starts_with(&format!("HTTP {status}")), "{why}");
            }
        }
        let inside = r#"{"ok":false,"error_code":500,"description":"injected"}"#;
        assert_eq!(
            answer(200, inside),
            Err(ApiError::Unknown("HTTP 500 Internal Server Error: injected".into()))
        );
    }

    #[test]
    fn what_is_not_from_the_bot_api_refuses_nothing() {
        for (status, body) in [(200, "<html>Log in</html>"), (302, ""), (403, "<html>"), (404, ""), (407, "")]
        {
            assert!(matches!(answer(status, body), Err(ApiError::Unknown(_))), "{status}");
        }
        assert_eq!(
            answer(413, "<html>"),
            Err(ApiError::BadRequest("Request Entity Too Large".into())),
            "a file that is too large stays so"
        );
        assert_eq!(answer(429, ""), Err(ApiError::RetryAfter(UNSAID)));
        let told = Answer { status: 429, retry_after: Some(9), body: b"" };
        assert_eq!(told.result(), Err(ApiError::RetryAfter(Duration::from_secs(9))));
    }

    #[test]
    fn parameters_say_how_long_and_where_to() {
        let flood = r#"{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":13938}}"#;
        assert_eq!(answer(429, flood), Err(ApiError::RetryAfter(Duration::from_secs(13_938))));
        let moved =
            r#"{"ok":false,"error_code":400,"description":"x","parameters":{"migrate_to_chat_id":-1007}}"#;
        assert_eq!(answer(400, moved), Err(ApiError::Moved(-1007)));
    }

    #[test]
    fn refusals_are_sorted_by_what_is_to_be_done() {
        let gone = |text: &str| ApiError::ChatGone(text.to_owned());
        let topic = |text: &str| ApiError::TopicGone(text.to_owned());
        let bad = |text: &str| ApiError::BadRequest(text.to_owned());
        let seconds = |seconds| ApiError::RetryAfter(Duration::from_secs(seconds));
        let (webhook, other) =
            (ApiError::Conflict(Conflict::Webhook), ApiError::Conflict(Conflict::OtherPoller));
        for (code, description, expected) in [
            (
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook",
                &webhook,
            ),
            (409, "Conflict: terminated by setWebhook request", &webhook),
            (409, "Conflict: terminated by other getUpdates request; make sure that only one", &other),
            (401, "Unauthorized", &ApiError::Unauthorized),
            (404, "Not Found", &ApiError::Unauthorized),
            (401, "Invalid bot token", &ApiError::Unauthorized),
            (404, "Not Found: method not found", &bad("Not Found: method not found")),
            (400, "Bad Request: message is not modified: specified new", &ApiError::NotModified),
            (403, "Forbidden: bot was blocked by the user", &gone("Forbidden: bot was blocked by the user")),
            (400, "Bad Request: chat not found", &gone("Bad Request: chat not found")),
            (400, "Bad Request: message thread not found", &topic("Bad Request: message thread not found")),
            (400, "Bad Request: TOPIC_DELETED", &topic("Bad Request: TOPIC_DELETED")),
            (
                400,
                "Bad Request: not enough rights to send text messages to the chat",
                &gone("Bad Request: not enough rights to send text messages to the chat"),
            ),
            (
                400,
                "Bad Request: not enough rights to send photos to the chat",
                &bad("Bad Request: not enough rights to send photos to the chat"),
            ),
            (429, "Too Many Requests: retry after 17", &seconds(17)),
            (429, "Too Many Requests", &seconds(5)),
            (413, "Request Entity Too Large", &bad("Request Entity Too Large")),
            (400, "Bad Request: new of tomorrow", &bad("Bad Request: new of tomorrow")),
        ] {
            assert_eq!(&refused(code, description), expected, "{code} {description}");
        }
    }
}
