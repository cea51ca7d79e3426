//! The Telegram front end: a durable inbox and outbox between Telegram and `carcind`.
//!
//! The way in: `poller` stores the updates that pass the gate of `update`, and `inbox` works on them and calls the
//! daemon. The way out: `link` stores the daemon's events as `view` shows them, and `outbox` sends them. Each step is
//! one transaction of the store.

// Every module is private, so `pub` means: for the other rooms. Only `main` leaves the crate.
#![allow(unreachable_pub)]

mod api;
mod app;
mod commands;
mod config;
mod doctor;
mod fatal;
mod fault;
mod files;
mod inbox;
mod link;
mod lock;
mod logs;
mod manual;
mod markdown;
mod menu;
mod message;
mod outbox;
mod paths;
mod place;
mod poller;
mod polling_conflict;
mod queue;
mod restart;
mod store;
mod strangers;
mod token;
mod update;
mod uploads;
mod view;

use std::process::ExitCode;

use clap::Parser;

use crate::app::Ended;
use crate::config::{Config, Flags, Verb};
use crate::fatal::Fatal;

/// The program. Returns its exit code: 2 where starting again is of no use.
pub fn main() -> ExitCode {
    let flags = Flags::parse();
    match flags.verb {
        Some(Verb::Doctor) => return doctor::main(flags),
        Some(Verb::Completions { shell }) => return manual::completions(shell),
        Some(Verb::Man { command }) => return manual::man(command.as_deref()),
        None => {}
    }
    match run(flags) {
        Ok(Ended::Stopped) => ExitCode::SUCCESS,
        Ok(Ended::Again) => {
            eprintln!("error: cannot start anew: {}", restart::again());
            ExitCode::FAILURE
        }
        Err(fatal) => {
            eprintln!("error: {fatal}");
            if let Some(hint) = fatal.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(fatal.exit_code())
        }
    }
}

fn run(flags: Flags) -> Result<Ended, Fatal> {
    let config = Config::resolve(flags, &|name| std::env::var(name).ok())?;
    logs::start(&config.token);
    let runtime = runtime()?;
    let result = runtime.block_on(app::run(config));
    // An upload that is under way is sent again at the next start.
    runtime.shutdown_background();
    result
}

fn runtime() -> Result<tokio::runtime::Runtime, Fatal> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| Fatal::Io { what: "cannot start the runtime".to_owned(), source })
}
