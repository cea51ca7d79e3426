//! One chat's queues.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::super::bucket::Bucket;
use crate::queue::{Job, MessageRef, Op, Priority};

/// One private chat: "about one message a second".
const CHAT_EVERY: Duration = Duration::from_secs(1);
/// One group: 20 a minute, edits included.
const GROUP_EVERY: Duration = Duration::from_secs(3);
/// "Short bursts are fine."
const CHAT_BURST: u32 = 4;
/// Between two changes of live cards in a chat: flood waits are earned by edits.
pub(super) const LIVE_EVERY: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Chat {
    pub(super) control: VecDeque<Job>,
    pub(super) prose: VecDeque<Job>,
    pub(super) live: VecDeque<Job>,
    pub(super) under_way: Vec<Job>,
    /// Messages whose creating job is not settled: their edits wait.
    pub(super) unsent: HashSet<MessageRef>,
    pub(super) bucket: Bucket,
    pub(super) blocked_until: Option<Instant>,
    pub(super) live_from: Option<Instant>,
    /// A draft is on its way.
    pub(super) held_until: Option<Instant>,
    pub(super) failures: u32,
}

impl Chat {
    pub(super) fn new(id: i64) -> Self {
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
            held_until: None,
            failures: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.control.len() + self.prose.len() + self.live.len() + self.under_way.len()
    }

    pub(super) fn queue(&mut self, priority: Priority) -> &mut VecDeque<Job> {
        match priority {
            Priority::Control => &mut self.control,
            Priority::Prose => &mut self.prose,
            Priority::Live => &mut self.live,
        }
    }

    fn is_edit_of(job: &Job, message: Option<MessageRef>) -> bool {
        job.op == Op::Edit && message.is_some() && job.message == message
    }

    pub(super) fn has_edit(&self, message: Option<MessageRef>) -> bool {
        [&self.control, &self.prose, &self.live]
            .into_iter()
            .flatten()
            .any(|job| Self::is_edit_of(job, message))
    }

    pub(super) fn remove_edit(&mut self, message: Option<MessageRef>) -> Option<i64> {
        for queue in [&mut self.control, &mut self.prose, &mut self.live] {
            if let Some(index) = queue.iter().position(|job| Self::is_edit_of(job, message)) {
                return queue.remove(index).map(|job| job.id);
            }
        }
        None
    }

    pub(super) fn block(&mut self, until: Instant) {
        self.blocked_until = Some(self.blocked_until.map_or(until, |already| already.max(until)));
    }

    pub(super) fn is_remembered(&self, now: Instant) -> bool {
        self.blocked_until.is_some_and(|until| until > now)
            || self.live_from.is_some_and(|from| from > now)
            || self.held_until.is_some_and(|until| until > now)
            || self.bucket.ready_at(now) > now
    }

    /// Whether messages wait, or are on their way.
    pub(super) fn is_talking(&self) -> bool {
        !self.prose.is_empty() || self.under_way.iter().any(|job| job.priority == Priority::Prose)
    }

    /// The priorities at which there is something to send, each with the earliest moment.
    pub(super) fn candidates(&self, now: Instant) -> impl Iterator<Item = (Priority, Instant)> {
        let open = self.blocked_until.map_or(now, |until| until.max(now));
        let paced = self.bucket.ready_at(now).max(open);
        let live = self.live_from.map_or(paced, |from| from.max(paced));
        let talking = self.under_way.iter().any(|job| job.priority != Priority::Control);
        let controlling = self.under_way.iter().any(|job| job.priority == Priority::Control);
        let spoken = self.held_until.map_or(paced, |until| until.max(paced));
        let control = (!controlling && self.control_index().is_some()).then_some((Priority::Control, open));
        // What is sent ahead of a message is not overtaken by it.
        let prose = (!talking && !controlling && self.prose.front().is_some_and(|job| self.is_free(job)))
            .then_some((Priority::Prose, spoken));
        let live =
            (!talking && self.prose.is_empty() && self.live.front().is_some_and(|job| self.is_free(job)))
                .then_some((Priority::Live, live));
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

    pub(super) fn start(&mut self, priority: Priority, now: Instant) -> Job {
        let index = if priority == Priority::Control { self.control_index() } else { Some(0) };
        let job =
            index.and_then(|index| self.queue(priority).remove(index)).expect("the priority was a candidate");
        self.bucket.take(now);
        if priority == Priority::Live {
            self.live_from = Some(now + LIVE_EVERY);
        }
        self.under_way.push(job.clone());
        job
    }
}
