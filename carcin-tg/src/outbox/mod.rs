//! The way out: when each message goes, and what becomes of it.

mod attempt;
mod beat;
mod bucket;
mod deliver;
pub mod files;
mod late;
pub mod live;
mod lost;
mod scheduler;
pub mod sender;
mod stream;

pub use scheduler::{Outcome, Scheduler, Step};

use crate::store::outbox::MessageRef;

/// Which jobs of a chat go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// The answer to what the user did just now: ahead of all, and not slowed by the chat's rate.
    Control,
    /// Messages, in the order in which they arose.
    Prose,
    /// Changes of a live card: when there is nothing else to say, and not too often.
    Live,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Control, Self::Prose, Self::Live];

    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Prose => "prose",
            Self::Live => "live",
        }
    }

    /// The lane of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name() == name)
    }
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Creates a message.
    Send,
    /// Changes one.
    Edit,
    /// Sends a file.
    File,
    /// Takes a message away.
    Delete,
}

impl Op {
    const ALL: [Self; 4] = [Self::Send, Self::Edit, Self::File, Self::Delete];

    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Edit => "edit",
            Self::File => "file",
            Self::Delete => "delete",
        }
    }

    /// The operation of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.name() == name)
    }
}

/// Something to be sent; what it says stays in the store until its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its row, and its place in the order.
    pub id: i64,
    /// The chat.
    pub chat: i64,
    /// How urgent it is.
    pub lane: Lane,
    /// What it does.
    pub op: Op,
    /// The message that it creates, edits or deletes, where that has an identity.
    pub message: Option<MessageRef>,
}
