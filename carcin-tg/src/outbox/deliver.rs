//! One job: what is asked of Telegram, and what its refusals mean.

use serde_json::Value;
use tracing::error;

use super::files::{self, Delivered};
use crate::api::{Api, ApiError};
use crate::files::FileJob;
use crate::queue::Op;
use crate::store::outbox::Payload;

/// What a card says that has moved and cannot be taken away.
const MOVED: &str = "⤵️ It goes on further down";

/// What becomes of a job.
#[derive(Debug)]
pub(super) enum Sent {
    /// It is done, with the message that it made or changed, where that is known.
    Done(Option<i64>),
    /// It takes several calls: these.
    Split(Vec<FileJob>),
    /// There is nothing to be done, and never will be: the user has taken the message away, say.
    Nothing(String),
}

/// Does what the job says; `plain` without any formatting.
pub(super) async fn call(api: &Api, payload: &Payload, plain: bool) -> Result<Sent, ApiError> {
    let mut payload = payload.clone();
    if plain {
        strip(&mut payload.body);
    }
    match payload.op {
        Op::Send => send(api, &payload.body).await.map(Sent::Done),
        Op::Edit => edit(api, &payload).await,
        Op::File => files::deliver(api, payload.body).await.map(|delivered| match delivered {
            Delivered::Sent(id) => Sent::Done(id),
            Delivered::Split(calls) => Sent::Split(calls),
        }),
        Op::Delete => delete(api, &payload).await,
    }
}

/// Takes the formatting away. The words matter more than how they look, and are plain text without it, too.
fn strip(body: &mut Value) {
    if let Some(body) = body.as_object_mut() {
        body.remove("entities");
    }
}

async fn send(api: &Api, body: &Value) -> Result<Option<i64>, ApiError> {
    match api.send(body.clone()).await {
        Err(ApiError::BadRequest(why)) => {
            error!("a defect: Telegram refuses a message, now it goes without its formatting: {why}");
            let mut plain = body.clone();
            strip(&mut plain);
            api.send(plain).await
        }
        result => result,
    }
}

async fn edit(api: &Api, payload: &Payload) -> Result<Sent, ApiError> {
    let Some(id) = payload.message_id else {
        return Ok(Sent::Nothing("the message to edit was never sent".to_owned()));
    };
    let mut body = payload.body.clone();
    body["message_id"] = id.into();
    match api.edit(body.clone()).await {
        Ok(()) | Err(ApiError::NotModified) => Ok(Sent::Done(Some(id))),
        // The user has taken away the message in which a text grew, or a question was asked.
        Err(ApiError::BadRequest(why)) if payload.matters && cannot_be_changed(&why) => {
            let mut anew = payload.body.clone();
            if let Some(thread) = payload.home.thread {
                anew["message_thread_id"] = thread.into();
            }
            send(api, &anew).await.map(Sent::Done)
        }
        Err(ApiError::BadRequest(why)) if is_no_longer_there(&why) => Ok(Sent::Nothing(why)),
        Err(ApiError::BadRequest(why)) => {
            error!("a defect: Telegram refuses an edit, now it goes without its formatting: {why}");
            strip(&mut body);
            match api.edit(body).await {
                Ok(()) | Err(ApiError::NotModified) => Ok(Sent::Done(Some(id))),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

async fn delete(api: &Api, payload: &Payload) -> Result<Sent, ApiError> {
    let Some(id) = payload.message_id else {
        return Ok(Sent::Nothing("the message to delete was never sent".to_owned()));
    };
    let mut body = payload.body.clone();
    body["message_id"] = id.into();
    match api.delete(body.clone()).await {
        Ok(()) => Ok(Sent::Done(Some(id))),
        Err(ApiError::BadRequest(why)) if is_no_longer_there(&why) => Ok(Sent::Nothing(why)),
        Err(ApiError::BadRequest(why)) => {
            // Older than 48 hours, say. Then it must at least not go on saying that something is at work.
            body["text"] = MOVED.into();
            match api.edit(body).await {
                Ok(()) | Err(ApiError::NotModified | ApiError::BadRequest(_)) => Ok(Sent::Nothing(why)),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

fn cannot_be_changed(why: &str) -> bool {
    is_no_longer_there(why) || why.contains("message can't be edited")
}

/// Texts: Bot API server, `Client.cpp`.
fn is_no_longer_there(why: &str) -> bool {
    ["message to edit not found", "message to delete not found", "MESSAGE_ID_INVALID"]
        .iter()
        .any(|text| why.contains(text))
}
