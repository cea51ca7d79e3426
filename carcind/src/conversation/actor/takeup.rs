//! Taking up the Claude that an earlier run of the daemon had: dead or alive, it is found by what it left on disk.

use std::time::Duration;

use carcin_proto::event;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use uuid::Uuid;

use super::{Actor, describe};
use crate::child::{AdoptError, Adopted, ChildDir, Exit};
use crate::conversation::running::{Running, clear_away};

/// How long to wait before asking again what became of a child.
const ADOPT_RETRY: Duration = Duration::from_secs(1);

impl Actor {
    /// Takes up the child that the journal names, dead or alive.
    pub(super) async fn recover(&mut self) {
        let Some(row) = self.machine.row().child.clone() else { return self.machine.childless() };
        let Ok(generation) = row.generation.parse::<Uuid>() else { return self.machine.vanished() };
        let dir = ChildDir::open(&self.site.state_dir, generation);
        let running = loop {
            let running = match self.adopt(&dir).await {
                Adopted::Alive(child) => Running::alive(child, row.offset, &self.tasks),
                Adopted::Dead(Exit::NotStarted(_)) => return self.machine.vanished(),
                Adopted::Dead(exit) => Running::dead(dir.clone(), exit, row.offset),
            };
            match running {
                Ok(running) => break running,
                Err(error) if error.may_pass() => {
                    tracing::error!(conversation = %self.key, error = describe(&error), "cannot take up Claude; trying again");
                    tokio::time::sleep(ADOPT_RETRY).await;
                }
                Err(error) => {
                    tracing::error!(conversation = %self.key, error = describe(&error), "cannot read what Claude printed");
                    clear_away(dir).await;
                    return self.machine.exited(&event::Exit::Unknown, String::new());
                }
            }
        };
        if let Some(pid) = running.pid() {
            tracing::info!(conversation = %self.key, pid, "took up a Claude that runs");
            self.machine.adopted(pid);
        }
        self.running = Some(running);
    }

    /// What became of the child. As long as that is not known the conversation must not go on: a second Claude
    /// on its session would fork the transcript.
    async fn adopt(&self, dir: &ChildDir) -> Adopted {
        loop {
            match dir.adopt().await {
                Ok(adopted) => return adopted,
                Err(error) => {
                    tracing::error!(conversation = %self.key, %error, "cannot find out what became of Claude; trying again");
                    if let AdoptError::StillLaunching(pid) = error {
                        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
                    }
                    tokio::time::sleep(ADOPT_RETRY).await;
                }
            }
        }
    }
}
