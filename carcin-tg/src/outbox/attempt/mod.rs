//! One attempt at a job: begun in the store, asked of Telegram, and what became of it back in the store.

use std::time::Duration;

use serde_json::Value;
use tracing::{error, info, warn};

use super::Outcome;
use super::deliver::{self, Sent};
use crate::api::{Api, ApiError};
use crate::markdown::Text;
use crate::message::Message;
use crate::place::Place;
use crate::queue::{Job, Op, Priority};
use crate::store::outbox::{self, Payload};
use crate::store::{Store, StoreError, Transaction, facts, now_ms};

/// Between two attempts to store what became of a job.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// Failures of one message, with Telegram in good health otherwise, after which it goes without its formatting: in about
/// three and a half minutes, with the scheduler's waits. Telegram may fail on one method for so long.
const PLAIN_AFTER: u32 = 12;
/// And after which it is given up, so that it does not hold up the chat for ever: in about an hour.
const GIVE_UP_AFTER: u32 = 125;
/// A flood wait as short as this is not noted for the next start.
const FORGOTTEN_WAIT: Duration = Duration::from_secs(3);
/// What stands in the place of a message that Telegram never took.
const GIVEN_UP: &str = "⚠️ Telegram refused a message that should be here. The log of carcin-tg says why.";
/// And of one with buttons, as Claude may wait for one of them.
const NOT_ASKED: &str =
    " If it was a question, “carcin-ctl pending” shows it, and “carcin-ctl answer” answers.";

/// What became of a job.
#[derive(Debug)]
pub(super) enum Delivered {
    /// It is settled; of a message that was sent, the moment at which it arose.
    Settled(Option<i64>),
    /// See [`Outcome`].
    Later(Outcome),
    /// Telegram fails on this one, and on nothing else.
    Faulty,
    /// The token is refused.
    Refused,
}

/// Sends one job and stores what became of it.
pub(super) async fn attempt(api: Api, store: Store, job: Job, faults: u32) -> (Job, Delivered) {
    // Of one that cannot be read whoever misses it is told already.
    let begun = begin(&store, &job).await;
    let Some(payload) = begun else { return (job, Delivered::Settled(None)) };
    let delivered = call(&api, &store, &job, &payload, faults).await;
    (job, delivered)
}

async fn call(api: &Api, store: &Store, job: &Job, payload: &Payload, faults: u32) -> Delivered {
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
            persist(store, move |tx| {
                outbox::put_back(tx, id)?;
                remember_wait(tx, place.chat, wait)
            })
            .await;
            info!(chat = place.chat, "Telegram wants {} s of silence", wait.as_secs());
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

/// Telegram wants silence in a chat: also of the program that is started next.
pub(super) fn remember_wait(tx: &Transaction<'_>, chat: i64, wait: Duration) -> Result<(), StoreError> {
    // Before a new one has asked who it is, a short one is over.
    if wait < FORGOTTEN_WAIT {
        return Ok(());
    }
    let until = now_ms().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
    facts::set_quiet(tx, chat, until)
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
    let told = payload.body["text"].as_str().is_some_and(|text| text.starts_with(GIVEN_UP));
    let (id, message) = (job.id, instead(payload));
    let place = payload.place().unwrap_or(Place { chat: job.chat, thread: None });
    let tell = (matches!(payload.op, Op::Send | Op::File) || payload.matters) && !told;
    persist(store, move |tx| {
        outbox::failed(tx, id)?;
        if tell { outbox::send(tx, place, Priority::Prose, &message) } else { Ok(()) }
    })
    .await;
}

/// What stands in the place of what was given up: as loud as that, which may have been the end of a task.
fn instead(payload: &Payload) -> Message {
    let is_button = |button: &Value| button.get("callback_data").is_some();
    let mut rows = payload.body["reply_markup"]["inline_keyboard"].as_array().into_iter().flatten();
    let asks = rows.any(|row| row.as_array().is_some_and(|row| row.iter().any(is_button)));
    let quiet = if payload.op == Op::File { "silent" } else { "disable_notification" };
    let sound = payload.op != Op::Edit && payload.body[quiet] == false;
    let words = if asks { [GIVEN_UP, NOT_ASKED].concat() } else { GIVEN_UP.to_owned() };
    Message { sound, ..Message::silent(Text::plain(&words)) }
}

/// Reads what the job says, until that works. That it is in flight need not outlive a power cut: it is sent again then,
/// as one that waits is. `None`: there is nothing to be done.
async fn begin(store: &Store, job: &Job) -> Option<Payload> {
    loop {
        let job = job.clone();
        match store.write_unsynced(move |tx| outbox::begin(tx, &job)).await {
            Ok(payload) => return payload,
            Err(StoreError::Unreadable(_)) => return None,
            Err(error) => error!("{error}"),
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

/// Writes until it works: what became of a message must not be forgotten because a disk is full for a while. `None`: what
/// it is about cannot be read, and is in quarantine.
async fn persist<T: Send + 'static>(
    store: &Store,
    work: impl Fn(&Transaction<'_>) -> Result<T, StoreError> + Clone + Send + 'static,
) -> Option<T> {
    loop {
        match store.write(work.clone()).await {
            Ok(value) => return Some(value),
            Err(StoreError::Unreadable(_)) => return None,
            Err(error) => error!("{error}"),
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

#[cfg(test)]
mod tests;
