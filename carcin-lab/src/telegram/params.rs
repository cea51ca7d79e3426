//! Parameters of a call: from the query, a form, JSON or multipart, all to one shape.
//!
//! As in the real server, every value may come as a string; structured ones as JSON in a string.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::error::ApiError;

/// The largest body taken: Telegram's 50 MB for uploads, and room for the rest.
pub(super) const MAX_BODY: usize = 52 * 1024 * 1024;
/// The same for a server of the bot's own.
pub(super) const MAX_LOCAL_BODY: usize = 2002 * 1024 * 1024;

/// A file in a multipart body.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) file_name: String,
    pub(super) mime: Option<String>,
    pub(super) bytes: Bytes,
}

/// The parameters of one call.
#[derive(Debug, Default)]
pub(super) struct Params {
    values: Map<String, Value>,
    pub(super) files: HashMap<String, Upload>,
    /// How many bytes query and body had.
    pub(super) bytes: u64,
}

impl Params {
    /// Reads query and body of `request`.
    pub(super) async fn read(request: Request) -> Result<Self, ApiError> {
        let mut params = Self::default();
        if let Some(query) = request.uri().query() {
            params.count(query.len());
            params.add_form(query.as_bytes());
        }
        if request.method() == Method::GET {
            return Ok(params);
        }
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        if kind.starts_with("multipart/form-data") {
            params.add_multipart(request).await?;
            return Ok(params);
        }
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY)
            .await
            .map_err(|_| ApiError::new(413, "Request Entity Too Large"))?;
        params.count(body.len());
        if kind.starts_with("application/json") {
            params.add_json(&body)?;
        } else {
            params.add_form(&body);
        }
        Ok(params)
    }

    fn count(&mut self, bytes: usize) {
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    fn add_form(&mut self, bytes: &[u8]) {
        for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = unescape(halves.next().unwrap_or_default());
            let value = unescape(halves.next().unwrap_or_default());
            self.values.insert(name, Value::String(value));
        }
    }

    fn add_json(&mut self, body: &[u8]) -> Result<(), ApiError> {
        if body.is_empty() {
            return Ok(());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => self.values.extend(object),
            _ => return Err(ApiError::bad("can't parse request body as a JSON object")),
        }
        Ok(())
    }

    async fn add_multipart(&mut self, request: Request) -> Result<(), ApiError> {
        let broken = |status: StatusCode, text: String| match status {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(413, "Request Entity Too Large"),
            _ => ApiError::bad(format!("can't parse multipart body: {text}")),
        };
        let mut parts = Multipart::from_request(request, &())
            .await
            .map_err(|error| broken(error.status(), error.body_text()))?;
        while let Some(part) =
            parts.next_field().await.map_err(|error| broken(error.status(), error.body_text()))?
        {
            let name = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(ToOwned::to_owned);
            let mime = part.content_type().map(ToOwned::to_owned);
            let bytes = part.bytes().await.map_err(|error| broken(error.status(), error.body_text()))?;
            self.count(bytes.len() + name.len());
            if let Some(file_name) = file_name {
                self.files.insert(name, Upload { file_name, mime, bytes });
            } else {
                self.values.insert(name, Value::String(String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        Ok(())
    }

    /// The value under `name` unless absent, null or an empty string.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// A text; numbers and booleans are taken as their text.
    pub(super) fn str(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// An integer; what is no integer counts as absent, as in the real server.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A boolean: true, "true", "1", "yes".
    pub(super) fn bool(&self, name: &str) -> bool {
        match self.get(name) {
            Some(Value::Bool(value)) => *value,
            Some(Value::Number(number)) => number.as_i64() == Some(1),
            Some(Value::String(text)) => {
                matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "y" | "t")
            }
            _ => false,
        }
    }

    /// A structure, itself or as JSON in a string; `what` names it where it does not parse.
    pub(super) fn json(&self, name: &str, what: &str) -> Result<Option<Value>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| ApiError::bad(format!("can't parse {what} JSON object"))),
            Some(other) => Ok(Some(other.clone())),
        }
    }

    /// What is kept of the parameters in the record of calls.
    pub(super) fn record(&self) -> Value {
        let mut values = self.values.clone();
        for value in values.values_mut() {
            let Value::String(text) = value else { continue };
            // A structure in a string is easier to look at as itself.
            if text.starts_with(['{', '['])
                && let Ok(parsed) = serde_json::from_str::<Value>(text)
            {
                *value = parsed;
            }
        }
        for (name, file) in &self.files {
            values.insert(name.clone(), json!({"file_name": file.file_name, "size": file.bytes.len()}));
        }
        bounded(Value::Object(values))
    }
}

/// `value`, or a note where it is larger than any call within the limits.
pub(super) fn bounded(value: Value) -> Value {
    const MAX: usize = 128 * 1024;
    let size = value.to_string().len();
    if size > MAX { json!({"dropped_bytes": size}) } else { value }
}

/// Undoes the escaping of `application/x-www-form-urlencoded`.
fn unescape(bytes: &[u8]) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match (byte, digit(bytes.get(at)), digit(bytes.get(at + 1))) {
            (b'+', ..) => out.push(b' '),
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits make a byte"));
                at += 2;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_unescaped() {
        let mut params = Params::default();
        params.add_form("chat_id=7&text=a%20b+c%C3%A9%zz&flag=true".as_bytes());
        assert_eq!(params.int("chat_id"), Some(7));
        assert_eq!(params.str("text").as_deref(), Some("a b cé%zz"));
        assert!(params.bool("flag"));
    }

    #[test]
    fn a_structure_may_come_as_a_string() {
        let mut params = Params::default();
        params.add_json(br#"{"a":"[1,2]","b":[1,2],"c":"[1,"}"#).unwrap();
        assert_eq!(params.json("a", "a").unwrap(), params.json("b", "b").unwrap());
        assert!(params.json("c", "c").unwrap_err().description.contains("can't parse c JSON object"));
    }
}
