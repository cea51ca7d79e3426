//! HTTP for the page and for tests in other processes: `/lab/…`, JSON in and out.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /lab/send` | `chat, from, text, reply_to?, quote?, thread?, forwarded?` | `message` |
//! | `POST /lab/edit` | `chat, from, message, text` | |
//! | `POST /lab/press` | `chat, from, message, button` (data or text) | `callback` |
//! | `POST /lab/files?chat=&from=&thread=&caption=&as=photo` (or `voice`, `sticker`…) | multipart | `messages` |
//! | `POST /lab/other` | `chat, from, thread?, fields`: `{"location": {…}}` | `message` |
//! | `POST /lab/stop-draft` | `chat, draft` | |
//! | `POST /lab/block` | `chat, by, blocked` | |
//! | `POST /lab/users`, `/lab/groups`, `/lab/topics` | `id, name` / `id, title, forum` / `chat, by, name` | |
//! | `POST /lab/faults` | a [`super::Fault`], e.g. `{"kind":{"retry_after":3},"method":"sendMessage","times":2}` | |
//! | `DELETE /lab/faults`, `POST /lab/release`, `POST /lab/update-ids` | | |
//! | `POST /lab/down` | `down` | |
//! | `POST /lab/outage` | `outage`: `"refuse"`, `{"status": 502}`, `"hang"` or null | |
//! | `POST /lab/delete-chat`, `/lab/age` | `chat` / `chat, seconds` | |
//! | `POST /lab/limits` | `preset`: `off`, `telegram` or `generous` | |
//! | `POST /lab/updates` | `kind, body` | |
//! | `POST /lab/status` | `status` | |
//! | `POST /lab/actions/{id}` | | `text` |
//! | `GET /lab/events?chat=` | | server-sent events, see `view.rs` |
//! | `GET /lab/figures?chat=&after=` | | see [`super::Figures`] |
//! | `GET /lab/calls?after=`, `/lab/chats/{id}`, `/lab/chats/{id}/transcript`, `/lab/files/{file_id}` | | |

mod acting;
mod looking;
mod trouble;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Json, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use super::error::LabError;
use super::hub::Hub;
use super::params::{MAX_BODY, MAX_LOCAL_BODY};
use super::{bot_api, events};

type Lab = State<Arc<Hub>>;
type Reply = Result<Json<Value>, Refusal>;

/// An answer of 400 with what is wrong.
pub(in crate::telegram) struct Refusal(StatusCode, String);

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
pub(in crate::telegram) fn router(hub: &Arc<Hub>) -> Router {
    let lab = Router::new()
        .route("/", get(page))
        .route("/lab/events", get(events::stream))
        .route("/lab/send", post(acting::send))
        .route("/lab/edit", post(acting::edit))
        .route("/lab/press", post(acting::press))
        .route("/lab/files", post(acting::send_files))
        .route("/lab/files/{id}", get(looking::file))
        .route("/lab/other", post(acting::send_other))
        .route("/lab/stop-draft", post(acting::stop_draft))
        .route("/lab/block", post(acting::block))
        .route("/lab/users", post(trouble::add_user))
        .route("/lab/groups", post(trouble::add_group))
        .route("/lab/topics", post(trouble::add_topic))
        .route("/lab/faults", post(trouble::add_fault).delete(trouble::clear_faults))
        .route("/lab/release", post(trouble::release))
        .route("/lab/update-ids", post(trouble::restart_update_ids))
        .route("/lab/down", post(trouble::set_down))
        .route("/lab/outage", post(trouble::set_outage))
        .route("/lab/delete-chat", post(trouble::delete_chat))
        .route("/lab/age", post(trouble::age))
        .route("/lab/limits", post(trouble::set_limits))
        .route("/lab/updates", post(trouble::raw_update))
        .route("/lab/status", post(trouble::set_status))
        .route("/lab/actions/{id}", post(looking::act))
        .route("/lab/figures", get(looking::figures))
        .route("/lab/calls", get(looking::calls))
        .route("/lab/chats/{id}", get(looking::chat))
        .route("/lab/chats/{id}/transcript", get(looking::transcript))
        .layer(middleware::from_fn(only_our_page));
    Router::new()
        .route("/{bot}/{method}", any(bot_api::call))
        .route("/file/{bot}/{*path}", get(bot_api::download))
        .merge(lab)
        .fallback(bot_api::not_found)
        .layer(DefaultBodyLimit::max(if hub.local { MAX_LOCAL_BODY } else { MAX_BODY }))
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
    let page = include_str!("../page/index.html");
    let page = page.replace("/* style.css */", include_str!("../page/style.css"));
    let script = concat!(
        include_str!("../page/text.js"),
        include_str!("../page/chat.js"),
        include_str!("../page/phone.js"),
        include_str!("../page/composer.js"),
    );
    Html(page.replace("/* script.js */", script))
}
