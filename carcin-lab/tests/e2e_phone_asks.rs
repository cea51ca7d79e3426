//! What Claude asks, answered on the phone: each kind of request, the whole way to Claude and back.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Claude, PATIENCE, Rig};
use carcin_lab::telegram::{ChatMessage, LabState, Typed};
use e2e_support::{bash, lines};
use serde_json::json;

with_either_claude! {
    a_denial_in_words_is_read_by_claude,
    always_is_not_asked_again,
    an_edit_is_shown_as_a_diff_and_edits_are_allowed_from_then_on,
    several_at_once_have_a_message_each,
    several_questions_survive_the_deaths_of_both_programs,
    a_plan_is_kept_with_a_comment_and_then_followed,
}

async fn start(claude: Claude) -> anyhow::Result<Rig> {
    Rig::builder().claude(claude).front().start().await
}

/// Waits for a message with `on` in it and a button that begins with `label`, and presses that.
async fn tap(rig: &Rig, on: &str, label: &str) -> anyhow::Result<ChatMessage> {
    let begins = |text: &str| text.starts_with(label);
    let find = |state: &LabState| {
        let mut shown = state.visible(rig.owner()).filter(|message| message.text().contains(on));
        shown.find(|message| message.buttons().any(|button| begins(&button.text))).cloned()
    };
    let message = rig.telegram.wait_for(&format!("{on:?} with {label:?}"), PATIENCE, find).await?;
    let full = message.buttons().find(|button| begins(&button.text)).map(|button| button.text.clone());
    rig.press(&message, &full.unwrap_or_default())?;
    Ok(message)
}

async fn a_denial_in_words_is_read_by_claude(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    rig.write(&format!("{}\n!echo-result", bash("echo run >> $CWD/effects")))?;
    let question = tap(&rig, "May I use Bash?", "✍️ Deny with a reason").await?;
    rig.sees("Your next message is the reason").await?;
    rig.write("Ask the harbour master first")?;
    let settled = rig.sees("Denied by Alex: Ask the harbour master first").await?;
    assert_eq!((settled.id, settled.buttons().count()), (question.id, 0));
    let answer = rig.sees("The result was").await?;
    assert!(answer.text().contains("Ask the harbour master first"), "{}", answer.text());
    assert!(lines(&rig.places.work().join("effects")).is_empty());
    assert_eq!(rig.asked()?.len(), 1, "the reason is no prompt: {:?}", rig.asked()?);
    rig.finish().await
}

async fn always_is_not_asked_again(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let touch = bash("touch $CWD/made");
    rig.write(&format!("{touch}\n{touch}\n!text Made twice"))?;
    tap(&rig, "May I use Bash?", "♾ Always allow: Bash(").await?;
    rig.sees("Always allowed by Alex").await?;
    rig.sees("Made twice").await?;
    assert_eq!(rig.count("May I use Bash?"), 1);
    rig.finish().await
}

async fn an_edit_is_shown_as_a_diff_and_edits_are_allowed_from_then_on(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let write = |name: &str| {
        let input = json!({"file_path": format!("$CWD/{name}"), "content": "first\nsecond\n"});
        format!("!tool Write {input}")
    };
    rig.write(&format!("{}\n{}\n!text Written", write("one"), write("two")))?;
    let question = tap(&rig, "May I use Write?", "♾ Always allow: edit files without asking").await?;
    assert!(question.text().contains("+first\n+second"), "{}", question.text());
    rig.sees("Written").await?;
    assert_eq!(rig.count("May I use Write?"), 1);
    assert_eq!(lines(&rig.places.work().join("two")), ["first", "second"]);
    rig.finish().await
}

async fn several_at_once_have_a_message_each(claude: Claude) -> anyhow::Result<()> {
    let rig = start(claude).await?;
    let call = |word: &str| format!("Bash {}", json!({"command": format!("echo {word} >> $CWD/{word}")}));
    rig.write(&format!("!tools {} && {}\n!text Both are settled", call("left"), call("right")))?;
    let left = tap(&rig, "echo left", "🚫 Deny").await?;
    let right = tap(&rig, "echo right", "✅ Allow once").await?;
    assert_ne!(left.id, right.id);
    rig.sees("Both are settled").await?;
    assert!(lines(&rig.places.work().join("left")).is_empty());
    assert_eq!(lines(&rig.places.work().join("right")), ["right"]);
    rig.finish().await
}

async fn several_questions_survive_the_deaths_of_both_programs(claude: Claude) -> anyhow::Result<()> {
    let mut rig = start(claude).await?;
    rig.write("!ask Which colour? | Red | Blue && +Which days? | Mon | Tue | Wed\n!echo-result")?;
    let message = tap(&rig, "Which colour?", "Blue").await?;
    tap(&rig, "Which days?", "⬜ Wed").await?;
    rig.telegram.wait_for("the tick", PATIENCE, |state| ticked(state, rig.owner(), "☑️ Wed")).await?;
    rig.kill_front().await?;
    rig.kill_daemon().await?;
    rig.press(&message_now(&rig, message.id)?, "⬜ Mon")?;
    rig.restart_front().await?;
    rig.restart_daemon().await?;
    rig.telegram.wait_for("both ticks", PATIENCE, |state| ticked(state, rig.owner(), "☑️ Mon")).await?;
    // In words by a reply to the question: what is ticked counts too.
    let typed = Typed { reply_to: Some(message.id), ..Typed::new("any holiday") };
    rig.telegram.send(rig.owner(), rig.owner(), typed)?;
    let settled = rig.sees("Alex: Blue; Mon, Wed, any holiday").await?;
    assert_eq!((settled.id, settled.buttons().count()), (message.id, 0));
    let answer = rig.sees("The result was").await?;
    for word in ["Blue", "Mon, Wed, any holiday"] {
        assert!(answer.text().contains(word), "{}", answer.text());
    }
    assert_eq!(rig.asked()?.len(), 1, "{:?}", rig.asked()?);
    rig.finish().await
}

fn ticked(state: &LabState, owner: i64, label: &str) -> Option<()> {
    state.visible(owner).any(|message| message.buttons().any(|button| button.text == label)).then_some(())
}

fn message_now(rig: &Rig, id: i64) -> anyhow::Result<ChatMessage> {
    let found = rig.telegram.messages(rig.owner()).into_iter().find(|message| message.id == id);
    found.ok_or_else(|| anyhow::anyhow!("the message {id} is gone"))
}

async fn a_plan_is_kept_with_a_comment_and_then_followed(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).front().permission_mode("plan").start().await?;
    rig.write("!plan Light the lantern\n!echo-result")?;
    tap(&rig, "Light the lantern", "✏️ Keep planning").await?;
    rig.sees("what should change?").await?;
    rig.write("Fill it with oil before")?;
    rig.sees("Alex: keep planning: Fill it with oil before").await?;
    let answer = rig.sees("The result was").await?;
    assert!(answer.text().contains("Fill it with oil before"), "{}", answer.text());
    rig.owners_talk().idle().await?;
    let write = json!({"file_path": "$CWD/lantern", "content": "lit\n"});
    rig.write(&format!("!plan Fill it with oil\n!tool Write {write}\n!text It is lit"))?;
    tap(&rig, "Fill it with oil", "✅ Approve and edit automatically").await?;
    rig.sees("Approved by Alex, editing automatically").await?;
    rig.sees("It is lit").await?;
    assert_eq!(lines(&rig.places.work().join("lantern")), ["lit"]);
    assert_eq!(rig.count("May I use"), 0, "edits were approved with the plan");
    rig.finish().await
}
