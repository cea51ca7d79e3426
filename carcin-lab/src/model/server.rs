//! Which path leads where.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::record::Shared;
use super::{control, messages};

/// The largest request, in bytes: the API's own limit.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// Serves until `stop`; then takes no connection and no request any more.
pub(super) async fn run(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let routes = Router::new()
        .route("/v1/messages", post(create_message))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/lab/requests", get(control::requests))
        .route("/lab/prompts", get(control::prompts))
        .route("/lab/gates/{name}", post(control::open_gate))
        .route("/lab/mode/{mode}", post(control::set_mode))
        .fallback(|| async { messages::error(404, "not_found_error") })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared);
    tokio::select! {
        served = axum::serve(listener, routes) => {
            if let Err(error) = served {
                tracing::error!(%error, "the model stand-in has stopped serving");
            }
        }
        () = stop.cancelled() => {}
    }
}

async fn create_message(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Response {
    messages::answer(shared, body).await
}

async fn count_tokens(Json(body): Json<Value>) -> Response {
    // Four bytes make a token, near enough.
    Json(json!({"input_tokens": body.to_string().len() / 4})).into_response()
}
