//! Telegram's own library as the judge of what is sent.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use proptest::{
    arbitrary::any,
    strategy::{BoxedStrategy, Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{MESSAGE_LIMIT, Text, render, split};
use super::{
    answers::ANSWERS,
    corpus::{extensions, specification},
    properties::soup,
};

/// What `tdlib_oracle.py` answers for one text.
#[derive(Debug, Deserialize)]
struct Verdict {
    error: Option<String>,
    #[serde(default)]
    masked: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    entities: Vec<Value>,
    #[serde(default)]
    found: Vec<Found>,
}

/// What Telegram would link by itself.
#[derive(Debug, Deserialize)]
struct Found {
    #[serde(rename = "type")]
    kind: String,
    offset: usize,
    length: usize,
}

/// Asks the judge, which runs under `CARCIN_TDLIB_PYTHON`, by default `python3`.
fn judge(texts: &[Text]) -> Vec<Verdict> {
    let python = std::env::var("CARCIN_TDLIB_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tdlib_oracle.py");
    let mut oracle = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let mut stdin = oracle.stdin.take().expect("stdin is piped");
    let lines: Vec<String> = texts
        .iter()
        .map(|text| json!({ "text": text.text, "entities": text.to_message_entities() }).to_string())
        .collect();
    // The judge answers while it reads, and both pipes are bounded.
    let writer = std::thread::spawn(move || lines.iter().try_for_each(|line| writeln!(stdin, "{line}")));
    let output = oracle.wait_with_output().expect("the oracle ends");
    writer.join().expect("the writer does not panic").expect("the oracle reads everything");
    let answers = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    answers.lines().map(|line| serde_json::from_str(line).expect("a verdict")).collect()
}

/// The entities by kind and place. Telegram cuts and joins styles as it likes, so touching ones of a
/// kind count as one; a link's address is rewritten by it (`/` after the host) and left out.
fn comparable(entities: impl Iterator<Item = Value>) -> Vec<(String, u64, u64)> {
    let field = |entity: &Value, name: &str| entity[name].as_u64().expect("a number");
    let mut spans: Vec<(String, u64, u64)> = entities
        .map(|entity| {
            let kind = format!("{} {}", entity["type"], entity["language"]);
            let start = field(&entity, "offset");
            (kind, start, start + field(&entity, "length"))
        })
        .collect();
    spans.sort();
    spans.dedup_by(|next, last| {
        let touches =
            next.0 == last.0 && next.1 == last.2 && STYLES.iter().any(|style| next.0.starts_with(style));
        if touches {
            last.2 = next.2;
        }
        touches
    });
    spans
}

/// The kinds that Telegram cuts and joins, as JSON strings.
const STYLES: [&str; 3] = ["\"bold\"", "\"italic\"", "\"strikethrough\""];

/// Addresses at the edge of what Telegram accepts; it refuses the whole message for one it does not.
const TARGETS: [&str; 24] = [
    "https://a.b",
    "http://a.b:1/",
    "http://a.b:65535",
    "http://a.b:0/",
    "http://a.b:/",
    "http://1.2.3.4",
    "http://1.2",
    "http://[::1]/",
    "http://[::ffff:1.2.3.4]:80/x",
    "http://[::1",
    "http://a-.b/",
    "http://-a.b/",
    "http://a_b.c_d/",
    "http://ä.ö/ü?ß#€",
    "http://日本.jp",
    "http://a.b/%zz",
    "http://a.b/<x>",
    "http://a.b?q",
    "http://a.b#f",
    "tg://resolve?domain=a",
    "tg://a/b?c=d#e",
    "tg://a.b",
    "tg://x y",
    "https://a.b\\c",
];

/// Texts that are hard to get right.
const HARD: [&str; 8] = [
    "😀",
    "**👩‍💻🇦🇹1️⃣👋🏽**",
    "**שלום** עולם ו`main.rs` *مرحبا*",
    "\u{200f}**a**\u{200e}\u{200b}",
    "e\u{301}\u{323}\u{489} *e\u{301}*\u{301}",
    "\u{200b}**\u{200b}**",
    "[a]: https://a.de",
    "https://a.de/_b_*c* and `\u{feff}x`",
];

/// The corpora, odd links, random Markdown and random strings, as messages of several sizes.
fn messages() -> Vec<Text> {
    const RANDOM: usize = 2000;
    let whole: Vec<String> = specification().into_iter().map(|(_, markdown)| markdown).collect();
    let mut runner = TestRunner::deterministic();
    let samples: Vec<String> = (0..RANDOM)
        .flat_map(|_| {
            let mut sample = |strategy: BoxedStrategy<String>| {
                strategy.new_tree(&mut runner).expect("nothing is rejected").current()
            };
            [sample(soup().boxed()), sample(any::<String>().boxed())]
        })
        .collect();
    let sources = whole
        .iter()
        .cloned()
        .chain([whole.join("\n\n")])
        .chain(ANSWERS.map(str::to_owned))
        .chain(TARGETS.map(|url| format!("[text](<{url}>)")))
        .chain(extensions().into_iter().map(|example| example.markdown))
        .chain(HARD.map(str::to_owned))
        .chain(samples);
    let rendered: Vec<Text> = sources.map(|markdown| render(&markdown)).collect();
    let sizes = [MESSAGE_LIMIT, 50, 7];
    sizes.iter().flat_map(|&limit| rendered.iter().flat_map(move |text| split(text, limit))).collect()
}

#[test]
#[ignore = "needs Python with tdjson, Telegram's own library; see tests/tdlib_oracle.py"]
fn telegram_leaves_messages_as_they_are() {
    let messages = messages();
    let verdicts = judge(&messages);
    assert_eq!(verdicts.len(), messages.len());
    for (message, verdict) in messages.iter().zip(&verdicts) {
        assert_eq!(verdict.error, None, "{message:?}");
        assert_eq!(verdict.text, verdict.masked, "the text was changed: {message:?}");
        let sent = message.to_message_entities();
        let (kept, sent) = (verdict.entities.iter().cloned(), sent.iter().map(|entity| json!(entity)));
        assert_eq!(comparable(kept), comparable(sent), "the entities were changed: {message:?}");
    }
}

#[test]
#[ignore = "needs Python with tdjson, Telegram's own library; see tests/tdlib_oracle.py"]
fn telegram_finds_no_false_links_in_answers() {
    let messages: Vec<Text> =
        ANSWERS.iter().flat_map(|markdown| split(&render(markdown), MESSAGE_LIMIT)).collect();
    for (message, verdict) in messages.iter().zip(judge(&messages)) {
        let units: Vec<u16> = message.text.encode_utf16().collect();
        for found in &verdict.found {
            let covered = message.entities.iter().any(|entity| {
                !matches!(entity.kind, super::super::EntityKind::Bold | super::super::EntityKind::Italic)
                    && entity.offset < found.offset + found.length
                    && found.offset < entity.offset + entity.length
            });
            let word = String::from_utf16_lossy(&units[found.offset..found.offset + found.length]);
            let meant = word.starts_with("http") || word == "example.com" || word.contains("@b.de");
            assert!(covered || meant, "{} {word:?} in {:?}", found.kind, message.text);
        }
    }
}
