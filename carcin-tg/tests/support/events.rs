//! Events, short.

use carcin_proto::event::{
    Ask, Event, PermissionAsk, RequestOpened, TextBlock, TextDelta, ToolEnded, ToolStarted, TurnEnded,
    TurnOutcome, TurnStarted, Usage,
};
use carcin_proto::{BlockId, Millis, PromptId, TurnId};

pub fn turn_started(turn: u64) -> Event {
    TurnStarted { turn: TurnId(turn), prompt: Some(PromptId::random()) }.into()
}

pub fn turn_ended(turn: u64, outcome: TurnOutcome) -> Event {
    TurnEnded { turn: TurnId(turn), outcome, duration: Millis(3_000), usage: Usage::default() }.into()
}

pub fn text(turn: u64, text: &str) -> Event {
    TextBlock { turn: TurnId(turn), block: BlockId(0), text: text.to_owned(), parent: None }.into()
}

pub fn tool(turn: u64, id: &str, summary: &str) -> Event {
    ToolStarted {
        turn: TurnId(turn),
        block: BlockId(0),
        tool_use: id.parse().expect("an id"),
        name: "Bash".into(),
        summary: summary.to_owned(),
        input: String::new(),
        parent: None,
    }
    .into()
}

pub fn permission(turn: u64, request: &str) -> Event {
    let ask = PermissionAsk {
        tool: "Bash".into(),
        tool_use: None,
        summary: "rm -rf build".into(),
        input: r#"{"command":"rm -rf build"}"#.into(),
        description: String::new(),
        reason: String::new(),
        blocked_path: None,
        suggestions: r#"[{"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"rm:*"}]}]"#.into(),
    };
    RequestOpened { request: request.parse().expect("an id"), turn: TurnId(turn), ask: Ask::Permission(ask) }
        .into()
}

pub fn tool_ended(turn: u64, id: &str, is_error: bool, output: &str) -> Event {
    ToolEnded {
        turn: TurnId(turn),
        tool_use: id.parse().expect("an id"),
        is_error,
        output: output.to_owned(),
        omitted: 0,
        duration: Millis(5),
        parent: None,
    }
    .into()
}

/// A piece of the first text of a turn.
pub fn delta(turn: u64, offset: usize, text: &str) -> TextDelta {
    let offset = u64::try_from(offset).expect("small");
    TextDelta { turn: TurnId(turn), block: BlockId(0), offset, text: text.to_owned() }
}
