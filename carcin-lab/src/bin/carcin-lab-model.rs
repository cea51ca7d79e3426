//! The Messages API stand-in as a program of its own.

use anyhow::Context as _;
use carcin_lab::logs;
use carcin_lab::model::{ModelConfig, ModelLab};
use clap::Parser;
use tracing::Level;

/// Answers the real `claude` by the script in the prompt; prints the URL for `ANTHROPIC_BASE_URL`.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    logs::start(Level::INFO);
    let lab = ModelLab::start(ModelConfig { port: Arguments::parse().port }).await?;
    println!("{}", lab.base_url());
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")
}
