//! A Claude that says nothing: it is slow, or hangs.

use std::time::Duration;

use carcin_proto::event::PromptOutcome;

use super::*;
use crate::claude::{Assistant, Block};
use crate::conversation::machine::Patience;

/// Ten minutes pass, and whatever Claude is asked then, it answers.
fn quiet(world: &mut World) {
    world.live(Fate::Minutes(10));
    world.live(Fate::Read);
    world.live(Fate::Deliver(20));
}

#[test]
fn a_slow_claude_is_told_of_once() {
    let mut world = World::at_work();
    world.live(Fate::Minutes(9));
    assert!(world.fifo.is_empty(), "too early");
    world.live(Fate::Minutes(1));
    assert!(world.fifo.back().is_some_and(|line| line.contains("get_binary_version")), "{:?}", world.fifo);
    world.live(Fate::Read);
    world.live(Fate::Deliver(20));
    for _ in 0..5 {
        quiet(&mut world);
    }
    assert_eq!(world.notices(), ["Claude has said nothing for 10 min; it is alive"]);
    world.settle();
    world.check_settled();
    assert_eq!(world.outcomes(), [&PromptOutcome::Completed], "nothing was ended");
}

#[test]
fn a_word_begins_the_silence_anew() {
    let mut world = World::at_work();
    world.live(Fate::Minutes(9));
    world.print(Output::MessageStarted { parent: None, message: String::new() });
    world.live(Fate::Deliver(20));
    world.live(Fate::Minutes(9));
    assert!(world.fifo.is_empty());
    world.live(Fate::Minutes(1));
    assert_eq!(world.fifo.len(), 1);
}

#[test]
fn a_tool_may_be_silent_as_long_as_it_likes() {
    let mut world = World::at_work();
    world.print(Output::Assistant(Assistant {
        parent: None,
        message: String::new(),
        model: String::new(),
        blocks: vec![Block::ToolUse {
            id: carcin_proto::ToolUseId::new("tool").expect("a valid id"),
            name: "Bash".to_owned(),
            input: "{}".to_owned(),
            summary: String::new(),
        }],
        context_tokens: 0,
        synthetic: false,
        error: None,
        aborted: false,
    }));
    world.live(Fate::Deliver(20));
    for _ in 0..50 {
        quiet(&mut world);
    }
    assert!(world.notices().is_empty(), "{:?}", world.notices());
    assert!(world.claude.is_some());
}

#[test]
fn a_question_may_stay_open_for_days() {
    let mut world = World::at_work();
    world.print(Output::Ask(asked(RequestId::new("question").expect("a valid id"))));
    world.live(Fate::Deliver(20));
    for _ in 0..500 {
        quiet(&mut world);
    }
    assert!(world.notices().is_empty(), "{:?}", world.notices());
    assert!(world.claude.is_some());
}

#[test]
fn a_claude_that_hangs_is_told_of_and_then_ended() {
    let mut world = World::at_work();
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Hang(true));
    world.live(Fate::Minutes(10));
    assert!(world.notices().is_empty(), "it has the time to answer");
    world.live(Fate::Minutes(1));
    assert_eq!(world.notices(), ["Claude hangs: it has said nothing for 11 min"]);
    world.live(Fate::Minutes(28));
    assert_eq!(world.rung, None);
    world.live(Fate::Minutes(1));
    assert_eq!(world.rung, Some(Rung::Terminate), "after half an hour without a sign of life");
    world.live(Fate::Rung);
    assert_eq!(world.rung, Some(Rung::Kill));
    world.live(Fate::Rung);
    world.live(Fate::Deliver(20));
    let why = "Claude has given no sign of life for 30 min and was ended".to_owned();
    assert_eq!(world.outcomes(), [&PromptOutcome::Interrupted(why)]);
    world.settle();
    world.check_settled();
    assert_eq!(
        world.outcomes().last(),
        Some(&&PromptOutcome::Completed),
        "what it had not begun, the next did"
    );
}

#[test]
fn the_reason_of_an_end_outlives_the_daemon() {
    let mut world = World::at_work();
    world.live(Fate::Hang(true));
    world.live(Fate::Minutes(10));
    world.live(Fate::Minutes(30));
    world.live(Fate::DaemonDies);
    assert_eq!(world.rung, Some(Rung::Terminate));
    world.live(Fate::Rung);
    world.live(Fate::Rung);
    world.live(Fate::Deliver(20));
    let why = "Claude has given no sign of life for 30 min and was ended".to_owned();
    assert_eq!(world.outcomes(), [&PromptOutcome::Interrupted(why)]);
}

#[test]
fn a_claude_that_answers_in_the_end_goes_on() {
    let mut world = World::at_work();
    world.live(Fate::Hang(true));
    world.live(Fate::Minutes(10));
    world.live(Fate::Minutes(20));
    world.live(Fate::Hang(false));
    world.live(Fate::Read);
    world.live(Fate::Deliver(20));
    assert_eq!(world.notices().last(), Some(&"Claude gives signs of life again"));
    world.settle();
    assert_eq!(world.outcomes(), [&PromptOutcome::Completed]);
}

#[test]
fn an_adopted_claude_that_does_not_answer_hangs() {
    let mut world = World::at_work();
    world.live(Fate::Hang(true));
    world.live(Fate::DaemonDies);
    world.live(Fate::Deliver(20));
    world.live(Fate::Minutes(1));
    assert_eq!(world.notices(), ["Claude hangs: it has said nothing for 1 min"]);
    world.live(Fate::Minutes(29));
    assert_eq!(world.rung, Some(Rung::Terminate));
}

#[test]
fn an_idle_claude_that_hangs_is_ended_in_silence() {
    let mut world = World::at_work();
    world.live(Fate::Work);
    world.live(Fate::Work);
    world.live(Fate::Deliver(20));
    assert_eq!(world.outcomes(), [&PromptOutcome::Completed]);
    world.live(Fate::Hang(true));
    world.live(Fate::Minutes(39));
    assert!(world.fifo.is_empty(), "it ends by itself after half an hour");
    world.live(Fate::Minutes(1));
    world.live(Fate::Minutes(30));
    assert_eq!(world.rung, Some(Rung::Terminate));
    assert!(world.notices().is_empty(), "{:?}", world.notices());
}

#[test]
fn without_patience_set_nobody_is_disturbed() {
    let mut world = World::at_work();
    world.machine = std::mem::replace(&mut world.machine, World::new().machine).with_patience(Patience {
        quiet: None,
        hung: Some(Duration::from_mins(30)),
        idle_exit: Duration::from_mins(30),
    });
    world.live(Fate::Hang(true));
    for _ in 0..50 {
        world.live(Fate::Minutes(30));
    }
    assert!(world.claude.is_some());
    assert!(world.notices().is_empty());
}

#[test]
fn a_claude_that_forgets_a_prompt_is_replaced() {
    let mut world = World::new();
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Deliver(0));
    for _ in 0..2 {
        world.live(Fate::Read);
    }
    world.claude.as_mut().expect("it runs").queue.clear();
    world.live(Fate::Deliver(20));
    quiet(&mut world);
    assert_eq!(world.rung, Some(Rung::Terminate));
    world.settle();
    world.check_settled();
    assert_eq!(world.outcomes(), [&PromptOutcome::Completed]);
}

#[test]
fn a_claude_that_speaks_and_reads_nothing_does_not_hang() {
    let mut world = World::at_work();
    world.live(Fate::Minutes(10));
    for _ in 0..50 {
        world.live(Fate::Minutes(9));
        world.print(Output::MessageStarted { parent: None, message: String::new() });
        world.live(Fate::Deliver(20));
    }
    assert_eq!(world.fifo.len(), 1, "it is asked once: {:?}", world.fifo);
    assert_eq!(world.rung, None);
    let told = ["Claude hangs: it has said nothing for 19 min", "Claude gives signs of life again"];
    assert_eq!(world.notices(), told, "and people are told once");
}
