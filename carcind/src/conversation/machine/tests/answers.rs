//! Whose answer a result is, and whether it is one.

use carcin_proto::event::{PromptOutcome, TurnOutcome};

use super::*;

/// A Claude that has begun this prompt, which is the one given back.
fn at_work_on(text: &str) -> (World, PromptId) {
    let mut world = World::new();
    world.submit(text, Placement::Steer);
    world.flush();
    world.live(Fate::Deliver(0));
    for _ in 0..2 {
        world.live(Fate::Read);
    }
    world.live(Fate::Work);
    world.live(Fate::Deliver(20));
    let prompt = *world.begun.keys().next().expect("it has begun");
    (world, prompt)
}

fn result(prompts: Vec<PromptId>, num_turns: u32) -> Output {
    Output::Result(TurnResult { num_turns, prompts, ..TurnResult::default() })
}

#[test]
fn a_turn_that_ends_without_an_answer_is_interrupted() {
    let (mut world, _) = at_work_on("do");
    world.live(Fate::NoAnswer { exits: false });
    world.live(Fate::Deliver(20));
    let why = "Claude has ended the turn without an answer".to_owned();
    assert_eq!(world.outcomes(), [&PromptOutcome::Interrupted(why.clone())]);
    assert_eq!(world.turns(), [&TurnOutcome::Interrupted(why)]);
    world.settle();
    world.check_settled();
}

#[test]
fn a_claude_that_ends_instead_of_an_answer_leaves_the_prompt_interrupted() {
    let (mut world, prompt) = at_work_on("do");
    world.print(result(vec![prompt], 0));
    world.die();
    let mut machine = Machine::load(world.disk.load());
    machine.adopted(1);
    for output in
        world.spool.drain(..).skip(usize::try_from(machine.row().child.as_ref().unwrap().offset).unwrap())
    {
        machine.line(Parsed::Outputs { session: None, outputs: vec![output] }, b"", 0);
    }
    machine.exited(&Exit::Code(0), String::new());
    let why = "Claude has ended the turn without an answer".to_owned();
    let ended = machine.take().items.into_iter().find_map(|item| match item {
        Item::Durable(Event::PromptEnded(ended)) => Some(ended.outcome),
        _ => None,
    });
    assert_eq!(ended, Some(PromptOutcome::Interrupted(why)));
}

#[test]
fn a_slash_command_needs_no_answer() {
    let (mut world, _) = at_work_on("/compact");
    world.live(Fate::NoAnswer { exits: false });
    world.live(Fate::Deliver(20));
    assert_eq!(world.outcomes(), [&PromptOutcome::Completed]);
    assert_eq!(world.turns(), [&TurnOutcome::Completed]);
}

#[test]
fn an_answer_that_comes_after_an_empty_result_counts() {
    let (mut world, prompt) = at_work_on("do");
    world.print(result(Vec::new(), 0));
    world.live(Fate::Deliver(20));
    assert!(world.turns().is_empty(), "the turn goes on");
    world.print(Output::MessageStarted { parent: None, message: String::new() });
    world.print(result(vec![prompt], 1));
    world.lifecycle(prompt, LifecycleState::Completed);
    world.live(Fate::Deliver(20));
    assert_eq!(world.turns(), [&TurnOutcome::Completed]);
    assert_eq!(world.outcomes(), [&PromptOutcome::Completed]);
}

#[test]
fn the_end_of_a_turn_of_before_does_not_end_this_one() {
    let (mut world, prompt) = at_work_on("do");
    world.print(result(vec![PromptId::random()], 3));
    world.live(Fate::Deliver(20));
    assert!(world.turns().is_empty());
    world.print(result(vec![prompt], 1));
    world.live(Fate::Deliver(20));
    assert_eq!(world.turns(), [&TurnOutcome::Completed]);
}

#[test]
fn a_resumed_claude_that_ends_before_it_begins_is_followed_by_another() {
    let mut world = World::new();
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Deliver(0));
    world.print(result(Vec::new(), 0));
    world.live(Fate::ClaudeDies);
    world.settle();
    world.check_settled();
    assert_eq!(world.outcomes(), [&PromptOutcome::Completed]);
}
