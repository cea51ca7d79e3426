//! Committing what the machine says, then carrying it out; and what a journal that is slow may hold up, and what not.

use std::time::Duration;

use carcin_proto::{Event, PromptId, Seq};
use tokio::time::{Instant, sleep, timeout};

use super::Actor;
use crate::conversation::handle::Ask;
use crate::conversation::machine::{Effect, RUNG, Rung, Step};
use crate::conversation::site::now;
use crate::store::{Commit, Item, Row};

/// How long a failed commit waits for its next try. Meanwhile Claude's output stays in its spool.
const COMMIT_RETRY: Duration = Duration::from_millis(500);
/// How long a commit may take before a stop no longer waits for it: well below the two seconds promised.
const JOURNAL_PATIENCE: Duration = Duration::from_millis(500);
/// What may be asked while the journal takes nothing; more waits in the mailbox.
const DEFERRED: usize = 64;

impl Actor {
    /// Commits what the machine has collected, then does it, until there is nothing more.
    pub(super) async fn flush(&mut self) -> Seq {
        let mut last = Seq(0);
        loop {
            let step = self.machine.take();
            if step.items.is_empty() && step.rows.is_empty() && step.effects.is_empty() {
                return last;
            }
            last = self.perform(step).await.unwrap_or(last);
        }
    }

    /// Commits a step, then carries out its effects. `None`: there was nothing to commit.
    async fn perform(&mut self, step: Step) -> Option<Seq> {
        let mut last = None;
        if !step.items.is_empty() || !step.rows.is_empty() {
            last = Some(self.commit(step.items, step.rows, step.sync).await);
        }
        for effect in step.effects {
            self.carry_out(effect).await;
        }
        last
    }

    /// Commits, and gives the number of the event that made `prompt` known.
    pub(super) async fn flush_to(&mut self, prompt: PromptId) -> Seq {
        let step = self.machine.take();
        let durable = step.items.iter().filter(|item| matches!(item, Item::Durable(_)));
        let after = durable
            .skip_while(|item| {
                !matches!(item, Item::Durable(Event::PromptAccepted(accepted)) if accepted.prompt == prompt)
            })
            .count();
        let last = self.perform(step).await.unwrap_or_default();
        self.flush().await;
        Seq(last.0.saturating_sub(u64::try_from(after.saturating_sub(1)).unwrap_or(0)))
    }

    async fn commit(&mut self, items: Vec<Item>, rows: Vec<Row>, sync: bool) -> Seq {
        let commit = Commit { conversation: self.key.clone(), at: now(), items, rows, sync };
        let seq = loop {
            let store = self.site.store.clone();
            match self.stoppable(store.commit(commit.clone())).await {
                Ok(seq) => break seq,
                Err(error) => {
                    tracing::error!(conversation = %self.key, %error, "the journal does not take a commit; trying again");
                    self.stoppable(sleep(COMMIT_RETRY)).await;
                }
            }
        };
        // Only a synced offset survives a power cut, so only that far the spool may be given back.
        if sync && let (Some(running), Some(child)) = (&mut self.running, &self.machine.row().child) {
            running.committed(child.offset);
        }
        seq
    }

    /// Waits for the journal. Where that takes long, a stop is obeyed all the same, by a signal: that needs no
    /// record. It is answered, as everything else, once the journal takes it.
    async fn stoppable<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = timeout(JOURNAL_PATIENCE, &mut work).await {
            return done;
        }
        if std::mem::take(&mut self.stopping) {
            self.signal(Rung::Interrupt).await;
        }
        loop {
            let room = self.deferred.len() < DEFERRED;
            tokio::select! {
                done = &mut work => return done,
                Some(ask) = self.mailbox.recv(), if room => {
                    if let Ask::Stop(..) = &ask {
                        self.signal(Rung::Interrupt).await;
                    }
                    self.deferred.push_back(ask);
                }
            }
        }
    }

    pub(super) async fn signal(&self, rung: Rung) {
        if let Some(running) = &self.running {
            running.signal(rung).await;
        }
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn => self.spawn(),
            Effect::Write { id, line } => {
                if let Some(running) = &self.running {
                    running.write(id, line);
                }
            }
            Effect::Signal(rung) => self.signal(rung).await,
            Effect::Arm(rung) => self.rung = Some((Instant::now() + RUNG, rung)),
            Effect::Disarm => self.rung = None,
        }
    }
}
