//! Carcin in the browser, with nothing to set up.

use clap::Parser;

fn main() -> std::process::ExitCode {
    carcin_lab::demo::main(carcin_lab::demo::Arguments::parse())
}
