//! Starting a Claude for the child that the journal names.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::ConversationKey;
use carcin_proto::event::{self, Level, Notice};
use nix::errno::Errno;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{Actor, describe};
use crate::child::{ChildDir, CreateError, SpawnError, Spec};
use crate::claude::launch::SessionArg;
use crate::claude::transcripts::Known;
use crate::conversation::running::{Running, clear_away};
use crate::conversation::site::{Site, check_folder, now};
use crate::store::{Commit, Item};

/// How long a program that is not there, or cannot be run, is looked for: an update takes it away for a moment.
const MISSING: Duration = Duration::from_secs(5);
/// How long a machine that is out of something is waited for, before the prompts are told that it was in vain.
const EXHAUSTED: Duration = Duration::from_mins(10);
/// Pauses between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

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
        self.give_up = CancellationToken::new();
        let (give_up, tasks) = (self.give_up.clone(), self.tasks.clone());
        self.starting = Some(self.tasks.spawn(async move {
            check_folder(&row.cwd)?;
            let generation = row.child.as_ref().and_then(|child| child.generation.parse().ok());
            let generation: Uuid = generation.ok_or("the journal names no child to start")?;
            let spec = site.spec(&key, &row, session, generation);
            let start = Start { site, key, generation, spec, tasks };
            start.insist(&give_up).await
        }));
    }

    pub(super) fn started(&mut self, result: Result<Box<Running>, String>) {
        match result {
            Ok(running) => {
                let pid = running.pid();
                self.running = Some(*running);
                // One that is started has a pid, also where it has ended since.
                self.machine.spawned(pid.unwrap_or_default());
            }
            Err(why) => {
                let exit = event::Exit::NotStarted(why);
                self.machine.exited(&exit, String::new());
            }
        }
    }
}

/// A start: which program, where and for whom.
struct Start {
    site: Arc<Site>,
    key: ConversationKey,
    generation: Uuid,
    spec: Spec,
    tasks: TaskTracker,
}

/// Why a try failed.
struct Failed {
    why: String,
    /// For how long it may be tried again.
    patience: Duration,
}

impl Start {
    /// Tries until it runs, cannot run, or was tried for long enough. A prompt need not fail for what passes.
    async fn insist(&self, give_up: &CancellationToken) -> Result<Box<Running>, String> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        loop {
            let Failed { why, patience } = match self.attempt().await {
                Ok(running) => return Ok(Box::new(running)),
                Err(failed) => failed,
            };
            if begun.elapsed() + pause > patience {
                return Err(why);
            }
            if patience == EXHAUSTED && !std::mem::replace(&mut told, true) {
                self.tell(&why).await;
            }
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = give_up.cancelled() => return Err(why),
            }
        }
    }

    async fn attempt(&self) -> Result<Running, Failed> {
        let dir = match ChildDir::create(&self.site.state_dir, self.generation, &self.spec) {
            Ok(dir) => dir,
            Err(error) => {
                // What there is of it is in the way of the next try. The name is ours alone, so what is there
                // already is what a try before this could not clear away.
                clear_away(ChildDir::open(&self.site.state_dir, self.generation)).await;
                let left = matches!(&error, CreateError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists);
                let patience = if left { EXHAUSTED } else { patience(errno(&error)) };
                return Err(Failed { why: describe(&error), patience });
            }
        };
        let failed = match dir.spawn(&self.site.launcher).await {
            // It runs, and had nothing to do yet. Left alone it would be in the way of the next one.
            Ok(child) => match Running::alive(child, 0, &self.tasks) {
                Ok(running) => return Ok(running),
                Err(error) => Failed { patience: patience(errno(&error)), why: describe(&error) },
            },
            Err(SpawnError::NotStarted(failure)) => {
                Failed { patience: patience(failure.errno), why: failure.to_string() }
            }
            Err(error) => Failed { patience: patience(errno(&error)), why: describe(&error) },
        };
        clear_away(dir).await;
        Err(failed)
    }

    /// Says that it takes longer, to whoever waits.
    async fn tell(&self, why: &str) {
        tracing::warn!(conversation = %self.key, why, "Claude cannot be started now; trying again");
        let notice = Notice {
            level: Level::Warning,
            text: format!("Claude cannot be started now: {why}"),
            hint: Some("What waits is begun as soon as it can be".to_owned()),
        };
        let items = vec![Item::Durable(notice.into())];
        let commit =
            Commit { conversation: self.key.clone(), at: now(), items, rows: Vec::new(), sync: false };
        if let Err(error) = self.site.store.commit(commit).await {
            tracing::debug!(%error, "a notice could not be kept");
        }
    }
}

/// For how long a failure with this number may be one that passes.
fn patience(errno: Option<i32>) -> Duration {
    use Errno::{
        EACCES, EAGAIN, EDQUOT, EIO, EMFILE, ENFILE, ENOBUFS, ENOENT, ENOEXEC, ENOMEM, ENOSPC, EROFS, ETXTBSY,
    };
    match errno.map(Errno::from_raw) {
        Some(EMFILE | ENFILE | ENOSPC | EDQUOT | ENOMEM | EAGAIN | ENOBUFS | EROFS | EIO) => EXHAUSTED,
        // Being replaced, it is not there, not executable yet, or open for writing.
        Some(ENOENT | EACCES | ETXTBSY | ENOEXEC) => MISSING,
        _ => Duration::ZERO,
    }
}

/// The system's number of an error, or of what caused it.
fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(errno) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(errno);
        }
        cause = error.source();
    }
    None
}
