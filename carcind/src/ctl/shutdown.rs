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
    /// Do not ask, even where turns are running
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<ExitCode, CtlError> {
    if !args.yes {
        let question = question(&context.status().await?);
        if question.and_then(|question| confirm(&question)) == Some(false) {
            print("Nothing was ended.\n")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    context.ask(&Request::Shutdown).await?;
    print("carcind and its Claudes are ending\n")?;
    Ok(ExitCode::SUCCESS)
}

/// What to ask first; `None`: nothing is lost.
fn question(status: &Status) -> Option<String> {
    let working = status
        .conversations
        .iter()
        .filter(|conversation| {
            matches!(conversation.state, ConversationState::Running | ConversationState::Waiting)
        })
        .count();
    (working > 0).then(|| format!("{} running. End them and carcind?", count(working, "turn")))
}
