//! Which job goes when: pure, on the caller's clock.
//!
//! Chats are independent: one chat's flood wait delays no other. Within a chat one job of the control priority and
//! one of the other two are under way at most, and no message begins while an answer is under way, so that messages
//! keep their order. Of several edits of one message only the newest is sent.

mod chat;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use crate::queue::{Job, Op, Priority};
use chat::Chat;

/// All chats together: below Telegram's 30 a second.
const GLOBAL_EVERY: Duration = Duration::from_millis(40);
/// How many may go at once after a silence.
const GLOBAL_BURST: u32 = 10;
/// The first wait when Telegram cannot be reached; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest of those waits.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is settled, one way or the other.
    Settled,
    /// Telegram wants silence in this chat; then again.
    Wait(Duration),
    /// Telegram could not be reached, or did not answer: again, later and later.
    Unreachable,
    /// Nothing can be sent to this chat any more: what waits for it waits in the store.
    Gone,
    /// Its place is gone, and there is another: again, at once.
    Elsewhere,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this, then tell [`Scheduler::done`].
    Run(Job),
    /// Nothing before this moment.
    WaitUntil(Instant),
    /// Nothing until something is pushed or done.
    Idle,
}

/// The queues of all chats.
#[derive(Debug)]
pub struct Scheduler {
    chats: BTreeMap<i64, Chat>,
    global: Bucket,
    /// The chat served last: the next one is looked for after it.
    last: i64,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self { chats: BTreeMap::new(), global: Bucket::new(GLOBAL_EVERY, GLOBAL_BURST), last: i64::MIN }
    }
}

impl Scheduler {
    /// Takes in a job, in the order of ids. Returns the edit that it makes superfluous.
    pub fn push(&mut self, job: Job) -> Option<i64> {
        let chat = self.chats.entry(job.chat).or_insert_with(|| Chat::new(job.chat));
        let superseded = (job.op == Op::Edit).then(|| chat.remove_edit(job.message)).flatten();
        if let (Op::Send, Some(message)) = (job.op, job.message) {
            chat.unsent.insert(message);
        }
        chat.queue(job.priority).push_back(job);
        superseded
    }

    /// How many jobs wait or are under way.
    pub fn len(&self) -> usize {
        self.chats.values().map(Chat::len).sum()
    }

    /// Until when nothing may be sent to this chat; `None`: now.
    pub fn quiet_until(&self, chat: i64, now: Instant) -> Option<Instant> {
        self.chats.get(&chat)?.blocked_until.filter(|until| *until > now)
    }

    /// Nothing may be sent to this chat before then.
    pub fn block(&mut self, chat: i64, until: Instant) {
        self.chats.entry(chat).or_insert_with(|| Chat::new(chat)).block(until);
    }

    /// Lets go of what waits for this chat.
    pub fn forget(&mut self, chat: i64) {
        self.chats.remove(&chat);
    }

    /// Whether something is on its way to this chat.
    pub fn is_sending(&self, chat: i64) -> bool {
        self.chats.get(&chat).is_some_and(|chat| !chat.under_way.is_empty())
    }

    /// Whether messages wait for this chat, or are on their way to it.
    pub fn is_talking(&self, chat: i64) -> bool {
        self.chats.get(&chat).is_some_and(Chat::is_talking)
    }

    /// Holds the chat's messages back until then at the latest: a draft is on its way, and would come up again below
    /// the message that takes its place. `None`: it has arrived.
    pub fn hold(&mut self, chat: i64, until: Option<Instant>) {
        match until {
            Some(_) => self.chats.entry(chat).or_insert_with(|| Chat::new(chat)).held_until = until,
            None => {
                if let Some(chat) = self.chats.get_mut(&chat) {
                    chat.held_until = None;
                }
            }
        }
    }

    /// The next step at `now`.
    pub fn next(&mut self, now: Instant) -> Step {
        let mut earliest: Option<Instant> = None;
        let mut best: Option<(Priority, i64)> = None;
        let after = (Bound::Excluded(self.last), Bound::Unbounded);
        let before = (Bound::Unbounded, Bound::Included(self.last));
        for (id, chat) in self.chats.range(after).chain(self.chats.range(before)) {
            for (priority, at) in chat.candidates(now) {
                if at > now {
                    earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
                } else if best.is_none_or(|(found, _)| priority < found) {
                    best = Some((priority, *id));
                }
            }
        }
        let Some((priority, id)) = best else { return earliest.map_or(Step::Idle, Step::WaitUntil) };
        let ready = self.global.ready_at(now);
        if ready > now {
            return Step::WaitUntil(ready);
        }
        self.global.take(now);
        self.last = id;
        let chat = self.chats.get_mut(&id).expect("found just now");
        Step::Run(chat.start(priority, now))
    }

    /// A job that [`Step::Run`] gave is over. Returns it if a newer edit has made it superfluous meanwhile.
    pub fn done(&mut self, job: &Job, outcome: Outcome, now: Instant) -> Option<i64> {
        if outcome == Outcome::Gone {
            self.chats.remove(&job.chat);
            return None;
        }
        let chat = self.chats.get_mut(&job.chat)?;
        chat.under_way.retain(|other| other.id != job.id);
        let again = match outcome {
            Outcome::Settled | Outcome::Gone => {
                chat.failures = 0;
                if let (Op::Send, Some(message)) = (job.op, job.message) {
                    chat.unsent.remove(&message);
                }
                false
            }
            Outcome::Wait(wait) => {
                chat.block(now + wait);
                true
            }
            Outcome::Elsewhere => true,
            Outcome::Unreachable => {
                let wait = FIRST_WAIT.saturating_mul(1 << chat.failures.min(10)).min(LONGEST_WAIT);
                chat.failures += 1;
                chat.block(now + wait);
                true
            }
        };
        let newer = job.op == Op::Edit && chat.has_edit(job.message);
        if again && !newer {
            chat.queue(job.priority).push_front(job.clone());
        }
        // A chat with nothing left is kept as long as its waits matter, which is not long.
        self.chats.retain(|_, chat| chat.len() > 0 || chat.is_remembered(now));
        (again && newer).then_some(job.id)
    }
}
