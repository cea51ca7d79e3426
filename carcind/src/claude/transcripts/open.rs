//! Which sessions are open now: each running Claude Code keeps a file `<config>/sessions/<pid>.json`.
//!
//! One that was killed leaves its file behind, and its pid may be another's by now. The file therefore says when its
//! process started, in the kernel's own count; only where that agrees is the session open.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use carcin_proto::{Millis, SessionId};

use crate::claude::json::Object;
use crate::claude::text::one_line;
use crate::process_stat::{ProcessId, Stat, stat};

/// How much of a file is read; Claude Code writes less than one kibibyte.
const MAX_FILE: u64 = 64 * 1024;
/// How many clock ticks the kernel counts in a second, for programs: the same on every machine.
const TICKS: u64 = 100;
/// How far apart the wall clock's two ways of telling a start may be.
const SLACK: u64 = 2_000;

/// A session that a living Claude Code has open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// The session.
    pub session: SessionId,
    /// The process.
    pub pid: u32,
    /// When the process started, in clock ticks since boot: with the pid it names the process for ever.
    pub start: u64,
    /// Where it was started.
    pub cwd: Option<PathBuf>,
    /// Since when it runs, on the wall clock.
    pub since: Millis,
    /// How it was started, in Claude Code's words: `cli` in a terminal, `sdk-cli` with `-p`.
    pub entrypoint: String,
    /// What it does, in Claude Code's words; may be empty.
    pub status: String,
}

impl OpenSession {
    /// The process that has it open.
    pub fn process(&self) -> ProcessId {
        ProcessId { pid: self.pid, start: self.start }
    }

    /// Where it is open, for people.
    pub fn place(&self) -> String {
        match self.entrypoint.as_str() {
            "" | "cli" => format!("in a terminal, pid {}", self.pid),
            "sdk-cli" => format!("in another `claude -p`, pid {}", self.pid),
            other => format!("elsewhere ({other}), pid {}", self.pid),
        }
    }
}

/// What the files in `folder` tell of processes that live, by pid.
pub(super) fn all(folder: &Path) -> Vec<OpenSession> {
    let names = super::children(folder).into_iter();
    let named = names.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut open: Vec<_> = named.filter_map(|path| told(&path)).collect();
    open.sort_by_key(|open| open.pid);
    open
}

fn told(path: &Path) -> Option<OpenSession> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    let file = Object::parse(text.trim_end())?;
    let pid = u32::try_from(file.count("pid")?).ok().filter(|pid| *pid > 0)?;
    let process = stat(pid).filter(|process| !process.zombie)?;
    let since = Millis(file.count("startedAt").unwrap_or(0));
    let same = match file.text("procStart").and_then(|start| start.parse::<u64>().ok()) {
        Some(start) => start == process.start,
        // Written by a version that does not say. A process that began after the file did is another one.
        None => started_at(&process).is_some_and(|started| started <= since.0 + SLACK),
    };
    same.then_some(OpenSession {
        session: SessionId::new(file.text("sessionId")?).ok()?,
        pid,
        start: process.start,
        cwd: file.text("cwd").map(PathBuf::from),
        since,
        entrypoint: one_line(&file.text_or_empty("entrypoint"), 40),
        status: one_line(&file.text_or_empty("status"), 40),
    })
}

/// When a process started, on the wall clock in milliseconds.
fn started_at(process: &Stat) -> Option<u64> {
    let kernel = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: u64 = kernel.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot * 1000 + process.start * 1000 / TICKS)
}
