//! The transcripts that Claude Code keeps of its sessions, also of those made in a terminal.

use std::path::{Path, PathBuf};

use carcin_proto::SessionId;
use carcin_proto::request::{RecentText, SessionSummary};

/// The transcripts under one configuration directory of Claude Code's.
#[derive(Debug, Clone)]
pub struct Transcripts {
    projects: PathBuf,
}

/// What the beginning of a session's id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This session.
    One(SessionId),
    /// More than one; some of them.
    Many(Vec<SessionId>),
    /// None.
    None,
}

impl Transcripts {
    /// Those under `config`, which is `$CLAUDE_CONFIG_DIR`, else `~/.claude`.
    pub fn new(config: &Path) -> Self {
        Self { projects: config.join("projects") }
    }

    /// The transcript of a session, if there is one.
    pub fn path(&self, session: &SessionId) -> Option<PathBuf> {
        let _ = (&self.projects, session);
        None
    }

    /// The sessions, latest first. `conversation` of each is `None`.
    pub fn list(&self, offset: usize, limit: usize) -> Vec<SessionSummary> {
        let _ = (offset, limit);
        Vec::new()
    }

    /// The sessions whose id begins with `prefix`.
    pub fn find(&self, prefix: &str) -> Found {
        let _ = prefix;
        Found::None
    }

    /// Where a session worked, as its transcript tells.
    pub fn cwd(&self, session: &SessionId) -> Option<PathBuf> {
        let _ = session;
        None
    }

    /// The last `limit` texts of Claude's in a session, oldest first.
    pub fn recent_texts(&self, session: &SessionId, limit: usize) -> Vec<RecentText> {
        let _ = (session, limit);
        Vec::new()
    }
}

/// Where Claude Code keeps its configuration, from the environment: `None` if there is no home.
pub fn config_dir(env: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    set("CLAUDE_CONFIG_DIR")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".claude")))
}
