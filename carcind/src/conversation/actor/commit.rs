//! Committing what the machine says, then carrying it out; and what a journal that is slow may hold up, and what not.

use std::sync::Arc;
use std::time::Duration;

use carcin_proto::{Millis, Seq};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Actor;
use crate::conversation::machine::{Call, Committed, Effect, RUNG, Rung, Step};
use crate::conversation::or_never;
use crate::conversation::running::Outgoing;
use crate::fault::{self, Point};
use crate::rows::{Item, Row};
use crate::store::{Commit, Committing, StoreError};

/// How long a failed commit waits for its next try. Meanwhile Claude's output stays in its spool.
const COMMIT_RETRY: Duration = Duration::from_millis(500);
/// How long a commit may take before a stop no longer waits for it: well below the two seconds promised.
const JOURNAL_PATIENCE: Duration = Duration::from_millis(500);
/// What may be asked while the journal takes nothing; more waits in the mailbox.
const DEFERRED: usize = 64;

/// A commit that is on its way, and that nobody waits for yet.
pub(super) struct Pending {
    commit: Arc<Commit>,
    committing: Committing,
}

impl Pending {
    /// Waits for its end. Cancel safe.
    pub(super) async fn done(&mut self) -> Result<Seq, StoreError> {
        self.committing.done().await
    }
}

impl Actor {
    /// Commits what the machine has collected, then does it, until there is nothing more.
    pub(super) async fn flush(&mut self) {
        self.settle().await;
        loop {
            let step = self.machine.take();
            if step.is_empty() {
                return;
            }
            self.perform(step).await;
        }
    }

    /// The same for what Claude prints, of which more is read while the journal takes it: nothing is to be done for
    /// it, and nobody is answered by it. What comes next is committed after it.
    pub(super) async fn flush_behind(&mut self) {
        if self.machine.is_urgent() {
            self.flush().await;
            return;
        }
        let step = self.machine.take();
        if !step.leaves_something() {
            return;
        }
        self.settle().await;
        let commit = self.commit_of(step.items, step.rows, step.sync);
        if !commit.is_durable() {
            return self.site.store.publish(&self.key, &commit.items);
        }
        let store = self.site.store.clone();
        match self.stoppable(store.begin(Arc::clone(&commit))).await {
            Ok(committing) => self.pending = Some(Pending { commit, committing }),
            Err(error) => drop(self.again(commit, error).await),
        }
    }

    /// Waits for the commit that is on its way.
    async fn settle(&mut self) {
        let Some(mut pending) = self.pending.take() else { return };
        let result = self.stoppable(pending.done()).await;
        self.settled(pending, result).await;
    }

    /// The commit that was on its way is done, or must be tried again.
    pub(super) async fn settled(&mut self, pending: Pending, result: Result<Seq, StoreError>) {
        if let Err(error) = result {
            self.again(pending.commit, error).await;
        }
    }

    /// Commits a step, then carries out its effects and gives out its replies. Nothing else does.
    async fn perform(&mut self, step: Step) {
        let leaves_something = step.leaves_something();
        let Step { items, rows, sync, effects, replies, .. } = step;
        let committed = if leaves_something {
            self.commit(self.commit_of(items, rows, sync)).await
        } else {
            Committed::nothing()
        };
        self.machine.committed(&committed);
        for effect in effects {
            self.carry_out(effect).await;
        }
        for (ticket, reply) in replies.release(&committed) {
            self.callers.answer(ticket, reply);
        }
    }

    fn commit_of(&self, items: Vec<Item>, rows: Vec<Row>, sync: bool) -> Arc<Commit> {
        Arc::new(Commit { conversation: self.key.clone(), at: Millis::now(), items, rows, sync })
    }

    async fn commit(&mut self, commit: Arc<Commit>) -> Committed {
        let store = self.site.store.clone();
        let last = match self.stoppable(store.commit(Arc::clone(&commit))).await {
            Ok(seq) => seq,
            Err(error) => self.again(Arc::clone(&commit), error).await,
        };
        // Only a synced offset survives a power cut, so only that far the spool may be given back.
        if commit.sync
            && let (Some(running), Some(child)) = (&mut self.running, &self.machine.row().child)
        {
            running.committed(child.offset);
        }
        Committed::at(&commit.items, last)
    }

    /// Commits what the journal did not take, as often as it needs.
    async fn again(&mut self, mut commit: Arc<Commit>, error: StoreError) -> Seq {
        let mut error = error;
        loop {
            if matches!(error, StoreError::Forgotten) {
                let recalled = self.machine.recalled();
                Arc::make_mut(&mut commit).items.insert(0, Item::Durable(recalled.into()));
            } else {
                tracing::debug!(conversation = %self.key, %error, "the journal does not take a commit; trying again");
                self.listening(sleep(COMMIT_RETRY)).await;
            }
            let store = self.site.store.clone();
            match self.stoppable(store.commit(Arc::clone(&commit))).await {
                Ok(seq) => return seq,
                Err(again) => error = again,
            }
        }
    }

    /// Waits for the journal. Where that takes long, a stop is obeyed all the same, by a signal, and so is the end of
    /// all: that needs no record. They are answered, as everything else, once the journal takes them.
    pub(super) async fn stoppable<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = timeout(JOURNAL_PATIENCE, &mut work).await {
            return done;
        }
        self.listening(work).await
    }

    /// Does so at once: the journal has failed already.
    async fn listening<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Some(rung) = self.stopping.take() {
            self.signal_unrecorded(rung).await;
        }
        loop {
            let room = self.deferred.len() < DEFERRED;
            tokio::select! {
                done = &mut work => return done,
                Some(mail) = self.mailbox.recv(), if room => {
                    match &mail.call {
                        Call::Stop { .. } => self.signal_unrecorded(Rung::Interrupt).await,
                        Call::Shutdown { .. } => {
                            self.give_up = None;
                            self.signal_unrecorded(Rung::Terminate).await;
                        }
                        _ => {}
                    }
                    self.deferred.push_back(mail);
                }
                () = or_never(self.killing.map(sleep_until)) => {
                    self.killing = None;
                    self.signal(Rung::Kill).await;
                }
            }
        }
    }

    /// The machine's ladder is climbed with what is committed. Without that, one that is to end is killed from here.
    async fn signal_unrecorded(&mut self, rung: Rung) {
        self.signal(rung).await;
        if rung == Rung::Terminate {
            self.killing.get_or_insert(Instant::now() + RUNG);
        }
    }

    pub(super) async fn signal(&self, rung: Rung) {
        if let Some(running) = &self.running {
            running.signal(rung).await;
            if self.closing.is_some() {
                fault::point(Point::ShutdownSignalled);
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn => self.spawn().await,
            Effect::Write { id, line, images } => {
                if let Some(running) = &self.running {
                    running.write(Outgoing { id, line, images });
                }
            }
            Effect::Signal(rung) => self.signal(rung).await,
            Effect::Arm(rung) if rung.replaces(self.rung.map(|(_, armed)| armed)) => {
                self.rung = Some((Instant::now() + RUNG, rung));
            }
            Effect::Arm(_) => {}
            Effect::Disarm => self.rung = None,
            Effect::Recall(ticket, past) => {
                let reply = self.recall(&past).await;
                self.callers.answer(ticket, reply);
            }
        }
    }
}
