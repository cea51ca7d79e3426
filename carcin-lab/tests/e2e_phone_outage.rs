//! Telegram is away for an hour while Claude works. The hour is that of the programs' clocks.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Log, Process, Rig};
use carcin_lab::telegram::{LabConfig, Limits, Outage};
use carcin_proto::Event;
use e2e_support::clock::Clock;
use e2e_support::disk::skip;
use e2e_support::{eventually, run};

/// Waits until Claude has said this.
async fn said(rig: &Rig, words: &str) -> anyhow::Result<()> {
    let is_said = |event: &Event| matches!(event, Event::TextBlock(block) if block.text.contains(words));
    let find = |log: &Log| log.envelopes().any(|one| is_said(&one.event)).then_some(());
    rig.events.wait(&format!("{words:?}"), find).await
}

const SAID: [&str; 5] = ["Before", "Part one", "Part two", "Part three", "From the message"];

async fn an_hour(front_dies: bool) -> anyhow::Result<()> {
    let Some(clock) = Clock::new()? else { return skip("libfaketime is not installed") };
    let telegram = LabConfig { limits: Limits::TELEGRAM, ..LabConfig::default() };
    let rig = clock.given_to(Rig::builder()).telegram(telegram).front();
    let mut rig = rig.permission_mode("bypassPermissions").start().await?;
    rig.write("!text Before\n!gate a\n!text Part one\n!gate b\n!text Part two\n!gate c\n!text Part three")?;
    rig.sees("Started").await?;
    said(&rig, "Before").await?;

    rig.telegram.set_outage(Some(Outage::Refuse));
    for (gate, words, offset) in [("a", "Part one", "+20m"), ("b", "Part two", "+40m")] {
        rig.open_gate(gate)?;
        said(&rig, words).await?;
        let noticed = || {
            let log = rig.front.as_ref().map(Process::log_text).unwrap_or_default();
            log.contains("a message waits").then_some(())
        };
        eventually("the front end to notice", noticed).await?;
        clock.set(offset)?;
        rig.telegram.set_outage(Some(Outage::Status(502)));
    }
    rig.write("!text From the message that was sent meanwhile")?;
    if front_dies {
        rig.kill_front().await?;
        // It is not ready before Telegram is there.
        rig.front = Some(rig.another_front(&[])?);
    }
    rig.open_gate("c")?;
    said(&rig, "Part three").await?;
    clock.set("+60m")?;
    rig.telegram.set_outage(None);

    rig.sees("From the message that was sent meanwhile").await?;
    let digest = rig.sees("came late").await?;
    let line = digest.text();
    assert!(digest.silent && !line.contains('\n') && line.contains("1 h 0"), "{digest:?}");
    assert_eq!(line.contains("Telegram was away for"), !front_dies, "{line}");
    let shown = rig.shown();
    let places = SAID.map(|part| shown.iter().position(|text| text.contains(part)));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{shown:#?}");
    for part in SAID.iter().chain(&["came late"]) {
        assert_eq!(rig.count(part), 1, "{part}: {shown:#?}");
    }
    assert_eq!(rig.telegram.look(|state| state.violations), 0);
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_hour_without_telegram_everything_arrives_in_order_and_a_line_says_so() {
    run(an_hour(false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_where_the_front_end_dies_in_that_hour() {
    run(an_hour(true)).await;
}
