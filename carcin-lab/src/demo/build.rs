//! Building Carcin's programs as the demo itself was built, for the eyes of who waits for it.

use std::process::Stdio;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::rig::BIN_DIR_ENV;

/// Builds the programs that the rig starts, unless [`BIN_DIR_ENV`] says that they are built.
pub(super) async fn programs() -> anyhow::Result<()> {
    if std::env::var_os(BIN_DIR_ENV).is_some() {
        return Ok(());
    }
    let mut command = Command::from(crate::rig::build_command()?.0);
    // A group of its own: what Cargo has started ends with it.
    let mut cargo =
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).spawn().context(
            "cannot run cargo\nhint: start the demo with `cargo run -p carcin-lab --bin carcin-demo`",
        )?;
    let group = Group(cargo.id());
    let status = cargo.wait().await?;
    group.ended();
    if !status.success() {
        bail!("building Carcin failed ({status})");
    }
    Ok(())
}

/// A group of processes that is interrupted when this is dropped.
struct Group(Option<u32>);

impl Group {
    /// It has ended by itself; its id may be another's by now.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended by itself.
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
    }
}
