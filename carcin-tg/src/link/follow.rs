//! The task that follows the daemon's journal into the store.

use std::path::PathBuf;
use std::time::Duration;

use carcin_proto::client::{Backoff, Delivery, Followed, Follower};
use carcin_proto::{ConversationKey, Cursor, Event, Millis};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::apply::{self, Audience};
use super::asks;
use super::daemon::{NAME, VERSION};
use crate::fatal::Fatal;
use crate::place::Place;
use crate::store::{Store, facts, now_ms};

/// The most deliveries in one transaction: a replay is quick, and no transaction is long.
const BATCH: usize = 256;
/// Between two looks at the clock of live cards on which nothing else changes.
const TICK: Duration = Duration::from_secs(10);

/// Follows until it is cancelled. `up` tells whether the daemon is there, `heard` in which conversation a turn began
/// last, `remind` after which time people are reminded of a question.
pub async fn run(
    socket: PathBuf,
    store: Store,
    audience: Audience,
    remind: Option<Duration>,
    up: watch::Sender<bool>,
    heard: watch::Sender<Option<ConversationKey>>,
    cancel: CancellationToken,
) -> Result<(), Fatal> {
    let cursor = store.read(facts::cursor).await?;
    let mut follower = Follower::new(socket, NAME, VERSION, cursor).durable_only();
    let mut tick = tokio::time::interval_at(Instant::now() + TICK, TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_up = true;
    loop {
        let followed = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            followed = follower.next() => followed,
            _ = tick.tick() => {
                // A restart of the daemon is over before anybody could read that it is away.
                let is_up = *up.borrow();
                let away = !is_up && !was_up;
                was_up = is_up;
                let now = (!away).then(|| Millis(now_ms().cast_unsigned()));
                let ticked = store.write(move |tx| {
                    apply::tick(tx, now)?;
                    // Only what the daemon still asks: it says so before the first tick.
                    match remind.filter(|_| is_up) {
                        Some(after) => asks::remind(tx, now_ms(), after),
                        None => Ok(()),
                    }
                });
                if let Err(error) = ticked.await {
                    warn!("the live cards stand still, and nobody is reminded of anything: {error}");
                }
                continue;
            }
        };
        let mut batch = Vec::new();
        note(followed, &mut batch, &up);
        while batch.len() < BATCH {
            tokio::select! {
                biased;
                followed = follower.next() => note(followed, &mut batch, &up),
                () = std::future::ready(()) => break,
            }
        }
        if let (false, Some(cursor)) = (batch.is_empty(), follower.cursor()) {
            if let Some(conversation) = batch.iter().rev().find_map(began) {
                heard.send_replace(Some(conversation));
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = consume(&store, &audience, batch, cursor) => {}
            }
        }
    }
}

fn note(followed: Followed, batch: &mut Vec<Delivery>, up: &watch::Sender<bool>) {
    match followed {
        Followed::Delivery(delivery) => batch.push(delivery),
        Followed::Connected(welcome) => {
            info!(pid = welcome.pid, version = welcome.version, head = welcome.head.0, "carcind is there");
            up.send_replace(true);
        }
        Followed::Disconnected(error) => {
            warn!("{error}");
            up.send_replace(false);
        }
    }
}

/// The conversation in which a turn began: its Claude has said what it knows.
fn began(delivery: &Delivery) -> Option<ConversationKey> {
    match delivery {
        Delivery::Durable(_, Some(envelope)) => {
            let is_here = Place::of(&envelope.conversation).is_some();
            let began = is_here && matches!(envelope.event, Event::TurnStarted(_));
            began.then(|| envelope.conversation.clone())
        }
        _ => None,
    }
}

/// Takes a batch in, with what it gives to send and the cursor, in one transaction. A store that fails (a full
/// disk) is asked again: the journal waits.
async fn consume(store: &Store, audience: &Audience, batch: Vec<Delivery>, cursor: Cursor) {
    let batch = std::sync::Arc::new(batch);
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    loop {
        let (deliveries, audience) = (batch.clone(), audience.clone());
        let taken = store.write(move |tx| {
            for delivery in deliveries.iter() {
                apply::delivery(tx, &audience, delivery)?;
            }
            facts::set_cursor(tx, cursor)
        });
        match taken.await {
            Ok(()) => return,
            Err(error) => error!("carcind's events cannot be stored: {error}"),
        }
        tokio::time::sleep(backoff.delay()).await;
    }
}
