//! The live card of a turn: one message, edited in place, that ends as one line.

use carcin_proto::Millis;
use carcin_proto::event::{Todo, TodoStatus, ToolStarted, TurnOutcome};
use carcin_proto::snapshot::Turn;
use serde::{Deserialize, Serialize};

use super::phrases::{bare, count, duration, elapsed, one_line};
use crate::markdown::{Text, TextBuilder};

/// Running tools that the card names; the others are counted.
const SHOWN_TOOLS: usize = 3;
/// The longest line of a tool, in characters: two lines on a phone.
const TOOL_LINE: usize = 80;
/// The longest reason in the last line, in characters.
const REASON: usize = 300;

/// What a live card knows of its turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// Which turn, by the daemon's number.
    pub turn: u64,
    /// When it began, in milliseconds of the wall clock.
    pub started_at: u64,
    /// How many tools were used.
    pub tools: u32,
    /// How many of them failed.
    pub failed: u32,
    /// Those that run now.
    pub running: Vec<RunningTool>,
    /// Open requests, by id.
    pub waiting: Vec<String>,
    /// The API is being asked again: why.
    pub retry: Option<String>,
    /// Items of the todo list that are done, all of them, and the one in progress.
    pub todos: Option<(u32, u32, String)>,
}

/// A tool that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningTool {
    /// The use.
    pub tool_use: String,
    /// The tool's name.
    pub name: String,
    /// Its telling argument.
    pub summary: String,
}

impl RunningTool {
    /// As an event tells it.
    pub fn of(started: &ToolStarted) -> Self {
        Self {
            tool_use: started.tool_use.to_string(),
            name: started.name.clone(),
            summary: started.summary.clone(),
        }
    }
}

impl Card {
    /// The card of a turn that begins now.
    pub fn begin(turn: u64, at: Millis) -> Self {
        Self { turn, started_at: at.0, ..Self::default() }
    }

    /// The card of a turn that runs already.
    pub fn of(turn: &Turn) -> Self {
        Self {
            tools: turn.tools,
            running: turn.running.iter().map(|(_, started)| RunningTool::of(started)).collect(),
            ..Self::begin(turn.turn.0, turn.started_at)
        }
    }

    /// Takes in the todo list.
    pub fn set_todos(&mut self, todos: &[Todo]) {
        let in_progress = todos.iter().find(|todo| todo.status == TodoStatus::InProgress);
        let done = todos.iter().filter(|todo| todo.status == TodoStatus::Completed).count();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        self.todos = (!todos.is_empty()).then(|| {
            (number(done), number(todos.len()), in_progress.map(|todo| todo.text.clone()).unwrap_or_default())
        });
    }

    /// The card as it is created. Where the program dies before it knows the message's id, this stays behind for
    /// ever: so it says nothing that stops being true.
    pub fn begun() -> Text {
        Text::plain("▶️ Started")
    }

    /// The card while the turn runs.
    pub fn working(&self, now: Millis) -> Text {
        let mut text = TextBuilder::new();
        if self.waiting.is_empty() {
            text.push("⏳ ").bold("Working");
        } else {
            text.push("❓ ").bold("Waiting for your answer");
        }
        let since = Millis(now.0.saturating_sub(self.started_at));
        text.push(&format!(" · {}", elapsed(since)));
        self.push_counts(&mut text);
        for tool in self.running.iter().take(SHOWN_TOOLS) {
            text.newline().bold(&one_line(&tool.name, TOOL_LINE));
            if !tool.summary.trim().is_empty() {
                text.push(" ").code(&one_line(&tool.summary, TOOL_LINE));
            }
        }
        if self.running.len() > SHOWN_TOOLS {
            text.newline().push(&format!("and {} more", self.running.len() - SHOWN_TOOLS));
        }
        if let Some((done, all, current)) = &self.todos {
            text.newline().push(&format!("☑ {done}/{all}"));
            if !current.is_empty() {
                text.push(" ").push(&one_line(current, TOOL_LINE));
            }
        }
        if let Some(retry) = &self.retry {
            text.newline().push("⚠️ ").push(&one_line(retry, REASON));
        }
        text.build()
    }

    /// The card while the daemon is away, and nobody knows what the turn does.
    pub fn away(&self) -> Text {
        let mut text = TextBuilder::new();
        text.push("💤 ").bold("carcind is away").push(", Claude goes on");
        self.push_counts(&mut text);
        text.build()
    }

    /// The card's last line.
    pub fn ended(&self, outcome: &TurnOutcome, took: Millis) -> Text {
        let mut text = TextBuilder::new();
        match outcome {
            TurnOutcome::Completed => text.push("✅ ").bold("Done"),
            TurnOutcome::Stopped(by) => text.push("⏹ ").bold("Stopped").push(&stopper(by)),
            TurnOutcome::Failed(why) => text.push("❌ ").bold("Failed").push(&reason(why)),
            TurnOutcome::Interrupted(how) => text.push("⚠️ ").bold("Interrupted").push(&reason(how)),
        };
        text.push(&format!(" · {}", duration(took)));
        self.push_counts(&mut text);
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
        if self.tools > 0 {
            text.push(" · ").push(&count(self.tools, "tool"));
        }
        if self.failed > 0 {
            text.push(&format!(", {} failed", self.failed));
        }
    }
}

fn stopper(by: &str) -> String {
    if by.trim().is_empty() { String::new() } else { format!(" by {}", one_line(by, TOOL_LINE)) }
}

fn reason(why: &str) -> String {
    if why.trim().is_empty() { String::new() } else { format!(": {}", bare(&one_line(why, REASON))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, summary: &str) -> RunningTool {
        RunningTool { tool_use: name.into(), name: name.into(), summary: summary.into() }
    }

    #[test]
    fn a_card_grows_with_its_turn_and_ends_as_one_line() {
        let mut card = Card::begin(3, Millis(1_000_000));
        let mut shown = vec![Card::begun().text, card.working(Millis(1_000_000)).text];
        card.tools = 1;
        card.running.push(tool("Bash", "cargo test --workspace -- --nocapture\n  | tail"));
        shown.push(card.working(Millis(1_012_000)).text);
        card.tools = 6;
        card.failed = 1;
        card.running.extend([
            tool("Read", "src/main.rs"),
            tool("Task", ""),
            tool("Grep", "x"),
            tool("Glob", "y"),
        ]);
        card.waiting.push("r1".into());
        card.todos = Some((2, 5, "Write the tests".into()));
        card.retry = Some("The API is overloaded (529); attempt 2 of 10.".into());
        shown.push(card.working(Millis(1_075_000)).text);
        shown.push(card.away().text);
        for outcome in [
            TurnOutcome::Completed,
            TurnOutcome::Stopped("Ann".into()),
            TurnOutcome::Failed("The API refused the key (401).".into()),
            TurnOutcome::Interrupted("Claude was killed by signal 9".into()),
        ] {
            shown.push(card.ended(&outcome, Millis(75_000)).text);
        }
        shown.push(card.lost().text);
        insta::assert_snapshot!(shown.join("\n---\n"));
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        assert!(Card::begin(1, Millis(5_000)).working(Millis(0)).text.contains("0 s"));
    }
}
