//! Subscribers that come back after long.

use std::path::Path;

use anyhow::Context as _;
use carcin_lab::rig::Rig;
use carcin_proto::event::TextBlock;
use carcin_proto::request::{From, Gap, GapReason};
use carcin_proto::{BlockId, ConversationKey, Cursor, Envelope, Event, Frame, Kind, Millis, Seq, TurnId};

use crate::e2e_support::proc::{peak, resident};
use crate::e2e_support::run;
use crate::raw::Raw;
use crate::slow::{from_the_first, read_to, texts};

/// Has Claude say so many texts, and waits for the last; gives its number.
async fn say(rig: &Rig, count: usize) -> anyhow::Result<Seq> {
    let head = rig.client().await?.welcome().head;
    let now = Cursor { journal: rig.journal_id(), seq: head };
    let talk = rig.talk("tg:1");
    talk.queue(&texts(0, count)).await?;
    talk.queue("!text This is all.").await?;
    read_to(rig, From::After(now), head, "This is all.").await
}

/// Restarts the daemon with so many more texts in its journal, as if they had been said; gives the number of the
/// last, which is the end.
async fn fill(rig: &mut Rig, count: u64) -> anyhow::Result<Seq> {
    let talk = rig.talk("tg:1");
    talk.say("!text Hello").await?;
    talk.idle().await?;
    let head = rig.client().await?.welcome().head;
    rig.terminate_daemon().await?;
    insert(&rig.places.state().join("journal.db"), head, count)?;
    rig.restart_daemon().await?;
    Ok(Seq(head.0 + count))
}

fn insert(journal: &Path, after: Seq, count: u64) -> anyhow::Result<()> {
    let mut connection = rusqlite::Connection::open(journal)?;
    let transaction = connection.transaction()?;
    for number in 1..=count {
        let text = if number == count { "The end.".to_owned() } else { format!("{number:300}") };
        let block = TextBlock { turn: TurnId(1), block: BlockId(number.try_into()?), text, parent: None };
        let conversation = ConversationKey::new("tg:1")?;
        let envelope = Envelope { conversation, at: Millis(0), event: block.into() };
        let frame = Frame::durable(Seq(after.0 + number), &envelope)?;
        transaction.execute(
            "INSERT INTO event (seq, conversation, kind, format, payload) VALUES (?1, 'tg:1', ?2, 1, ?3)",
            rusqlite::params![frame.seq.cast_signed(), frame.kind.0, &frame.payload[..]],
        )?;
    }
    Ok(transaction.commit()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_events_are_replayed_in_order_each_once() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        let last = fill(&mut rig, 100_000).await?;
        let before = resident(rig.daemon.pid());
        assert_eq!(read_to(&rig, from_the_first(&rig), Seq(0), "The end.").await?, last);
        let middle = Cursor { journal: rig.journal_id(), seq: Seq(last.0 / 2) };
        assert_eq!(read_to(&rig, From::After(middle), middle.seq, "The end.").await?, last);
        let most = peak(rig.daemon.pid());
        assert!(most < before + 16 * 1024, "{before} KiB before, {most} KiB at most");
        rig.discard();
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_longer_kept_is_a_gap_also_for_one_that_is_too_slow() {
    run(async {
        let mut rig = Rig::builder().keep_events(5_000).start().await?;
        let end = fill(&mut rig, 10_000).await?;
        // More than the kernel, and a page, hold for one that does not read; and all of it is kept as yet.
        let first = Cursor { journal: rig.journal_id(), seq: Seq(end.0 - 4_800) };
        let mut slow = Raw::subscribed(&rig.places.socket(), From::After(first)).await?;
        let last = say(&rig, 10_000).await?;
        // Who was away for long is told so, and goes on from the state.
        let mut late = Raw::subscribed(&rig.places.socket(), from_the_first(&rig)).await?;
        let frame = late.frame().await?.context("hung up")?;
        assert_eq!(frame.kind, Kind::GAP);
        let Gap { reason, snapshot } = frame.decode()?;
        assert_eq!(reason, GapReason::BehindRetention);
        assert!(snapshot.seq >= last);
        assert!(snapshot.conversations.contains_key(rig.talk("tg:1").key()));
        // Who was away for a short time only misses nothing.
        let recent = Cursor { journal: rig.journal_id(), seq: Seq(last.0 - 4_000) };
        assert_eq!(read_to(&rig, From::After(recent), recent.seq, "This is all.").await?, last);
        // Who did not read all that time gets what it was sent, in order, then a gap; then all from there on.
        let mut cursor = first.seq.0;
        let snapshot = loop {
            let frame = slow.frame().await?.context("hung up")?;
            if frame.kind == Kind::GAP {
                let Gap { reason, snapshot } = frame.decode()?;
                assert_eq!(reason, GapReason::BehindRetention);
                break snapshot;
            }
            if frame.kind.is_durable() {
                assert_eq!(frame.seq, cursor + 1);
                cursor = frame.seq;
            }
        };
        assert!(cursor > first.seq.0, "nothing came before the gap");
        assert!(cursor + 5_000 < snapshot.seq.0, "{cursor} was kept");
        rig.talk("tg:1").send("!text One more.").await?;
        let mut cursor = snapshot.seq.0;
        loop {
            let frame = slow.frame().await?.context("hung up")?;
            if frame.kind.is_durable() {
                assert_eq!(frame.seq, cursor + 1);
                cursor = frame.seq;
                let envelope = frame.decode_durable()?.context("a known kind")?;
                if matches!(&envelope.event, Event::TextBlock(block) if block.text == "One more.") {
                    break;
                }
            }
        }
        rig.discard();
        Ok(())
    })
    .await;
}
