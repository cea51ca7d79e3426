//! Very many small lines at once.

use anyhow::ensure;
use carcin_lab::rig::Rig;
use serde_json::json;

use crate::kit::{MIB, answer_to, emit, finish, on_disk, replaced, run, said, say, status, unread};

const MANY: u64 = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_lines_is_kept_together() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        let line = "{\"type\":\"news\",\"n\":\"new since yesterday\"}\n";
        let parts = json!([said("Before"), [line, MANY], said("Between"), [line, 3]]);
        ensure!(say(&talk, &rig, &emit(&parts)).await? == ["Before", "Between", "After"]);
        let unread = unread(&rig);
        ensure!(unread.lines() == MANY + 3, "{} lines", unread.lines());
        ensure!(unread.kept().count() as u64 == MANY + 3, "{} are kept", unread.kept().count());
        ensure!(
            unread
                .kept()
                .all(|kept| line.as_bytes().starts_with(&kept.raw) && kept.size == line.len() as u64)
        );
        ensure!(unread.events() < 1000, "{} events", unread.events());
        ensure!(status(&rig, talk.key()).await?.unrecognised == MANY + 3);
        finish("100,000 unknown lines", rig).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_killed_in_a_flood_counts_each_line_once() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        let prompt = talk.send(&emit(&json!([["{\"type\":\"news\"}\n", 20 * MANY]]))).await?;
        for lines in [1, MANY, 5 * MANY] {
            let many = |log: &carcin_lab::rig::Log| {
                let known = log.state.conversations.get(talk.key())?.unrecognised;
                (known >= lines || log.outcome(prompt).is_some()).then_some(())
            };
            rig.events.wait_within("the flood", crate::kit::PATIENCE, many).await?;
            let over = rig.events.log().outcome(prompt);
            ensure!(lines > 1 || over.is_none(), "it was over before the first kill: {over:?}");
            replaced("a flood", &mut rig).await?;
        }
        ensure!(answer_to(&talk, &rig, prompt).await? == ["After"]);
        ensure!(unread(&rig).lines() == 20 * MANY, "{} lines", unread(&rig).lines());
        ensure!(status(&rig, talk.key()).await?.unrecognised == 20 * MANY);
        finish("a flood with kills", rig).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn millions_of_the_shortest_lines_are_counted_and_the_first_are_kept() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        ensure!(say(&talk, &rig, &emit(&json!([["x\n", 20 * MANY], ["\n", 50 * MANY]]))).await? == ["After"]);
        let unread = unread(&rig);
        ensure!(unread.lines() == 20 * MANY, "{} lines", unread.lines());
        ensure!(unread.kept().count() as u64 > MANY, "{} are kept", unread.kept().count());
        let disk = on_disk(&rig.places.state());
        ensure!(disk < 128 * MIB, "{disk} bytes on disk");
        ensure!(unread.events() < 2000, "{} events", unread.events());
        finish("2,000,000 lines of a byte, 5,000,000 blank ones", rig).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_deltas_is_passed_on() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        let event = |event: serde_json::Value| format!("{}\n", json!({ "type": "stream_event", "event": event }));
        let begin = json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } });
        let delta = json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "more " } });
        let text = "more ".repeat(usize::try_from(MANY)?);
        let parts = json!([event(begin), [event(delta), MANY], said(&text[..1000])]);
        ensure!(say(&talk, &rig, &emit(&parts)).await? == [&text[..1000], "After"]);
        // A reader that lags may miss some, none comes twice.
        let streamed = rig.events.log().streamed(talk.key());
        println!("of {MANY} deltas {} were streamed", streamed.matches("more ").count());
        ensure!(streamed.matches("more ").count() as u64 <= MANY && unread(&rig).lines() == 0);
        finish("100,000 deltas", rig).await
    })
    .await;
}
