//! What becomes of a prompt, where the user has to know.

use super::ask::RERUN;
use super::phrases::{bare, one_line};
use crate::markdown::{Text, TextBuilder};
use crate::message::{Button, Message};

/// How much of a prompt is shown, in characters.
const EXCERPT: usize = 200;

/// The message about an interrupted prompt. With `text`, the button carrying `nonce` runs it again.
pub fn interrupted(how: &str, text: Option<&str>, nonce: &str) -> Message {
    let message =
        Message::loud(body(how, text, if text.is_some() { None } else { Some("Please send it again.") }));
    match text {
        None => message,
        Some(_) => message.with_buttons(vec![vec![Button {
            label: "🔁 Run again".to_owned(),
            data: format!("{RERUN}:{nonce}"),
        }]]),
    }
}

/// The same after the button was pressed.
pub fn rerun(text: &str, by: &str) -> Message {
    Message::silent(body("", Some(text), Some(&format!("🔁 Run again by {}", one_line(by, EXCERPT)))))
}

fn body(how: &str, text: Option<&str>, last: Option<&str>) -> Text {
    let mut message = TextBuilder::new();
    message.push("⚠️ ").bold("Interrupted");
    if !how.trim().is_empty() {
        message.push(": ").push(bare(&one_line(how, EXCERPT)));
    }
    if let Some(text) = text {
        message.newline().quote(|quote| {
            quote.push(&one_line(text, EXCERPT));
        });
    }
    if let Some(last) = last {
        message.newline().bold(last);
    }
    message.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_prompt_says_how_and_can_be_run_again() {
        let known = interrupted("Claude was killed by signal 9.", Some("Fix the\ntests"), "n0nce");
        assert_eq!(known.buttons[0][0].data, "p:n0nce");
        let unknown = interrupted("Claude was killed by signal 9.", None, "n0nce");
        assert!(unknown.buttons.is_empty());
        let again = rerun("Fix the tests", "Ann");
        insta::assert_snapshot!([known, unknown, again].map(|message| message.text.text).join("\n---\n"));
    }
}
