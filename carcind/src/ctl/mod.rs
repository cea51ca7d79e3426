//! `carcin-ctl`: one call to the socket, then it prints. One file per verb; it keeps no state.
//!
//! Rendering takes values and returns strings, so that tests can look at what people see.

mod about;
mod answer;
mod ask;
mod command;
mod completions;
mod context;
mod describe;
mod diff;
mod error;
mod new;
mod notify;
mod output;
mod pending;
mod recent;
mod resume;
mod screen;
mod send;
mod send_file;
mod sessions;
mod shutdown;
mod status;
mod stop;
mod style;
mod tasks;
mod text;
mod time;
mod turn;
mod watch;

use std::io;
use std::process::ExitCode;

use clap::Parser;

pub use command::Cli;
use command::Verb;
use context::Context;
use error::CtlError;

/// `carcin-ctl`, from its command line to its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CtlError::Runtime)
        .and_then(|runtime| runtime.block_on(run(cli)));
    match done {
        Ok(code) => code,
        // The reader of our output has seen enough.
        Err(CtlError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&error.render(style::Style::of_stderr()));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, CtlError> {
    let context = Context::new(cli.global)?;
    match cli.verb {
        Verb::Status => status::run(&context).await,
        Verb::About => about::run(&context).await,
        Verb::Diff(args) => diff::run(&context, &args).await,
        Verb::Tasks(args) => tasks::run(&context, args).await,
        Verb::Sessions(args) => sessions::run(&context, args).await,
        Verb::Send(args) => send::run(&context, args).await,
        Verb::Watch(args) => watch::run(&context, &args).await,
        Verb::Stop => stop::run(&context).await,
        Verb::Pending => pending::run(&context).await,
        Verb::Answer(args) => answer::run(&context, &args).await,
        Verb::New(args) => new::run(&context, args).await,
        Verb::Resume(args) => resume::run(&context, args).await,
        Verb::Recent(args) => recent::run(&context, args).await,
        Verb::Notify(args) => notify::run(&context, args).await,
        Verb::SendFile(args) => send_file::run(&context, args).await,
        Verb::Shutdown(args) => shutdown::run(&context, &args).await,
        Verb::Completions(args) => completions::completions(&args),
        Verb::Man(args) => completions::man(&args),
    }
}
