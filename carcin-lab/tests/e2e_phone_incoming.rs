//! What the owner of a phone sends besides a first short text, and the files that Claude sends, with all programs.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Claude, PATIENCE, Rig};
use carcin_lab::telegram::{ChatMessage, SentFile, Typed};
use e2e_support::{PIXEL, bash, eventually, lines};

with_either_claude! {
    a_picture_with_a_question_is_seen_by_claude,
    a_document_can_be_read_by_claude,
    a_message_to_a_working_claude_is_folded_in_and_its_buttons_go,
    a_message_to_a_working_claude_can_be_queued_or_changed,
    stop_and_do_this_stops_the_turn_and_runs_the_message,
    the_files_that_claude_names_arrive,
    a_topic_is_a_conversation_of_its_own,
}

async fn start(claude: Claude) -> anyhow::Result<Rig> {
    Rig::builder().claude(claude).permission_mode("bypassPermissions").front().start().await
}

/// Has Claude call a tool that lasts until the file `go` is there.
async fn works(rig: &Rig) -> anyhow::Result<()> {
    let tool = bash("touch $CWD/begun; while [ ! -e $CWD/go ]; do sleep 0.05; done");
    rig.write(&format!("{tool}\n!text The first is done"))?;
    let begun = rig.places.work().join("begun");
    eventually("the tool to begin", || begun.exists().then_some(())).await
}

fn goes_on(rig: &Rig) -> anyhow::Result<()> {
    Ok(std::fs::write(rig.places.work().join("go"), "")?)
}

async fn a_picture_with_a_question_is_seen_by_claude(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let owner = rig.owner();
    rig.telegram.send_file(owner, owner, SentFile::photo("a.png", PIXEL).caption("!see"))?;
    rig.sees("image/png").await?;
    let asked = rig.asked()?;
    anyhow::ensure!(asked[0].contains("[Attached picture: /"), "{asked:?}");
    rig.finish().await
}

async fn a_document_can_be_read_by_claude(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let owner = rig.owner();
    let uploads = rig.places.state().join("tg/uploads");
    let read = bash(&format!("cat {}/*/*notes.txt > $CWD/copy", uploads.display()));
    let notes = SentFile::document("my notes.txt", b"water the plants\n".to_vec());
    rig.telegram.send_file(owner, owner, notes.caption(format!("{read}\n!text Read it")))?;
    rig.sees("Read it").await?;
    assert_eq!(lines(&rig.places.work().join("copy")), ["water the plants"]);
    rig.finish().await
}

async fn a_message_to_a_working_claude_is_folded_in_and_its_buttons_go(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    works(&rig).await?;
    rig.write("!text And the second")?;
    let note = rig.sees("reads it at the next step").await?;
    assert!(note.silent);
    goes_on(&rig)?;
    rig.sees("And the second").await?;
    let begun = rig.sees("Claude has it").await?;
    assert_eq!((begun.id, begun.buttons().count()), (note.id, 0));
    rig.finish().await
}

async fn a_message_to_a_working_claude_can_be_queued_or_changed(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    works(&rig).await?;
    let message = rig.write("!text never 1")?;
    let note = rig.sees("never 1").await?;
    rig.press(&note, "🕓 Queue instead")?;
    rig.sees("Queued for when Claude is done").await?;
    rig.telegram.edit_text(rig.owner(), rig.owner(), message, "!text The second is done")?;
    rig.sees("Replaced by your edit").await?;
    goes_on(&rig)?;
    rig.sees("The first is done").await?;
    rig.sees("The second is done").await?;
    let asked = rig.asked()?;
    anyhow::ensure!(!asked.iter().any(|prompt| prompt.contains("never")), "{asked:?}");
    rig.finish().await
}

async fn stop_and_do_this_stops_the_turn_and_runs_the_message(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    works(&rig).await?;
    rig.write("!text Only this")?;
    let note = rig.sees("reads it at the next step").await?;
    rig.press(&note, "⏹ Stop and do this")?;
    rig.sees("Stopped by Alex").await?;
    rig.sees("Only this").await?;
    rig.sees("Done").await?;
    assert_eq!(rig.count("The first is done"), 0);
    let asked = rig.asked()?;
    assert_eq!(asked.iter().filter(|prompt| prompt.contains("Only this")).count(), 1);
    rig.finish().await
}

async fn the_files_that_claude_names_arrive(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let work = rig.places.work();
    std::fs::write(work.join("a.png"), PIXEL)?;
    std::fs::write(work.join("b.txt"), "the report")?;
    let marker = |name: &str| format!("[[telegram:send:{}]]", work.join(name).display());
    rig.write(&format!("!text Here: {} {} {}", marker("a.png"), marker("b.txt"), marker("none.txt")))?;
    rig.sees("I cannot send").await?;
    let owner = rig.owner();
    let sent = |state: &carcin_lab::telegram::LabState| {
        let files = state
            .visible(owner)
            .filter_map(|message| Some(message.content.media.as_ref()?.file_name.clone()));
        let mut files: Vec<String> = files.collect();
        files.sort();
        (files.len() == 2).then_some(files)
    };
    let files = rig.telegram.wait_for("two files", PATIENCE, sent).await?;
    assert_eq!(files, ["a.png", "b.txt"]);
    assert_eq!(rig.count("telegram:send"), 0);
    rig.finish().await
}

async fn a_topic_is_a_conversation_of_its_own(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let forum = rig.telegram.forum(-100_700, "Work");
    works(&rig).await?;
    rig.telegram.send_text(forum, rig.owner(), "/new The docs")?;
    let says = |words: &'static str| {
        move |state: &carcin_lab::telegram::LabState| -> Option<ChatMessage> {
            state.visible(forum).find(|message| message.from_bot() && message.text().contains(words)).cloned()
        }
    };
    let greeting = rig.telegram.wait_for("the greeting", PATIENCE, says("🆕 The docs")).await?;
    // The chat with the bot works; this is another Claude.
    let typed = Typed { thread: greeting.thread, ..Typed::new("!text In the topic") };
    rig.telegram.send(forum, rig.owner(), typed)?;
    let answer = rig.telegram.wait_for("the answer", PATIENCE, says("In the topic")).await?;
    assert_eq!(answer.thread, greeting.thread);
    goes_on(&rig)?;
    rig.sees("The first is done").await?;
    rig.finish().await
}
