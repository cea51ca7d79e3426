//! The daemon with fault points, for tests. It is not shipped.

use std::process::ExitCode;

use carcind::config::Cli;
use clap::Parser;

fn main() -> ExitCode {
    carcind::fault::list_if_asked();
    carcind::main(Cli::parse())
}
