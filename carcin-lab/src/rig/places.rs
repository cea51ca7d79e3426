//! Where a rig keeps things: one short directory, gone with the rig.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use super::sweep;

/// How the names of the directories begin; the process that made one, and a random part, follow.
pub(super) const PREFIX: &str = "crig-";
/// What the kernel takes for the path of a socket, less what a socket's name takes.
const LONGEST: usize = 107 - "/run/carcind.sock".len();

/// The directories of a rig. When they go, what was started in them goes first.
#[derive(Debug)]
pub struct Places {
    dir: TempDir,
    state: Option<PathBuf>,
}

impl Places {
    /// Makes them, in the system's directory for temporary files; `state` may be elsewhere.
    pub(crate) fn create(state: Option<PathBuf>) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir()
            .context("cannot make a directory for the rig")?;
        let length = dir.path().as_os_str().len();
        anyhow::ensure!(
            length <= LONGEST,
            "{} is too long for a socket in it ({length} bytes, at most {LONGEST})\nhint: set TMPDIR to a shorter path",
            dir.path().display()
        );
        sweep::enter(dir.path());
        let places = Self { dir, state };
        for made in [places.home(), places.work(), places.run(), places.logs(), places.tmp()] {
            fs::create_dir(&made).with_context(|| format!("cannot make {}", made.display()))?;
        }
        fs::set_permissions(places.run(), fs::Permissions::from_mode(0o700))?;
        Ok(places)
    }

    /// All of it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `HOME` of every program: Claude's transcripts are in it. No other process has it, which is how the rig
    /// finds again what it started.
    pub fn home(&self) -> PathBuf {
        self.dir().join("home")
    }

    /// Where a new conversation works.
    pub fn work(&self) -> PathBuf {
        self.dir().join("work")
    }

    /// The state directory of both programs.
    pub fn state(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.dir().join("state"))
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.run().join("carcind.sock")
    }

    /// What each program wrote to stderr, a file for each start.
    pub fn logs(&self) -> PathBuf {
        self.dir().join("log")
    }

    /// `TMPDIR` of every program.
    pub fn tmp(&self) -> PathBuf {
        self.dir().join("tmp")
    }

    /// The daemon's configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir().join("config.toml")
    }

    /// The file that a slow start waits for.
    pub(super) fn start(&self) -> PathBuf {
        self.dir().join("start")
    }

    fn run(&self) -> PathBuf {
        self.dir().join("run")
    }

    /// Gives every real `claude` the lab's MCP server, and lets it use it unasked.
    pub(super) fn add_mcp_server(&self, program: &Path) -> anyhow::Result<()> {
        let settings = serde_json::json!({"permissions": {"allow": [crate::script::ELICIT]}});
        fs::create_dir_all(self.home().join(".claude"))?;
        fs::write(self.home().join(".claude/settings.json"), settings.to_string())?;
        let servers = crate::mcp::configuration(program);
        fs::write(self.home().join(".claude.json"), servers.to_string())
            .context("cannot configure the server")
    }

    /// Leaves them where they are.
    pub(super) fn keep(&mut self) {
        self.dir.disable_cleanup(true);
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        sweep::leave(self.dir());
    }
}
