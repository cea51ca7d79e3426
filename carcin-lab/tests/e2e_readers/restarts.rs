//! A follower and a client whose daemon is killed again and again.

use std::sync::Arc;
use std::time::Duration;

use carcin_lab::rig::{PATIENCE, Rig};
use carcin_proto::client::{Backoff, Reconnecting};
use carcin_proto::request::{Placement, Submit};
use carcin_proto::{
    ConversationKey, Cursor, Delivery, Event, Followed, Follower, IdempotencyKey, Request, Seq,
};
use tokio::sync::watch;

use crate::e2e_support::run;
use crate::slow::texts;

const RESTARTS: usize = 20;
/// Texts in each prompt.
const TEXTS: usize = 500;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(50));

/// What a follower was told.
#[derive(Debug, Default)]
struct Told {
    texts: Vec<String>,
    last: u64,
    connections: usize,
    wrong: Vec<String>,
}

impl Told {
    fn take(&mut self, followed: Followed) {
        match followed {
            Followed::Connected(_) => self.connections += 1,
            Followed::Disconnected(_) | Followed::Delivery(Delivery::Transient(_)) => {}
            Followed::Delivery(Delivery::Durable(seq, envelope)) => {
                if seq.0 != self.last + 1 {
                    self.wrong.push(format!("{seq} after {}", self.last));
                }
                self.last = seq.0;
                if let Some(Event::TextBlock(block)) = envelope.map(|envelope| envelope.event) {
                    self.texts.push(block.text);
                }
            }
            Followed::Delivery(other) => self.wrong.push(format!("{other:?}")),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_twenty_times_a_follower_is_told_ten_thousand_texts_once_each() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        let (told, mut heard) = watch::channel(Told::default());
        let told = Arc::new(told);
        let cursor = Cursor { journal: rig.journal_id(), seq: Seq(0) };
        let mut follower = Follower::new(rig.places.socket(), "follower", "0", Some(cursor)).backoff(BACKOFF);
        let following = tokio::spawn(async move {
            loop {
                let followed = follower.next().await;
                told.send_modify(|told| told.take(followed));
            }
        });
        let mut client = Reconnecting::new(rig.places.socket(), "client", "0").backoff(BACKOFF);
        for round in 0..RESTARTS {
            // The client does not know that the daemon was killed, and does not care.
            let submit = Submit {
                conversation: ConversationKey::new("tg:1")?,
                key: IdempotencyKey::new(format!("round {round}"))?,
                text: texts(round * TEXTS, TEXTS),
                placement: Placement::Queue,
                by: "Alex".to_owned(),
            };
            client.request(&Request::Submit(submit)).await?;
            // In the middle of what it says, each time a little later.
            let enough = round * TEXTS + 1 + round * 20;
            tokio::time::timeout(PATIENCE, heard.wait_for(|told| told.texts.len() >= enough)).await??;
            rig.kill_daemon().await?;
            rig.restart_daemon().await?;
        }
        let all = RESTARTS * TEXTS;
        tokio::time::timeout(PATIENCE, heard.wait_for(|told| told.texts.len() >= all)).await??;
        following.abort();
        let told = heard.borrow();
        assert_eq!(told.wrong, Vec::<String>::new());
        let expected: Vec<String> = (0..all).map(|number| format!("Number {number}.")).collect();
        assert!(told.texts == expected, "{} texts", told.texts.len());
        assert!(told.connections > RESTARTS, "{} connections", told.connections);
        drop(told);
        rig.discard();
        Ok(())
    })
    .await;
}
