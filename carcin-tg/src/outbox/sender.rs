//! The task that sends: the store's jobs, the scheduler's order, Telegram's answers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::beat::{Beat, Call};
use super::deliver::{self, Sent};
use super::late::Late;
use super::live::Live;
use super::{Job, Lane, Op, Outcome, Scheduler, Step};
use crate::api::{Api, ApiError};
use crate::fatal::Fatal;
use crate::markdown::Text;
use crate::message::Message;
use crate::place::Place;
use crate::store::outbox::{self, Payload};
use crate::store::{Store, StoreError, facts, now_ms};

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
    /// Chats that cannot be written to.
    lost: BTreeSet<i64>,
}

/// Sends what the store holds until it is cancelled, or the token is refused.
pub async fn run(api: Api, store: Store, live: Arc<Live>, cancel: CancellationToken) -> Result<(), Fatal> {
    let written = store.written();
    let lost = store.read(facts::lost_chats).await?.into_iter().collect();
    let mut sender = Sender {
        api,
        store,
        scheduler: Scheduler::default(),
        beat: Beat::default(),
        late: Late::default(),
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
        let (calls, due) = sender.beat.due(&mut live.moment(), &mut sender.scheduler, Instant::now());
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
        let jobs = self.store.read(move |tx| outbox::open_jobs(tx, after, room)).await?;
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
        let lost: BTreeSet<i64> = self.store.read(facts::lost_chats).await?.into_iter().collect();
        let back: Vec<i64> = self.lost.difference(&lost).copied().collect();
        self.lost = lost;
        for chat in back {
            info!(chat, "the chat can be written to again");
            let until = self.last;
            let jobs = self.store.read(move |tx| outbox::open_jobs_of(tx, chat, until, REVIVED)).await?;
            self.push(jobs).await?;
        }
        Ok(())
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
                self.late.waits(job.chat, outcome);
                outcome
            }
        };
        if outcome == Outcome::Gone {
            let chat = job.chat;
            self.lost.insert(chat);
            self.store.read(move |tx| facts::lose_chat(tx, chat)).await?;
            warn!(chat, "nothing is sent to the chat until somebody writes there");
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

/// Sends one job and stores what became of it.
async fn deliver(api: Api, store: Store, job: Job, faults: u32) -> (Job, Delivered) {
    let id = job.id;
    let payload: Payload = persist(&store, move |tx| outbox::begin(tx, id)).await;
    let delivered = match deliver::call(&api, job.op, &payload, faults >= PLAIN_AFTER).await {
        Ok(Sent::Done(message_id)) => {
            let sent = job.clone();
            persist(&store, move |tx| outbox::sent(tx, &sent, message_id)).await;
            Delivered::Settled(matches!(job.op, Op::Send | Op::File).then_some(payload.at))
        }
        Ok(Sent::Split(calls)) => {
            persist(&store, move |tx| outbox::split_files(tx, id, &calls)).await;
            Delivered::Settled(None)
        }
        Ok(Sent::Nothing(why)) => {
            info!(chat = job.chat, op = job.op.name(), "there is nothing to be done: {why}");
            persist(&store, move |tx| outbox::failed(tx, id)).await;
            Delivered::Settled(None)
        }
        Err(ApiError::Unauthorized) => Delivered::Refused,
        Err(ApiError::RetryAfter(wait)) => {
            info!(chat = job.chat, "Telegram wants {} s of silence", wait.as_secs());
            persist(&store, move |tx| outbox::put_back(tx, id)).await;
            Delivered::Later(Outcome::Wait(wait))
        }
        Err(ApiError::ChatGone(why)) => {
            warn!(chat = job.chat, "{why}");
            persist(&store, move |tx| outbox::put_back(tx, id)).await;
            Delivered::Later(Outcome::Gone)
        }
        Err(error @ ApiError::Unknown(_)) if api.me().await.is_ok() => {
            if faults + 1 >= GIVE_UP_AFTER {
                given_up(&store, &job, &payload, &error).await;
                Delivered::Settled(None)
            } else {
                warn!(chat = job.chat, faults = faults + 1, "Telegram fails on a message: {error}");
                persist(&store, move |tx| outbox::put_back(tx, id)).await;
                Delivered::Faulty
            }
        }
        Err(error @ (ApiError::Unreachable(_) | ApiError::Unknown(_))) => {
            warn!(chat = job.chat, "a message waits: {error}");
            persist(&store, move |tx| outbox::put_back(tx, id)).await;
            Delivered::Later(Outcome::Unreachable)
        }
        Err(error) => {
            given_up(&store, &job, &payload, &error).await;
            Delivered::Settled(None)
        }
    };
    (job, delivered)
}

/// Gives a job up. Of a message that will never be there the user is told, once.
async fn given_up(store: &Store, job: &Job, payload: &Payload, error: &ApiError) {
    error!(chat = job.chat, op = job.op.name(), "a defect: a message cannot be sent: {error}");
    let (id, chat, told) = (job.id, job.chat, payload.body["text"] == GIVEN_UP);
    let place = Place { chat, thread: payload.body["message_thread_id"].as_i64() };
    let tell = matches!(job.op, Op::Send | Op::File) && !told;
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

/// Writes until it works: what became of a message must not be forgotten because a disk is full for a while.
async fn persist<T: Send + 'static>(
    store: &Store,
    work: impl Fn(&crate::store::Transaction<'_>) -> Result<T, StoreError> + Clone + Send + 'static,
) -> T {
    loop {
        match store.read(work.clone()).await {
            Ok(value) => return value,
            Err(error) => error!("{error}"),
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

#[cfg(test)]
mod tests;
