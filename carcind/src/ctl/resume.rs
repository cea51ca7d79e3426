//! `carcin-ctl resume`

use std::process::ExitCode;

use carcin_proto::request::{Resume, SessionSummary};
use carcin_proto::{ConversationKey, Reply, Request};

use super::context::Context;
use super::error::CtlError;
use super::output::{print, print_json};
use super::text::{one_line, short};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The session's id, or the beginning of it; `carcin-ctl sessions` lists them
    #[arg(value_name = "SESSION")]
    session: String,
    /// Take it even where it seems to be open in a terminal
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<ExitCode, CtlError> {
    let conversation = context.conversation_or_ours().await?;
    let request = Resume { conversation: conversation.clone(), session: args.session, force: args.force };
    let summary = match context.ask(&Request::Resume(request)).await? {
        Reply::Resumed(summary) => summary,
        other => return Err(CtlError::reply(other)),
    };
    if context.json {
        print_json(&summary)?;
    } else {
        print(&render(&conversation, &summary))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(conversation: &ConversationKey, session: &SessionSummary) -> String {
    let title = match one_line(&session.title) {
        title if title.is_empty() => String::new(),
        title => format!(" \u{201c}{title}\u{201d}"),
    };
    let place = session.cwd.as_ref().map(|cwd| format!(" in {}", cwd.display())).unwrap_or_default();
    format!("{conversation}: goes on with session {}{title}{place}\n", short(session.session.as_str()))
}

#[cfg(test)]
mod tests {
    use carcin_proto::{Millis, SessionId};

    use super::*;

    #[test]
    fn a_resumed_session_is_named() {
        let summary = SessionSummary {
            session: SessionId::new("5e55ab12-0000").unwrap(),
            title: "Fix\nit".into(),
            cwd: Some("/src".into()),
            branch: None,
            modified: Millis(1),
            size: 1,
            conversation: None,
        };
        let key = ConversationKey::new("cli").unwrap();
        assert_eq!(render(&key, &summary), "cli: goes on with session 5e55ab12 “Fix it” in /src\n");
    }
}
