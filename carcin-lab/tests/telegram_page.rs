//! The page: one document, fed live, with nothing of the bot's or the person's becoming markup.

mod telegram_support;

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use telegram_support::{ALEX, SOON, lab, ok, say};

#[tokio::test]
async fn the_page_is_one_document_that_loads_nothing_else() {
    let lab = lab().await;
    let page = reqwest::get(lab.page_url()).await.unwrap().text().await.unwrap();
    for placeholder in ["/* style.css */", "/* script.js */"] {
        assert!(!page.contains(placeholder), "{placeholder} is left");
    }
    for outside in ["<script src", "<link rel=\"stylesheet\"", "@import", "https://fonts", "url(http"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!page.contains(markup), "{markup} could turn a message into markup");
    }
    for id in ["composer", "send", "actions", "messages", "bell", "attach", "commands", "topics"] {
        assert!(page.contains(&format!("id=\"{id}\"")), "#{id} is promised");
    }
}

/// The feed's events, as JSON.
struct Feed {
    bytes: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>>>>,
    buffer: String,
}

impl Feed {
    async fn open(url: String) -> Self {
        let answer = reqwest::get(url).await.unwrap();
        Self { bytes: Box::pin(answer.bytes_stream()), buffer: String::new() }
    }

    /// The next event; `None` at the end of the feed.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let event: String = self.buffer.drain(..end + 2).collect();
                // What does not begin so is a comment that keeps the connection alive.
                if let Some(data) = event.strip_prefix("data: ") {
                    return Some(serde_json::from_str(data).unwrap());
                }
                continue;
            }
            let more = tokio::time::timeout(SOON, self.bytes.next()).await.unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&more.ok()?).unwrap());
        }
    }

    /// The next event that brings a message.
    async fn message(&mut self) -> Value {
        loop {
            let event = self.next().await.unwrap();
            if let Some(message) = event["messages"].get(0) {
                return message.clone();
            }
        }
    }
}

#[tokio::test]
async fn a_page_gets_everything_first_and_then_what_changes() {
    let lab = lab().await;
    say(&lab, "before").await;
    let mut feed = Feed::open(format!("{}/lab/events?chat={ALEX}", lab.api_url())).await;
    let first = feed.next().await.unwrap();
    assert_eq!((&first["full"], &first["messages"][0]["text"]), (&json!(true), &json!("before")));
    let id = say(&lab, "after").await;
    assert_eq!(feed.message().await["text"], "after");
    ok(&lab, "editMessageText", json!({"chat_id": ALEX, "message_id": id, "text": "edited"})).await;
    assert_eq!(feed.message().await["text"], "edited");
    ok(&lab, "deleteMessage", json!({"chat_id": ALEX, "message_id": id})).await;
    assert_eq!(feed.message().await, json!({"id": id, "deleted": true}));
    drop(lab);
    let end = async { while feed.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_mins(1), end).await.expect("the feed ends with the lab");
}
