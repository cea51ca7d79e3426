//! Where the programs find each other: the defaults of the socket, the state directory and the configuration.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// The variable that says where the daemon listens. Claude's tools have it too.
pub const SOCKET: &str = "CARCIN_SOCKET";

/// [`SOCKET`], else `$XDG_RUNTIME_DIR/carcin/carcind.sock`, else `/tmp/carcin-<uid>/carcind.sock`.
pub fn socket() -> PathBuf {
    variable(SOCKET).map_or_else(default_socket, PathBuf::from)
}

/// The socket's place where nothing is configured.
pub fn default_socket() -> PathBuf {
    let dir = variable("XDG_RUNTIME_DIR").map_or_else(
        || PathBuf::from(format!("/tmp/carcin-{}", nix::unistd::getuid())),
        |runtime| PathBuf::from(runtime).join("carcin"),
    );
    dir.join("carcind.sock")
}

/// `CARCIN_STATE_DIR`, else systemd's `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/carcin`, else
/// `~/.local/state/carcin`. `None`: no home directory either.
pub fn state_dir() -> Option<PathBuf> {
    variable("CARCIN_STATE_DIR")
        .or_else(|| variable("STATE_DIRECTORY"))
        .map(PathBuf::from)
        .or_else(|| base("XDG_STATE_HOME", ".local/state"))
}

/// `CARCIN_CONFIG`, else `$XDG_CONFIG_HOME/carcin/config.toml`, else `~/.config/carcin/config.toml`. `None`: no
/// home directory either.
pub fn config_file() -> Option<PathBuf> {
    variable("CARCIN_CONFIG")
        .map(PathBuf::from)
        .or_else(|| base("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("config.toml")))
}

fn base(xdg: &str, under_home: &str) -> Option<PathBuf> {
    let dir = variable(xdg)
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(under_home)))?;
    Some(dir.join("carcin"))
}

/// A variable that is set to nothing counts as not set.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
