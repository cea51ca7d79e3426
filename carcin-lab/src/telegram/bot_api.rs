//! HTTP for the bot: from request to answer, and what can go wrong on the way.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::conn::Cutter;
use super::error::ApiError;
use super::fault::{FaultKind, Outage};
use super::flood::Told;
use super::hub::Hub;
use super::methods::{self, Context, GET_UPDATES, MethodEntry, lane_of};
use super::model::Outcome;
use super::params::{Params, bounded};
use super::state::LabState;

/// A call on its way: marks its record as abandoned if the client goes away before the answer.
struct CallGuard<'a> {
    hub: &'a Hub,
    seq: u64,
    done: bool,
}

impl CallGuard<'_> {
    fn finish(mut self, outcome: Outcome) {
        self.done = true;
        self.hub.write(|state| state.end_call(self.seq, outcome));
    }
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.hub.write(|state| state.end_call(self.seq, Outcome::Abandoned));
        }
    }
}

/// `/bot<TOKEN>/<method>`.
pub(super) async fn call(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    Path((bot, method)): Path<(String, String)>,
    request: Request,
) -> Response {
    // What waits when an outage begins is met by it like what comes later.
    let gone = async {
        tokio::select! {
            instead = hub.until(|state| Instead::of_outage(state.outage?)) => instead,
            () = hub.shutdown.cancelled() => Instead::Close,
        }
    };
    tokio::select! {
        biased;
        response = answer(&hub, &cutter, &bot, &method, request) => response,
        instead = gone => instead.send(&cutter),
    }
}

/// Closes the connection; the response is never written.
fn cut(cutter: &Cutter) -> Response {
    cutter.cut();
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

fn authorised(hub: &Hub, bot: &str) -> Result<(), ApiError> {
    match bot.strip_prefix("bot") {
        Some(token) if token == hub.token => Ok(()),
        Some(_) => Err(ApiError::new(401, "Unauthorized")),
        None => Err(ApiError::new(404, "Not Found")),
    }
}

async fn answer(hub: &Hub, cutter: &Cutter, bot: &str, method: &str, request: Request) -> Response {
    if let Err(error) = authorised(hub, bot) {
        return respond(error.code, &error.body());
    }
    let params = match Params::read(request).await {
        Ok(params) => params,
        Err(error) => return respond(error.code, &error.body()),
    };
    let entry = methods::find(method);
    let poll = method.eq_ignore_ascii_case(GET_UPDATES);
    let name = if poll { GET_UPDATES } else { entry.map_or(method, |entry| entry.name) };
    let text = params.str("text").or_else(|| params.str("caption")).unwrap_or_default();
    let (seq, outage, fault) = hub.write(|state| {
        let seq = state.begin_call(name, params.record(), params.bytes);
        let outage = state.outage.and_then(Instead::of_outage);
        // A call that Telegram never sees uses up no fault.
        let fault =
            if outage.is_some() { None } else { state.faults.meet(name, params.int("chat_id"), &text) };
        (seq, outage, fault)
    });
    let guard = CallGuard { hub, seq, done: false };
    let told = Told::of(name, params.int("chat_id"));
    // What is charged has a wait of its own.
    let early =
        entry.is_none_or(MethodEntry::is_free).then(|| hub.write(|state| too_early(state, &told))).flatten();
    let instead = match outage.or(early) {
        Some(instead) => Some(instead),
        None => before(hub, &params, told, fault.clone()).await,
    };
    if let Some(response) = instead {
        let outcome = match response {
            Instead::Answer(status, ref body) => {
                Outcome::Answered { status, body: body.clone(), processed: false }
            }
            Instead::Page(status, _) => Outcome::Answered { status, body: Value::Null, processed: false },
            Instead::Close => Outcome::Closed { processed: false },
        };
        guard.finish(outcome);
        return response.send(cutter);
    }
    let result = match (poll, entry) {
        (true, _) => methods::get_updates(hub, &params).await,
        (false, Some(entry)) => run(hub, entry, &params, seq),
        (false, None) => Err(ApiError::new(404, "Not Found")),
    };
    if matches!(fault, Some(FaultKind::CloseAfter)) {
        guard.finish(Outcome::Closed { processed: true });
        return cut(cutter);
    }
    if matches!(fault, Some(FaultKind::HangAfter)) {
        wait_for_release(hub).await;
    }
    not_hung(hub).await;
    let (status, body) = match result {
        Ok(result) => (200, json!({"ok": true, "result": result})),
        Err(error) => (error.code, error.body()),
    };
    guard.finish(Outcome::Answered { status, body: bounded(body.clone()), processed: true });
    respond(status, &body)
}

fn run(hub: &Hub, entry: MethodEntry, params: &Params, call: u64) -> Result<Value, ApiError> {
    hub.write(|state| methods::run(entry, &mut Context { state, params, call }))
}

/// What happens instead of the method.
enum Instead {
    Answer(u16, Value),
    /// What a server in front of Telegram says itself.
    Page(u16, String),
    Close,
}

impl Instead {
    /// What is answered at once during an outage; a server that hangs answers nothing.
    fn of_outage(outage: Outage) -> Option<Self> {
        match outage {
            Outage::Refuse => Some(Self::Close),
            Outage::Status(status) => Some(Self::page(status)),
            Outage::Hang => None,
        }
    }

    /// Telegram's front servers answer with a page of their own when what is behind them fails.
    fn page(status: u16) -> Self {
        Self::Page(status, format!("<html><body><h1>{status}</h1></body></html>\r\n"))
    }

    fn send(self, cutter: &Cutter) -> Response {
        match self {
            Self::Close => cut(cutter),
            Self::Answer(status, body) => respond(status, &body),
            Self::Page(status, page) => {
                let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (code, [(header::CONTENT_TYPE, "text/html")], page).into_response()
            }
        }
    }
}

/// The answer to a call into a wait that was told.
fn too_early(state: &mut LabState, told: &Told) -> Option<Instead> {
    let flooded = state.flood.early(told, LabState::now())?;
    state.violations += u64::from(flooded.violation);
    let error = ApiError::flood(flooded.retry_after);
    Some(Instead::Answer(error.code, error.body()))
}

async fn before(hub: &Hub, params: &Params, told: Told, fault: Option<FaultKind>) -> Option<Instead> {
    not_hung(hub).await;
    match fault? {
        FaultKind::Refuse { status, description } => {
            Some(Instead::Answer(status, ApiError::new(status, description).body()))
        }
        FaultKind::Status(status) if status < 500 => {
            let body = json!({"ok": false, "error_code": status, "description": "fault"});
            Some(Instead::Answer(status, body))
        }
        FaultKind::Status(status) => Some(Instead::page(status)),
        FaultKind::Proxy { status, body } => Some(Instead::Page(status, body)),
        FaultKind::RetryAfter(seconds) => {
            hub.write(|state| impose(state, params, told, seconds));
            let error = ApiError::flood(seconds);
            Some(Instead::Answer(error.code, error.body()))
        }
        FaultKind::CloseBefore => Some(Instead::Close),
        FaultKind::HangBefore => {
            wait_for_release(hub).await;
            None
        }
        FaultKind::DelayMs(milliseconds) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            None
        }
        FaultKind::CloseAfter | FaultKind::HangAfter => None,
    }
}

fn impose(state: &mut LabState, params: &Params, told: Told, seconds: u64) {
    state.flood.tell(told, Duration::from_secs(seconds), LabState::now());
    let lane = params.int("chat_id").and_then(|chat| state.chats.get(&chat)).map(lane_of);
    if let Some(lane) = lane {
        state.flood.impose(lane, Duration::from_secs(seconds), LabState::now());
    }
}

/// Waits while the whole server hangs.
async fn not_hung(hub: &Hub) {
    hub.until(|state| (state.outage != Some(Outage::Hang)).then_some(())).await;
}

async fn wait_for_release(hub: &Hub) {
    let seen = hub.read(|state| state.releases);
    hub.until(|state| (state.releases > seen).then_some(())).await;
}

fn respond(status: u16, body: &Value) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// `/file/bot<TOKEN>/<path>`.
pub(super) async fn download(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    Path((bot, path)): Path<(String, String)>,
) -> Response {
    not_hung(&hub).await;
    let (outage, fault) = hub.write(|state| (state.outage, state.faults.meet("download", None, &path)));
    if let Some(instead) = outage.and_then(Instead::of_outage) {
        return instead.send(&cutter);
    }
    let breaks_off = fault == Some(FaultKind::CloseAfter);
    match fault {
        Some(FaultKind::CloseBefore) => return cut(&cutter),
        Some(FaultKind::Status(status)) => return Instead::page(status).send(&cutter),
        Some(FaultKind::Proxy { status, body }) => return Instead::Page(status, body).send(&cutter),
        Some(FaultKind::Refuse { status, description }) => {
            return respond(status, &ApiError::new(status, description).body());
        }
        Some(FaultKind::HangBefore | FaultKind::HangAfter) => wait_for_release(&hub).await,
        Some(FaultKind::DelayMs(milliseconds)) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        }
        Some(FaultKind::RetryAfter(seconds)) => {
            let error = ApiError::flood(seconds);
            return respond(error.code, &error.body());
        }
        Some(FaultKind::CloseAfter) | None => {}
    }
    if let Err(error) = authorised(&hub, &bot) {
        return respond(error.code, &error.body());
    }
    let find = |state: &LabState| {
        let served = state.config.local_files.is_none();
        state.files.by_path(&path).filter(|_| served).map(|file| file.bytes.clone())
    };
    let bytes = hub.read(find);
    match bytes {
        Some(bytes) if breaks_off => half(&bytes),
        Some(bytes) => {
            ([(header::CONTENT_TYPE, "application/octet-stream")], Body::from(bytes)).into_response()
        }
        None => respond(404, &ApiError::new(404, "Not Found").body()),
    }
}

/// The first half of a file, of which the whole was announced; then the connection is closed.
fn half(bytes: &Bytes) -> Response {
    let length = bytes.len();
    let first = bytes.slice(..length / 2);
    let parts = futures_util::stream::unfold(Some(first), |part| async move {
        if let Some(first) = part {
            return Some((Ok(first), None));
        }
        // So that the first half is on its way before.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Err(std::io::Error::other("closed on demand")), None))
    });
    ([(header::CONTENT_LENGTH, length)], Body::from_stream(parts)).into_response()
}

/// Any other path.
pub(super) async fn not_found() -> Response {
    respond(404, &ApiError::new(404, "Not Found").body())
}
