//! What stands behind an actor: it is loaded here, and when it fails, another one takes its place, from the journal,
//! as after a crash of the whole daemon. The other conversations do not notice.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use carcin_proto::event::{Level, Notice};
use carcin_proto::{ConversationKey, Millis};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::actor::Actor;
use super::machine::Machine;
use super::mailbox::{Inbox, Mailbox, Pulse};
use super::site::Site;
use crate::rows::Loaded;
use crate::store::{Commit, StoreError};

/// The pause after the first failure; each further one triples it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long what is asked waits for a conversation that is being taken up; then it is refused, so that whoever asks
/// knows, and asks again.
const PATIENCE: Duration = Duration::from_secs(1);
/// An actor that works for so long has got over its failure.
const STEADY: Duration = Duration::from_mins(1);
/// How many actors may fail on one line before it is kept raw and passed over.
const LINE_FAILURES: u32 = 3;
/// After how many failures the user is told, in the conversation.
const TELL: u32 = 3;

/// What is wrong with which conversation, for `status`. The lock is held for no longer than a look.
#[derive(Debug, Clone, Default)]
pub(super) struct Problems(Arc<Mutex<BTreeMap<ConversationKey, String>>>);

impl Problems {
    /// All of them.
    pub(super) fn list(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn set(&self, key: &ConversationKey, problem: Option<String>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) => all.insert(key.clone(), problem),
            None => all.remove(key),
        };
    }
}

/// Stands behind the actors of one conversation.
pub(super) struct Supervisor {
    pub(super) key: ConversationKey,
    pub(super) site: Arc<Site>,
    pub(super) inbox: Inbox,
    pub(super) pulse: Arc<Pulse>,
    pub(super) problems: Problems,
}

/// The failures in a row.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    /// The line on which the last ones happened, by the child and its place in that one's output, and how many.
    line: Option<(String, u64, u32)>,
    /// Whether the user was told.
    told: bool,
}

impl Failures {
    /// Counts one more. Where it is on another line than the last, the conversation has got on in between.
    fn add(&mut self, line: Option<(String, u64)>) {
        match (&mut self.line, line) {
            (Some((child, start, times)), Some(new)) if (&*child, *start) == (&new.0, new.1) => *times += 1,
            (known, new) => {
                if known.is_some() && new.is_some() {
                    self.count = 0;
                }
                *known = new.map(|(child, start)| (child, start, 1));
            }
        }
        self.count += 1;
    }

    /// The line to be passed over.
    fn poison(&self) -> Option<u64> {
        self.line.as_ref().filter(|(.., times)| *times >= LINE_FAILURES).map(|(_, start, _)| *start)
    }

    fn pause(&self) -> Duration {
        let factor = 3u32.saturating_pow(self.count.saturating_sub(1).min(20));
        FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
    }
}

/// How an actor ended, other than by its own will.
enum Failure {
    Panicked(String),
    Unloadable(String),
    /// The daemon is ending.
    Ending,
}

impl Supervisor {
    /// Keeps the conversation until nobody can ask for it any more, or it was shut down. `loaded`: what the journal
    /// has of it, if that is known already. `recovered` is told by the first actor, or dropped with it.
    pub(super) async fn run(self, mut loaded: Option<Loaded>, recovered: oneshot::Sender<()>) {
        let mut failures = Failures::default();
        let mut recovered = Some(recovered);
        loop {
            let (told, _) = oneshot::channel();
            let told = recovered.take().unwrap_or(told);
            let failure = match self.act(loaded.take(), told, &mut failures).await {
                Ok(()) | Err(Failure::Ending) => break,
                Err(Failure::Panicked(why)) => format!("it failed: {why}"),
                Err(Failure::Unloadable(why)) => format!("it cannot be loaded: {why}"),
            };
            self.pulse.set_resting(false);
            let pause = failures.pause();
            tracing::error!(conversation = %self.key, failures = failures.count, ?pause, failure, "a conversation is taken up again");
            self.problems.set(&self.key, Some(self.problem(&failures, &failure)));
            if failures.count >= TELL && !std::mem::replace(&mut failures.told, true) {
                self.tell(&failure).await;
            }
            self.meanwhile(sleep(pause)).await;
        }
        self.problems.set(&self.key, None);
    }

    /// Loads the conversation if need be, and has an actor do its work.
    async fn act(
        &self,
        loaded: Option<Loaded>,
        recovered: oneshot::Sender<()>,
        failures: &mut Failures,
    ) -> Result<(), Failure> {
        let loaded = match loaded {
            Some(loaded) => Some(loaded),
            None => self.load().await.inspect_err(|_| failures.add(None))?,
        };
        let machine = match loaded {
            Some(loaded) => Machine::load(loaded),
            None => Machine::open(self.key.clone(), self.site.working_dir.clone(), Millis::now()),
        };
        let tasks = TaskTracker::new();
        let mailbox = Mailbox::take(&self.inbox, &self.pulse).await;
        self.pulse.set_line(None);
        let skipped = failures.poison();
        let actor =
            Actor::new(self.key.clone(), Arc::clone(&self.site), machine, mailbox, tasks.clone(), skipped);
        let mut work = tokio::spawn(actor.run(recovered));
        let ended = if let Ok(ended) = timeout(STEADY, &mut work).await {
            ended
        } else {
            *failures = Failures::default();
            self.problems.set(&self.key, None);
            work.await
        };
        let Err(error) = ended else { return Ok(()) };
        let Ok(panic) = error.try_into_panic() else { return Err(Failure::Ending) };
        // A Claude may be just starting, or be written to: the next actor is to find that done.
        tasks.close();
        self.meanwhile(tasks.wait()).await;
        failures.add(self.line_failed_on().await);
        Err(Failure::Panicked(words(panic.as_ref())))
    }

    async fn load(&self) -> Result<Option<Loaded>, Failure> {
        self.site.store.load(&self.key).await.map_err(|error| match error {
            StoreError::Closed => Failure::Ending,
            error => Failure::Unloadable(error.to_string()),
        })
    }

    /// The line that the last actor was at, if it was at any: of which child, and where.
    async fn line_failed_on(&self) -> Option<(String, u64)> {
        let line = self.pulse.line()?;
        let loaded = self.load().await.ok()??;
        Some((loaded.conversation.child?.generation, line))
    }

    /// Waits for `work`. Where that takes long, what is asked meanwhile is refused: its reply is dropped.
    async fn meanwhile<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = timeout(PATIENCE, &mut work).await {
            return done;
        }
        let mut inbox = self.inbox.lock().await;
        loop {
            tokio::select! {
                done = &mut work => return done,
                Some(mail) = inbox.recv() => drop(mail),
            }
        }
    }

    fn problem(&self, failures: &Failures, failure: &str) -> String {
        let times = match failures.count {
            1 => "once".to_owned(),
            count => format!("{count} times in a row"),
        };
        format!(
            "the conversation {} was taken up again {times}, by a defect of Carcin's: {failure}",
            self.key
        )
    }

    /// Tells the user, in the conversation; there is no actor that could.
    async fn tell(&self, failure: &str) {
        let notice = Notice {
            level: Level::Error,
            text: format!("Carcin has a defect that ends this conversation again and again; {failure}"),
            hint: Some("What Claude does is kept; it is taken up again by itself".to_owned()),
        };
        let commit = Commit::of_notice(self.key.clone(), notice);
        if let Err(error) = self.meanwhile(self.site.store.commit(commit)).await {
            tracing::warn!(conversation = %self.key, %error, "the user was not told");
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason is known").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(start: u64) -> (String, u64) {
        ("child".to_owned(), start)
    }

    #[test]
    fn a_line_is_passed_over_once_enough_have_failed_on_it() {
        let mut failures = Failures::default();
        for _ in 1..LINE_FAILURES {
            failures.add(Some(line(7)));
            assert_eq!(failures.poison(), None);
        }
        failures.add(Some(line(7)));
        assert_eq!(failures.poison(), Some(7));
        failures.add(Some(line(9)));
        assert_eq!((failures.poison(), failures.count), (None, 1), "it got on to another line");
    }

    #[test]
    fn the_line_of_another_child_is_another() {
        let mut failures = Failures::default();
        for _ in 0..LINE_FAILURES {
            failures.add(Some(line(0)));
        }
        failures.add(Some(("another".to_owned(), 0)));
        assert_eq!(failures.poison(), None);
    }

    #[test]
    fn pauses_grow_and_end_at_half_a_minute() {
        let mut failures = Failures::default();
        let mut pauses = Vec::new();
        for _ in 0..100 {
            failures.add(None);
            pauses.push(failures.pause());
        }
        assert_eq!(pauses[..3], [100, 300, 900].map(Duration::from_millis));
        assert!(pauses.is_sorted());
        assert_eq!(pauses[99], LONGEST_PAUSE);
    }
}
