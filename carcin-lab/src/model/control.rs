//! `/lab/…`: the stand-in's own controls, for whoever has only a URL.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Mode;
use super::record::{ModelRequest, Shared};

/// `GET /lab/requests`: every request that is kept, oldest first.
pub(super) async fn requests(State(shared): State<Arc<Shared>>) -> Json<Vec<ModelRequest>> {
    Json(shared.requests())
}

/// `GET /lab/prompts`: each prompt as the model was asked.
pub(super) async fn prompts(State(shared): State<Arc<Shared>>) -> Json<Vec<String>> {
    Json(shared.prompts())
}

/// `POST /lab/gates/NAME`: opens a gate for good.
pub(super) async fn open_gate(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> StatusCode {
    shared.open_gate(&name);
    StatusCode::NO_CONTENT
}

/// `POST /lab/mode/MODE`, where MODE is `script`, `unauthenticated`, `rate_limited`, `overloaded` or `down`.
pub(super) async fn set_mode(State(shared): State<Arc<Shared>>, Path(mode): Path<Mode>) -> StatusCode {
    shared.set_mode(mode);
    StatusCode::NO_CONTENT
}
