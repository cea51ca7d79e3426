//! The transcripts that Claude Code keeps of its sessions, also of those made in a terminal.
//!
//! `<config>/projects/<folder>/<session>.jsonl`. A session is looked up by its id in every folder: how Claude Code
//! derives a folder's name from a path is its own affair. Of a transcript only the beginning and the end are read.

mod lines;
mod time;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use carcin_proto::request::{RecentText, SessionSummary};
use carcin_proto::{Millis, SessionId};

use lines::Digest;

/// How many sessions a prefix may name before the rest is left out.
const MAX_FOUND: usize = 10;

/// The transcripts under one configuration directory of Claude Code's.
#[derive(Debug, Clone)]
pub struct Transcripts {
    projects: PathBuf,
}

/// What is known of a session by its transcript, and so how to start Claude on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// There is no transcript: the id can be used for a new session.
    No,
    /// There is one without a message: Claude neither resumes it nor takes its id. Use another id.
    Unusable,
    /// There is one with messages: it can be resumed.
    Yes(PathBuf),
}

/// What the beginning of a session's id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This session.
    One(SessionId),
    /// More than one; the latest ten of them.
    Many(Vec<SessionId>),
    /// None.
    None,
}

/// A transcript as its directory shows it.
struct Entry {
    session: SessionId,
    path: PathBuf,
    modified: SystemTime,
    size: u64,
}

impl Transcripts {
    /// Those under `config`, see [`config_dir`].
    pub fn new(config: &Path) -> Self {
        Self { projects: config.join("projects") }
    }

    /// What is known of a session.
    pub fn known(&self, session: &SessionId) -> Known {
        match self.entry(session) {
            None => Known::No,
            Some(entry) if Digest::of(&entry.path, entry.size).has_messages => Known::Yes(entry.path),
            Some(_) => Known::Unusable,
        }
    }

    /// The sessions, latest first; those without a message are left out. `conversation` of each is `None`.
    pub fn list(&self, offset: usize, limit: usize) -> Vec<SessionSummary> {
        let mut entries = self.entries();
        entries.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| a.session.cmp(&b.session)));
        let mut seen = HashSet::new();
        let distinct = entries.into_iter().filter(|entry| seen.insert(entry.session.clone()));
        distinct.filter_map(Entry::summary).skip(offset).take(limit).collect()
    }

    /// The sessions whose id begins with `prefix`; an id in full is that one alone.
    pub fn find(&self, prefix: &str) -> Found {
        let mut entries = self.entries();
        entries.retain(|entry| !prefix.is_empty() && entry.session.as_str().starts_with(prefix));
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.modified));
        let mut sessions: Vec<_> = Vec::new();
        for Entry { session, .. } in entries {
            if session.as_str() == prefix {
                return Found::One(session);
            }
            if !sessions.contains(&session) {
                sessions.push(session);
            }
        }
        sessions.truncate(MAX_FOUND);
        match <[_; 1]>::try_from(sessions) {
            Ok([session]) => Found::One(session),
            Err(sessions) if sessions.is_empty() => Found::None,
            Err(sessions) => Found::Many(sessions),
        }
    }

    /// Where a session was begun, as its transcript tells.
    pub fn cwd(&self, session: &SessionId) -> Option<PathBuf> {
        let entry = self.entry(session)?;
        Digest::of(&entry.path, entry.size).cwd.map(PathBuf::from)
    }

    /// What a list says of a session; `None`: it has no transcript with a message in it.
    pub fn summary(&self, session: &SessionId) -> Option<SessionSummary> {
        self.entry(session)?.summary()
    }

    /// The last texts of Claude's own in a session, at most `limit`, oldest first; those that the last mebibyte of
    /// the transcript holds.
    pub fn recent_texts(&self, session: &SessionId, limit: usize) -> Vec<RecentText> {
        self.entry(session)
            .map(|entry| lines::recent_texts(&entry.path, entry.size, limit))
            .unwrap_or_default()
    }

    /// The latest transcript of a session; a copied folder may hold another one.
    fn entry(&self, session: &SessionId) -> Option<Entry> {
        // An id is the name of a file; one that would lead elsewhere is none.
        if session.as_str().contains(['/', '\\']) {
            return None;
        }
        let name = format!("{session}.jsonl");
        let entries = self.folders().into_iter().filter_map(|folder| Entry::at(folder.join(&name)));
        entries.max_by_key(|entry| entry.modified)
    }

    fn entries(&self) -> Vec<Entry> {
        let paths = self.folders().into_iter().flat_map(|folder| children(&folder));
        paths.filter_map(Entry::at).collect()
    }

    fn folders(&self) -> Vec<PathBuf> {
        children(&self.projects)
    }
}

/// Where Claude Code keeps its configuration, by the environment that it gets: `$CLAUDE_CONFIG_DIR`, else
/// `$HOME/.claude`; `None` if neither is set.
pub fn config_dir(env: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    set("CLAUDE_CONFIG_DIR")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".claude")))
}

/// What cannot be read is as if it were not there: a transcript may go while it is looked at.
fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

impl Entry {
    /// `None`: not a session's transcript; those of subagents are called `agent-…`.
    fn at(path: PathBuf) -> Option<Self> {
        if path.extension()? != "jsonl" {
            return None;
        }
        let name = path.file_stem()?.to_str().filter(|name| !name.starts_with("agent-"))?;
        let session = SessionId::new(name).ok()?;
        let meta = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some(Self { session, modified: meta.modified().ok()?, size: meta.len(), path })
    }

    /// `None`: it holds no message.
    fn summary(self) -> Option<SessionSummary> {
        let digest = Digest::of(&self.path, self.size);
        let since = self.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        digest.has_messages.then(|| SessionSummary {
            session: self.session,
            title: digest.title(),
            cwd: digest.cwd.map(PathBuf::from),
            branch: digest.branch,
            modified: Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            size: self.size,
            conversation: None,
        })
    }
}
