//! The task that follows the daemon's journal into the store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::client::{Backoff, Delivery, Followed, Follower};
use carcin_proto::event::Transient;
use carcin_proto::{ConversationKey, Cursor, Event, Millis};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::apply::{self, Audience};
use super::asks;
use super::daemon::{NAME, VERSION};
use crate::fatal::Fatal;
use crate::outbox::live::Live;
use crate::place::Place;
use crate::store::{Store, facts, now_ms};

/// The most deliveries in one transaction: a replay is quick, and no transaction is long.
const BATCH: usize = 256;
/// Between two looks at the clock of live cards on which nothing else changes.
const TICK: Duration = Duration::from_secs(10);

/// Between two looks at texts that are streamed by edits.
const EDITS: Duration = Duration::from_secs(1);

/// A delivery, with what the texts of the moment say to it.
struct Noted {
    delivery: Delivery,
    /// What was seen of a text that its turn's end cut short.
    cut_short: Option<(Place, String)>,
    /// Where a text begins after one that is complete.
    next_text: Option<Place>,
}

/// Whom to follow, and who is told what.
#[derive(Debug)]
pub struct Following {
    /// The daemon's.
    pub socket: PathBuf,
    /// After which time people are reminded of a question; `None`: never.
    pub remind: Option<Duration>,
    /// What goes on at the moment.
    pub live: Arc<Live>,
    /// Whether the daemon is there.
    pub up: watch::Sender<bool>,
    /// In which conversation a turn began last.
    pub heard: watch::Sender<Option<ConversationKey>>,
}

/// Follows until it is cancelled.
pub async fn run(
    following: Following,
    store: Store,
    audience: Audience,
    cancel: CancellationToken,
) -> Result<(), Fatal> {
    let Following { socket, remind, live, up, heard } = following;
    let cursor = store.read(facts::cursor).await?;
    let mut follower = Follower::new(socket, NAME, VERSION, cursor);
    let mut tick = tokio::time::interval_at(Instant::now() + TICK, TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut edits = tokio::time::interval(EDITS);
    edits.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_up = true;
    let mut is_connected = false;
    loop {
        let followed = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            followed = follower.next() => followed,
            _ = edits.tick() => {
                stream(&store, &live).await;
                continue;
            }
            _ = tick.tick() => {
                // A restart of the daemon is over before anybody could read that it is away.
                let is_up = *up.borrow();
                let away = !is_up && !was_up;
                was_up = is_up;
                let now = (!away).then(|| Millis(now_ms().cast_unsigned()));
                let audience = audience.clone();
                let ticked = store.write(move |tx| {
                    apply::tick(tx, now)?;
                    // Only what the daemon still asks: it says so before the first tick.
                    if let Some(after) = remind.filter(|_| is_up) {
                        asks::remind(tx, now_ms(), after)?;
                    }
                    // Nobody knows what Claude does while the daemon is away.
                    if away { Ok(Vec::new()) } else { apply::at_work(tx, &audience) }
                });
                match ticked.await {
                    Ok(places) => live.set_working(places),
                    Err(error) => warn!("the live cards stand still, and nobody is reminded of anything: {error}"),
                }
                continue;
            }
        };
        let mut batch = Vec::new();
        note(followed, &mut batch, &live, &up);
        for _ in 1..BATCH {
            tokio::select! {
                biased;
                followed = follower.next() => note(followed, &mut batch, &live, &up),
                () = std::future::ready(()) => break,
            }
        }
        if is_connected != *up.borrow() {
            is_connected = !is_connected;
            if is_connected {
                // There may be nothing new for a while, and what goes on is shown.
                resume(&store, &audience, &live).await;
            }
        }
        if let (false, Some(cursor)) = (batch.is_empty(), follower.cursor()) {
            if let Some(conversation) = batch.iter().rev().find_map(began) {
                heard.send_replace(Some(conversation));
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = consume(&store, &audience, &live, batch, cursor) => {}
            }
        }
    }
}

/// Shows where Claude is at work, as far as the store knows.
async fn resume(store: &Store, audience: &Audience, live: &Live) {
    let audience = audience.clone();
    match store.read(move |tx| apply::at_work(tx, &audience)).await {
        Ok(places) => live.set_working(places),
        Err(error) => warn!("what goes on is shown with the next event: {error}"),
    }
}

/// Shows more of the texts that are streamed by edits. What is not shown now is shown a moment later.
async fn stream(store: &Store, live: &Live) {
    let edits = live.edits(std::time::Instant::now());
    if edits.is_empty() {
        return;
    }
    let shown =
        store.write(move |tx| edits.into_iter().try_for_each(|(place, text)| apply::stream(tx, place, text)));
    if let Err(error) = shown.await {
        warn!("a text is not streamed: {error}");
    }
}

/// What is durable goes into the batch, with the end of a text that will not be finished. Of what is not, only that one
/// text follows another.
fn note(followed: Followed, batch: &mut Vec<Noted>, live: &Live, up: &watch::Sender<bool>) {
    match followed {
        Followed::Delivery(Delivery::Transient(envelope)) => {
            let now = std::time::Instant::now();
            let follows = Place::of(&envelope.conversation).filter(|place| match &envelope.event {
                Transient::TextDelta(delta) => live.delta(*place, delta, now),
                Transient::TextSoFar(text) => live.so_far(*place, text, now),
                _ => false,
            });
            if let Some(place) = follows {
                let delivery = Delivery::Transient(envelope);
                batch.push(Noted { delivery, cut_short: None, next_text: Some(place) });
            }
        }
        Followed::Delivery(delivery) => {
            let mut cut_short = None;
            if matches!(delivery, Delivery::Snapshot(_) | Delivery::Gap(_)) {
                live.forget();
            }
            if let Delivery::Durable(_, Some(envelope)) = &delivery
                && let Some(place) = Place::of(&envelope.conversation)
            {
                // Before it is stored: no draft may follow the message that takes its place.
                cut_short = live.event(place, &envelope.event).map(|text| (place, text));
            }
            batch.push(Noted { delivery, cut_short, next_text: None });
        }
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
fn began(noted: &Noted) -> Option<ConversationKey> {
    match &noted.delivery {
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
async fn consume(store: &Store, audience: &Audience, live: &Live, batch: Vec<Noted>, cursor: Cursor) {
    let batch = std::sync::Arc::new(batch);
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    loop {
        let (deliveries, audience) = (batch.clone(), audience.clone());
        let taken = store.write(move |tx| {
            for noted in deliveries.iter() {
                if let Some((place, text)) = &noted.cut_short {
                    apply::cut_short(tx, &audience, *place, text)?;
                }
                if let Some(place) = noted.next_text {
                    apply::next_text(tx, &audience, place)?;
                }
                apply::delivery(tx, &audience, &noted.delivery)?;
            }
            facts::set_cursor(tx, cursor)?;
            apply::at_work(tx, &audience)
        });
        match taken.await {
            Ok(places) => return live.set_working(places),
            Err(error) => error!("carcind's events cannot be stored: {error}"),
        }
        tokio::time::sleep(backoff.delay()).await;
    }
}
