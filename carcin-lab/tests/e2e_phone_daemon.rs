//! What a phone asks of the daemon besides prompts: to take one back, to show Claude a picture, to say what there is.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Claude, Rig};
use carcin_proto::event::PromptOutcome;
use carcin_proto::request::{Placement, Withdrawal};
use e2e_support::{bash, eventually};

with_either_claude! {
    a_prompt_is_taken_back_wherever_it_waits,
    a_prompt_is_taken_back_although_the_daemon_dies,
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
