//! `carcin-ctl send-file`

use std::path::PathBuf;
use std::process::ExitCode;

use carcin_proto::Request;
use carcin_proto::request::SendFile;

use super::context::Context;
use super::error::CtlError;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An existing file
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// One line on what it is
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    caption: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<ExitCode, CtlError> {
    // The daemon is somewhere else, and does not know where we are.
    let path = std::path::absolute(&args.path).map_err(|error| {
        CtlError::said(format!("{}: {error}", args.path.display()), "name an existing file")
    })?;
    if path.to_str().is_none() {
        let message = format!("{} is not a name in UTF-8", path.display());
        return Err(CtlError::said(message, "copy the file to another name"));
    }
    let conversation = context.chosen.clone();
    context.ask(&Request::SendFile(SendFile { conversation, path, caption: args.caption })).await?;
    Ok(ExitCode::SUCCESS)
}
