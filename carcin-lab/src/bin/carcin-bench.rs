//! Measures what Carcin costs.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use carcin_lab::bench::{Options, Part, probe, run, table};
use clap::Parser;

/// Measures what Carcin costs: latencies, throughput, memory, processor time. Run it in release mode, on a quiet
/// machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// What to measure
    #[arg(value_enum, default_values_t = [Part::All])]
    parts: Vec<Part>,
    /// How often each figure is measured
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// After how many turns memory is looked at
    #[arg(long, default_value_t = 1000)]
    turns: usize,
    /// Of how many lines latency is taken
    #[arg(long, default_value_t = 10_000)]
    lines: usize,
    /// The size of the flood, in MB
    #[arg(long, default_value_t = 100)]
    megabytes: usize,
    /// How many conversations a large journal has
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1000, 100_000])]
    conversations: Vec<u64>,
    /// How many events a large journal has
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    /// How long to look at an idle daemon, in seconds
    #[arg(long, default_value_t = 30)]
    idle: u64,
    /// The real claude; without it the scripted one answers
    #[arg(long, env = "CARCIN_REAL_CLAUDE", value_name = "PATH")]
    real_claude: Option<PathBuf>,
    /// Compare the instructions with those in the tree, instead of writing them there; fails where they are many more
    #[arg(long)]
    check: bool,
    /// Write the figures here too, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let own_name = std::env::args_os().next().unwrap_or_default();
    if Path::new(&own_name).file_name().is_some_and(|name| name == probe::NAME) {
        return probe::run().context("the probe's input or output failed");
    }
    let arguments = Arguments::parse();
    let options = Options {
        runs: arguments.runs,
        turns: arguments.turns,
        lines: arguments.lines,
        megabytes: arguments.megabytes,
        conversations: arguments.conversations,
        events: arguments.events,
        idle: arguments.idle,
        real_claude: arguments.real_claude,
        check: arguments.check,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(run(&arguments.parts, &options))?;
    print!("{}\n\n{}", report.machine, table(&report.figures));
    if let Some(path) = arguments.json {
        std::fs::write(&path, serde_json::to_vec_pretty(&report)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
