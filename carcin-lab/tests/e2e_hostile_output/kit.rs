//! A Claude that prints what it is told to, and what the daemon makes of it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use carcin_lab::rig::{Rig, Talk};
use carcin_proto::event::{PromptOutcome, Unrecognised, UnrecognisedLines};
use carcin_proto::request::ConversationStatus;
use carcin_proto::{ConversationKey, Event, PromptId, Reply, Request};
use serde_json::{Value, json};

use crate::e2e_support::pace::not_slowed;
use crate::e2e_support::proc::peak;

/// The most memory that the daemon may ever use, in KiB.
const MEMORY: u64 = 100 << 10;
/// Longer than a gigabyte takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);
pub(crate) const MIB: u64 = 1 << 20;

/// The steps that print these parts, see [`carcin_lab::script::Emission`], and then say "After".
pub(crate) fn emit(parts: &Value) -> String {
    format!("!emit {}\n!text After", json!({ "parts": parts }))
}

/// An `assistant` frame with these content blocks, as a line.
pub(crate) fn assistant(content: &Value) -> String {
    let message = json!({ "id": "msg_1", "role": "assistant", "model": "m", "content": content });
    format!("{}\n", json!({ "type": "assistant", "message": message, "parent_tool_use_id": null }))
}

/// The same with one text.
pub(crate) fn said(text: &str) -> String {
    assistant(&json!([{ "type": "text", "text": text }]))
}

/// What was not understood, line by line as far as that is kept, and how many more there were.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    pub(crate) alone: Vec<Unrecognised>,
    pub(crate) together: Vec<UnrecognisedLines>,
}

impl Unread {
    pub(crate) fn lines(&self) -> u64 {
        self.alone.len() as u64 + self.together.iter().map(|many| many.lines).sum::<u64>()
    }

    pub(crate) fn kept(&self) -> impl Iterator<Item = &Unrecognised> {
        self.alone.iter().chain(self.together.iter().flat_map(|many| &many.kept))
    }

    pub(crate) fn events(&self) -> usize {
        self.alone.len() + self.together.len()
    }
}

/// Waits until a prompt is done, and gives Claude's texts in its turn.
pub(crate) async fn answer_to(talk: &Talk, rig: &Rig, prompt: PromptId) -> anyhow::Result<Vec<String>> {
    match rig.events.wait_within("the prompt's end", PATIENCE, |log| log.outcome(prompt)).await? {
        PromptOutcome::Completed => {}
        outcome => bail!("the prompt ended {outcome:?}\n{}", rig.events.log().transcript()),
    }
    let log = rig.events.log();
    let turn = log.turn_of(prompt).context("a prompt was completed that was never started")?;
    Ok(log.texts(talk.key(), turn))
}

/// Sends a prompt and waits until it is done.
pub(crate) async fn say(talk: &Talk, rig: &Rig, prompt: &str) -> anyhow::Result<Vec<String>> {
    let prompt = talk.send(prompt).await?;
    answer_to(talk, rig, prompt).await
}

/// Everything in the journal that was not understood.
pub(crate) fn unread(rig: &Rig) -> Unread {
    let mut unread = Unread::default();
    for envelope in rig.events.log().envelopes() {
        match &envelope.event {
            Event::Unrecognised(line) => unread.alone.push(line.clone()),
            Event::UnrecognisedLines(many) => unread.together.push(many.clone()),
            _ => {}
        }
    }
    unread
}

/// The conversation as `carcin-ctl status` has it.
pub(crate) async fn status(rig: &Rig, key: &ConversationKey) -> anyhow::Result<ConversationStatus> {
    let Reply::Status(status) = rig.request(&Request::Status).await? else { bail!("no status") };
    status.conversations.into_iter().find(|known| known.key == *key).context("the conversation is not known")
}

/// How much the files below take on disk, in bytes.
pub(crate) fn on_disk(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(meta) = std::fs::symlink_metadata(path) else { return 0 };
    let below = std::fs::read_dir(path).into_iter().flatten().flatten();
    meta.blocks() * 512 + below.map(|entry| on_disk(&entry.path())).sum::<u64>()
}

/// Checks that the daemon's memory has stayed small since its start.
fn small(what: &str, rig: &Rig) -> anyhow::Result<()> {
    let peak = peak(rig.daemon.pid());
    println!("{what}: carcind had {peak} KiB at most");
    ensure!(peak < MEMORY, "{what}: carcind used {peak} KiB");
    Ok(())
}

/// Has another daemon go on in the place of this one, whose memory is looked at first.
pub(crate) async fn replaced(what: &str, rig: &mut Rig) -> anyhow::Result<()> {
    small(what, rig)?;
    rig.kill_daemon().await?;
    rig.restart_daemon().await
}

/// Checks that the daemon's memory stayed small and that Claude was not held up, and ends the rig.
pub(crate) async fn finish(what: &str, rig: Rig) -> anyhow::Result<()> {
    not_slowed(what, &rig.places.home())?;
    small(what, &rig)?;
    rig.finish().await
}

/// As in the crate's other tests.
pub(crate) use crate::e2e_support::{eventually, run};
