//! What the kernel tells of a process in `/proc/PID/stat`.

use std::fs;

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
    fn a_program_name_with_parentheses_does_not_confuse() {
        let line = b"42 (a) b (c) S 7 42 40 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0\n";
        let expected = Stat { pid: 42, start: 98765, zombie: false, parent: 7, session: 40 };
        assert_eq!(parse(42, line), Some(expected));
    }
}
