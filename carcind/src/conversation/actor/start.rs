//! Starting a Claude for the child that the journal names.

use std::sync::Arc;

use carcin_proto::event;
use uuid::Uuid;

use super::{Actor, describe};
use crate::child::{Child, ChildDir, SpawnError};
use crate::conversation::running::{Running, clear_away};

/// What became of a start.
pub(super) enum Start {
    Runs(Child),
    /// Nothing was started: the session cannot be gone on with.
    NoSession,
}

impl Actor {
    pub(super) fn spawn(&mut self) {
        let (row, key, site) = (self.machine.row().clone(), self.key.clone(), Arc::clone(&self.site));
        self.starting = Some(self.tasks.spawn(async move {
            let (looker, looked_at) = (Arc::clone(&site), row.clone());
            let looked = tokio::task::spawn_blocking(move || looker.look_before_start(&looked_at)).await;
            let session = looked.map_err(|error| format!("looking at its session failed: {error}"))??;
            let Some(session) = session else { return Ok(Start::NoSession) };
            let generation = row.child.as_ref().and_then(|child| child.generation.parse().ok());
            let generation: Uuid = generation.ok_or("the journal names no child to start")?;
            let spec = site.spec(&key, &row, session, generation);
            let dir =
                ChildDir::create(&site.state_dir, generation, &spec).map_err(|error| describe(&error))?;
            match dir.spawn(&site.launcher).await {
                Ok(child) => Ok(Start::Runs(child)),
                Err(error) => {
                    clear_away(dir).await;
                    match error {
                        SpawnError::NotStarted(failure) => Err(failure.to_string()),
                        error => Err(describe(&error)),
                    }
                }
            }
        }));
    }

    pub(super) async fn started(&mut self, result: Result<Start, String>) {
        match result {
            Ok(Start::NoSession) if self.machine.is_starting() => {
                self.machine.session_missing();
                self.flush().await;
                self.spawn();
            }
            // Told to end meanwhile: there is nothing that would have to.
            Ok(Start::NoSession) => self.machine.vanished(),
            Ok(Start::Runs(child)) => {
                let (pid, dir) = (child.pid(), child.dir().clone());
                match Running::alive(child, 0, &self.tasks) {
                    Ok(running) => {
                        self.running = Some(running);
                        self.machine.spawned(pid);
                    }
                    Err(error) => {
                        // It runs, and had nothing to do yet. Left alone it would be in the way of the next one.
                        clear_away(dir).await;
                        self.machine.not_started(&describe(&error));
                    }
                }
            }
            Err(why) => {
                let exit = event::Exit::NotStarted(why);
                self.machine.exited(&exit, String::new());
            }
        }
    }
}
