//! Starting a Claude for the child that the journal names.

use std::sync::Arc;

use carcin_proto::event;
use uuid::Uuid;

use super::{Actor, describe};
use crate::child::{Child, ChildDir, SpawnError};
use crate::claude::launch::SessionArg;
use crate::claude::transcripts::Known;
use crate::conversation::running::{Running, clear_away};
use crate::conversation::site::check_folder;

impl Actor {
    /// Resume or begin: whichever Claude takes, by what is known of the transcript.
    fn choose_session(&mut self) -> Option<SessionArg> {
        let row = self.machine.row();
        let session = row.session.clone()?;
        match self.site.transcripts.known(&session) {
            Known::Yes(_) => return Some(SessionArg::Resume(session)),
            Known::No if !row.session_used => return Some(SessionArg::New(session)),
            Known::No | Known::Unusable => self.machine.session_missing(),
        }
        self.machine.row().session.clone().map(SessionArg::New)
    }

    pub(super) fn spawn(&mut self) {
        let Some(session) = self.choose_session() else { return };
        let (row, key, site) = (self.machine.row().clone(), self.key.clone(), Arc::clone(&self.site));
        self.starting = Some(self.tasks.spawn(async move {
            check_folder(&row.cwd)?;
            let generation = row.child.as_ref().and_then(|child| child.generation.parse().ok());
            let generation: Uuid = generation.ok_or("the journal names no child to start")?;
            let spec = site.spec(&key, &row, session, generation);
            let dir =
                ChildDir::create(&site.state_dir, generation, &spec).map_err(|error| describe(&error))?;
            match dir.spawn(&site.launcher).await {
                Ok(child) => Ok(child),
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

    pub(super) async fn started(&mut self, result: Result<Child, String>) {
        match result {
            Ok(child) => {
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
