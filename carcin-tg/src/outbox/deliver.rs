//! One job: what is asked of Telegram, and what its refusals mean.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use tracing::error;

use super::Op;
use crate::api::{Api, ApiError, Upload};
use crate::markdown::CAPTION_LIMIT;
use crate::store::outbox::Payload;

/// The largest file that the cloud Bot API takes, in bytes.
const MAX_FILE: u64 = 50_000_000;
/// The largest picture, in bytes.
const MAX_PHOTO: u64 = 10_000_000;
/// What a card says that has moved and cannot be taken away.
const MOVED: &str = "⤵️ It goes on further down";

/// What becomes of a job.
#[derive(Debug)]
pub(super) enum Sent {
    /// It is done, with the message that it made or changed, where that is known.
    Done(Option<i64>),
    /// There is nothing to be done, and never will be: the user has taken the message away, say.
    Nothing(String),
}

/// Does what the job says; `plain` without any formatting.
pub(super) async fn call(api: &Api, op: Op, payload: &Payload, plain: bool) -> Result<Sent, ApiError> {
    let mut payload = payload.clone();
    if plain {
        strip(&mut payload.body);
    }
    match op {
        Op::Send => send(api, &payload.body).await.map(Sent::Done),
        Op::Edit => edit(api, &payload).await,
        Op::File => file(api, &payload).await.map(Sent::Done),
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

/// Texts: Bot API server, `Client.cpp`.
fn is_no_longer_there(why: &str) -> bool {
    ["message to edit not found", "message to delete not found", "MESSAGE_ID_INVALID"]
        .iter()
        .any(|text| why.contains(text))
}

#[derive(Deserialize)]
struct File {
    chat_id: i64,
    message_thread_id: Option<i64>,
    path: PathBuf,
    caption: String,
    /// What is in it, where it is no file on the disk.
    content: Option<String>,
}

async fn file(api: &Api, payload: &Payload) -> Result<Option<i64>, ApiError> {
    let file: File = serde_json::from_value(payload.body.clone())
        .map_err(|error| ApiError::BadRequest(format!("an unreadable job: {error}")))?;
    let caption: String = file.caption.chars().take(CAPTION_LIMIT / 2).collect();
    let upload =
        Upload { path: &file.path, chat: file.chat_id, thread: file.message_thread_id, caption: &caption };
    if let Some(content) = &file.content {
        return api.send_text_file(upload, content.clone()).await;
    }
    let size = match tokio::fs::metadata(&file.path).await {
        Ok(data) if !data.is_file() => return cannot(api, &file, "it is not a file").await,
        Ok(data) if data.len() == 0 => return cannot(api, &file, "it is empty").await,
        Ok(data) if data.len() > MAX_FILE => {
            let why = format!("it has {} MB, and Telegram takes 50", data.len() / 1_000_000);
            return cannot(api, &file, &why).await;
        }
        Ok(data) => data.len(),
        Err(error) => return cannot(api, &file, &error.to_string()).await,
    };
    let sent = if is_picture(&file.path) && size <= MAX_PHOTO {
        match api.send_photo(upload).await {
            // Too long and thin, or not what its name says.
            Err(ApiError::BadRequest(_)) => api.send_document(upload).await,
            sent => sent,
        }
    } else {
        api.send_document(upload).await
    };
    match sent {
        Err(ApiError::File(why) | ApiError::BadRequest(why)) => cannot(api, &file, &why).await,
        sent => sent,
    }
}

/// Says why there is no file.
async fn cannot(api: &Api, file: &File, why: &str) -> Result<Option<i64>, ApiError> {
    let text = format!("❌ I cannot send {}: {why}", file.path.display());
    let mut body = serde_json::json!({"chat_id": file.chat_id, "text": text});
    if let Some(thread) = file.message_thread_id {
        body["message_thread_id"] = Value::from(thread);
    }
    api.send(body).await
}

fn is_picture(path: &std::path::Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["jpg", "jpeg", "png", "webp"].contains(&extension.to_ascii_lowercase().as_str())
}
