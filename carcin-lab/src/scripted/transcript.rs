//! `~/.claude/projects/<folder>/<session id>.jsonl`, in the shape of the real one.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::clock::timestamp;
use super::io::merge;

/// The transcript of one session.
#[derive(Debug)]
pub(super) struct Transcript {
    projects: PathBuf,
    session_id: String,
    cwd: PathBuf,
    branch: String,
    file: Option<File>,
    last: Option<String>,
}

impl Transcript {
    /// Of a session under `home`; the file comes with the first line.
    pub(super) fn new(home: &Path, cwd: &Path, session_id: &str) -> Self {
        let projects = home.join(".claude/projects");
        let branch = branch_of(cwd);
        Self {
            projects,
            session_id: session_id.to_owned(),
            cwd: cwd.to_owned(),
            branch,
            file: None,
            last: None,
        }
    }

    /// The file of a session, in whatever project's folder.
    pub(super) fn find(home: &Path, session_id: &str) -> Option<PathBuf> {
        let folders = fs::read_dir(home.join(".claude/projects")).ok()?;
        folders
            .flatten()
            .map(|folder| folder.path().join(format!("{session_id}.jsonl")))
            .find(|path| path.is_file())
    }

    /// Begins a new file for a session with a new id.
    pub(super) fn reset(&mut self, session_id: &str) {
        session_id.clone_into(&mut self.session_id);
        self.file = None;
        self.last = None;
    }

    /// Where the file is or will be.
    pub(super) fn path(&self) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let folder: String = self.cwd.to_string_lossy().chars().map(plain).collect();
        self.projects.join(folder).join(format!("{}.jsonl", self.session_id))
    }

    /// A message of the user's or of Claude's. `uuid` is the frame's.
    pub(super) fn message(&mut self, kind: &str, uuid: &str, message: &Value, more: Value) {
        let mut line = json!({"parentUuid": self.last, "isSidechain": false, "type": kind, "message": message,
            "uuid": uuid, "timestamp": timestamp(), "userType": "external", "entrypoint": "sdk-cli",
            "cwd": self.cwd, "sessionId": self.session_id, "version": super::VERSION, "gitBranch": self.branch});
        merge(&mut line, more);
        self.last = Some(uuid.to_owned());
        self.write(&line);
    }

    /// The prompt that the session list shows.
    pub(super) fn last_prompt(&mut self, prompt: &str) {
        let line = json!({"type": "last-prompt", "lastPrompt": prompt, "leafUuid": self.last,
            "sessionId": self.session_id});
        self.write(&line);
    }

    fn write(&mut self, line: &Value) {
        if self.file.is_none() {
            let path = self.path();
            if let Some(folder) = path.parent() {
                // A failure shows when the file is opened.
                let _ = fs::create_dir_all(folder);
            }
            self.file = OpenOptions::new().create(true).append(true).open(path).ok();
        }
        if let Some(file) = &mut self.file {
            // As the real CLI, which goes on without a transcript when the disk is full.
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

/// The uuids of prompts in a transcript that a resumed session does not run again: those with any answer behind them, unless they were
/// interrupted.
pub(super) fn answered_prompts(transcript: &str) -> HashSet<String> {
    let mut answered = HashSet::new();
    let mut open: Option<String> = None;
    for line in transcript.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        match line["type"].as_str() {
            Some("user") if line["promptSource"] == "sdk" => open = line["uuid"].as_str().map(str::to_owned),
            Some("assistant") => answered.extend(open.clone()),
            Some("user") if line.to_string().contains("[Request interrupted by user") => {
                if let Some(open) = open.take() {
                    answered.remove(&open);
                }
            }
            _ => {}
        }
    }
    answered
}

/// The branch that is checked out, read from `.git/HEAD`; empty outside a repository.
fn branch_of(cwd: &Path) -> String {
    let head = cwd
        .ancestors()
        .find_map(|folder| fs::read_to_string(folder.join(".git/HEAD")).ok())
        .unwrap_or_default();
    head.trim().strip_prefix("ref: refs/heads/").unwrap_or_default().to_owned()
}
