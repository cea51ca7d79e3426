//! `carcin-ctl completions` and `carcin-ctl man`

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::command::Cli;
use super::error::CtlError;
use super::output::print;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn completions(args: &Args) -> Result<ExitCode, CtlError> {
    print(&script(args.shell))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// The command; without one, the page of carcin-ctl itself
    command: Option<String>,
}

pub(super) fn man(args: &ManArgs) -> Result<ExitCode, CtlError> {
    let mut program = Cli::command();
    // Gives each command the flags that hold for all of them, and its whole name.
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| {
            CtlError::said(format!("there is no command `{name}`"), "`carcin-ctl --help` lists the commands")
        })?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(CtlError::Output)?;
    print(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}

/// First all of it in memory: the generator does not expect a reader that goes away.
fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "carcin-ctl", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_shell_has_a_script_that_knows_the_verbs() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for verb in ["status", "send", "answer", "send-file"] {
                assert!(script.contains(verb), "{shell}: {verb}");
            }
        }
    }
}
