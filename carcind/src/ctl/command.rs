//! The command line.

use std::path::PathBuf;

use carcin_proto::paths;
use clap::{Args, Parser, Subcommand};

use super::{
    answer, completions, diff, new, notify, recent, resume, send, send_file, sessions, shutdown, tasks, watch,
};

/// Talks to carcind: what it does, what Claude says and asks.
#[derive(Debug, Parser)]
#[command(name = "carcin-ctl", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What holds for every verb.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Where carcind listens [default: `$XDG_RUNTIME_DIR/carcin/carcind.sock`]
    #[arg(long, global = true, env = paths::SOCKET, hide_env_values = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// The conversation [default: the most recently active one]
    #[arg(long, global = true, env = "CARCIN_CONVERSATION", hide_env_values = true, value_name = "KEY")]
    pub(super) conversation: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show the daemon, its conversations and its clients
    Status,
    /// Show all about the conversation: title, model, context, what waits and runs
    About,
    /// Show what has changed in the conversation's working tree
    Diff(diff::Args),
    /// Show the subagents and background tasks that run, or end one
    Tasks(tasks::Args),
    /// List the sessions on this machine, latest first
    Sessions(sessions::Args),
    /// Give Claude a prompt and show what it does
    Send(send::Args),
    /// Show what happens, one line for each event
    Watch(watch::Args),
    /// End the running turn and cancel what is queued; Claude stays ready
    Stop,
    /// Show what Claude asks and nobody has answered
    Pending,
    /// Answer what Claude asks
    Answer(answer::Args),
    /// Begin a new session with the next prompt
    New(new::Args),
    /// Go on with an earlier session
    Resume(resume::Args),
    /// Show Claude's last texts
    Recent(recent::Args),
    /// Tell the person something
    Notify(notify::Args),
    /// Give the person a file
    SendFile(send_file::Args),
    /// End all Claudes, then the daemon
    Shutdown(shutdown::Args),
    /// Print a shell's completion script
    Completions(completions::Args),
    /// Print the manual page, of the program or of a command
    Man(completions::ManArgs),
}
