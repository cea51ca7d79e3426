//! One prompt out of messages: what they say, what they quote, which files came with them.

use std::path::{Path, PathBuf};

use super::cut::removed_at_cut;
use crate::markdown::{MESSAGE_LIMIT, utf16_len};
use crate::store::bundle::Part;
use crate::store::inbox::Composed;
use crate::update::{Content, Message, quoted};

/// The most messages with text that go as they are, unless they are short; more go as a file.
const MOST_TEXTS: usize = 20;
/// So much text, in bytes, is short in however many messages.
const SHORT: usize = 32 << 10;
/// The most text, in bytes, that goes as it is: so many messages of any script, and far from the longest line that Claude
/// can be given.
const MOST_TEXT: usize = 256 << 10;
/// The most pictures that Claude is shown at once: the Messages API is stricter beyond. It can look at the others by itself.
const MOST_IMAGES: usize = 20;
/// How much of a text that goes as a file is said of its beginning and of its end, in characters: what is to be done with it
/// stands there.
const EXCERPT: usize = 1_000;

/// What messages say together.
#[derive(Debug, Default)]
pub(super) struct Letter {
    blocks: Vec<Block>,
    images: Vec<PathBuf>,
    texts: usize,
}

#[derive(Debug)]
enum Block {
    /// Words.
    Said(String),
    /// A file.
    File(PathBuf, String),
    /// A file that could not be had; why.
    Missing(String),
}

/// Bare text of one or of several messages that belong together.
#[derive(Debug)]
struct Passage {
    text: String,
    /// The last piece of it, where the next one may go on with it.
    last: String,
    quote: Option<String>,
    forwarded: Option<String>,
}

impl Letter {
    /// What these messages say, in their order.
    pub(super) fn of(messages: &[(Message, Option<Part>)]) -> Self {
        let mut letter = Self::default();
        let mut passage: Option<Passage> = None;
        let mut origin: Option<&str> = None;
        for (message, part) in messages {
            let said = words(message, part.as_ref());
            letter.texts += usize::from(!said.trim().is_empty());
            let quote = message.quote.as_ref().map(crate::update::Quote::render);
            if let Content::Text(text) = &message.content {
                match &mut passage {
                    Some(passage) if passage.goes_on_with(message, quote.as_ref()) => passage.append(text),
                    _ => {
                        letter.close(passage.take());
                        passage = Some(Passage::begin(text, quote, message.forwarded.clone()));
                    }
                }
            } else {
                letter.close(passage.take());
                // The origin of an album is not said with each of its pictures.
                let again = said.trim().is_empty() && origin == message.forwarded.as_deref();
                let forwarded = message.forwarded.clone().filter(|_| !again);
                letter.close(Some(Passage { text: said, last: String::new(), quote, forwarded }));
            }
            origin = message.forwarded.as_deref();
            if let Some(part) = part {
                letter.close(passage.take());
                letter.attach(part);
            }
        }
        letter.close(passage);
        letter
    }

    fn close(&mut self, passage: Option<Passage>) {
        let Some(said) = passage.map(Passage::render).filter(|said| !said.is_empty()) else { return };
        self.blocks.push(Block::Said(said));
    }

    fn attach(&mut self, part: &Part) {
        match &part.path {
            Some(path) => {
                self.blocks.push(Block::File(path.clone(), part.what.clone()));
                if part.image && self.images.len() < MOST_IMAGES {
                    self.images.push(path.clone());
                }
            }
            None if part.missing => self.blocks.push(Block::Missing(part.what.clone())),
            None => {}
        }
    }

    /// Whether there is nothing to be worked on.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.iter().all(|block| matches!(block, Block::Missing(_)))
    }

    /// Whether it is too long to be given to Claude as it is.
    pub(super) fn is_long(&self) -> bool {
        let bytes: usize = self.said().map(str::len).sum();
        bytes > MOST_TEXT || (self.texts > MOST_TEXTS && bytes > SHORT)
    }

    /// All that is said.
    pub(super) fn all_said(&self) -> String {
        self.said().collect::<Vec<_>>().join("\n\n")
    }

    fn said(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Said(said) => Some(said.as_str()),
            Block::File(..) | Block::Missing(_) => None,
        })
    }

    /// The prompt with all that is said in it.
    pub(super) fn whole(&self) -> Composed {
        let lines = self.blocks.iter().map(|block| match block {
            Block::Said(said) => said.clone(),
            Block::File(path, what) => line(what, path),
            Block::Missing(what) => format!("[{what}]"),
        });
        self.composed(&lines.collect::<Vec<_>>(), None)
    }

    /// The prompt that says where all that is said stands.
    pub(super) fn beside(&self, file: &Path) -> Composed {
        let all = self.all_said();
        let mut lines = vec![
            format!(
                "My message is too long to be given as it is ({} characters). All of it is in a file: read that first.",
                all.chars().count()
            ),
            line("Attached text", file),
            format!("It begins with:\n{}", quoted(&beginning(&all))),
            format!("It ends with:\n{}", quoted(&ending(&all))),
        ];
        lines.extend(self.blocks.iter().filter_map(|block| match block {
            Block::Said(_) => None,
            Block::File(path, what) => Some(line(what, path)),
            Block::Missing(what) => Some(format!("[{what}]")),
        }));
        self.composed(&lines, Some(file))
    }

    fn composed(&self, lines: &[String], more: Option<&Path>) -> Composed {
        let named = self.blocks.iter().filter_map(|block| match block {
            Block::File(path, _) => Some(path.clone()),
            Block::Said(_) | Block::Missing(_) => None,
        });
        Composed {
            text: lines.join("\n\n"),
            images: self.images.clone(),
            files: more.map(Path::to_owned).into_iter().chain(named).collect(),
            ..Composed::default()
        }
    }
}

impl Passage {
    fn begin(text: &str, quote: Option<String>, forwarded: Option<String>) -> Self {
        Self { text: text.to_owned(), last: text.to_owned(), quote, forwarded }
    }

    /// Whether the message goes on with the same text.
    fn goes_on_with(&self, message: &Message, quote: Option<&String>) -> bool {
        let is_split = utf16_len(&self.last) > MESSAGE_LIMIT / 2;
        if self.forwarded != message.forwarded || (self.forwarded.is_some() && !is_split) {
            return false;
        }
        // Clients that split an answer say of each piece what it answers.
        quote.is_none_or(|quote| self.quote.as_ref() == Some(quote))
    }

    fn append(&mut self, text: &str) {
        self.text.push_str(removed_at_cut(&self.last, text));
        self.text.push_str(text);
        text.clone_into(&mut self.last);
    }

    fn render(self) -> String {
        let said = self.text.trim();
        if let Some(from) = self.forwarded {
            let forwarded = format!("Forwarded from {from}:");
            return if said.is_empty() { forwarded } else { format!("{forwarded}\n{}", quoted(said)) };
        }
        match self.quote {
            // Claude knows its commands only at the beginning.
            Some(quote) if !said.starts_with('/') => format!("{quote}\n\n{said}").trim_end().to_owned(),
            _ => said.to_owned(),
        }
    }
}

/// The text that messages are together, if they are nothing but text that somebody wrote here.
pub(super) fn one_text(messages: &[(Message, Option<Part>)]) -> Option<String> {
    let mut passage: Option<Passage> = None;
    for (message, part) in messages {
        let (Content::Text(text), None, None) = (&message.content, &message.forwarded, part) else {
            return None;
        };
        match &mut passage {
            Some(passage) => passage.append(text),
            None => passage = Some(Passage::begin(text, None, None)),
        }
    }
    passage.map(|passage| passage.text)
}

/// The words of a message, with those of its recording.
fn words(message: &Message, part: Option<&Part>) -> String {
    match (&message.content, part.and_then(|part| part.words.as_ref())) {
        (Content::File(file), Some(words)) if file.caption.is_empty() => words.clone(),
        (Content::File(file), Some(words)) => format!("{}\n\n{words}", file.caption),
        (content, _) => content.words().to_owned(),
    }
}

fn line(what: &str, path: &Path) -> String {
    format!("[{what}: {}]", path.display())
}

fn beginning(text: &str) -> String {
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(EXCERPT).collect();
    if chars.next().is_some() { format!("{head}…") } else { head }
}

fn ending(text: &str) -> String {
    match text.char_indices().rev().nth(EXCERPT - 1) {
        Some((start, _)) if start > 0 => format!("…{}", &text[start..]),
        _ => text.to_owned(),
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
        Part { path: Some(path.into()), what: "Picture".into(), image: true, ..Part::default() }
    }

    fn compose(messages: &[(Message, Option<Part>)]) -> Composed {
        Letter::of(messages).whole()
    }

    fn texts(texts: &[&str]) -> Vec<(Message, Option<Part>)> {
        texts.iter().map(|text| (message(&json!({"text": text})), None)).collect()
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
    fn several_captions_voices_and_quotes_of_a_burst_keep_their_places() {
        let photo = json!([{"file_id": "a"}]);
        let origin = json!({"type": "hidden_user", "sender_user_name": "Bo"});
        let claude = json!({"from": {"is_bot": true}, "text": "Which one?"});
        let voice = Part { words: Some("and do it".into()), what: "Voice message".into(), ..Part::default() };
        let missing = Part { what: "disk.img is missing here".into(), missing: true, ..Part::default() };
        let captions = [
            (message(&json!({"photo": photo, "caption": "before"})), Some(picture("/u/1.jpg"))),
            (message(&json!({"document": {"file_id": "d"}})), Some(missing.clone())),
            (message(&json!({"photo": photo, "caption": "after"})), Some(picture("/u/2.jpg"))),
            (message(&json!({"voice": {"file_id": "v"}})), Some(voice)),
        ];
        let answer = json!({"photo": photo, "caption": "this one", "reply_to_message": claude});
        let album = ["look", "", ""].map(|caption| {
            let part = Some(picture("/u/3.jpg"));
            (message(&json!({"photo": photo, "caption": caption, "forward_origin": origin})), part)
        });
        let shown =
            [compose(&captions), compose(&[(message(&answer), Some(picture("/u/4.jpg")))]), compose(&album)];
        insta::assert_snapshot!(shown.map(|composed| composed.text).join("\n=====\n"));
        assert!(Letter::of(&[(message(&json!({"document": {"file_id": "d"}})), Some(missing))]).is_empty());
    }

    #[test]
    fn a_split_text_is_one_text_again() {
        let cut = "a".repeat(4_096);
        assert_eq!(compose(&texts(&[&cut, "b"])).text, format!("{cut}b"));
        assert_eq!(compose(&texts(&["one", "two"])).text, "one\ntwo");
    }

    #[test]
    fn a_split_answer_and_a_split_forward_are_one_too() {
        let claude = json!({"from": {"is_bot": true}, "text": "Which one?"});
        let cut = "a".repeat(4_096);
        let piece = |text: &str| (message(&json!({"text": text, "reply_to_message": claude})), None);
        let quote = "In reply to what you wrote:\n> Which one?\n\n";
        assert_eq!(compose(&[piece(&cut), piece("b")]).text, format!("{quote}{cut}b"));
        let all = [piece(&cut), (message(&json!({"text": "b"})), None)];
        assert_eq!(compose(&all).text, format!("{quote}{cut}b"));
        let origin = json!({"type": "hidden_user", "sender_user_name": "Bo"});
        let piece = |text: &str| (message(&json!({"text": text, "forward_origin": origin})), None);
        assert_eq!(compose(&[piece(&cut), piece("b")]).text, format!("Forwarded from Bo:\n> {cut}b"));
    }

    #[test]
    fn more_than_fits_goes_as_a_file_with_its_beginning_and_its_end() {
        let cjk = "漢".repeat(4_096);
        assert!(!Letter::of(&texts(&[&*cjk; 20])).is_long(), "twenty of any script go as they are");
        assert!(!Letter::of(&texts(&["a short one"; 200])).is_long(), "and any number of short ones");
        let head = format!("Here is the log:\n{}", "x".repeat(4_079));
        let mut pieces = vec![head.as_str(); 1];
        pieces.extend([cjk.as_str(); 20]);
        pieces.push("What is wrong?");
        let mut messages = texts(&pieces);
        messages.push((message(&json!({"photo": [{"file_id": "a"}]})), Some(picture("/u/1.jpg"))));
        let letter = Letter::of(&messages);
        assert!(letter.is_long());
        assert_eq!(letter.all_said(), format!("{head}{}What is wrong?", cjk.repeat(20)));
        let composed = letter.beside(Path::new("/u/7-text.txt"));
        assert!(composed.text.len() < 12_000, "{} bytes", composed.text.len());
        for part in
            ["[Attached text: /u/7-text.txt]", "> Here is the log:", "What is wrong?", "[Picture: /u/1.jpg]"]
        {
            assert!(composed.text.contains(part), "{part}: {}", composed.text);
        }
        let files = ["/u/7-text.txt", "/u/1.jpg"].map(PathBuf::from);
        assert_eq!((composed.files, composed.images.len()), (files.to_vec(), 1));
    }

    #[test]
    fn pictures_that_are_too_many_are_named_alone() {
        let photo = json!({"photo": [{"file_id": "a"}]});
        let many: Vec<_> =
            (0..30).map(|n| (message(&photo), Some(picture(&format!("/u/{n}.jpg"))))).collect();
        let composed = compose(&many);
        assert_eq!((composed.images.len(), composed.files.len()), (20, 30));
    }
}
