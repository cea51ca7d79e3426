//! The one thing that strangers are told: their own id, which is what the list of allowed users needs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracing::debug;

use crate::api::Api;
use crate::commands;
use crate::message::Message;
use crate::update::Gate;

/// For how long somebody who was answered is not answered again, and over which time answers are counted.
const WINDOW: Duration = Duration::from_mins(1);
/// The most answers in that time, to all strangers together.
const MOST: usize = 10;

/// Who was answered of late.
#[derive(Debug, Default)]
pub struct Strangers {
    answered: Vec<(Instant, i64)>,
}

impl Strangers {
    /// The stranger who asks for their id in this update and is to be answered now.
    pub fn next_answer(&mut self, gate: &Gate, raw: &Value, username: &str, now: Instant) -> Option<i64> {
        let stranger = gate.stranger_asks_for_id(raw, username)?;
        self.answered.retain(|(at, _)| now.duration_since(*at) < WINDOW);
        if self.answered.len() >= MOST || self.answered.iter().any(|(_, one)| *one == stranger) {
            return None;
        }
        self.answered.push((now, stranger));
        Some(stranger)
    }
}

/// Tells somebody their id. Nothing of it is kept, and if it does not arrive they ask again.
pub(crate) fn answer(api: &Api, stranger: i64) {
    let api = api.clone();
    tokio::spawn(async move {
        let mut body = Message::silent(commands::id(stranger)).body();
        body["chat_id"] = json!(stranger);
        if let Err(error) = api.send(body).await {
            debug!("a stranger was not told their id: {error}");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(user: i64, chat: i64, text: &str) -> Value {
        json!({"update_id": 1, "message": {
            "message_id": 1, "chat": {"id": chat}, "from": {"id": user, "first_name": "Eve"}, "text": text}})
    }

    #[test]
    fn a_stranger_is_told_their_id_and_nothing_else() {
        let gate = Gate::new(&[42]).expect("not empty");
        let start = Instant::now();
        let mut strangers = Strangers::default();
        let mut asked = |raw: &Value, after: u64| {
            strangers.next_answer(&gate, raw, "carcin_bot", start + Duration::from_secs(after))
        };
        assert_eq!(asked(&asks(666, 666, "/status"), 0), None);
        assert_eq!(asked(&asks(666, 666, "let me in /id"), 0), None);
        assert_eq!(asked(&asks(666, -100, "/id"), 0), None, "not into a group");
        assert_eq!(asked(&asks(42, 42, "/id"), 0), None, "no stranger");
        assert_eq!(asked(&json!({"callback_query": {"from": {"id": 666}, "data": "/id"}}), 0), None);
        assert_eq!(asked(&asks(666, 666, "/id@carcin_bot"), 0), Some(666));
        assert_eq!(asked(&asks(666, 666, "/id"), 30), None, "again");
        for user in 700..709 {
            assert_eq!(asked(&asks(user, user, "/id"), 30), Some(user));
        }
        assert_eq!(asked(&asks(800, 800, "/id"), 31), None, "a crowd");
        assert_eq!(asked(&asks(800, 800, "/id"), 91), Some(800));
    }
}
