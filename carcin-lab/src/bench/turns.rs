//! Whole turns: from a message in the chat to Claude, and back.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use carcin_proto::Event;

use super::probe::{self, Moments};
use super::stats::Figure;
use super::{Options, clock, machine};
use crate::rig::{Claude, PATIENCE, Rig};

/// What one turn's messages take of the rate at which a chat may be written to.
const PACE: Duration = Duration::from_secs(3);

/// Measures turns.
pub(super) async fn run(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut figures = starts(options).await?;
    figures.extend(hops(options).await?);
    let (which, aim, claude) = match &options.real_claude {
        Some(claude) => ("real", Some(60.0), Claude::Path(claude.clone())),
        None => ("scripted", None, Claude::Scripted),
    };
    let name = format!("warm answer, Telegram to Telegram, {which} claude");
    figures.push(answers(options, &name, aim, claude).await?);
    Ok(figures)
}

/// From the start of the program to its readiness, over a journal that was used before.
async fn starts(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut rig = Rig::builder().start().await?;
    rig.talk("bench").say("!text one").await?;
    let mut times = Vec::new();
    for _ in 0..options.runs {
        rig.terminate_daemon().await?;
        let start = Instant::now();
        rig.restart_daemon().await?;
        times.push(milliseconds(start.elapsed()));
    }
    rig.finish().await?;
    Ok(vec![Figure::of("start of carcind to ready", "ms", Some(20.0), times)])
}

/// The two ways through Carcin, and what it weighs after many of them.
async fn hops(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let tools = tempfile::tempdir()?;
    let rig = Rig::builder().claude(Claude::Path(probe::install(tools.path())?)).front().start().await?;
    let chat = rig.owner();
    let (mut down, mut up) = (Vec::new(), Vec::new());
    for turn in 0..options.turns.max(options.runs) {
        let sent = clock::now();
        rig.telegram.send_text(chat, chat, &format!("prompt {turn}"))?;
        let (moments, seen) = next_answer(&rig, turn).await?;
        // The first one starts Claude.
        if turn > 0 {
            down.push(nanoseconds(moments.arrived.saturating_sub(sent)));
            up.push(nanoseconds(seen.saturating_sub(moments.written)));
        }
    }
    let daemon = machine::resident(rig.daemon.pid())?;
    let front = rig.front.as_ref().context("carcin-tg has ended")?;
    let front = machine::resident(front.pid())?;
    let turns = options.turns.max(options.runs);
    rig.finish().await?;
    Ok(vec![
        Figure::of("Telegram update to Claude's stdin", "ms", Some(5.0), down),
        Figure::of("Claude's line to a subscriber's frame", "ms", Some(1.0), up),
        Figure::of(&format!("carcind resident after {turns} turns"), "MB", Some(10.0), vec![daemon]),
        Figure::of(&format!("carcin-tg resident after {turns} turns"), "MB", Some(18.0), vec![front]),
    ])
}

/// The moments of the answer of this turn, and when its frame was here.
async fn next_answer(rig: &Rig, turn: usize) -> anyhow::Result<(Moments, u64)> {
    rig.events
        .wait(&format!("answer {turn}"), |log| {
            let mut texts = log.envelopes().filter_map(|envelope| match &envelope.event {
                Event::TextBlock(block) => Moments::read(&block.text),
                _ => None,
            });
            texts.nth(turn).map(|moments| (moments, clock::now()))
        })
        .await
}

/// From a message in the chat to its answer there, with a Claude that is warm.
async fn answers(options: &Options, name: &str, aim: Option<f64>, claude: Claude) -> anyhow::Result<Figure> {
    let rig = Rig::builder().claude(claude).front().start().await?;
    let chat = rig.owner();
    let mut times = Vec::new();
    for run in 0..=options.runs {
        let answer = format!("pong {run}.");
        let start = Instant::now();
        rig.telegram.send_text(chat, chat, &format!("!text {answer}"))?;
        rig.telegram.wait_for_text(chat, &answer, PATIENCE).await?;
        if run > 0 {
            times.push(milliseconds(start.elapsed()));
        }
        rig.owners_talk().idle().await?;
        // Telegram takes about a message a second in a chat, so carcin-tg sends no faster: a person does not either.
        tokio::time::sleep(PACE).await;
    }
    rig.finish().await?;
    Ok(Figure::of(name, "ms", aim, times))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn nanoseconds(time: u64) -> f64 {
    milliseconds(Duration::from_nanos(time))
}
