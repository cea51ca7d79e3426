//! Which Claude Code is in use, for `status`. Asked in the background: it takes a while, and nobody waits for it. An
//! update puts another program into its place at any time, so it is asked again when the file is another.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use carcin_proto::request::ClaudeStatus;
use tokio::process::Command;
use tokio::sync::watch::{self, Receiver, Sender};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long `claude --version` may take; a cold start on a slow disk takes seconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often to look whether it is another: a look is a `stat` or a few.
const LOOK: Duration = Duration::from_secs(5);

/// Finds the program, asks it for its version, and looks after it for as long as somebody listens.
pub(super) fn watch(claude: &Path) -> Receiver<ClaudeStatus> {
    let found = find(claude);
    let path = found.map(|(path, _)| path);
    let (told, status) = watch::channel(ClaudeStatus { path, version: None });
    tokio::spawn(follow(claude.to_owned(), told));
    status
}

async fn follow(claude: PathBuf, told: Sender<ClaudeStatus>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = None;
    while !told.is_closed() {
        ticks.tick().await;
        let found = find(&claude);
        // Whatever did not answer may do so later: it may be on its way to its place, or the machine be busy.
        let unanswered = found.is_some() && told.borrow().version.is_none();
        if found == known && !unanswered {
            continue;
        }
        known.clone_from(&found);
        let path = found.map(|(path, _)| path);
        let version = match &path {
            Some(path) => version(path).await,
            None => None,
        };
        tracing::info!(?path, version, "claude");
        told.send_replace(ClaudeStatus { path, version });
    }
}

async fn version(claude: &Path) -> Option<String> {
    let asked = Command::new(claude)
        .arg("--version")
        .env("DISABLE_AUTOUPDATER", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, asked).await.ok()?.ok()?;
    // `2.1.330 (Claude Code)`
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().next().map(str::to_owned)
}

/// What tells one program from another in the same place.
type Identity = (u64, u64, i64, i64, u64);

/// Where the program is: as given, or on `PATH`; and which.
fn find(claude: &Path) -> Option<(PathBuf, Identity)> {
    if claude.components().count() > 1 {
        return program(claude.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|dir| program(dir.join(claude)))
}

/// The file behind `path`, if it is one that can be run.
fn program(path: PathBuf) -> Option<(PathBuf, Identity)> {
    let metadata = path.metadata().ok()?;
    let runs = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
    runs.then(|| (path, identity(&metadata)))
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.size())
}
