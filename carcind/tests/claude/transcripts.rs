//! Transcripts on disk.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use carcin_proto::{Millis, SessionId};
use carcind::claude::transcripts::{Found, Known, Transcripts, config_dir};
use serde_json::{Value, json};
use tempfile::TempDir;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "aaaabbbb-0000-4000-8000-000000000002";
const C: &str = "cccccccc-0000-4000-8000-000000000003";

fn id(id: &str) -> SessionId {
    SessionId::new(id).unwrap()
}

/// A configuration directory.
struct Config(TempDir);

impl Config {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Writes a transcript that was changed `age` seconds after 1970.
    fn write(&self, folder: &str, name: &str, modified: u64, lines: &[Value]) {
        let text: String = lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect();
        self.write_raw(folder, name, modified, text.as_bytes());
    }

    fn write_raw(&self, folder: &str, name: &str, modified: u64, bytes: &[u8]) {
        let folder = self.0.path().join("projects").join(folder);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.jsonl"));
        fs::write(&path, bytes).unwrap();
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(UNIX_EPOCH + Duration::from_secs(modified))
            .unwrap();
    }

    fn transcripts(&self) -> Transcripts {
        Transcripts::new(self.0.path())
    }

    fn titles(&self) -> Vec<String> {
        self.transcripts().list(0, 10).into_iter().map(|summary| summary.title).collect()
    }
}

fn user(text: &str) -> Value {
    json!({ "type": "user", "message": { "role": "user", "content": text }, "cwd": "/home/u/p", "gitBranch": "main" })
}

fn claude(text: &str) -> Value {
    json!({ "type": "assistant", "message": { "model": "m", "content": [{ "type": "text", "text": text }] }, "timestamp": "2026-11-22T12:07:06.122Z", "cwd": "/home/u/p/sub" })
}

#[test]
fn sessions_come_latest_first_from_every_folder() {
    let config = Config::new();
    config.write("-home-u-p", A, 100, &[user("first")]);
    config.write("-home-u-ü", B, 300, &[user("second")]);
    config.write("-home-u-p", C, 200, &[user("third")]);
    config.write("-home-u-p", "agent-x", 400, &[user("a subagent")]);
    fs::write(config.0.path().join("projects/-home-u-p/notes.txt"), "x").unwrap();
    let summaries = config.transcripts().list(0, 10);
    let ids: Vec<_> = summaries.iter().map(|summary| summary.session.as_str()).collect();
    assert_eq!(ids, [B, C, A]);
    let first = &summaries[0];
    assert_eq!(
        (first.title.as_str(), first.modified, first.branch.as_deref()),
        ("second", Millis(300_000), Some("main"))
    );
    assert_eq!(first.cwd.as_deref(), Some(Path::new("/home/u/p")));
    let page: Vec<_> = config.transcripts().list(1, 1).into_iter().map(|summary| summary.title).collect();
    assert_eq!(page, ["third"]);
    assert_eq!(config.transcripts().list(3, 5), []);
}

#[test]
fn no_configuration_is_no_session() {
    let transcripts = Transcripts::new(Path::new("/nonexistent"));
    assert_eq!(transcripts.list(0, 10), []);
    assert_eq!(transcripts.known(&id(A)), Known::No);
    assert_eq!(transcripts.find("a"), Found::None);
    assert_eq!(transcripts.recent_texts(&id(A), 3), []);
}

#[test]
fn a_title_is_the_users_else_claudes_else_the_first_prompt() {
    let config = Config::new();
    let custom = json!({ "type": "custom-title", "customTitle": "Mine", "sessionId": A });
    let made = json!({ "type": "ai-title", "aiTitle": "Made up", "sessionId": A });
    let last = json!({ "type": "last-prompt", "lastPrompt": "last" });
    config.write("p", A, 1, &[user("prompt"), last.clone()]);
    assert_eq!(config.titles(), ["prompt"]);
    config.write("p", A, 1, &[user("prompt"), made.clone(), last.clone()]);
    assert_eq!(config.titles(), ["Made up"]);
    config.write("p", A, 1, &[user("prompt"), custom, made, last]);
    assert_eq!(config.titles(), ["Mine"]);
}

#[test]
fn what_claude_code_says_for_the_user_is_no_title() {
    let config = Config::new();
    let meta = json!({ "type": "user", "isMeta": true, "message": { "content": "meta" } });
    let sidechain = json!({ "type": "user", "isSidechain": true, "message": { "content": "side" } });
    let result =
        json!({ "type": "user", "message": { "content": [{ "type": "tool_result", "content": "x" }] } });
    let command = user("<command-name>/clear</command-name>");
    let output = user("<local-command-stdout>x</local-command-stdout>");
    let blocks = json!({ "type": "user", "message": { "content": [{ "type": "image" }, { "type": "text", "text": "do\nthis" }] } });
    config.write("p", A, 1, &[meta, sidechain, result, command, output, blocks, user("not this")]);
    assert_eq!(config.titles(), ["do this"]);
}

#[test]
fn a_long_transcript_is_read_at_both_ends() {
    let config = Config::new();
    let filler = json!({ "type": "attachment", "text": "x".repeat(300_000) });
    config.write(
        "p",
        A,
        1,
        &[user("the first"), filler.clone(), json!({ "type": "custom-title", "customTitle": "At the end" })],
    );
    assert_eq!(config.titles(), ["At the end"]);
    config.write(
        "p",
        A,
        1,
        &[filler.clone(), filler, user("late"), json!({ "type": "last-prompt", "lastPrompt": "late" })],
    );
    assert_eq!(config.titles(), ["late"]);
}

#[test]
fn a_broken_transcript_is_read_as_far_as_it_can_be() {
    let config = Config::new();
    let mut bytes = b"\xff\xfe\n{\"type\":\nnull\n[1]\n\n".to_vec();
    bytes.extend(user("fine").to_string().into_bytes());
    bytes.extend(b"\n{\"type\":\"user\",\"message\":{\"conte");
    config.write_raw("p", A, 1, &bytes);
    assert_eq!(config.titles(), ["fine"]);
}

#[test]
fn a_transcript_without_a_message_can_neither_be_resumed_nor_begun() {
    let config = Config::new();
    config.write("p", A, 1, &[json!({ "type": "queue-operation", "operation": "enqueue", "content": "hi" })]);
    config.write_raw("p", B, 1, b"");
    config.write("p", C, 1, &[user("hi")]);
    let transcripts = config.transcripts();
    assert_eq!(transcripts.known(&id(A)), Known::Unusable);
    assert_eq!(transcripts.known(&id(B)), Known::Unusable);
    assert_eq!(
        transcripts.known(&id(C)),
        Known::Yes(config.0.path().join("projects/p").join(format!("{C}.jsonl")))
    );
    assert_eq!(config.titles(), ["hi"]);
}

#[test]
fn a_session_is_found_by_the_beginning_of_its_id() {
    let config = Config::new();
    for (name, modified) in [(A, 1), (B, 2), (C, 3)] {
        config.write("p", name, modified, &[user("x")]);
    }
    let transcripts = config.transcripts();
    assert_eq!(transcripts.find("c"), Found::One(id(C)));
    assert_eq!(transcripts.find(A), Found::One(id(A)));
    assert_eq!(transcripts.find("aaaa"), Found::Many(vec![id(B), id(A)]));
    assert_eq!(transcripts.find("x"), Found::None);
    assert_eq!(transcripts.find(""), Found::None);
}

#[test]
fn an_id_cannot_lead_out_of_the_folder() {
    let config = Config::new();
    config.write("p", A, 1, &[user("x")]);
    config.write_raw("../outside", C, 1, user("secret").to_string().as_bytes());
    for name in [format!("../../outside/{C}"), format!("../p/{A}"), "..".to_owned()] {
        assert_eq!(config.transcripts().known(&id(&name)), Known::No, "{name}");
    }
}

#[test]
fn recent_texts_are_claudes_own_oldest_first() {
    let config = Config::new();
    let sidechain = json!({ "type": "assistant", "isSidechain": true, "message": { "content": [{ "type": "text", "text": "side" }] } });
    let error = json!({ "type": "assistant", "isApiErrorMessage": true, "message": { "model": "<synthetic>", "content": "API Error" } });
    let tool = json!({ "type": "assistant", "message": { "content": [{ "type": "tool_use" }] } });
    config.write(
        "p",
        A,
        1,
        &[user("hi"), claude("one"), sidechain, claude("two"), tool, error, claude("three"), user("bye")],
    );
    let texts = config.transcripts().recent_texts(&id(A), 2);
    assert_eq!(texts.iter().map(|text| text.text.as_str()).collect::<Vec<_>>(), ["two", "three"]);
    assert_eq!(texts[0].at, Millis(1_795_349_226_122));
}

#[test]
fn the_configuration_is_where_claude_code_looks() {
    let env = |pairs: &'static [(&str, &str)]| {
        move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    assert_eq!(config_dir(env(&[("HOME", "/h")])).as_deref(), Some(Path::new("/h/.claude")));
    assert_eq!(
        config_dir(env(&[("HOME", "/h"), ("CLAUDE_CONFIG_DIR", "/c")])).as_deref(),
        Some(Path::new("/c"))
    );
    assert_eq!(
        config_dir(env(&[("HOME", "/h"), ("CLAUDE_CONFIG_DIR", "")])).as_deref(),
        Some(Path::new("/h/.claude"))
    );
    assert_eq!(config_dir(env(&[])), None);
}
