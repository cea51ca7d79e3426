//! Flood waits: whatever call earns one, none is made before its end.

mod support;

use std::time::Duration;

use carcin_lab::telegram::{Call, Fault, FaultKind, LabConfig, MediaKind, SentFile};
use carcin_proto::event::{Level, Notice, TurnOutcome};
use support::events::{delta, text, turn_ended, turn_started};
use support::{ANN, HERE, Rig, SOON};

/// How long Telegram wants silence, in seconds.
const WAIT: u64 = 4;

fn notice(text: &str) -> Notice {
    Notice { level: Level::Info, text: text.into(), hint: None }
}

fn floods(rig: &Rig, method: &str) {
    rig.telegram.fault(Fault::on(method, FaultKind::RetryAfter(WAIT)));
}

fn is_flooded(call: &Call) -> bool {
    call.refusal().is_some_and(|why| why.contains("Too Many"))
}

/// Waits until a call of this method was told to wait.
async fn flooded(rig: &Rig, method: &'static str) {
    let told = rig.telegram.wait_for(method, SOON, move |state| {
        state.calls.iter().any(|call| call.method == method && is_flooded(call)).then_some(())
    });
    if let Err(error) = told.await {
        panic!("{error}\n{}", rig.read_log());
    }
}

/// No call was made into a wait, but for those that were on their way when it was told.
fn no_call_was_early(rig: &Rig) {
    assert_eq!(rig.telegram.look(|state| state.violations), 0, "calls into a known wait");
    let calls = rig.telegram.calls();
    let told: Vec<usize> = (0..calls.len()).filter(|index| is_flooded(&calls[*index])).collect();
    assert!(!told.is_empty());
    for index in told {
        let (told, until) = (&calls[index], calls[index].at + Duration::from_secs(WAIT));
        let on_its_way = calls[index].at + Duration::from_secs(2);
        let same = |call: &&Call| match told.int("chat_id") {
            Some(chat) => call.int("chat_id") == Some(chat),
            None => call.method == told.method,
        };
        let early: Vec<&Call> = calls[index + 1..]
            .iter()
            .filter(same)
            .filter(|call| call.at > on_its_way && call.at < until)
            .collect();
        assert!(early.is_empty(), "after {}: {early:#?}", told.method);
    }
}

#[tokio::test]
async fn what_is_shown_of_the_moment_earns_silence_for_all_that_is_for_the_chat() {
    for method in ["sendChatAction", "sendMessageDraft"] {
        let rig = Rig::new().await;
        rig.daemon.emit(HERE, turn_started(1));
        rig.sees("Started").await;
        floods(&rig, method);
        rig.daemon.emit_transient(HERE, delta(1, 0, "half of it"));
        flooded(&rig, method).await;
        rig.daemon.emit(HERE, text(1, "half of it, and the rest"));
        rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
        rig.sees("and the rest").await;
        no_call_was_early(&rig);
    }
}

#[tokio::test]
async fn a_topic_that_cannot_be_opened_now_earns_silence_for_the_chat() {
    let rig = Rig::with_telegram(LabConfig { private_topics: true, ..LabConfig::default() }).await;
    floods(&rig, "createForumTopic");
    rig.write("/new The docs");
    flooded(&rig, "createForumTopic").await;
    rig.daemon.emit(HERE, notice("this one waits"));
    rig.sees("this one waits").await;
    rig.sees("I cannot open a topic here: Telegram wants").await;
    no_call_was_early(&rig);
    // After it, and not into one that is known.
    rig.write("/new The docs");
    rig.sees("🆕 The docs").await;
    floods(&rig, "sendMessage");
    rig.daemon.emit(HERE, notice("this one floods"));
    flooded(&rig, "sendMessage").await;
    let asked = rig.telegram.calls_of("createForumTopic").len();
    rig.write("/new More docs");
    let told = rig.telegram.wait_for("the second refusal", SOON, |state| {
        let told = state.visible(ANN).filter(|message| message.text().contains("I cannot open a topic here"));
        (told.count() == 2).then_some(())
    });
    told.await.expect("told again");
    assert_eq!(rig.telegram.calls_of("createForumTopic").len(), asked);
    no_call_was_early(&rig);
}

#[tokio::test]
async fn files_are_fetched_after_the_wait_and_all_of_them() {
    let rig = Rig::new().await;
    floods(&rig, "getFile");
    let send = |number: usize| {
        let file = SentFile::new(MediaKind::Document, format!("{number}.txt"), b"words".to_vec());
        rig.telegram.send_file(ANN, ANN, file).expect("sent");
    };
    send(0);
    flooded(&rig, "getFile").await;
    for number in 1..10 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        send(number);
    }
    for number in 0..10 {
        rig.prompt_with(&format!("{number}.txt")).await;
    }
    no_call_was_early(&rig);
}

#[tokio::test]
async fn presses_are_not_answered_into_a_wait_and_still_count() {
    let rig = Rig::new().await;
    rig.write("/mode");
    let list = rig.sees("Mode").await;
    floods(&rig, "answerCallbackQuery");
    rig.telegram.forge_press(ANN, ANN, list.id, "c:stale:1:1");
    flooded(&rig, "answerCallbackQuery").await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.telegram.forge_press(ANN, ANN, list.id, "c:stale:1:1");
    }
    rig.write("/id");
    rig.sees("Your Telegram id").await;
    no_call_was_early(&rig);
}

#[tokio::test]
async fn a_wait_is_known_after_a_kill() {
    let mut rig = Rig::new().await;
    floods(&rig, "sendMessage");
    rig.daemon.emit(HERE, notice("this one floods"));
    flooded(&rig, "sendMessage").await;
    rig.logged("s of silence").await;
    rig.write("/id");
    rig.logged("updates taken in").await;
    rig.kill_bot().await;
    rig.start_bot();
    rig.sees("this one floods").await;
    rig.sees("Your Telegram id").await;
    no_call_was_early(&rig);
}

#[tokio::test]
async fn the_menu_and_the_polls_wait_as_well() {
    let mut rig = Rig::without_bot().await;
    floods(&rig, "setMyCommands");
    floods(&rig, "getUpdates");
    floods(&rig, "getMe");
    rig.start().await;
    flooded(&rig, "setMyCommands").await;
    let shown = rig.telegram.wait_for("the menu", SOON, |state| {
        let mut calls = state.calls.iter().filter(|call| call.method == "setMyCommands");
        calls.any(|call| call.outcome.is_some() && call.refusal().is_none()).then_some(())
    });
    shown.await.expect("it is shown");
    rig.write("/id");
    rig.sees("Your Telegram id").await;
    no_call_was_early(&rig);
}
