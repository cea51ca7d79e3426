use super::chat::LIVE_EVERY;
use super::*;
use crate::queue::MessageRef;

fn job(id: i64, chat: i64, priority: Priority, op: Op, message: Option<i64>) -> Job {
    Job { id, chat, priority, op, message: message.map(MessageRef) }
}

fn prose(id: i64, chat: i64) -> Job {
    job(id, chat, Priority::Prose, Op::Send, None)
}

fn live(id: i64, chat: i64, message: i64) -> Job {
    job(id, chat, Priority::Live, Op::Edit, Some(message))
}

fn epoch() -> Instant {
    Instant::now() + Duration::from_secs(10_000)
}

fn scheduler(jobs: impl IntoIterator<Item = Job>) -> Scheduler {
    let mut scheduler = Scheduler::default();
    for job in jobs {
        scheduler.push(job);
    }
    scheduler
}

/// Runs everything with every job done at once: (seconds since the start, job id).
fn drain(scheduler: &mut Scheduler, start: Instant) -> Vec<(f32, i64)> {
    let mut now = start;
    let mut ran = Vec::new();
    loop {
        match scheduler.next(now) {
            Step::Run(job) => {
                ran.push(((now - start).as_secs_f32(), job.id));
                scheduler.done(&job, Outcome::Settled, now);
            }
            Step::WaitUntil(at) => {
                assert!(at > now, "a wait goes forward");
                now = at;
            }
            Step::Idle => return ran,
        }
    }
}

fn run(scheduler: &mut Scheduler, now: Instant) -> Job {
    match scheduler.next(now) {
        Step::Run(job) => job,
        other => panic!("expected a job, got {other:?}"),
    }
}

#[test]
fn a_chat_keeps_order_and_rate() {
    let ran = drain(&mut scheduler((1..=6).map(|id| prose(id, 5))), epoch());
    let ids: Vec<i64> = ran.iter().map(|(_, id)| *id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    let (last, _) = ran[5];
    assert!((1.9..=2.1).contains(&last), "four at once, then one a second: {ran:?}");
}

#[test]
fn a_group_is_slower() {
    let ran = drain(&mut scheduler((1..=6).map(|id| prose(id, -5))), epoch());
    assert!((5.9..=6.1).contains(&ran[5].0), "four at once, then one every three seconds: {ran:?}");
}

#[test]
fn all_chats_together_keep_the_global_rate() {
    let ran = drain(&mut scheduler((0..60).map(|id| prose(id, id))), epoch());
    let in_the_first_second = ran.iter().filter(|(at, _)| *at < 1.0).count();
    assert!(in_the_first_second <= 35, "{in_the_first_second}");
    assert_eq!(ran.len(), 60);
}

#[test]
fn one_chats_flood_wait_delays_no_other_and_loses_nothing() {
    let now = epoch();
    let mut scheduler = scheduler([prose(1, 5), prose(2, 5), prose(3, 6)]);
    let first = run(&mut scheduler, now);
    assert_eq!(first.id, 1);
    scheduler.done(&first, Outcome::Wait(Duration::from_secs(100)), now);
    let other = run(&mut scheduler, now);
    assert_eq!(other.id, 3);
    scheduler.done(&other, Outcome::Settled, now);
    assert_eq!(scheduler.next(now), Step::WaitUntil(now + Duration::from_secs(100)));
    let ran = drain(&mut scheduler, now + Duration::from_secs(100));
    assert_eq!(ran.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn only_the_newest_edit_of_a_message_is_sent() {
    let mut scheduler = scheduler([live(1, 5, 9)]);
    assert_eq!(scheduler.push(live(2, 5, 9)), Some(1));
    assert_eq!(scheduler.push(live(3, 5, 8)), None, "another message");
    let closing = job(4, 5, Priority::Prose, Op::Edit, Some(9));
    assert_eq!(scheduler.push(closing), Some(2), "also across lanes");
    let ran = drain(&mut scheduler, epoch());
    assert_eq!(ran.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [4, 3]);
}

#[test]
fn an_edit_that_has_to_wait_gives_way_to_a_newer_one() {
    let now = epoch();
    let mut scheduler = scheduler([live(1, 5, 9)]);
    let first = run(&mut scheduler, now);
    scheduler.push(live(2, 5, 9));
    assert_eq!(scheduler.done(&first, Outcome::Wait(Duration::from_secs(5)), now), Some(1));
    let ran = drain(&mut scheduler, now);
    assert_eq!(ran.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [2]);
}

#[test]
fn control_goes_first_even_while_a_message_is_under_way() {
    let now = epoch();
    let mut scheduler = scheduler((1..=9).map(|id| prose(id, 5)));
    let hanging = run(&mut scheduler, now);
    assert_eq!(hanging.id, 1);
    assert_eq!(scheduler.next(now), Step::Idle, "the order is kept");
    scheduler.push(job(10, 5, Priority::Control, Op::Send, None));
    assert_eq!(run(&mut scheduler, now).id, 10);
}

#[test]
fn a_message_does_not_overtake_the_answer_that_is_under_way_ahead_of_it() {
    let now = epoch();
    let mut scheduler = scheduler([job(1, 5, Priority::Control, Op::Send, None), prose(2, 5), prose(3, 6)]);
    let answer = run(&mut scheduler, now);
    assert_eq!(answer.id, 1);
    assert_eq!(run(&mut scheduler, now).id, 3, "another chat's goes on");
    assert_eq!(scheduler.next(now), Step::Idle);
    scheduler.done(&answer, Outcome::Settled, now);
    assert_eq!(run(&mut scheduler, now).id, 2);
}

#[test]
fn control_is_not_slowed_by_the_chats_rate() {
    let now = epoch();
    let mut scheduler = scheduler((1..=5).map(|id| job(id, 5, Priority::Control, Op::Send, None)));
    for id in 1..=5 {
        let job = run(&mut scheduler, now);
        assert_eq!(job.id, id);
        scheduler.done(&job, Outcome::Settled, now);
    }
}

#[test]
fn an_edit_waits_until_its_message_is_there() {
    let now = epoch();
    let mut scheduler = scheduler([
        job(1, 5, Priority::Prose, Op::Send, Some(9)),
        job(2, 5, Priority::Control, Op::Edit, Some(9)),
    ]);
    let create = run(&mut scheduler, now);
    assert_eq!(create.id, 1);
    assert_eq!(scheduler.next(now), Step::Idle);
    scheduler.done(&create, Outcome::Settled, now);
    assert_eq!(run(&mut scheduler, now).id, 2);
}

#[test]
fn a_live_card_changes_only_so_often() {
    let now = epoch();
    let mut scheduler = scheduler([live(1, 5, 9)]);
    let first = run(&mut scheduler, now);
    scheduler.done(&first, Outcome::Settled, now);
    scheduler.push(live(2, 5, 9));
    assert_eq!(scheduler.next(now), Step::WaitUntil(now + LIVE_EVERY));
}

#[test]
fn waits_for_an_unreachable_telegram_grow_and_end_with_success() {
    let start = epoch();
    let mut now = start;
    let mut scheduler = scheduler([prose(1, 5)]);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let job = run(&mut scheduler, now);
        scheduler.done(&job, Outcome::Unreachable, now);
        let Step::WaitUntil(at) = scheduler.next(now) else { panic!("a wait") };
        waits.push((at - now).as_secs());
        now = at;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    let job = run(&mut scheduler, now);
    scheduler.done(&job, Outcome::Settled, now);
    assert_eq!(scheduler.len(), 0);
}

#[test]
fn a_chat_that_is_gone_takes_nothing_and_holds_nobody_up() {
    let now = epoch();
    let mut scheduler = scheduler([prose(1, 5), prose(2, 5), prose(3, 6)]);
    let first = run(&mut scheduler, now);
    assert_eq!(first.chat, 5);
    scheduler.done(&first, Outcome::Gone, now);
    let ran = drain(&mut scheduler, now);
    assert_eq!(ran.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [3]);
    assert_eq!(scheduler.len(), 0, "the others wait in the store");
}
