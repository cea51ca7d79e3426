//! The answer to `/status`.

use carcin_proto::event::Usage;
use carcin_proto::inquiry::About;
use carcin_proto::request::{ConversationStatus, Status};
use carcin_proto::{ConversationKey, Millis};

use super::phrases::{ago, count, duration, many, one_line};
use crate::commands::Setting;
use crate::markdown::{Text, TextBuilder};

/// Other conversations that are listed.
const OTHERS: usize = 5;
/// Waiting prompts that are named, and how much of each.
const QUEUED: usize = 5;
/// See [`QUEUED`].
const QUEUED_TEXT: usize = 60;
/// The longest value shown, in characters.
const VALUE: usize = 120;

/// This program.
#[derive(Debug, Clone, Copy)]
pub struct Bot {
    /// Its version.
    pub version: &'static str,
    /// Since it was started.
    pub uptime: Millis,
}

/// The daemon's state, seen from the conversation `here`, at the wall clock `now`. `about`: more about this
/// conversation, where there is one and the daemon told.
pub fn render(status: &Status, about: Option<&About>, here: &ConversationKey, bot: Bot, now: Millis) -> Text {
    let mut text = TextBuilder::new();
    match status.conversations.iter().find(|conversation| conversation.key == *here) {
        Some(conversation) => this(&mut text, conversation, about, now),
        None => drop(text.bold("No session here yet").push(": the next message begins one.")),
    }
    let others: Vec<_> = status.conversations.iter().filter(|other| other.key != *here).collect();
    if !others.is_empty() {
        text.blank_line().bold("Elsewhere");
        for other in others.iter().take(OTHERS) {
            text.newline().push("• ").code(&one_line(&other.cwd.to_string_lossy(), VALUE));
            text.push(&format!(" {}, {}", other.state, ago(other.active_at, now)));
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
    text.push(&format!("carcind {}, up {}\n", status.version, duration(status.uptime_ms)));
    programs(&mut text, bot);
    for problem in &status.problems {
        text.newline().push("⚠️ ").push(&one_line(problem, 300));
    }
    text.build()
}

/// The same where the daemon does not answer, and why not.
pub fn away(why: &str, bot: Bot) -> Text {
    let mut text = TextBuilder::new();
    text.push("💤 ").bold(why).newline();
    text.push("What Claude does goes on without it. Messages are kept, and delivered when it is back.");
    text.blank_line();
    programs(&mut text, bot);
    text.build()
}

fn programs(text: &mut TextBuilder, bot: Bot) {
    text.push(&format!("carcin-tg {}, up {}", bot.version, duration(bot.uptime)));
}

fn this(text: &mut TextBuilder, conversation: &ConversationStatus, about: Option<&About>, now: Millis) {
    text.bold(&sentence(&conversation.state.to_string()))
        .push(&format!(", last active {}", ago(conversation.active_at, now)));
    if let Some(title) = about.and_then(|about| about.title.as_deref()) {
        text.newline().push(&format!("“{}”", one_line(title, VALUE)));
    }
    text.newline().push("Folder: ").code(&conversation.cwd.to_string_lossy());
    if let Some(branch) = about.and_then(|about| about.branch.as_deref()) {
        text.push(" on ").code(&one_line(branch, VALUE));
    }
    let effort = about.and_then(|about| about.effort.clone());
    let settings = [
        (Setting::Model, &conversation.model),
        (Setting::Mode, &conversation.permission_mode),
        (Setting::Effort, &effort),
    ];
    for (setting, value) in settings {
        if let Some(value) = value {
            text.newline().push(&format!("{}: {}", setting.name(), setting.shown(value)));
        }
    }
    if let Some(context) = about.and_then(|about| about.usage.as_ref()).and_then(filled) {
        text.newline().push(&format!("Context: {context}"));
    }
    if let Some(session) = &conversation.session_id {
        text.newline().push("Session: ").code(session.as_str());
    }
    if conversation.queued > 0 {
        text.newline().push(&format!("{} waiting", count(conversation.queued, "prompt")));
    }
    for queued in about.iter().flat_map(|about| &about.queue).take(QUEUED) {
        text.newline().push(&format!("• {}", one_line(&queued.text, QUEUED_TEXT)));
    }
    let tasks = about.map_or(0, |about| u32::try_from(about.tasks.len()).unwrap_or(u32::MAX));
    if tasks > 0 {
        text.newline().push(&format!("{} in the background: /tasks", count(tasks, "task")));
    }
    if conversation.pending > 0 {
        text.newline().push(&format!("{} waiting for your answer", count(conversation.pending, "question")));
    }
}

/// How full the context is; `None`: nobody has told.
pub(super) fn filled(usage: &Usage) -> Option<String> {
    let percent = (usage.context_tokens * 100).checked_div(usage.context_window)?;
    Some(format!("{percent} % ({} of {} tokens)", many(usage.context_tokens), many(usage.context_window)))
}

fn sentence(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use carcin_proto::event::{TaskChanged, TaskStatus};
    use carcin_proto::inquiry::{Abilities, CommandInfo, ModelInfo};
    use carcin_proto::request::ClaudeStatus;
    use carcin_proto::snapshot::QueuedPrompt;
    use carcin_proto::{ConversationState, PromptId, Seq};

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

    /// All about a busy conversation.
    pub(crate) fn about() -> About {
        let model = |value: &str, efforts: &[&str]| ModelInfo {
            value: value.into(),
            name: format!("Claude {value}"),
            description: format!("What {value} is good for"),
            efforts: efforts.iter().map(|effort| (*effort).to_owned()).collect(),
        };
        let usage = Usage { context_tokens: 84_000, context_window: 200_000, ..Usage::default() };
        let task = TaskChanged {
            task: "b1".into(),
            tool_use: None,
            description: "npm run dev".into(),
            status: TaskStatus::Running,
        };
        About {
            status: conversation("tg:1", ConversationState::Waiting),
            effort: Some("high".into()),
            title: Some("Fix the tests".into()),
            branch: Some("main".into()),
            tasks: vec![task],
            queue: vec![QueuedPrompt { prompt: PromptId::random(), text: "and then\nthis".into() }],
            usage: Some(usage),
            abilities: Abilities {
                models: vec![model("claude-opus", &["low", "high", "max"]), model("haiku", &[])],
                commands: vec![CommandInfo {
                    name: "code-review".into(),
                    description: "Reviews".into(),
                    argument_hint: String::new(),
                }],
            },
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
        let bot = Bot { version: "0.1.0", uptime: Millis(3_000) };
        let now = Millis(181_000);
        let shown = [
            render(&busy, Some(&about()), &here, bot, now).text,
            render(&busy, None, &here, bot, now).text,
            render(&empty, None, &here, bot, now).text,
            away("carcind is down", bot).text,
        ];
        insta::assert_snapshot!(shown.join("\n---\n"));
    }
}
