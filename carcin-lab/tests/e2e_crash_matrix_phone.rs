//! Claude's death as its owner sees it in the chat: what was interrupted and why, a button that runs it again, once.

#[macro_use]
mod e2e_support;

use carcin_lab::rig::{Builder, Claude, PATIENCE, Rig};
use carcin_lab::telegram::{Call, ChatMessage, LabState};
use carcin_proto::Event;
use e2e_support::crash::{asked_once, in_state, journalled};
use e2e_support::death::Who;
use e2e_support::front::Front;
use e2e_support::{bash, endless_tool, eventually, lines, noted_pid};

whoever_dies! {
    killed_in_mid_stream_it_is_run_again_by_a_button_once,
    killed_in_a_tool_it_is_run_again_by_a_button_once,
    killed_with_a_question_open_the_question_says_so,
    killed_with_a_message_waiting_that_is_answered_without_a_button,
    killed_before_any_receipt_it_is_answered_without_a_button,
}

with_either_claude! {
    a_button_pressed_while_the_daemon_is_dead_counts_once,
}

const AGAIN: &str = "🔁 Run again";

async fn start(claude: Claude, mode: &str) -> anyhow::Result<(Rig, Front)> {
    begin(Rig::builder().claude(claude).permission_mode(mode)).await
}

async fn begin(builder: Builder) -> anyhow::Result<(Rig, Front)> {
    let rig = builder.front().start().await?;
    let front = Front::new(&rig, &format!("tg:{}", rig.owner()));
    Ok((rig, front))
}

/// The message that tells of the interruption and why, with its button, when nothing shows as being at work.
async fn interrupted(rig: &Rig, who: Who) -> anyhow::Result<ChatMessage> {
    let find = |state: &LabState| {
        let mut shown = state.visible(rig.owner()).filter(|message| message.from_bot());
        shown.find(|message| message.buttons().any(|button| button.text == AGAIN)).cloned()
    };
    let message = rig.telegram.wait_for("the button to run it again", PATIENCE, find).await?;
    let told = format!("Interrupted: {}", who.why());
    anyhow::ensure!(message.text().contains(&told), "{:?} does not say {told:?}", message.text());
    nothing_works(rig).await?;
    // Once by the card of the turn, once with the button.
    anyhow::ensure!(rig.count(who.why()) <= 2, "{:#?}", rig.shown());
    Ok(message)
}

/// Waits for a message that says this and nothing else: what is quoted of a prompt is no answer to it. It is there
/// once.
async fn answered(rig: &Rig, text: &str) -> anyhow::Result<()> {
    let says_it = |state: &LabState| {
        let mut shown = state.visible(rig.owner()).filter(|message| message.from_bot());
        shown.any(|message| message.text() == text).then_some(())
    };
    rig.telegram.wait_for(&format!("the answer {text:?}"), PATIENCE, says_it).await?;
    let count = rig.shown().iter().filter(|shown| *shown == text).count();
    anyhow::ensure!(count == 1, "{text:?} is there {count} times: {:#?}", rig.shown());
    Ok(())
}

async fn nothing_works(rig: &Rig) -> anyhow::Result<()> {
    for state in ["Working", "Waiting", "Started"] {
        rig.no_longer_sees(state).await?;
    }
    Ok(())
}

/// Presses the button, twice in a row, as an impatient finger does.
async fn runs_again(rig: &Rig, message: &ChatMessage) -> anyhow::Result<()> {
    let data =
        message.buttons().find(|button| button.text == AGAIN).and_then(|button| button.callback_data.clone());
    let data = data.ok_or_else(|| anyhow::anyhow!("the button says nothing"))?;
    rig.press(message, AGAIN)?;
    rig.telegram.forge_press(rig.owner(), rig.owner(), message.id, &data);
    let pressed = rig.sees("Run again by Alex").await?;
    anyhow::ensure!((pressed.id, pressed.buttons().count()) == (message.id, 0), "{pressed:?}");
    rig.telegram.forge_press(rig.owner(), rig.owner(), message.id, &data);
    Ok(())
}

/// What was accepted, in order: each under an identity of its own.
fn accepted(rig: &Rig) -> Vec<String> {
    let log = rig.events.log();
    let mut ids = Vec::new();
    let texts = log.envelopes().filter_map(|envelope| match &envelope.event {
        Event::PromptAccepted(accepted) => {
            assert!(!ids.contains(&accepted.prompt), "{} a second time", accepted.prompt);
            ids.push(accepted.prompt);
            Some(accepted.text.clone())
        }
        _ => None,
    });
    texts.collect()
}

/// Answered, and nothing else came of all those presses.
async fn ends_with(rig: Rig, prompts: &[&str]) -> anyhow::Result<()> {
    goes_on(&rig, prompts).await?;
    rig.finish().await
}

async fn goes_on(rig: &Rig, prompts: &[&str]) -> anyhow::Result<()> {
    rig.write("!text Still here")?;
    answered(rig, "Still here").await?;
    nothing_works(rig).await?;
    let expected: Vec<&str> = prompts.iter().copied().chain(["!text Still here"]).collect();
    eventually("all to be told as accepted", || (accepted(rig).len() >= expected.len()).then_some(()))
        .await?;
    assert_eq!(accepted(rig), expected);
    asked_once(rig, &expected)
}

/// Waits until no more than so many messages with buttons can be seen. The note of what waited goes by itself, at its
/// own time.
async fn with_buttons(rig: &Rig, many: usize) -> anyhow::Result<()> {
    let as_many = |state: &LabState| {
        let shown = state.visible(rig.owner()).filter(|message| message.buttons().count() > 0);
        (shown.count() == many).then_some(())
    };
    rig.telegram.wait_for(&format!("{many} messages with buttons"), PATIENCE, as_many).await
}

async fn killed_in_mid_stream_it_is_run_again_by_a_button_once(
    claude: Claude,
    who: Who,
) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude, "default").await?;
    let script = "!text Before\n!gate on\n!text After";
    rig.write(script)?;
    front.said("Before").await?;
    who.dies(&mut rig, &front).await?;
    let message = interrupted(&rig, who).await?;
    rig.open_gate("on")?;
    runs_again(&rig, &message).await?;
    answered(&rig, "After").await?;
    ends_with(rig, &[script, script]).await
}

async fn killed_in_a_tool_it_is_run_again_by_a_button_once(claude: Claude, who: Who) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude, "bypassPermissions").await?;
    let once =
        "[ -e $CWD/tool ] && echo run >> $CWD/effects || { echo $$ > $CWD/tool; exec tail -f /dev/null; }";
    let script = format!("{}\n!text After", bash(once));
    rig.write(&script)?;
    noted_pid(&rig.places.work().join("tool")).await?;
    who.dies(&mut rig, &front).await?;
    let message = interrupted(&rig, who).await?;
    runs_again(&rig, &message).await?;
    answered(&rig, "After").await?;
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    ends_with(rig, &[&script, &script]).await
}

async fn killed_with_a_question_open_the_question_says_so(claude: Claude, who: Who) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude, "default").await?;
    let script = format!("{}\n!text It ran", bash("echo run >> $CWD/effects"));
    rig.write(&script)?;
    let question = rig.sees("May I use Bash?").await?;
    let allow = question.buttons().find(|button| button.text.contains("Allow"));
    let allow = allow.and_then(|button| button.callback_data.clone()).unwrap_or_default();
    who.dies(&mut rig, &front).await?;
    let withdrawn = rig.sees("No longer asked: Claude has ended").await?;
    assert_eq!((withdrawn.id, withdrawn.buttons().count()), (question.id, 0));
    let message = interrupted(&rig, who).await?;
    // A phone that has not yet heard of it.
    rig.telegram.forge_press(rig.owner(), rig.owner(), question.id, &allow);
    runs_again(&rig, &message).await?;
    let asks = |state: &LabState| {
        let mut shown = state.visible(rig.owner()).filter(|message| message.from_bot());
        shown
            .find(|message| message.id > question.id && message.buttons().any(|b| b.text == "✅ Allow once"))
            .cloned()
    };
    let again = rig.telegram.wait_for("the question of the second run", PATIENCE, asks).await?;
    assert_eq!(lines(&rig.places.work().join("effects")), [] as [&str; 0], "nobody allowed that");
    rig.press(&again, "✅ Allow once")?;
    answered(&rig, "It ran").await?;
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    ends_with(rig, &[&script, &script]).await
}

async fn killed_with_a_message_waiting_that_is_answered_without_a_button(
    claude: Claude,
    who: Who,
) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude, "bypassPermissions").await?;
    rig.write(&endless_tool("tool"))?;
    noted_pid(&rig.places.work().join("tool")).await?;
    rig.write("!text The second")?;
    eventually("the second to be accepted", || (accepted(&rig).len() == 2).then_some(())).await?;
    who.dies(&mut rig, &front).await?;
    answered(&rig, "The second").await?;
    interrupted(&rig, who).await?;
    // Only what was begun was interrupted.
    with_buttons(&rig, 1).await?;
    ends_with(rig, &[&endless_tool("tool"), "!text The second"]).await
}

async fn killed_before_any_receipt_it_is_answered_without_a_button(
    claude: Claude,
    who: Who,
) -> anyhow::Result<()> {
    let (mut rig, front) = begin(Rig::builder().claude(claude).slow_start()).await?;
    rig.write("!text Once")?;
    let prompt = rig.events.wait("the prompt to be accepted", |log| {
        log.envelopes().find_map(|envelope| match &envelope.event {
            Event::PromptAccepted(accepted) => Some(accepted.prompt),
            _ => None,
        })
    });
    in_state(&rig, prompt.await?, "given").await?;
    who.dies(&mut rig, &front).await?;
    rig.let_start()?;
    answered(&rig, "Once").await?;
    goes_on(&rig, &["!text Once"]).await?;
    // Nothing was begun, so nothing was interrupted.
    with_buttons(&rig, 0).await?;
    assert_eq!(rig.count("Interrupted"), 0, "{:#?}", rig.shown());
    rig.finish().await
}

/// Waits until the finger is told that what it pressed is kept; by then it is.
async fn kept(rig: &Rig, press: &str) -> anyhow::Result<()> {
    let told = |call: &Call| {
        call.str("callback_query_id") == Some(press)
            && call.str("text").is_some_and(|text| text.contains("Your answer is kept"))
    };
    let calls = || rig.telegram.calls_of("answerCallbackQuery");
    eventually("the press to be kept", || calls().iter().any(told).then_some(())).await
}

/// The press is in the front end's store and nowhere else when that dies, too.
async fn a_button_pressed_while_the_daemon_is_dead_counts_once(claude: Claude) -> anyhow::Result<()> {
    let (mut rig, front) = start(claude, "default").await?;
    let script = format!("{}\n!text It ran", bash("echo run >> $CWD/effects"));
    rig.write(&script)?;
    let question = rig.sees("May I use Bash?").await?;
    let request = front.asked().await?.request;
    rig.kill_daemon().await?;
    let allow = question.buttons().find(|button| button.text == "✅ Allow once");
    let allow = allow.and_then(|button| button.callback_data.clone()).unwrap_or_default();
    // One press alone: a second one could hide that the first is lost.
    kept(&rig, &rig.press(&question, "✅ Allow once")?).await?;
    rig.kill_front().await?;
    rig.restart_front().await?;
    rig.restart_daemon().await?;
    answered(&rig, "It ran").await?;
    // A phone that has not yet heard of it.
    rig.telegram.forge_press(rig.owner(), rig.owner(), question.id, &allow);
    goes_on(&rig, &[&script]).await?;
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    let settled = |event: &Event| matches!(event, Event::RequestSettled(it) if it.request == request);
    assert_eq!(journalled(&rig, settled).await?, 1);
    rig.finish().await
}
