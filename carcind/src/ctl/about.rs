//! `carcin-ctl about`

use std::fmt::Write as _;
use std::process::ExitCode;

use carcin_proto::inquiry::About;
use carcin_proto::{Reply, Request};

use super::context::Context;
use super::error::CtlError;
use super::output::{print, print_json};
use super::style::Style;
use super::text::{count, one_line};

pub(super) async fn run(context: &Context) -> Result<ExitCode, CtlError> {
    let conversation = context.conversation().await?;
    let about = match context.ask(&Request::About(conversation)).await? {
        Reply::About(about) => *about,
        other => return Err(CtlError::reply(other)),
    };
    if context.json {
        print_json(&about)?;
    } else {
        print(&render(&about, context.style))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(about: &About, style: Style) -> String {
    let status = &about.status;
    let mut out = format!("{} {}\n", style.bold(status.key.as_str()), status.state);
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value.map(|value| one_line(&value)).filter(|value| !value.is_empty()) {
            let _ = writeln!(out, "{name:<9}{value}");
        }
    };
    row("title", about.title.clone());
    row("session", status.session_id.as_ref().map(ToString::to_string));
    row("where", Some(status.cwd.display().to_string()));
    row("branch", about.branch.clone());
    row("model", status.model.clone());
    row("effort", about.effort.clone());
    row("mode", status.permission_mode.clone());
    row(
        "context",
        about.usage.filter(|usage| usage.context_window > 0).map(|usage| {
            let percent = usage.context_tokens * 100 / usage.context_window;
            format!("{} of {} tokens ({percent} %)", usage.context_tokens, usage.context_window)
        }),
    );
    for queued in &about.queue {
        row("queued", Some(queued.text.clone()));
    }
    let tasks = about.tasks.len();
    row("tasks", (tasks > 0).then(|| format!("{} (`carcin-ctl tasks`)", count(tasks, "task"))));
    row(
        "models",
        Some(about.abilities.models.iter().map(|model| model.value.as_str()).collect::<Vec<_>>().join(", ")),
    );
    out
}

#[cfg(test)]
mod tests {
    use carcin_proto::event::Usage;
    use carcin_proto::inquiry::{Abilities, ModelInfo};
    use carcin_proto::request::ConversationStatus;
    use carcin_proto::{ConversationKey, ConversationState, Millis};

    use super::*;

    #[test]
    fn what_is_known_is_told_and_nothing_can_paint_the_screen() {
        let status = ConversationStatus {
            key: ConversationKey::new("tg:7").unwrap(),
            session_id: None,
            cwd: "/src/app".into(),
            state: ConversationState::Idle,
            claude_pid: Some(7),
            queued: 0,
            model: Some("opus".into()),
            permission_mode: None,
            active_at: Millis(1),
            pending: 0,
            unrecognised: 0,
        };
        let model = ModelInfo {
            value: "opus".into(),
            name: "Opus".into(),
            description: String::new(),
            efforts: vec![],
        };
        let about = About {
            status,
            effort: Some("high".into()),
            title: Some("Fix\x1b[2J it".into()),
            branch: Some("main".into()),
            tasks: vec![],
            queue: vec![],
            usage: Some(Usage { context_tokens: 50, context_window: 200, ..Usage::default() }),
            abilities: Abilities { models: vec![model], commands: vec![] },
        };
        let expected = "tg:7 idle\ntitle    Fix[2J it\nwhere    /src/app\nbranch   main\nmodel    opus\neffort   high\n\
                        context  50 of 200 tokens (25 %)\nmodels   opus\n";
        assert_eq!(render(&about, Style::PLAIN), expected);
    }
}
