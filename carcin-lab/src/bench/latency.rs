//! How long it takes from a line that Claude writes until a subscriber has read and decoded its event.

use std::time::Duration;

use anyhow::Context as _;
use carcin_proto::{Event, Transient};

use super::daemon::Daemon;
use super::probe::{Command, Moments};
use super::stats::Figure;
use super::subscriber::Subscriber;
use super::{Options, clock};

/// A line of Claude's each millisecond: faster than any model writes.
const EVERY: u64 = 1000;
/// Half of the events are to be there within this, in milliseconds.
const AIM: f64 = 0.1;
/// All but one in a hundred are to be there within this.
const AIM_P99: f64 = 2.0;

/// Measures with an empty journal.
pub(super) async fn run(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let daemon = Daemon::new().await?;
    warm(&daemon).await?;
    figures(&daemon, options).await
}

/// Both mixes, with a daemon whose Claude is warm.
pub(super) async fn figures(daemon: &Daemon, options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (durable, mix) in [(20, "1 in 20 durable"), (1, "all durable")] {
        let times = measure(daemon, options.lines, durable).await?;
        let figure = Figure::of(&format!("line to event, {mix}"), "ms", Some(AIM), times);
        figures.push(figure.with_p99(AIM_P99));
    }
    Ok(figures)
}

/// Starts the conversation's Claude.
pub(super) async fn warm(daemon: &Daemon) -> anyhow::Result<()> {
    measure(daemon, 200, 2).await.map(drop)
}

async fn measure(daemon: &Daemon, lines: usize, durable: usize) -> anyhow::Result<Vec<f64>> {
    let mut subscriber = Subscriber::open(&daemon.socket())?;
    let reader = std::thread::spawn(move || -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::with_capacity(lines);
        loop {
            let frame = subscriber.next()?;
            let text = if frame.kind.is_transient() {
                let Some(envelope) = frame.decode_transient()? else { continue };
                let Transient::TextDelta(delta) = envelope.event else { continue };
                delta.text
            } else {
                match frame.decode_durable()?.map(|envelope| envelope.event) {
                    Some(Event::TextBlock(block)) => block.text,
                    Some(Event::TurnEnded(_)) => return Ok(times),
                    _ => continue,
                }
            };
            let now = clock::now();
            for line in text.lines() {
                let took = now.saturating_sub(Moments::read(line).context("a moment")?.written);
                times.push(Duration::from_nanos(took).as_secs_f64() * 1000.0);
            }
        }
    });
    daemon.submit("bench", &Command::Stream { lines, every: EVERY, durable }.to_string()).await?;
    let times = tokio::task::spawn_blocking(move || reader.join()).await?;
    let times = times.map_err(|_| anyhow::anyhow!("the subscriber has failed"))??;
    anyhow::ensure!(times.len() == lines, "{} of {lines} lines have come", times.len());
    Ok(times)
}
