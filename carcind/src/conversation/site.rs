//! What all conversations share and none changes: the store, the places, and how a Claude is started.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use carcin_proto::{ConversationKey, Millis};
use uuid::Uuid;

use super::machine::Patience;
use crate::child::{Launcher, Limits, Spec};
use crate::claude::launch::{Launch, SessionArg, Surroundings, environment};
use crate::claude::transcripts::Transcripts;
use crate::store::{ConversationRow, Store};

/// What all conversations share.
#[derive(Debug)]
pub struct Site {
    /// The journal.
    pub store: Store,
    /// The state directory; the children's directories are in it.
    pub state_dir: PathBuf,
    /// Where Claude's tools find the daemon.
    pub socket: PathBuf,
    /// The `claude` program, a path or a name to look up.
    pub claude: PathBuf,
    /// Where a new conversation works.
    pub working_dir: PathBuf,
    /// How children are started.
    pub launcher: Launcher,
    /// What a child may use.
    pub limits: Limits,
    /// The model, where a conversation has none of its own.
    pub model: Option<String>,
    /// The effort, where a conversation has none of its own.
    pub effort: Option<String>,
    /// The permission mode, where a conversation has none of its own.
    pub permission_mode: Option<String>,
    /// Plugins that every Claude loads.
    pub plugin_dirs: Vec<PathBuf>,
    /// Folders that Claude may work in besides its own.
    pub add_dirs: Vec<PathBuf>,
    /// Settings for every Claude, as JSON: the hooks.
    pub settings: Option<String>,
    /// How long Claude may do nothing, or say nothing.
    pub patience: Patience,
    /// `carcin-ctl`, for hooks and tools.
    pub ctl: PathBuf,
    /// The transcripts of this user's Claude Code.
    pub transcripts: Transcripts,
}

impl Site {
    /// How to start the Claude that `row` asks for, in this session.
    pub fn spec(
        &self,
        key: &ConversationKey,
        row: &ConversationRow,
        session: SessionArg,
        generation: Uuid,
    ) -> Spec {
        let wanted = &row.wanted;
        let launch = Launch {
            claude: self.claude.clone(),
            session,
            model: wanted.model.clone().or_else(|| self.model.clone()),
            effort: wanted.effort.clone().or_else(|| self.effort.clone()),
            permission_mode: wanted.permission_mode.clone().or_else(|| self.permission_mode.clone()),
            plugin_dirs: self.plugin_dirs.clone(),
            settings: self.settings.clone(),
            add_dirs: self.add_dirs.clone(),
            append_system_prompt: None,
        };
        let surroundings =
            Surroundings { socket: &self.socket, conversation: key, idle_exit: self.patience.idle_exit };
        let inherited = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut env = environment(inherited, &surroundings);
        env.push(("CARCIN_CTL".to_owned(), self.ctl.display().to_string()));
        Spec {
            argv: launch.argv(),
            env,
            cwd: row.cwd.clone(),
            limits: self.limits.clone(),
            marker: generation.to_string(),
        }
    }
}

/// The wall clock.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Whether `path` is a folder; what to say if it is not.
pub(super) fn check_folder(path: &Path) -> Result<(), String> {
    if path.is_dir() { Ok(()) } else { Err(format!("the folder {} does not exist", path.display())) }
}
