//! One prompt out of messages: what they say, what they quote, which files came with them.

use crate::store::bundle::Part;
use crate::store::inbox::Composed;
use crate::update::{Content, Message, quoted};

/// The prompt that these messages make.
pub(super) fn compose(messages: &[(Message, Option<Part>)]) -> Composed {
    let mut composed = Composed::default();
    let mut text = String::new();
    // Two pieces of a text that Telegram has split at its limit are one text.
    let mut cut_off = false;
    for (message, part) in messages {
        let (said, whole) = words(message, part.as_ref());
        if !said.is_empty() {
            let between = if text.is_empty() {
                ""
            } else if cut_off && whole {
                "\n"
            } else {
                "\n\n"
            };
            text.push_str(between);
            text.push_str(&said);
        }
        cut_off = whole;
        let Some(part) = part else { continue };
        if let Some(path) = &part.path {
            let line = format!("[{}: {}]", part.what, path.display());
            text.push_str(if text.is_empty() { "" } else { "\n\n" });
            text.push_str(&line);
            if part.image {
                composed.images.push(path.clone());
            }
        }
    }
    composed.text = text;
    composed
}

/// What a message says with what it quotes, and whether that is bare text.
fn words(message: &Message, part: Option<&Part>) -> (String, bool) {
    let said = match (&message.content, part.and_then(|part| part.words.as_ref())) {
        (Content::File(file), Some(words)) if file.caption.is_empty() => words.clone(),
        (Content::File(file), Some(words)) => format!("{}\n\n{words}", file.caption),
        (content, _) => content.words().to_owned(),
    };
    let said = said.trim();
    if let Some(from) = &message.forwarded {
        let forwarded = format!("Forwarded from {from}:");
        return (if said.is_empty() { forwarded } else { format!("{forwarded}\n{}", quoted(said)) }, false);
    }
    match &message.quote {
        // Claude knows its commands only at the beginning.
        Some(quote) if !said.starts_with('/') => {
            (format!("{}\n\n{said}", quote.render()).trim_end().to_owned(), false)
        }
        _ => (said.to_owned(), matches!(message.content, Content::Text(_))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::update::{Gate, Update};

    fn message(extra: &Value) -> Message {
        let mut raw = json!({"message_id": 1, "chat": {"id": 42}, "from": {"id": 42, "first_name": "Ann"}});
        raw.as_object_mut().expect("an object").extend(extra.as_object().cloned().expect("an object"));
        let gate = Gate::new(&[42]).expect("not empty");
        match gate.admit(&json!({"update_id": 1, "message": raw})) {
            Some(Update::Message(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    fn picture(path: &str) -> Part {
        Part { path: Some(path.into()), what: "Picture".into(), image: true, words: None }
    }

    #[test]
    fn a_prompt_says_what_it_answers_what_is_forwarded_and_where_its_files_are() {
        let claude = json!({"from": {"is_bot": true}, "text": "Which one?"});
        let reply = message(&json!({"text": "the second", "reply_to_message": claude}));
        let command = message(&json!({"text": "/review", "reply_to_message": claude}));
        let origin = json!({"type": "hidden_user", "sender_user_name": "Bo"});
        let forwarded = message(&json!({"text": "It\n\nfails", "forward_origin": origin}));
        let photo = json!([{"file_id": "a"}]);
        let album = [
            (message(&json!({"photo": photo, "caption": "compare"})), Some(picture("/u/1.jpg"))),
            (message(&json!({"photo": photo})), Some(picture("/u/2.jpg"))),
        ];
        let voice = Part { words: Some("do it".into()), what: "Voice message".into(), ..Part::default() };
        let shown = [
            compose(&[(reply, None)]),
            compose(&[(command, None)]),
            compose(&[(forwarded, None), (message(&json!({"text": "why?"})), None)]),
            compose(&album),
            compose(&[(message(&json!({"voice": {"file_id": "v"}})), Some(voice))]),
        ];
        assert_eq!(shown[3].images.len(), 2);
        insta::assert_snapshot!(shown.map(|composed| composed.text).join("\n=====\n"));
    }

    #[test]
    fn a_split_text_is_one_text_again() {
        let parts = ["a".repeat(4_096), "b".to_owned()].map(|text| (message(&json!({"text": text})), None));
        assert_eq!(compose(&parts).text, format!("{}\nb", "a".repeat(4_096)));
    }
}
