//! The answer to `/status`.

use carcin_proto::request::{ConversationStatus, Status};
use carcin_proto::{ConversationKey, Millis};

use super::phrases::{count, duration, one_line};
use crate::markdown::{Text, TextBuilder};

/// Other conversations that are listed.
const OTHERS: usize = 5;
/// The longest value shown, in characters.
const VALUE: usize = 120;

/// The daemon's state, seen from the conversation `here`, at the wall clock `now`.
pub fn render(status: &Status, here: &ConversationKey, now: Millis) -> Text {
    let mut text = TextBuilder::new();
    match status.conversations.iter().find(|conversation| conversation.key == *here) {
        Some(conversation) => this(&mut text, conversation, now),
        None => drop(text.bold("No session here yet").push(": the next message begins one.")),
    }
    let others: Vec<_> = status.conversations.iter().filter(|other| other.key != *here).collect();
    if !others.is_empty() {
        text.blank_line().bold("Elsewhere");
        for other in others.iter().take(OTHERS) {
            text.newline().push("• ").code(other.key.as_str()).push(&format!(" {}", other.state));
        }
        if others.len() > OTHERS {
            text.newline().push(&format!("and {} more", others.len() - OTHERS));
        }
    }
    text.blank_line();
    let claude = match (&status.claude.path, &status.claude.version) {
        (None, _) => "not found".to_owned(),
        (Some(_), None) => "version not known yet".to_owned(),
        (Some(_), Some(version)) => one_line(version, VALUE),
    };
    text.push(&format!("Claude Code: {claude}\n"));
    text.push(&format!("carcind {}, up {}", status.version, duration(status.uptime_ms)));
    for problem in &status.problems {
        text.newline().push("⚠️ ").push(&one_line(problem, 300));
    }
    text.build()
}

fn this(text: &mut TextBuilder, conversation: &ConversationStatus, now: Millis) {
    let ago = Millis(now.0.saturating_sub(conversation.active_at.0));
    text.bold(&sentence(&conversation.state.to_string()))
        .push(&format!(", last active {} ago", duration(ago)));
    text.newline().push("Folder: ").code(&conversation.cwd.to_string_lossy());
    for (name, value) in [("Model", &conversation.model), ("Mode", &conversation.permission_mode)] {
        if let Some(value) = value {
            text.newline().push(&format!("{name}: {}", one_line(value, VALUE)));
        }
    }
    if let Some(session) = &conversation.session_id {
        text.newline().push("Session: ").code(session.as_str());
    }
    if conversation.queued > 0 {
        text.newline().push(&format!("{} waiting", count(conversation.queued, "prompt")));
    }
    if conversation.pending > 0 {
        text.newline().push(&format!("{} waiting for your answer", count(conversation.pending, "question")));
    }
}

fn sentence(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use carcin_proto::request::ClaudeStatus;
    use carcin_proto::{ConversationState, Seq};

    use super::*;

    fn conversation(key: &str, state: ConversationState) -> ConversationStatus {
        ConversationStatus {
            key: key.parse().expect("a key"),
            session_id: Some("0b5d".parse().expect("an id")),
            cwd: "/home/ann/my app".into(),
            state,
            claude_pid: Some(4),
            queued: 2,
            model: Some("claude-opus".into()),
            permission_mode: Some("plan".into()),
            active_at: Millis(1_000),
            pending: 1,
            unrecognised: 0,
        }
    }

    fn status(conversations: Vec<ConversationStatus>) -> Status {
        Status {
            version: "0.1.0".into(),
            protocol: "1.0".into(),
            pid: 3,
            uptime_ms: Millis(61_000),
            socket: "/run/carcind.sock".into(),
            last_seq: Seq(9),
            claude: ClaudeStatus { path: Some("/usr/bin/claude".into()), version: Some("2.1.330".into()) },
            conversations,
            clients: vec![],
            problems: vec!["The disk is nearly full".into()],
        }
    }

    #[test]
    fn the_status_begins_with_this_chat() {
        let here: ConversationKey = "tg:1".parse().expect("a key");
        let busy = status(vec![
            conversation("cli", ConversationState::Idle),
            conversation("tg:1", ConversationState::Waiting),
        ]);
        let empty = status(vec![]);
        let shown = [busy, empty].map(|status| render(&status, &here, Millis(6_000)).text);
        insta::assert_snapshot!(shown.join("\n---\n"));
    }
}
