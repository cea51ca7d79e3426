//! The live card of a turn: one message, edited in place, that ends as a short summary.

mod todos;
mod tool;
mod tools;

#[cfg(test)]
mod tests;

use carcin_proto::event::{
    Ask, RequestOpened, RequestSettled, Settlement, Todo, TurnEnded, TurnOutcome, Usage,
};
use carcin_proto::snapshot::Turn;
use carcin_proto::{Millis, PromptId};
use serde::{Deserialize, Serialize};

pub use todos::Todos;
pub use tool::{Stage, Tool};
pub use tools::Tools;

use super::phrases::{bare, count, duration, elapsed, money, one_line};
use super::progress::Style;
use crate::markdown::{self, MESSAGE_LIMIT, Text, TextBuilder};

/// The longest name of who stopped a turn, in characters.
const NAME: usize = 80;
/// The longest reason in the last line, in characters.
const REASON: usize = 300;
/// Prompts of a turn that are remembered: the last ones.
const MAX_PROMPTS: usize = 100;
/// Between two moves of a card to the end of the chat, in milliseconds.
const MOVE_EVERY: u64 = 10_000;

/// What a live card knows of its turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// Which turn, by the daemon's number.
    pub turn: u64,
    /// When it began, in milliseconds of the wall clock.
    pub started_at: u64,
    /// No prompt of anybody's is in it: Claude began by itself.
    pub by_itself: bool,
    /// The prompts that are in it.
    pub prompts: Vec<PromptId>,
    /// The tools.
    pub tools: Tools,
    /// Open requests, by id.
    pub waiting: Vec<String>,
    /// Which use of a tool each of them is about, where it is about one.
    pub asked_for: Vec<(String, String)>,
    /// The API is being asked again: why.
    pub retry: Option<String>,
    /// Whether the context is being compacted, or has been.
    pub compaction: Compaction,
    /// The todo list.
    pub todos: Todos,
    /// Failed tools whose output was told in messages of their own.
    pub told_failures: u32,
    /// Pictures of tools that were shown.
    pub pictures: u32,
    /// Something was sent below it.
    pub buried: bool,
    /// When the message was created, in milliseconds of the wall clock.
    pub placed_at: u64,
}

/// What becomes of the context in a turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compaction {
    /// Nothing special.
    #[default]
    None,
    /// It is being compacted.
    Runs,
    /// It has been, and that was told.
    Told,
}

impl Card {
    /// The card of a turn that begins now, with this prompt or by itself.
    pub fn begin(turn: u64, at: Millis, prompt: Option<PromptId>) -> Self {
        let prompts: Vec<PromptId> = prompt.into_iter().collect();
        let by_itself = prompts.is_empty();
        Self { turn, started_at: at.0, placed_at: at.0, by_itself, prompts, ..Self::default() }
    }

    /// The card of a turn that runs already.
    pub fn of(turn: &Turn, folder: &str) -> Self {
        Self {
            tools: Tools::of(turn.tools, &turn.running, folder),
            prompts: turn.prompts.clone(),
            ..Self::begin(turn.turn.0, turn.started_at, turn.prompts.first().copied())
        }
    }

    /// Claude takes up a prompt in this turn. The message of one that the turn did not begin with is below the card.
    pub fn takes_up(&mut self, prompt: PromptId) {
        self.by_itself = false;
        if self.prompts.contains(&prompt) {
            return;
        }
        if self.prompts.len() >= MAX_PROMPTS {
            self.prompts.remove(0);
        }
        self.prompts.push(prompt);
        self.buried = true;
    }

    /// Takes in the todo list.
    pub fn set_todos(&mut self, todos: &[Todo]) {
        self.todos = Todos::of(todos);
    }

    /// Claude waits for an answer.
    pub fn asks(&mut self, opened: &RequestOpened) {
        self.waiting.push(opened.request.to_string());
        let tool_use = match &opened.ask {
            Ask::Permission(asked) => asked.tool_use.as_ref().map(ToString::to_string),
            // Claude Code does not say which use it is, and there is one at a time.
            Ask::Plan(_) => self.tools.running_use_of("ExitPlanMode"),
            Ask::Questions(_) => self.tools.running_use_of("AskUserQuestion"),
            Ask::Elicitation(_) => None,
        };
        self.asked_for.extend(tool_use.map(|tool_use| (opened.request.to_string(), tool_use)));
        self.buried = true;
    }

    /// It has one.
    pub fn answered(&mut self, settled: &RequestSettled) {
        self.waiting.retain(|id| id != settled.request.as_str());
        let at = self.asked_for.iter().position(|(id, _)| id == settled.request.as_str());
        let asked_for = at.map(|at| self.asked_for.remove(at));
        if let (Some((_, tool_use)), Settlement::Denied(_)) = (asked_for, &settled.settlement) {
            self.tools.refuse(&tool_use);
        }
    }

    /// Whether it is time for it to move to the end of the chat, where people look. If so it counts as done.
    pub fn moves(&mut self, at: Millis) -> bool {
        let moves = self.buried && at.0.saturating_sub(self.placed_at) >= MOVE_EVERY;
        if moves {
            self.buried = false;
            self.placed_at = at.0;
        }
        moves
    }

    /// The card as it is created. Where the program dies before it knows the message's id, this stays behind for
    /// ever: so it says nothing that stops being true.
    pub fn begun(&self) -> Text {
        Text::plain(if self.by_itself { "▶️ Claude goes on by itself" } else { "▶️ Started" })
    }

    /// The same for one that has moved.
    pub fn moved() -> Text {
        Text::plain("▶️ Still at work")
    }

    /// The card while the turn runs.
    pub fn working(&self, now: Millis) -> Text {
        let mut text = TextBuilder::new();
        if self.waiting.is_empty() {
            text.push("⏳ ").bold("Working").push(if self.by_itself { " by itself" } else { "" });
        } else {
            text.push("❓ ").bold("Waiting for your answer");
        }
        let since = Millis(now.0.saturating_sub(self.started_at));
        text.push(&format!(" · {}", elapsed(since)));
        self.push_counts(&mut text);
        self.tools.push(&mut text, now);
        self.todos.push(&mut text);
        if self.compaction == Compaction::Runs {
            text.newline().push("🗜 Compacting the context…");
        }
        if let Some(retry) = &self.retry {
            text.newline().push("⚠️ ").push(&one_line(retry, REASON));
        }
        markdown::truncate(&text.build(), MESSAGE_LIMIT)
    }

    /// The card while the daemon is away, and nobody knows what the turn does.
    pub fn away(&self) -> Text {
        let mut text = TextBuilder::new();
        text.push("💤 ").bold("carcind is away").push(", Claude goes on");
        self.push_counts(&mut text);
        text.build()
    }

    /// The summary at the end, with the details folded. `cost` is what the turn cost, in millionths of a dollar, where
    /// that is known, `go_on` how many tasks go on in the background.
    pub fn ended(&self, ended: &TurnEnded, cost: Option<u64>, go_on: u32, style: &Style) -> Text {
        let mut text = TextBuilder::new();
        match &ended.outcome {
            TurnOutcome::Completed => text.push("✅ ").bold(&style.done),
            TurnOutcome::Stopped(by) => text.push("⏹ ").bold("Stopped").push(&stopper(by)),
            TurnOutcome::Failed(why) => text.push("❌ ").bold("Failed").push(&reason(why)),
            TurnOutcome::Interrupted(how) => text.push("⚠️ ").bold("Interrupted").push(&reason(how)),
        };
        self.push_counts(&mut text);
        match self.tools.files_changed() {
            0 => {}
            files => drop(text.push(" · ").push(&count(files, "file")).push(" changed")),
        }
        text.push(&format!(" · {}", duration(ended.duration)));
        if let Some(cost) = cost.filter(|cost| *cost > 0) {
            text.push(" · ").push(&money(cost));
        }
        match go_on {
            0 => {}
            1 => drop(text.push(" · 1 task goes on")),
            more => drop(text.push(&format!(" · {more} tasks go on"))),
        }
        let usage = &ended.usage;
        let mut details = TextBuilder::new();
        if self.tools.count > 0 {
            self.tools.push_details(&mut details);
        }
        if usage.input_tokens > 0 || usage.output_tokens > 0 {
            if !details.is_empty() {
                details.newline();
            }
            push_usage(&mut details, usage);
        }
        if !details.as_str().trim().is_empty() {
            let details = markdown::truncate(&details.build(), MESSAGE_LIMIT / 2);
            text.newline().expandable_quote(|quote| {
                quote.append(&details);
            });
        }
        text.build()
    }

    /// The card's last line when the end of the turn was missed.
    pub fn lost(&self) -> Text {
        let mut text = TextBuilder::new();
        text.push("⚠️ ").bold("Ended").push(" while I was not looking: how is not known");
        self.push_counts(&mut text);
        text.build()
    }

    fn push_counts(&self, text: &mut TextBuilder) {
        if self.tools.count > 0 {
            text.push(" · ").push(&count(self.tools.count, "tool"));
        }
        if self.tools.failed > 0 {
            text.push(&format!(", {} failed", self.tools.failed));
        }
    }
}

fn push_usage(text: &mut TextBuilder, usage: &Usage) {
    let (input, output) = (tokens(usage.input_tokens), tokens(usage.output_tokens));
    text.push(&format!("{input} tokens in, {output} out"));
    if usage.context_window > 0 && usage.context_tokens > 0 {
        let percent = match (usage.context_tokens.saturating_mul(100) / usage.context_window).min(100) {
            0 => "<1".to_owned(),
            percent => percent.to_string(),
        };
        text.push(&format!(" · context {percent} % of {}", tokens(usage.context_window)));
    }
}

/// `950`, `12k`, `1M`, `1.2M`.
pub(super) fn tokens(tokens: u64) -> String {
    match tokens {
        0..1_000 => tokens.to_string(),
        1_000..1_000_000 => format!("{}k", tokens / 1_000),
        _ if tokens % 1_000_000 < 100_000 => format!("{}M", tokens / 1_000_000),
        _ => format!("{}.{}M", tokens / 1_000_000, tokens % 1_000_000 / 100_000),
    }
}

/// The name of whoever stopped it. This program did so where another session was asked for; that is told already.
fn stopper(by: &str) -> String {
    if by.trim().is_empty() || by == env!("CARGO_PKG_NAME") {
        String::new()
    } else {
        format!(" by {}", one_line(by, NAME))
    }
}

fn reason(why: &str) -> String {
    if why.trim().is_empty() { String::new() } else { format!(": {}", bare(&one_line(why, REASON))) }
}
