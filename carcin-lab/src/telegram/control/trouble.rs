//! Who there is, and what goes wrong.

use std::time::Duration;

use axum::extract::{Json, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Lab, Refusal, Reply, done};
use crate::telegram::config::Limits;
use crate::telegram::fault::{Fault, Outage};

#[derive(Deserialize)]
pub(super) struct NewUser {
    id: i64,
    name: String,
}

pub(super) async fn add_user(State(hub): Lab, Json(body): Json<NewUser>) -> Reply {
    hub.write(|state| state.add_user(body.id, &body.name));
    Ok(done())
}

#[derive(Deserialize)]
pub(super) struct NewGroup {
    id: i64,
    title: String,
    #[serde(default)]
    forum: bool,
}

pub(super) async fn add_group(State(hub): Lab, Json(body): Json<NewGroup>) -> Reply {
    hub.write(|state| state.add_group(body.id, &body.title, body.forum));
    Ok(done())
}

#[derive(Deserialize)]
pub(super) struct NewTopic {
    chat: i64,
    by: i64,
    name: String,
}

pub(super) async fn add_topic(State(hub): Lab, Json(body): Json<NewTopic>) -> Reply {
    let id = hub.write(|state| state.add_topic(body.chat, body.by, &body.name))?;
    Ok(Json(json!({"thread": id})))
}

pub(super) async fn add_fault(State(hub): Lab, Json(fault): Json<Fault>) -> Reply {
    hub.write(|state| state.faults.add(fault));
    Ok(done())
}

pub(super) async fn clear_faults(State(hub): Lab) -> Reply {
    hub.write(|state| state.faults.clear());
    Ok(done())
}

pub(super) async fn release(State(hub): Lab) -> Reply {
    hub.write(|state| state.releases += 1);
    Ok(done())
}

pub(super) async fn restart_update_ids(State(hub): Lab) -> Reply {
    hub.write(|state| state.updates.restart_ids());
    Ok(done())
}

#[derive(Deserialize)]
pub(super) struct Down {
    down: bool,
}

pub(super) async fn set_down(State(hub): Lab, Json(body): Json<Down>) -> Reply {
    hub.write(|state| state.outage = body.down.then_some(Outage::Refuse));
    Ok(done())
}

#[derive(Deserialize)]
pub(super) struct Away {
    outage: Option<Outage>,
}

pub(super) async fn set_outage(State(hub): Lab, Json(body): Json<Away>) -> Reply {
    hub.write(|state| state.outage = body.outage);
    Ok(done())
}

#[derive(Deserialize)]
pub(super) struct Gone {
    chat: i64,
}

pub(super) async fn delete_chat(State(hub): Lab, Json(body): Json<Gone>) -> Reply {
    hub.write(|state| state.delete_chat(body.chat))?;
    Ok(done())
}

#[derive(Deserialize)]
pub(super) struct Age {
    chat: i64,
    seconds: u64,
}

pub(super) async fn age(State(hub): Lab, Json(body): Json<Age>) -> Reply {
    hub.write(|state| state.age(body.chat, Duration::from_secs(body.seconds)))?;
    Ok(done())
}

#[derive(Deserialize)]
pub(super) struct Preset {
    preset: String,
}

pub(super) async fn set_limits(State(hub): Lab, Json(body): Json<Preset>) -> Reply {
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
pub(super) struct RawUpdate {
    kind: String,
    body: Value,
}

pub(super) async fn raw_update(State(hub): Lab, Json(body): Json<RawUpdate>) -> Reply {
    hub.write(|state| state.updates.push(&body.kind, body.body));
    Ok(done())
}

#[derive(Deserialize)]
pub(super) struct Status {
    status: String,
}

pub(super) async fn set_status(State(hub): Lab, Json(body): Json<Status>) -> Reply {
    hub.write(|state| state.status = body.status);
    Ok(done())
}
