//! Ending all that a rig has started, however it ended itself.
//!
//! Everything that a rig starts, and everything that those start, has the rig's own directory in its environment,
//! in `CARCIN_SOCKET` and, as a rule, in `HOME`: the daemon, the Claudes that outlive it, their tools that outlive them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use super::places::PREFIX;

/// How long what was killed may take to vanish; the kernel has only to be given the time.
const DEATH: Duration = Duration::from_secs(10);
/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// The directories of the rigs that run in this process. A signal reaches the process, not a rig.
static RIGS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Notes a rig: should the process be interrupted, the rig ends with it.
pub(super) fn enter(dir: &Path) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        clear_abandoned();
        watch_signals();
    });
    RIGS.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_owned());
}

/// Kills everything that a rig has started, and forgets the rig.
pub(super) fn leave(dir: &Path) {
    kill_all(dir);
    RIGS.lock().unwrap_or_else(PoisonError::into_inner).remove(dir);
}

/// The processes that were started within the rig at `dir` and live, with their command lines.
pub(super) fn living(dir: &Path) -> Vec<(u32, String)> {
    let marks = [("HOME", "home"), ("CARCIN_SOCKET", "run/carcind.sock")]
        .map(|(name, place)| format!("{name}={}", dir.join(place).display()));
    // A launcher of a Claude has nothing else, and one that was stopped at a fault point would stay for ever.
    let fault = format!("CARCIN_FAULT_MARKS={}/", dir.display());
    let belongs = |pid: &u32| {
        *pid != std::process::id()
            && fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
                environ.split(|byte| *byte == 0).any(|variable| {
                    variable.starts_with(fault.as_bytes())
                        || marks.iter().any(|mark| variable == mark.as_bytes())
                })
            })
    };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(belongs).map(|pid| (pid, command_of(pid))).collect()
}

fn command_of(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

/// Kills until nothing is left: what is being killed may have started something meanwhile.
fn kill_all(dir: &Path) {
    let deadline = Instant::now() + DEATH;
    loop {
        let left = living(dir);
        if left.is_empty() {
            return;
        }
        for (pid, command) in left {
            if Instant::now() > deadline {
                eprintln!("the rig cannot end process {pid}: {command}");
                return;
            }
            if let Ok(pid) = i32::try_from(pid) {
                // It may have ended by itself.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// Ends the rigs when the process is told to end, then the process, as if it had not listened.
fn watch_signals() {
    let watcher = std::thread::Builder::new().name("rig-signals".to_owned());
    let watching = watcher.spawn(|| match told_to_end() {
        Ok(code) => {
            let rigs = RIGS.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for dir in rigs {
                kill_all(&dir);
                let _ = fs::remove_dir_all(dir);
            }
            std::process::exit(code)
        }
        Err(error) => eprintln!("the rig cannot listen for signals: {error}"),
    });
    if let Err(error) = watching {
        eprintln!("the rig cannot listen for signals: {error}");
    }
}

/// Waits for Ctrl-C or SIGTERM; the exit code that a shell shows for it.
fn told_to_end() -> std::io::Result<i32> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| 130),
            _ = terminate.recv() => Ok(143),
        }
    })
}

/// Ends what a rig left behind whose process was killed.
fn clear_abandoned() {
    for dir in abandoned(PREFIX) {
        kill_all(&dir);
        let _ = fs::remove_dir_all(dir);
    }
}

/// The temporary folders whose names begin with `prefix` and the pid of a process that is no more.
pub fn abandoned(prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return Vec::new() };
    let is_abandoned = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()?.strip_prefix(prefix));
        let owner = name.and_then(|name| name.split('-').next()?.parse().ok());
        owner.is_some_and(|owner| kill(Pid::from_raw(owner), None) == Err(nix::errno::Errno::ESRCH))
    };
    entries.flatten().map(|entry| entry.path()).filter(is_abandoned).collect()
}
