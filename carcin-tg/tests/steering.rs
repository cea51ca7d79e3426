//! Messages that come while Claude works: moved by their buttons, replaced by edits.

mod support;

use carcin_proto::Request;
use carcin_proto::event::{PromptStarted, TurnOutcome, TurnStarted};
use carcin_proto::request::{Placement, Submit};
use carcin_proto::{PromptId, TurnId};
use support::events::{permission, turn_ended, turn_started};
use support::{ANN, HERE, Rig};

fn started(prompt: PromptId) -> PromptStarted {
    PromptStarted { prompt, turn: TurnId(1) }
}

/// A rig whose Claude works, and to which a message was sent.
async fn steered(text: &str) -> (Rig, i64, PromptId, Submit) {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    let id = rig.write(text);
    let (prompt, submit) = rig.daemon.wait_for_prompt(text).await;
    (rig, id, prompt, submit)
}

#[tokio::test]
async fn a_message_to_a_working_claude_is_steered_and_its_buttons_go_when_it_is_read() {
    let (rig, _, prompt, submit) = steered("and the docs").await;
    assert_eq!(submit.placement, Placement::Steer);
    let note = rig.sees("reads it at the next step").await;
    assert!(note.silent);
    let labels: Vec<&str> = note.buttons().map(|button| button.text.as_str()).collect();
    assert_eq!(labels, ["🕓 Queue instead", "⏹ Stop and do this"]);
    let data = note.buttons().next().and_then(|button| button.callback_data.clone()).expect("data");
    rig.daemon.emit(HERE, started(prompt));
    let begun = rig.sees("Claude has it").await;
    assert_eq!((begun.id, begun.buttons().count()), (note.id, 0));
    // An old client still shows the button.
    let late = rig.telegram.forge_press(ANN, ANN, note.id, &data);
    assert_eq!(rig.toast(late).await, "Claude has it already");
    assert_eq!(rig.daemon.state().order.len(), 1);
}

#[tokio::test]
async fn a_message_to_a_claude_that_waits_for_an_answer_says_so() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, permission(1, "r1"));
    rig.sees("May I use Bash?").await;
    rig.write("and the docs");
    rig.sees("Claude reads it when it has your answer: and the docs").await;
}

#[tokio::test]
async fn the_note_of_a_message_that_gets_a_turn_of_its_own_goes() {
    let (rig, _, prompt, _) = steered("and the docs").await;
    rig.sees("reads it at the next step").await;
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.daemon.emit(HERE, TurnStarted { turn: TurnId(2), prompt: Some(prompt) });
    rig.daemon.emit(HERE, PromptStarted { prompt, turn: TurnId(2) });
    rig.daemon.emit(HERE, turn_ended(2, TurnOutcome::Completed));
    let gone = |state: &carcin_lab::telegram::LabState| {
        let mut shown = state.visible(ANN).filter(|message| message.from_bot());
        (!shown.any(|message| message.text().contains("and the docs"))).then_some(())
    };
    rig.telegram.wait_for("the note to go", support::SOON, gone).await.expect("it goes");
}

#[tokio::test]
async fn a_message_to_an_idle_claude_gets_no_note() {
    let rig = Rig::new().await;
    rig.write("hello");
    let (prompt, _) = rig.daemon.wait_for_prompt("hello").await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, started(prompt));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees("Done").await;
    assert_eq!(rig.shown().len(), 1);
}

#[tokio::test]
async fn a_steered_message_can_be_queued_and_two_presses_do_one_thing() {
    let (rig, _, _, first) = steered("and the docs").await;
    let note = rig.sees("reads it at the next step").await;
    let data = note.buttons().next().and_then(|button| button.callback_data.clone()).expect("data");
    let presses = [(); 2].map(|()| rig.telegram.forge_press(ANN, ANN, note.id, &data));
    let queued = rig.sees("Queued for when Claude is done").await;
    assert_eq!((queued.id, queued.buttons().count()), (note.id, 1));
    for press in presses {
        rig.toast(press).await;
    }
    assert_eq!(rig.daemon.waiting().len(), 1);
    let state = rig.daemon.state();
    assert_eq!(state.order.len(), 2);
    let second = &state.prompts[&state.order[1]].1;
    assert_eq!((second.text.as_str(), second.placement), ("and the docs", Placement::Queue));
    assert_ne!(second.key, first.key);
    assert_eq!(rig.count("Taken back"), 0);
}

#[tokio::test]
async fn stop_and_do_this_stops_once_also_from_the_queue() {
    let (rig, _, _, _) = steered("do this").await;
    let note = rig.sees("reads it at the next step").await;
    assert_eq!(rig.press(&note, "🕓 Queue instead").await, "🕓 Queued");
    let note = rig.sees("Queued for when").await;
    assert_eq!(rig.press(&note, "⏹ Stop and do this").await, "⏹ Stopped");
    let stopped = rig.sees("Stopped for this").await;
    assert_eq!((stopped.id, stopped.buttons().count()), (note.id, 0));
    let state = rig.daemon.state();
    let stops = state.asked.iter().filter(|request| matches!(request, Request::Stop(_))).count();
    assert_eq!(stops, 1);
    assert_eq!(state.order.len(), 3);
    assert_eq!(state.withdrawn.len(), 2, "one of the three is left");
}

#[tokio::test]
async fn a_press_that_was_cut_off_is_finished_after_a_kill_without_stopping_again() {
    let (mut rig, _, _, _) = steered("do this").await;
    let note = rig.sees("reads it at the next step").await;
    rig.daemon.state().hang_submits = true;
    rig.telegram.press(ANN, ANN, note.id, "⏹ Stop and do this").expect("pressed");
    let hangs = |state: &support::daemon::State| {
        let last = state.asked.iter().rev().find_map(|request| match request {
            Request::Submit(submit) => Some(submit.key.as_str().ends_with(":now")),
            _ => None,
        });
        last.unwrap_or(false).then_some(())
    };
    rig.daemon.wait_for("the hanging submit", hangs).await;
    rig.kill_bot().await;
    rig.daemon.state().hang_submits = false;
    rig.start_bot();
    rig.sees("Stopped for this").await;
    assert_eq!(rig.daemon.waiting(), ["do this"]);
    let state = rig.daemon.state();
    assert_eq!(state.asked.iter().filter(|request| matches!(request, Request::Stop(_))).count(), 1);
}

#[tokio::test]
async fn an_edit_replaces_what_claude_has_not_taken() {
    let (rig, id, prompt, _) = steered("fix the tets").await;
    rig.sees("reads it at the next step").await;
    rig.telegram.edit_text(ANN, ANN, id, "fix the tests").expect("edited");
    rig.daemon.wait_for_prompt("fix the tests").await;
    rig.sees("Replaced by your edit").await;
    assert_eq!(rig.daemon.waiting(), ["fix the tests"]);
    assert!(rig.daemon.state().withdrawn.contains(&prompt));
    // Once more, from where it waits now. Telegram tells the time of an edit in seconds.
    let second = || std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
    let before = second();
    while second() == before {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    rig.telegram.edit_text(ANN, ANN, id, "fix all tests").expect("edited");
    let (last, _) = rig.daemon.wait_for_prompt("fix all tests").await;
    assert_eq!(rig.daemon.waiting(), ["fix all tests"]);
    rig.sees("Claude reads it at the next step: fix all tests").await;
    rig.daemon.emit(HERE, started(last));
    rig.sees("Claude has it: fix all tests").await;
    // Each note changes once, and no edit says what is there already.
    let edits = rig.telegram.calls_of("editMessageText");
    for note in rig.telegram.messages(ANN).iter().filter(|message| message.from_bot()) {
        let count = edits.iter().filter(|call| call.int("message_id") == Some(note.id)).count();
        assert!(count <= 1, "{count} edits: {}", note.text());
    }
    assert!(edits.iter().all(|call| call.refusal().is_none()), "{edits:#?}");
    assert_eq!(rig.count("Replaced by your edit"), 1, "however often");
}

#[tokio::test]
async fn an_edit_of_a_queued_message_stays_in_the_queue() {
    let (rig, id, _, _) = steered("later pleas").await;
    let note = rig.sees("reads it at the next step").await;
    rig.press(&note, "🕓 Queue instead").await;
    rig.telegram.edit_text(ANN, ANN, id, "later please").expect("edited");
    let (_, edited) = rig.daemon.wait_for_prompt("later please").await;
    assert_eq!(edited.placement, Placement::Queue);
    assert_eq!(rig.daemon.waiting(), ["later please"]);
}

#[tokio::test]
async fn an_edit_of_what_claude_has_read_says_so() {
    let (rig, id, prompt, _) = steered("fix the tets").await;
    rig.daemon.emit(HERE, started(prompt));
    rig.telegram.edit_text(ANN, ANN, id, "fix the tests").expect("edited");
    rig.sees("Claude has read that message already").await;
    assert_eq!(rig.daemon.state().order.len(), 1);
}

/// How often Claude was stopped.
fn stops(rig: &Rig) -> usize {
    rig.daemon.state().asked.iter().filter(|request| matches!(request, Request::Stop(_))).count()
}

#[tokio::test]
async fn an_edit_while_a_press_waits_for_the_daemon_leaves_no_buttons_behind() {
    let (mut rig, id, _, _) = steered("fix the tets").await;
    let note = rig.sees("reads it at the next step").await;
    rig.daemon.kill().await;
    assert!(rig.press(&note, "🕓 Queue instead").await.contains("is kept"));
    rig.telegram.edit_text(ANN, ANN, id, "fix the tests").expect("edited");
    rig.sees("Your message is kept").await;
    rig.daemon.start();
    // Whichever of the two comes first.
    rig.daemon.wait_for_prompt("fix the tests").await;
    let replaced = rig.sees("Replaced by your edit: fix the tets").await;
    assert_eq!((replaced.id, replaced.buttons().count()), (note.id, 0));
    assert_eq!(rig.daemon.waiting(), ["fix the tests"]);
}

#[tokio::test]
async fn a_press_and_the_edit_after_it_both_count() {
    for (label, place, stopped) in
        [("🕓 Queue instead", Placement::Queue, 0), ("⏹ Stop and do this", Placement::Steer, 1)]
    {
        let (mut rig, id, _, _) = steered("fix the tets").await;
        let note = rig.sees("reads it at the next step").await;
        rig.settled().await;
        rig.kill_bot().await;
        rig.telegram.press(ANN, ANN, note.id, label).expect("pressed");
        rig.telegram.edit_text(ANN, ANN, id, "fix the tests").expect("edited");
        rig.start_bot();
        let (_, edited) = rig.daemon.wait_for_prompt("fix the tests").await;
        assert_eq!((edited.placement, stops(&rig)), (place, stopped), "{label}");
        rig.sees("Replaced by your edit: fix the tets").await;
        assert_eq!(rig.daemon.waiting(), ["fix the tests"]);
    }
}

#[tokio::test]
async fn a_press_on_what_was_edited_before_says_so_and_stops_nothing() {
    let (mut rig, id, _, _) = steered("fix the tets").await;
    let note = rig.sees("reads it at the next step").await;
    rig.settled().await;
    rig.kill_bot().await;
    rig.telegram.edit_text(ANN, ANN, id, "fix the tests").expect("edited");
    let press = rig.telegram.press(ANN, ANN, note.id, "⏹ Stop and do this").expect("pressed");
    rig.start_bot();
    assert_eq!(rig.toast(press).await, "Your edit has taken its place");
    rig.sees("Claude reads it at the next step: fix the tests").await;
    assert_eq!(stops(&rig), 0);
}

#[tokio::test]
async fn what_is_edited_into_a_command_and_a_command_that_is_edited_do_not_wait_any_longer() {
    let (rig, id, _, _) = steered("review mian").await;
    rig.telegram.edit_text(ANN, ANN, id, "/review mian").expect("edited");
    rig.daemon.wait_for_prompt("/review mian").await;
    let note = rig.sees("Queued for when Claude is done: /review mian").await;
    assert_eq!(note.buttons().count(), 1);
    rig.telegram.edit_text(ANN, ANN, id, "/review main").expect("edited");
    rig.daemon.wait_for_prompt("/review main").await;
    assert_eq!(rig.daemon.waiting(), ["/review main"]);
    rig.telegram.edit_text(ANN, ANN, id, "/new").expect("edited");
    rig.sees("begins a new session").await;
    assert!(rig.daemon.waiting().is_empty());
}
