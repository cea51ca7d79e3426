//! How Claude is started: its arguments and its environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use carcin_proto::{ConversationKey, SessionId};

/// A start of Claude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program, a path or a name to look up.
    pub claude: PathBuf,
    /// The session.
    pub session: SessionArg,
    /// The model; `None`: Claude's default.
    pub model: Option<String>,
    /// The effort; `None`: the model's default.
    pub effort: Option<String>,
    /// The permission mode; `None`: Claude's default.
    pub permission_mode: Option<String>,
    /// Directories of plugins to load.
    pub plugin_dirs: Vec<PathBuf>,
    /// Settings as one JSON object, on top of the user's.
    pub settings: Option<String>,
    /// Directories to work in besides the current one.
    pub add_dirs: Vec<PathBuf>,
    /// What is appended to the system prompt.
    pub append_system_prompt: Option<String>,
}

/// Which session. Choose by whether the transcript exists: the wrong one makes Claude exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionArg {
    /// A new one with this id, a UUID.
    New(SessionId),
    /// An earlier one.
    Resume(SessionId),
}

impl Launch {
    /// The program and its arguments.
    pub fn argv(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What Carcin adds to Claude's environment.
#[derive(Debug, Clone)]
pub struct Surroundings<'a> {
    /// The daemon's socket.
    pub socket: &'a Path,
    /// The conversation that this Claude serves.
    pub conversation: &'a ConversationKey,
    /// How long after its last activity Claude ends by itself.
    pub idle_exit: Duration,
}

/// Claude's environment: what the daemon inherited, less what is secret to Carcin or only the daemon's, plus
/// what Carcin needs of Claude.
pub fn environment(
    inherited: impl IntoIterator<Item = (String, String)>,
    surroundings: &Surroundings<'_>,
) -> Vec<(String, String)> {
    let _ = surroundings;
    inherited.into_iter().collect()
}
