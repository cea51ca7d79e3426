//! Whether a daemon that has known many conversations is slower than one that has not: latency and `status`, with
//! few and many conversations and as many events in the journal as come together in years. That is more than is kept,
//! so events are let go all the while.

use std::time::Instant;

use carcin_proto::Request;

use super::daemon::Daemon;
use super::fill::fill;
use super::stats::Figure;
use super::{Options, latency};

/// How often `status` is asked for.
const ASKED: usize = 200;

/// Measures with each number of conversations.
pub(super) async fn run(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for conversations in &options.conversations {
        let daemon = grown(*conversations, options.events).await?;
        let with = format!(", {conversations} conversations, {} events", options.events);
        latency::warm(&daemon).await?;
        figures.extend(latency::figures(&daemon, options, &with).await?);
        figures.push(Figure::of(&format!("status{with}"), "ms", None, status(&daemon).await?));
    }
    Ok(figures)
}

/// A daemon that runs over a journal of this size. It was ended in good order once since that was filled, as it
/// always is but for a crash.
pub(super) async fn grown(conversations: u64, events: u64) -> anyhow::Result<Daemon> {
    let mut daemon = Daemon::new().await?;
    daemon.end().await?;
    let journal = daemon.state().join("journal.db");
    tokio::task::spawn_blocking(move || fill(&journal, conversations, events)).await??;
    daemon.start().await?;
    daemon.restart().await?;
    Ok(daemon)
}

async fn status(daemon: &Daemon) -> anyhow::Result<Vec<f64>> {
    let mut client = daemon.client().await?;
    let mut times = Vec::new();
    for _ in 0..ASKED {
        let began = Instant::now();
        client.request(&Request::Status).await?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(times)
}
