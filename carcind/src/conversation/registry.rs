//! Which conversations are loaded: an actor that finds them, loads those that somebody asks for, opens those that do
//! not exist, and lets those at rest go.
//!
//! Letting go is safe because only this actor gives out handles: when it holds the last one, nobody can be about to ask
//! for anything, and if the conversation is at rest then, it stays so. Whoever asks for it next gets it anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::{ConversationKey, Refusal, RefusalCode};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::handle::{Handle, ending};
use super::mailbox::{self, Pulse};
use super::site::Site;
use super::supervisor::{Problems, Supervisor};
use crate::fault::{self, Point};
use crate::rows::Loaded;

/// How long the others wait for a conversation that cannot find out what became of its Claude. As a rule it takes
/// milliseconds, and 10 s where a launcher hangs; one that takes longer goes on trying by itself.
const RECOVERY: Duration = Duration::from_secs(20);
/// Look-ups that may wait.
const LOOKUPS: usize = 64;
/// How long a conversation at rest stays loaded after it was asked for.
const REST: Duration = Duration::from_mins(5);
/// How many conversations at rest stay loaded. Loading one takes about a millisecond.
const LOADED: usize = 64;

enum Lookup {
    Open(ConversationKey, oneshot::Sender<Option<Handle>>),
    Find(ConversationKey, oneshot::Sender<Option<Handle>>),
    All(oneshot::Sender<Vec<Handle>>),
    Shutdown(String, oneshot::Sender<watch::Receiver<bool>>),
}

/// All conversations.
#[derive(Debug, Clone)]
pub struct Conversations {
    lookups: mpsc::Sender<Lookup>,
    problems: Problems,
    site: Arc<Site>,
}

impl Conversations {
    /// Takes up the conversations that have something open; returns once each of them knows what became of its
    /// Claude, or after `RECOVERY`.
    pub async fn recover(site: Arc<Site>, loaded: Vec<Loaded>) -> Self {
        let problems = Problems::default();
        let mut registry = Registry::new(Arc::clone(&site), problems.clone());
        let waiting: Vec<_> =
            loaded.into_iter().map(|loaded| registry.start(loaded.key.clone(), Some(loaded))).collect();
        let deadline = Instant::now() + RECOVERY;
        for recovered in waiting {
            if timeout_at(deadline, recovered).await.is_err() {
                tracing::error!("a conversation does not know what became of its Claude; the others go on");
            }
        }
        let (lookups, inbox) = mpsc::channel(LOOKUPS);
        tokio::spawn(registry.serve(inbox));
        Self { lookups, problems, site }
    }

    /// The conversation `key`, opened if it does not exist.
    pub async fn open(&self, key: ConversationKey) -> Result<Handle, Refusal> {
        self.look(|reply| Lookup::Open(key, reply)).await.flatten().ok_or_else(ending)
    }

    /// The conversation `key`, if it exists.
    pub async fn find(&self, key: ConversationKey) -> Result<Handle, Refusal> {
        if let Some(loaded) = self.look(|reply| Lookup::Find(key.clone(), reply)).await.flatten() {
            return Ok(loaded);
        }
        // Asked here, so that the registry waits for no disk.
        match self.site.store.knows(&key).await {
            Ok(true) => self.open(key).await,
            Ok(false) => {
                Err(Refusal::new(RefusalCode::NoConversation, format!("there is no conversation {key}")))
            }
            Err(error) => Err(Refusal::new(RefusalCode::Internal, error.to_string())),
        }
    }

    /// Those that are loaded: all that have a Claude or anything else open, and some others.
    pub async fn all(&self) -> Vec<Handle> {
        self.look(Lookup::All).await.unwrap_or_default()
    }

    /// What is wrong with any of them.
    pub fn problems(&self) -> Vec<String> {
        self.problems.list()
    }

    /// Ends every Claude, and returns when they are gone, however many ask. From the first call on no conversation is
    /// loaded or opened any more.
    pub async fn shutdown(&self, by: String) {
        if let Some(mut ended) = self.look(|reply| Lookup::Shutdown(by, reply)).await {
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Waits until the registry has ended, which only a defect does. No conversation is found after that.
    pub async fn ended(&self) {
        self.lookups.closed().await;
    }

    async fn look<T>(&self, lookup: impl FnOnce(oneshot::Sender<T>) -> Lookup) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.lookups.send(lookup(reply)).await.ok()?;
        answer.await.ok()
    }
}

/// A conversation that is loaded.
struct Slot {
    handle: Handle,
    pulse: Arc<Pulse>,
    /// When it was asked for last.
    used: Instant,
}

impl Slot {
    /// Whether it may be let go: nobody but us has a handle or mail on its way, and it is at rest. In this order: mail
    /// that was taken has been noted in the pulse.
    fn is_idle(&mut self) -> bool {
        Arc::get_mut(&mut self.handle.held).is_some() && self.pulse.is_resting()
    }
}

struct Registry {
    site: Arc<Site>,
    problems: Problems,
    known: HashMap<ConversationKey, Slot>,
    /// Once the daemon is being shut down: whether all Claudes are gone.
    ended: Option<watch::Receiver<bool>>,
}

impl Registry {
    fn new(site: Arc<Site>, problems: Problems) -> Self {
        Self { site, problems, known: HashMap::new(), ended: None }
    }

    async fn serve(mut self, mut inbox: mpsc::Receiver<Lookup>) {
        let mut sweep = Instant::now() + REST;
        loop {
            tokio::select! {
                lookup = inbox.recv() => match lookup {
                    Some(lookup) => self.answer(lookup),
                    None => return,
                },
                () = sleep_until(sweep), if !self.known.is_empty() => {
                    let_go_of_the_unused(&mut self.known, Instant::now());
                    sweep = Instant::now() + REST / 2;
                }
            }
        }
    }

    fn answer(&mut self, lookup: Lookup) {
        match lookup {
            Lookup::Open(key, reply) => drop(reply.send(self.open(&key))),
            Lookup::Find(key, reply) => drop(reply.send(self.find(&key))),
            Lookup::All(reply) => drop(reply.send(self.all())),
            Lookup::Shutdown(by, reply) => drop(reply.send(self.shutdown(&by))),
        }
    }

    fn all(&self) -> Vec<Handle> {
        self.known.values().map(|slot| slot.handle.clone()).collect()
    }

    fn find(&mut self, key: &ConversationKey) -> Option<Handle> {
        let slot = self.known.get_mut(key)?;
        slot.used = Instant::now();
        Some(slot.handle.clone())
    }

    fn open(&mut self, key: &ConversationKey) -> Option<Handle> {
        if let Some(handle) = self.find(key) {
            return Some(handle);
        }
        if self.ended.is_some() {
            return None;
        }
        make_room(&mut self.known);
        drop(self.start(key.clone(), None));
        self.find(key)
    }

    /// Starts the supervisor of a conversation; the receiver is told when its actor knows what became of its Claude.
    fn start(&mut self, key: ConversationKey, loaded: Option<Loaded>) -> oneshot::Receiver<()> {
        let (mailbox, inbox) = mailbox::channel();
        let pulse = Arc::new(Pulse::default());
        let (told, recovered) = oneshot::channel();
        let supervisor = Supervisor {
            key: key.clone(),
            site: Arc::clone(&self.site),
            inbox,
            pulse: Arc::clone(&pulse),
            problems: self.problems.clone(),
        };
        tokio::spawn(supervisor.run(loaded, told));
        let handle = Handle { key: key.clone(), mailbox, held: Arc::new(()) };
        self.known.insert(key, Slot { handle, pulse, used: Instant::now() });
        recovered
    }

    fn shutdown(&mut self, by: &str) -> watch::Receiver<bool> {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let (told, ended) = watch::channel(false);
        self.ended = Some(ended.clone());
        let ends: Vec<_> = self
            .all()
            .into_iter()
            .map(|handle| {
                let by = by.to_owned();
                tokio::spawn(async move { handle.shutdown(by).await })
            })
            .collect();
        tokio::spawn(async move {
            for end in ends {
                let _ = end.await;
                fault::point(Point::ShutdownHalfWay);
            }
            fault::point(Point::ShutdownDone);
            told.send_replace(true);
        });
        ended
    }
}

/// Lets the ones go that were not asked for in a while. An actor at rest ends once nobody can ask it.
fn let_go_of_the_unused(known: &mut HashMap<ConversationKey, Slot>, now: Instant) {
    known.retain(|_, slot| now.duration_since(slot.used) < REST || !slot.is_idle());
}

/// Lets the one go that was not asked for the longest, if there are many.
fn make_room(known: &mut HashMap<ConversationKey, Slot>) {
    if known.len() < LOADED {
        return;
    }
    let idle = known.iter_mut().filter_map(|(key, slot)| slot.is_idle().then_some((slot.used, key)));
    let Some(oldest) = idle.min().map(|(_, key)| key.clone()) else { return };
    known.remove(&oldest);
}

#[cfg(test)]
mod tests {
    use carcin_proto::SessionId;

    use super::mailbox::{Inbox, Mail, Mailbox};
    use super::*;
    use crate::conversation::machine::Call;

    fn key(number: usize) -> ConversationKey {
        ConversationKey::new(format!("c{number}")).expect("a valid key")
    }

    /// A conversation at rest, with the end of its mailbox that its actor would have.
    fn slot(number: usize, used: Instant) -> (Slot, Inbox) {
        let (mailbox, inbox) = mailbox::channel();
        let pulse = Arc::new(Pulse::default());
        pulse.set_resting(true);
        let handle = Handle { key: key(number), mailbox, held: Arc::new(()) };
        (Slot { handle, pulse, used }, inbox)
    }

    #[tokio::test]
    async fn mail_on_its_way_keeps_a_conversation_loaded_though_nobody_waits_for_it() {
        let (mut slot, inbox) = slot(1, Instant::now());
        assert!(slot.is_idle());
        let handle = slot.handle.clone();
        assert!(!slot.is_idle(), "somebody may ask");
        let (reply, _answer) = oneshot::channel();
        let session = SessionId::new("s").expect("a valid id");
        let mail = Mail::new(Call::WorksIn(session), reply, &handle.held);
        assert!(handle.mailbox.try_send(mail).is_ok(), "there is room");
        drop(handle);
        assert!(!slot.is_idle(), "something was asked");
        let mut mailbox = Mailbox::take(&inbox, &slot.pulse).await;
        assert!(mailbox.recv().await.is_some());
        assert!(!slot.is_idle(), "it is being done");
        slot.pulse.set_resting(true);
        assert!(slot.is_idle());
    }

    #[tokio::test]
    async fn those_not_asked_for_in_a_while_go_and_those_in_use_stay() {
        let now = Instant::now();
        let mut known = HashMap::new();
        for number in 0..4 {
            known.insert(key(number), slot(number, now).0);
        }
        let held = known[&key(1)].handle.clone();
        known[&key(2)].pulse.set_resting(false);
        let_go_of_the_unused(&mut known, now + REST / 2);
        assert_eq!(known.len(), 4);
        known.get_mut(&key(3)).expect("it is there").used = now + REST;
        let_go_of_the_unused(&mut known, now + REST);
        let mut left: Vec<&str> = known.keys().map(ConversationKey::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["c1", "c2", "c3"]);
        drop(held);
        let_go_of_the_unused(&mut known, now + REST);
        assert_eq!(known.len(), 2);
    }

    #[tokio::test]
    async fn of_many_the_one_unused_for_the_longest_makes_room() {
        let now = Instant::now();
        let mut known = HashMap::new();
        for number in 0..LOADED {
            let used = now + Duration::from_secs(number as u64);
            known.insert(key(number), slot(number, used).0);
            make_room(&mut known);
        }
        assert_eq!(known.len(), LOADED - 1);
        assert!(!known.contains_key(&key(0)));
        known[&key(1)].pulse.set_resting(false);
        known.insert(key(999), slot(999, now + REST).0);
        make_room(&mut known);
        assert!(known.contains_key(&key(1)) && !known.contains_key(&key(2)));
    }
}
