//! What a phone asks of the daemon besides prompts: to take one back, to show Claude a picture, to say what there is.

#[macro_use]
mod e2e_support;

use std::path::Path;

use anyhow::Context as _;
use carcin_lab::rig::{Claude, Rig};
use carcin_proto::event::{PromptOutcome, TaskStatus};
use carcin_proto::inquiry::{About, Inquire, Inquiry};
use carcin_proto::request::{Placement, StopTask, Withdrawal};
use carcin_proto::{ClientError, ConversationKey, ConversationState, Event, RefusalCode, Reply, Request};
use e2e_support::{bash, eventually, eventually_asking, lives, noted_pid, slay};
use serde_json::Value;

with_either_claude! {
    a_prompt_is_taken_back_wherever_it_waits,
    a_prompt_is_taken_back_although_the_daemon_dies,
    claude_sees_the_pictures_of_a_prompt_also_when_it_dies_on_it,
    a_picture_of_hundreds_of_kilobytes_reaches_claude,
    what_there_is_to_know_of_a_conversation_is_told_with_and_without_a_claude,
    claude_is_asked_what_it_has_used_while_it_works,
    a_task_in_the_background_is_stopped_alone_and_spared_by_a_stop,
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

async fn about(rig: &Rig, key: &str) -> anyhow::Result<About> {
    match rig.client().await?.request(&Request::About(ConversationKey::new(key)?)).await? {
        Reply::About(about) => Ok(*about),
        other => anyhow::bail!("it was answered {other:?}"),
    }
}

async fn inquire(rig: &Rig, key: &str, about: Inquiry) -> Result<Value, ClientError> {
    let conversation = ConversationKey::new(key).expect("a test's key is a valid one");
    let inquire = Request::Inquire(Inquire { conversation, about });
    match patiently(rig, &inquire).await? {
        Reply::Inquired(answer) => Ok(serde_json::from_str(&answer).expect("it is JSON")),
        other => panic!("it was answered {other:?}"),
    }
}

/// Asks for what Claude must answer, as often as it takes: on a busy machine it may be waited for in vain.
async fn patiently(rig: &Rig, request: &Request) -> Result<Reply, ClientError> {
    let asked = eventually_asking("Claude to answer", async || {
        match rig.client().await.expect("the daemon runs").request(request).await {
            Err(ClientError::Refused(refusal)) if refusal.code == RefusalCode::NoAnswer => None,
            answered => Some(answered),
        }
    });
    asked.await.expect("it answers in the end")
}

async fn what_there_is_to_know_of_a_conversation_is_told_with_and_without_a_claude(
    claude: Claude,
) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let unopened = about(&rig, "tg:1").await?;
    assert_eq!((unopened.status.state, unopened.usage), (ConversationState::Closed, None));
    assert_eq!(unopened.status.cwd, rig.places.work());
    assert!(unopened.abilities.models.is_empty() && unopened.abilities.commands.is_empty());
    talk.say("!text Hello").await?;
    let queue = |about: &About| about.queue.len();
    let warm = about(&rig, "tg:1").await?;
    assert_eq!((warm.status.state, queue(&warm)), (ConversationState::Idle, 0));
    assert!(warm.usage.is_some_and(|usage| usage.context_window > 0 && usage.cost_micro_usd > 0), "{warm:?}");
    let model = warm.abilities.models.iter().find(|model| model.value == "opus").context("there is Opus")?;
    assert!(model.efforts.contains(&"high".to_owned()) && !model.name.is_empty(), "{model:?}");
    let compact = warm.abilities.commands.iter().find(|command| command.name == "compact");
    assert!(compact.is_some_and(|command| !command.description.is_empty()), "{:?}", warm.abilities.commands);
    assert!(!warm.abilities.commands.iter().any(|command| command.name == "color"), "it is for a terminal");
    let titled = eventually_asking("the session's title", async || {
        about(&rig, "tg:1").await.ok().filter(|about| about.title.is_some())
    });
    assert_eq!(titled.await?.title.as_deref(), Some("!text Hello"));
    // Known to the next daemon, and before any Claude of its own.
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    slay(talk.pid().await?)?;
    talk.closed().await?;
    let closed = about(&rig, "tg:1").await?;
    assert_eq!((closed.status.state, closed.usage), (ConversationState::Closed, warm.usage));
    assert_eq!(closed.abilities, warm.abilities);
    rig.finish().await
}

async fn claude_is_asked_what_it_has_used_while_it_works(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    let Err(ClientError::Refused(refusal)) = inquire(&rig, "tg:1", Inquiry::Context).await else {
        anyhow::bail!("nobody is there to answer")
    };
    assert_eq!(refusal.code, RefusalCode::NoConversation);
    let prompt = talk.send(&format!("{}\n!text Done", tool_until("go"))).await?;
    let work = rig.places.work();
    eventually("the tool to begin", || work.join("begun").exists().then_some(())).await?;
    let context = inquire(&rig, "tg:1", Inquiry::Context).await?;
    assert!(context["totalTokens"].as_u64().is_some_and(|tokens| tokens > 0), "{context}");
    assert!(context["categories"].is_array() && context["gridRows"].is_null());
    let usage = inquire(&rig, "tg:1", Inquiry::Usage).await?;
    assert!(usage["session"]["total_cost_usd"].is_number(), "{usage}");
    std::fs::write(work.join("go"), "")?;
    assert_eq!(talk.answer_to(prompt).await?, ["Done"]);
    slay(talk.pid().await?)?;
    talk.closed().await?;
    let Err(ClientError::Refused(refusal)) = inquire(&rig, "tg:1", Inquiry::Usage).await else {
        anyhow::bail!("nobody is there to answer")
    };
    assert_eq!(refusal.message, "Claude is not running in this conversation now");
    rig.finish().await
}

async fn a_task_in_the_background_is_stopped_alone_and_spared_by_a_stop(
    claude: Claude,
) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    let background = r#"!tool Bash {"command":"echo $$ > $CWD/pid; exec sleep 600","run_in_background":true,"description":"Wait"}"#;
    talk.send(&format!("{background}\n{}", tool_until("never"))).await?;
    let pid = noted_pid(&rig.places.work().join("pid")).await?;
    eventually("the tool to begin", || rig.places.work().join("begun").exists().then_some(())).await?;
    talk.stop().await?;
    talk.idle().await?;
    assert!(lives(pid), "a stop ends the turn, and not what runs besides");
    let tasks = about(&rig, "tg:1").await?.tasks;
    let [task] = &tasks[..] else { anyhow::bail!("{tasks:?}") };
    assert_eq!(task.status, TaskStatus::Running);
    for _ in 0..2 {
        let stop = StopTask { conversation: talk.key().clone(), task: task.task.clone() };
        assert_eq!(patiently(&rig, &Request::StopTask(stop)).await?, Reply::Done);
    }
    let stopped = |e: &carcin_proto::Envelope| matches!(&e.event, Event::TaskChanged(changed) if changed.task == task.task && changed.status == TaskStatus::Stopped);
    rig.events.wait_for("the task's end", stopped).await?;
    eventually("the task's process to end", || (!lives(pid)).then_some(())).await?;
    assert!(about(&rig, "tg:1").await?.tasks.is_empty());
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    rig.finish().await
}
