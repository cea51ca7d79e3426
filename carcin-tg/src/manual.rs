//! `carcin-tg completions` and `carcin-tg man`

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::config::Flags;

/// Prints what completes the command line in this shell.
pub(crate) fn completions(shell: Shell) -> ExitCode {
    print(&script(shell))
}

/// Prints the manual page.
pub(crate) fn man() -> ExitCode {
    let mut page = Vec::new();
    match clap_mangen::Man::new(Flags::command()).render(&mut page) {
        Ok(()) => print(&page),
        Err(error) => failed(&error),
    }
}

/// First all of it in memory: the generator does not expect a reader that goes away.
fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Flags::command(), "carcin-tg", &mut script);
    script
}

fn print(bytes: &[u8]) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Who reads no further has what they wanted.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => failed(&error),
        _ => ExitCode::SUCCESS,
    }
}

fn failed(error: &io::Error) -> ExitCode {
    eprintln!("error: cannot print: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn every_shell_has_a_script_that_knows_the_flags() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(script(shell)).expect("text");
            for word in ["doctor", "token-file", "allowed-user"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
