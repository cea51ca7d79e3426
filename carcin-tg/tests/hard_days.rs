//! Days on which Telegram is away, slow, or wants nothing more of us.

mod support;

use std::time::{Duration, SystemTime};

use carcin_lab::telegram::{Call, Fault, FaultKind};
use carcin_proto::event::{Level, Notice, TurnOutcome};
use support::events::{delta, text, turn_ended, turn_started};
use support::{ANN, HERE, Rig, SOON};

fn notice(text: &str) -> Notice {
    Notice { level: Level::Info, text: text.into(), hint: None }
}

#[tokio::test]
async fn a_message_that_telegram_refuses_goes_as_plain_text_and_one_that_it_never_takes_is_told() {
    let rig = Rig::new().await;
    let no = |part: &str| {
        Fault::on("sendMessage", FaultKind::refuse(400, "Bad Request: can't parse entities")).containing(part)
    };
    rig.telegram.fault(no("odd"));
    rig.telegram.fault(no("poison").forever());
    rig.daemon.emit(HERE, turn_started(1));
    for part in ["an **odd** one", "a **poison**", "the last one"] {
        rig.daemon.emit(HERE, text(1, part));
    }
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees("the last one").await;
    let odd = rig.sees("an odd one").await;
    assert!(odd.content.entities.is_empty(), "{odd:?}");
    rig.sees("Telegram refused a message").await;
    assert_eq!(rig.count("poison"), 0);
    assert!(rig.read_log().contains("a defect"));
}

#[tokio::test]
async fn after_an_outage_everything_arrives_in_order() {
    let rig = Rig::new().await;
    rig.telegram.set_down(true);
    for part in 0..5 {
        rig.daemon.emit(HERE, notice(&format!("part {part}")));
    }
    rig.logged("a message waits").await;
    rig.telegram.set_down(false);
    rig.sees("part 4").await;
    let shown: Vec<String> = rig.shown().iter().map(|message| message.text().to_owned()).collect();
    let expected: Vec<String> = (0..5).map(|part| format!("ℹ️ part {part}")).collect();
    assert_eq!(shown, expected, "a short one is not spoken of");
}

#[tokio::test]
async fn who_blocks_the_bot_gets_nothing_and_keeps_nobody_waiting_until_they_write_again() {
    let mut rig = Rig::new().await;
    let group = rig.telegram.group(-700, "Team");
    rig.telegram.send_text(group, ANN, "/status@carcin_lab_bot").expect("sent");
    rig.telegram.wait_for_text(group, "carcind 9.9.9", SOON).await.expect("the group is known");
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    rig.telegram.block_bot(ANN, ANN).expect("blocked");
    rig.daemon.emit(HERE, notice("one"));
    let refused = |rig: &Rig| {
        let calls = rig.telegram.calls();
        let refused = |call: &&Call| call.refusal().is_some_and(|why| why.starts_with("Forbidden"));
        calls.iter().filter(|call| call.int("chat_id") == Some(ANN)).filter(refused).count()
    };
    rig.logged("nothing is sent to the chat").await;
    // Also after a restart nothing is tried there, not even “typing…”, and others are served.
    rig.kill_bot().await;
    let before = refused(&rig);
    rig.start_bot();
    rig.daemon.emit(HERE, notice("two"));
    rig.daemon.emit("tg:-700", notice("for the team"));
    rig.telegram.wait_for_text(group, "for the team", SOON).await.expect("the others are served");
    rig.telegram.unblock_bot(ANN, ANN).expect("let in");
    rig.write("/status");
    rig.sees("ℹ️ two").await;
    assert_eq!(refused(&rig), before);
    let notices: Vec<String> = rig
        .shown()
        .iter()
        .map(|message| message.text().to_owned())
        .filter(|text| text.starts_with("ℹ️ one") || text.starts_with("ℹ️ two"))
        .collect();
    assert_eq!(notices, ["ℹ️ one", "ℹ️ two"], "nothing is lost, and in order");
}

#[tokio::test]
async fn no_call_of_any_kind_is_made_into_a_known_wait() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    rig.telegram.fault(Fault::on("sendMessage", FaultKind::RetryAfter(6)));
    rig.daemon.emit(HERE, notice("this one waits"));
    rig.logged("Telegram wants 6 s of silence").await;
    // What was on its way by then could not know.
    let told = SystemTime::now() + Duration::from_millis(500);
    for piece in 0..60 {
        rig.daemon.emit_transient(HERE, delta(1, piece, "x"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rig.sees("this one waits").await;
    let calls = rig.telegram.calls();
    let flooded = calls.iter().position(|call| call.refusal().is_some_and(|why| why.contains("Too Many")));
    let flooded = flooded.expect("it was told to wait");
    let early: Vec<_> = calls[flooded + 1..]
        .iter()
        .filter(|call| call.method != "getUpdates" && call.at > told)
        .filter(|call| call.at < calls[flooded].at + Duration::from_secs(6))
        .collect();
    assert!(early.is_empty(), "{early:#?}");
    assert_eq!(rig.telegram.look(|state| state.violations), 0);
}
