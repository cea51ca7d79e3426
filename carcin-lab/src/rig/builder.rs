//! What a rig can be told before it starts.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use super::Rig;
use crate::telegram::LabConfig;

/// The variable that names the real Claude Code.
pub const REAL_CLAUDE_ENV: &str = "CARCIN_REAL_CLAUDE";

/// Which Claude the daemon starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claude {
    /// The real Claude Code, which [`REAL_CLAUDE_ENV`] names, against the model's stand-in.
    Real,
    /// The scripted one.
    Scripted,
    /// Whatever is there, or is not there.
    Path(PathBuf),
}

impl Claude {
    pub(super) fn path(&self, programs: &std::path::Path) -> anyhow::Result<PathBuf> {
        match self {
            Self::Real => std::env::var_os(REAL_CLAUDE_ENV).map(PathBuf::from).with_context(|| {
                format!("{REAL_CLAUDE_ENV} is not set\nhint: set it to the path of the real claude")
            }),
            Self::Scripted => Ok(programs.join("carcin-lab-claude")),
            Self::Path(path) => Ok(path.clone()),
        }
    }
}

/// How a rig is set up.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // each is a choice of its own
pub struct Builder {
    pub(super) claude: Claude,
    pub(super) permission_mode: Option<String>,
    pub(super) idle_exit: Option<Duration>,
    pub(super) keep_events: Option<u64>,
    pub(super) patience: Option<(Duration, Duration)>,
    pub(super) front: bool,
    pub(super) telegram: LabConfig,
    pub(super) environment: Vec<(String, String)>,
    pub(super) inherit: bool,
    pub(super) slow_start: bool,
    pub(super) plugin_dir: Option<PathBuf>,
    pub(super) limits: String,
    pub(super) state: Option<PathBuf>,
    pub(super) faults: bool,
    pub(super) mcp_server: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            claude: Claude::Scripted,
            permission_mode: None,
            idle_exit: None,
            keep_events: None,
            patience: None,
            front: false,
            telegram: LabConfig::default(),
            environment: Vec::new(),
            inherit: false,
            slow_start: false,
            plugin_dir: None,
            limits: String::new(),
            state: None,
            faults: false,
            mcp_server: false,
        }
    }
}

impl Builder {
    /// Which Claude; the scripted one unless told.
    #[must_use]
    pub fn claude(mut self, claude: Claude) -> Self {
        self.claude = claude;
        self
    }

    /// Claude's permission mode; its own default unless told.
    #[must_use]
    pub fn permission_mode(mut self, mode: &str) -> Self {
        self.permission_mode = Some(mode.to_owned());
        self
    }

    /// How long an idle Claude is kept.
    #[must_use]
    pub fn idle_exit(mut self, after: Duration) -> Self {
        self.idle_exit = Some(after);
        self
    }

    /// How many of the last events the journal keeps.
    #[must_use]
    pub fn keep_events(mut self, keep: u64) -> Self {
        self.keep_events = Some(keep);
        self
    }

    /// After how long a silence Claude is asked for a sign of life, and after how long without one it is ended;
    /// zero is never.
    #[must_use]
    pub fn patience(mut self, quiet: Duration, hung: Duration) -> Self {
        self.patience = Some((quiet, hung));
        self
    }

    /// Starts `carcin-tg` too.
    #[must_use]
    pub fn front(mut self) -> Self {
        self.front = true;
        self
    }

    /// How Telegram's stand-in is set up. Its first person owns the bot; there is one unless told.
    #[must_use]
    pub fn telegram(mut self, config: LabConfig) -> Self {
        self.telegram = config;
        self
    }

    /// One more variable for both programs and so for Claude; replaces one of the same name.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the programs in this process's own environment, with its `HOME`: the real Claude then runs with the
    /// user's login and asks the model itself.
    #[must_use]
    pub fn own_environment(mut self) -> Self {
        self.inherit = true;
        self
    }

    /// Every Claude waits in its start, with its process there, until [`Rig::let_start`].
    #[must_use]
    pub fn slow_start(mut self) -> Self {
        self.slow_start = true;
        self
    }

    /// A plugin, or a folder of skills, that every Claude loads.
    #[must_use]
    pub fn plugin_dir(mut self, dir: PathBuf) -> Self {
        self.plugin_dir = Some(dir);
        self
    }

    /// The lines of the daemon's `[limits]`.
    #[must_use]
    pub fn limits(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.limits);
        self
    }

    /// Where the state directory is, instead of with the rest.
    #[must_use]
    pub fn state(mut self, dir: &std::path::Path) -> Self {
        self.state = Some(dir.to_owned());
        self
    }

    /// Starts the daemon that has fault points, see [`Rig::arm`].
    #[must_use]
    pub fn faults(mut self) -> Self {
        self.faults = true;
        self
    }

    /// The real Claude can ask by `!form` and `!link` too; the scripted one always can.
    #[must_use]
    pub fn mcp_server(mut self) -> Self {
        self.mcp_server = true;
        self
    }

    /// Builds the programs if need be and starts everything; returns when all of it is ready.
    pub async fn start(self) -> anyhow::Result<Rig> {
        Rig::start(Box::new(self)).await
    }
}
