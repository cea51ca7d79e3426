//! The queue of updates, and who may poll it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::error::ApiError;

/// Updates kept; beyond, the oldest is lost (the real server loses what is older than a day).
pub const MAX_UPDATES: usize = 10_000;
/// The longest a poll is held.
const MAX_TIMEOUT: Duration = Duration::from_secs(50);
/// How far an offset may be ahead of the queue before it counts as one from before a restart of the ids.
const MAX_AHEAD: i64 = 10;
/// The window in which a repeated offset is slowed, and a second 409 held back.
const SLOW: Duration = Duration::from_secs(3);
/// Kinds that come only to those who ask for them.
const ON_REQUEST: &[&str] = &["chat_member", "message_reaction", "message_reaction_count"];

const OTHER_POLLER: &str =
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
const WEBHOOK_ACTIVE: &str = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
const WEBHOOK_SET: &str = "Conflict: terminated by setWebhook request";

/// What a poll asks for.
#[derive(Debug, Clone)]
pub(super) struct PollRequest {
    pub(super) offset: i64,
    pub(super) limit: i64,
    pub(super) timeout: i64,
    pub(super) allowed: Option<Vec<String>>,
}

/// How a poll begins.
#[derive(Debug)]
pub(super) enum Poll {
    /// There is an answer at once.
    Ready(Value),
    /// It waits; ask [`UpdateQueue::resume`] with the ticket at each change.
    Wait { ticket: u64, limit: usize, timeout: Duration },
}

/// Updates that wait for the bot.
#[derive(Debug)]
pub struct UpdateQueue {
    pending: VecDeque<(i64, Value)>,
    next_id: i64,
    allowed: Option<Vec<String>>,
    webhook: Option<String>,
    throttle: bool,
    ticket: u64,
    previous_offset: Option<i64>,
    previous_start: Option<Instant>,
    previous_finish: Option<Instant>,
    next_conflict: Option<Instant>,
}

impl UpdateQueue {
    pub(super) fn new(throttle: bool) -> Self {
        Self {
            pending: VecDeque::new(),
            next_id: random_id(),
            allowed: None,
            webhook: None,
            throttle,
            ticket: 0,
            previous_offset: None,
            previous_start: None,
            previous_finish: None,
            next_conflict: None,
        }
    }

    /// Updates not confirmed yet, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Value> {
        self.pending.iter().map(|(_, update)| update)
    }

    /// The id that the next update will have.
    pub fn next_id(&self) -> i64 {
        self.next_id
    }

    /// The URL of the active webhook; the lab delivers nothing there.
    pub fn webhook(&self) -> Option<&str> {
        self.webhook.as_deref()
    }

    pub(super) fn set_throttle(&mut self, throttle: bool) {
        self.throttle = throttle;
    }

    /// Queues an update unless its kind is not wanted.
    pub(super) fn push(&mut self, kind: &str, body: Value) {
        let wanted = match &self.allowed {
            Some(allowed) => allowed.iter().any(|wanted| wanted == kind),
            None => !ON_REQUEST.contains(&kind),
        };
        if !wanted {
            return;
        }
        let id = self.next_id;
        self.next_id += 1;
        let mut update = json!({"update_id": id});
        update[kind] = body;
        self.pending.push_back((id, update));
        if self.pending.len() > MAX_UPDATES {
            self.pending.pop_front();
        }
    }

    /// Goes on with other ids, lower or higher, as the real server does after a quiet week; what is pending is
    /// numbered anew.
    pub(super) fn restart_ids(&mut self) {
        let before = self.next_id;
        while (self.next_id - before).abs() <= 10 * i64::try_from(MAX_UPDATES).expect("small") {
            self.next_id = random_id();
        }
        for (id, update) in &mut self.pending {
            *id = self.next_id;
            update["update_id"] = json!(*id);
            self.next_id += 1;
        }
    }

    pub(super) fn allow(&mut self, kinds: Option<Vec<String>>) {
        if let Some(kinds) = kinds {
            self.allowed = (!kinds.is_empty()).then_some(kinds);
        }
    }

    pub(super) fn set_webhook(&mut self, url: Option<String>, drop_pending: bool) {
        self.webhook = url;
        if drop_pending {
            self.pending.clear();
        }
    }

    /// Begins a poll: confirms what is below its offset, for good.
    pub(super) fn begin(&mut self, request: PollRequest, now: Instant) -> Result<Poll, ApiError> {
        if self.webhook.is_some() {
            return Err(ApiError::new(409, WEBHOOK_ACTIVE));
        }
        self.allow(request.allowed);
        let mut limit = if (1..=100).contains(&request.limit) { request.limit } else { 100 };
        let mut timeout = Duration::from_secs(request.timeout.max(0).unsigned_abs()).min(MAX_TIMEOUT);
        if self.throttle && self.previous_offset == Some(request.offset) {
            let within = |then: Option<Instant>, window| then.is_some_and(|then| now < then + window);
            if timeout < SLOW && within(self.previous_start, SLOW) {
                timeout = SLOW;
            }
            if within(self.previous_finish, Duration::from_millis(500)) {
                limit = 1;
            }
        }
        self.previous_offset = Some(request.offset);
        self.previous_start = Some(now);
        self.confirm(request.offset);
        let limit = usize::try_from(limit).expect("1 to 100");
        if !self.pending.is_empty() || timeout.is_zero() {
            return Ok(Poll::Ready(self.take(limit, now)));
        }
        self.ticket += 1;
        Ok(Poll::Wait { ticket: self.ticket, limit, timeout })
    }

    fn confirm(&mut self, offset: i64) {
        if offset < 0 {
            let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            let drop = self.pending.len().saturating_sub(keep);
            self.pending.drain(..drop);
        } else if offset <= self.next_id + MAX_AHEAD {
            while self.pending.front().is_some_and(|(id, _)| *id < offset) {
                self.pending.pop_front();
            }
        }
    }

    fn take(&mut self, limit: usize, now: Instant) -> Value {
        self.previous_finish = Some(now);
        Value::Array(self.pending.iter().take(limit).map(|(_, update)| update.clone()).collect())
    }

    /// Whether the poll with `ticket` can be answered now, and with what.
    pub(super) fn ready(&self, ticket: u64) -> bool {
        self.ticket != ticket || self.webhook.is_some() || !self.pending.is_empty()
    }

    /// The answer to the poll with `ticket`, which is ready or timed out. A 409 comes with the time to hold it
    /// back.
    pub(super) fn resume(
        &mut self,
        ticket: u64,
        limit: usize,
        now: Instant,
    ) -> Result<Value, (ApiError, Duration)> {
        let conflict = if self.webhook.is_some() {
            WEBHOOK_SET
        } else if self.ticket != ticket {
            OTHER_POLLER
        } else {
            return Ok(self.take(limit, now));
        };
        let soon = self.next_conflict.is_some_and(|next| now < next);
        if !soon {
            self.next_conflict = Some(now + SLOW);
        }
        let hold = if soon && self.throttle { SLOW } else { Duration::ZERO };
        Err((ApiError::new(409, conflict), hold))
    }
}

/// A random update id: positive, and with room above.
fn random_id() -> i64 {
    let random = u32::try_from(uuid::Uuid::new_v4().as_u128() >> 96).expect("the upper 32 of 128 bits");
    i64::from(random % 900_000_000) + 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(offset: i64, timeout: i64) -> PollRequest {
        PollRequest { offset, limit: 100, timeout, allowed: None }
    }

    fn ids(poll: &Poll) -> Vec<i64> {
        match poll {
            Poll::Ready(Value::Array(updates)) => {
                updates.iter().map(|update| update["update_id"].as_i64().unwrap()).collect()
            }
            other => panic!("not answered at once: {other:?}"),
        }
    }

    fn queue(updates: i64) -> UpdateQueue {
        let mut queue = UpdateQueue::new(true);
        for n in 0..updates {
            queue.push("message", json!({"n": n}));
        }
        queue
    }

    #[test]
    fn an_offset_confirms_for_good() {
        let mut queue = queue(3);
        let now = Instant::now();
        let first = ids(&queue.begin(ask(0, 0), now).unwrap());
        assert_eq!(first.len(), 3);
        assert_eq!(ids(&queue.begin(ask(first[1], 0), now).unwrap()), first[1..]);
        assert_eq!(ids(&queue.begin(ask(1, 0), now).unwrap()), first[1..], "the first is forgotten");
    }

    #[test]
    fn a_negative_offset_keeps_the_last_ones() {
        let mut queue = queue(5);
        let poll = queue.begin(ask(-2, 0), Instant::now()).unwrap();
        assert_eq!(ids(&poll), [queue.next_id() - 2, queue.next_id() - 1]);
        assert_eq!(queue.pending().count(), 2);
    }

    #[test]
    fn an_offset_from_before_a_restart_of_the_ids_confirms_nothing() {
        let mut queue = queue(2);
        queue.next_id = 1000;
        queue.restart_ids();
        let far = queue.next_id() + 5000;
        assert_eq!(ids(&queue.begin(ask(far, 0), Instant::now()).unwrap()).len(), 2);
    }

    #[test]
    fn restarted_ids_are_far_from_the_old_ones() {
        let mut queue = queue(2);
        let before = queue.next_id();
        queue.restart_ids();
        assert!((queue.next_id() - before).abs() > 10_000);
        let poll = queue.begin(ask(0, 0), Instant::now()).unwrap();
        assert_eq!(ids(&poll), [queue.next_id() - 2, queue.next_id() - 1]);
    }

    #[test]
    fn a_repeated_offset_is_slowed() {
        let mut queue = queue(2);
        let now = Instant::now();
        assert_eq!(ids(&queue.begin(ask(5, 0), now).unwrap()).len(), 2);
        assert_eq!(ids(&queue.begin(ask(5, 0), now).unwrap()).len(), 1, "one at a time");
        queue.pending.clear();
        let Poll::Wait { timeout, .. } = queue.begin(ask(5, 0), now).unwrap() else {
            panic!("a repeated empty poll must wait")
        };
        assert_eq!(timeout, SLOW);
    }

    #[test]
    fn a_timeout_is_capped_at_fifty_seconds() {
        let Poll::Wait { timeout, .. } = queue(0).begin(ask(0, 3600), Instant::now()).unwrap() else {
            panic!("nothing to answer")
        };
        assert_eq!(timeout, Duration::from_secs(50));
    }

    #[test]
    fn a_second_conflict_is_held_back() {
        let mut queue = queue(0);
        let now = Instant::now();
        let tickets: Vec<u64> = (0..3)
            .map(|offset| match queue.begin(ask(offset, 9), now).unwrap() {
                Poll::Wait { ticket, .. } => ticket,
                Poll::Ready(_) => panic!("nothing to answer"),
            })
            .collect();
        let (error, hold) = queue.resume(tickets[0], 100, now).unwrap_err();
        assert_eq!((error.code, hold), (409, Duration::ZERO));
        assert_eq!(queue.resume(tickets[1], 100, now).unwrap_err().1, SLOW);
        queue.resume(tickets[2], 100, now).unwrap();
    }

    #[test]
    fn kinds_not_asked_for_are_not_queued() {
        let mut queue = queue(0);
        queue.push("message_reaction", json!({}));
        assert_eq!(queue.pending().count(), 0, "never by default");
        queue.allow(Some(vec!["callback_query".into()]));
        queue.push("message", json!({}));
        queue.allow(None);
        queue.push("message", json!({}));
        assert_eq!(queue.pending().count(), 0, "the setting is kept");
        queue.allow(Some(vec![]));
        queue.push("message", json!({}));
        assert_eq!(queue.pending().count(), 1, "an empty list is the default again");
    }
}
