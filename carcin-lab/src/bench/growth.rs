//! Whether a daemon that has known many conversations is slower than one that has not: latency and `status`, with
//! few and many conversations and as many events in the journal as come together in years. That is more than is kept,
//! so events are let go all the while. Each median is compared with the one of the fewest conversations.

use std::time::Instant;

use carcin_proto::request::ListSessions;
use carcin_proto::{Reply, Request};

use super::daemon::Daemon;
use super::fill::fill;
use super::stats::Figure;
use super::{Options, latency, transcripts};

/// How often `status` is asked for.
const ASKED: usize = 200;
/// A median may be so many times that of the fewest conversations.
const FLAT: f64 = 1.2;

/// Measures with each number of conversations.
pub(super) async fn run(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut sizes = options.conversations.clone();
    sizes.sort_unstable();
    let (mut figures, mut smallest) = (Vec::new(), Vec::new());
    for conversations in sizes {
        let daemon = grown(conversations, options.events).await?;
        latency::warm(&daemon).await?;
        let mut measured = latency::figures(&daemon, options).await?;
        measured.push(Figure::of("status", "ms", None, status(&daemon).await?));
        let with = format!(", {conversations} conversations, {} events", options.events);
        if smallest.is_empty() {
            smallest.clone_from(&measured);
        } else {
            let ratios = measured.iter().zip(&smallest).map(|(large, small)| against(large, small));
            figures.extend(ratios.map(|figure| figure.with(&with)));
        }
        figures.extend(measured.into_iter().map(|figure| figure.with(&with)));
    }
    Ok(figures)
}

/// How many times the one median is the other.
fn against(large: &Figure, small: &Figure) -> Figure {
    let name = format!("{} against the smallest", large.name);
    Figure::of(&name, "ratio", Some(FLAT), vec![large.median / small.median])
}

/// A daemon that runs over a journal of this size, and with as many sessions on the machine, up to a limit. It was
/// ended in good order once since that was filled, as it always is but for a crash.
pub(super) async fn grown(conversations: u64, events: u64) -> anyhow::Result<Daemon> {
    let mut daemon = Daemon::new().await?;
    daemon.end().await?;
    let journal = daemon.state().join("journal.db");
    let home = daemon.home();
    tokio::task::spawn_blocking(move || {
        fill(&journal, conversations, events)?;
        transcripts::write(&home, conversations)
    })
    .await??;
    daemon.start().await?;
    let indexed = list(&daemon).await?;
    anyhow::ensure!(indexed > 0, "the transcripts are not in the index of sessions");
    daemon.restart().await?;
    Ok(daemon)
}

/// Waits until the index of sessions is what the transcripts are; gives how many it knows.
async fn list(daemon: &Daemon) -> anyhow::Result<u32> {
    let all = ListSessions { limit: 1, ..ListSessions::default() };
    match daemon.client().await?.request(&Request::ListSessions(all)).await? {
        Reply::SessionList(list) => Ok(list.total),
        other => anyhow::bail!("the sessions were answered {other:?}"),
    }
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
