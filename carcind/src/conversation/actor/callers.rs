//! Whoever has called, and has no reply yet.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::conversation::machine::{Answered, Ticket};

/// Those who wait for a reply.
#[derive(Debug, Default)]
pub(super) struct Callers {
    last: u64,
    waiting: BTreeMap<Ticket, oneshot::Sender<Answered>>,
}

impl Callers {
    /// One more.
    pub(super) fn admit(&mut self, reply: oneshot::Sender<Answered>) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        self.waiting.insert(ticket, reply);
        ticket
    }

    /// Answers one. If the caller is gone, the reply is discarded.
    pub(super) fn answer(&mut self, ticket: Ticket, reply: Answered) {
        if let Some(waiting) = self.waiting.remove(&ticket) {
            let _ = waiting.send(reply);
        }
    }

    /// Forgets those who are gone, and names them.
    pub(super) fn hung_up(&mut self) -> impl Iterator<Item = Ticket> {
        self.waiting.extract_if(.., |_, waiting| waiting.is_closed()).map(|(ticket, _)| ticket)
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
