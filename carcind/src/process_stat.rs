//! What the kernel tells of a process in `/proc/PID/stat`.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process, for ever: its number is used again, but not with the same start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u64)", into = "(u32, u64)")]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start: u64,
}

impl From<(u32, u64)> for ProcessId {
    fn from((pid, start): (u32, u64)) -> Self {
        Self { pid, start }
    }
}

impl From<ProcessId> for (u32, u64) {
    fn from(process: ProcessId) -> Self {
        (process.pid, process.start)
    }
}

/// A process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    /// When it started, in clock ticks since boot. With the pid it names the process for ever.
    pub(crate) start: u64,
    pub(crate) zombie: bool,
    pub(crate) parent: u32,
    pub(crate) session: u32,
}

/// How far up the tree of processes to look. Deeper than this is nobody's shell.
const GENERATIONS: usize = 64;

/// The way up the tree of processes cannot be followed to its top: one has ended meanwhile, or it is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// A process, its parent, and so on to the first process of the system or of its namespace.
pub(crate) fn ancestors(pid: u32) -> impl Iterator<Item = Result<u32, Lost>> {
    let parent = |at: &Result<u32, Lost>| match at {
        Ok(0 | 1) | Err(Lost) => None,
        Ok(pid) => match stat(*pid).map(|stat| stat.parent) {
            Some(0) => None,
            Some(parent) => Some(Ok(parent)),
            None => Some(Err(Lost)),
        },
    };
    let way = std::iter::successors(Some(Ok(pid)), parent).enumerate();
    way.map(|(height, at)| if height > GENERATIONS { Err(Lost) } else { at })
}

/// `None`: there is no process with this number.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    // Bytes: the program's name in it is whatever the program chose.
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(pid, &bytes)
}

fn parse(pid: u32, bytes: &[u8]) -> Option<Stat> {
    // The name is in parentheses and may contain any itself; from the last one on there are only numbers.
    let name_end = bytes.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(&bytes[name_end + 1..]).ok()?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // Numbered from 3 (the state) in proc_pid_stat(5).
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        pid,
        start: field(22)?.parse().ok()?,
        zombie: matches!(field(3)?, "Z" | "X"),
        parent: field(4)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_up_ends_at_the_top_or_is_lost() {
        let way: Vec<_> = ancestors(std::process::id()).collect();
        assert_eq!(way[..2], [Ok(std::process::id()), Ok(std::os::unix::process::parent_id())]);
        assert!(way.iter().all(Result::is_ok), "{way:?}");
        // No process has so large a number.
        assert_eq!(ancestors(u32::MAX).collect::<Vec<_>>(), [Ok(u32::MAX), Err(Lost)]);
    }

    #[test]
    fn a_program_name_with_parentheses_does_not_confuse() {
        let line = b"42 (a) b (c) S 7 42 40 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0\n";
        let expected = Stat { pid: 42, start: 98765, zombie: false, parent: 7, session: 40 };
        assert_eq!(parse(42, line), Some(expected));
    }
}
