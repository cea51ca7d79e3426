//! The claim on a directory: made once, by the launcher or by whoever gives the directory up.
//!
//! It is a hard link, so that it appears at one moment, whole, and with its lock already on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use serde::{Deserialize, Serialize};

use super::dir::ChildDir;
use super::exit::read_whole;
use super::sweep::Process;
use crate::posix_lock;

/// Content of the file `pid`: for people who look into it, and to tell one launcher from another.
#[derive(Serialize, Deserialize)]
struct Claim {
    /// `None` when the directory was closed before any launcher came.
    pid: Option<u32>,
    /// Start time in clock ticks since boot, field 22 of `/proc/PID/stat`.
    start: Option<u64>,
    boot_id: String,
}

/// Claims the directory for this process. The file returned is locked, until it is closed. `None` when there
/// was a claim before.
pub(super) fn take(dir: &ChildDir) -> io::Result<Option<File>> {
    let pid = std::process::id();
    let start = Process::by_pid(pid).map(|process| process.start);
    make(dir, Some(pid), start)
}

/// Claims the directory with no intention to start anything: a launcher that is still on its way will find it
/// taken and give up. Does nothing when it was claimed before, or is gone.
pub(super) fn close(dir: &ChildDir) -> io::Result<()> {
    if dir.path().exists() { make(dir, None, None).map(drop) } else { Ok(()) }
}

/// Who has claimed a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimant {
    /// This launcher.
    Launcher(u32),
    /// Whoever gave the directory up: nothing was started in it, and nothing will be.
    Nobody,
    /// The claim is there and says nothing, as after a power loss.
    Unknown,
}

/// Who has claimed the directory; `Nobody` when it does not exist.
pub(super) fn claimant(dir: &ChildDir) -> Claimant {
    if !dir.path().exists() {
        return Claimant::Nobody;
    }
    match read_whole::<Claim>(&dir.pid_path()) {
        Some(Claim { pid: Some(pid), .. }) => Claimant::Launcher(pid),
        Some(Claim { pid: None, .. }) => Claimant::Nobody,
        None => Claimant::Unknown,
    }
}

fn make(dir: &ChildDir, pid: Option<u32>, start: Option<u64>) -> io::Result<Option<File>> {
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    let temporary = dir.path().join(format!("pid.{}.tmp", std::process::id()));
    // A process of the same number may have died right after linking: its file is the claim, and must not be
    // written to under its other name.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(&serde_json::to_vec(&Claim { pid, start, boot_id })?)?;
    let locked = posix_lock::take(&file)?;
    let linked = fs::hard_link(&temporary, dir.pid_path());
    fs::remove_file(&temporary)?;
    match linked {
        Ok(()) if locked => Ok(Some(file)),
        Ok(()) => Err(io::Error::other("the claim is locked by another process")),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}
