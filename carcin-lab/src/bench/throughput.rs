//! How fast a flood of Claude's lines reaches 1, 4 and 16 subscribers.
//!
//! The flood is what the real CLI printed, over and over with fresh ids, one durable event in twenty lines. The probe
//! writes it to its stdout, which is the spool, as fast as that takes it. Timed is from the moment before its first
//! write until every subscriber has read the last frame; subscribers take transient events too, read 128 KiB at a
//! time, look at each frame's header, add up the partial text, and discard it.
//!
//! The measure for it is the machine itself, in the same run: one thread reads the same bytes from a file, 128 KiB
//! at a time, and writes each piece to N Unix sockets in turn, with N threads behind them that read 128 KiB at a time
//! and discard. The ratio is the time of that divided by Carcin's. It flatters neither: the copy parses nothing, stores
//! nothing, and its bytes are in the page cache before it begins; Carcin has more threads to work with, and what it
//! sends is shorter than what it reads, since a frame has none of a line's ids. A subscriber that falls behind is
//! given the durable events alone, from the journal, so how much of the partial text came is a figure too.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use anyhow::Context as _;
use carcin_proto::{Event, Kind};

use super::daemon::Daemon;
use super::machine::Used;
use super::probe::{Command, Moments};
use super::stats::Figure;
use super::subscriber::{Discarded, READ, Subscriber};
use super::{Options, clock, corpus, latency};

/// How many subscribers, and what the ratio is to be with them.
const SUBSCRIBERS: [(usize, f64); 3] = [(1, 0.4), (4, 0.5), (16, 0.6)];
/// As long as any session's name.
const SESSION: &str = "5b1d9f0e-2c34-4e0a-9a53-7f6f0c1d2e3b";
/// How often each: a flood takes seconds.
const RUNS: usize = 5;

/// Measures with an empty journal.
pub(super) async fn run(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let bytes = options.megabytes * 1_000_000;
    let daemon = Daemon::new().await?;
    let flood = daemon.scratch().join("flood");
    let corpus = corpus::Flood::new(SESSION, bytes);
    std::fs::write(&flood, &corpus.bytes)?;
    let (bytes, lines, text) = (corpus.bytes.len(), corpus.lines, corpus.text);
    drop(corpus);
    latency::warm(&daemon).await?;
    let mut figures = Vec::new();
    for (subscribers, aim) in SUBSCRIBERS {
        let (mut ratios, mut rates, mut speeds, mut copies) = (vec![], vec![], vec![], vec![]);
        let (mut came, mut durable, mut busy) = (vec![], vec![], vec![]);
        for _ in 0..options.runs.min(RUNS) {
            let copy = copy(&flood, subscribers)?;
            let before = Used::by(daemon.pid())?;
            let carcin = carcin(&daemon, bytes, subscribers).await?;
            busy.push(ratio(Used::by(daemon.pid())?.busy.saturating_sub(before.busy), lines));
            ratios.push(copy / carcin.seconds);
            rates.push(ratio(lines, 1000) / carcin.seconds);
            speeds.push(ratio(bytes as u64, 1_000_000) / carcin.seconds);
            copies.push(ratio(bytes as u64, 1_000_000) / copy);
            came.extend(carcin.seen.iter().map(|seen| 100.0 * ratio(seen.text, text)));
            durable.extend(carcin.seen.iter().map(|seen| ratio(lines, seen.durable)));
        }
        let name = |what: &str| format!("{what}, {subscribers} subscribers");
        figures.extend([
            Figure::of(&name("flood against copying it"), "ratio", Some(aim), ratios),
            Figure::of(&name("flood"), "1000 lines/s", None, rates),
            Figure::of(&name("flood"), "MB/s", None, speeds),
            Figure::of(&name("carcind's processor time, flood"), "ns/line", None, busy),
            Figure::of(&name("copying it"), "MB/s", None, copies),
            Figure::of(&name("partial text that came"), "%", None, came),
            Figure::of(&name("lines for each durable event"), "lines", None, durable),
        ]);
    }
    Ok(figures)
}

/// One flood through Carcin.
struct Flood {
    seconds: f64,
    seen: Vec<Discarded>,
}

async fn carcin(daemon: &Daemon, bytes: usize, subscribers: usize) -> anyhow::Result<Flood> {
    let retried = Event::KINDS.iter().find(|(_, name)| *name == "ApiRetried");
    let last = Kind(retried.context("there are retries")?.0);
    let readers: Vec<_> = (0..subscribers)
        .map(|_| {
            let mut subscriber = Subscriber::open(&daemon.socket())?;
            Ok(thread::spawn(move || -> anyhow::Result<(u64, u64, Discarded)> {
                let seen = subscriber.discard_until(last)?;
                let now = clock::now();
                let mut began = None;
                loop {
                    match subscriber.next()?.decode_durable()?.map(|envelope| envelope.event) {
                        Some(Event::TextBlock(block)) => began = Moments::read(&block.text),
                        Some(Event::TurnEnded(_)) => break,
                        _ => {}
                    }
                }
                Ok((began.context("no moment came")?.written, now, seen))
            }))
        })
        .collect::<anyhow::Result<_>>()?;
    daemon.submit("bench", &Command::Corpus { bytes }.to_string()).await?;
    let results = tokio::task::spawn_blocking(move || {
        readers.into_iter().map(thread::JoinHandle::join).collect::<Vec<_>>()
    })
    .await?;
    let (mut began, mut ended, mut seen) = (u64::MAX, 0, Vec::new());
    for result in results {
        let (from, to, discarded) = result.map_err(|_| anyhow::anyhow!("a subscriber has failed"))??;
        began = began.min(from);
        ended = ended.max(to);
        seen.push(discarded);
    }
    Ok(Flood { seconds: seconds(ended - began), seen })
}

/// The same bytes, copied: the seconds that it takes.
fn copy(flood: &Path, subscribers: usize) -> anyhow::Result<f64> {
    let (mut ends, mut readers) = (Vec::new(), Vec::new());
    for _ in 0..subscribers {
        let (end, mut other) = UnixStream::pair()?;
        ends.push(end);
        readers.push(thread::spawn(move || -> std::io::Result<()> {
            let mut chunk = vec![0; READ];
            while other.read(&mut chunk)? > 0 {}
            Ok(())
        }));
    }
    let mut file = std::fs::File::open(flood)?;
    let mut chunk = vec![0; READ];
    let began = clock::now();
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        for end in &mut ends {
            end.write_all(&chunk[..count])?;
        }
    }
    drop(ends);
    for reader in readers {
        reader.join().map_err(|_| anyhow::anyhow!("a reader has failed"))??;
    }
    Ok(seconds(clock::now() - began))
}

fn seconds(nanoseconds: u64) -> f64 {
    std::time::Duration::from_nanos(nanoseconds).as_secs_f64()
}

#[expect(clippy::cast_precision_loss)] // counts of a benchmark are small
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
