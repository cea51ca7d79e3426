//! Acting as a person.

use axum::extract::{Json, Multipart, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Lab, Refusal, Reply, done};
use crate::telegram::model::MediaKind;
use crate::telegram::origin::Origin;
use crate::telegram::sent::{SentFile, Typed};

#[derive(Deserialize)]
pub(super) struct Send {
    chat: i64,
    from: i64,
    text: String,
    reply_to: Option<i64>,
    quote: Option<String>,
    thread: Option<i64>,
    forwarded: Option<Origin>,
}

pub(super) async fn send(State(hub): Lab, Json(body): Json<Send>) -> Reply {
    let typed = Typed {
        text: body.text,
        entities: Vec::new(),
        thread: body.thread,
        reply_to: body.reply_to,
        quote: body.quote,
        forwarded: body.forwarded,
    };
    let id = hub.write(|state| state.type_text(body.chat, body.from, typed))?;
    Ok(Json(json!({"message": id})))
}

#[derive(Deserialize)]
pub(super) struct Edit {
    chat: i64,
    from: i64,
    message: i64,
    text: String,
}

pub(super) async fn edit(State(hub): Lab, Json(body): Json<Edit>) -> Reply {
    hub.write(|state| state.retype(body.chat, body.from, body.message, &body.text))?;
    Ok(done())
}

#[derive(Deserialize)]
pub(super) struct Press {
    chat: i64,
    from: i64,
    message: i64,
    button: String,
}

pub(super) async fn press(State(hub): Lab, Json(body): Json<Press>) -> Reply {
    let id = hub.write(|state| state.press(body.chat, body.from, body.message, &body.button))?;
    Ok(Json(json!({"callback": id})))
}

#[derive(Deserialize)]
pub(super) struct FilesQuery {
    chat: i64,
    from: i64,
    thread: Option<i64>,
    #[serde(default)]
    caption: String,
    #[serde(rename = "as")]
    kind: Option<MediaKind>,
}

pub(super) async fn send_files(
    State(hub): Lab,
    Query(query): Query<FilesQuery>,
    mut parts: Multipart,
) -> Reply {
    let broken = |error: axum::extract::multipart::MultipartError| Refusal(error.status(), error.body_text());
    let kind = query.kind.unwrap_or(MediaKind::Document);
    let mut files: Vec<SentFile> = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let name = part.file_name().unwrap_or("file").to_owned();
        let bytes = part.bytes().await.map_err(broken)?.to_vec();
        // The caption of an album is that of its first file.
        let caption = if files.is_empty() { query.caption.clone() } else { String::new() };
        files.push(SentFile::new(kind, name, bytes).caption(caption));
    }
    let ids = hub.write(|state| state.send_files(query.chat, query.from, query.thread, files))?;
    Ok(Json(json!({"messages": ids})))
}

#[derive(Deserialize)]
pub(super) struct Other {
    chat: i64,
    from: i64,
    thread: Option<i64>,
    fields: Value,
}

pub(super) async fn send_other(State(hub): Lab, Json(body): Json<Other>) -> Reply {
    let id = hub.write(|state| state.send_other(body.chat, body.from, body.thread, body.fields))?;
    Ok(Json(json!({"message": id})))
}

#[derive(Deserialize)]
pub(super) struct StopDraft {
    chat: i64,
    draft: i64,
}

pub(super) async fn stop_draft(State(hub): Lab, Json(body): Json<StopDraft>) -> Reply {
    hub.write(|state| state.stop_draft(body.chat, body.draft))?;
    Ok(done())
}

#[derive(Deserialize)]
pub(super) struct Block {
    chat: i64,
    by: i64,
    blocked: bool,
}

pub(super) async fn block(State(hub): Lab, Json(body): Json<Block>) -> Reply {
    hub.write(|state| state.set_blocked(body.chat, body.by, body.blocked))?;
    Ok(done())
}
