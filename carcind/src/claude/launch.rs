//! How Claude is started: its arguments and its environment.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use carcin_proto::{ConversationKey, SessionId, paths};

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

/// The stream-json in both directions, every event of it, and every question to us.
const PROTOCOL: &[&str] = &[
    "-p",
    "--input-format=stream-json",
    "--output-format=stream-json",
    "--verbose",
    "--include-partial-messages",
    "--replay-user-messages",
    "--permission-prompt-tool=stdio",
];

impl Launch {
    /// The program and its arguments. A path that is not Unicode is given as near as it can be.
    ///
    /// Each value is joined to its option by `=`, so that none that begins with `-` is taken for another option.
    pub fn argv(&self) -> Vec<String> {
        let mut argv = vec![self.claude.to_string_lossy().into_owned()];
        argv.extend(PROTOCOL.iter().map(ToString::to_string));
        let (option, session) = match &self.session {
            SessionArg::New(session) => ("--session-id", session),
            SessionArg::Resume(session) => ("--resume", session),
        };
        argv.push(format!("{option}={session}"));
        let single = [
            ("--model", &self.model),
            ("--effort", &self.effort),
            ("--permission-mode", &self.permission_mode),
            ("--settings", &self.settings),
            ("--append-system-prompt", &self.append_system_prompt),
        ];
        argv.extend(
            single.into_iter().filter_map(|(option, value)| Some(format!("{option}={}", value.as_ref()?))),
        );
        argv.extend(self.plugin_dirs.iter().map(|dir| format!("--plugin-dir={}", dir.display())));
        argv.extend(self.add_dirs.iter().map(|dir| format!("--add-dir={}", dir.display())));
        argv
    }
}

/// The session that [`Launch::argv`] names.
pub fn session_of(argv: &[String]) -> Option<SessionId> {
    let named = |argument: &String| {
        let session =
            argument.strip_prefix("--session-id=").or_else(|| argument.strip_prefix("--resume="))?;
        SessionId::new(session).ok()
    };
    argv.iter().find_map(named)
}

/// The variable that names the conversation.
pub const CONVERSATION: &str = "CARCIN_CONVERSATION";

/// What Carcin adds to Claude's environment.
#[derive(Debug, Clone)]
pub struct Surroundings<'a> {
    /// The daemon's socket, for `carcin-ctl` in a tool or a hook.
    pub socket: &'a Path,
    /// The conversation that this Claude serves, for the same.
    pub conversation: &'a ConversationKey,
    /// How long after its last activity Claude ends by itself. It waits for background work, and never ends in
    /// a tool or with a question open.
    pub idle_exit: Duration,
}

/// Secret to Carcin: Claude and its tools must not see them.
const SECRET: &[&str] =
    &["TELEGRAM_BOT_TOKEN", "TELEGRAM_BOT_TOKEN_FILE", "ALLOWED_USER_IDS", "CREDENTIALS_DIRECTORY"];

/// What the service manager tells the daemon about the daemon, and what a Claude that started the daemon told about
/// itself: of Claude it is not true.
const NOT_CLAUDES: &[&str] = &[
    "NOTIFY_SOCKET",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MAINPID",
    "MAINPIDFDID",
    "MANAGERPID",
    "SYSTEMD_EXEC_PID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "FDSTORE",
    "STATE_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "CACHE_DIRECTORY",
    "LOGS_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_SSE_PORT",
];

/// Would have Claude go on by itself with what was interrupted. Whether that is run again, Carcin asks.
const NOT_ASKED: &str = "CLAUDE_CODE_RESUME_INTERRUPTED_TURN";

/// Claude's environment: what the daemon inherited, less what is secret to Carcin or only the daemon's, plus
/// what Carcin needs of Claude. Each name comes once.
pub fn environment(
    inherited: impl IntoIterator<Item = (String, String)>,
    surroundings: &Surroundings<'_>,
) -> Vec<(String, String)> {
    let ours = [
        // The end of a turn is told, not guessed.
        ("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1".to_owned()),
        // The newest models have no todo tools without it.
        ("CLAUDE_CODE_ENABLE_TODO_TOOLS", "1".to_owned()),
        // Why it cannot start is told on stdout too.
        ("CLAUDE_CODE_STARTUP_FAILURE_RESULTS", "1".to_owned()),
        ("CLAUDE_CODE_EXIT_AFTER_STOP_DELAY", surroundings.idle_exit.as_millis().to_string()),
        (paths::SOCKET, surroundings.socket.to_string_lossy().into_owned()),
        (CONVERSATION, surroundings.conversation.to_string()),
    ];
    let dropped = |name: &str| {
        SECRET.contains(&name)
            || NOT_CLAUDES.contains(&name)
            || name == NOT_ASKED
            || ours.iter().any(|(our, _)| *our == name)
    };
    let mut environment: Vec<_> = inherited.into_iter().filter(|(name, _)| !dropped(name)).collect();
    environment.extend(ours.into_iter().map(|(name, value)| (name.to_owned(), value)));
    environment
}

/// What each shell sets anew, and no Claude depends on.
const BOOKKEEPING: &[&str] = &["_", "SHLVL", "PWD", "OLDPWD"];
/// How the names of Carcin's own variables begin. What they tell the daemon is nothing to Claude.
const OWN: &str = "CARCIN_";

/// A hash by which two environments can be told apart without storing what is in them. Another version of Carcin may
/// hash differently.
pub fn environment_hash(environment: &[(String, String)]) -> String {
    let counts = |name: &str| {
        let given = [paths::SOCKET, CONVERSATION].contains(&name);
        !BOOKKEEPING.contains(&name) && (given || !name.starts_with(OWN))
    };
    let mut kept: Vec<_> = environment.iter().filter(|(name, _)| counts(name)).collect();
    kept.sort();
    let mut hasher = DefaultHasher::new();
    kept.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
