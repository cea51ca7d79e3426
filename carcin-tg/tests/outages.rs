//! Telegram is away, slow, fails, or refuses what it gets.

mod support;

use std::time::{Duration, SystemTime};

use carcin_lab::telegram::{Call, ChatMessage, Fault, FaultKind, MediaKind, SentFile};
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

/// What Telegram, or a proxy in front of it, answers when it fails: as JSON, as a page, with nothing.
fn server_errors() -> Vec<FaultKind> {
    let page = "<html><body>cf-error-details</body></html>";
    vec![
        FaultKind::refuse(500, "injected"),
        FaultKind::refuse(502, "Bad Gateway"),
        FaultKind::refuse(503, "Service Unavailable"),
        FaultKind::refuse(504, "Gateway Timeout"),
        FaultKind::Status(500),
        FaultKind::proxy(502, page),
        FaultKind::proxy(503, ""),
        FaultKind::proxy(504, "{}"),
        FaultKind::proxy(520, page),
        FaultKind::proxy(524, ""),
    ]
}

#[tokio::test]
async fn a_message_survives_every_kind_of_server_error() {
    let rig = Rig::new().await;
    let kinds = server_errors();
    rig.daemon.emit(HERE, turn_started(1));
    for (index, kind) in kinds.iter().enumerate() {
        rig.telegram.fault(Fault::on("sendMessage", kind.clone()).containing(format!("part-{index}.")));
        rig.daemon.emit(HERE, text(1, &format!("**part-{index}.**")));
    }
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees(&format!("part-{}.", kinds.len() - 1)).await;
    rig.settled().await;
    let parts: Vec<_> = rig.shown().into_iter().filter(|message| message.text().contains("part-")).collect();
    let texts: Vec<&str> = parts.iter().map(ChatMessage::text).collect();
    let expected: Vec<String> = (0..kinds.len()).map(|index| format!("part-{index}.")).collect();
    assert_eq!(texts, expected, "each once, in order");
    assert!(parts.iter().all(|message| !message.content.entities.is_empty()), "formatted: {parts:#?}");
    assert!(!rig.read_log().contains("a defect"));
}

#[tokio::test]
async fn a_server_error_in_one_chat_holds_up_nothing_else() {
    let rig = Rig::new().await;
    let group = rig.telegram.group(-700, "Team");
    rig.telegram.send_text(group, ANN, "/status@carcin_lab_bot").expect("sent");
    rig.telegram.wait_for_text(group, "carcind 9.9.9", SOON).await.expect("the group is known");
    let away = FaultKind::refuse(503, "Service Unavailable");
    rig.telegram.fault(Fault::on("sendMessage", away).in_chat(ANN).forever());
    rig.daemon.emit(HERE, notice("this one waits"));
    rig.logged("a message").await;
    // Other chats, what comes in, and what is asked of the daemon.
    rig.daemon.emit("tg:-700", notice("for the team"));
    rig.telegram.wait_for_text(group, "for the team", SOON).await.expect("the group is served");
    rig.write("work on it");
    rig.prompt_with("work on it").await;
    assert_eq!(rig.count("this one waits"), 0);
    rig.telegram.clear_faults();
    rig.sees("this one waits").await;
    rig.settled().await;
    assert_eq!(rig.count("this one waits"), 1);
}

#[tokio::test]
async fn edits_files_and_polls_survive_server_errors() {
    let rig = Rig::new().await;
    let path = rig.dir.path().join("report.txt");
    std::fs::write(&path, "report").expect("writes");
    for kind in [FaultKind::refuse(504, "Gateway Timeout"), FaultKind::proxy(503, "")] {
        for method in ["editMessageText", "sendDocument", "getUpdates", "getFile", "download"] {
            rig.telegram.fault(Fault::on(method, kind.clone()));
        }
    }
    let sent = SentFile::new(MediaKind::Document, "in.txt", b"words".to_vec());
    rig.telegram.send_file(ANN, ANN, sent).expect("sent");
    rig.prompt_with("in.txt").await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, text(1, &format!("Here it is.\n\n[[telegram:send:{}]]", path.display())));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees("Done").await;
    let arrived = rig.telegram.wait_for("the file", SOON, |state| {
        state.visible(ANN).any(|message| message.from_bot() && message.content.media.is_some()).then_some(())
    });
    arrived.await.expect("the file");
    rig.settled().await;
    let files = rig.shown().iter().filter(|message| message.content.media.is_some()).count();
    assert_eq!(files, 1);
    assert_eq!(rig.count("I cannot send"), 0);
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
