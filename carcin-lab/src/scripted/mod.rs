//! A scripted `claude`, for machines without the real one.
//!
//! It speaks the stream-json of Claude Code on stdin and stdout, as far as a host that drives it needs: turns, streamed
//! text, tools that really run, permission requests, questions and plans, steering, interrupts, resumed sessions, background
//! commands, subagents. What Claude says is the script in the prompt, see [`crate::script`]; no server is needed.
//!
//! The recordings in `corpus/claude` are the measure: it prints the same frames in the same order.
//! A `!gate NAME` waits for [`open_gate`].

mod answer;
mod arguments;
mod clock;
mod control;
mod emit;
mod io;
mod permission;
mod recorded;
mod session;
mod slash;
mod subagent;
mod tool_batch;
mod tools;
mod transcript;
mod turn;

use std::path::{Path, PathBuf};

pub use arguments::Arguments;

/// The version of Claude Code that the recordings are of.
const VERSION: &str = include_str!("../../corpus/claude/VERSION").trim_ascii();

/// Opens a gate for every scripted `claude` with this `HOME`, for good.
pub fn open_gate(home: &Path, name: &str) -> std::io::Result<()> {
    let path = gate_path(home, name);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, "")
}

/// What printing each emission of a script took every scripted `claude` with this `HOME`, as it noted it: `bytes`,
/// `micros` in `write(2)`, `longest_micros` in one of these, and the same for a plain file.
pub fn emitted(home: &Path) -> Vec<serde_json::Value> {
    let notes = std::fs::read_to_string(emit::notes_path(home)).unwrap_or_default();
    notes.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn gate_path(home: &Path, name: &str) -> PathBuf {
    home.join(".carcin-lab/gates").join(name)
}

/// Runs the whole program: arguments, standard streams, signals.
///
/// The caller must exit with the code at once: a thread may still be reading stdin.
pub async fn run(arguments: impl Iterator<Item = String>) -> i32 {
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("error: {message}");
            return 1;
        }
    };
    if arguments.version {
        println!("{VERSION} (Claude Code, scripted)");
        return 0;
    }
    match session::Session::open(&arguments) {
        Ok(session) => session.run().await,
        Err(refusal) => refusal.tell(),
    }
}
