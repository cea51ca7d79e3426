//! What every Claude is given: a plugin with Carcin's skills, and its hooks. Both are part of the program, and
//! written out at each start, so that nothing needs to be copied and an upgrade brings them along.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

const SKILL: &str = include_str!("../../../skills/telegram-send/SKILL.md");
const HOOK: &str = include_str!("../../../hooks/notify-compact");

/// What was written out.
pub(super) struct Plugin {
    /// For `--plugin-dir`.
    pub(super) dir: PathBuf,
    /// For `--settings`.
    pub(super) settings: String,
}

/// Writes the plugin and the hook into the state directory.
pub(super) fn install(state_dir: &Path) -> anyhow::Result<Plugin> {
    let dir = state_dir.join("plugin");
    let hook = dir.join("hooks/notify-compact");
    let manifest = serde_json::json!({
        "name": "carcin",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "What Claude can do for a person who is on the phone",
    });
    write(&dir.join(".claude-plugin/plugin.json"), &manifest.to_string(), 0o600)?;
    write(&dir.join("skills/telegram-send/SKILL.md"), SKILL, 0o600)?;
    write(&hook, HOOK, 0o700)?;
    // The word tells it from the same hook in a person's own settings.
    let command = format!("'{}' daemon", hook.display().to_string().replace('\'', r"'\''"));
    let run = serde_json::json!([{ "hooks": [{ "type": "command", "command": command, "timeout": 10 }] }]);
    let settings = serde_json::json!({ "hooks": { "PreCompact": run } }).to_string();
    Ok(Plugin { dir, settings })
}

/// Replaces the file as a whole, so that a Claude that is just starting reads the old one or the new one.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|known| known == text.as_bytes()) {
        return Ok(());
    }
    let write = || -> std::io::Result<()> {
        let dir = path.parent().expect("the path has a folder of ours before its name");
        fs::create_dir_all(dir)?;
        let temporary = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        drop(file);
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
