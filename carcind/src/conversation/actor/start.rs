//! Starting a Claude for the child that the journal names.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::{ConversationKey, SessionId, event};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::insist::{Failed, Insist};
use super::{Actor, Start, describe};
use crate::child::{Adopted, Child, ChildDir, SpawnError};
use crate::claude::launch::SessionArg;
use crate::claude::transcripts::Known;
use crate::conversation::clearing::{clear_away, end_for_good, fate_of};
use crate::conversation::running::Running;
use crate::conversation::site::Site;
use crate::fault::{self, Point};
use crate::folder;
use crate::rows::ConversationRow;

/// How long looking for a transcript may take: a home directory may be on another machine. A stop waits for it, and is
/// to have its effect within two seconds.
const LOOK: Duration = Duration::from_secs(1);

impl Actor {
    /// Resume or begin: whichever Claude takes, by what is known of the transcript.
    async fn choose_session(&mut self) -> Option<SessionArg> {
        let row = self.machine.row();
        let (session, used) = (row.session.clone()?, row.session_used);
        let known = match self.look_for(&session).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(conversation = %self.key, %session, %error, "cannot look for the transcript");
                // What cannot be seen may be there; Claude itself says so if it is not.
                return Some(if used { SessionArg::Resume(session) } else { SessionArg::New(session) });
            }
        };
        match known {
            Known::Yes(_) => return Some(SessionArg::Resume(session)),
            Known::No if !used => return Some(SessionArg::New(session)),
            Known::No | Known::Unusable => self.machine.session_missing(),
        }
        self.machine.row().session.clone().map(SessionArg::New)
    }

    async fn look_for(&self, session: &SessionId) -> io::Result<Known> {
        let (site, wanted) = (Arc::clone(&self.site), session.clone());
        timeout(LOOK, spawn_blocking(move || site.transcripts.known(&wanted))).await??
    }

    pub(super) async fn spawn(&mut self) {
        fault::point(Point::SpawnDue);
        let Some(session) = self.choose_session().await else { return };
        let (row, key, site) = (self.machine.row().clone(), self.key.clone(), Arc::clone(&self.site));
        let give_up = CancellationToken::new();
        self.give_up = Some(give_up.clone().drop_guard());
        let attempt = Attempt { site, tasks: self.tasks.clone(), key, row, session };
        let start = start(attempt, give_up);
        self.starting = Some(self.tasks.spawn(start));
    }

    pub(super) fn started(&mut self, result: Result<Start, JoinError>) {
        match result {
            Ok(Ok((running, pid))) => {
                fault::point(Point::SpawnedUnrecorded);
                self.running = Some(*running);
                self.machine.spawned(pid);
            }
            Ok(Err(why)) => self.machine.exited(&event::Exit::NotStarted(why), String::new()),
            Err(error) => {
                // A defect, and so nobody knows what runs.
                let exit = event::Exit::NotStarted(format!("starting it failed: {error}"));
                self.clear(self.child_dir(), exit, String::new());
            }
        }
    }

    /// The directory of the child that the journal names.
    pub(super) fn child_dir(&self) -> Option<ChildDir> {
        let generation = generation(self.machine.row())?;
        Some(ChildDir::open(&self.site.state_dir, generation))
    }
}

fn generation(row: &ConversationRow) -> Option<Uuid> {
    row.child.as_ref()?.generation.parse().ok()
}

/// A start: of what, where and for whom.
struct Attempt {
    site: Arc<Site>,
    tasks: TaskTracker,
    key: ConversationKey,
    row: ConversationRow,
    session: SessionArg,
}

/// Tries for as long as what is in the way may pass.
async fn start(attempt: Attempt, give_up: CancellationToken) -> Start {
    let mut insist = Insist::new(Arc::clone(&attempt.site), attempt.key.clone(), give_up);
    loop {
        match attempt.make(&mut insist).await {
            Ok(started) => return Ok(started),
            Err(failed) => insist.again(failed).await?,
        }
    }
}

impl Attempt {
    async fn make(&self, insist: &mut Insist) -> Result<(Box<Running>, u32), Failed> {
        let generation =
            generation(&self.row).ok_or_else(|| Failed::for_good("the journal names no child to start"))?;
        let dir = ChildDir::open(&self.site.state_dir, generation);
        if insist.has_tried() {
            // What is left of the try before is in the way of this one. The name is ours alone.
            clear_away(dir.clone()).await;
        }
        let (site, key, row, session) =
            (Arc::clone(&self.site), self.key.clone(), self.row.clone(), self.session.clone());
        let create = move || {
            folder::check(&row.cwd).map_err(Failed::for_good)?;
            site.check_not_open_elsewhere(&row, &session).map_err(Failed::for_good)?;
            let spec = site.spec(&key, &row, session, generation);
            ChildDir::create(&site.state_dir, generation, &spec).map_err(|error| Failed::of(&error))
        };
        let dir = spawn_blocking(create).await.map_err(|error| Failed::of(&error))??;
        fault::point(Point::DirectoryMade);
        let child = self.launch(&dir, insist).await?;
        let pid = child.pid();
        match Running::alive(child, 0, &self.tasks) {
            Ok(running) => Ok((Box::new(running), pid)),
            Err(error) => {
                let failed = Failed::of(&error);
                insist.tell(&failed).await;
                // It runs, and had nothing to do yet. Left alone it would be in the way of the next one.
                end_for_good(dir).await;
                Err(failed)
            }
        }
    }

    async fn launch(&self, dir: &ChildDir, insist: &mut Insist) -> Result<Child, Failed> {
        let error = match dir.spawn(&self.site.launcher).await {
            Ok(child) => return Ok(child),
            Err(error) => error,
        };
        let failed = match &error {
            SpawnError::NotStarted(failure) => Failed::because(failure.to_string(), failure.errno),
            error => Failed::of(error),
        };
        insist.tell(&failed).await;
        // It may run all the same, or be about to.
        match fate_of(dir).await {
            Adopted::Alive(child) => {
                tracing::warn!(
                    pid = child.pid(),
                    error = describe(&error),
                    "Claude runs, though its start could not be followed"
                );
                Ok(child)
            }
            Adopted::Dead(_) => {
                clear_away(dir.clone()).await;
                Err(failed)
            }
        }
    }
}
