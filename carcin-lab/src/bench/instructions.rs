//! How many instructions the daemon takes for each kind of event, by callgrind.
//!
//! A daemon starts a turn and is killed; the probe writes so many lines of a kind and dies; then the next daemon, under
//! valgrind, reads what there is, as after any crash. What it takes with nothing there is taken off. So everything is
//! counted that Carcin does from the spool to the journal and the frames, in all of its threads, and nothing that the
//! kernel does; and it is always the same work, since all lines are there before it begins. The counts repeat to about a
//! hundredth, on one machine with one compiler. Another compiler, or a processor for which a library has other code, gives
//! others: this compares a change with its base, and is no gate for all machines.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use carcin_proto::Event;
use tokio::time::timeout;

use super::Options;
use super::daemon::Daemon;
use super::probe::{Command, DONE, GO, Kind};
use super::stats::Figure;
use super::subscriber::Subscriber;
use crate::rig::PATIENCE;

/// How many of each. Enough that a batch more or less does not show.
const COUNT: usize = 20_000;
/// How often to look for a file.
const LOOK: Duration = Duration::from_millis(10);
/// What a count may differ by from the one in the tree, in hundredths.
const TOLERANCE: f64 = 5.0;

/// Counts; then compares with the figures in the tree, or puts these there.
pub(super) async fn run(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let nothing = count(&Command::Repeat { kind: Kind::Quiet, count: 0 }.to_string()).await?;
    let mut figures = Vec::new();
    for (kind, _) in Kind::ALL {
        let all = count(&Command::Repeat { kind, count: COUNT }.to_string()).await?;
        let each = float(all.saturating_sub(nothing)) / float(COUNT as u64);
        figures.push(Figure::of(name(kind), "instructions", None, vec![each]));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt");
    if options.check {
        compare(&path, &figures)?;
    } else {
        std::fs::write(&path, text(&figures)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(figures)
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Delta => "partial text",
        Kind::Text => "text block",
        Kind::Tool => "tool start and end",
        Kind::Quiet => "line of no interest",
    }
}

/// All instructions of a daemon that starts, reads what this command made the probe print, and ends.
async fn count(command: &str) -> anyhow::Result<u64> {
    let mut daemon = Daemon::new().await?;
    let mut subscriber = Subscriber::open(&daemon.socket())?;
    daemon.submit("bench", command).await?;
    blocking(move || subscriber.wait(|event| matches!(event, Event::TurnStarted(_)))).await?;
    daemon.kill().await?;
    std::fs::write(daemon.scratch().join(GO), "")?;
    let done = daemon.scratch().join(DONE);
    timeout(PATIENCE, async {
        while !done.exists() {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await
    .context("the probe has not printed what it was told to")?;
    let out = daemon.scratch().join("counts");
    let file = OsString::from(format!("--callgrind-out-file={}", out.display()));
    daemon.run_under(&["valgrind".into(), "--tool=callgrind".into(), "--quiet".into(), file]);
    daemon.start().await.context("is valgrind installed?")?;
    let mut subscriber = Subscriber::open(&daemon.socket())?;
    blocking(move || {
        let alive = subscriber.snapshot.conversations.values().any(|known| known.claude_pid.is_some());
        if alive { subscriber.wait(|event| matches!(event, Event::ProcessEnded(_))) } else { Ok(()) }
    })
    .await?;
    daemon.end().await?;
    if let Some(keep) = std::env::var_os("CARCIN_BENCH_KEEP") {
        std::fs::copy(&out, PathBuf::from(keep).join(format!("callgrind.{}", command.replace(' ', "-"))))?;
    }
    let counts = std::fs::read_to_string(&out)?;
    let totals = counts.lines().find_map(|line| line.strip_prefix("totals:")).context("no totals")?;
    Ok(totals.trim().parse()?)
}

async fn blocking(work: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(work).await?
}

fn text(figures: &[Figure]) -> String {
    let mut out = "# Instructions for each event, from the spool to the journal and its frame: callgrind's count of a release\n\
                   # build. `carcin-bench instructions` writes this file, `carcin-bench instructions --check` compares with it.\n"
        .to_owned();
    for figure in figures {
        let _ = writeln!(out, "{:<20} {:>8.0}", figure.name, figure.median);
    }
    out
}

fn compare(path: &Path, figures: &[Figure]) -> anyhow::Result<()> {
    let known = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut worse = Vec::new();
    for figure in figures {
        let line = known.lines().find_map(|line| line.strip_prefix(&figure.name));
        let before: f64 =
            line.with_context(|| format!("{} has no {:?}", path.display(), figure.name))?.trim().parse()?;
        let change = 100.0 * (figure.median - before) / before;
        println!("{:<20} {before:>8.0} -> {:>8.0} {change:>+7.1} %", figure.name, figure.median);
        if change > TOLERANCE {
            worse.push(figure.name.clone());
        }
    }
    if !worse.is_empty() {
        bail!("more than {TOLERANCE} % more instructions: {}", worse.join(", "));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss)] // counts of a benchmark are small
fn float(number: u64) -> f64 {
    number as f64
}
