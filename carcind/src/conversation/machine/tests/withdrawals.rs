//! Prompts that are taken back.

use carcin_proto::event::PromptOutcome;
use carcin_proto::request::Withdrawal;

use super::super::call::{Answered, Reply};
use super::*;

/// A Claude at work, that has another prompt in its queue. The first to be withdrawn is the latest.
fn with_one_queued() -> World {
    let mut world = World::at_work();
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Read);
    world.live(Fate::Deliver(20));
    world
}

fn latest(world: &World) -> &PromptRow {
    world.disk.prompts.values().next_back().expect("there is one")
}

/// Takes the latest prompt back; what is said at once.
fn told(world: &mut World) -> Option<Answered> {
    world.replies.clear();
    world.live(Fate::Withdraw(0));
    world.replies.values().next_back().cloned()
}

fn settled_unbegun(world: &World) {
    let row = latest(world);
    assert!(row.state == PromptState::Settled && row.unbegun, "{row:?}");
    assert!(!world.begun.contains_key(&row.id));
    let mut ends = world.disk.events.iter().filter_map(|event| match event {
        Event::PromptEnded(ended) if ended.prompt == row.id => Some(&ended.outcome),
        _ => None,
    });
    assert_eq!(ends.next(), Some(&PromptOutcome::Cancelled));
}

#[test]
fn one_that_waits_here_is_settled_at_once() {
    let mut world = World::at_work();
    world.live(Fate::Submit(Placement::Queue));
    world.live(Fate::Withdraw(0));
    assert_eq!(world.withdrawn.len(), 1);
    settled_unbegun(&world);
    assert_eq!(told(&mut world), Some(Ok(Reply::Withdrawal(Withdrawal::Withdrawn))), "from the journal");
    world.settle();
    world.check_settled();
}

#[test]
fn one_that_claude_has_in_its_queue_is_asked_for() {
    let mut world = with_one_queued();
    let id = latest(&world).id;
    world.live(Fate::Withdraw(0));
    assert_eq!(world.withdrawn.len(), 0, "Claude has not answered");
    world.live(Fate::Read);
    world.live(Fate::Deliver(20));
    assert!(world.withdrawn.contains_key(&id));
    settled_unbegun(&world);
    world.settle();
    world.check_settled();
}

#[test]
fn one_that_claude_has_begun_cannot_be_had_back() {
    let mut world = World::at_work();
    assert_eq!(told(&mut world), Some(Ok(Reply::Withdrawal(Withdrawal::Begun))));
    world.settle();
    assert_eq!(world.outcomes(), [&PromptOutcome::Completed]);
}

#[test]
fn one_that_claude_is_about_to_begin_is_waited_for() {
    let mut world = World::new();
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Deliver(0));
    for fate in [Fate::Read, Fate::Read, Fate::Take, Fate::Withdraw(0), Fate::Read, Fate::Deliver(20)] {
        world.live(fate);
    }
    assert_eq!(world.withdrawing(), 1, "that it is not in the queue says nothing yet");
    world.live(Fate::Work);
    world.live(Fate::Deliver(20));
    assert!(world.withdrawing() == 0 && world.withdrawn.is_empty());
    world.settle();
    assert_eq!(world.outcomes(), [&PromptOutcome::Completed]);
}

#[test]
fn what_is_being_taken_back_when_claude_dies_goes_to_no_other() {
    let mut world = with_one_queued();
    world.live(Fate::Withdraw(0));
    world.live(Fate::ClaudeDies);
    world.live(Fate::Deliver(20));
    settled_unbegun(&world);
    assert_eq!(world.withdrawn.len(), 1);
    world.settle();
    world.check_settled();
}

#[test]
fn the_next_daemon_takes_back_what_this_one_was_asked_for() {
    for dies_too in [false, true] {
        let mut world = with_one_queued();
        world.live(Fate::Stall(true));
        world.live(Fate::Withdraw(0));
        if dies_too {
            world.live(Fate::ClaudeDies);
        }
        world.live(Fate::DaemonDies);
        for _ in 0..5 {
            world.live(Fate::Deliver(20));
            world.live(Fate::Read);
        }
        world.settle();
        settled_unbegun(&world);
        world.check_settled();
    }
}

#[test]
fn what_was_never_written_to_an_adopted_claude_never_is() {
    let mut world = World::at_work();
    world.live(Fate::Stall(true));
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::DaemonDies);
    world.live(Fate::Withdraw(0));
    assert!(world.withdrawn.is_empty(), "the line may have been written");
    let id = latest(&world).id.to_string();
    let mut read = Vec::new();
    for _ in 0..20 {
        world.live(Fate::Deliver(20));
        read.extend(world.fifo.iter().cloned());
        world.live(Fate::Read);
    }
    settled_unbegun(&world);
    assert!(!read.iter().any(|line| line.contains(&id)), "{read:?}");
    assert_eq!(world.withdrawn.len(), 1);
    world.settle();
    world.check_settled();
}
