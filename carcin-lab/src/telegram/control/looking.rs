//! Looking, and the page's own actions.

use axum::extract::{Json, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Lab, Refusal, Reply};
use crate::telegram::error::LabError;
use crate::telegram::figures::Figures;
use crate::telegram::view;

pub(super) async fn file(State(hub): Lab, Path(id): Path<String>) -> Result<Response, Refusal> {
    let file = hub.read(|state| state.file(&id).cloned());
    let file = file.ok_or_else(|| Refusal(StatusCode::NOT_FOUND, "no such file".into()))?;
    // Only pictures are shown; everything else is saved, so that no file can run in the page.
    let shown = matches!(file.mime.as_str(), "image/png" | "image/jpeg" | "image/gif" | "image/webp");
    let mime = if shown { file.mime } else { "application/octet-stream".into() };
    let headers = [(header::CONTENT_TYPE, mime), (header::X_CONTENT_TYPE_OPTIONS, "nosniff".into())];
    Ok((headers, file.bytes).into_response())
}

pub(super) async fn act(State(hub): Lab, Path(id): Path<String>) -> Reply {
    let action = hub.actions.iter().find(|action| action.id == id).cloned();
    let action = action.ok_or_else(|| Refusal(StatusCode::NOT_FOUND, format!("no action {id:?}")))?;
    match (action.handler)().await {
        Ok(text) => Ok(Json(json!({"text": text}))),
        Err(error) => Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))),
    }
}

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

pub(super) async fn calls(State(hub): Lab, Query(query): Query<After>) -> Json<Value> {
    Json(hub.read(|state| {
        let calls = state.calls.iter().filter(|call| call.seq > query.after);
        json!({"calls": calls.map(view::call).collect::<Vec<_>>(), "violations": state.violations})
    }))
}

#[derive(Deserialize)]
pub(super) struct Since {
    chat: i64,
    #[serde(default)]
    after: u64,
}

pub(super) async fn figures(State(hub): Lab, Query(query): Query<Since>) -> Json<Figures> {
    Json(hub.read(|state| state.figures(query.chat, query.after)))
}

pub(super) async fn chat(State(hub): Lab, Path(id): Path<i64>) -> Reply {
    Ok(Json(hub.read(|state| {
        state.chat(id)?;
        Ok::<_, LabError>(view::page(state, &hub, id, 0))
    })?))
}

pub(super) async fn transcript(State(hub): Lab, Path(id): Path<i64>) -> String {
    hub.read(|state| state.transcript(id))
}
