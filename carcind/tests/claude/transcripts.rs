//! Transcripts on disk.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use carcin_proto::request::RecentText;
use carcin_proto::{Millis, SessionId};
use carcind::claude::transcripts::{Digest, Entry, Known, Transcripts, WINDOW, config_dir};
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

    /// All transcripts, latest first.
    fn entries(&self) -> Vec<Entry> {
        let transcripts = self.transcripts();
        let folders = transcripts.folders().into_iter();
        let mut entries: Vec<_> = folders.flat_map(|folder| transcripts.entries(&folder)).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.modified));
        entries
    }

    /// The titles of those that are sessions.
    fn titles(&self) -> Vec<String> {
        let digests = self.entries().into_iter().map(|entry| entry.digest().unwrap().0);
        digests.filter(Digest::is_session).map(|digest| digest.title()).collect()
    }

    fn found(&self, prefix: &str) -> Vec<String> {
        self.transcripts().find(prefix).into_iter().map(|entry| entry.session.to_string()).collect()
    }

    fn recent(&self, session: &str, limit: usize) -> Vec<RecentText> {
        self.transcripts().find(session)[0].recent_texts(limit).unwrap()
    }
}

fn user(text: &str) -> Value {
    json!({ "type": "user", "message": { "role": "user", "content": text }, "cwd": "/home/u/p", "gitBranch": "main" })
}

fn claude(text: &str) -> Value {
    json!({ "type": "assistant", "message": { "model": "m", "content": [{ "type": "text", "text": text }] }, "timestamp": "2026-11-22T12:07:06.122Z", "cwd": "/home/u/p/sub" })
}

#[test]
fn the_transcripts_are_in_every_folder() {
    let config = Config::new();
    config.write("-home-u-p", A, 100, &[user("first")]);
    config.write("-home-u-ü", B, 300, &[user("second")]);
    config.write("-home-u-p", C, 200, &[user("third")]);
    config.write("-home-u-p", "agent-x", 400, &[user("a subagent")]);
    config.write("-home-u-p", "notes", 400, &[user("no session")]);
    fs::write(config.0.path().join("projects/-home-u-p/notes.txt"), "x").unwrap();
    let entries = config.entries();
    let ids: Vec<_> = entries.iter().map(|entry| entry.session.as_str()).collect();
    assert_eq!(ids, [B, C, A]);
    let (digest, read) = entries[0].digest().unwrap();
    assert_eq!((digest.title().as_str(), digest.branch.as_deref()), ("second", Some("main")));
    assert_eq!(digest.cwd.as_deref(), Some("/home/u/p"));
    assert_eq!((entries[0].modified_nanos(), read), (300_000_000_000, entries[0].size));
}

#[test]
fn no_configuration_is_no_session() {
    let transcripts = Transcripts::new(Path::new("/nonexistent"));
    assert_eq!(transcripts.folders(), Vec::<std::path::PathBuf>::new());
    assert_eq!(transcripts.known(&id(A)).unwrap(), Known::No);
    assert_eq!(transcripts.find("a"), []);
    assert_eq!(transcripts.open_sessions(), []);
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
    let noise = [
        "<ide_opened_file>x</ide_opened_file>",
        "Caveat: x",
        "[Request interrupted by user]",
        " <tag a='1'>x",
    ];
    // Before the sidechain, or it would be a subagent's.
    let mut lines = vec![meta, sidechain, result, command, output];
    lines.extend(noise.map(user));
    lines.extend([blocks, user("not this")]);
    config.write("p", A, 1, &lines);
    assert_eq!(config.titles(), ["do this"]);
}

#[test]
fn what_looks_like_a_tag_and_is_none_was_typed() {
    for typed in ["<3 this", "< b and c", "<T> is unknown", "<<", "a <b> c", "<br", "[Request for comments]"]
    {
        let config = Config::new();
        config.write("p", A, 1, &[user(typed)]);
        assert_eq!(config.titles(), [typed]);
    }
}

#[test]
fn a_command_is_a_title_where_there_is_nothing_else() {
    let config = Config::new();
    let command = user("<command-name>/compact</command-name>\n<command-message>compact</command-message>");
    config.write("p", A, 1, std::slice::from_ref(&command));
    assert_eq!(config.titles(), ["/compact"]);
    config.write("p", A, 1, &[command, user("<bash-input>ls  -l</bash-input>"), user("later")]);
    assert_eq!(config.titles(), ["! ls -l"]);
}

#[test]
fn a_transcript_of_a_subagent_is_no_session() {
    let config = Config::new();
    let sidechain = json!({ "type": "user", "isSidechain": true, "message": { "content": "explore" } });
    config.write("p", A, 2, &[sidechain.clone(), claude("found")]);
    config.write("p", B, 1, &[user("mine"), sidechain]);
    assert_eq!(config.titles(), ["mine"]);
}

#[test]
fn a_session_that_moved_is_where_it_moved_to() {
    let config = Config::new();
    let moved = json!({ "type": "relocated", "relocatedCwd": "/home/u/worktree" });
    config.write("p", A, 1, &[user("x"), moved, user("y")]);
    let digest = config.entries()[0].digest().unwrap().0;
    assert_eq!(digest.cwd.as_deref(), Some("/home/u/worktree"));
}

#[test]
fn of_a_huge_transcript_little_is_read() {
    let config = Config::new();
    config.write("p", A, 1, &[user("the first")]);
    let path = config.entries()[0].path.clone();
    let mut file = File::options().append(true).open(path).unwrap();
    file.set_len(1 << 40).unwrap();
    let last = [claude("the end"), json!({ "type": "ai-title", "aiTitle": "Huge" })];
    for line in last {
        writeln!(file, "\n{line}").unwrap();
    }
    let entry = config.entries().remove(0);
    let (digest, read) = entry.digest().unwrap();
    assert_eq!((digest.title().as_str(), digest.first_prompt.as_deref()), ("Huge", Some("the first")));
    assert_eq!(read, 2 * WINDOW);
    let texts = config.recent(A, 5);
    assert_eq!(texts.iter().map(|text| text.text.as_str()).collect::<Vec<_>>(), ["the end"]);
}

#[test]
fn recent_texts_behind_much_else_are_found() {
    let config = Config::new();
    let filler = json!({ "type": "attachment", "text": "x".repeat(1_000_000) });
    config.write("p", A, 1, &[claude("one"), filler.clone(), claude("two"), filler, claude("three")]);
    let texts = config.recent(A, 2);
    assert_eq!(texts.iter().map(|text| text.text.as_str()).collect::<Vec<_>>(), ["two", "three"]);
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
    assert_eq!(transcripts.known(&id(A)).unwrap(), Known::Unusable);
    assert_eq!(transcripts.known(&id(B)).unwrap(), Known::Unusable);
    assert_eq!(
        transcripts.known(&id(C)).unwrap(),
        Known::Yes(config.0.path().join("projects/p").join(format!("{C}.jsonl")))
    );
    assert_eq!(config.titles(), ["hi"]);
}

/// Symbolic links that lead to themselves stand for all that cannot be looked at: root too fails on them.
#[test]
fn what_cannot_be_looked_at_is_not_said_to_be_gone() {
    use std::os::unix::fs::symlink;
    let config = Config::new();
    let projects = config.0.path().join("projects");
    symlink("projects", &projects).unwrap();
    config.transcripts().known(&id(A)).unwrap_err();
    fs::remove_file(&projects).unwrap();
    config.write("p", A, 1, &[user("hi")]);
    config.write_raw("p", B, 1, b"");
    symlink(format!("{C}.jsonl"), projects.join("p").join(format!("{C}.jsonl"))).unwrap();
    config.transcripts().known(&id(C)).unwrap_err();
    symlink("locked", projects.join("locked")).unwrap();
    let path = projects.join("p").join(format!("{A}.jsonl"));
    assert_eq!(config.transcripts().known(&id(A)).unwrap(), Known::Yes(path), "what is seen is there");
    config
        .transcripts()
        .known(&id(B))
        .expect_err("the one to go on with may be in the folder that is locked");
}

#[test]
fn a_file_among_the_folders_holds_nothing() {
    let config = Config::new();
    config.write("p", A, 1, &[user("hi")]);
    fs::write(config.0.path().join("projects/notes"), "").unwrap();
    assert_eq!(config.transcripts().known(&id(B)).unwrap(), Known::No);
}

#[test]
fn a_session_is_found_by_the_beginning_of_its_id() {
    let config = Config::new();
    for (name, modified) in [(A, 1), (B, 2), (C, 3)] {
        config.write("p", name, modified, &[user("x")]);
    }
    config.write("copied", A, 4, &[user("x")]);
    assert_eq!(config.found("c"), [C]);
    assert_eq!(config.found(A), [A]);
    assert_eq!(config.found("aaaa"), [A, B], "latest first, and a copied one once");
    assert_eq!(config.found("x"), Vec::<String>::new());
    assert_eq!(config.found(""), Vec::<String>::new());
    assert!(config.transcripts().find(A)[0].path.ends_with(format!("copied/{A}.jsonl")));
}

#[test]
fn an_id_cannot_lead_out_of_the_folder() {
    let config = Config::new();
    config.write("p", A, 1, &[user("x")]);
    config.write_raw("../outside", C, 1, user("secret").to_string().as_bytes());
    for name in [format!("../../outside/{C}"), format!("../p/{A}"), "..".to_owned()] {
        assert_eq!(config.transcripts().known(&id(&name)).unwrap(), Known::No, "{name}");
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
    let texts = config.recent(A, 2);
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
