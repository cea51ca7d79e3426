//! The machine, and what a process uses of it.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde::Serialize;

/// What figures depend on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Carcin's version.
    pub version: &'static str,
    /// The commit that was built; `-dirty` where files are others than in it.
    pub commit: String,
    /// The compiler's version.
    pub rustc: String,
    /// The processor.
    pub processor: String,
    /// Its cores.
    pub cores: usize,
    /// The kernel.
    pub kernel: String,
    /// Memory in MB.
    pub memory: f64,
    /// How busy the machine was before: the load of the last minute.
    pub load: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: told("git", &["describe", "--always", "--dirty", "--abbrev=12"]),
            rustc: told("rustc", &["--version"]),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory: memory.trim_end_matches(" kB").parse().map_or(0.0, |kilobytes: f64| kilobytes / 1000.0),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

/// In one line.
impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { version, commit, rustc, processor, cores, kernel, memory, load } = self;
        let gigabytes = memory / 1000.0;
        write!(f, "Carcin {version} ({commit}), {rustc}; {processor}, {cores} cores, {gigabytes:.1} GB, ")?;
        write!(f, "Linux {kernel}; load before {load}")
    }
}

/// What a program says; empty where it says nothing.
fn told(program: &str, arguments: &[&str]) -> String {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(program).args(arguments).current_dir(tree).output();
    output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Resident memory in MB.
pub(super) fn resident(pid: u32) -> anyhow::Result<f64> {
    memory(pid, "VmRSS:")
}

/// The part of it that is the process's own, in MB. The rest are pages of files, its program first of all, which the
/// kernel shares and can take back.
pub(super) fn own(pid: u32) -> anyhow::Result<f64> {
    memory(pid, "RssAnon:")
}

fn memory(pid: u32, field: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field}"))?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes / 1000.0)
}

/// What a process has used of the processors, by the kernel's count.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    /// Nanoseconds on a processor.
    pub(super) busy: u64,
    /// How often one of its threads was put on one.
    pub(super) wakes: u64,
}

impl Used {
    /// Until now.
    pub(super) fn by(pid: u32) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            // Time on a processor, time spent waiting for one, time slices.
            let told = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let mut numbers = told.split_ascii_whitespace().map(str::parse::<u64>);
            let mut next = || numbers.next().context("the kernel keeps no schedstat")?.context("a number");
            all.busy += next()?;
            next()?;
            all.wakes += next()?;
        }
        Ok(all)
    }
}
