//! A bot's side of the wire, as plain as can be.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part of it

use std::time::Duration;

use carcin_lab::telegram::{LabConfig, TelegramLab};
use serde_json::{Value, json};

/// The person in these tests; also the private chat's id.
pub const ALEX: i64 = 1001;
/// More than anything here takes.
pub const SOON: Duration = Duration::from_mins(1);

pub async fn lab() -> TelegramLab {
    lab_with(LabConfig::default()).await
}

pub async fn lab_with(config: LabConfig) -> TelegramLab {
    TelegramLab::start(LabConfig { users: vec![(ALEX, "Alex".into())], ..config }).await.unwrap()
}

pub fn url(lab: &TelegramLab, method: &str) -> String {
    format!("{}/bot{}/{method}", lab.api_url(), lab.token())
}

/// Calls with JSON; the status and the body.
pub async fn call(lab: &TelegramLab, method: &str, params: Value) -> (u16, Value) {
    let answer = reqwest::Client::new().post(url(lab, method)).json(&params).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The result of a call that must succeed.
pub async fn ok(lab: &TelegramLab, method: &str, params: Value) -> Value {
    let (status, body) = call(lab, method, params).await;
    assert_eq!((status, &body["ok"]), (200, &json!(true)), "{body}");
    body["result"].clone()
}

/// The description of a call that must be refused with `status`.
pub async fn refused(lab: &TelegramLab, status: u16, method: &str, params: Value) -> String {
    let (got, body) = call(lab, method, params).await;
    assert_eq!((got, &body["ok"], &body["error_code"]), (status, &json!(false), &json!(status)), "{body}");
    body["description"].as_str().unwrap().to_owned()
}

/// Sends a text as the bot; its id.
pub async fn say(lab: &TelegramLab, text: &str) -> i64 {
    let sent = ok(lab, "sendMessage", json!({"chat_id": ALEX, "text": text})).await;
    sent["message_id"].as_i64().unwrap()
}

/// The start of a PNG of that size: all that the lab looks at.
pub fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes
}
