//! Taking up the Claude that an earlier run of the daemon had: dead or alive, it is found by what it left on disk.

use std::time::Duration;

use carcin_proto::event;
use tokio::time::sleep;

use super::{Actor, describe};
use crate::child::{Adopted, ChildDir, Exit};
use crate::conversation::clearing::{clear_away, end_for_good, fate_of};
use crate::conversation::running::Running;
use crate::fault::{self, Point};

/// How long to wait before trying again to take up a child.
const TAKE_UP_RETRY: Duration = Duration::from_secs(1);

impl Actor {
    /// Takes up the child that the journal names, dead or alive.
    pub(super) async fn recover(&mut self) {
        let Some(row) = self.machine.row().child.clone() else { return self.machine.childless() };
        let Some(dir) = self.child_dir() else { return self.machine.vanished() };
        fault::point(Point::Recovering);
        let running = loop {
            let running = match fate_of(&dir).await {
                Adopted::Alive(child) => Running::alive(child, row.offset, &self.tasks),
                Adopted::Dead(Exit::NotStarted(_)) => {
                    // Should it stay, the next start takes it for a stray.
                    tokio::spawn(clear_away(dir));
                    return self.machine.vanished();
                }
                Adopted::Dead(exit) => Running::dead(dir.clone(), exit, row.offset),
            };
            match running {
                Ok(running) => break running,
                Err(error) if error.may_pass() => {
                    tracing::error!(conversation = %self.key, error = describe(&error), "cannot take up Claude; trying again");
                    sleep(TAKE_UP_RETRY).await;
                }
                Err(error) => {
                    tracing::error!(conversation = %self.key, error = describe(&error), "cannot read what Claude printed");
                    return self.clear(Some(dir), event::Exit::Unknown, String::new());
                }
            }
        };
        if let Some(pid) = running.pid() {
            tracing::info!(conversation = %self.key, pid, "took up a Claude that runs");
            self.machine.adopted(pid);
        }
        self.running = Some(running);
        fault::point(Point::AdoptedUncommitted);
    }

    /// Ends a Claude that cannot be worked with. The conversation goes on, with another, once it is gone for certain.
    pub(super) fn clear(&mut self, dir: Option<ChildDir>, exit: event::Exit, stderr_tail: String) {
        self.clearing = Some(self.tasks.spawn(async move {
            if let Some(dir) = dir {
                end_for_good(dir).await;
            }
            (exit, stderr_tail)
        }));
    }
}
