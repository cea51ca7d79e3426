//! What waits for its turn, as the rooms name it to each other: what came in, by lane, and what is to go out, by
//! priority. No room is below this one, so that the store and those who work on its rows need not know each other.

use carcin_proto::IdempotencyKey;
use tokio::sync::Notify;

/// Who works on what came in. Each lane is worked in order and waits for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// `/stop`.
    Stop,
    /// What is answered without changing anything.
    Info,
    /// Prompts, and what must keep its place among them.
    Prompt,
    /// Presses on buttons.
    Button,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stop, Self::Info, Self::Prompt, Self::Button];

    /// Its name, also in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Info => "info",
            Self::Prompt => "prompt",
            Self::Button => "button",
        }
    }
}

/// Wakes who works on a lane when there is work in it.
#[derive(Debug, Default)]
pub struct Signals {
    stop: Notify,
    info: Notify,
    prompt: Notify,
    button: Notify,
    uploads: Notify,
}

impl Signals {
    fn of(&self, lane: Lane) -> &Notify {
        match lane {
            Lane::Stop => &self.stop,
            Lane::Info => &self.info,
            Lane::Prompt => &self.prompt,
            Lane::Button => &self.button,
        }
    }

    /// There is work in this lane.
    pub fn notify(&self, lane: Lane) {
        self.of(lane).notify_one();
        if lane == Lane::Prompt {
            self.uploads.notify_one();
        }
    }

    /// Waits until there may be work in this lane. For one listener each.
    pub async fn work_in(&self, lane: Lane) {
        self.of(lane).notified().await;
    }

    /// Waits until there may be files to be fetched.
    pub async fn uploads(&self) {
        self.uploads.notified().await;
    }
}

/// Which jobs of a chat go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// The answer to what the user did just now: ahead of all, and not slowed by the chat's rate.
    Control,
    /// Messages, in the order in which they arose.
    Prose,
    /// Changes of a live card: when there is nothing else to say, and not too often.
    Live,
}

impl Priority {
    const ALL: [Self; 3] = [Self::Control, Self::Prose, Self::Live];

    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Prose => "prose",
            Self::Live => "live",
        }
    }

    /// The priority of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.name() == name)
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

/// A message that is edited later, by the identity that it has before Telegram gives one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageRef(pub i64);

/// Something to be sent; what it says stays in the store until its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its row, and its place in the order.
    pub id: i64,
    /// The chat.
    pub chat: i64,
    /// How urgent it is.
    pub priority: Priority,
    /// What it does.
    pub op: Op,
    /// The message that it creates, edits or deletes, where that has an identity.
    pub message: Option<MessageRef>,
}

/// Where a prompt waits, seen from the running turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// Beside the running turn, to be read within it.
    Steer,
    /// Behind the running turn.
    Queue,
    /// In the place of the running turn.
    Now,
}

impl Spot {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Steer, Self::Queue, Self::Now];

    /// Its name, also in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steer => "steer",
            Self::Queue => "queue",
            Self::Now => "now",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|spot| spot.name() == name)
    }

    /// The key of a message's prompt in this place: each a prompt of its own, so that every step can be repeated.
    pub fn key(self, base: &str) -> Option<IdempotencyKey> {
        let key = match self {
            Self::Steer => base.to_owned(),
            Self::Queue | Self::Now => format!("{base}:{}", self.name()),
        };
        IdempotencyKey::new(key).ok()
    }
}
