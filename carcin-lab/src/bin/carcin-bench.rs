//! Measures what Carcin costs.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use carcin_lab::bench::{Options, probe, run, table};
use clap::Parser;

/// Measures what Carcin costs: latencies through both programs, and their memory. Run it in release mode, on a
/// quiet machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How often each figure is measured
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// After how many turns memory is looked at
    #[arg(long, default_value_t = 100)]
    turns: usize,
    /// The real claude; without it the scripted one answers
    #[arg(long, env = "CARCIN_REAL_CLAUDE", value_name = "PATH")]
    real_claude: Option<PathBuf>,
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
    let options =
        Options { runs: arguments.runs, turns: arguments.turns, real_claude: arguments.real_claude };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figures = runtime.block_on(run(&options))?;
    print!("{}", table(&figures));
    if let Some(path) = arguments.json {
        std::fs::write(&path, serde_json::to_vec_pretty(&figures)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
