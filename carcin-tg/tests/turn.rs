//! A turn as the phone shows it: the card, the sounds, the end; and what all of it costs.

mod support;

use std::time::{Duration, SystemTime};

use carcin_lab::telegram::Limits;
use carcin_proto::event::TurnOutcome;
use support::events::{permission, text, tool, tool_ended, turn_ended, turn_started};
use support::{ANN, HERE, Rig, SOON};

#[tokio::test]
async fn a_turn_without_a_last_word_is_heard_by_its_summary() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, tool(1, "t1", "make"));
    let card = rig.sees("make").await;
    rig.daemon.emit(HERE, tool_ended(1, "t1", false, ""));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    let done = rig.sees("Done · 1 tool · 3 s").await;
    assert!(!done.silent && done.id != card.id);
    let shown = rig.shown();
    assert_eq!(shown.len(), 1, "the card has made room for it: {shown:?}");
}

#[tokio::test]
async fn the_end_is_heard_once_and_a_stop_not_at_all() {
    let rig = Rig::new().await;
    for (turn, outcome, said) in [
        (1, TurnOutcome::Completed, "✅ Done"),
        (2, TurnOutcome::Failed("no credit".into()), "❌ Failed: no credit"),
        (3, TurnOutcome::Stopped("Ann".into()), "⏹ Stopped by Ann"),
    ] {
        rig.daemon.emit(HERE, turn_started(turn));
        rig.daemon.emit(HERE, text(turn, &format!("the last word of {turn}")));
        rig.daemon.emit(HERE, turn_ended(turn, outcome));
        rig.sees(said).await;
    }
    let heard: Vec<String> = rig
        .shown()
        .iter()
        .filter(|message| !message.silent)
        .map(|message| message.text().to_owned())
        .collect();
    assert_eq!(heard, ["the last word of 1", "the last word of 2"]);
}

#[tokio::test]
async fn what_a_failed_tool_said_can_be_unfolded_and_a_long_one_is_a_file() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, tool(1, "t1", "make"));
    rig.daemon.emit(HERE, tool_ended(1, "t1", true, "make: *** no rule"));
    let told = rig.sees("no rule").await;
    assert!(told.silent && told.content.entities.iter().any(|entity| entity.kind == "expandable_blockquote"));
    rig.daemon.emit(HERE, tool(1, "t2", "make all"));
    rig.daemon.emit(HERE, tool_ended(1, "t2", true, &"a line of it\n".repeat(400)));
    // The card says the same line.
    let file = rig.telegram.wait_for("the file", SOON, |state| {
        state
            .visible(ANN)
            .find_map(|message| Some((message.text().to_owned(), message.content.media.clone()?)))
    });
    let (caption, media) = file.await.expect("sent");
    assert_eq!(
        (caption.as_str(), media.file_name.as_str(), media.size),
        ("✗ Bash make all", "output.txt", 5_200)
    );
}

#[tokio::test]
async fn typing_is_shown_while_claude_works_and_not_while_it_waits() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    let typed = |count: usize| {
        rig.telegram.wait_for("typing", SOON, move |state| {
            let calls = state.calls.iter().filter(|call| call.method == "sendChatAction" && call.ok());
            (calls.count() >= count).then_some(())
        })
    };
    typed(2).await.expect("it is renewed");
    rig.daemon.emit(HERE, permission(1, "req-1"));
    rig.sees("Waiting for your answer").await;
    // One may be on its way.
    let asked = SystemTime::now() + Duration::from_secs(1);
    // Longer than it is from one to the next.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let calls = rig.telegram.calls_of("sendChatAction");
    let since = calls.iter().filter(|call| call.at > asked).count();
    assert_eq!(since, 0, "it was renewed");
}

#[tokio::test]
async fn five_hundred_tools_earn_no_flood_wait_and_leave_two_messages() {
    let rig = Rig::new().await;
    rig.telegram.set_limits(Limits::TELEGRAM);
    let since = rig.telegram.mark();
    work(&rig, 500, Duration::from_millis(5)).await;
    let figures = rig.telegram.figures(ANN, since);
    assert_eq!((figures.messages_left, figures.sounds, figures.failed), (2, 1, 0), "{figures:?}");
}

/// A task of so many tools, each of which takes so long.
async fn work(rig: &Rig, tools: usize, each: Duration) {
    rig.daemon.emit(HERE, turn_started(1));
    for index in 0..tools {
        let id = format!("t{index}");
        rig.daemon.emit(HERE, tool(1, &id, &format!("cargo test --package crate-{index}")));
        tokio::time::sleep(each).await;
        rig.daemon.emit(HERE, tool_ended(1, &id, false, ""));
    }
    rig.daemon.emit(HERE, text(1, "It is done."));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees(&format!("Done · {tools} tools · 3 s")).await;
    rig.sees("It is done.").await;
}
