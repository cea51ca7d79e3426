//! Claudes that run and of which the journal knows nothing, because the journal is not the one in which they were begun:
//! it was lost, or damaged. Each says whose it is, and is given back to its conversation, so that it goes on working
//! where it can be seen and stopped.

use std::path::Path;

use anyhow::Context;
use carcin_proto::event::{ConversationOpened, Level, Notice, SessionCause, SessionChanged};
use carcin_proto::{ConversationKey, Millis};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::child::{AdoptError, Adopted, Child, ChildDir, Spec};
use crate::claude::{begins_turn, launch};
use crate::conversation::machine::Machine;
use crate::fault::{self, Point};
use crate::rows::{ChildRow, ConversationRow, Item, Loaded, Row};
use crate::store::{Commit, Origin, Store};

/// How often a launcher that hangs is ended, and waited for.
const TRIES: u32 = 2;

/// Gives each Claude that no conversation knows to its conversation, which may have to be made for it. Where this is
/// cut off or fails, the next start does it again, from where it came to: what is done is in the journal.
pub(super) async fn take_up(state_dir: &Path, store: &Store, loaded: &mut Vec<Loaded>) -> anyhow::Result<()> {
    if *store.origin() == Origin::Kept {
        return Ok(());
    }
    fault::point(Point::FoundlingsUnknown);
    for generation in ChildDir::list(state_dir).context("cannot list the children")? {
        let known = |loaded: &Loaded| {
            loaded.conversation.child.as_ref().is_some_and(|child| child.generation == generation.to_string())
        };
        if loaded.iter().any(known) {
            continue;
        }
        let dir = ChildDir::open(state_dir, generation);
        // Let go again at once: its conversation takes it up like any other.
        let Some(child) = find(&dir).await? else { continue };
        let Some((key, row)) = dir.spec().and_then(|spec| describe(&dir, child.pid(), &spec)) else {
            continue;
        };
        let place = loaded.iter().position(|loaded| loaded.key == key);
        let before = match place {
            Some(at) => Some(loaded.swap_remove(at)),
            // One with nothing open is not loaded.
            None => store.load(&key).await.context("cannot look for a conversation")?,
        };
        if let Some(before) = before.as_ref().filter(|before| before.conversation.child.is_some()) {
            loaded.push(before.clone());
            continue;
        }
        tracing::warn!(conversation = %key, pid = child.pid(), "the journal does not know this Claude; it is taken up");
        let is_new = before.is_none();
        let empty = Loaded {
            key: key.clone(),
            conversation: row.clone(),
            prompts: vec![],
            inputs: vec![],
            requests: vec![],
        };
        let mut known = before.unwrap_or(empty);
        known.conversation.child = row.child;
        store
            .commit(commit(&known, is_new, Millis::now()))
            .await
            .context("cannot note a Claude that the journal does not know")?;
        loaded.push(known);
    }
    fault::point(Point::FoundlingsKnown);
    store.forget_origin().context("cannot note that all Claudes are known")
}

/// The Claude in this directory, if one runs there. Where that cannot be told, the start is to be tried again: one that is
/// passed over is ended as a stray.
async fn find(dir: &ChildDir) -> anyhow::Result<Option<Child>> {
    for _ in 0..TRIES {
        match dir.adopt().await {
            Ok(Adopted::Alive(child)) => return Ok(Some(child)),
            Ok(Adopted::Dead(_)) => return Ok(None),
            // It has had its time, and nobody has given anything to a Claude that is not there yet.
            Err(AdoptError::StillLaunching(pid)) => {
                tracing::error!(path = %dir.path().display(), pid, "a launcher hangs; it is ended");
                let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
            }
            Err(error) => {
                let path = dir.path().display();
                return Err(error)
                    .with_context(|| format!("cannot find out what became of the Claude in {path}"));
            }
        }
    }
    // Not even SIGKILL ends it before the kernel lets it go, and then at once: no Claude comes of it.
    Ok(None)
}

/// Whose Claude it is, and what is known of it. It is read again from the beginning of its last turn: how far it was
/// read is not known, and something told twice is better than something never told.
fn describe(dir: &ChildDir, pid: u32, spec: &Spec) -> Option<(ConversationKey, ConversationRow)> {
    let key = spec.env.iter().find(|(name, _)| name == launch::CONVERSATION)?.1.as_str();
    let session = launch::session_of(&spec.argv);
    let child = ChildRow {
        generation: dir.generation().to_string(),
        offset: dir.last_line(begins_turn).unwrap_or(0),
        pid: Some(pid),
        prompted: true,
        session: session.clone(),
        ..ChildRow::default()
    };
    let row = ConversationRow {
        cwd: spec.cwd.clone(),
        session,
        session_used: true,
        child: Some(child),
        ..ConversationRow::default()
    };
    Some((ConversationKey::new(key).ok()?, row))
}

fn commit(known: &Loaded, is_new: bool, at: Millis) -> Commit {
    let row = &known.conversation;
    let mut items = Vec::new();
    if is_new {
        let (cwd, session) = (row.cwd.clone(), row.session.clone());
        items.push(Item::Durable(ConversationOpened { cwd: cwd.clone() }.into()));
        items.push(Item::Durable(SessionChanged { session, cwd, cause: SessionCause::Resumed }.into()));
    } else {
        items.push(Item::Durable(Machine::load(known.clone()).recalled().into()));
    }
    let notice = Notice {
        level: Level::Warning,
        text: "The journal was lost: Claude goes on, and its last turn is told once more".to_owned(),
        hint: None,
    };
    items.push(Item::Durable(notice.into()));
    let rows = vec![Row::Conversation(Box::new(row.clone()))];
    Commit { conversation: known.key.clone(), at, items, rows, sync: true }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::store::KEEP_AT_LEAST;

    fn open(dir: &Path) -> (Store, Vec<Loaded>) {
        Store::open(dir, "boot", KEEP_AT_LEAST).expect("the journal opens")
    }

    #[tokio::test]
    async fn a_start_that_cannot_tell_whether_a_claude_runs_is_tried_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let child = dir.path().join("children").join(Uuid::new_v4().to_string());
        // Its directory cannot be closed: that is done by way of this file.
        let in_the_way = child.join(format!("pid.{}.tmp", std::process::id()));
        std::fs::create_dir_all(&in_the_way).expect("a directory");
        let (store, mut loaded) = open(dir.path());
        let error = take_up(dir.path(), &store, &mut loaded).await.expect_err("it cannot be told");
        assert!(error.to_string().starts_with("cannot find out what became of the Claude in"), "{error:#}");
        drop(store);

        let (store, mut loaded) = open(dir.path());
        assert_eq!(*store.origin(), Origin::New, "it is still to be done");
        std::fs::remove_dir(&in_the_way).expect("it is removed");
        take_up(dir.path(), &store, &mut loaded).await.expect("there is no Claude");
        drop(store);
        assert_eq!(*open(dir.path()).0.origin(), Origin::Kept);
    }
}
