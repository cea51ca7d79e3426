//! The demo: all of Carcin on this machine, with a chat page in the browser in place of Telegram.
//!
//! ```text
//! build ─▶ which Claude ─▶ rig (stand-ins, carcind, carcin-tg) ─▶ URL ─▶ presses of the page's buttons, until a signal
//! ```

mod banner;
mod build;
mod claude;
mod restart;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::rig::{OWNER, Rig};
use crate::script::demo::PROJECT;
use crate::telegram::{LabConfig, Limits};
use claude::Choice;
use restart::Buttons;

/// Try Carcin in the browser: no bot, no account, nothing to set up.
///
/// Starts carcind, carcin-tg and stand-ins for Telegram and for the model in a temporary folder, and prints the
/// address of a chat page. Uses the real Claude Code where there is one, else a scripted one. Ctrl-C ends everything
/// and leaves nothing behind.
#[derive(Debug, Clone, Parser)]
#[command(name = "carcin-demo", version)]
pub struct Arguments {
    /// The page's port on 127.0.0.1; a free one by default
    #[arg(long)]
    port: Option<u16>,
    /// Use the scripted Claude, even where the real one is installed
    #[arg(long, conflicts_with_all = ["claude", "real_model"])]
    scripted: bool,
    /// Let the real Claude ask the real model, with your own login, settings and home directory: this costs what
    /// Claude costs, and what you allow it to do, it does
    #[arg(long)]
    real_model: bool,
    /// The Claude Code to use [default: `claude` on PATH]
    #[arg(long, value_name = "PATH")]
    claude: Option<PathBuf>,
}

/// The signals that end the demo.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Ends {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one; the exit code that a shell shows for it.
    async fn any(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
            _ = self.hangup.recv() => 129,
        }
    }
}

/// Runs the demo until it is interrupted.
pub fn main(arguments: Arguments) -> ExitCode {
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start")
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<u8> {
    let mut ends = Ends::listen().context("cannot listen for signals")?;
    let (buttons, presses) = Buttons::new();
    let started = tokio::select! {
        started = start(&arguments, buttons) => started,
        code = ends.any() => return Ok(code),
    };
    let (mut rig, choice) = started?;
    print!("{}", banner::terminal(&choice, &rig.telegram.page_url()));
    let code = tokio::select! {
        never = presses.serve(&mut rig) => match never {},
        code = ends.any() => code,
    };
    println!("\nEnding everything.");
    rig.discard();
    Ok(code)
}

async fn start(arguments: &Arguments, buttons: Buttons) -> anyhow::Result<(Rig, Choice)> {
    build::programs().await?;
    let choice = Choice::make(arguments).await?;
    let telegram = LabConfig {
        port: arguments.port,
        users: vec![(OWNER, "Ann".to_owned())],
        limits: Limits::TELEGRAM,
        actions: buttons.actions(),
        ..LabConfig::default()
    };
    let builder = Rig::builder().claude(choice.claude()).front().telegram(telegram);
    let builder = if choice.is_real_model() { builder.own_environment() } else { builder };
    let rig = builder.start().await?;
    for (name, content) in PROJECT {
        std::fs::write(rig.places.work().join(name), content).context("cannot write the example project")?;
    }
    rig.telegram.set_status(&banner::page(&choice));
    Ok((rig, choice))
}
