//! Ending what a child left behind. Blocking: it walks `/proc`.
//!
//! A process is named by pid and start time, and signalled through a pidfd opened before its start time is
//! compared: no other process can be hit.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use super::spec::MARKER_ENV;
use crate::os;
use crate::process_stat::{Stat, stat};

/// Processes that are being ended may start others; after so many rounds without an end it is given up.
const ROUNDS: usize = 8;
/// How long all the killed are given to vanish.
const DEATH_WAIT: Duration = Duration::from_secs(2);

/// One process, for ever: the pid may be used again, not with the same start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start: u64,
}

/// Some processes at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot(pub Vec<Process>);

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// What was killed.
    pub killed: Vec<Process>,
    /// Whether anything that should be gone is still there.
    pub survivors: bool,
}

impl Process {
    /// The process that has this number now.
    pub(super) fn by_pid(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| Self::from(&stat))
    }
}

impl From<&Stat> for Process {
    fn from(stat: &Stat) -> Self {
        Self { pid: stat.pid, start: stat.start }
    }
}

/// Everything that descends from `root` or is in the session that it leads, without `root` itself.
pub(super) fn descendants(root: u32) -> io::Result<Snapshot> {
    let stats: Vec<Stat> = pids()?.into_iter().filter_map(stat).filter(|stat| !stat.zombie).collect();
    let mut children: HashMap<u32, Vec<&Stat>> = HashMap::new();
    for stat in &stats {
        children.entry(stat.parent).or_default().push(stat);
    }
    let in_session = stats.iter().filter(|stat| stat.session == root && stat.pid != root);
    let mut pending: Vec<&Stat> = in_session.chain(children.remove(&root).into_iter().flatten()).collect();
    let mut found = HashSet::new();
    while let Some(stat) = pending.pop() {
        found.insert(Process::from(stat));
        pending.extend(children.remove(&stat.pid).into_iter().flatten());
    }
    found.retain(|process| process.pid != root);
    Ok(Snapshot(found.into_iter().collect()))
}

/// Kills what lives of `snapshot` and every process of this user that carries `marker`, but this one.
pub(super) fn sweep(snapshot: &Snapshot, marker: Option<&str>) -> io::Result<Swept> {
    let deadline = Instant::now() + DEATH_WAIT;
    let mut swept = Swept::default();
    let mut targets = snapshot.0.clone();
    for _ in 0..ROUNDS {
        if let Some(marker) = marker {
            targets.extend(carriers(marker)?);
        }
        let dying: Vec<(Process, OwnedFd)> = targets.drain(..).filter_map(kill).collect();
        if dying.is_empty() {
            return Ok(swept);
        }
        swept.killed.extend(dying.iter().map(|(process, _)| *process));
        if !wait_for_all(&dying, deadline)? {
            break;
        }
    }
    swept.survivors = true;
    Ok(swept)
}

/// Kills one process. `None` when it has ended already.
fn kill(process: Process) -> Option<(Process, OwnedFd)> {
    let pidfd = os::pidfd_open(process.pid).ok()?;
    let now = stat(process.pid)?;
    if Process::from(&now) != process || now.zombie {
        return None;
    }
    os::pidfd_send_signal(&pidfd, Signal::SIGKILL)
        .inspect_err(|error| tracing::debug!(pid = process.pid, %error, "cannot kill a leftover"))
        .ok()?;
    Some((process, pidfd))
}

/// Whether all have ended before `deadline`.
fn wait_for_all(dying: &[(Process, OwnedFd)], deadline: Instant) -> io::Result<bool> {
    for (_, pidfd) in dying {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(true)
}

/// The living processes of this user, but this one, that have the marker in the environment they started with.
fn carriers(marker: &str) -> io::Result<Vec<Process>> {
    let entry = format!("{MARKER_ENV}={marker}");
    let carries = |pid: &u32| {
        *pid != std::process::id()
            && fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() == geteuid().as_raw())
            && fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|found| found == entry.as_bytes()))
    };
    Ok(pids()?.into_iter().filter(carries).filter_map(Process::by_pid).collect())
}

fn pids() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(pids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_no_leftover() {
        assert_eq!(sweep(&Snapshot::default(), Some("nobody carries this")).unwrap(), Swept::default());
    }
}
