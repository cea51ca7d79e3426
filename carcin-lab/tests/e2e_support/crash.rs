//! What the tests of the crash matrix share: a daemon with a fault, and what is looked at after its death.

use carcin_lab::rig::{Claude, Fault, Rig};
use carcin_proto::event::PromptOutcome;
use carcin_proto::{Event, PromptId};
use tokio::task::JoinHandle;

use super::eventually;
use super::front::Front;
use super::journal::state_of;

pub async fn start(claude: Claude) -> anyhow::Result<(Rig, Front)> {
    let rig = Rig::builder().claude(claude).faults().permission_mode("bypassPermissions").start().await?;
    let front = Front::new(&rig, "tg:1");
    Ok((rig, front))
}

/// The daemon that runs is replaced by one with this fault.
pub async fn armed(rig: &mut Rig, point: &str) -> anyhow::Result<()> {
    rig.restart_armed(Fault::at(point)).await
}

/// Asks in the background, as a front end does while the daemon dies under it.
pub fn say(
    front: &Front,
    key: &'static str,
    text: &'static str,
) -> JoinHandle<anyhow::Result<PromptOutcome>> {
    let front = front.clone();
    tokio::spawn(async move { front.say(key, text).await })
}

/// It is the first witness: what the model was asked, each once, and nothing was begun again.
pub fn asked_once(rig: &Rig, prompts: &[&str]) -> anyhow::Result<()> {
    let (asked, begun) = (rig.asked()?, rig.begun()?);
    anyhow::ensure!(asked == prompts, "the model was asked {asked:?}\n{}", rig.events.log().transcript());
    anyhow::ensure!(begun == prompts, "turns were begun with {begun:?}\n{}", rig.events.log().transcript());
    Ok(())
}

/// The same of several sessions, whose order nobody knows. What was sent while Claude worked begins no turn.
pub fn asked_in_any_order(rig: &Rig, prompts: &[&str]) -> anyhow::Result<()> {
    let (asked, begun) = (rig.asked()?, rig.begun()?);
    let sorted = |prompts: &[&str]| {
        let mut prompts: Vec<String> = prompts.iter().map(|prompt| (*prompt).to_owned()).collect();
        prompts.sort_unstable();
        prompts
    };
    let all: Vec<&str> = asked.iter().map(String::as_str).collect();
    let transcript = rig.events.log().transcript();
    anyhow::ensure!(sorted(&all) == sorted(prompts), "the model was asked {asked:?}\n{transcript}");
    let times = |all: &[String], prompt: &str| all.iter().filter(|each| *each == prompt).count();
    let again = begun.iter().find(|prompt| times(&begun, prompt) > times(&asked, prompt));
    anyhow::ensure!(again.is_none(), "{again:?} was begun again\n{transcript}");
    Ok(())
}

/// How often something is in the journal.
pub async fn journalled(rig: &Rig, is_it: impl Fn(&Event) -> bool) -> anyhow::Result<usize> {
    Ok(rig.journal().await?.iter().filter(|(_, envelope)| is_it(&envelope.event)).count())
}

/// Waits until a prompt is in this state in the journal: nobody is told of these.
pub async fn in_state(rig: &Rig, prompt: PromptId, state: &str) -> anyhow::Result<()> {
    let is_it = || (state_of(rig, prompt).ok()?? == state).then_some(());
    eventually(&format!("the prompt to be {state}"), is_it).await
}

/// The directories of Claudes.
pub fn directories(rig: &Rig) -> usize {
    std::fs::read_dir(rig.places.state().join("children")).into_iter().flatten().count()
}

/// Waits until there are so many; they are removed behind everybody's back.
pub async fn has_directories(rig: &Rig, count: usize) -> anyhow::Result<()> {
    eventually("the directories to be removed", || (directories(rig) == count).then_some(())).await
}

/// What was said of failures.
pub fn complaints(front: &Front) -> Vec<String> {
    let log = front.events.log();
    let complaint = |event: &Event| match event {
        Event::ProcessEnded(ended) => ended.message.clone(),
        Event::Notice(notice) => Some(notice.text.clone()),
        _ => None,
    };
    log.envelopes().filter(|e| e.conversation == front.key).filter_map(|e| complaint(&e.event)).collect()
}
