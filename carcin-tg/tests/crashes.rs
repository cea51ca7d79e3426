//! What happens when something dies, hangs or goes away: the promises, with a real process.

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use carcin_lab::telegram::{Call, Fault, FaultKind};
use carcin_proto::Request;
use carcin_proto::event::TurnOutcome;
use support::events::{permission, text, tool, turn_ended, turn_started};
use support::{ANN, HERE, Rig, SOON};

#[tokio::test]
async fn a_live_card_is_taken_up_again_after_a_kill() {
    let mut rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, tool(1, "t1", "make"));
    let card = rig.sees("make").await;
    rig.kill_bot().await;
    rig.daemon.emit(HERE, text(1, "It is made."));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.start_bot();
    rig.sees("It is made.").await;
    assert_eq!(rig.sees("Done").await.id, card.id);
    assert_eq!((rig.count("Working"), rig.shown().len()), (0, 2));
}

#[tokio::test]
async fn a_card_whose_turn_ended_unseen_does_not_stay_working() {
    let mut rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, permission(1, "req-1"));
    let card = rig.sees("Waiting for your answer").await;
    let question = rig.sees("May I use Bash?").await;
    rig.settled().await;
    rig.kill_bot().await;
    rig.daemon.kill().await;
    rig.daemon.lose_journal();
    rig.daemon.start();
    rig.start_bot();
    assert_eq!(rig.sees("Ended while I was not looking").await.id, card.id);
    let closed = rig.sees("No longer asked").await;
    assert_eq!((closed.id, closed.buttons().count()), (question.id, 0));
    rig.sees("carcind lost its journal").await;
}

#[tokio::test]
async fn a_prompt_sent_while_the_daemon_is_down_is_kept_and_told_once() {
    let mut rig = Rig::without_bot().await;
    rig.start_bot();
    rig.wait_until_polling().await;
    rig.write("first");
    rig.sees("carcind is down").await;
    rig.write("second");
    rig.write("/status");
    // The status comes from its own lane, after both prompts were taken in.
    rig.telegram
        .wait_for("the status", SOON, |state| {
            (state.visible(ANN).filter(|m| m.from_bot() && m.text().contains("carcind is down")).count() == 2)
                .then_some(())
        })
        .await
        .expect("told");
    rig.kill_bot().await;
    rig.start_bot();
    rig.daemon.start();
    rig.daemon.wait_for_prompt("second").await;
    let state = rig.daemon.state();
    let texts: Vec<&str> = state.order.iter().map(|key| state.prompts[key].1.text.as_str()).collect();
    assert_eq!(texts, ["first", "second"], "both, once, in order");
    drop(state);
    assert_eq!(rig.count("will be delivered"), 1);
}

#[tokio::test]
async fn a_redelivered_update_runs_once() {
    let mut rig = Rig::new().await;
    let id = rig.write("only once");
    rig.daemon.wait_for_prompt("only once").await;
    rig.telegram.redeliver(ANN, id).expect("redelivered");
    rig.write("in between");
    rig.daemon.wait_for_prompt("in between").await;
    let submits = rig.daemon.state().asked.iter().filter(|r| matches!(r, Request::Submit(_))).count();
    assert_eq!(submits, 2);
    rig.kill_bot().await;
    rig.telegram.redeliver(ANN, id).expect("redelivered");
    rig.start_bot();
    rig.write("afterwards");
    rig.daemon.wait_for_prompt("afterwards").await;
    assert_eq!(rig.daemon.state().order.len(), 3);
}

#[tokio::test]
async fn stop_gets_through_while_a_prompt_hangs_and_telegram_is_slow() {
    let rig = Rig::new().await;
    rig.daemon.state().hang_submits = true;
    rig.write("stuck");
    rig.daemon
        .wait_for("the hanging submit", |state| {
            state.asked.iter().any(|request| matches!(request, Request::Submit(_))).then_some(())
        })
        .await;
    rig.write("never submitted");
    rig.telegram.fault(Fault::on("sendMessage", FaultKind::HangBefore).times(3));
    let pressed = Instant::now();
    rig.write("/stop");
    rig.daemon
        .wait_for("the stop", |state| {
            state.asked.iter().any(|request| matches!(request, Request::Stop(_))).then_some(())
        })
        .await;
    // The prompt hangs for as long as the daemon is waited for, half a minute.
    assert!(pressed.elapsed() < Duration::from_secs(20), "{:?}", pressed.elapsed());
    rig.telegram.clear_faults();
    rig.telegram.release();
    rig.sees("1 waiting message is dropped").await;
    assert!(
        !rig.daemon
            .state()
            .asked
            .iter()
            .any(|request| matches!(request, Request::Submit(submit) if submit.text == "never submitted"))
    );
}

#[tokio::test]
async fn a_message_in_flight_at_the_kill_is_the_only_possible_duplicate() {
    let mut rig = Rig::new().await;
    // The message is created, its id never comes back.
    rig.telegram.fault(Fault::on("sendMessage", FaultKind::HangAfter));
    rig.daemon.emit(HERE, turn_started(1));
    rig.telegram
        .wait_for("the card", SOON, |state| {
            state.visible(ANN).any(carcin_lab::telegram::ChatMessage::from_bot).then_some(())
        })
        .await
        .expect("created");
    rig.kill_bot().await;
    for part in ["alpha", "beta", "gamma"] {
        rig.daemon.emit(HERE, text(1, part));
    }
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.telegram.clear_faults();
    rig.telegram.release();
    rig.start_bot();
    rig.sees("Done").await;
    for part in ["alpha", "beta", "gamma"] {
        assert_eq!(rig.count(part), 1, "{part}");
    }
    assert!(rig.shown().len() <= 5, "at most one duplicate");
    assert_eq!(rig.count("Working"), 0, "it does not stay behind working");
}

/// How many messages are in the store, to be sent, and nobody has begun to.
fn waiting(rig: &Rig) -> i64 {
    let count = "SELECT count(*) FROM outbox WHERE op = 'send' AND state = 'pending'";
    rig.store().query_row(count, [], |row| row.get(0)).expect("the rows")
}

#[tokio::test]
async fn a_message_that_was_not_sent_at_the_kill_is_sent_once() {
    let mut rig = Rig::new().await;
    // One is under way for ever, and the next waits for it.
    rig.telegram.fault(Fault::on("sendMessage", FaultKind::HangAfter));
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, text(1, "alpha"));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    let given_up = Instant::now() + SOON;
    while waiting(&rig) == 0 {
        assert!(Instant::now() < given_up, "nothing waits: {:?}", rig.shown());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rig.count("alpha"), 0, "it was sent before the kill");
    rig.kill_bot().await;
    rig.telegram.clear_faults();
    rig.telegram.release();
    rig.start_bot();
    rig.sees("alpha").await;
    rig.sees("Done").await;
    rig.daemon.emit(HERE, turn_started(2));
    rig.daemon.emit(HERE, text(2, "the next"));
    rig.daemon.emit(HERE, turn_ended(2, TurnOutcome::Completed));
    rig.sees("the next").await;
    assert_eq!(rig.count("alpha"), 1);
}

#[tokio::test]
async fn an_edit_in_flight_at_the_kill_is_repeated_and_done() {
    let mut rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, tool(1, "t1", "make"));
    let card = rig.sees("make").await;
    // The edit is made, and nobody hears of it.
    rig.telegram.fault(Fault::on("editMessageText", FaultKind::HangAfter).containing("Done"));
    rig.daemon.emit(HERE, text(1, "It is made."));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    assert_eq!(rig.sees("Done").await.id, card.id);
    rig.kill_bot().await;
    let before = rig.telegram.calls_of("editMessageText").len();
    rig.telegram.clear_faults();
    rig.telegram.release();
    rig.start_bot();
    let unchanged = |call: &Call| call.refusal().is_some_and(|why| why.contains("message is not modified"));
    rig.telegram
        .wait_for("the edit to be made again", SOON, |state| state.calls.iter().any(unchanged).then_some(()))
        .await
        .expect("it is made again");
    rig.daemon.emit(HERE, text(2, "the next"));
    rig.daemon.emit(HERE, turn_ended(2, TurnOutcome::Completed));
    rig.sees("the next").await;
    let calls = rig.telegram.calls_of("editMessageText");
    let again = calls[before..].iter().filter(|call| call.int("message_id") == Some(card.id)).count();
    assert_eq!((again, rig.count("Done")), (1, 1), "{:?}", rig.shown());
}

#[tokio::test]
async fn nothing_is_lost_or_done_twice_over_many_kills() {
    let mut rig = Rig::new().await;
    let kills = 6;
    rig.write("begin");
    rig.daemon.wait_for_prompt("begin").await;
    for round in 0..kills {
        rig.write(&format!("prompt {round}"));
        rig.daemon.emit(HERE, turn_started(round));
        rig.daemon.emit(HERE, text(round, &format!("answer [{round}]")));
        rig.daemon.emit(HERE, turn_ended(round, TurnOutcome::Completed));
        // At another point of the work each time.
        tokio::time::sleep(Duration::from_millis(15 * round)).await;
        rig.kill_bot().await;
        rig.start_bot();
    }
    rig.daemon.wait_for_prompt(&format!("prompt {}", kills - 1)).await;
    rig.sees(&format!("answer [{}]", kills - 1)).await;
    let rounds = usize::try_from(kills).expect("few");
    rig.telegram
        .wait_for("the end of every turn", SOON, |state| {
            (state.visible(ANN).filter(|m| m.from_bot() && m.text().contains("Done")).count() == rounds)
                .then_some(())
        })
        .await
        .expect("all turns end");
    let keys: BTreeSet<String> = rig.daemon.state().order.iter().cloned().collect();
    assert_eq!(keys.len(), rounds + 1, "each prompt has one identity");
    let mut duplicates = 0;
    for round in 0..kills {
        let shown = rig.count(&format!("answer [{round}]"));
        assert!(shown >= 1, "answer {round} is lost");
        duplicates += shown - 1;
    }
    duplicates += rig.count("Started") + rig.count("Still at work");
    assert_eq!(rig.count("Working"), 0, "nothing stays behind working");
    assert!(duplicates <= rounds, "at most one for each kill, not {duplicates}");
}

#[tokio::test]
async fn telegram_away_and_flooded_loses_nothing() {
    let rig = Rig::new().await;
    rig.telegram.fault(Fault::on("sendMessage", FaultKind::RetryAfter(2)));
    rig.daemon.emit(HERE, text(1, "after the flood"));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees("after the flood").await;
    assert_eq!(rig.telegram.look(|state| state.violations), 0, "the wait is honoured");
    rig.settled().await;

    rig.telegram.set_down(true);
    rig.daemon.emit(HERE, text(2, "after the outage"));
    rig.daemon.emit(HERE, turn_ended(2, TurnOutcome::Completed));
    rig.write("still here");
    rig.logged("a message waits").await;
    rig.telegram.set_down(false);
    rig.sees("after the outage").await;
    rig.daemon.wait_for_prompt("still here").await;
    assert_eq!((rig.count("after the flood"), rig.count("after the outage")), (1, 1));
}

#[tokio::test]
async fn it_ends_on_request_and_refuses_what_cannot_work() {
    let mut rig = Rig::new().await;
    let second = rig.command().stderr(std::process::Stdio::piped()).output().await.expect("runs");
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1));
    assert!(told.contains("already serves this bot") && told.contains("hint:"), "{told}");
    assert!(rig.stop_bot().await.success());

    let refused = rig
        .command()
        .env("TELEGRAM_BOT_TOKEN", "4242:wrong")
        .stderr(std::process::Stdio::piped())
        .output()
        .await
        .expect("runs");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains("refuses the bot token") && told.contains("hint:"), "{told}");

    let nobody = rig
        .command()
        .env_remove("ALLOWED_USER_IDS")
        .stderr(std::process::Stdio::piped())
        .output()
        .await
        .expect("runs");
    let told = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert_eq!(nobody.status.code(), Some(2), "{told}");
    assert!(told.starts_with("error: nobody is allowed"), "{told}");
}

#[tokio::test]
async fn a_restart_of_the_daemon_repeats_and_skips_nothing() {
    let mut rig = Rig::new().await;
    rig.write("begin");
    rig.daemon.wait_for_prompt("begin").await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, text(1, "before"));
    rig.daemon.emit(HERE, tool(1, "t1", "make"));
    rig.sees("before").await;
    rig.daemon.kill().await;
    rig.daemon.emit(HERE, text(1, "meanwhile"));
    rig.daemon.start();
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees("meanwhile").await;
    rig.sees("Done").await;
    assert_eq!((rig.count("before"), rig.count("meanwhile"), rig.shown().len()), (1, 1, 3));
}

#[tokio::test]
async fn a_prompt_under_way_at_the_stop_is_taken_back_and_not_sent_again() {
    let mut rig = Rig::new().await;
    rig.write("begin");
    rig.daemon.wait_for_prompt("begin").await;
    rig.daemon.state().hang_submits = true;
    let submits = |state: &support::daemon::State, text: &str| {
        state.asked.iter().filter(|r| matches!(r, Request::Submit(submit) if submit.text == text)).count()
    };
    let stops = |state: &support::daemon::State| {
        state.asked.iter().filter(|request| matches!(request, Request::Stop(_))).count()
    };
    rig.write("stuck");
    rig.daemon.wait_for("the submit", |state| (submits(state, "stuck") == 1).then_some(())).await;
    rig.write("/stop");
    rig.daemon.wait_for("the stop", |state| (stops(state) == 1).then_some(())).await;
    rig.write("later");
    // What became of the prompt is not known: the daemon dies with it.
    rig.daemon.kill().await;
    rig.daemon.state().hang_submits = false;
    rig.daemon.start();
    rig.daemon.wait_for_prompt("later").await;
    let state = rig.daemon.state();
    assert_eq!(
        (submits(&state, "stuck"), stops(&state)),
        (1, 2),
        "stopped once more, in case it got through"
    );
}

#[tokio::test]
async fn a_polite_end_sends_nothing_twice() {
    let mut rig = Rig::new().await;
    rig.write("begin");
    rig.daemon.wait_for_prompt("begin").await;
    rig.telegram.fault(Fault::on("sendMessage", FaultKind::HangAfter));
    rig.daemon.emit(HERE, text(1, "the answer"));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees("the answer").await;
    let mut bot = rig.bot.take().expect("it runs");
    support::terminate(&bot);
    rig.logged("stopping").await;
    rig.telegram.release();
    assert!(bot.wait().await.expect("it ends").success());
    rig.start_bot();
    rig.daemon.emit(HERE, text(2, "the next"));
    rig.daemon.emit(HERE, turn_ended(2, TurnOutcome::Completed));
    rig.sees("the next").await;
    assert_eq!(rig.count("the answer"), 1);
}

#[tokio::test]
async fn messages_are_seen_after_a_quiet_week() {
    let rig = Rig::new().await;
    rig.write("before");
    rig.daemon.wait_for_prompt("before").await;
    rig.telegram.restart_update_ids();
    rig.write("after");
    rig.daemon.wait_for_prompt("after").await;
}

#[tokio::test]
async fn another_poller_is_named_and_outlived() {
    let rig = Rig::new().await;
    support::poll_once(&rig.telegram).await;
    rig.logged("another program polls with this bot's token").await;
    rig.write("still here");
    rig.daemon.wait_for_prompt("still here").await;
    let polls = async {
        loop {
            support::poll_once(&rig.telegram).await;
        }
    };
    let told = tokio::select! {
        told = rig.sees("Another program uses this bot") => told,
        () = polls => unreachable!("it goes on for as long as it is waited for"),
    };
    assert!(!told.silent);
}
