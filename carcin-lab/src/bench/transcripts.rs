//! The sessions of a machine that was used for years: Claude Code's transcripts, of which `carcind` makes its index.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use uuid::Uuid;

/// More are not written: each takes a block of the disk, and nobody has as many.
const MOST: u64 = 10_000;
/// So many folders they worked in.
const FOLDERS: u64 = 50;

/// The session of the conversation with this number.
pub(super) fn session(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

/// Writes a transcript for each conversation, up to a limit, where Claude Code of the user with this home keeps them.
pub(super) fn write(home: &Path, conversations: u64) -> anyhow::Result<()> {
    let folder = |number: u64| home.join(".claude/projects").join(format!("-home-user-project-{number}"));
    for number in 0..FOLDERS {
        std::fs::create_dir_all(folder(number)).context("cannot make a folder for transcripts")?;
    }
    for number in 0..conversations.min(MOST) {
        let line = json!({
            "type": "user", "sessionId": session(number).to_string(), "gitBranch": "main",
            "cwd": format!("/home/user/project-{}", number % FOLDERS),
            "message": { "role": "user", "content": format!("Have a look at part {number} and tidy it up") },
        });
        let path = folder(number % FOLDERS).join(format!("{}.jsonl", session(number)));
        std::fs::write(path, format!("{line}\n")).context("cannot write a transcript")?;
    }
    Ok(())
}
