//! The task that sends: the store's jobs, the scheduler's order, Telegram's answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::attempt::{Delivered, attempt, remember_wait};
use super::beat::{Beat, Call};
use super::late::Late;
use super::live::Live;
use super::lost::Lost;
use super::{Outcome, Scheduler, Step};
use crate::api::{Api, ApiError};
use crate::fatal::Fatal;
use crate::markdown::Text;
use crate::message::Message;
use crate::place::Place;
use crate::queue::{Job, Priority};
use crate::store::outbox;
use crate::store::{Reader, Store, StoreError, facts, now_ms};

/// Jobs kept in memory; the others wait in the store.
const WINDOW: usize = 2_000;
/// Jobs of a chat taken up at once when it can be written to again.
const REVIVED: usize = 50_000;
/// How long the end waits for what is under way: most of it is answered at once, and then sent only once.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// The longest wait that is believed of an earlier run: the clock may have been set since.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// What the task works with.
struct Sender {
    api: Api,
    store: Store,
    scheduler: Scheduler,
    beat: Beat,
    late: Late,
    /// The job read last.
    last: i64,
    /// How often Telegram has failed on a job.
    faults: HashMap<i64, u32>,
    /// Where nothing can be written.
    lost: Lost,
}

/// Sends what the store holds until it is cancelled, or the token is refused.
pub async fn run(api: Api, store: Store, live: Arc<Live>, cancel: CancellationToken) -> Result<(), Fatal> {
    let written = store.written();
    let lost = store.read(Lost::read).await?;
    let mut sender = Sender {
        api,
        store,
        scheduler: Scheduler::default(),
        beat: Beat::default(),
        late: Late::new(now_ms()),
        last: 0,
        faults: HashMap::new(),
        lost,
    };
    for (chat, left) in sender.store.read(|tx| facts::quiet(tx, now_ms())).await? {
        let left = Duration::from_millis(left.unsigned_abs()).min(LONGEST_WAIT);
        info!(chat, "Telegram still wants {} s of silence", left.as_secs());
        sender.api.wait_in(chat, left);
        sender.scheduler.block(chat, Instant::now() + left);
    }
    let mut sending: JoinSet<(Job, Delivered)> = JoinSet::new();
    let mut beating: JoinSet<(Call, Result<(), ApiError>)> = JoinSet::new();
    let mut is_new = true;
    loop {
        if std::mem::take(&mut is_new) {
            sender.refill().await?;
        }
        let wake = loop {
            match sender.scheduler.next(Instant::now()) {
                Step::Run(job) => {
                    let faults = sender.faults.get(&job.id).copied().unwrap_or(0);
                    sending.spawn(attempt(sender.api.clone(), sender.store.clone(), job, faults));
                }
                Step::WaitUntil(at) => break Some(at),
                Step::Idle => break None,
            }
        };
        let Sender { beat, scheduler, lost, .. } = &mut sender;
        let (calls, due) = beat.due(&mut live.moment(), scheduler, lost, Instant::now());
        for call in calls {
            beating.spawn(call.make(sender.api.clone()));
        }
        let timer = async {
            match wake.into_iter().chain(due).min() {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = cancel.cancelled() => {
                let all = async { while sending.join_next().await.is_some() {} };
                let _ = tokio::time::timeout(LAST_ANSWERS, all).await;
                return Ok(());
            }
            () = written.notified() => is_new = true,
            () = live.changed() => {}
            () = timer => {}
            Some(done) = beating.join_next() => {
                let (call, result) = done.map_err(|error| Fatal::Task(error.to_string()))?;
                if sender.beat.done(&call, &result, &mut sender.scheduler, Instant::now()) {
                    let place = call.place();
                    info!(chat = place.chat, "drafts are not taken here: texts are streamed by edits");
                    live.refuse_drafts(place);
                }
                if let Err(ApiError::RetryAfter(wait)) = result {
                    let chat = call.place().chat;
                    sender.store.write_unsynced(move |tx| remember_wait(tx, chat, wait)).await?;
                } else if let Err(error) = result {
                    is_new = sender.found_gone(call.place(), &error).await?;
                }
            }
            Some(done) = sending.join_next() => {
                let (job, delivered) = done.map_err(|error| Fatal::Task(error.to_string()))?;
                sender.settle(&job, delivered).await?;
                is_new = true;
            }
        }
    }
}

impl Sender {
    /// Takes new jobs of the store into the scheduler.
    async fn refill(&mut self) -> Result<(), StoreError> {
        self.revive().await?;
        let room = WINDOW.saturating_sub(self.scheduler.len());
        let after = self.last;
        if room == 0 {
            return Ok(());
        }
        let jobs = read(&self.store, move |tx| outbox::open_jobs(tx, after, room)).await?;
        self.push(jobs).await
    }

    async fn push(&mut self, jobs: Vec<Job>) -> Result<(), StoreError> {
        let mut superseded = Vec::new();
        for job in jobs {
            self.last = self.last.max(job.id);
            superseded.extend(self.scheduler.push(job));
        }
        if !superseded.is_empty() {
            self.store.write_unsynced(move |tx| outbox::superseded(tx, &superseded)).await?;
        }
        Ok(())
    }

    /// Takes up what waits for chats that can be written to again.
    async fn revive(&mut self) -> Result<(), StoreError> {
        if self.lost.is_empty() {
            return Ok(());
        }
        for chat in self.lost.update(self.store.read(Lost::read).await?) {
            info!(chat, "the chat can be written to again");
            let until = self.last;
            let jobs = read(&self.store, move |tx| outbox::open_jobs_of(tx, chat, until, REVIVED)).await?;
            self.push(jobs).await?;
        }
        Ok(())
    }

    async fn lose_chat(&mut self, chat: i64) -> Result<(), StoreError> {
        self.lost.add_chat(chat);
        self.store.write_unsynced(move |tx| facts::lose_chat(tx, chat)).await?;
        warn!(chat, "nothing is sent to the chat until somebody writes there");
        Ok(())
    }

    /// What is shown of the moment may be the first to find that a place is gone. Whether there is something to be
    /// sent now.
    async fn found_gone(&mut self, place: Place, error: &ApiError) -> Result<bool, StoreError> {
        let Place { chat, .. } = place;
        match error {
            // Else the job that is on its way finds it, too.
            ApiError::ChatGone(_) if !self.scheduler.is_sending(chat) => {
                self.lose_chat(chat).await?;
                self.scheduler.forget(chat);
                Ok(false)
            }
            ApiError::TopicGone(_) if place.thread.is_some() => {
                self.store.write(move |tx| outbox::leave_topic(tx, place)).await?;
                self.lost.add_topic(place);
                Ok(true)
            }
            ApiError::Moved(target) => {
                let target = *target;
                self.store.write(move |tx| outbox::move_group(tx, chat, target)).await?;
                self.lost.add_moved(chat);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn settle(&mut self, job: &Job, delivered: Delivered) -> Result<(), Fatal> {
        let now = Instant::now();
        let outcome = match delivered {
            Delivered::Refused => return Err(Fatal::TokenRefused),
            Delivered::Settled(arose) => {
                self.faults.remove(&job.id);
                if let Some(arose) = arose.filter(|_| job.priority == Priority::Prose) {
                    self.late.arrived(job.chat, arose, now_ms());
                }
                Outcome::Settled
            }
            Delivered::Faulty => {
                *self.faults.entry(job.id).or_default() += 1;
                Outcome::Unreachable
            }
            Delivered::Later(outcome) => {
                self.late.waits(job.chat, outcome, now_ms());
                outcome
            }
        };
        match outcome {
            Outcome::Gone => self.lose_chat(job.chat).await?,
            Outcome::Elsewhere => {
                self.lost.update(self.store.read(Lost::read).await?);
            }
            Outcome::Settled | Outcome::Wait(_) | Outcome::Unreachable => {}
        }
        if let Some(id) = self.scheduler.done(job, outcome, now) {
            self.store.write_unsynced(move |tx| outbox::superseded(tx, &[id])).await?;
        }
        if outcome == Outcome::Settled
            && !self.scheduler.is_talking(job.chat)
            && let Some(digest) = self.late.digest(job.chat)
        {
            let place = Place { chat: job.chat, thread: None };
            let message = Message::silent(Text::plain(&digest));
            self.store.write(move |tx| outbox::send(tx, place, Priority::Prose, &message)).await?;
        }
        Ok(())
    }
}

/// Reads. A row that cannot be read is in quarantine by the second attempt.
async fn read<T: Send + 'static>(
    store: &Store,
    work: impl Fn(&Reader<'_>) -> Result<T, StoreError> + Clone + Send + 'static,
) -> Result<T, StoreError> {
    loop {
        match store.read(work.clone()).await {
            Err(StoreError::Unreadable(_)) => {}
            result => return result,
        }
    }
}
