//! Who is connected: how many may be at once, who has to go where all places are taken, and who is subscribed.
//!
//! A connection costs a descriptor and a little memory for as long as its peer likes, so there is a bound. The
//! owner's own programs must get in all the same: whoever only waits makes room for the next, those first who have
//! not even said who they are. A subscriber is never sent away, so that there are places which subscribers cannot
//! have.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use carcin_proto::request::ClientStatus;
use carcin_proto::{Refusal, RefusalCode, Seq};

use super::connection::Broken;

/// Connections at once. A person has a handful; a hundred and more are a defect or an attack.
pub(super) const CONNECTIONS: usize = 128;
/// Subscribers among them. The other places are for requests, which are soon done.
pub(super) const SUBSCRIBERS: usize = 96;
/// How long a connection has for its beginning, and between two requests, before it may be sent away for another. Each
/// takes a millisecond.
const BEGINNING: Duration = Duration::from_secs(1);
/// After this long nobody waits for a reply any more; the place of one that works on it may be had.
const WORKING: Duration = Duration::from_mins(1);
/// How often to look again whether somebody may be sent away.
const LOOK: Duration = Duration::from_millis(50);

/// The places. Clones share them. The lock is held for no longer than a look at the list.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    list: Mutex<List>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    stage: Stage,
    since: Instant,
    leave: CancellationToken,
    /// What a subscriber is called, and how far it is.
    subscriber: Option<(String, Reached)>,
}

/// The last durable event that was written to a subscriber.
#[derive(Debug, Clone, Default)]
pub(super) struct Reached(Arc<AtomicU64>);

impl Reached {
    pub(super) fn set(&self, seq: Seq) {
        self.0.store(seq.0, Ordering::Relaxed);
    }
}

/// How far a connection is. In the order in which they are sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Of another user, who is told so.
    Foreign,
    /// It has not said yet who it is.
    Beginning,
    /// It may ask something.
    Waiting,
    /// It is being answered.
    Working,
    /// It carries events.
    Subscribed,
}

/// A connection's place; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    id: u64,
    leave: CancellationToken,
}

impl Places {
    /// Takes a place. Waits for one where all are taken, and sends somebody away for that.
    pub(super) async fn enter(&self, is_owner: bool) -> Place {
        loop {
            let freed = self.0.changed.notified();
            if let Some(place) = self.take(is_owner) {
                return place;
            }
            self.make_room();
            let _ = tokio::time::timeout(LOOK, freed).await;
        }
    }

    fn take(&self, is_owner: bool) -> Option<Place> {
        let mut list = self.list();
        if list.taken.len() >= CONNECTIONS {
            return None;
        }
        list.next += 1;
        let (id, leave) = (list.next, CancellationToken::new());
        let stage = if is_owner { Stage::Beginning } else { Stage::Foreign };
        let taken = Taken { stage, since: Instant::now(), leave: leave.clone(), subscriber: None };
        list.taken.insert(id, taken);
        Some(Place { places: self.clone(), id, leave })
    }

    /// Sends somebody away, as soon as anybody may be. One that is on its way out already is as good.
    pub(super) fn make_room(&self) {
        let list = self.list();
        let may_go = |taken: &&Taken| match taken.stage {
            Stage::Foreign => true,
            Stage::Beginning | Stage::Waiting => taken.since.elapsed() > BEGINNING,
            Stage::Working => taken.since.elapsed() > WORKING,
            Stage::Subscribed => false,
        };
        let goes = list.taken.values().filter(may_go).min_by_key(|taken| (taken.stage, taken.since));
        if let Some(goes) = goes {
            goes.leave.cancel();
        }
    }

    /// Waits until nobody is being answered any more.
    pub async fn settled(&self) {
        loop {
            let changed = self.0.changed.notified();
            if !self.list().taken.values().any(|taken| taken.stage == Stage::Working) {
                return;
            }
            let _ = tokio::time::timeout(LOOK, changed).await;
        }
    }

    /// Who is subscribed, those who have been connected longest first.
    pub(super) fn status(&self) -> Vec<ClientStatus> {
        let list = self.list();
        let status = |(name, reached): &(String, Reached)| ClientStatus {
            name: name.clone(),
            cursor: Seq(reached.0.load(Ordering::Relaxed)),
        };
        list.taken.values().filter_map(|taken| taken.subscriber.as_ref()).map(status).collect()
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until the place is needed for another.
    pub(super) async fn needed(&self) {
        self.leave.cancelled().await;
    }

    /// The peer may ask something.
    pub(super) fn waits(&self) {
        self.set(&mut self.places.list(), Stage::Waiting);
    }

    /// The peer is being answered. Not one that is sent away just now: it would not hear what became of its request.
    pub(super) fn works(&self) -> Result<(), Broken> {
        let mut list = self.places.list();
        if self.leave.is_cancelled() {
            return Err(Broken::SentAway);
        }
        self.set(&mut list, Stage::Working);
        Ok(())
    }

    /// The connection of this client, which works on that, is to carry events, if there is room for one more of those.
    pub(super) fn subscribes(&self, name: &str) -> Result<Reached, Refusal> {
        let mut list = self.places.list();
        let subscribed = list.taken.values().filter(|taken| taken.stage == Stage::Subscribed).count();
        if subscribed >= SUBSCRIBERS {
            let text = format!("{subscribed} clients are subscribed already, and no more are taken");
            return Err(Refusal::new(RefusalCode::Full, text).hint("`carcin-ctl status` shows them"));
        }
        self.set(&mut list, Stage::Subscribed);
        let reached = Reached::default();
        if let Some(taken) = list.taken.get_mut(&self.id) {
            taken.subscriber = Some((name.to_owned(), reached.clone()));
        }
        Ok(reached)
    }

    fn set(&self, list: &mut List, stage: Stage) {
        if let Some(taken) = list.taken.get_mut(&self.id) {
            taken.stage = stage;
            taken.since = Instant::now();
        }
        self.places.0.changed.notify_waiters();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.list().taken.remove(&self.id);
        self.places.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    async fn full(places: &Places) -> Vec<Place> {
        let mut taken = Vec::new();
        for _ in 0..CONNECTIONS {
            taken.push(places.enter(true).await);
        }
        taken
    }

    /// Enters while one of `taken`, which leaves when it is told to, makes room; gives its index.
    async fn sent_away(places: &Places, taken: &mut Vec<Place>, within: Duration) -> Option<usize> {
        let leaving = async {
            loop {
                if let Some(at) = taken.iter().position(|place| place.leave.is_cancelled()) {
                    drop(taken.remove(at));
                    return at;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let (_place, at) = timeout(within, async { tokio::join!(places.enter(true), leaving) }).await.ok()?;
        Some(at)
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_has_waited_longest_makes_room() {
        let places = Places::default();
        let mut taken = full(&places).await;
        for place in &taken {
            place.waits();
            advance(Duration::from_millis(1)).await;
        }
        taken[0].works().expect("it is not sent away");
        taken[1].waits();
        assert_eq!(sent_away(&places, &mut taken, BEGINNING * 2).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_says_nothing_goes_before_one_that_did() {
        let places = Places::default();
        let mut taken = full(&places).await;
        for place in &taken[..100] {
            place.waits();
        }
        advance(BEGINNING * 2).await;
        assert_eq!(sent_away(&places, &mut taken, Duration::from_secs(1)).await, Some(100));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_just_begins_has_its_time() {
        let places = Places::default();
        let mut taken = full(&places).await;
        assert_eq!(sent_away(&places, &mut taken, BEGINNING / 2).await, None);
        assert_eq!(sent_away(&places, &mut taken, BEGINNING * 2).await, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn subscribers_leave_room_for_requests_and_stay() {
        let places = Places::default();
        let mut taken = full(&places).await;
        for place in &taken[..SUBSCRIBERS] {
            place.subscribes("one").expect("there is room");
        }
        let refused = taken[SUBSCRIBERS].subscribes("more").expect_err("there is none");
        assert_eq!(refused.code, RefusalCode::Full);
        advance(WORKING * 2).await;
        places.make_room();
        assert!(taken[SUBSCRIBERS].works().is_err(), "it is on its way out");
        assert_eq!(sent_away(&places, &mut taken, Duration::from_secs(1)).await, Some(SUBSCRIBERS));
        drop(taken.remove(0));
        taken[SUBSCRIBERS].works().expect("it is not sent away");
        taken[SUBSCRIBERS].subscribes("more").expect("one has left");
    }

    #[tokio::test]
    async fn a_subscriber_is_told_of_until_it_leaves_and_with_how_far_it_is() {
        let places = Places::default();
        let (asks, first, second) =
            (places.enter(true).await, places.enter(true).await, places.enter(true).await);
        asks.works().expect("it is not sent away");
        let told = |places: &Places| -> Vec<(String, u64)> {
            places.status().into_iter().map(|client| (client.name, client.cursor.0)).collect()
        };
        assert!(told(&places).is_empty(), "nobody is subscribed");
        second.subscribes("second").expect("there is room");
        let reached = first.subscribes("first").expect("there is room");
        reached.set(Seq(7));
        assert_eq!(told(&places), [("first".to_owned(), 7), ("second".to_owned(), 0)]);
        drop(first);
        assert_eq!(told(&places), [("second".to_owned(), 0)]);
    }
}
