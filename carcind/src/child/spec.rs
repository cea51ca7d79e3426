//! What to run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The environment variable that carries [`Spec::marker`] into the child and all that descends from it.
pub const MARKER_ENV: &str = "CARCIN_CHILD";

/// What to run, and how.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The program, looked up on the `PATH` in `env` when it has no slash, then its arguments.
    pub argv: Vec<String>,
    /// The whole environment of the child, but for [`MARKER_ENV`].
    pub env: Vec<(String, String)>,
    /// Where the child starts; absolute.
    pub cwd: PathBuf,
    /// What the child may use.
    pub limits: Limits,
    /// Value of [`MARKER_ENV`]. Unique to this generation: whatever carries it is ended by a sweep.
    pub marker: String,
}

/// What a child may use. `None` leaves what the daemon has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Open descriptors (`RLIMIT_NOFILE`, soft; never above the hard limit).
    pub open_files: Option<u64>,
    /// Size of a core dump in bytes (`RLIMIT_CORE`, soft).
    pub core_bytes: Option<u64>,
    /// File mode creation mask, for instance `0o022`.
    pub umask: Option<u32>,
    /// Memory of the child and its descendants together, in bytes. Only under systemd: an address space
    /// limit would break runtimes which reserve gigabytes that they never touch.
    pub memory_max: Option<u64>,
    /// Processes and threads of the child and its descendants together. Only under systemd.
    pub tasks_max: Option<u64>,
}

impl std::fmt::Debug for Spec {
    /// Leaves the environment's values out: they hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spec")
            .field("argv", &self.argv)
            .field("env", &format_args!("{} variables", self.env.len()))
            .field("cwd", &self.cwd)
            .field("limits", &self.limits)
            .field("marker", &self.marker)
            .finish()
    }
}
