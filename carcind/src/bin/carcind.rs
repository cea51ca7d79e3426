//! The daemon.

use std::process::ExitCode;

use carcind::config::Cli;
use clap::Parser;

fn main() -> ExitCode {
    carcind::main(Cli::parse())
}
