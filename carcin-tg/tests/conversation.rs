//! What people and Claude say to each other, through the program.

mod support;

use carcin_lab::telegram::Limits;
use carcin_proto::Request;
use carcin_proto::event::{
    FileOffered, Notification, PromptEnded, PromptOutcome, RequestSettled, Settlement, TurnOutcome,
};
use carcin_proto::request::{Decision, Refusal, RefusalCode};
use support::events::{permission, text, tool, turn_ended, turn_started};
use support::{ANN, EVE, HERE, Rig, SOON};

#[tokio::test]
async fn a_prompt_goes_in_and_its_answer_comes_out() {
    let rig = Rig::new().await;
    let id = rig.write("fix the tests");
    let (_, submit) = rig.daemon.wait_for_prompt("fix the tests").await;
    assert_eq!(submit.conversation.as_str(), HERE);
    assert_eq!(submit.key.as_str(), format!("tg:4242:{ANN}:{id}:0"));
    assert_eq!(submit.by, "Ann");

    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, tool(1, "t1", "cargo test"));
    let card = rig.sees("cargo test").await;
    assert!(card.silent);
    rig.daemon.emit(HERE, text(1, "All **green**."));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    let answer = rig.sees("All green.").await;
    assert!(!answer.silent, "the end of a task is heard");
    assert_eq!(answer.content.entities[0].kind, "bold");
    let done = rig.sees("Done · 1 tool · 3 s").await;
    assert_eq!(done.id, card.id, "one card, edited in place");
    assert_eq!(rig.count("Working"), 0);
    assert_eq!(rig.shown().len(), 2);
}

#[tokio::test]
async fn a_permission_is_answered_by_a_button_and_says_who_did() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, permission(1, "req-1"));
    let question = rig.sees("May I use Bash?").await;
    assert!(!question.silent && question.text().contains("rm -rf build"));
    let labels: Vec<&str> = question.buttons().map(|button| button.text.as_str()).collect();
    assert_eq!(labels, ["✅ Allow once", "🚫 Deny", "♾ Always allow rm commands", "✍️ Deny with a reason"]);

    let data = question.buttons().next().and_then(|button| button.callback_data.clone()).expect("data");
    let press = rig.telegram.press(ANN, ANN, question.id, "♾ Always allow rm commands").expect("pressed");
    let settled = rig.sees("Always allowed by Ann").await;
    assert_eq!((settled.id, settled.buttons().count()), (question.id, 0));
    let decision = rig.daemon.wait_for("the answer", |state| {
        state.asked.iter().find_map(|request| match request {
            Request::Answer(answer) => Some(answer.decision.clone()),
            _ => None,
        })
    });
    assert_eq!(decision.await, Decision::AllowAlways(vec![0]));
    let toast = |id: String| {
        rig.telegram.wait_for("the button's answer", SOON, move |state| {
            state.callbacks.iter().find(|one| one.id == id)?.answer.as_ref()?.text.clone()
        })
    };
    assert_eq!(toast(press).await.expect("answered"), "✅ Always allowed by Ann");

    // An old client still shows the button.
    let late = rig.telegram.forge_press(ANN, ANN, question.id, &data);
    assert_eq!(toast(late).await.expect("answered"), "Settled already. ✅ Always allowed by Ann");
    let forged = rig.telegram.forge_press(ANN, ANN, question.id, "a:00000000:0");
    assert_eq!(toast(forged).await.expect("answered"), "This button is no longer valid");
}

#[tokio::test]
async fn a_question_settled_elsewhere_loses_its_buttons() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, permission(1, "req-1"));
    let question = rig.sees("May I use Bash?").await;
    let settled = RequestSettled {
        request: "req-1".parse().expect("an id"),
        settlement: Settlement::Denied("no".into()),
        by: "carcin-ctl".into(),
    };
    rig.daemon.emit(HERE, settled);
    let closed = rig.sees("Denied by carcin-ctl").await;
    assert_eq!((closed.id, closed.buttons().count()), (question.id, 0));
}

#[tokio::test]
async fn strangers_are_met_with_silence() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, permission(1, "req-1"));
    let question = rig.sees("May I use Bash?").await;
    let data = question.buttons().next().and_then(|button| button.callback_data.clone()).expect("data");
    rig.telegram.send_text(EVE, EVE, "let me in").expect("sent");
    rig.telegram.send_text(EVE, EVE, "/start").expect("sent");
    rig.telegram.forge_press(ANN, EVE, question.id, &data);
    // What Ann writes afterwards is worked on after all that.
    rig.write("/status");
    rig.sees("carcind 9.9.9").await;
    assert!(rig.telegram.messages(EVE).iter().all(|message| !message.from_bot()));
    let asked = rig.daemon.state().asked.iter().any(|r| matches!(r, Request::Answer(_) | Request::Submit(_)));
    assert!(!asked);
    assert_eq!(rig.shown().iter().filter(|m| m.buttons().count() == 4).count(), 1, "still open");
}

#[tokio::test]
async fn an_interrupted_prompt_runs_again_once_however_often_it_is_pressed() {
    let rig = Rig::new().await;
    let long = "please fix all of the tests in this repository";
    rig.write(long);
    let (prompt, first) = rig.daemon.wait_for_prompt(long).await;
    let outcome = PromptOutcome::Interrupted("Claude was killed by signal 9".into());
    rig.daemon.emit(HERE, PromptEnded { prompt, outcome });
    let message = rig.sees("Interrupted: Claude was killed by signal 9").await;
    assert!(!message.silent);
    let data = message.buttons().next().and_then(|button| button.callback_data.clone()).expect("data");
    for _ in 0..2 {
        rig.telegram.forge_press(ANN, ANN, message.id, &data);
    }
    let again = rig.sees("Run again by Ann").await;
    assert_eq!((again.id, again.buttons().count()), (message.id, 0));
    rig.telegram.forge_press(ANN, ANN, message.id, &data);
    rig.write("/status");
    rig.sees("carcind 9.9.9").await;
    let state = rig.daemon.state();
    assert_eq!(state.prompts.len(), 2, "{:?}", state.order);
    let second = &state.prompts[&state.order[1]].1;
    assert_eq!(second.text, long, "the whole, not the event's excerpt");
    assert_ne!(second.key, first.key);
}

#[tokio::test]
async fn commands_do_what_they_say() {
    let rig = Rig::new().await;
    rig.write("/start");
    rig.sees("Claude Code, from your phone").await;
    rig.write("/new /srv/app");
    rig.sees("begins a new session").await;
    rig.write("/stop");
    rig.sees("Nothing is running").await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    rig.write("/stop");
    rig.sees("⏹ Stopped").await;
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Stopped("Ann".into())));
    rig.sees("Stopped by Ann").await;
    assert_eq!(rig.count("Done"), 0);
    let state = rig.daemon.state();
    let new = state.asked.iter().find_map(|request| match request {
        Request::New(new) => new.cwd.clone(),
        _ => None,
    });
    assert_eq!(new.as_deref(), Some(std::path::Path::new("/srv/app")));
}

#[tokio::test]
async fn a_refusal_is_told_in_the_daemons_words() {
    let rig = Rig::new().await;
    rig.daemon.state().refuse =
        Some(Refusal::new(RefusalCode::Full, "64 prompts wait already").hint("wait, or /stop"));
    rig.write("one more");
    let told = rig.sees("64 prompts wait already").await;
    assert!(told.text().contains("wait, or /stop"));
    // One that repeats what was typed may be longer than a message.
    rig.daemon.state().refuse = Some(Refusal::new(RefusalCode::Invalid, format!("no {}", "x".repeat(5_000))));
    rig.write("one that is long");
    rig.sees("❌ no xxx").await;
    rig.write("and now");
    rig.daemon.wait_for_prompt("and now").await;
}

#[tokio::test]
async fn files_and_notifications_arrive_also_from_elsewhere() {
    let rig = Rig::new().await;
    let path = rig.dir.path().join("report.txt");
    std::fs::write(&path, "the report").expect("writes");
    rig.daemon.emit("cli", FileOffered { path: path.clone(), caption: "as asked".into() });
    let file = rig.telegram.wait_for("the file", SOON, |state| {
        state.visible(ANN).find_map(|message| message.content.media.clone())
    });
    assert_eq!(file.await.expect("sent").file_name, "report.txt");
    rig.daemon.emit(HERE, FileOffered { path: "/nonexistent/a.txt".into(), caption: String::new() });
    rig.sees("I cannot send /nonexistent/a.txt: there is no such file").await;
    rig.daemon.emit("cli", Notification { text: "The build is `done`".into(), topic: String::new() });
    rig.sees("The build is done").await;
    // Everything else of other conversations is nobody's business here, nor are chats of strangers.
    rig.daemon.emit("cli", turn_started(1));
    rig.daemon.emit("cli", permission(1, "req-9"));
    rig.daemon.emit(&format!("tg:{EVE}"), text(1, "for Eve"));
    rig.daemon.emit(&format!("tg:{EVE}"), turn_ended(1, TurnOutcome::Completed));
    rig.daemon.emit(HERE, Notification { text: "the last".into(), topic: String::new() });
    rig.sees("the last").await;
    assert_eq!(rig.count("May I"), 0);
    assert!(rig.telegram.messages(EVE).is_empty());
}

#[tokio::test]
async fn what_cannot_be_given_to_claude_is_said() {
    let rig = Rig::new().await;
    rig.telegram.raw_update(
        "message",
        serde_json::json!({
            "message_id": 9_001, "chat": {"id": ANN, "type": "private"}, "from": {"id": ANN, "first_name": "Ann"},
            "date": 1, "story": {"id": 1},
        }),
    );
    rig.sees("I cannot give stories to Claude").await;
}

#[tokio::test]
async fn a_busy_turn_earns_no_flood_wait() {
    let rig = Rig::new().await;
    rig.telegram.set_limits(Limits::TELEGRAM);
    rig.daemon.emit(HERE, turn_started(1));
    for step in 0..8 {
        for tool_use in 0..10 {
            rig.daemon.emit(HERE, tool(1, &format!("t{step}-{tool_use}"), "make"));
        }
        rig.daemon.emit(HERE, text(1, &format!("step {step}")));
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees("Done · 80 tools · 3 s").await;
    rig.sees("step 7").await;
    let mut shown: Vec<String> = rig.shown().iter().map(|message| message.text().to_owned()).collect();
    shown.retain(|text| text.starts_with("step"));
    let steps: Vec<String> = (0..8).map(|step| format!("step {step}")).collect();
    assert_eq!(shown, steps, "all of it, in order");
    let refused: Vec<_> = rig.telegram.calls().into_iter().filter(|call| call.refusal().is_some()).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}
