//! What a task costs on the phone: calls of Telegram, what stays in the chat, how often it makes a sound.
//!
//! With Telegram's own limits, which is what decides how often a card may change.

use std::time::Duration;

use crate::bench::stats::Figure;
use crate::rig::{PATIENCE, Rig};
use crate::telegram::{Figures, Limits};

/// How long a tool takes.
const TOOL: &str = "1s";
/// A task ends once its calls have ceased for so long: the last edit waits for the chat's rate.
const QUIET: Duration = Duration::from_secs(8);

/// Measures tasks and a text that streams.
pub(super) async fn run() -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for tools in [10, 100] {
        let steps = format!("!tool Bash {{\"command\":\"ls\"}}\n!delay {TOOL}\n").repeat(tools);
        let cost = cost_of(&format!("{steps}!text The end."), "The end.").await?;
        let name = |what| format!("a task of {tools} tools of {TOOL}: {what}");
        figures.push(one(&name("calls"), "", calls(&cost)));
        figures.push(one(&name("messages left"), "", number(cost.messages_left)));
        figures.push(one(&name("sounds"), "", number(cost.sounds)));
        figures.push(one(&name("calls refused"), "", number(cost.failed)));
    }
    // Some 22 seconds, as fast as Claude writes.
    let cost = cost_of("!stream 2000 chars 60ms\n!text The end.", "The end.").await?;
    let name = |what| format!("while 2,000 characters stream: {what}");
    figures.push(one(&name("calls"), "/s", calls(&cost) / cost.seconds));
    figures.push(one(&name("sent"), "B/s", number(cost.bytes) / cost.seconds));
    figures.push(one(&name("most calls in a second"), "", number(cost.busiest_second)));
    Ok(figures)
}

/// What it costs from the prompt until all is said.
async fn cost_of(prompt: &str, last: &str) -> anyhow::Result<Figures> {
    let rig = Rig::builder().front().start().await?;
    let chat = rig.owner();
    // Nothing of the start shall count.
    rig.telegram.send_text(chat, chat, "!text Ready.")?;
    rig.telegram.wait_for_text(chat, "Ready.", PATIENCE).await?;
    rig.owners_talk().idle().await?;
    tokio::time::sleep(QUIET).await;
    rig.telegram.set_limits(Limits::TELEGRAM);
    let since = rig.telegram.mark();
    rig.telegram.send_text(chat, chat, prompt)?;
    rig.telegram.wait_for_text(chat, last, Duration::from_mins(5)).await?;
    rig.owners_talk().idle().await?;
    tokio::time::sleep(QUIET).await;
    let figures = rig.telegram.figures(chat, since);
    rig.finish().await?;
    Ok(figures)
}

fn one(name: &str, unit: &'static str, value: f64) -> Figure {
    Figure::of(name, unit, None, vec![value])
}

fn calls(cost: &Figures) -> f64 {
    number(cost.total())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}
