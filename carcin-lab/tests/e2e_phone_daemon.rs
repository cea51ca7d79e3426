//! What a phone asks of the daemon besides prompts: to take one back, to show Claude a picture, to say what there is.

#[macro_use]
mod e2e_support;

use std::path::Path;

use carcin_lab::rig::{Claude, Rig};
use carcin_proto::event::PromptOutcome;
use carcin_proto::request::{Placement, Withdrawal};
use e2e_support::{bash, eventually, slay};
use serde_json::Value;

with_either_claude! {
    a_prompt_is_taken_back_wherever_it_waits,
    a_prompt_is_taken_back_although_the_daemon_dies,
    claude_sees_the_pictures_of_a_prompt_also_when_it_dies_on_it,
    a_picture_of_hundreds_of_kilobytes_reaches_claude,
}

/// A Bash call that lasts until the file is there.
fn tool_until(file: &str) -> String {
    bash(&format!("touch $CWD/begun; while [ ! -e $CWD/{file} ]; do sleep 0.05; done"))
}

async fn a_prompt_is_taken_back_wherever_it_waits(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    assert_eq!(talk.withdraw("early").await?, Withdrawal::Unknown);
    let first =
        talk.submit("first", &format!("{}\n!text Done", tool_until("go")), Placement::Steer).await?.prompt;
    let work = rig.places.work();
    eventually("the tool to begin", || work.join("begun").exists().then_some(())).await?;
    let here = talk.submit("here", "!text never 1", Placement::Queue).await?.prompt;
    let there = talk.submit("there", "!text never 2", Placement::Steer).await?.prompt;
    for _ in 0..2 {
        assert_eq!(talk.withdraw("here").await?, Withdrawal::Withdrawn);
        assert_eq!(talk.withdraw("there").await?, Withdrawal::Withdrawn);
        assert_eq!(talk.withdraw("first").await?, Withdrawal::Begun);
    }
    for prompt in [here, there] {
        assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Cancelled);
    }
    std::fs::write(work.join("go"), "")?;
    assert_eq!(talk.answer_to(first).await?, ["Done"]);
    assert_eq!(talk.withdraw("first").await?, Withdrawal::Begun);
    assert_eq!(talk.withdraw("there").await?, Withdrawal::Withdrawn);
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert!(!rig.asked()?.iter().any(|prompt| prompt.contains("never")), "{:?}", rig.asked()?);
    rig.finish().await
}

async fn a_prompt_is_taken_back_although_the_daemon_dies(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    let first =
        talk.submit("first", &format!("{}\n!text Done", tool_until("go")), Placement::Steer).await?.prompt;
    let work = rig.places.work();
    eventually("the tool to begin", || work.join("begun").exists().then_some(())).await?;
    talk.submit("there", "!text never", Placement::Steer).await?;
    let asked = tokio::spawn({
        let talk = talk.clone();
        async move { talk.withdraw("there").await }
    });
    rig.kill_daemon().await?;
    drop(asked.await);
    rig.restart_daemon().await?;
    assert_eq!(talk.withdraw("there").await?, Withdrawal::Withdrawn);
    std::fs::write(work.join("go"), "")?;
    assert_eq!(talk.answer_to(first).await?, ["Done"]);
    assert!(!rig.asked()?.iter().any(|prompt| prompt.contains("never")), "{:?}", rig.asked()?);
    rig.finish().await
}

/// One pixel.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

/// The media types of the pictures that Claude has noted with its prompts.
fn pictures_noted(home: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(home.join(".claude/projects")).into_iter().flatten().flatten() {
        for transcript in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(transcript.path()).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            for line in lines.filter(|line| line["type"] == "user") {
                found.extend(pictures_in(&line["message"]["content"]));
            }
        }
    }
    found
}

fn pictures_in(content: &Value) -> Vec<String> {
    let blocks = content.as_array().into_iter().flatten();
    let images = blocks.filter(|block| block["type"] == "image");
    images.filter_map(|image| image["source"]["media_type"].as_str().map(str::to_owned)).collect()
}

/// How many pictures were in the last request to the model; the scripted Claude asks none.
fn pictures_asked(rig: &Rig) -> usize {
    let requests = rig.model.requests();
    let messages = requests.last().and_then(|request| request.body["messages"].as_array().cloned());
    messages.iter().flatten().map(|message| pictures_in(&message["content"]).len()).sum()
}

async fn claude_sees_the_pictures_of_a_prompt_also_when_it_dies_on_it(claude: Claude) -> anyhow::Result<()> {
    let real = matches!(claude, Claude::Real);
    let rig = Rig::builder().claude(claude).slow_start().start().await?;
    let talk = rig.talk("tg:1");
    let work = rig.places.work();
    let (picture, text) = (work.join("a.png"), work.join("b.png"));
    std::fs::write(&picture, PIXEL)?;
    std::fs::write(&text, "no picture")?;
    let images = vec![picture, text, work.join("missing.png")];
    let prompt = talk.show("k", "!text Seen", images.clone()).await?.prompt;
    assert_eq!(talk.show("k", "!text Seen", images).await?.prompt, prompt);
    slay(talk.pid().await?)?;
    rig.let_start()?;
    assert_eq!(talk.answer_to(prompt).await?, ["Seen"]);
    assert_eq!(pictures_noted(&rig.places.home()), ["image/png"]);
    assert!(!real || pictures_asked(&rig) == 1, "{:?}", rig.model.requests().last());
    rig.finish().await
}

async fn a_picture_of_hundreds_of_kilobytes_reaches_claude(claude: Claude) -> anyhow::Result<()> {
    let real = matches!(claude, Claude::Real);
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let (fits, does_not) = (rig.places.work().join("a.png"), rig.places.work().join("b.png"));
    std::fs::write(&fits, [PIXEL, &vec![b'x'; 600 << 10]].concat())?;
    std::fs::write(&does_not, [PIXEL, &vec![b'x'; 400 << 10]].concat())?;
    let prompt = talk.show("k", "!text Seen", vec![fits, does_not]).await?.prompt;
    assert_eq!(talk.answer_to(prompt).await?, ["Seen"]);
    assert_eq!(pictures_noted(&rig.places.home()).len(), 1);
    assert!(!real || pictures_asked(&rig) == 1);
    let journal = std::fs::metadata(rig.places.state().join("journal.db"))?.len();
    assert!(journal < 500 << 10, "the journal has {journal} bytes");
    rig.finish().await
}
