//! What all conversations share and none changes: the store, the places, and how a Claude is started.

use std::path::PathBuf;

use carcin_proto::{ConversationKey, SessionId};
use tokio::sync::watch;
use uuid::Uuid;

use super::abilities::SharedAbilities;
use super::machine::Patience;
use crate::child::{ChildDir, Launcher, Limits, Spec};
use crate::claude::launch::{Launch, SessionArg, Surroundings, environment, environment_hash};
use crate::claude::transcripts::{OpenSession, Transcripts};
use crate::process_stat::ancestors;
use crate::rows::ConversationRow;
use crate::store::Store;

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
    /// What Claude offers to choose from.
    pub abilities: SharedAbilities,
    /// Whether the disk is so full that nothing may be begun.
    pub short_of_space: watch::Receiver<bool>,
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
        Spec {
            argv: launch.argv(),
            env: self.environment(key),
            cwd: row.cwd.clone(),
            limits: self.limits.clone(),
            marker: generation.to_string(),
        }
    }
}

impl Site {
    fn environment(&self, key: &ConversationKey) -> Vec<(String, String)> {
        let surroundings =
            Surroundings { socket: &self.socket, conversation: key, idle_exit: self.patience.idle_exit };
        let inherited = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut env = environment(inherited, &surroundings);
        env.push(("CARCIN_CTL".to_owned(), self.ctl.display().to_string()));
        env
    }

    /// A hash of the environment that a Claude of this conversation gets.
    pub(super) fn environment_hash(&self, key: &ConversationKey) -> String {
        environment_hash(&self.environment(key))
    }

    /// The sessions that are open in a Claude Code that is none of ours. Blocking.
    pub fn open_elsewhere(&self) -> Vec<OpenSession> {
        let mut open = self.transcripts.open_sessions();
        let ours = ChildDir::living(&self.state_dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot tell which Claudes are ours");
            Vec::new()
        });
        let with_file: Vec<u32> = open.iter().map(|open| open.pid).collect();
        open.retain(|open| !is_ours(open.pid, &ours, &with_file));
        open
    }

    /// Whether a Claude may be started like this: not on a session that another process has open, unless the user
    /// took it over from that one. Two processes on a session fork its transcript. Blocking.
    pub(super) fn check_not_open_elsewhere(
        &self,
        row: &ConversationRow,
        session: &SessionArg,
    ) -> Result<(), String> {
        let SessionArg::Resume(session) = session else { return Ok(()) };
        let taken =
            |open: &OpenSession| open.session == *session && !row.taken_over.contains(&open.process());
        match self.open_elsewhere().into_iter().find(taken) {
            None => Ok(()),
            Some(open) => Err(format!(
                "its session is open {}. Close it there and send the prompt again; or begin a new session; or \
                 take this one over: `carcin-ctl resume {} --force`",
                open.place(),
                short(session)
            )),
        }
    }
}

/// Whether a process with a session is one of our children, or what one of our children is the wrapper of. What
/// Claude's tools have started is not.
fn is_ours(pid: u32, ours: &[u32], with_session: &[u32]) -> bool {
    let way = ancestors(pid).map_while(Result::ok);
    way.take_while(|at| *at == pid || !with_session.contains(at)).any(|at| ours.contains(&at))
}

/// The beginning of an id, as it is shown and taken.
fn short(session: &SessionId) -> &str {
    let id = session.as_str();
    &id[..id.floor_char_boundary(8)]
}
