//! A message as it goes to Telegram.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::markdown::Text;

/// The most bytes that a button may carry (Bot API, `InlineKeyboardButton`).
#[cfg(test)]
pub const MAX_BUTTON_DATA: usize = 64;

/// What buttons carry that nobody can guess.
pub fn nonce() -> String {
    Uuid::new_v4().simple().to_string()
}

/// What a message shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its text, at most one message long.
    pub text: Text,
    /// Rows of buttons under it.
    pub buttons: Vec<Vec<Button>>,
    /// Whether the phone makes a sound. Edits never do.
    pub sound: bool,
}

/// A button under a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// What it says.
    pub label: String,
    /// What comes back when it is pressed, at most 64 bytes (`MAX_BUTTON_DATA`); behind `OPENS`, the address that
    /// it opens instead.
    pub data: String,
}

/// Begins the data of a button that opens an address.
const OPENS: &str = "open:";

impl Button {
    /// A button that opens an address, which must be one that Telegram accepts as a link.
    pub fn link(label: String, url: &str) -> Self {
        Self { label, data: format!("{OPENS}{url}") }
    }

    fn body(&self) -> Value {
        match self.data.strip_prefix(OPENS) {
            Some(url) => json!({"text": self.label, "url": url}),
            None => json!({"text": self.label, "callback_data": self.data}),
        }
    }
}

impl Message {
    /// A message without buttons that makes no sound.
    pub fn silent(text: Text) -> Self {
        Self { text, buttons: Vec::new(), sound: false }
    }

    /// A message without buttons that makes a sound.
    pub fn loud(text: Text) -> Self {
        Self { sound: true, ..Self::silent(text) }
    }

    /// The same with buttons.
    #[must_use]
    pub fn with_buttons(mut self, buttons: Vec<Vec<Button>>) -> Self {
        self.buttons = buttons;
        self
    }

    /// The body of `sendMessage` and `editMessageText`, less the ids. No buttons means: take them away.
    pub fn body(&self) -> Value {
        let rows: Vec<Vec<Value>> =
            self.buttons.iter().map(|row| row.iter().map(Button::body).collect()).collect();
        json!({
            "text": self.text.text,
            "entities": self.text.to_message_entities(),
            "reply_markup": {"inline_keyboard": rows},
            "link_preview_options": {"is_disabled": true},
            "disable_notification": !self.sound,
        })
    }
}
