//! What a message answers, and where a forwarded one comes from.

use serde_json::Value;

use super::name;

/// The longest quote, in characters: the message that it is from is in Claude's context anyway.
const MAX_QUOTE: usize = 2_000;

/// What a message answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Whose words.
    pub whose: Whose,
    /// The words, bounded; the part that the user chose, or all.
    pub text: String,
}

/// Whose words are quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Claude's.
    Claude,
    /// The sender's own.
    Own,
    /// Somebody else's; the name.
    Other(String),
}

impl Quote {
    /// For Claude to read.
    pub fn render(&self) -> String {
        let whose = match &self.whose {
            Whose::Claude => "In reply to what you wrote".to_owned(),
            Whose::Own => "In reply to what I wrote".to_owned(),
            Whose::Other(name) => format!("In reply to what {name} wrote"),
        };
        format!("{whose}:\n{}", quoted(&self.text))
    }
}

/// Every line marked as a quote.
pub(crate) fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}

/// What the message answers, where that says anything.
pub(super) fn of(raw: &Value) -> Option<Quote> {
    let answered =
        [&raw["reply_to_message"], &raw["external_reply"]].into_iter().find(|it| it.is_object())?;
    // Every message in a topic answers the message that made it.
    if answered.get("forum_topic_created").is_some() {
        return None;
    }
    let text = [&raw["quote"]["text"], &answered["text"], &answered["caption"]];
    let text = text.into_iter().find_map(Value::as_str).map(str::trim).filter(|text| !text.is_empty())?;
    let from = &answered["from"];
    let whose = if from["is_bot"].as_bool().unwrap_or(false) {
        Whose::Claude
    } else if from["id"].is_i64() && from["id"] == raw["from"]["id"] {
        Whose::Own
    } else {
        let known = name(from).or_else(|| from_origin(&answered["origin"]));
        Whose::Other(known.unwrap_or_else(|| "somebody".to_owned()))
    };
    Some(Quote { whose, text: bounded(text) })
}

/// Whom a forwarded message was first written by.
pub(super) fn origin(raw: &Value) -> Option<String> {
    let origin = raw.get("forward_origin")?;
    Some(from_origin(origin).unwrap_or_else(|| "somebody".to_owned()))
}

fn from_origin(origin: &Value) -> Option<String> {
    let signed = |chat: &Value| {
        let chat = name(chat)?;
        Some(match origin["author_signature"].as_str() {
            Some(author) => format!("{author} in {chat}"),
            None => chat,
        })
    };
    match origin["type"].as_str()? {
        "user" => name(&origin["sender_user"]),
        "hidden_user" => origin["sender_user_name"].as_str().map(str::to_owned),
        "chat" => signed(&origin["sender_chat"]),
        "channel" => signed(&origin["chat"]),
        _ => None,
    }
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(answered: &Value) -> Value {
        json!({"from": {"id": 42}, "text": "no", "reply_to_message": answered})
    }

    #[test]
    fn a_reply_quotes_what_it_answers() {
        let claude = json!({"from": {"id": 9, "is_bot": true}, "text": "one\n\ntwo"});
        let own = json!({"from": {"id": 42}, "caption": "the picture"});
        let bo = json!({"from": {"id": 7, "first_name": "Bo"}, "text": "hi"});
        let mut part = reply(&claude);
        part["quote"] = json!({"text": "two", "position": 5});
        let shown =
            [reply(&claude), reply(&own), reply(&bo), part].map(|raw| of(&raw).expect("a quote").render());
        insta::assert_snapshot!(shown.join("\n---\n"));
    }

    #[test]
    fn a_reply_to_nothing_that_can_be_said_quotes_nothing() {
        let topic = json!({"from": {"id": 42}, "text": "x", "forum_topic_created": {"name": "x"}});
        for answered in
            [topic, json!({"from": {"id": 42}, "voice": {}}), json!({"from": {"id": 42}, "text": "  "})]
        {
            assert_eq!(of(&reply(&answered)), None);
        }
        assert_eq!(of(&json!({"text": "x"})), None);
    }

    #[test]
    fn a_quote_is_bounded() {
        let raw = reply(&json!({"from": {"is_bot": true}, "text": "ä".repeat(4_000)}));
        assert_eq!(of(&raw).expect("a quote").text.chars().count(), MAX_QUOTE + 1);
    }

    #[test]
    fn a_forwarded_message_names_its_origin_whatever_that_hides() {
        let origins = [
            json!({"type": "user", "sender_user": {"id": 1, "first_name": "Bo"}}),
            json!({"type": "hidden_user", "sender_user_name": "Shy"}),
            json!({"type": "chat", "sender_chat": {"id": -1, "title": "Team"}}),
            json!({"type": "channel", "chat": {"id": -2, "title": "News"}, "author_signature": "Ed"}),
            json!({"type": "of_tomorrow"}),
        ];
        let names =
            origins.map(|origin_of| origin(&json!({"forward_origin": origin_of})).expect("forwarded"));
        assert_eq!(names, ["Bo", "Shy", "Team", "Ed in News", "somebody"]);
        assert_eq!(origin(&json!({"text": "x"})), None);
    }
}
