//! Single cases in the same world, each of which went wrong once.

use carcin_proto::event::{ApiRetried, PromptOutcome, TaskChanged, TaskStatus};

use super::super::call::{Reply, Ticket};
use super::super::control;
use super::*;
use crate::rows::InputKind;

fn with_a_claude() -> World {
    let mut world = World::new();
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Deliver(0));
    world
}

#[test]
fn a_stop_before_claude_begins_does_not_end_what_is_sent_after_it() {
    let mut world = with_a_claude();
    world.live(Fate::Stop);
    for _ in 0..3 {
        world.live(Fate::Read);
    }
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Deliver(20));
    assert_eq!(world.rung, None, "the interrupt has its receipt: the ladder is not for the next prompt");
}

#[test]
fn whoever_stops_again_and_again_is_interrupted_once_for_what_was_sent_before() {
    let mut world = World::at_work();
    world.live(Fate::Hang(true));
    let interrupts = |world: &World| world.fifo.iter().filter(|line| line.contains("interrupt")).count();
    for _ in 0..3 {
        world.live(Fate::Stop);
        assert_eq!(interrupts(&world), 1);
    }
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Stop);
    world.live(Fate::Stop);
    assert_eq!(interrupts(&world), 2, "the last is for what came between: {:?}", world.fifo);
    world.live(Fate::Rung);
    assert_eq!(world.rung, Some(Rung::Terminate), "up the ladder");
    world.live(Fate::Stop);
    assert_eq!(world.rung, Some(Rung::Terminate), "and not down again");
    world.settle();
    world.check_settled();
}

#[test]
fn a_turn_that_ends_before_the_interrupt_is_read_leaves_the_ladder_armed() {
    let mut world = with_a_claude();
    for _ in 0..2 {
        world.live(Fate::Read);
    }
    world.live(Fate::Work);
    world.live(Fate::Deliver(20));
    world.live(Fate::Stop);
    world.live(Fate::Work);
    world.live(Fate::Deliver(20));
    assert_eq!(world.rung, Some(Rung::Interrupt));
    world.live(Fate::Read);
    world.live(Fate::Deliver(20));
    assert_eq!(world.rung, None);
}

#[test]
fn a_setting_chosen_while_claude_starts_reaches_it() {
    let mut world = World::new();
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Configure);
    world.live(Fate::Deliver(0));
    let setting = world.fifo.iter().position(|line| line.contains("set_model")).expect("the setting");
    let prompt = world.fifo.iter().position(|line| line.contains(r#""type":"user""#)).expect("the prompt");
    assert!(setting < prompt, "before the prompt that it is for");
}

/// Asks for a model; the id of the line, where there is a Claude to be told.
fn ask_for(world: &mut World, model: &str) -> (Ticket, Option<String>) {
    let ticket = world.configure(model);
    world.flush();
    let line = world.machine.lines.of(InputKind::Setting).next_back();
    (ticket, line.map(|input| input.id.clone()))
}

fn answered(world: &mut World, request_id: Option<String>, result: Result<&str, &str>) {
    let response = ControlResponse {
        request_id: request_id.expect("Claude was told"),
        result: result.map(str::to_owned).map_err(str::to_owned),
        pending: None,
    };
    world.print(Output::ControlResponse(response));
    world.live(Fate::Deliver(20));
}

/// The model asked for, and the one that Claude has.
fn models(world: &World) -> [Option<&str>; 2] {
    let row = &world.machine.row;
    [row.wanted.model.as_deref(), row.actual.model.as_deref()]
}

#[test]
fn a_setting_that_claude_refuses_is_told_and_taken_back() {
    let mut world = with_a_claude();
    let before = world.machine.row.actual.model.clone();
    let told = |world: &World| {
        let refused = |event: &Event| matches!(event, Event::Notice(notice) if notice.text == "Claude refuses the model x: no such model");
        world.disk.events.iter().any(refused)
    };
    for somebody_waits in [true, false] {
        let (ticket, id) = ask_for(&mut world, "x");
        assert_eq!(models(&world), [Some("x"), before.as_deref()], "it has it when it says so");
        assert_eq!(world.replies.get(&ticket), None);
        if !somebody_waits {
            world.machine.hung_up(ticket);
        }
        answered(&mut world, id, Err("no such model"));
        let refusal = world.replies.get(&ticket).cloned().and_then(Result::err);
        assert_eq!(refusal.is_some(), somebody_waits);
        assert_eq!(told(&world), !somebody_waits, "it is told once");
        assert_eq!(models(&world), [None, before.as_deref()]);
    }
}

#[test]
fn what_claude_has_taken_holds_again_where_it_refuses_the_next() {
    let mut world = with_a_claude();
    let ids = ["one", "two", "three"].map(|model| ask_for(&mut world, model).1);
    let results = [Ok(r#"{"model":"claude-one-1"}"#), Err("no"), Err("no")];
    for (id, result) in ids.into_iter().zip(results) {
        answered(&mut world, id, result);
    }
    assert_eq!(models(&world), [Some("one"), Some("claude-one-1")]);
}

#[test]
fn a_setting_asked_for_again_is_judged_by_the_last_answer() {
    let mut world = with_a_claude();
    let ids = ["bad", "good", "bad"].map(|model| ask_for(&mut world, model).1);
    for (id, result) in ids.into_iter().zip([Err("no"), Ok("{}"), Err("no")]) {
        answered(&mut world, id, result);
    }
    assert_eq!(models(&world), [Some("good"), Some("good")]);
}

#[test]
fn what_claude_was_started_with_holds_again_where_it_refuses_a_change() {
    let mut world = World::new();
    assert_eq!(ask_for(&mut world, "first").1, None, "nobody is there to be told");
    assert_eq!(models(&world), [Some("first"); 2], "the next one gets it");
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Deliver(0));
    let (_, id) = ask_for(&mut world, "second");
    answered(&mut world, id, Err("no"));
    assert_eq!(world.machine.row.wanted.model.as_deref(), Some("first"));
}

#[test]
fn a_setting_that_a_dead_claude_has_not_answered_to_is_the_next_ones() {
    let mut world = with_a_claude();
    let (ticket, id) = ask_for(&mut world, "x");
    assert!(id.is_some(), "Claude is told");
    world.live(Fate::ClaudeDies);
    world.live(Fate::Deliver(20));
    assert_eq!(models(&world), [Some("x"); 2]);
    assert_eq!(world.replies.get(&ticket), Some(&Ok(Reply::Done(()))), "nobody has refused it");
}

#[test]
fn what_claude_says_of_a_setting_begins_no_turn() {
    let mut world = with_a_claude();
    let turns = |world: &World| {
        world.disk.events.iter().filter(|event| matches!(event, Event::TurnStarted(_))).count()
    };
    world.live(Fate::Configure);
    world.print(Output::LocalOutput("Set model to `haiku`".to_owned()));
    world.live(Fate::Deliver(20));
    assert_eq!(turns(&world), 0);
    let id = world.machine.lines.of(InputKind::Setting).next().expect("its row").id.clone();
    world.print(Output::ControlResponse(ControlResponse {
        request_id: id,
        result: Ok("{}".to_owned()),
        pending: None,
    }));
    world.live(Fate::Deliver(20));
    // What a command prints is still told.
    world.print(Output::LocalOutput("Total cost: $0".to_owned()));
    world.live(Fate::Deliver(20));
    assert_eq!(turns(&world), 1);
}

#[test]
fn a_claude_that_ends_after_a_stop_takes_what_was_queued_with_it() {
    let mut world = with_a_claude();
    world.live(Fate::Submit(Placement::Steer));
    for _ in 0..3 {
        world.live(Fate::Read);
    }
    world.live(Fate::Work);
    world.live(Fate::Deliver(20));
    world.live(Fate::Stop);
    world.live(Fate::ClaudeDies);
    world.live(Fate::Deliver(20));
    assert!(world.claude.is_none(), "nothing is left to start a Claude for");
    world.check_settled();
}

#[test]
fn what_is_sent_after_a_stop_is_interrupted_where_claude_is_ended_for_that_stop() {
    let mut world = with_a_claude();
    for _ in 0..2 {
        world.live(Fate::Read);
    }
    world.live(Fate::Stop);
    world.live(Fate::Submit(Placement::Steer));
    // It obeys, and before that is known the ladder goes on; the daemon dies before it signals.
    world.live(Fate::Read);
    world.live(Fate::DaemonDiesInStep { committed: true });
    world.live(Fate::Rung);
    world.live(Fate::Read);
    world.live(Fate::Work);
    world.live(Fate::ClaudeDies);
    world.settle();
    world.check_settled();
    let outcomes = world.outcomes();
    assert!(
        matches!(outcomes[..], [PromptOutcome::Cancelled, PromptOutcome::Interrupted(_)]),
        "nobody stopped the second one: {outcomes:?}"
    );
}

#[test]
fn what_is_sent_after_a_stop_is_not_cancelled_by_the_signal_for_that_stop() {
    let mut world = with_a_claude();
    for _ in 0..2 {
        world.live(Fate::Read);
    }
    world.live(Fate::Stop);
    for _ in 0..2 {
        world.live(Fate::Submit(Placement::Steer));
    }
    // It obeys and goes on with what is next, and before that is known the ladder goes on.
    for _ in 0..3 {
        world.live(Fate::Read);
    }
    world.live(Fate::Work);
    world.live(Fate::Rung);
    assert_eq!(world.rung, Some(Rung::Terminate), "it got the first signal");
    world.live(Fate::Deliver(20));
    world.live(Fate::ClaudeDies);
    world.settle();
    world.check_settled();
    let outcomes = world.outcomes();
    let [PromptOutcome::Cancelled, PromptOutcome::Interrupted(why), PromptOutcome::Completed] = &outcomes[..]
    else {
        panic!("nobody stopped the second one or the third: {outcomes:?}")
    };
    assert_eq!(why, "Claude was ended while it worked on this");
}

#[test]
fn a_new_session_is_not_undone_when_the_daemon_dies() {
    let mut world = with_a_claude();
    world.live(Fate::Read);
    world.live(Fate::NewSession);
    world.live(Fate::DaemonDies);
    world.live(Fate::Submit(Placement::Steer));
    world.live(Fate::Deliver(20));
    assert_eq!(
        world.machine.row().session,
        None,
        "the old Claude says what session it has, and is not followed"
    );
    world.settle();
    world.check_settled();
}

#[test]
fn a_child_that_cannot_be_found_leaves_no_turn_running() {
    let mut world = with_a_claude();
    for _ in 0..2 {
        world.live(Fate::Read);
    }
    world.live(Fate::Work);
    world.live(Fate::Deliver(20));
    let mut machine = Machine::load(world.disk.load());
    machine.vanished();
    assert!(machine.row().turn.is_none());
    assert!(machine.is_settled());
}

#[test]
fn what_a_claude_may_have_begun_unread_goes_to_no_other() {
    let mut world = with_a_claude();
    for _ in 0..2 {
        world.live(Fate::Read);
    }
    world.live(Fate::Work);
    assert_eq!(world.begun.len(), 1);
    world.live(Fate::Unreadable);
    assert!(
        matches!(*world.outcomes(), [PromptOutcome::Interrupted(why)] if why.contains("cannot be read")),
        "{:?}",
        world.outcomes()
    );
    world.settle();
    world.check_settled();
}

#[test]
fn a_prompt_waits_for_space_over_a_restart_and_then_goes_on() {
    let mut world = World::new();
    world.live(Fate::Space(true));
    world.live(Fate::Submit(Placement::Steer));
    assert!(world.claude.is_none());
    world.live(Fate::DaemonDies);
    assert!(world.claude.is_some(), "nothing but the restart tells it to go on");
}

#[test]
fn an_answer_that_is_too_long_is_a_refusal() {
    let mut world = with_a_claude();
    for _ in 0..2 {
        world.live(Fate::Read);
    }
    world.live(Fate::Work);
    let request = RequestId::new("request").expect("a valid id");
    world.print(Output::Ask(asked(request.clone())));
    world.live(Fate::Deliver(20));
    world.live(Fate::Answer { which: 0, allow: true });
    world.live(Fate::Unwritable);
    let refusal = control::refuse(&request, "it is too long");
    assert_eq!(world.fifo.back(), Some(&refusal), "or Claude waits for ever");
    world.live(Fate::Unwritable);
    assert_ne!(world.fifo.back(), Some(&refusal), "once");
}

#[test]
fn a_session_is_taken_until_the_claude_that_left_it_has_ended() {
    let mut world = with_a_claude();
    world.live(Fate::Read);
    let session = world.machine.row().session.clone().expect("a session");
    assert!(world.machine.works_in(&session));
    world.live(Fate::NewSession);
    assert!(world.machine.works_in(&session), "it was told to end, and has not");
    world.live(Fate::DaemonDies);
    assert!(world.machine.works_in(&session));
    world.settle();
    assert!(!world.machine.works_in(&session));
}

/// Claude calls the API, which refuses its login for the `attempt`th time.
fn login_refused(world: &mut World, attempt: u32) {
    world.print(Output::ApiRetry(ApiRetried {
        attempt,
        max_attempts: 10,
        delay: Millis(500),
        status: Some(401),
        message: "Claude is not logged in".to_owned(),
    }));
    world.live(Fate::Deliver(20));
}

/// Lets all happen, and names the processes that have begun a prompt, in order.
fn claudes_of(mut world: World) -> Vec<String> {
    world.settle();
    world.check_settled();
    world.disk.prompts.values().flat_map(|prompt| world.begun[&prompt.id].clone()).collect()
}

#[test]
fn second_refused_login_fails_the_turn_and_the_next_prompt_gets_a_fresh_claude() {
    let mut world = World::at_work();
    login_refused(&mut world, 1);
    let interrupts = |world: &World| world.fifo.iter().filter(|line| line.contains("interrupt")).count();
    assert_eq!(interrupts(&world), 0, "Claude may renew its login");
    login_refused(&mut world, 2);
    login_refused(&mut world, 3);
    assert_eq!(interrupts(&world), 1);
    world.live(Fate::Submit(Placement::Steer));
    while !world.fifo.is_empty() {
        world.live(Fate::Read);
    }
    world.live(Fate::Deliver(20));
    let [PromptOutcome::Failed(why)] = &world.outcomes()[..] else { panic!("{:?}", world.outcomes()) };
    assert!(why.starts_with("Claude is not logged in. "), "{why}");
    world.live(Fate::DaemonDies);
    let begun = claudes_of(world);
    assert_eq!(begun.len(), 2, "what was sent meanwhile waits for the fresh one");
    assert_ne!(begun[0], begun[1]);
}

#[test]
fn turn_that_fails_on_the_login_leaves_its_claude_for_a_fresh_one() {
    let mut world = World::at_work();
    let failed = TurnResult {
        subtype: "success".to_owned(),
        is_error: true,
        text: "Invalid API key".to_owned(),
        api_error_status: Some(401),
        num_turns: 1,
        ..TurnResult::default()
    };
    let claude = world.claude.as_mut().expect("it runs");
    let prompt = claude.running.take().expect("it works");
    claude.asked.clear();
    world.print(Output::Result(failed));
    world.lifecycle(prompt, LifecycleState::Cancelled);
    world.rest();
    world.live(Fate::Deliver(20));
    world.live(Fate::Submit(Placement::Steer));
    let begun = claudes_of(world);
    assert_ne!(begun[0], begun[1]);
}

#[test]
fn idle_claude_of_another_environment_is_replaced_by_the_next_prompt() {
    for (fate, replaced) in [(Fate::DaemonDies, false), (Fate::OtherEnvironment, true)] {
        let mut world = World::at_work();
        world.settle();
        world.live(fate);
        world.settle();
        assert!(world.claude.is_some(), "it is left alone until it is needed");
        world.live(Fate::Submit(Placement::Steer));
        let begun = claudes_of(world);
        assert_eq!(begun[0] != begun[1], replaced);
    }
}

#[test]
fn work_in_the_background_outlives_a_changed_environment() {
    let mut world = World::at_work();
    world.settle();
    world.print(Output::Task(TaskChanged {
        task: "server".to_owned(),
        tool_use: None,
        description: "a server".to_owned(),
        status: TaskStatus::Running,
    }));
    world.live(Fate::Deliver(20));
    world.live(Fate::OtherEnvironment);
    world.settle();
    world.live(Fate::Submit(Placement::Steer));
    let begun = claudes_of(world);
    assert_eq!(begun[0], begun[1]);
}

#[test]
fn running_turn_outlives_a_changed_environment() {
    let mut world = World::at_work();
    world.live(Fate::OtherEnvironment);
    world.live(Fate::Submit(Placement::Steer));
    world.settle();
    assert_eq!(world.outcomes(), [&PromptOutcome::Completed, &PromptOutcome::Completed]);
}
