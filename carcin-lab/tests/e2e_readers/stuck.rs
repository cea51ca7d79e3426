//! Whoever comes while the journal takes nothing.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use carcin_lab::rig::{PATIENCE, Rig};
use carcin_proto::Request;
use carcin_proto::request::Notify;
use tokio::time::timeout;

use crate::e2e_support::{endless_tool, eventually, lives, noted_pid, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_gets_in_while_others_wait_for_the_journal() {
    run(async {
        let rig = Rig::builder().permission_mode("bypassPermissions").start().await?;
        let talk = rig.talk("tg:1");
        rig.talk("tg:2").say("!text Hello").await?;
        talk.send(&endless_tool("tool")).await?;
        let tool = noted_pid(&rig.places.work().join("tool")).await?;
        let mut early = rig.client().await?;
        let journal = rusqlite::Connection::open(rig.places.state().join("journal.db"))?;
        journal.execute_batch("BEGIN IMMEDIATE")?;
        // The journal's writer waits with this one.
        let text = "half way there".to_owned();
        let notify =
            Notify { conversation: Some(rig.talk("tg:2").key().clone()), text, topic: String::new() };
        let notifying = tokio::spawn(async move { early.request(&Request::Notify(notify)).await });
        for _ in 0..5 {
            timeout(PATIENCE, rig.client()).await.context("who connects waits for the journal")??;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        ensure!(!notifying.is_finished(), "the journal was to take nothing");
        let stop = tokio::spawn({
            let talk = talk.clone();
            async move { talk.stop().await }
        });
        eventually("the tool's process to end", || (!lives(tool)).then_some(())).await?;
        ensure!(!stop.is_finished() && !notifying.is_finished(), "the journal was to take nothing");
        journal.execute_batch("ROLLBACK")?;
        stop.await??;
        notifying.await??;
        rig.finish().await
    })
    .await;
}
