//! `carcin-ctl notify`: for hooks and tools.

use std::process::ExitCode;

use carcin_proto::request::Notify;
use carcin_proto::{ClientError, Request};

use super::context::{Context, words_or_stdin};
use super::error::CtlError;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to tell; `-` reads it from standard input
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
    /// What it is about, such as `compact`
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TOPIC")]
    topic: String,
    /// Do nothing, without an error, where carcind is not running
    #[arg(long)]
    if_running: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<ExitCode, CtlError> {
    let text = words_or_stdin(&args.text)?;
    let request = Request::Notify(Notify { conversation: context.chosen.clone(), text, topic: args.topic });
    match context.ask(&request).await {
        Err(CtlError::Client(ClientError::NotRunning { .. })) if args.if_running => Ok(ExitCode::SUCCESS),
        done => done.map(|_| ExitCode::SUCCESS),
    }
}
