//! `POST /v1/messages`: plays the script, streamed or whole.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::record::{Asked, Shared};
use super::{Mode, conversation};
use crate::script::wire::{Composer, error_body};
use crate::script::{Beat, Block};

/// Events that may wait for a client that reads slowly; beyond, the script waits.
const STREAM_AHEAD: usize = 64;
/// How often a stream that says nothing sends `ping`, as the API does.
const PING: Duration = Duration::from_secs(10);

/// How long a cut waits: hyper drops what it has not written yet when a body fails.
const FLUSH: Duration = Duration::from_millis(30);

/// Answers one request for a message.
pub(super) async fn answer(shared: Arc<Shared>, body: Value) -> Response {
    if let Some(refusal) = refuse(shared.mode()) {
        shared.record(conversation::read(body).request);
        return refusal;
    }
    let streamed = body["stream"] == true;
    let model = body["model"].as_str().unwrap_or("claude-scripted").to_owned();
    if !model.starts_with("claude") {
        return error(404, "not_found_error");
    }
    let mut conversation = conversation::read(body);
    let place = conversation.place();
    conversation.context.errors_so_far = shared.errors_at(&place);
    let beats = match conversation.request.asked {
        Asked::Turn | Asked::Subagent | Asked::Notice => conversation.script.answer(&conversation.context),
        Asked::Summary => aside("<summary>The user and a scripted Claude tried things out.</summary>"),
        Asked::Aside => aside("{\"title\": \"Trying things out\"}"),
    };
    let input_estimate = conversation.request.body["messages"].to_string().len() as u64 / 4;
    shared.record(conversation.request);
    let mut composer = Composer::new(format!("msg_{}", uuid::Uuid::new_v4().simple()), model, input_estimate);
    if let Some(Beat::Fail { status, kind }) = beats.last() {
        for beat in &beats {
            wait(&shared, beat).await;
        }
        shared.count_error_at(place);
        return error(*status, kind);
    }
    if streamed {
        return stream_answer(shared, composer, beats);
    }
    let start = composer.start(&beats);
    drop(start);
    for beat in &beats {
        if *beat == Beat::Cut {
            cut();
        }
        wait(&shared, beat).await;
        composer.event(beat);
    }
    Json(composer.message()).into_response()
}

fn aside(text: &str) -> Vec<Beat> {
    vec![Beat::Open(Block::Text), Beat::Delta(text.to_owned()), Beat::Close]
}

fn refuse(mode: Mode) -> Option<Response> {
    match mode {
        Mode::Script => None,
        Mode::Unauthenticated => Some(error(401, "authentication_error")),
        Mode::RateLimited => Some(error(429, "rate_limit_error")),
        Mode::Overloaded => Some(error(529, "overloaded_error")),
        Mode::Down => cut(),
    }
}

/// Ends the connection with no answer. Each connection is a task of its own and hyper offers no other way out of a handler;
/// `resume_unwind` prints nothing.
fn cut() -> ! {
    std::panic::resume_unwind(Box::new("the connection is cut"))
}

/// An HTTP error as the API words it.
pub(super) fn error(status: u16, kind: &str) -> Response {
    let message = match status {
        401 => "invalid x-api-key",
        404 => "Not found",
        429 => "This request would exceed your account's rate limit. Please try again later.",
        529 => "Overloaded",
        _ => "Scripted error",
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(error_body(kind, message))).into_response()
}

/// Waits as long as a beat says; every other beat takes no time.
async fn wait(shared: &Shared, beat: &Beat) {
    match beat {
        Beat::Pause(pause) => tokio::time::sleep(*pause).await,
        Beat::Gate(name) => shared.pass_gate(name).await,
        Beat::Hang => std::future::pending().await,
        _ => {}
    }
}

/// One piece of a streamed body; the error cuts the connection.
type Piece = Result<Bytes, std::io::Error>;

fn stream_answer(shared: Arc<Shared>, composer: Composer, beats: Vec<Beat>) -> Response {
    let (sender, receiver) = mpsc::channel::<Piece>(STREAM_AHEAD);
    tokio::spawn(async move {
        // The client's going away ends the play wherever it waits.
        tokio::select! {
            () = sender.closed() => {}
            _ = play(&shared, composer, &beats, &sender) => {}
        }
    });
    let pieces =
        stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(pieces)).into_response()
}

/// Sends the whole answer; ends early if nobody reads it any more.
async fn play(
    shared: &Shared,
    mut composer: Composer,
    beats: &[Beat],
    sender: &mpsc::Sender<Piece>,
) -> Result<(), mpsc::error::SendError<Piece>> {
    sender.send(Ok(sse(&composer.start(beats)))).await?;
    for beat in beats {
        if *beat == Beat::Cut {
            tokio::time::sleep(FLUSH).await;
            return sender.send(Err(std::io::Error::other("cut by the script"))).await;
        }
        pinging(sender, wait(shared, beat)).await;
        if *beat == Beat::Close
            && let Some(signature) = composer.signature()
        {
            sender.send(Ok(sse(&signature))).await?;
        }
        if let Some(event) = composer.event(beat) {
            sender.send(Ok(sse(&event))).await?;
        }
    }
    for event in composer.end() {
        sender.send(Ok(sse(&event))).await?;
    }
    Ok(())
}

/// Waits for `waiting`, sending a `ping` now and then.
async fn pinging(sender: &mpsc::Sender<Piece>, waiting: impl Future<Output = ()>) {
    tokio::pin!(waiting);
    while tokio::time::timeout(PING, &mut waiting).await.is_err() {
        // A ping that finds no room is not needed: there is something to read.
        let _ = sender.try_send(Ok(sse(&json!({"type": "ping"}))));
    }
}

fn sse(event: &Value) -> Bytes {
    let kind = event["type"].as_str().unwrap_or_default();
    Bytes::from(format!("event: {kind}\ndata: {event}\n\n"))
}
