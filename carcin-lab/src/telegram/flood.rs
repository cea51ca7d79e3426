//! Flood control: token buckets per chat and for all, and a record of who does not wait.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::config::{Limits, Rate};

/// A token bucket; what it holds is a number of calls.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
    wait: Option<Wait>,
}

/// A wait that was told.
#[derive(Debug, Clone, Copy)]
struct Wait {
    since: Instant,
    until: Instant,
}

impl Wait {
    fn new(now: Instant, wait: Duration) -> Self {
        Self { since: now, until: now + wait }
    }

    /// The refusal of a call that is made into it; `None`: it is over.
    fn refusal(self, now: Instant) -> Option<Flooded> {
        let on_its_way = ON_ITS_WAY.min((self.until - self.since) / 4);
        (self.until > now).then(|| Flooded {
            retry_after: whole_seconds(self.until - now),
            violation: now.duration_since(self.since) > on_its_way,
        })
    }
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self { level: rate.burst, at: now, wait: None }
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let gained = now.duration_since(self.at).as_secs_f64() * rate.per_second;
        self.level = (self.level + gained).min(rate.burst);
        self.at = now;
    }

    /// The wait until `cost` can be paid; an album larger than the bucket waits until it is full.
    fn wait_for(&self, rate: Rate, cost: f64) -> Option<Duration> {
        let missing = cost.min(rate.burst) - self.level;
        (missing > 1e-9).then(|| Duration::from_secs_f64(missing / rate.per_second))
    }
}

/// Which bucket a call draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Sends and edits in a private chat.
    Private(i64),
    /// Sends and edits in a group.
    Group(i64),
    /// Drafts in a chat.
    Drafts(i64),
    /// Everything.
    Global,
}

/// What a wait that was told by a fault is for, beyond what is written: every call of a chat, or a method that is about
/// no chat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Told {
    /// Everything in a chat.
    Chat(i64),
    /// A method, by its documented name.
    Method(String),
}

impl Told {
    /// What a call is about.
    pub(super) fn of(method: &str, chat: Option<i64>) -> Self {
        chat.map_or_else(|| Self::Method(method.to_owned()), Self::Chat)
    }
}

/// A call that comes so soon after a wait was told was on its way by then; of a short wait, within its first quarter.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// A refusal for writing too fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flooded {
    /// Seconds to wait.
    pub(super) retry_after: u64,
    /// Whether the bot had been told to wait already.
    pub(super) violation: bool,
}

/// The buckets, one a lane: as many as there are chats.
#[derive(Debug)]
pub(super) struct FloodControl {
    limits: Limits,
    buckets: HashMap<Lane, Bucket>,
    /// When each wait was told, and when it is over.
    told: HashMap<Told, Wait>,
}

impl FloodControl {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, buckets: HashMap::new(), told: HashMap::new() }
    }

    /// Sets other limits; waits that were told are forgotten.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        *self = Self::new(limits);
    }

    /// Tells a lane to wait, whatever its level; a call before the end is a violation.
    pub(super) fn impose(&mut self, lane: Lane, wait: Duration, now: Instant) {
        let rate = self.rate(lane).unwrap_or(Rate { burst: 1.0, per_second: 1.0 });
        let bucket = self.buckets.entry(lane).or_insert_with(|| Bucket::full(rate, now));
        bucket.wait = Some(Wait::new(now, wait));
    }

    /// Tells that nothing of this is to be called for a while.
    pub(super) fn tell(&mut self, told: Told, wait: Duration, now: Instant) {
        self.told.retain(|_, wait| wait.until > now);
        self.told.insert(told, Wait::new(now, wait));
    }

    /// The refusal of a call that nothing else charges, made into a wait that was told.
    pub(super) fn early(&self, told: &Told, now: Instant) -> Option<Flooded> {
        self.told.get(told)?.refusal(now)
    }

    /// Takes `cost` calls from `lane` and from the global bucket, or says how long to wait. A refused call
    /// takes nothing.
    pub(super) fn take(&mut self, lane: Lane, cost: u32, now: Instant) -> Result<(), Flooded> {
        let cost = f64::from(cost);
        for lane in [lane, Lane::Global] {
            self.check(lane, cost, now)?;
        }
        for lane in [lane, Lane::Global] {
            if let Some(bucket) = self.buckets.get_mut(&lane) {
                bucket.level = (bucket.level - cost).max(0.0);
            }
        }
        Ok(())
    }

    fn check(&mut self, lane: Lane, cost: f64, now: Instant) -> Result<(), Flooded> {
        let rate = self.rate(lane);
        if rate.is_none() && !self.buckets.contains_key(&lane) {
            return Ok(());
        }
        let unlimited = Rate { burst: f64::MAX, per_second: f64::MAX };
        let rate = rate.unwrap_or(unlimited);
        let bucket = self.buckets.entry(lane).or_insert_with(|| Bucket::full(rate, now));
        if let Some(refusal) = bucket.wait.and_then(|wait| wait.refusal(now)) {
            return Err(refusal);
        }
        bucket.wait = None;
        bucket.refill(rate, now);
        if let Some(wait) = bucket.wait_for(rate, cost) {
            let retry_after = whole_seconds(wait);
            bucket.wait = Some(Wait::new(now, Duration::from_secs(retry_after)));
            return Err(Flooded { retry_after, violation: false });
        }
        Ok(())
    }

    fn rate(&self, lane: Lane) -> Option<Rate> {
        match lane {
            Lane::Private(_) => self.limits.private_chat,
            Lane::Group(_) => self.limits.group,
            Lane::Drafts(_) => self.limits.drafts,
            Lane::Global => self.limits.global,
        }
    }
}

/// Telegram tells whole seconds, and never zero.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: Lane = Lane::Private(7);

    fn control() -> (FloodControl, Instant) {
        (FloodControl::new(Limits::TELEGRAM), Instant::now())
    }

    #[test]
    fn a_burst_passes_and_the_next_call_is_told_to_wait() {
        let (mut flood, now) = control();
        for _ in 0..5 {
            flood.take(LANE, 1, now).unwrap();
        }
        assert_eq!(flood.take(LANE, 1, now), Err(Flooded { retry_after: 1, violation: false }));
    }

    #[test]
    fn calling_during_a_known_wait_is_a_violation_and_waiting_is_not() {
        let (mut flood, now) = control();
        for _ in 0..5 {
            flood.take(LANE, 1, now).unwrap();
        }
        flood.take(LANE, 1, now).unwrap_err();
        let early = now + Duration::from_millis(400);
        assert_eq!(flood.take(LANE, 1, early), Err(Flooded { retry_after: 1, violation: true }));
        flood.take(LANE, 1, now + Duration::from_secs(1)).unwrap();
    }

    #[test]
    fn one_chats_wait_does_not_delay_another() {
        let (mut flood, now) = control();
        for _ in 0..6 {
            let _ = flood.take(LANE, 1, now);
        }
        flood.take(Lane::Private(8), 1, now).unwrap();
    }

    #[test]
    fn all_chats_together_meet_the_global_limit() {
        let (mut flood, now) = control();
        for chat in 0..30 {
            flood.take(Lane::Private(chat), 1, now).unwrap();
        }
        assert!(flood.take(Lane::Private(99), 1, now).is_err());
    }

    #[test]
    fn a_group_takes_twenty_a_minute() {
        let (mut flood, now) = control();
        let lane = Lane::Group(-1);
        for _ in 0..20 {
            flood.take(lane, 1, now).unwrap();
        }
        assert_eq!(flood.take(lane, 1, now), Err(Flooded { retry_after: 3, violation: false }));
    }

    #[test]
    fn without_limits_nothing_waits() {
        let mut flood = FloodControl::new(Limits::OFF);
        let now = Instant::now();
        for _ in 0..10_000 {
            flood.take(LANE, 1, now).unwrap();
        }
    }

    #[test]
    fn a_wait_that_was_told_counts_for_what_it_was_told_for_until_it_is_over() {
        let mut flood = FloodControl::new(Limits::OFF);
        let now = Instant::now();
        let (files, chat) = (Told::of("getFile", None), Told::of("sendChatAction", Some(7)));
        flood.tell(files.clone(), Duration::from_secs(5), now);
        assert_eq!(flood.early(&chat, now), None);
        assert_eq!(flood.early(&files, now), Some(Flooded { retry_after: 5, violation: false }));
        let later = now + Duration::from_secs(2);
        assert_eq!(flood.early(&files, later), Some(Flooded { retry_after: 3, violation: true }));
        assert_eq!(flood.early(&files, now + Duration::from_secs(5)), None);
        assert_eq!(Told::of("createForumTopic", Some(7)), chat, "all that is about a chat");
    }

    #[test]
    fn an_imposed_wait_holds_even_without_limits() {
        let mut flood = FloodControl::new(Limits::OFF);
        let now = Instant::now();
        flood.impose(LANE, Duration::from_secs(5), now);
        assert_eq!(flood.take(LANE, 1, now), Err(Flooded { retry_after: 5, violation: false }), "on its way");
        let later = now + Duration::from_secs(2);
        assert_eq!(flood.take(LANE, 1, later), Err(Flooded { retry_after: 3, violation: true }));
        flood.take(LANE, 1, now + Duration::from_secs(5)).unwrap();
    }
}
