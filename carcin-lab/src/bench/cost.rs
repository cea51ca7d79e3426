//! What the daemon costs when it does nothing, and how fast it is there again: with the largest journal.

use std::time::Duration;

use anyhow::Context as _;
use carcin_proto::Event;

use super::daemon::Daemon;
use super::machine::{Used, own, resident};
use super::stats::Figure;
use super::subscriber::Subscriber;
use super::{Options, growth, latency};

/// How long after a start, or a turn, until nothing is left to be done for it: the transcripts are looked at.
const SETTLED: Duration = Duration::from_secs(3);

/// Measures with a journal of the largest size.
pub(super) async fn run(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let conversations = options.conversations.iter().copied().max().unwrap_or(1);
    let mut daemon = growth::grown(conversations, options.events).await?;
    let with = format!("{conversations} conversations, {} events", options.events);
    let mut starts = Vec::new();
    for _ in 0..options.runs {
        starts.push(daemon.restart().await?.as_secs_f64() * 1000.0);
    }
    let mut figures = vec![Figure::of(&format!("start to ready, {with}"), "ms", Some(20.0), starts)];
    let idle = Duration::from_secs(options.idle);
    figures.extend(idling(&daemon, idle, &format!("no Claude, {with}")).await?);
    let memory = |name: &str, aim| -> anyhow::Result<[Figure; 2]> {
        Ok([
            Figure::of(&format!("resident, {name}, {with}"), "MB", Some(aim), vec![resident(daemon.pid())?]),
            Figure::of(&format!("its own, {name}, {with}"), "MB", None, vec![own(daemon.pid())?]),
        ])
    };
    figures.extend(memory("idle", 8.0)?);
    latency::warm(&daemon).await?;
    figures.extend(idling(&daemon, idle, "a warm Claude").await?);
    turns(&daemon, options.turns).await?;
    figures.extend(memory(&format!("after {} turns", options.turns), 10.0)?);
    Ok(figures)
}

/// What it uses in this time, with nothing to do.
async fn idling(daemon: &Daemon, time: Duration, with: &str) -> anyhow::Result<[Figure; 2]> {
    tokio::time::sleep(SETTLED).await;
    let before = Used::by(daemon.pid())?;
    tokio::time::sleep(time).await;
    let after = Used::by(daemon.pid())?;
    let busy = Duration::from_nanos(after.busy.saturating_sub(before.busy)).as_secs_f64();
    let wakes = u32::try_from(after.wakes.saturating_sub(before.wakes))?;
    let seconds = time.as_secs_f64();
    Ok([
        Figure::of(&format!("idle, {with}"), "% of a core", Some(0.1), vec![100.0 * busy / seconds]),
        Figure::of(&format!("idle, {with}"), "wakes/s", None, vec![f64::from(wakes) / seconds]),
    ])
}

/// So many turns, one after the other.
async fn turns(daemon: &Daemon, count: usize) -> anyhow::Result<()> {
    let mut subscriber = Subscriber::open(&daemon.socket())?;
    for turn in 0..count {
        daemon.submit("bench", &format!("prompt {turn}")).await?;
        subscriber = tokio::task::spawn_blocking(move || {
            subscriber.wait(|event| matches!(event, Event::PromptEnded(_))).map(|()| subscriber)
        })
        .await
        .context("a subscriber has failed")??;
    }
    Ok(())
}
