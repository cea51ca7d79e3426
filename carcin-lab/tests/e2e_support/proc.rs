//! What a process costs, as the kernel tells it.

use std::fs;

/// Its resident memory, in KiB.
pub fn resident(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

/// The most that its resident memory has been, in KiB.
pub fn peak(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

fn status(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells");
    value.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// How many descriptors it has open.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives").count()
}

/// The processor time that it has used, in clock ticks, of which there are 100 in a second.
pub fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let fields = stat.rsplit_once(") ").expect("a name").1;
    let numbers: Vec<&str> = fields.split(' ').collect();
    [11, 12].iter().map(|at| numbers[*at].parse::<u64>().expect("a number")).sum()
}
