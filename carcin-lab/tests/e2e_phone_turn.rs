//! A turn as its owner sees it: what Claude does while it does it, the text while it comes, and one end.

#[macro_use]
mod e2e_support;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use carcin_lab::rig::{Claude, PATIENCE, Rig};
use carcin_lab::telegram::{LabState, Media, MediaKind};
use carcin_proto::Event;
use e2e_support::{PIXEL, bash};

with_either_claude! {
    a_task_leaves_a_card_and_an_answer_and_makes_one_sound,
    a_text_that_comes_is_a_draft_until_it_is_a_message,
    draft_goes_on_soon_after_a_restart_of_either_program,
    picture_that_a_tool_returns_is_shown_once,
    telegrams_own_stop_button_stops_claude,
    a_subagent_is_shown_with_what_it_does,
    a_stop_in_the_middle_of_a_tool_is_no_failure,
}

/// How long after a restart a draft may stand still: two seconds are promised, the rest is for a machine under load.
const GOES_ON: Duration = Duration::from_secs(5);

async fn start(claude: Claude) -> anyhow::Result<Rig> {
    Rig::builder().claude(claude).front().permission_mode("bypassPermissions").start().await
}

async fn a_task_leaves_a_card_and_an_answer_and_makes_one_sound(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let since = rig.telegram.mark();
    rig.write(&format!(
        "!todo > Look around | Write it down\n{}\n!gate on\n!todo x Look around | x Write it down\n{}\n!text All is well",
        bash("echo one >> $CWD/notes"),
        bash("echo two >> $CWD/notes"),
    ))?;
    rig.sees("🔄 Look around").await?;
    rig.sees("echo one").await?;
    rig.open_gate("on")?;
    let answer = rig.sees("All is well").await?;
    assert!(!answer.silent);
    let done = rig.sees("✅ Done · 2 tools").await?;
    assert!(done.text().contains("Bash 2"), "{}", done.text());
    let figures = rig.telegram.figures(rig.owner(), since);
    assert_eq!(
        (figures.messages_left, figures.sounds, figures.failed),
        (2, 1, 0),
        "{figures:?}\n{:#?}",
        rig.shown()
    );
    rig.finish().await
}

/// The draft that is shown to the owner.
async fn draft(rig: &Rig, part: &str) -> anyhow::Result<i64> {
    let owner = rig.owner();
    let find = |state: &carcin_lab::telegram::LabState| {
        let draft = state.draft(owner, None)?;
        draft.frames.back()?.content.text.contains(part).then_some(draft.id)
    };
    rig.telegram.wait_for(&format!("a draft with {part:?}"), PATIENCE, find).await
}

async fn a_text_that_comes_is_a_draft_until_it_is_a_message(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write("!stream 200 words 60ms\n!text The end")?;
    draft(&rig, "[10]").await?;
    rig.sees("The end").await?;
    rig.sees("Done").await?;
    assert_eq!(rig.count("[10]"), 1, "{:#?}", rig.shown());
    assert!(rig.telegram.look(|state| state.draft(rig.owner(), None).is_none()));
    rig.finish().await
}

fn photos(rig: &Rig) -> Vec<(bool, u64)> {
    let messages = rig.telegram.messages(rig.owner());
    let photo = |media: &Media| (media.kind == MediaKind::Photo).then_some(media.size);
    messages
        .iter()
        .filter_map(|message| Some((message.silent, message.content.media.as_ref().and_then(photo)?)))
        .collect()
}

async fn picture_that_a_tool_returns_is_shown_once(claude: Claude) -> anyhow::Result<()> {
    let mut rig = start(claude).await?;
    let path = rig.places.work().join("dot.png");
    std::fs::write(&path, PIXEL)?;
    let read = serde_json::json!({ "file_path": path });
    rig.write(&format!("!tool Read {read}\n!text Seen"))?;
    rig.sees("Seen").await?;
    rig.sees("Done").await?;
    let [(silent, size)] = photos(&rig)[..] else { anyhow::bail!("{:#?}", rig.shown()) };
    assert!(silent && size > 0);
    let journal = rig.journal().await?;
    let of = |event: &Event| match event {
        Event::ToolPicture(picture) => Some(picture.path.clone()),
        _ => None,
    };
    let kept: Vec<_> = journal.iter().filter_map(|(_, envelope)| of(&envelope.event)).collect();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].starts_with(rig.places.state().canonicalize()?), "{kept:?}");
    rig.kill_daemon().await?;
    rig.kill_front().await?;
    rig.restart_daemon().await?;
    rig.restart_front().await?;
    rig.write("!text Still here")?;
    rig.sees("Still here").await?;
    assert_eq!(photos(&rig).len(), 1);
    rig.finish().await
}

/// How many words the owner has been shown of the text that is being written.
fn words_shown(state: &LabState, owner: i64) -> Option<usize> {
    let text = &state.draft(owner, None)?.frames.back()?.content.text;
    let (_, last) = text.rsplit_once('[')?;
    last.split_once(']')?.0.parse().ok()
}

async fn draft_goes_on_soon_after_a_restart_of_either_program(claude: Claude) -> anyhow::Result<()> {
    let mut rig = start(claude).await?;
    rig.write("!stream 5000 words 20ms")?;
    draft(&rig, "[10]").await?;
    for (front, daemon) in [(true, false), (false, true), (true, true)] {
        if front {
            rig.kill_front().await?;
        }
        if daemon {
            rig.kill_daemon().await?;
        }
        let owner = rig.owner();
        let before = rig.telegram.look(|state| words_shown(state, owner)).context("a draft")?;
        if daemon {
            rig.restart_daemon().await?;
        }
        if front {
            rig.restart_front().await?;
        }
        let restarted = Instant::now();
        let what = format!("more than {before} words after a restart (bot {front}, daemon {daemon})");
        let more = |state: &LabState| words_shown(state, owner).filter(|shown| *shown > before);
        rig.telegram.wait_for(&what, PATIENCE, more).await?;
        let took = restarted.elapsed();
        println!("{what}: {took:?}");
        assert!(took < GOES_ON, "{what}: {took:?}");
    }
    rig.owners_talk().stop().await?;
    rig.sees("Stopped").await?;
    assert_eq!(rig.count("[10]"), 1, "{:#?}", rig.shown());
    rig.finish().await
}

async fn telegrams_own_stop_button_stops_claude(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write("!stream 5000 words 20ms")?;
    let draft = draft(&rig, "[10]").await?;
    rig.telegram.stop_draft(rig.owner(), draft)?;
    rig.sees("Stopped by").await?;
    rig.owners_talk().idle().await?;
    assert_eq!(rig.count("Done"), 0);
    rig.finish().await
}

/// A command that runs until the file `go` is there.
fn waits_for_go() -> String {
    "while [ ! -e $CWD/go ]; do sleep 0.1; done".to_owned()
}

/// Claude Code runs it in the background unless it is told otherwise, and its call comes back at once.
async fn a_subagent_is_shown_with_what_it_does(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let agent = serde_json::json!({
        "description": "Look for the leak",
        "prompt": format!("{}\n!text Seen", bash(&waits_for_go())),
        "subagent_type": "general-purpose",
    });
    rig.write(&format!("!tool Agent {agent}\n!gate on\n!text All is well"))?;
    let card = rig.sees("\u{2003}▸ Bash while").await?;
    assert!(card.text().contains("▸ Task Look for the leak"), "{}", card.text());
    std::fs::write(rig.places.work().join("go"), "")?;
    rig.open_gate("on")?;
    rig.sees("All is well").await?;
    rig.sees("✅ Done · 2 tools").await?;
    rig.finish().await
}

async fn a_stop_in_the_middle_of_a_tool_is_no_failure(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write(&bash(&waits_for_go()))?;
    rig.sees("▸ Bash while").await?;
    rig.write("/stop")?;
    let card = rig.sees("Stopped by").await?;
    rig.owners_talk().idle().await?;
    assert!(card.text().contains("· 1 tool ·"), "{}", card.text());
    assert_eq!(rig.count("✗"), 0, "{:#?}", rig.shown());
    rig.finish().await
}
