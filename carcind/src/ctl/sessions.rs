//! `carcin-ctl sessions`

use std::process::ExitCode;

use carcin_proto::request::{SessionSummary, Sessions};
use carcin_proto::{Millis, Reply, Request};
use jiff::tz::TimeZone;

use super::context::{Context, now};
use super::error::CtlError;
use super::output::{print, print_json};
use super::style::Style;
use super::text::{Table, one_line, short};
use super::time::age;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many to list, at most 100
    #[arg(value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// How many of the latest to skip
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u32,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<ExitCode, CtlError> {
    let request = Request::Sessions(Sessions { offset: args.skip, limit: args.limit });
    let sessions = match context.ask(&request).await? {
        Reply::Sessions(sessions) => sessions,
        other => return Err(CtlError::reply(other)),
    };
    if context.json {
        print_json(&sessions)?;
    } else {
        print(&render(&sessions, now(), &TimeZone::system(), context.style))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(sessions: &[SessionSummary], now: Millis, zone: &TimeZone, style: Style) -> String {
    if sessions.is_empty() {
        return "No sessions.\n".to_owned();
    }
    let mut table = Table::new(&["SESSION", "LAST USED", "TITLE", "WHERE"], 2);
    for session in sessions {
        let title = match one_line(&session.title) {
            title if title.is_empty() => "-".to_owned(),
            title => title,
        };
        let paint = session.conversation.as_ref().map(|_| Style::green as fn(Style, &str) -> String);
        table.row([
            (short(session.session.as_str()).to_owned(), paint),
            (age(session.modified, now, zone), None),
            (title, None),
            (place(session), None),
        ]);
    }
    format!("{}\n{}\n", table.render(style), style.dim("`carcin-ctl resume SESSION` goes on with one"))
}

/// The folder's own name and the branch: what tells sessions apart, in the room that there is.
fn place(session: &SessionSummary) -> String {
    let folder = session.cwd.as_deref().map_or_else(
        || "-".to_owned(),
        |cwd| cwd.file_name().unwrap_or(cwd.as_os_str()).to_string_lossy().into_owned(),
    );
    let branch = session.branch.as_deref().filter(|branch| !branch.is_empty());
    let held = session.conversation.as_ref().map(|key| format!(" [{key}]")).unwrap_or_default();
    one_line(&match branch {
        Some(branch) => format!("{folder} ({branch}){held}"),
        None => format!("{folder}{held}"),
    })
}

#[cfg(test)]
mod tests {
    use carcin_proto::{ConversationKey, SessionId};

    use super::*;

    #[test]
    fn sessions_line_up() {
        let session = |id: &str, title: &str, modified| SessionSummary {
            session: SessionId::new(id).unwrap(),
            title: title.into(),
            cwd: Some("/home/ana/carcin".into()),
            branch: Some("main".into()),
            modified: Millis(modified),
            size: 70_000,
            conversation: None,
        };
        let sessions = [
            SessionSummary {
                conversation: Some(ConversationKey::new("tg:7").unwrap()),
                ..session("5e55ab12-0000-4000-8000-000000000000", "Fix the build", 1_799_999_999_000)
            },
            session(
                "6e55ab12-0000-4000-8000-000000000000",
                "このテストを直してください、そして全部のファイルを確認してください\nnow",
                1_799_999_000_000,
            ),
            SessionSummary { cwd: None, branch: None, ..session("7e55ab12", "", 1_700_000_000_000) },
        ];
        insta::assert_snapshot!(render(&sessions, Millis(1_800_000_000_000), &TimeZone::UTC, Style::PLAIN));
    }
}
