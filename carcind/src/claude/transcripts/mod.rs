//! The transcripts that Claude Code keeps of its sessions, also of those made in a terminal.
//!
//! `<config>/projects/<folder>/<session>.jsonl`. A session is looked up by its id in every folder: how Claude Code
//! derives a folder's name from a path is its own affair. Of a transcript only the beginning and the end are read.
//! Which sessions are open now is told by `<config>/sessions`, see [`OpenSession`].
//!
//! All of it blocks: never on a thread of the runtime.

mod lines;
mod open;
mod read;
mod time;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use carcin_proto::SessionId;
use carcin_proto::request::RecentText;
use uuid::Uuid;

pub use lines::Digest;
pub use open::OpenSession;
use read::Reading;
pub use read::WINDOW;

use crate::presence::there;

/// How many sessions a prefix may name before the rest is left out.
const MAX_FOUND: usize = 10;

/// The transcripts under one configuration directory of Claude Code's.
#[derive(Debug, Clone)]
pub struct Transcripts {
    config: PathBuf,
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

/// A transcript as its directory shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The session, as the file is called.
    pub session: SessionId,
    /// The file.
    pub path: PathBuf,
    /// When it was last written.
    pub modified: SystemTime,
    /// Its size in bytes.
    pub size: u64,
    /// Its inode.
    pub inode: u64,
}

impl Transcripts {
    /// Those under `config`, see [`config_dir`].
    pub fn new(config: &Path) -> Self {
        Self { config: config.to_owned() }
    }

    /// What is known of a session. An error: something could not be looked at, and it may be there.
    pub fn known(&self, session: &SessionId) -> io::Result<Known> {
        let (entry, failed) = self.entry(session);
        let known = match entry {
            None => Known::No,
            Some(entry) => match there(entry.digest())? {
                None => Known::No,
                Some((digest, _)) if digest.has_messages => Known::Yes(entry.path),
                Some(_) => Known::Unusable,
            },
        };
        match (known, failed) {
            (Known::No | Known::Unusable, Some(error)) => Err(error),
            (known, _) => Ok(known),
        }
    }

    /// The sessions whose id begins with `prefix`, latest first, at most ten; an id in full is that one alone.
    pub fn find(&self, prefix: &str) -> Vec<Entry> {
        if prefix.is_empty() {
            return Vec::new();
        }
        let paths = self.folders().into_iter().flat_map(|folder| children(&folder));
        let named = |path: &PathBuf| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(prefix))
        };
        let mut entries: Vec<_> = paths.filter(named).filter_map(Entry::at).collect();
        entries.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| a.session.cmp(&b.session)));
        if let Some(exact) = entries.iter().find(|entry| entry.session.as_str() == prefix) {
            return vec![exact.clone()];
        }
        let mut found: Vec<Entry> = Vec::new();
        for entry in entries {
            // A copied folder holds a session once more.
            if !found.iter().any(|found| found.session == entry.session) {
                found.push(entry);
            }
        }
        found.truncate(MAX_FOUND);
        found
    }

    /// The folders that hold transcripts, each with its name.
    pub fn folders(&self) -> Vec<PathBuf> {
        children(&self.config.join("projects"))
    }

    /// The transcripts in a folder.
    pub fn entries(&self, folder: &Path) -> Vec<Entry> {
        children(folder).into_iter().filter_map(Entry::at).collect()
    }

    /// The sessions that a living Claude Code of this machine has open, also our own.
    pub fn open_sessions(&self) -> Vec<OpenSession> {
        open::all(&self.config.join("sessions"))
    }

    /// The latest transcript of a session; a copied folder may hold another one. And why there may be one more.
    fn entry(&self, session: &SessionId) -> (Option<Entry>, Option<io::Error>) {
        // An id is the name of a file; one that would lead elsewhere is none.
        if session.as_str().contains(['/', '\\']) {
            return (None, None);
        }
        let name = format!("{session}.jsonl");
        let (mut latest, mut failed) = (None::<Entry>, None);
        let folders = list(&self.config.join("projects"));
        let folders = folders.map_err(|error| failed = Some(error)).unwrap_or_default();
        for folder in folders {
            match Entry::look(folder.join(&name)) {
                Ok(Some(entry)) if latest.as_ref().is_none_or(|latest| latest.modified <= entry.modified) => {
                    latest = Some(entry);
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
        }
        (latest, failed)
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

/// For lists, in which what cannot be read is as if it were not there.
fn children(folder: &Path) -> Vec<PathBuf> {
    list(folder).unwrap_or_default()
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(entries) = there(fs::read_dir(folder))? else { return Ok(Vec::new()) };
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// The session that a transcript is of, by its name; those of subagents are called `agent-…`.
fn session_of(path: &Path) -> Option<SessionId> {
    if path.extension()? != "jsonl" {
        return None;
    }
    let name = path.file_stem()?.to_str().filter(|name| Uuid::try_parse(name).is_ok())?;
    SessionId::new(name).ok()
}

impl Entry {
    /// For lists: `None`, not a session's transcript, or one that cannot be looked at.
    fn at(path: PathBuf) -> Option<Self> {
        Self::look(path).ok().flatten()
    }

    /// `None`: not a session's transcript.
    fn look(path: PathBuf) -> io::Result<Option<Self>> {
        use std::os::unix::fs::MetadataExt;
        let Some(session) = session_of(&path) else { return Ok(None) };
        let Some(meta) = there(fs::metadata(&path))?.filter(fs::Metadata::is_file) else { return Ok(None) };
        Ok(Some(Self { session, modified: meta.modified()?, size: meta.len(), inode: meta.ino(), path }))
    }

    /// Reads what its beginning and its end tell, and says how many bytes that were.
    pub fn digest(&self) -> io::Result<(Digest, u64)> {
        let reading = Reading::of(&self.path, self.size)?;
        Ok((Digest::of(&reading), reading.bytes()))
    }

    /// The last texts of Claude's own, at most `limit`, oldest first; those that the last 8 MiB of it hold.
    pub fn recent_texts(&self, limit: usize) -> io::Result<Vec<RecentText>> {
        read::recent_texts(&self.path, self.size, limit)
    }

    /// When it was last written, in nanoseconds since 1970.
    pub fn modified_nanos(&self) -> i64 {
        let since = self.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }
}
