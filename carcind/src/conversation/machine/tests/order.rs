//! The lines to Claude keep their order over a death of the daemon.

use carcin_proto::event::PromptOutcome;

use super::super::control;
use super::*;
use crate::rows::InputKind;

/// A Claude at work; a stop, and a prompt behind it, that are journalled and not written.
fn stopped_and_not_written() -> World {
    let mut world = World::at_work();
    world.live(Fate::Stall(true));
    world.live(Fate::Stop);
    world.live(Fate::Submit(Placement::Steer));
    assert!(world.fifo.is_empty());
    assert_eq!(world.writing.len(), 2);
    world
}

#[test]
fn a_stop_that_was_never_written_still_ends_what_is_older_and_spares_what_is_newer() {
    let mut world = stopped_and_not_written();
    world.live(Fate::DaemonDies);
    world.live(Fate::Deliver(20));
    assert!(world.writing.is_empty() && world.fifo.len() == 1, "one line, to find out: {:?}", world.fifo);
    world.live(Fate::Read);
    world.live(Fate::Deliver(20));
    let kinds: Vec<bool> = world.fifo.iter().map(|line| line.contains("interrupt")).collect();
    assert_eq!(kinds, [true, false], "the stop, then the prompt: {:?}", world.fifo);
    world.live(Fate::Read);
    world.live(Fate::Read);
    world.live(Fate::Work);
    world.live(Fate::Deliver(20));
    assert_eq!(world.outcomes(), [&PromptOutcome::Cancelled], "the older");
    assert_eq!(world.rung, None, "the ladder is not for the newer one");
    world.settle();
    world.check_settled();
    assert_eq!(world.outcomes(), [&PromptOutcome::Cancelled, &PromptOutcome::Completed]);
}

#[test]
fn what_was_written_is_not_written_again() {
    let mut world = stopped_and_not_written();
    world.live(Fate::Stall(false));
    world.live(Fate::DaemonDies);
    world.live(Fate::Deliver(20));
    while !world.fifo.is_empty() {
        world.live(Fate::Read);
    }
    world.live(Fate::Deliver(20));
    assert!(world.fifo.is_empty(), "a second stop would end the newer prompt: {:?}", world.fifo);
    world.settle();
    assert_eq!(world.outcomes(), [&PromptOutcome::Cancelled, &PromptOutcome::Completed]);
}

#[test]
fn what_comes_while_an_adopted_claude_is_asked_waits_for_its_answer() {
    let mut world = stopped_and_not_written();
    world.live(Fate::DaemonDies);
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Deliver(20));
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Configure);
    assert_eq!(world.fifo.len(), 1, "{:?}", world.fifo);
    world.live(Fate::Stop);
    assert_eq!(world.fifo.len(), 2, "a stop waits for nothing: {:?}", world.fifo);
    world.live(Fate::Read);
    world.live(Fate::Read);
    world.settle();
    world.check_settled();
    assert!(world.outcomes().iter().all(|outcome| **outcome == PromptOutcome::Cancelled));
}

/// A refusal, which the real Claude does not repeat.
fn refused() -> (World, RequestId) {
    let mut world = World::new();
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Deliver(0));
    let request = RequestId::new("odd").expect("a valid id");
    world.print(Output::AskUnsupported { request: request.clone(), subtype: "hook_callback".to_owned() });
    world.live(Fate::Deliver(20));
    assert_eq!(world.fifo.back(), Some(&control::refuse(&request, "Carcin cannot answer hook_callback")));
    (world, request)
}

fn unconfirmed(world: &World, id: &RequestId) -> bool {
    world.disk.inputs.values().any(|input| input.id == id.as_str() && input.kind == InputKind::Answer)
}

#[test]
fn a_refusal_has_its_receipt_once_claude_answers_to_a_later_line() {
    let (mut world, request) = refused();
    while !world.fifo.is_empty() {
        world.live(Fate::Read);
    }
    world.live(Fate::Deliver(20));
    assert!(unconfirmed(&world, &request), "nothing tells yet that Claude has had it");
    world.live(Fate::Configure);
    world.live(Fate::Read);
    world.live(Fate::Deliver(20));
    assert!(!unconfirmed(&world, &request));
}

#[test]
fn a_refusal_is_written_once_more_after_a_restart_and_not_for_ever() {
    let (mut world, request) = refused();
    world.live(Fate::DaemonDies);
    for _ in 0..10 {
        world.live(Fate::Read);
        world.live(Fate::Deliver(20));
    }
    assert!(!unconfirmed(&world, &request));
}

#[test]
fn an_adopted_claude_that_cannot_be_asked_is_ended_and_no_stop_is_written_twice() {
    let mut world = World::new();
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Deliver(1));
    world.live(Fate::Stop);
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::DaemonDies);
    world.live(Fate::Deliver(1));
    world.live(Fate::Unwritable);
    assert_eq!(world.rung, Some(Rung::Terminate));
    world.settle();
    world.check_settled();
    assert_eq!(world.outcomes(), [&PromptOutcome::Cancelled, &PromptOutcome::Completed]);
}

#[test]
fn a_line_that_a_dead_claude_did_not_take_ends_no_other() {
    let mut world = World::new();
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::DaemonDies);
    world.live(Fate::Space(true));
    world.live(Fate::ClaudeDies);
    world.live(Fate::Deliver(1));
    world.live(Fate::Unwritable);
    world.settle();
    world.check_settled();
    assert_eq!(world.outcomes(), [&PromptOutcome::Completed]);
}
