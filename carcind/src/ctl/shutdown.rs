//! `carcin-ctl shutdown`

use std::process::ExitCode;

use carcin_proto::request::Status;
use carcin_proto::{ConversationState, Request};

use super::context::Context;
use super::error::CtlError;
use super::output::{confirm, print};
use super::text::count;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Don't ask, even if turns are running
    #[arg(long, short_alias = 'y', alias = "yes")]
    now: bool,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<ExitCode, CtlError> {
    if !args.now
        && let Some(running) = running(&context.status().await?)
    {
        match confirm(&format!("{running} running. End Claude and carcind?")) {
            Some(true) => {}
            Some(false) => {
                print("Nothing was ended.\n")?;
                return Ok(ExitCode::FAILURE);
            }
            None => {
                return Err(CtlError::said(
                    format!("{running} running, and there is no terminal to ask on"),
                    "to end them, run `carcin-ctl shutdown --now`",
                ));
            }
        }
    }
    context.ask(&Request::Shutdown).await?;
    print("carcind and its Claudes are ending\n")?;
    Ok(ExitCode::SUCCESS)
}

/// How many turns a shutdown would end; `None`: none.
fn running(status: &Status) -> Option<String> {
    let running = status
        .conversations
        .iter()
        .filter(|conversation| {
            matches!(conversation.state, ConversationState::Running | ConversationState::Waiting)
        })
        .count();
    (running > 0).then(|| count(running, "turn"))
}
