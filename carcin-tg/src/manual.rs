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

/// Prints the manual page of the program, or of one of its commands.
pub(crate) fn man(command: Option<&str>) -> ExitCode {
    let Some(page) = page(command) else {
        let name = command.unwrap_or_default();
        eprintln!("error: there is no command `{name}`\nhint: `carcin-tg --help` lists the commands");
        return ExitCode::FAILURE;
    };
    print(&page)
}

/// `None`: there is no such command.
fn page(command: Option<&str>) -> Option<Vec<u8>> {
    let mut program = Flags::command();
    // Gives each command its whole name.
    program.build();
    let command = match command {
        None => program,
        Some(name) => program.find_subcommand(name)?.clone(),
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).expect("memory takes what is written to it");
    Some(page)
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

    /// A man page refers to others as `carcin-tg-doctor(1)`.
    #[test]
    fn every_page_that_the_manual_names_can_be_printed() {
        let whole = page(None).expect("the program's own");
        let whole = String::from_utf8(whole).expect("text").replace("\\-", "-");
        let named: Vec<_> =
            whole.lines().filter_map(|line| line.strip_prefix("carcin-tg-")?.strip_suffix("(1)")).collect();
        assert!(named.contains(&"doctor"), "{whole}");
        for name in named {
            assert!(page(Some(name)).is_some(), "{name}");
        }
        assert!(page(Some("nothing")).is_none());
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
