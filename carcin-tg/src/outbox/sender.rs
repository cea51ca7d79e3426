//! The task that sends: the store's jobs, the scheduler's order, Telegram's answers.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::files::{self, Delivered};
use super::{Job, Op, Outcome, Scheduler, Step};
use crate::api::{Api, ApiError};
use crate::fatal::Fatal;
use crate::store::outbox::{self, Payload};
use crate::store::{Store, StoreError};

/// Jobs kept in memory; the others wait in the store.
const WINDOW: usize = 2_000;
/// How long the end waits for what is under way: most of it is answered at once, and then sent only once.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// Between two attempts to store what became of a job.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Sends what the store holds until it is cancelled, or the token is refused.
pub async fn run(api: Api, store: Store, cancel: CancellationToken) -> Result<(), Fatal> {
    let written = store.written();
    let mut scheduler = Scheduler::default();
    let mut sending: JoinSet<(Job, Result<Outcome, ApiError>)> = JoinSet::new();
    let mut last = 0;
    loop {
        refill(&store, &mut scheduler, &mut last).await?;
        let wake = loop {
            match scheduler.next(Instant::now()) {
                Step::Run(job) => drop(sending.spawn(deliver(api.clone(), store.clone(), job))),
                Step::WaitUntil(at) => break Some(at),
                Step::Idle => break None,
            }
        };
        let timer = async {
            match wake {
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
            () = written.notified() => {}
            () = timer => {}
            Some(done) = sending.join_next() => {
                let (job, outcome) = done.map_err(|error| Fatal::Task(error.to_string()))?;
                let outcome = outcome.map_err(|_| Fatal::TokenRefused)?;
                if let Some(id) = scheduler.done(&job, outcome, Instant::now()) {
                    store.read(move |tx| outbox::superseded(tx, &[id])).await?;
                }
            }
        }
    }
}

/// Takes new jobs of the store into the scheduler.
async fn refill(store: &Store, scheduler: &mut Scheduler, last: &mut i64) -> Result<(), StoreError> {
    let room = WINDOW.saturating_sub(scheduler.len());
    let after = *last;
    let jobs =
        if room == 0 { Vec::new() } else { store.read(move |tx| outbox::open_jobs(tx, after, room)).await? };
    let mut superseded = Vec::new();
    for job in jobs {
        *last = job.id;
        superseded.extend(scheduler.push(job));
    }
    if !superseded.is_empty() {
        store.read(move |tx| outbox::superseded(tx, &superseded)).await?;
    }
    Ok(())
}

/// Sends one job and stores what became of it. An error: the token is refused.
async fn deliver(api: Api, store: Store, job: Job) -> (Job, Result<Outcome, ApiError>) {
    let id = job.id;
    let payload = persist(&store, move |tx| outbox::begin(tx, id)).await;
    let result = match job.op {
        Op::Send => send(&api, &payload).await,
        Op::Edit => edit(&api, &payload).await,
        Op::File => match files::deliver(&api, payload.body).await {
            Ok(Delivered::Sent(id)) => Ok(id),
            Ok(Delivered::Split(calls)) => {
                persist(&store, move |tx| outbox::split_files(tx, id, &calls)).await;
                store.written().notify_one();
                return (job, Ok(Outcome::Settled));
            }
            Err(error) => Err(error),
        },
    };
    let outcome = match result {
        Ok(message_id) => {
            let sent = job.clone();
            persist(&store, move |tx| outbox::sent(tx, &sent, message_id)).await;
            Outcome::Settled
        }
        Err(ApiError::Unauthorized) => return (job, Err(ApiError::Unauthorized)),
        Err(ApiError::RetryAfter(wait)) => {
            info!(chat = job.chat, "Telegram wants {} s of silence", wait.as_secs());
            persist(&store, move |tx| outbox::put_back(tx, id)).await;
            Outcome::Wait(wait)
        }
        Err(error @ (ApiError::Unreachable(_) | ApiError::Unknown(_))) => {
            warn!(chat = job.chat, "a message waits: {error}");
            persist(&store, move |tx| outbox::put_back(tx, id)).await;
            Outcome::Unreachable
        }
        Err(error) => {
            error!(chat = job.chat, op = job.op.name(), "a message cannot be sent: {error}");
            persist(&store, move |tx| outbox::failed(tx, id)).await;
            Outcome::Settled
        }
    };
    (job, Ok(outcome))
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

async fn send(api: &Api, payload: &Payload) -> Result<Option<i64>, ApiError> {
    match api.send(payload.body.clone()).await {
        Err(ApiError::BadRequest(why)) => {
            // The words matter more than how they look. They are plain text without the entities, too.
            error!("Telegram refuses a message, now without its formatting: {why}");
            let mut plain = payload.body.clone();
            if let Some(body) = plain.as_object_mut() {
                body.remove("entities");
            }
            api.send(plain).await
        }
        result => result,
    }
}

async fn edit(api: &Api, payload: &Payload) -> Result<Option<i64>, ApiError> {
    let Some(id) = payload.message_id else {
        return Err(ApiError::BadRequest("the message to edit was never sent".to_owned()));
    };
    let mut body = payload.body.clone();
    body["message_id"] = id.into();
    match api.edit(body).await {
        Ok(()) | Err(ApiError::NotModified) => Ok(Some(id)),
        Err(error) => Err(error),
    }
}
