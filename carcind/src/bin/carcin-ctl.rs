//! Talks to carcind from a terminal.

use std::process::ExitCode;

fn main() -> ExitCode {
    carcind::ctl::main()
}
