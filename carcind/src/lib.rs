//! The daemon: all of it but two small mains.

pub mod catalogue;
pub mod child;
pub mod claude;
pub mod config;
pub mod conversation;
pub mod ctl;
mod daemon;
pub mod fault;
mod folder;
pub mod os;
mod posix_lock;
mod presence;
mod process_stat;
pub mod rows;
pub mod server;
pub mod store;
mod worktree;

use std::io::IsTerminal;
use std::process::ExitCode;

use config::{Cli, Config, ConfigError, Verb};
use daemon::StateDirError;
use store::StoreError;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// `carcind`, from its command line to its exit code: 2 where starting again is of no use.
pub fn main(cli: Cli) -> ExitCode {
    match cli.verb {
        Some(Verb::Child { dir }) => code(child::run_launcher(&dir)),
        Some(Verb::ChildEnded { dir }) => match child::record_exit(&dir) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&anyhow::anyhow!(error).context("cannot record how the child ended")),
        },
        None => match run(cli.flags) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
    }
}

fn run(flags: config::Flags) -> anyhow::Result<()> {
    let told = std::env::var("RUST_LOG").ok().and_then(|told| told.parse().ok());
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(std::io::stderr)
        // The journal shows escape sequences as they are.
        .with_ansi(std::io::stderr().is_terminal())
        .finish()
        .with(told.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO)))
        .init();
    let config = Config::load(flags)?;
    to_the_end_of(daemon::run(config))
}

/// Runs `work`, and nothing after its end. What a disk has not answered by then is not waited for: a home that hangs, or
/// a spool of gigabytes that is being removed. All of that is begun again by the next start, as after a crash; what
/// must be done, `work` itself has waited for.
fn to_the_end_of(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    // The work is waiting for others; two threads keep a slow disk from holding up the rest.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let end = runtime.block_on(work);
    runtime.shutdown_background();
    end
}

fn code(code: i32) -> ExitCode {
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("carcind: {error:#}");
    ExitCode::from(if wants_a_person(error) { 2 } else { 1 })
}

/// Whether starting again is of no use until somebody changes something.
fn wants_a_person(error: &anyhow::Error) -> bool {
    error.is::<ConfigError>()
        || error.downcast_ref().is_some_and(StateDirError::wants_a_person)
        || matches!(error.downcast_ref(), Some(StoreError::Newer { .. }))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_end_waits_for_no_disk() {
        let (answer, disk) = mpsc::channel::<()>();
        let (told, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let (begun, begins) = tokio::sync::oneshot::channel();
            let end = to_the_end_of(async move {
                tokio::task::spawn_blocking(move || {
                    let _ = begun.send(());
                    disk.recv()
                });
                Ok(begins.await?)
            });
            told.send(end.is_ok())
        });
        assert_eq!(ended.recv_timeout(Duration::from_mins(1)), Ok(true));
        drop(answer);
    }
}
