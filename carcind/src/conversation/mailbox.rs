//! The way to an actor, and what can be seen of it from outside.
//!
//! The mailbox outlives the actor: when that fails, what was asked and not taken yet is there for the next one. And
//! each piece of mail keeps the conversation loaded until it is dealt with, whether anybody waits for it or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use super::machine::{Answered, Call};

/// Requests that may wait for one actor. They come from people and hooks; whoever sends more waits.
const MAILBOX: usize = 64;
/// No line.
const NOWHERE: u64 = u64::MAX;

/// A call, and the way back to the caller.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) call: Call,
    pub(super) reply: oneshot::Sender<Answered>,
    held: Option<Arc<()>>,
}

impl Mail {
    /// With what keeps the conversation loaded meanwhile.
    pub(super) fn new(call: Call, reply: oneshot::Sender<Answered>, held: &Arc<()>) -> Self {
        Self { call, reply, held: Some(Arc::clone(held)) }
    }
}

/// The receiving end, which one actor after the other holds.
pub(super) type Inbox = Arc<Mutex<mpsc::Receiver<Mail>>>;

/// Both ends of a new mailbox.
pub(super) fn channel() -> (mpsc::Sender<Mail>, Inbox) {
    let (mailbox, inbox) = mpsc::channel(MAILBOX);
    (mailbox, Arc::new(Mutex::new(inbox)))
}

/// What an actor is doing, as far as others must know without asking it.
#[derive(Debug)]
pub(super) struct Pulse {
    resting: AtomicBool,
    line: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { resting: AtomicBool::new(false), line: AtomicU64::new(NOWHERE) }
    }
}

impl Pulse {
    /// Whether it has nothing to do until it is asked something.
    pub(super) fn is_resting(&self) -> bool {
        self.resting.load(Ordering::Acquire)
    }

    pub(super) fn set_resting(&self, resting: bool) {
        self.resting.store(resting, Ordering::Release);
    }

    /// It works on the line that begins here in its child's output; `None`: on none.
    pub(super) fn set_line(&self, start: Option<u64>) {
        self.line.store(start.unwrap_or(NOWHERE), Ordering::Relaxed);
    }

    /// The line that it works on. Exact once its task has ended.
    pub(super) fn line(&self) -> Option<u64> {
        Some(self.line.load(Ordering::Relaxed)).filter(|line| *line != NOWHERE)
    }
}

/// An actor's own hold of its mailbox.
pub(super) struct Mailbox {
    inbox: OwnedMutexGuard<mpsc::Receiver<Mail>>,
    pub(super) pulse: Arc<Pulse>,
}

impl Mailbox {
    /// Takes hold of it, as soon as the last actor has let go.
    pub(super) async fn take(inbox: &Inbox, pulse: &Arc<Pulse>) -> Self {
        Self { inbox: Arc::clone(inbox).lock_owned().await, pulse: Arc::clone(pulse) }
    }

    /// The next thing asked; `None`: nobody can ask any more. Cancel safe.
    pub(super) async fn recv(&mut self) -> Option<Mail> {
        let mut mail = self.inbox.recv().await?;
        // Before the mail's hold is given up: the one or the other keeps the conversation loaded.
        self.pulse.set_resting(false);
        mail.held = None;
        Some(mail)
    }
}
