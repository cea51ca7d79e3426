//! Subscribers that read slowly, not at all, or vanish.

use std::time::Duration;

use carcin_lab::rig::{Rig, Talk};
use carcin_lab::scripted::emitted;
use carcin_proto::request::From;
use carcin_proto::request::Subscribe;
use carcin_proto::{Client, Cursor, Delivery, Event, Kind, Seq};
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::e2e_support::pace::not_slowed;
use crate::e2e_support::proc::{peak, resident};
use crate::e2e_support::run;
use crate::raw::Raw;

/// How many of each kind of bad reader there are.
const EACH: usize = 20;
/// How much the daemon may grow by them, in KiB: a page of the journal for each that does not read, and as much
/// again for what passes by.
const GROWTH: u64 = 48 * 1024;

/// A prompt of many short texts.
pub(crate) fn texts(first: usize, count: usize) -> String {
    use std::fmt::Write as _;
    let mut prompt = String::new();
    for number in first..first + count {
        writeln!(prompt, "!text Number {number}.").expect("a string takes it");
    }
    prompt
}

/// Reads durable events until the text `last` has come, and checks that none is missing or comes twice; gives the
/// number of the last one.
pub(crate) async fn read_to(rig: &Rig, from: From, after: Seq, last: &str) -> anyhow::Result<Seq> {
    let subscribe = Subscribe { from, transients: false };
    let client = Client::connect(&rig.places.socket(), "honest", "0").await?;
    let mut subscription = client.subscribe(subscribe).await?;
    let mut cursor = after;
    loop {
        match tokio::time::timeout(carcin_lab::rig::PATIENCE, subscription.next()).await?? {
            Delivery::Durable(seq, envelope) => {
                anyhow::ensure!(seq.0 == cursor.0 + 1, "{seq} comes after {cursor}");
                cursor = seq;
                let event = envelope.map(|envelope| envelope.event);
                if matches!(&event, Some(Event::TextBlock(block)) if block.text == last) {
                    return Ok(cursor);
                }
            }
            other => anyhow::bail!("not a durable event: {other:?}"),
        }
    }
}

/// From the journal's first event.
pub(crate) fn from_the_first(rig: &Rig) -> From {
    From::After(Cursor { journal: rig.journal_id(), seq: Seq(0) })
}

/// An emission of some 20 MiB, of which the readers get a part: what is not understood is kept as far as it is.
fn burst() -> String {
    let line = format!("{{\"type\":\"news\",\"text\":\"{}\"}}\n", "x".repeat(100_000));
    format!("!emit {}\n", json!({ "parts": [[line, 200]] }))
}

async fn say_much(rig: &Rig, talk: &Talk, before: &str, first: usize) -> anyhow::Result<Seq> {
    talk.send(&format!("{before}{}", texts(first, 8_000))).await?;
    // Larger than what is published: they are read from the journal.
    for number in 0..8 {
        talk.queue(&format!("!text {number} {}", "many words ".repeat(15_000))).await?;
    }
    let last = format!("The end of {first}.");
    talk.queue(&format!("!text {last}")).await?;
    read_to(rig, from_the_first(rig), Seq(0), &last).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_readers_hold_up_nobody_and_cost_little_and_miss_nothing() {
    run(async {
        let rig = Rig::builder().start().await?;
        let (socket, talk, pid) = (rig.places.socket(), rig.talk("tg:1"), rig.daemon.pid());
        // What the work itself takes, with nobody in the way.
        say_much(&rig, &talk, "", 0).await?;
        let before = resident(pid);
        let (mut silent, mut trickling) = (Vec::new(), Vec::new());
        for _ in 0..EACH {
            silent.push(Raw::subscribed(&socket, from_the_first(&rig)).await?);
            silent.push(Raw::subscribed(&socket, From::Now).await?);
            let mut raw = Raw::subscribed(&socket, From::Now).await?;
            trickling.push(tokio::spawn(async move {
                while raw.stream.read_u8().await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }));
            // Gone in the middle of a frame.
            let mut raw = Raw::subscribed(&socket, from_the_first(&rig)).await?;
            raw.stream.read_exact(&mut [0; 1001]).await?;
        }
        let last = say_much(&rig, &talk, &burst(), 10_000).await?;
        let home = rig.places.home();
        assert_eq!(emitted(&home).len(), 1, "Claude was told to print something");
        not_slowed("with bad readers", &home)?;
        let (now, most) = (resident(pid), peak(pid));
        assert!(most < before + GROWTH, "{before} KiB before, {now} KiB now, {most} KiB at most");
        // They have not missed a thing.
        for raw in &mut silent {
            let mut cursor = None;
            while cursor != Some(last.0) {
                let frame = raw.frame().await?.expect("it is still connected");
                match frame.kind {
                    Kind::SNAPSHOT => cursor = Some(frame.seq),
                    kind if kind.is_durable() => {
                        assert_eq!(frame.seq, cursor.unwrap_or(0) + 1);
                        cursor = Some(frame.seq);
                    }
                    kind => assert!(kind.is_transient(), "a frame of kind {kind:?}"),
                }
            }
        }
        for reader in trickling {
            reader.abort();
        }
        rig.discard();
        Ok(())
    })
    .await;
}
