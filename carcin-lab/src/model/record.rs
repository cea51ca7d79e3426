//! What the stand-in remembers: the requests, the open gates, the mode, and which errors it has given.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::Mode;

/// How many requests are kept; a long demo must not fill the memory.
pub(super) const MAX_REQUESTS: usize = 500;

/// What kind of answer a request wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// The session's own turn.
    Turn,
    /// A subagent's turn.
    Subagent,
    /// A turn that the end of work in the background began.
    Notice,
    /// A summary of the conversation, to compact it.
    Summary,
    /// A side question of the CLI: a title, a topic, a summary of a page.
    Aside,
}

/// One request for an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelRequest {
    /// Counts up from 1.
    pub number: u64,
    /// What was wanted.
    pub asked: Asked,
    /// The CLI's session id, where it told it.
    pub session_id: String,
    /// How many messages there were before the prompt: tells two prompts of the same words apart.
    pub position: usize,
    /// The prompt that is being worked on.
    pub prompt: String,
    /// What the user sent while it was being worked on.
    pub steered: Vec<String>,
    /// How many tools Claude called since the prompt; with none, this request begins the turn.
    pub tools_called: usize,
    /// What the tools said since the prompt, as text.
    pub tool_results: Vec<String>,
    /// The request's whole body.
    pub body: Value,
}

/// The stand-in's state; each part is watched by those who wait for it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    requests: watch::Sender<Requests>,
    gates: watch::Sender<HashSet<String>>,
    mode: watch::Sender<Mode>,
    errors: watch::Sender<HashMap<String, u32>>,
}

#[derive(Debug, Default)]
struct Requests {
    next: u64,
    kept: Vec<ModelRequest>,
}

impl Shared {
    pub(super) fn requests(&self) -> Vec<ModelRequest> {
        self.requests.borrow().kept.clone()
    }

    pub(super) fn prompts(&self) -> Vec<String> {
        let requests = self.requests.borrow();
        let mut seen = HashSet::new();
        let mut prompts = Vec::new();
        for request in requests.kept.iter().filter(|request| request.asked == Asked::Turn) {
            let said = std::iter::once(&request.prompt).chain(&request.steered);
            for (nth, text) in said.enumerate() {
                if seen.insert((&request.session_id, request.position, nth, text)) {
                    prompts.push(text.clone());
                }
            }
        }
        prompts
    }

    pub(super) fn begun(&self) -> Vec<String> {
        let requests = self.requests.borrow();
        let begins = |request: &&ModelRequest| request.asked == Asked::Turn && request.tools_called == 0;
        requests.kept.iter().filter(begins).map(|request| request.prompt.clone()).collect()
    }

    pub(super) fn record(&self, mut request: ModelRequest) {
        self.requests.send_modify(|requests| {
            requests.next += 1;
            request.number = requests.next;
            if requests.kept.len() == MAX_REQUESTS {
                requests.kept.remove(0);
            }
            requests.kept.push(request);
        });
    }

    pub(super) async fn wait_for<T>(&self, mut probe: impl FnMut(&[ModelRequest]) -> Option<T>) -> T {
        let mut requests = self.requests.subscribe();
        loop {
            if let Some(found) = probe(&requests.borrow_and_update().kept) {
                return found;
            }
            requests.changed().await.expect("the sender lives in self, which is borrowed");
        }
    }

    pub(super) fn open_gate(&self, name: &str) {
        self.gates.send_modify(|gates| {
            gates.insert(name.to_owned());
        });
    }

    pub(super) async fn pass_gate(&self, name: &str) {
        let mut gates = self.gates.subscribe();
        gates
            .wait_for(|gates| gates.contains(name))
            .await
            .expect("the sender lives in self, which is borrowed");
    }

    pub(super) fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// How many errors this place in this conversation has been answered with.
    pub(super) fn errors_at(&self, place: &str) -> u32 {
        self.errors.borrow().get(place).copied().unwrap_or(0)
    }

    pub(super) fn count_error_at(&self, place: String) {
        self.errors.send_modify(|errors| {
            if errors.len() >= MAX_REQUESTS {
                errors.clear();
            }
            *errors.entry(place).or_default() += 1;
        });
    }
}
