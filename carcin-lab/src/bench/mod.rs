//! What Carcin costs: its own latencies, without the time that Claude takes, how much it takes in, its memory, and
//! the instructions that an event costs.
//!
//! Run it in release mode and on a quiet machine. Clocks vary from run to run, so each figure is a median with its
//! spread; what compares with the machine itself is a ratio from one run; and instructions hardly vary at all.

mod clock;
mod corpus;
mod cost;
mod daemon;
mod fill;
mod growth;
mod instructions;
mod latency;
mod machine;
mod phone;
pub mod probe;
mod stats;
mod subscriber;
mod throughput;
mod transcripts;
mod turns;

use std::path::PathBuf;

use serde::Serialize;

pub use machine::Machine;
pub use stats::{Figure, table};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Whole turns, from Telegram to Claude and back
    Turns,
    /// From a line of Claude's to a subscriber's event
    Latency,
    /// How fast a flood of lines reaches 1, 4 and 16 subscribers, against copying the same bytes
    Throughput,
    /// Latency and `status` with many conversations, sessions and events, against the same with few
    Growth,
    /// Start, memory and processor time with a large journal
    Cost,
    /// What a task costs on the phone: calls of Telegram, messages that stay, sounds
    Phone,
    /// Instructions for each kind of event; needs valgrind
    Instructions,
    /// All of these but the instructions
    All,
}

/// How much to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often each.
    pub runs: usize,
    /// After how many turns memory is looked at.
    pub turns: usize,
    /// Lines whose latency is taken.
    pub lines: usize,
    /// The size of the flood, in MB.
    pub megabytes: usize,
    /// How many conversations a large journal has, from small to large.
    pub conversations: Vec<u64>,
    /// How many events it has.
    pub events: u64,
    /// How long the processor's time is looked at, in seconds.
    pub idle: u64,
    /// The real `claude`, for the answer from end to end.
    pub real_claude: Option<PathBuf>,
    /// Compare the instructions with those in the tree, instead of writing them there.
    pub check: bool,
}

/// Figures, and where they are from.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// What.
    pub figures: Vec<Figure>,
}

/// Measures.
pub async fn run(parts: &[Part], options: &Options) -> anyhow::Result<Report> {
    let machine = Machine::this();
    let wanted = |part| parts.contains(&part) || parts.contains(&Part::All);
    let mut figures = Vec::new();
    if wanted(Part::Turns) {
        figures.extend(turns::run(options).await?);
    }
    if wanted(Part::Latency) {
        figures.extend(latency::run(options).await?);
    }
    if wanted(Part::Throughput) {
        figures.extend(throughput::run(options).await?);
    }
    if wanted(Part::Growth) {
        figures.extend(growth::run(options).await?);
    }
    if wanted(Part::Cost) {
        figures.extend(cost::run(options).await?);
    }
    if wanted(Part::Phone) {
        figures.extend(phone::run().await?);
    }
    if parts.contains(&Part::Instructions) {
        figures.extend(instructions::run(options).await?);
    }
    Ok(Report { machine, figures })
}
