//! `carcin-ctl pending`

use std::process::ExitCode;

use carcin_proto::request::PendingRequest;
use carcin_proto::{Millis, Reply, Request};
use jiff::tz::TimeZone;

use super::ask;
use super::context::Context;
use super::error::CtlError;
use super::output::{print, print_json};
use super::style::Style;
use super::time::age;

pub(super) async fn run(context: &Context) -> Result<ExitCode, CtlError> {
    let pending = fetch(context).await?;
    if context.json {
        print_json(&pending)?;
    } else {
        print(&render(&pending, Millis::now(), &TimeZone::system(), context.style))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What waits for an answer, in the conversation asked for, else in all.
pub(super) async fn fetch(context: &Context) -> Result<Vec<PendingRequest>, CtlError> {
    match context.ask(&Request::Pending(context.chosen.clone())).await? {
        Reply::Pending(pending) => Ok(pending),
        other => Err(CtlError::reply(other)),
    }
}

fn render(pending: &[PendingRequest], now: Millis, zone: &TimeZone, style: Style) -> String {
    if pending.is_empty() {
        return "Claude asks nothing.\n".to_owned();
    }
    let blocks = pending.iter().map(|asked| {
        let id = prefix(asked.opened.request.as_str(), pending);
        let head = format!("{}, {}", asked.conversation, age(asked.at, now, zone));
        format!("{}\n{}", style.dim(&head), ask::render(&asked.opened.ask, id, style))
    });
    blocks.collect::<Vec<_>>().join("\n")
}

/// The shortest beginning of `id` that names it among `pending`, at least eight characters.
fn prefix<'a>(id: &'a str, pending: &[PendingRequest]) -> &'a str {
    let is_unique = |prefix: &str| {
        let named = pending.iter().filter(|asked| asked.opened.request.as_str().starts_with(prefix));
        named.count() <= 1
    };
    let ends = id.char_indices().map(|(end, _)| end).skip(8);
    ends.map(|end| &id[..end]).find(|prefix| is_unique(prefix)).unwrap_or(id)
}

#[cfg(test)]
pub(super) mod tests {
    use carcin_proto::event::{
        Ask, ElicitationAsk, PermissionAsk, PlanAsk, Question, QuestionOption, RequestOpened,
    };
    use carcin_proto::{ConversationKey, RequestId, TurnId};

    use super::*;

    pub(in crate::ctl) fn asked(id: &str, ask: Ask) -> PendingRequest {
        PendingRequest {
            conversation: ConversationKey::new("tg:7").unwrap(),
            at: Millis(1_799_999_820_000),
            opened: RequestOpened { request: RequestId::new(id).unwrap(), turn: TurnId(3), ask },
        }
    }

    pub(in crate::ctl) fn permission() -> Ask {
        Ask::Permission(PermissionAsk {
            tool: "Bash".into(),
            tool_use: None,
            summary: "rm -rf target".into(),
            input: "{}".into(),
            description: "Remove the build folder".into(),
            reason: "the command is not allowed yet".into(),
            blocked_path: Some("/home/ana/target".into()),
            suggestions: r#"[{"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"rm:*"}],"behavior":"allow","destination":"localSettings"}]"#
                .into(),
        })
    }

    pub(in crate::ctl) fn question(text: &str, labels: &[&str], multi_select: bool) -> Question {
        let option = |label: &&str| QuestionOption { label: (*label).into(), description: String::new() };
        Question {
            question: text.into(),
            header: "Pick".into(),
            options: labels.iter().map(option).collect(),
            multi_select,
        }
    }

    pub(in crate::ctl) fn plan() -> Ask {
        Ask::Plan(PlanAsk { plan: "# Plan\n\n1. Test\n2. Fix".into(), path: Some("/plans/a.md".into()) })
    }

    pub(in crate::ctl) fn elicitation(url: Option<&str>) -> Ask {
        Ask::Elicitation(ElicitationAsk {
            server: "db".into(),
            message: "Who are you?".into(),
            url: url.map(Into::into),
            schema: r#"{"type":"object"}"#.into(),
        })
    }

    #[test]
    fn everything_asked_says_how_to_answer() {
        let pending = [
            asked("a1b2c3d4-1111-4000-8000-000000000000", permission()),
            asked(
                "a1b2c3d4-2222",
                Ask::Questions(vec![question("Which base?", &["Postgres", "SQLite"], true)]),
            ),
            asked(
                "b1",
                Ask::Questions(vec![question("One?", &["A", "B"], false), question("Two?", &["C"], true)]),
            ),
            asked("c1", plan()),
            asked("d1", elicitation(None)),
            asked("e1", elicitation(Some("https://example.org/login"))),
        ];
        insta::assert_snapshot!(render(&pending, Millis(1_800_000_000_000), &TimeZone::UTC, Style::PLAIN));
    }
}
