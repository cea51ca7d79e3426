//! Which Claude Code is in use, for `status`. Asked in the background: it takes a while, and nobody waits for it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use carcin_proto::request::ClaudeStatus;
use tokio::process::Command;
use tokio::sync::watch::{self, Receiver};
use tokio::time::timeout;

/// How long `claude --version` may take; a cold start on a slow disk takes seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Finds the program, and asks it for its version.
pub(super) fn watch(claude: &Path) -> Receiver<ClaudeStatus> {
    let path = find(claude);
    let (told, status) = watch::channel(ClaudeStatus { path: path.clone(), version: None });
    if let Some(path) = path {
        tokio::spawn(async move {
            let version = version(&path).await;
            told.send_replace(ClaudeStatus { path: Some(path), version });
        });
    }
    status
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

/// Where the program is: as given, or on `PATH`.
fn find(claude: &Path) -> Option<PathBuf> {
    if claude.components().count() > 1 {
        return claude.is_file().then(|| claude.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(claude)).find(|candidate| candidate.is_file())
}
