//! Which conversations there are: an actor that finds them, and opens those that do not exist.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::ConversationKey;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::actor::Actor;
use super::handle::{Ask, Handle};
use super::machine::Machine;
use super::site::{Site, now};
use crate::store::Loaded;

/// Requests that may wait for one actor. They come from people and hooks; whoever sends more waits.
const MAILBOX: usize = 64;
/// How long the others wait for a conversation that cannot find out what became of its Claude. As a rule it takes
/// milliseconds, and 10 s where a launcher hangs; one that takes longer goes on trying by itself.
const RECOVERY: Duration = Duration::from_secs(20);
/// Look-ups that may wait.
const LOOKUPS: usize = 64;

enum Lookup {
    Open(ConversationKey, oneshot::Sender<Handle>),
    Find(ConversationKey, oneshot::Sender<Option<Handle>>),
    All(oneshot::Sender<Vec<Handle>>),
    End(oneshot::Sender<Vec<Handle>>),
}

/// All conversations.
#[derive(Debug, Clone)]
pub struct Conversations {
    lookups: mpsc::Sender<Lookup>,
}

impl Conversations {
    /// Takes up the conversations of the journal; returns once each of them knows what became of its Claude, or
    /// after `RECOVERY`.
    pub async fn recover(site: Arc<Site>, loaded: Vec<Loaded>) -> Self {
        let mut known = HashMap::new();
        let mut waiting = Vec::new();
        for loaded in loaded {
            let (key, machine) = (loaded.key.clone(), Machine::load(loaded));
            let (handle, recovered) = start(&site, key.clone(), machine);
            known.insert(key, handle);
            waiting.push(recovered);
        }
        let deadline = Instant::now() + RECOVERY;
        for recovered in waiting {
            if timeout_at(deadline, recovered).await.is_err() {
                tracing::error!("a conversation does not know what became of its Claude; the others go on");
            }
        }
        let (lookups, inbox) = mpsc::channel(LOOKUPS);
        tokio::spawn(serve(site, known, inbox));
        Self { lookups }
    }

    /// The conversation `key`, opened if it does not exist. `None`: the daemon is ending.
    pub async fn open(&self, key: ConversationKey) -> Option<Handle> {
        self.look(|reply| Lookup::Open(key, reply)).await
    }

    /// The conversation `key`, if it exists.
    pub async fn find(&self, key: ConversationKey) -> Option<Handle> {
        self.look(|reply| Lookup::Find(key, reply)).await.flatten()
    }

    /// All of them.
    pub async fn all(&self) -> Vec<Handle> {
        self.look(Lookup::All).await.unwrap_or_default()
    }

    /// All of them, and from now on no new one: the daemon is ending.
    pub async fn end(&self) -> Vec<Handle> {
        self.look(Lookup::End).await.unwrap_or_default()
    }

    async fn look<T>(&self, lookup: impl FnOnce(oneshot::Sender<T>) -> Lookup) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.lookups.send(lookup(reply)).await.ok()?;
        answer.await.ok()
    }
}

async fn serve(
    site: Arc<Site>,
    mut known: HashMap<ConversationKey, Handle>,
    mut inbox: mpsc::Receiver<Lookup>,
) {
    let mut ending = false;
    while let Some(lookup) = inbox.recv().await {
        match lookup {
            // What is opened now would outlive the daemon. Nobody is told of a conversation that is not there.
            Lookup::Open(key, reply) if ending && !known.contains_key(&key) => drop(reply),
            Lookup::Open(key, reply) => {
                let handle = known.entry(key).or_insert_with_key(|key| {
                    let machine = Machine::open(key.clone(), site.working_dir.clone(), now());
                    start(&site, key.clone(), machine).0
                });
                let _ = reply.send(handle.clone());
            }
            Lookup::Find(key, reply) => drop(reply.send(known.get(&key).cloned())),
            Lookup::All(reply) => drop(reply.send(known.values().cloned().collect())),
            Lookup::End(reply) => {
                ending = true;
                drop(reply.send(known.values().cloned().collect()));
            }
        }
    }
}

fn start(site: &Arc<Site>, key: ConversationKey, machine: Machine) -> (Handle, oneshot::Receiver<()>) {
    let (mailbox, inbox): (mpsc::Sender<Ask>, _) = mpsc::channel(MAILBOX);
    let (told, recovered) = oneshot::channel();
    tokio::spawn(Actor::new(key.clone(), Arc::clone(site), machine, inbox).run(told));
    (Handle { key, mailbox }, recovered)
}
