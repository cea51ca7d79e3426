//! Which job goes when: pure, on the caller's clock.
//!
//! Chats are independent: one chat's flood wait delays no other. Within a chat one job of the control lane and
//! one of the other two are under way at most, so that messages keep their order. Of several edits of one
//! message only the newest is sent.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Bound;
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use super::{Job, Lane, Op};
use crate::store::outbox::MessageRef;

/// All chats together: below Telegram's 30 a second.
const GLOBAL_EVERY: Duration = Duration::from_millis(40);
/// How many may go at once after a silence.
const GLOBAL_BURST: u32 = 10;
/// One private chat: "about one message a second".
const CHAT_EVERY: Duration = Duration::from_secs(1);
/// One group: 20 a minute, edits included.
const GROUP_EVERY: Duration = Duration::from_secs(3);
/// "Short bursts are fine."
const CHAT_BURST: u32 = 4;
/// Between two changes of live cards in a chat: flood waits are earned by edits.
const LIVE_EVERY: Duration = Duration::from_secs(3);
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

#[derive(Debug)]
struct Chat {
    control: VecDeque<Job>,
    prose: VecDeque<Job>,
    live: VecDeque<Job>,
    under_way: Vec<Job>,
    /// Messages whose creating job is not settled: their edits wait.
    unsent: HashSet<MessageRef>,
    bucket: Bucket,
    blocked_until: Option<Instant>,
    live_from: Option<Instant>,
    failures: u32,
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
        chat.lane(job.lane).push_back(job);
        superseded
    }

    /// How many jobs wait or are under way.
    pub fn len(&self) -> usize {
        self.chats.values().map(Chat::len).sum()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next step at `now`.
    pub fn next(&mut self, now: Instant) -> Step {
        let mut earliest: Option<Instant> = None;
        let mut best: Option<(Lane, i64)> = None;
        let after = (Bound::Excluded(self.last), Bound::Unbounded);
        let before = (Bound::Unbounded, Bound::Included(self.last));
        for (id, chat) in self.chats.range(after).chain(self.chats.range(before)) {
            for (lane, at) in chat.candidates(now) {
                if at > now {
                    earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
                } else if best.is_none_or(|(found, _)| lane < found) {
                    best = Some((lane, *id));
                }
            }
        }
        let Some((lane, id)) = best else { return earliest.map_or(Step::Idle, Step::WaitUntil) };
        let ready = self.global.ready_at(now);
        if ready > now {
            return Step::WaitUntil(ready);
        }
        self.global.take(now);
        self.last = id;
        let chat = self.chats.get_mut(&id).expect("found just now");
        Step::Run(chat.start(lane, now))
    }

    /// A job that [`Step::Run`] gave is over. Returns it if a newer edit has made it superfluous meanwhile.
    pub fn done(&mut self, job: &Job, outcome: Outcome, now: Instant) -> Option<i64> {
        let chat = self.chats.get_mut(&job.chat)?;
        chat.under_way.retain(|other| other.id != job.id);
        let again = match outcome {
            Outcome::Settled => {
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
            Outcome::Unreachable => {
                let wait = FIRST_WAIT.saturating_mul(1 << chat.failures.min(10)).min(LONGEST_WAIT);
                chat.failures += 1;
                chat.block(now + wait);
                true
            }
        };
        let newer = job.op == Op::Edit && chat.has_edit(job.message);
        if again && !newer {
            chat.lane(job.lane).push_front(job.clone());
        }
        // A chat with nothing left is kept as long as its waits matter, which is not long.
        self.chats.retain(|_, chat| chat.len() > 0 || chat.is_remembered(now));
        (again && newer).then_some(job.id)
    }
}

impl Chat {
    fn new(id: i64) -> Self {
        let every = if id < 0 { GROUP_EVERY } else { CHAT_EVERY };
        Self {
            control: VecDeque::new(),
            prose: VecDeque::new(),
            live: VecDeque::new(),
            under_way: Vec::new(),
            unsent: HashSet::new(),
            bucket: Bucket::new(every, CHAT_BURST),
            blocked_until: None,
            live_from: None,
            failures: 0,
        }
    }

    fn len(&self) -> usize {
        self.control.len() + self.prose.len() + self.live.len() + self.under_way.len()
    }

    fn lane(&mut self, lane: Lane) -> &mut VecDeque<Job> {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Prose => &mut self.prose,
            Lane::Live => &mut self.live,
        }
    }

    fn is_edit_of(job: &Job, message: Option<MessageRef>) -> bool {
        job.op == Op::Edit && message.is_some() && job.message == message
    }

    fn has_edit(&self, message: Option<MessageRef>) -> bool {
        [&self.control, &self.prose, &self.live]
            .into_iter()
            .flatten()
            .any(|job| Self::is_edit_of(job, message))
    }

    fn remove_edit(&mut self, message: Option<MessageRef>) -> Option<i64> {
        for queue in [&mut self.control, &mut self.prose, &mut self.live] {
            if let Some(index) = queue.iter().position(|job| Self::is_edit_of(job, message)) {
                return queue.remove(index).map(|job| job.id);
            }
        }
        None
    }

    fn block(&mut self, until: Instant) {
        self.blocked_until = Some(self.blocked_until.map_or(until, |already| already.max(until)));
    }

    fn is_remembered(&self, now: Instant) -> bool {
        self.blocked_until.is_some_and(|until| until > now)
            || self.live_from.is_some_and(|from| from > now)
            || self.bucket.ready_at(now) > now
    }

    /// The lanes that have something to send, each with the earliest moment.
    fn candidates(&self, now: Instant) -> impl Iterator<Item = (Lane, Instant)> {
        let open = self.blocked_until.map_or(now, |until| until.max(now));
        let paced = self.bucket.ready_at(now).max(open);
        let live = self.live_from.map_or(paced, |from| from.max(paced));
        let talking = self.under_way.iter().any(|job| job.lane != Lane::Control);
        let controlling = self.under_way.iter().any(|job| job.lane == Lane::Control);
        let control = (!controlling && self.control_index().is_some()).then_some((Lane::Control, open));
        let prose = (!talking && self.prose.front().is_some_and(|job| self.is_free(job)))
            .then_some((Lane::Prose, paced));
        let live =
            (!talking && self.prose.is_empty() && self.live.front().is_some_and(|job| self.is_free(job)))
                .then_some((Lane::Live, live));
        [control, prose, live].into_iter().flatten()
    }

    fn control_index(&self) -> Option<usize> {
        self.control.iter().position(|job| self.is_free(job))
    }

    /// Whether nothing under way touches the same message, and the message to be edited is there.
    fn is_free(&self, job: &Job) -> bool {
        let Some(message) = job.message else { return true };
        let busy = self.under_way.iter().any(|other| other.message == Some(message));
        !busy && (job.op != Op::Edit || !self.unsent.contains(&message))
    }

    fn start(&mut self, lane: Lane, now: Instant) -> Job {
        let index = if lane == Lane::Control { self.control_index() } else { Some(0) };
        let job = index.and_then(|index| self.lane(lane).remove(index)).expect("the lane was a candidate");
        self.bucket.take(now);
        if lane == Lane::Live {
            self.live_from = Some(now + LIVE_EVERY);
        }
        self.under_way.push(job.clone());
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: i64, chat: i64, lane: Lane, op: Op, message: Option<i64>) -> Job {
        Job { id, chat, lane, op, message: message.map(MessageRef) }
    }

    fn prose(id: i64, chat: i64) -> Job {
        job(id, chat, Lane::Prose, Op::Send, None)
    }

    fn live(id: i64, chat: i64, message: i64) -> Job {
        job(id, chat, Lane::Live, Op::Edit, Some(message))
    }

    fn epoch() -> Instant {
        Instant::now() + Duration::from_secs(10_000)
    }

    fn scheduler(jobs: impl IntoIterator<Item = Job>) -> Scheduler {
        let mut scheduler = Scheduler::default();
        for job in jobs {
            scheduler.push(job);
        }
        scheduler
    }

    /// Runs everything with every job done at once: (seconds since the start, job id).
    fn drain(scheduler: &mut Scheduler, start: Instant) -> Vec<(f32, i64)> {
        let mut now = start;
        let mut ran = Vec::new();
        loop {
            match scheduler.next(now) {
                Step::Run(job) => {
                    ran.push(((now - start).as_secs_f32(), job.id));
                    scheduler.done(&job, Outcome::Settled, now);
                }
                Step::WaitUntil(at) => {
                    assert!(at > now, "a wait goes forward");
                    now = at;
                }
                Step::Idle => return ran,
            }
        }
    }

    fn run(scheduler: &mut Scheduler, now: Instant) -> Job {
        match scheduler.next(now) {
            Step::Run(job) => job,
            other => panic!("expected a job, got {other:?}"),
        }
    }

    #[test]
    fn a_chat_keeps_order_and_rate() {
        let ran = drain(&mut scheduler((1..=6).map(|id| prose(id, 5))), epoch());
        let ids: Vec<i64> = ran.iter().map(|(_, id)| *id).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
        let (last, _) = ran[5];
        assert!((1.9..=2.1).contains(&last), "four at once, then one a second: {ran:?}");
    }

    #[test]
    fn a_group_is_slower() {
        let ran = drain(&mut scheduler((1..=6).map(|id| prose(id, -5))), epoch());
        assert!((5.9..=6.1).contains(&ran[5].0), "four at once, then one every three seconds: {ran:?}");
    }

    #[test]
    fn all_chats_together_keep_the_global_rate() {
        let ran = drain(&mut scheduler((0..60).map(|id| prose(id, id))), epoch());
        let in_the_first_second = ran.iter().filter(|(at, _)| *at < 1.0).count();
        assert!(in_the_first_second <= 35, "{in_the_first_second}");
        assert_eq!(ran.len(), 60);
    }

    #[test]
    fn one_chats_flood_wait_delays_no_other_and_loses_nothing() {
        let now = epoch();
        let mut scheduler = scheduler([prose(1, 5), prose(2, 5), prose(3, 6)]);
        let first = run(&mut scheduler, now);
        assert_eq!(first.id, 1);
        scheduler.done(&first, Outcome::Wait(Duration::from_secs(100)), now);
        let other = run(&mut scheduler, now);
        assert_eq!(other.id, 3);
        scheduler.done(&other, Outcome::Settled, now);
        assert_eq!(scheduler.next(now), Step::WaitUntil(now + Duration::from_secs(100)));
        let ran = drain(&mut scheduler, now + Duration::from_secs(100));
        assert_eq!(ran.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn only_the_newest_edit_of_a_message_is_sent() {
        let mut scheduler = scheduler([live(1, 5, 9)]);
        assert_eq!(scheduler.push(live(2, 5, 9)), Some(1));
        assert_eq!(scheduler.push(live(3, 5, 8)), None, "another message");
        let closing = job(4, 5, Lane::Prose, Op::Edit, Some(9));
        assert_eq!(scheduler.push(closing), Some(2), "also across lanes");
        let ran = drain(&mut scheduler, epoch());
        assert_eq!(ran.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [4, 3]);
    }

    #[test]
    fn an_edit_that_has_to_wait_gives_way_to_a_newer_one() {
        let now = epoch();
        let mut scheduler = scheduler([live(1, 5, 9)]);
        let first = run(&mut scheduler, now);
        scheduler.push(live(2, 5, 9));
        assert_eq!(scheduler.done(&first, Outcome::Wait(Duration::from_secs(5)), now), Some(1));
        let ran = drain(&mut scheduler, now);
        assert_eq!(ran.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn control_goes_first_even_while_a_message_is_under_way() {
        let now = epoch();
        let mut scheduler = scheduler((1..=9).map(|id| prose(id, 5)));
        let hanging = run(&mut scheduler, now);
        assert_eq!(hanging.id, 1);
        assert_eq!(scheduler.next(now), Step::Idle, "the order is kept");
        scheduler.push(job(10, 5, Lane::Control, Op::Send, None));
        assert_eq!(run(&mut scheduler, now).id, 10);
    }

    #[test]
    fn control_is_not_slowed_by_the_chats_rate() {
        let now = epoch();
        let mut scheduler = scheduler((1..=5).map(|id| job(id, 5, Lane::Control, Op::Send, None)));
        for id in 1..=5 {
            let job = run(&mut scheduler, now);
            assert_eq!(job.id, id);
            scheduler.done(&job, Outcome::Settled, now);
        }
    }

    #[test]
    fn an_edit_waits_until_its_message_is_there() {
        let now = epoch();
        let mut scheduler = scheduler([
            job(1, 5, Lane::Prose, Op::Send, Some(9)),
            job(2, 5, Lane::Control, Op::Edit, Some(9)),
        ]);
        let create = run(&mut scheduler, now);
        assert_eq!(create.id, 1);
        assert_eq!(scheduler.next(now), Step::Idle);
        scheduler.done(&create, Outcome::Settled, now);
        assert_eq!(run(&mut scheduler, now).id, 2);
    }

    #[test]
    fn a_live_card_changes_only_so_often() {
        let now = epoch();
        let mut scheduler = scheduler([live(1, 5, 9)]);
        let first = run(&mut scheduler, now);
        scheduler.done(&first, Outcome::Settled, now);
        scheduler.push(live(2, 5, 9));
        assert_eq!(scheduler.next(now), Step::WaitUntil(now + LIVE_EVERY));
    }

    #[test]
    fn waits_for_an_unreachable_telegram_grow_and_end_with_success() {
        let start = epoch();
        let mut now = start;
        let mut scheduler = scheduler([prose(1, 5)]);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let job = run(&mut scheduler, now);
            scheduler.done(&job, Outcome::Unreachable, now);
            let Step::WaitUntil(at) = scheduler.next(now) else { panic!("a wait") };
            waits.push((at - now).as_secs());
            now = at;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        let job = run(&mut scheduler, now);
        scheduler.done(&job, Outcome::Settled, now);
        assert!(scheduler.is_empty());
    }
}
