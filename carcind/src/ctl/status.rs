//! `carcin-ctl status`

use std::process::ExitCode;

use carcin_proto::request::{ConversationStatus, Status};
use carcin_proto::{ConversationState, Millis};
use jiff::tz::TimeZone;

use super::context::Context;
use super::error::CtlError;
use super::output::{print, print_json};
use super::style::Style;
use super::text::{Table, count, one_line, push_line, short};
use super::time::{age, duration};

pub(super) async fn run(context: &Context) -> Result<ExitCode, CtlError> {
    let status = context.status().await?;
    if context.json {
        print_json(&status)?;
    } else {
        print(&render(&status, Millis::now(), &TimeZone::system(), context.style))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(status: &Status, now: Millis, zone: &TimeZone, style: Style) -> String {
    let mut out = head(status, style);
    for problem in &status.problems {
        push_line(&mut out, &format!("{} {}", style.yellow("problem:"), one_line(problem)));
    }
    out.push('\n');
    if status.conversations.is_empty() {
        out += "No conversation yet. `carcin-ctl send PROMPT` begins one.\n";
    } else {
        out += &conversations(status, now, zone, style);
    }
    if !status.clients.is_empty() {
        out.push('\n');
        out += &clients(status, style);
    }
    out
}

fn head(status: &Status, style: Style) -> String {
    let claude = match (&status.claude.path, &status.claude.version) {
        (Some(path), version) => {
            format!("{}  {}", version.as_deref().unwrap_or("version not known yet"), path.display())
        }
        (None, _) => style.red("not found"),
    };
    format!(
        "{} {}  protocol {}, pid {}, up {}\nsocket   {}\nclaude   {}\nevents   {}\n",
        style.bold("carcind"),
        status.version,
        status.protocol,
        status.pid,
        duration(status.uptime_ms),
        status.socket.display(),
        claude,
        status.last_seq,
    )
}

fn conversations(status: &Status, now: Millis, zone: &TimeZone, style: Style) -> String {
    let mut table =
        Table::new(&["CONVERSATION", "STATE", "SESSION", "ACTIVE", "MODEL", "WHERE"], 5).keep_end();
    for conversation in &status.conversations {
        table.row([
            (conversation.key.to_string(), None),
            (conversation.state.to_string(), Some(state(conversation.state))),
            (conversation.session_id.as_ref().map_or("-", |id| short(id.as_str())).to_owned(), None),
            (age(conversation.active_at, now, zone), None),
            (one_line(conversation.model.as_deref().unwrap_or("-")), None),
            (one_line(&conversation.cwd.display().to_string()), None),
        ]);
    }
    let mut out = table.render(style);
    for conversation in &status.conversations {
        for remark in remarks(conversation) {
            push_line(&mut out, &format!("  {}: {remark}", conversation.key));
        }
    }
    out
}

fn state(state: ConversationState) -> fn(Style, &str) -> String {
    match state {
        ConversationState::Idle => Style::green,
        ConversationState::Running => Style::cyan,
        ConversationState::Waiting => Style::yellow,
        ConversationState::Closed => Style::dim,
    }
}

/// What is not the usual.
fn remarks(conversation: &ConversationStatus) -> Vec<String> {
    let mut remarks = Vec::new();
    if conversation.pending > 0 {
        let asked = count(conversation.pending as usize, "request");
        remarks.push(format!("{asked} to answer (`carcin-ctl pending`)"));
    }
    if conversation.queued > 0 {
        remarks.push(format!("{} queued", count(conversation.queued as usize, "prompt")));
    }
    if let Some(mode) = conversation.permission_mode.as_deref().filter(|mode| *mode != "default") {
        remarks.push(format!("mode {}", one_line(mode)));
    }
    if conversation.unrecognised > 0 {
        let lines = count(usize::try_from(conversation.unrecognised).unwrap_or(usize::MAX), "line");
        remarks.push(format!("{lines} of Claude's not understood (`carcin-ctl watch --raw`)"));
    }
    remarks
}

fn clients(status: &Status, style: Style) -> String {
    let mut table = Table::new(&["CLIENT", "EVENTS"], 0);
    for client in &status.clients {
        let behind = status.last_seq.0.saturating_sub(client.cursor.0);
        let seen =
            if behind == 0 { "all".to_owned() } else { format!("{} ({behind} behind)", client.cursor) };
        table.row([(one_line(&client.name), None), (seen, None)]);
    }
    table.render(style)
}

#[cfg(test)]
mod tests {
    use carcin_proto::request::{ClaudeStatus, ClientStatus};
    use carcin_proto::{ConversationKey, Seq, SessionId};

    use super::*;

    fn conversation(key: &str, state: ConversationState, active_at: u64) -> ConversationStatus {
        ConversationStatus {
            key: ConversationKey::new(key).unwrap(),
            session_id: None,
            cwd: "/home/ana".into(),
            state,
            claude_pid: None,
            queued: 0,
            model: None,
            permission_mode: None,
            active_at: Millis(active_at),
            pending: 0,
            unrecognised: 0,
        }
    }

    fn status() -> Status {
        Status {
            version: "0.1.0".into(),
            protocol: "1.0".into(),
            pid: 4242,
            uptime_ms: Millis(18_720_000),
            socket: "/run/user/1000/carcin/carcind.sock".into(),
            last_seq: Seq(301),
            claude: ClaudeStatus {
                path: Some("/usr/local/bin/claude".into()),
                version: Some("2.1.330".into()),
            },
            conversations: vec![
                ConversationStatus {
                    session_id: Some(SessionId::new("5e55ab12-0000-4000-8000-000000000000").unwrap()),
                    cwd: "/home/ana/projects/a-rather-long-name/and-a-folder-in-it".into(),
                    claude_pid: Some(4243),
                    queued: 2,
                    model: Some("claude-opus-4-1".into()),
                    permission_mode: Some("acceptEdits".into()),
                    pending: 1,
                    unrecognised: 3,
                    ..conversation("tg:-1001234567890:7", ConversationState::Waiting, 1_799_999_820_000)
                },
                conversation("cli", ConversationState::Closed, 1_799_900_000_000),
            ],
            clients: vec![
                ClientStatus { name: "carcin-tg".into(), cursor: Seq(301) },
                ClientStatus { name: "carcin-ctl".into(), cursor: Seq(289) },
            ],
            problems: vec!["the disk of /home is nearly full (1.2 GB left)".into()],
        }
    }

    fn shown(status: &Status) -> String {
        render(status, Millis(1_800_000_000_000), &TimeZone::UTC, Style::PLAIN)
    }

    #[test]
    fn a_busy_daemon_fits_eighty_columns() {
        insta::assert_snapshot!(shown(&status()));
    }

    #[test]
    fn a_new_daemon_says_what_to_do() {
        let fresh = Status {
            conversations: vec![],
            clients: vec![],
            problems: vec![],
            claude: ClaudeStatus { path: None, version: None },
            ..status()
        };
        insta::assert_snapshot!(shown(&fresh));
    }

    /// The names that scripts rely on.
    #[test]
    fn the_json_has_its_names() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&status()).unwrap());
    }

    #[test]
    fn colours_are_only_around_words() {
        let plain = shown(&status());
        let coloured = render(&status(), Millis(1_800_000_000_000), &TimeZone::UTC, Style::COLOURED);
        let stripped = coloured
            .split("\x1b[")
            .enumerate()
            .map(|(at, part)| if at == 0 { part } else { part.split_once('m').unwrap().1 })
            .collect::<String>();
        assert_ne!(coloured, plain);
        assert_eq!(stripped, plain);
    }
}
