//! What can be set: flags beat the environment, which beats the file.
#![allow(clippy::doc_markdown, reason = "the doc comments of the flags are what --help prints")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use carcin_proto::paths;
use clap::{Args, Parser, Subcommand};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::child::{Limits, Preference};
use crate::claude::control;
use crate::conversation::Patience;
use crate::daemon::FREE_FLOOR;
use crate::store::{KEEP_AT_LEAST, KEEP_DEFAULT};

/// The command line of `carcind`.
#[derive(Debug, Parser)]
#[command(
    name = "carcind",
    version,
    about = "Supervises Claude Code, so that no task is ever lost",
    long_about = "Supervises Claude Code: conversations, prompts, questions and what Claude prints, behind a Unix \
                  socket. It may be stopped, killed and upgraded at any time; the Claudes go on, and the next \
                  carcind takes them up where they are. `carcin-ctl` talks to it."
)]
pub struct Cli {
    /// What to set.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do instead of running the daemon.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What the daemon's program does for its own children.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Becomes the child that is described in DIR.
    #[command(hide = true)]
    Child {
        /// The child's directory.
        dir: PathBuf,
    },
    /// Records how the child in DIR has ended.
    #[command(hide = true)]
    ChildEnded {
        /// The child's directory.
        dir: PathBuf,
    },
}

/// What can be set by flags and by the environment.
#[derive(Debug, Default, Args)]
pub struct Flags {
    /// The configuration file [default: $XDG_CONFIG_HOME/carcin/config.toml]
    #[arg(long, env = "CARCIN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The socket to listen on [default: $XDG_RUNTIME_DIR/carcin/carcind.sock]
    #[arg(long, env = paths::SOCKET, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Where the journal and Claude's output are kept [default: $STATE_DIRECTORY, else
    /// $XDG_STATE_HOME/carcin]
    #[arg(long, env = "CARCIN_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The claude program [default: claude, found on PATH]
    #[arg(long, env = "CLAUDE_PATH", value_name = "PATH")]
    pub claude_path: Option<PathBuf>,
    /// Where a new conversation works [default: $HOME]
    #[arg(long, env = "CLAUDE_WORKING_DIR", value_name = "DIR")]
    pub working_dir: Option<PathBuf>,
    /// Claude's permission mode, such as default, acceptEdits or plan [default: Claude's own]
    #[arg(long, env = "CARCIN_PERMISSION_MODE", value_name = "MODE")]
    pub permission_mode: Option<String>,
    /// Claude's model [default: Claude's own]
    #[arg(long, env = "CARCIN_MODEL", value_name = "MODEL")]
    pub model: Option<String>,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    socket: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    claude: ClaudeFile,
    journal: JournalFile,
    limits: LimitsFile,
    /// The front end's own.
    #[serde(rename = "telegram")]
    _telegram: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LimitsFile {
    free_floor_mb: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct JournalFile {
    keep_events: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ClaudeFile {
    path: Option<PathBuf>,
    working_dir: Option<PathBuf>,
    permission_mode: Option<String>,
    model: Option<String>,
    effort: Option<String>,
    idle_minutes: Option<f64>,
    quiet_minutes: Option<f64>,
    hung_minutes: Option<f64>,
    plugin_dirs: Vec<PathBuf>,
    add_dirs: Vec<PathBuf>,
    launcher: Option<LauncherName>,
    memory_max: Option<u64>,
    tasks_max: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LauncherName {
    Auto,
    Plain,
    Systemd,
}

/// What is set.
#[derive(Debug)]
pub struct Config {
    /// The socket to listen on.
    pub socket: PathBuf,
    /// Where the journal and Claude's output are kept.
    pub state_dir: PathBuf,
    /// The `claude` program, a path or a name to look up.
    pub claude: PathBuf,
    /// Where a new conversation works.
    pub working_dir: PathBuf,
    /// Claude's permission mode; `None`: its own default.
    pub permission_mode: Option<String>,
    /// Claude's model; `None`: its own default.
    pub model: Option<String>,
    /// Claude's effort; `None`: its own default.
    pub effort: Option<String>,
    /// How long Claude may do nothing, or say nothing.
    pub patience: Patience,
    /// Plugins to load besides Carcin's own.
    pub plugin_dirs: Vec<PathBuf>,
    /// Folders that Claude may work in besides its own.
    pub add_dirs: Vec<PathBuf>,
    /// How children are started.
    pub launcher: Preference,
    /// What a child may use.
    pub limits: Limits,
    /// With fewer bytes free on the disk, prompts wait.
    pub free_floor: u64,
    /// How many of the last events the journal keeps.
    pub keep_events: u64,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file says something that is not understood.
    #[error("the configuration {path} is not understood: {source}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// What is the matter.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// There is no place for the state.
    #[error(
        "there is no state directory: neither HOME nor XDG_STATE_HOME is set\nhint: give one with --state-dir"
    )]
    NoStateDir,
    /// There is no place to work.
    #[error("there is no working directory: HOME is not set\nhint: give one with --working-dir")]
    NoWorkingDir,
    /// The place to work is none.
    #[error("the working directory {0} does not exist\nhint: create it, or give another with --working-dir")]
    WorkingDir(PathBuf),
    /// Claude knows none of this name, and would not start.
    #[error("there is no {what} {value}\nhint: there are {known}")]
    Unknown {
        /// Of what.
        what: &'static str,
        /// Which.
        value: String,
        /// Those there are.
        known: String,
    },
    /// So few that whoever was away for a moment has missed something.
    #[error("keep_events must be {KEEP_AT_LEAST} or more, not {0}")]
    KeepEvents(u64),
    /// No time at all, or more than there is.
    #[error("{setting} must be a number of minutes{least}, not {value}")]
    Minutes {
        /// Which.
        setting: &'static str,
        /// What it must not be below.
        least: &'static str,
        /// What is set.
        value: f64,
    },
}

impl Config {
    /// Puts flags, environment and file together.
    pub fn load(flags: Flags) -> Result<Self, ConfigError> {
        let file = match (flags.config, paths::config_file()) {
            (Some(path), _) => read(&path)?,
            (None, Some(path)) if path.exists() => read(&path)?,
            (None, _) => File::default(),
        };
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let claude = file.claude;
        let patience = patience(&claude)?;
        let working_dir =
            flags.working_dir.or(claude.working_dir).or(home).ok_or(ConfigError::NoWorkingDir)?;
        if !working_dir.is_dir() {
            return Err(ConfigError::WorkingDir(working_dir));
        }
        Ok(Self {
            socket: flags.socket.or(file.socket).unwrap_or_else(paths::socket),
            state_dir: flags
                .state_dir
                .or(file.state_dir)
                .or_else(paths::state_dir)
                .ok_or(ConfigError::NoStateDir)?,
            claude: flags.claude_path.or(claude.path).unwrap_or_else(|| PathBuf::from("claude")),
            working_dir,
            permission_mode: known(
                "permission mode",
                flags.permission_mode.or(claude.permission_mode),
                &control::PERMISSION_MODES,
            )?,
            model: flags.model.or(claude.model),
            effort: known("effort", claude.effort, &control::EFFORTS)?,
            patience,
            plugin_dirs: claude.plugin_dirs,
            add_dirs: claude.add_dirs,
            launcher: match claude.launcher {
                None | Some(LauncherName::Auto) => Preference::Auto,
                Some(LauncherName::Plain) => Preference::Plain,
                Some(LauncherName::Systemd) => Preference::Systemd,
            },
            limits: Limits {
                memory_max: claude.memory_max,
                tasks_max: claude.tasks_max,
                ..Limits::default()
            },
            free_floor: file.limits.free_floor_mb.map_or(FREE_FLOOR, |mb| mb.saturating_mul(1 << 20)),
            keep_events: keep_events(file.journal.keep_events)?,
        })
    }
}

fn known(what: &'static str, value: Option<String>, known: &[&str]) -> Result<Option<String>, ConfigError> {
    match value {
        Some(value) if !known.contains(&value.as_str()) => {
            Err(ConfigError::Unknown { what, value, known: known.join(", ") })
        }
        value => Ok(value),
    }
}

fn keep_events(keep: Option<u64>) -> Result<u64, ConfigError> {
    let keep = keep.unwrap_or(KEEP_DEFAULT);
    if keep < KEEP_AT_LEAST { Err(ConfigError::KeepEvents(keep)) } else { Ok(keep) }
}

fn patience(claude: &ClaudeFile) -> Result<Patience, ConfigError> {
    let mut patience = Patience::default();
    if let Some(value) = claude.idle_minutes {
        let wrong = ConfigError::Minutes { setting: "idle_minutes", least: " above 0", value };
        patience.idle_exit = minutes(value).filter(|idle| !idle.is_zero()).ok_or(wrong)?;
    }
    let limits = [
        ("quiet_minutes", claude.quiet_minutes, &mut patience.quiet),
        ("hung_minutes", claude.hung_minutes, &mut patience.hung),
    ];
    for (setting, value, limit) in limits {
        if let Some(value) = value {
            let wrong = ConfigError::Minutes { setting, least: ", or 0 for never", value };
            *limit = Some(minutes(value).ok_or(wrong)?).filter(|time| !time.is_zero());
        }
    }
    Ok(patience)
}

/// Less than no time, and more than a clock can count, is no number of minutes.
fn minutes(minutes: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(minutes * 60.0).ok()
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text)
        .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_claude_does_not_know_is_refused_before_it_is_started_with_it() {
        let effort = |effort: Option<&str>| known("effort", effort.map(str::to_owned), &control::EFFORTS);
        assert!(matches!(effort(None), Ok(None)));
        assert!(matches!(effort(Some("high")), Ok(Some(_))));
        let error = effort(Some("x")).expect_err("refused").to_string();
        assert_eq!(error, "there is no effort x\nhint: there are low, medium, high, xhigh, max");
    }
}
