//! The calls themselves: an HTTP client, addresses, and what came back of a call.
//!
//! The token is part of every address. It leaves this file in no error: what HTTP says is scrubbed here.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::multipart::Form;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;

use super::ApiError;
use super::answer::Answer;
use crate::token::Token;

/// Telegram's own server.
const TELEGRAM: &str = "https://api.telegram.org";
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// A client for one bot at one Bot API server.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client,
    server: Url,
    token: Token,
}

impl Http {
    /// At Telegram's server or another one.
    pub(super) fn new(token: &Token, url: Option<&str>) -> Result<Self, ApiError> {
        let url = url.unwrap_or(TELEGRAM);
        let invalid = |why: String| ApiError::BadRequest(format!("{url} is no URL of a server: {why}"));
        let server = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
        if server.cannot_be_a_base() {
            return Err(invalid("it has no host".to_owned()));
        }
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            // The Bot API has no redirects. To follow one would hand the token to somebody else.
            .redirect(Policy::none())
            .build()
            .map_err(|error| ApiError::Unreachable(token.scrub(&chain(&error))))?;
        Ok(Self { client, server, token: token.clone() })
    }

    /// Calls a method with a JSON body. Returns its result.
    pub(super) async fn json(
        &self,
        method: &str,
        body: &Value,
        patience: Duration,
    ) -> Result<Value, ApiError> {
        self.call(self.client.post(self.address(&["", method])).json(body).timeout(patience)).await
    }

    /// Calls a method with a form, as uploads need it. Returns its result.
    pub(super) async fn form(&self, method: &str, form: Form, patience: Duration) -> Result<Value, ApiError> {
        self.call(self.client.post(self.address(&["", method])).multipart(form).timeout(patience)).await
    }

    /// Asks for a file. The answer's body is still to come.
    pub(super) async fn file(&self, path: &str, patience: Duration) -> Result<Response, ApiError> {
        let address = self.address(&["file", "", path]);
        self.client.get(address).timeout(patience).send().await.map_err(|error| self.failure(&error))
    }

    /// The address of these path segments below the server's; an empty one stands for the bot with its token.
    fn address(&self, parts: &[&str]) -> Url {
        let mut address = self.server.clone();
        let bot = format!("bot{}", self.token.expose());
        let mut segments = address.path_segments_mut().expect("checked when it was parsed");
        segments.pop_if_empty();
        for part in parts {
            if part.is_empty() {
                segments.push(&bot);
            } else {
                segments.extend(part.split('/'));
            }
        }
        drop(segments);
        address
    }

    async fn call(&self, request: RequestBuilder) -> Result<Value, ApiError> {
        let response = request.send().await.map_err(|error| self.failure(&error))?;
        let status = response.status().as_u16();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = match response.bytes().await.map(Vec::from) {
            Ok(body) => body,
            // The status says enough of what failed.
            Err(_) if status >= 400 => Vec::new(),
            Err(error) => return Err(self.failure(&error)),
        };
        Answer { status, retry_after: seconds, body: &body }.result()
    }

    /// What a call came to that has no answer.
    pub(super) fn failure(&self, error: &reqwest::Error) -> ApiError {
        let why = self.token.scrub(&chain(error));
        if error.is_connect() { ApiError::Unreachable(why) } else { ApiError::Unknown(why) }
    }
}

/// An error with its causes, which is where reqwest says what happened.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn http(url: Option<&str>) -> Http {
        Http::new(&Token::parse("42:AAF-secret_x").expect("a token"), url).expect("a client")
    }

    #[test]
    fn addresses_are_those_of_the_bot_api() {
        let address = |url, parts: &[&str]| http(url).address(parts).to_string();
        let telegram = "https://api.telegram.org";
        assert_eq!(address(None, &["", "getMe"]), format!("{telegram}/bot42:AAF-secret_x/getMe"));
        let file = address(None, &["file", "", "photos/file 1.jpg"]);
        assert_eq!(file, format!("{telegram}/file/bot42:AAF-secret_x/photos/file%201.jpg"));
        for own in ["http://host:8081/tg", "http://host:8081/tg/"] {
            assert_eq!(address(Some(own), &["", "getMe"]), "http://host:8081/tg/bot42:AAF-secret_x/getMe");
        }
    }

    #[test]
    fn a_url_without_a_host_is_refused() {
        let token = Token::parse("42:AAF-secret_x").expect("a token");
        for url in ["", "host", "mailto:a@b.de"] {
            let error = Http::new(&token, Some(url)).expect_err(url);
            assert!(matches!(error, ApiError::BadRequest(_)), "{error:?}");
        }
    }
}
