//! `carcin-ctl sessions`

use std::path::PathBuf;
use std::process::ExitCode;

use carcin_proto::request::{ListSessions, ListedSession, OpenElsewhere, SessionList, SessionSummary};
use carcin_proto::{Millis, Reply, Request};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::context::Context;
use super::error::CtlError;
use super::output::{print, print_json};
use super::style::Style;
use super::text::{Table, one_line, short};
use super::time::age;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many to list, at most 100
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// How many of the latest to skip
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u32,
    /// Only those that worked in this folder or below it
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Only those with all of these words in the title, the first prompt, the folder, the branch or the id
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

/// A session as `--json` prints it.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    summary: &'a SessionSummary,
    first_prompt: Option<&'a str>,
    open: &'a [OpenElsewhere],
}

pub(super) async fn run(context: &Context, args: Args) -> Result<ExitCode, CtlError> {
    let cwd = args.cwd.map(|cwd| folder(&cwd)).transpose()?;
    let request = ListSessions { offset: args.offset, limit: args.limit, cwd, search: args.search };
    let list = match context.ask(&Request::ListSessions(request)).await? {
        Reply::SessionList(list) => list,
        other => return Err(CtlError::reply(other)),
    };
    if context.json {
        let listed = list.sessions.iter().map(|listed| Listed {
            summary: &listed.summary,
            first_prompt: listed.first_prompt.as_deref(),
            open: &listed.open,
        });
        print_json(&listed.collect::<Vec<_>>())?;
    } else {
        print(&render(&list, args.offset, Millis::now(), &TimeZone::system(), context.style))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// As Claude Code names a folder: absolute, and without links where it is there.
fn folder(path: &std::path::Path) -> Result<PathBuf, CtlError> {
    let failed =
        |error| CtlError::said(format!("cannot use the folder {}: {error}", path.display()), "name another");
    path.canonicalize().or_else(|_| std::path::absolute(path)).map_err(failed)
}

fn render(list: &SessionList, offset: u32, now: Millis, zone: &TimeZone, style: Style) -> String {
    if list.sessions.is_empty() {
        return match list.total {
            0 => "No sessions.\n".to_owned(),
            total => format!("No more sessions: there are {total}.\n"),
        };
    }
    let mut table = Table::new(&["SESSION", "LAST USED", "SIZE", "TITLE", "WHERE"], 3);
    for listed in &list.sessions {
        let session = &listed.summary;
        let title = match one_line(&session.title) {
            title if title.is_empty() => "-".to_owned(),
            title => title,
        };
        let held = session.conversation.is_some() || !listed.open.is_empty();
        let paint = held.then_some(Style::green as fn(Style, &str) -> String);
        table.row([
            (short(session.session.as_str()).to_owned(), paint),
            (age(session.modified, now, zone), None),
            (size(session.size), None),
            (title, None),
            (place(listed), None),
        ]);
    }
    let first = offset.saturating_add(1);
    let last = offset.saturating_add(u32::try_from(list.sessions.len()).unwrap_or(u32::MAX));
    let which = format!("{first} to {last} of {}; `carcin-ctl resume SESSION` goes on with one", list.total);
    format!("{}\n{}\n", table.render(style), style.dim(&which))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

/// The folder's own name and the branch: what tells sessions apart, in the room that there is. And who has it.
fn place(listed: &ListedSession) -> String {
    let session = &listed.summary;
    let folder = session.cwd.as_deref().map_or_else(
        || "-".to_owned(),
        |cwd| cwd.file_name().unwrap_or(cwd.as_os_str()).to_string_lossy().into_owned(),
    );
    let branch = session.branch.as_deref().filter(|branch| !branch.is_empty());
    let branch = branch.map(|branch| format!(" ({branch})")).unwrap_or_default();
    let held = session.conversation.as_ref().map(|key| format!(" [{key}]")).unwrap_or_default();
    let open: Vec<_> = listed.open.iter().map(|open| format!(" [{}]", open_where(open))).collect();
    one_line(&format!("{folder}{branch}{held}{}", open.concat()))
}

fn open_where(open: &OpenElsewhere) -> String {
    match open.entrypoint.as_str() {
        "" | "cli" => format!("open in a terminal, pid {}", open.pid),
        _ => format!("open elsewhere, pid {}", open.pid),
    }
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
        let open = OpenElsewhere {
            pid: 4244,
            cwd: None,
            since: Millis(1),
            entrypoint: "cli".into(),
            status: "idle".into(),
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
        let mut sessions: Vec<_> = sessions
            .into_iter()
            .map(|summary| ListedSession { summary, first_prompt: None, open: vec![] })
            .collect();
        sessions[1].open.push(open);
        let list = SessionList { total: 312, sessions };
        insta::assert_snapshot!(render(&list, 20, Millis(1_800_000_000_000), &TimeZone::UTC, Style::PLAIN));
    }

    #[test]
    fn behind_the_last_page_there_is_nothing() {
        let render = |total| {
            let list = SessionList { total, sessions: vec![] };
            render(&list, 20, Millis(0), &TimeZone::UTC, Style::PLAIN)
        };
        assert_eq!(render(0), "No sessions.\n");
        assert_eq!(render(7), "No more sessions: there are 7.\n");
    }
}
