//! A subscriber that remembers everything it was told, so that a test can wait for it and look at it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use carcin_proto::client::Backoff;
use carcin_proto::event::PromptOutcome;
use carcin_proto::request::Gap;
use carcin_proto::{
    Conversation, ConversationKey, Cursor, Delivery, Envelope, Event, Followed, Follower, PromptId, Seq,
    Snapshot, Transient, TransientEnvelope, TurnId,
};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::PATIENCE;

/// The daemon is away for as long as a test wants; nobody else waits for it.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100));
/// How many of the last things heard a failure shows.
const SHOWN: usize = 80;

/// One thing that a subscriber was told.
#[derive(Debug, Clone)]
pub enum Heard {
    /// Connected to the daemon of this pid.
    Connected(u32),
    /// The connection was lost, for this reason.
    Disconnected(String),
    /// The state to begin with.
    Snapshot(Snapshot),
    /// The cursor could not be served.
    Gap(Gap),
    /// A durable event; `None`: of a kind that is not known.
    Durable(Seq, Option<Envelope>),
    /// A transient event.
    Transient(TransientEnvelope),
}

/// All that was heard so far. Nothing is forgotten: a test is short.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// In order.
    pub heard: Vec<Heard>,
    /// The state that follows from it.
    pub state: Snapshot,
}

/// A subscription that survives restarts of the daemon. Clones share what they hear.
#[derive(Debug, Clone)]
pub struct Events {
    log: watch::Receiver<Log>,
    _follower: Arc<AbortOnDropHandle<()>>,
}

impl Events {
    /// Follows the daemon on `socket` as `name`, after `cursor` or from now on.
    pub fn follow(socket: &Path, name: &str, cursor: Option<Cursor>) -> Self {
        let (sender, log) = watch::channel(Log::default());
        let mut follower = Follower::new(socket, name, env!("CARGO_PKG_VERSION"), cursor).backoff(BACKOFF);
        let task = tokio::spawn(async move {
            loop {
                let followed = follower.next().await;
                sender.send_modify(|log| log.take(followed));
            }
        });
        Self { log, _follower: Arc::new(AbortOnDropHandle::new(task)) }
    }

    /// All that was heard so far.
    pub fn log(&self) -> Log {
        self.log.borrow().clone()
    }

    /// Waits until `probe` finds what it looks for. After `within`, fails with `what` was waited for and a
    /// transcript of what was heard instead.
    pub async fn wait_within<T>(
        &self,
        what: &str,
        within: Duration,
        mut probe: impl FnMut(&Log) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut log = self.log.clone();
        let found = tokio::time::timeout(within, async {
            loop {
                if let Some(found) = probe(&log.borrow_and_update()) {
                    return Some(found);
                }
                if log.changed().await.is_err() {
                    return None;
                }
            }
        });
        match found.await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => bail!("the subscriber has ended while it waited for {what}"),
            Err(_) => bail!("waited {within:?} in vain for {what}\n{}", self.log.borrow().transcript()),
        }
    }

    /// The same, for as long as anything may take on a busy machine.
    pub async fn wait<T>(&self, what: &str, probe: impl FnMut(&Log) -> Option<T>) -> anyhow::Result<T> {
        self.wait_within(what, PATIENCE, probe).await
    }

    /// Waits for a durable event.
    pub async fn wait_for(
        &self,
        what: &str,
        mut is_it: impl FnMut(&Envelope) -> bool,
    ) -> anyhow::Result<Envelope> {
        self.wait(what, |log| log.envelopes().find(|envelope| is_it(envelope)).cloned()).await
    }

    /// Waits until it is told that its cursor could not be served: of what came between, it has the state alone.
    pub async fn gap(&self) -> anyhow::Result<Gap> {
        let gap = |log: &Log| {
            log.heard.iter().find_map(|heard| match heard {
                Heard::Gap(gap) => Some(gap.clone()),
                _ => None,
            })
        };
        self.wait("a gap", gap).await
    }

    /// Waits until a prompt is settled.
    pub async fn ended(&self, prompt: PromptId) -> anyhow::Result<PromptOutcome> {
        self.wait(&format!("the end of prompt {prompt}"), |log| log.outcome(prompt)).await
    }

    /// Waits until the conversation is as `is_so` wants it.
    pub async fn wait_state<T>(
        &self,
        what: &str,
        key: &ConversationKey,
        mut probe: impl FnMut(&Conversation) -> Option<T>,
    ) -> anyhow::Result<T> {
        self.wait(what, |log| log.state.conversations.get(key).and_then(&mut probe)).await
    }
}

impl Log {
    fn take(&mut self, followed: Followed) {
        let heard = match followed {
            Followed::Connected(welcome) => Heard::Connected(welcome.pid),
            Followed::Disconnected(error) => Heard::Disconnected(error.to_string()),
            Followed::Delivery(Delivery::Snapshot(snapshot)) => {
                self.state = snapshot.clone();
                Heard::Snapshot(snapshot)
            }
            Followed::Delivery(Delivery::Gap(gap)) => {
                self.state = gap.snapshot.clone();
                Heard::Gap(gap)
            }
            Followed::Delivery(Delivery::Durable(seq, envelope)) => {
                match &envelope {
                    Some(envelope) => self.state.apply(seq, envelope),
                    None => self.state.skip(seq),
                }
                Heard::Durable(seq, envelope)
            }
            Followed::Delivery(Delivery::Transient(transient)) => Heard::Transient(transient),
        };
        self.heard.push(heard);
    }

    /// The durable events that are understood, with their numbers.
    pub fn durable(&self) -> impl DoubleEndedIterator<Item = (Seq, &Envelope)> {
        self.heard.iter().filter_map(|heard| match heard {
            Heard::Durable(seq, Some(envelope)) => Some((*seq, envelope)),
            _ => None,
        })
    }

    /// The durable events that are understood.
    pub fn envelopes(&self) -> impl DoubleEndedIterator<Item = &Envelope> {
        self.durable().map(|(_, envelope)| envelope)
    }

    /// The partial text of a turn of Claude's own, as it came.
    pub fn streamed(&self, key: &ConversationKey) -> String {
        let deltas = self.heard.iter().filter_map(|heard| match heard {
            Heard::Transient(TransientEnvelope { conversation, event: Transient::TextDelta(delta) })
                if conversation == key =>
            {
                Some(delta.text.as_str())
            }
            _ => None,
        });
        deltas.collect()
    }

    /// How a prompt ended, if it has.
    pub fn outcome(&self, prompt: PromptId) -> Option<PromptOutcome> {
        self.envelopes().find_map(|envelope| match &envelope.event {
            Event::PromptEnded(ended) if ended.prompt == prompt => Some(ended.outcome.clone()),
            _ => None,
        })
    }

    /// The turn that took a prompt up.
    pub fn turn_of(&self, prompt: PromptId) -> Option<TurnId> {
        self.envelopes().find_map(|envelope| match &envelope.event {
            Event::PromptStarted(started) if started.prompt == prompt => Some(started.turn),
            _ => None,
        })
    }

    /// Claude's own texts in a turn.
    pub fn texts(&self, key: &ConversationKey, turn: TurnId) -> Vec<String> {
        let texts = self.envelopes().filter_map(|envelope| match &envelope.event {
            Event::TextBlock(block)
                if envelope.conversation == *key && block.turn == turn && block.parent.is_none() =>
            {
                Some(block.text.clone())
            }
            _ => None,
        });
        texts.collect()
    }

    /// What was heard last, a line each.
    pub fn transcript(&self) -> String {
        let skipped = self.heard.len().saturating_sub(SHOWN);
        let mut out = format!("heard ({skipped} earlier ones left out):\n");
        for heard in &self.heard[skipped..] {
            let line = match heard {
                Heard::Connected(pid) => format!("connected to carcind {pid}"),
                Heard::Disconnected(why) => format!("disconnected: {why}"),
                Heard::Snapshot(snapshot) => format!("snapshot at {}", snapshot.seq),
                Heard::Gap(gap) => format!("gap: {:?}, on from {}", gap.reason, gap.snapshot.seq),
                Heard::Durable(seq, Some(envelope)) => format!("{seq} {}", json(envelope)),
                Heard::Durable(seq, None) => format!("{seq} (of an unknown kind)"),
                Heard::Transient(transient) => format!("  ~ {}", json(transient)),
            };
            let line: String = line.chars().take(300).collect();
            out.push_str("  ");
            out.push_str(&line);
            out.push('\n');
        }
        out
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| error.to_string())
}
