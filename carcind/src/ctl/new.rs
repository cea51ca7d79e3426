//! `carcin-ctl new`

use std::path::PathBuf;
use std::process::ExitCode;

use carcin_proto::Request;
use carcin_proto::request::New;

use super::context::Context;
use super::error::CtlError;
use super::output::print;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where Claude works from then on [default: where it is]
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<ExitCode, CtlError> {
    let cwd = args.cwd.map(|dir| {
        std::path::absolute(&dir)
            .map_err(|error| CtlError::said(format!("{}: {error}", dir.display()), "name a directory"))
    });
    let cwd = cwd.transpose()?;
    let conversation = context.conversation_or_ours().await?;
    context.ask(&Request::New(New { conversation: conversation.clone(), cwd })).await?;
    print(&format!("{conversation}: the next prompt begins a new session\n"))?;
    Ok(ExitCode::SUCCESS)
}
