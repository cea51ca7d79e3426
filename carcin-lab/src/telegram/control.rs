//! HTTP for the page and for tests in other processes: `/lab/…`, JSON in and out.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /lab/send` | `chat, from, text, reply_to?, thread?` | `message` |
//! | `POST /lab/edit` | `chat, from, message, text` | |
//! | `POST /lab/press` | `chat, from, message, button` (data or text) | `callback` |
//! | `POST /lab/files?chat=&from=&thread=&caption=&as=photo` | multipart | `messages` |
//! | `POST /lab/stop-draft` | `chat, draft` | |
//! | `POST /lab/block` | `chat, by, blocked` | |
//! | `POST /lab/users`, `/lab/groups`, `/lab/topics` | `id, name` / `id, title, forum` / `chat, by, name` | |
//! | `POST /lab/faults` | a [`Fault`], e.g. `{"kind":{"retry_after":3},"method":"sendMessage","times":2}` | |
//! | `DELETE /lab/faults`, `POST /lab/release`, `POST /lab/update-ids` | | |
//! | `POST /lab/down` | `down` | |
//! | `POST /lab/limits` | `preset`: `off`, `telegram` or `generous` | |
//! | `POST /lab/updates` | `kind, body` | |
//! | `POST /lab/status` | `status` | |
//! | `POST /lab/actions/{id}` | | `text` |
//! | `GET /lab/events?chat=` | | server-sent events, see `view.rs` |
//! | `GET /lab/calls?after=`, `/lab/chats/{id}`, `/lab/chats/{id}/transcript`, `/lab/files/{file_id}` | | |

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Json, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::config::Limits;
use super::error::LabError;
use super::fault::Fault;
use super::hub::Hub;
use super::model::MediaKind;
use super::params::MAX_BODY;
use super::person::{SentFile, Typed};
use super::{bot_api, events, view};

type Lab = State<Arc<Hub>>;
type Reply = Result<Json<Value>, Refusal>;

/// An answer of 400 with what is wrong.
pub(super) struct Refusal(StatusCode, String);

impl From<LabError> for Refusal {
    fn from(error: LabError) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

fn done() -> Json<Value> {
    Json(json!({}))
}

/// Every route of the process.
pub(super) fn router(hub: &Arc<Hub>) -> Router {
    let lab = Router::new()
        .route("/", get(page))
        .route("/lab/events", get(events::stream))
        .route("/lab/send", post(send))
        .route("/lab/edit", post(edit))
        .route("/lab/press", post(press))
        .route("/lab/files", post(send_files))
        .route("/lab/files/{id}", get(file))
        .route("/lab/stop-draft", post(stop_draft))
        .route("/lab/block", post(block))
        .route("/lab/users", post(add_user))
        .route("/lab/groups", post(add_group))
        .route("/lab/topics", post(add_topic))
        .route("/lab/faults", post(add_fault).delete(clear_faults))
        .route("/lab/release", post(release))
        .route("/lab/update-ids", post(restart_update_ids))
        .route("/lab/down", post(set_down))
        .route("/lab/limits", post(set_limits))
        .route("/lab/updates", post(raw_update))
        .route("/lab/status", post(set_status))
        .route("/lab/actions/{id}", post(act))
        .route("/lab/calls", get(calls))
        .route("/lab/chats/{id}", get(chat))
        .route("/lab/chats/{id}/transcript", get(transcript))
        .layer(middleware::from_fn(only_our_page));
    Router::new()
        .route("/{bot}/{method}", any(bot_api::call))
        .route("/file/{bot}/{*path}", get(bot_api::download))
        .merge(lab)
        .fallback(bot_api::not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(hub.clone())
}

/// Refuses what another site's page sends to this one: whoever acts here acts as the person, and the person
/// can have commands run.
async fn only_our_page(headers: HeaderMap, request: Request, next: Next) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = header(header::HOST).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let local = matches!(name, "127.0.0.1" | "localhost" | "[::1]");
    let own = header(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
    if local && own {
        next.run(request).await
    } else {
        Refusal(StatusCode::FORBIDDEN, "only the lab's own page, on loopback, may do this".into())
            .into_response()
    }
}

/// The page is one document: style and script are put into it, so that nothing else needs loading.
async fn page() -> Html<String> {
    let page = include_str!("page/index.html");
    let page = page.replace("/* style.css */", include_str!("page/style.css"));
    let script = concat!(
        include_str!("page/text.js"),
        include_str!("page/chat.js"),
        include_str!("page/phone.js"),
        include_str!("page/composer.js"),
    );
    Html(page.replace("/* script.js */", script))
}

#[derive(Deserialize)]
struct Send {
    chat: i64,
    from: i64,
    text: String,
    reply_to: Option<i64>,
    thread: Option<i64>,
}

async fn send(State(hub): Lab, Json(body): Json<Send>) -> Reply {
    let typed = Typed { text: body.text, reply_to: body.reply_to, thread: body.thread, ..Typed::default() };
    let id = hub.write(|state| state.type_text(body.chat, body.from, typed))?;
    Ok(Json(json!({"message": id})))
}

#[derive(Deserialize)]
struct Edit {
    chat: i64,
    from: i64,
    message: i64,
    text: String,
}

async fn edit(State(hub): Lab, Json(body): Json<Edit>) -> Reply {
    hub.write(|state| state.retype(body.chat, body.from, body.message, &body.text))?;
    Ok(done())
}

#[derive(Deserialize)]
struct Press {
    chat: i64,
    from: i64,
    message: i64,
    button: String,
}

async fn press(State(hub): Lab, Json(body): Json<Press>) -> Reply {
    let id = hub.write(|state| state.press(body.chat, body.from, body.message, &body.button))?;
    Ok(Json(json!({"callback": id})))
}

#[derive(Deserialize)]
struct FilesQuery {
    chat: i64,
    from: i64,
    thread: Option<i64>,
    #[serde(default)]
    caption: String,
    #[serde(rename = "as")]
    kind: Option<String>,
}

async fn send_files(State(hub): Lab, Query(query): Query<FilesQuery>, mut parts: Multipart) -> Reply {
    let broken = |error: axum::extract::multipart::MultipartError| Refusal(error.status(), error.body_text());
    let kind = if query.kind.as_deref() == Some("photo") { MediaKind::Photo } else { MediaKind::Document };
    let mut files: Vec<SentFile> = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let name = part.file_name().unwrap_or("file").to_owned();
        let bytes = part.bytes().await.map_err(broken)?.to_vec();
        // The caption of an album is that of its first file.
        let caption = if files.is_empty() { query.caption.clone() } else { String::new() };
        files.push(SentFile { kind, name, bytes, caption });
    }
    let ids = hub.write(|state| state.send_files(query.chat, query.from, query.thread, files))?;
    Ok(Json(json!({"messages": ids})))
}

async fn file(State(hub): Lab, Path(id): Path<String>) -> Result<Response, Refusal> {
    let file = hub.read(|state| state.file(&id).cloned());
    let file = file.ok_or_else(|| Refusal(StatusCode::NOT_FOUND, "no such file".into()))?;
    // Only pictures are shown; everything else is saved, so that no file can run in the page.
    let shown = matches!(file.mime.as_str(), "image/png" | "image/jpeg" | "image/gif" | "image/webp");
    let mime = if shown { file.mime } else { "application/octet-stream".into() };
    let headers = [(header::CONTENT_TYPE, mime), (header::X_CONTENT_TYPE_OPTIONS, "nosniff".into())];
    Ok((headers, file.bytes).into_response())
}

#[derive(Deserialize)]
struct StopDraft {
    chat: i64,
    draft: i64,
}

async fn stop_draft(State(hub): Lab, Json(body): Json<StopDraft>) -> Reply {
    hub.write(|state| state.stop_draft(body.chat, body.draft))?;
    Ok(done())
}

#[derive(Deserialize)]
struct Block {
    chat: i64,
    by: i64,
    blocked: bool,
}

async fn block(State(hub): Lab, Json(body): Json<Block>) -> Reply {
    hub.write(|state| state.set_blocked(body.chat, body.by, body.blocked))?;
    Ok(done())
}

#[derive(Deserialize)]
struct NewUser {
    id: i64,
    name: String,
}

async fn add_user(State(hub): Lab, Json(body): Json<NewUser>) -> Reply {
    hub.write(|state| state.add_user(body.id, &body.name));
    Ok(done())
}

#[derive(Deserialize)]
struct NewGroup {
    id: i64,
    title: String,
    #[serde(default)]
    forum: bool,
}

async fn add_group(State(hub): Lab, Json(body): Json<NewGroup>) -> Reply {
    hub.write(|state| state.add_group(body.id, &body.title, body.forum));
    Ok(done())
}

#[derive(Deserialize)]
struct NewTopic {
    chat: i64,
    by: i64,
    name: String,
}

async fn add_topic(State(hub): Lab, Json(body): Json<NewTopic>) -> Reply {
    let id = hub.write(|state| state.add_topic(body.chat, body.by, &body.name))?;
    Ok(Json(json!({"thread": id})))
}

async fn add_fault(State(hub): Lab, Json(fault): Json<Fault>) -> Reply {
    hub.write(|state| state.faults.add(fault));
    Ok(done())
}

async fn clear_faults(State(hub): Lab) -> Reply {
    hub.write(|state| state.faults.clear());
    Ok(done())
}

async fn release(State(hub): Lab) -> Reply {
    hub.write(|state| state.releases += 1);
    Ok(done())
}

async fn restart_update_ids(State(hub): Lab) -> Reply {
    hub.write(|state| state.updates.restart_ids());
    Ok(done())
}

#[derive(Deserialize)]
struct Down {
    down: bool,
}

async fn set_down(State(hub): Lab, Json(body): Json<Down>) -> Reply {
    hub.write(|state| state.down = body.down);
    Ok(done())
}

#[derive(Deserialize)]
struct Preset {
    preset: String,
}

async fn set_limits(State(hub): Lab, Json(body): Json<Preset>) -> Reply {
    let limits = match body.preset.as_str() {
        "off" => Limits::OFF,
        "telegram" => Limits::TELEGRAM,
        "generous" => Limits::GENEROUS,
        other => return Err(Refusal(StatusCode::BAD_REQUEST, format!("no preset {other:?}"))),
    };
    hub.write(|state| {
        state.flood.set_limits(limits);
        state.updates.set_throttle(limits.poll_throttle);
    });
    Ok(done())
}

#[derive(Deserialize)]
struct RawUpdate {
    kind: String,
    body: Value,
}

async fn raw_update(State(hub): Lab, Json(body): Json<RawUpdate>) -> Reply {
    hub.write(|state| state.updates.push(&body.kind, body.body));
    Ok(done())
}

#[derive(Deserialize)]
struct Status {
    status: String,
}

async fn set_status(State(hub): Lab, Json(body): Json<Status>) -> Reply {
    hub.write(|state| state.status = body.status);
    Ok(done())
}

async fn act(State(hub): Lab, Path(id): Path<String>) -> Reply {
    let action = hub.actions.iter().find(|action| action.id == id).cloned();
    let action = action.ok_or_else(|| Refusal(StatusCode::NOT_FOUND, format!("no action {id:?}")))?;
    match (action.handler)().await {
        Ok(text) => Ok(Json(json!({"text": text}))),
        Err(error) => Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))),
    }
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn calls(State(hub): Lab, Query(query): Query<After>) -> Json<Value> {
    Json(hub.read(|state| {
        let calls = state.calls.iter().filter(|call| call.seq > query.after);
        json!({"calls": calls.map(view::call).collect::<Vec<_>>(), "violations": state.violations})
    }))
}

async fn chat(State(hub): Lab, Path(id): Path<i64>) -> Reply {
    Ok(Json(hub.read(|state| {
        state.chat(id)?;
        Ok::<_, LabError>(view::page(state, &hub, id, 0))
    })?))
}

async fn transcript(State(hub): Lab, Path(id): Path<i64>) -> String {
    hub.read(|state| state.transcript(id))
}
