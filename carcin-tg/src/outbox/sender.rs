//! The task that sends: the store's jobs, the scheduler's order, Telegram's answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::beat::{Beat, Call};
use super::deliver::{self, Sent};
use super::late::Late;
use super::live::Live;
use super::lost::Lost;
use super::{Job, Lane, Op, Outcome, Scheduler, Step};
use crate::api::{Api, ApiError};
use crate::fatal::Fatal;
use crate::markdown::Text;
use crate::message::Message;
use crate::place::Place;
use crate::store::outbox::{self, Payload};
use crate::store::{Store, StoreError, Transaction, facts, now_ms};

/// Jobs kept in memory; the others wait in the store.
const WINDOW: usize = 2_000;
/// Jobs of a chat taken up at once when it can be written to again.
const REVIVED: usize = 50_000;
/// How long the end waits for what is under way: most of it is answered at once, and then sent only once.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// Between two attempts to store what became of a job.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// Failures of one message, with Telegram in good health otherwise, after which it goes without its formatting.
const PLAIN_AFTER: u32 = 6;
/// And after which it is given up, so that it does not hold up the chat for ever.
const GIVE_UP_AFTER: u32 = 12;
/// What stands in the place of a message that Telegram never took.
const GIVEN_UP: &str = "⚠️ Telegram refused a message that should be here. The log of carcin-tg says why.";

/// What became of a job.
#[derive(Debug)]
enum Delivered {
    /// It is settled; of a message that was sent, the moment at which it arose.
    Settled(Option<i64>),
    /// See [`Outcome`].
    Later(Outcome),
    /// Telegram fails on this one, and on nothing else.
    Faulty,
    /// The token is refused.
    Refused,
}

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
                    sending.spawn(deliver(sender.api.clone(), sender.store.clone(), job, faults));
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
                    info!("this server takes no drafts: texts are streamed by edits");
                    live.refuse_drafts();
                }
                if let Err(error) = result {
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
            self.store.read(move |tx| outbox::superseded(tx, &superseded)).await?;
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
        self.store.read(move |tx| facts::lose_chat(tx, chat)).await?;
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
                if let Some(arose) = arose.filter(|_| job.lane == Lane::Prose) {
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
            self.store.read(move |tx| outbox::superseded(tx, &[id])).await?;
        }
        if outcome == Outcome::Settled
            && !self.scheduler.is_talking(job.chat)
            && let Some(digest) = self.late.digest(job.chat)
        {
            let place = Place { chat: job.chat, thread: None };
            let message = Message::silent(Text::plain(&digest));
            self.store.write(move |tx| outbox::send(tx, place, Lane::Prose, &message)).await?;
        }
        Ok(())
    }
}

/// Reads; a row that cannot be read is set aside by then, and the others are read.
async fn read<T: Send + 'static>(
    store: &Store,
    work: impl Fn(&Transaction<'_>) -> Result<T, StoreError> + Clone + Send + 'static,
) -> Result<T, StoreError> {
    loop {
        match store.read(work.clone()).await {
            Err(StoreError::Unreadable(_)) => {}
            result => return result,
        }
    }
}

/// Sends one job and stores what became of it.
async fn deliver(api: Api, store: Store, job: Job, faults: u32) -> (Job, Delivered) {
    let begun = job.clone();
    // Of one that cannot be read whoever misses it is told already.
    let begun = persist(&store, move |tx| outbox::begin(tx, &begun)).await.flatten();
    let Some(payload) = begun else { return (job, Delivered::Settled(None)) };
    let delivered = attempt(&api, &store, &job, &payload, faults).await;
    (job, delivered)
}

async fn attempt(api: &Api, store: &Store, job: &Job, payload: &Payload, faults: u32) -> Delivered {
    let (id, place) = (job.id, payload.place().unwrap_or(Place { chat: job.chat, thread: None }));
    let called = deliver::call(api, payload, faults >= PLAIN_AFTER).await;
    if let Ok(Sent::Nothing(_)) = &called
        && let Some(why) = is_topic_gone(api, payload).await
    {
        return topic_gone(store, id, payload.home, &why).await;
    }
    match called {
        Ok(Sent::Done(message_id)) => {
            let (sent, what) = (job.clone(), payload.clone());
            persist(store, move |tx| outbox::sent(tx, &sent, &what, message_id)).await;
            Delivered::Settled(matches!(payload.op, Op::Send | Op::File).then_some(payload.at))
        }
        Ok(Sent::Split(calls)) => {
            persist(store, move |tx| outbox::split_files(tx, id, &calls)).await;
            Delivered::Settled(None)
        }
        Ok(Sent::Nothing(why)) => {
            info!(chat = job.chat, op = job.op.name(), "there is nothing to be done: {why}");
            persist(store, move |tx| outbox::failed(tx, id)).await;
            Delivered::Settled(None)
        }
        Err(ApiError::Unauthorized) => Delivered::Refused,
        Err(ApiError::RetryAfter(wait)) => {
            info!(chat = job.chat, "Telegram wants {} s of silence", wait.as_secs());
            persist(store, move |tx| outbox::put_back(tx, id)).await;
            Delivered::Later(Outcome::Wait(wait))
        }
        Err(ApiError::TopicGone(why)) if place.thread.is_some() => topic_gone(store, id, place, &why).await,
        Err(ApiError::Moved(target)) if target != place.chat => {
            warn!(chat = place.chat, target, "the group has another id now");
            persist(store, move |tx| {
                outbox::put_back(tx, id)?;
                outbox::move_group(tx, place.chat, target)
            })
            .await;
            Delivered::Later(Outcome::Elsewhere)
        }
        Err(ApiError::ChatGone(why) | ApiError::TopicGone(why)) => {
            warn!(chat = job.chat, "{why}");
            persist(store, move |tx| outbox::put_back(tx, id)).await;
            Delivered::Later(Outcome::Gone)
        }
        Err(error @ ApiError::Unknown(_)) if api.me().await.is_ok() => {
            if faults + 1 >= GIVE_UP_AFTER {
                given_up(store, job, payload, &error).await;
                Delivered::Settled(None)
            } else {
                warn!(chat = job.chat, faults = faults + 1, "Telegram fails on a message: {error}");
                persist(store, move |tx| outbox::put_back(tx, id)).await;
                Delivered::Faulty
            }
        }
        Err(error @ (ApiError::Unreachable(_) | ApiError::Unknown(_))) => {
            warn!(chat = job.chat, "a message waits: {error}");
            persist(store, move |tx| outbox::put_back(tx, id)).await;
            Delivered::Later(Outcome::Unreachable)
        }
        Err(error) => {
            given_up(store, job, payload, &error).await;
            Delivered::Settled(None)
        }
    }
}

/// What is for a topic goes to its chat from now on, this job as well.
async fn topic_gone(store: &Store, id: i64, topic: Place, why: &str) -> Delivered {
    warn!(chat = topic.chat, thread = topic.thread, "{why}: what is for the topic goes to its chat");
    persist(store, move |tx| {
        outbox::put_back(tx, id)?;
        outbox::leave_topic(tx, topic)
    })
    .await;
    Delivered::Later(Outcome::Elsewhere)
}

/// Whether the message that was to be changed is gone because its topic is. Only a call into the topic shows that.
async fn is_topic_gone(api: &Api, payload: &Payload) -> Option<String> {
    let Place { chat, thread } = payload.home;
    if thread.is_none() || payload.op != Op::Edit || payload.message_id.is_none() {
        return None;
    }
    match api.typing(chat, thread).await {
        Err(ApiError::TopicGone(why)) => Some(why),
        _ => None,
    }
}

/// Gives a job up. Of a message that will never be there the user is told, once.
async fn given_up(store: &Store, job: &Job, payload: &Payload, error: &ApiError) {
    error!(chat = job.chat, op = job.op.name(), "a defect: a message cannot be sent: {error}");
    let (id, told) = (job.id, payload.body["text"] == GIVEN_UP);
    let place = payload.place().unwrap_or(Place { chat: job.chat, thread: None });
    let tell = matches!(payload.op, Op::Send | Op::File) && !told;
    persist(store, move |tx| {
        outbox::failed(tx, id)?;
        if tell {
            outbox::send(tx, place, Lane::Prose, &Message::silent(Text::plain(GIVEN_UP)))
        } else {
            Ok(())
        }
    })
    .await;
}

/// Writes until it works: what became of a message must not be forgotten because a disk is full for a while. `None`: what
/// it is about cannot be read, and is set aside.
async fn persist<T: Send + 'static>(
    store: &Store,
    work: impl Fn(&Transaction<'_>) -> Result<T, StoreError> + Clone + Send + 'static,
) -> Option<T> {
    loop {
        match store.read(work.clone()).await {
            Ok(value) => return Some(value),
            Err(StoreError::Unreadable(_)) => return None,
            Err(error) => error!("{error}"),
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

#[cfg(test)]
mod tests;
