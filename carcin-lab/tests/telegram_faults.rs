//! Faults on demand: what the bot sees, and what happened all the same.

mod telegram_support;

use std::time::Duration;

use carcin_lab::telegram::{Fault, FaultKind, LabConfig, Outage, Outcome, PageAction, SentFile, TelegramLab};
use serde_json::{Value, json};
use telegram_support::{ALEX, SOON, call, lab, lab_with, ok, say, url};

async fn send(lab: &TelegramLab) -> Result<reqwest::Response, reqwest::Error> {
    reqwest::Client::new()
        .post(url(lab, "sendMessage"))
        .json(&json!({"chat_id": ALEX, "text": "x"}))
        .send()
        .await
}

fn last_outcome(lab: &TelegramLab) -> Outcome {
    lab.calls().pop().unwrap().outcome.unwrap()
}

#[tokio::test]
async fn a_status_is_answered_without_effect_as_often_as_told() {
    let lab = lab().await;
    lab.fault(Fault::on("sendMessage", FaultKind::Status(502)).times(2));
    for _ in 0..2 {
        let answer = send(&lab).await.unwrap();
        assert_eq!(answer.status(), 502);
        assert!(answer.text().await.unwrap().contains("<html>"), "no JSON from a proxy");
    }
    assert!(lab.messages(ALEX).is_empty());
    say(&lab, "through").await;
}

#[tokio::test]
async fn a_proxy_in_front_answers_with_any_status_and_body() {
    let lab = lab().await;
    for (status, body) in [(413, "<html>too large</html>"), (503, ""), (520, "{}"), (502, "<html>")] {
        lab.fault(Fault::on("sendMessage", FaultKind::proxy(status, body)));
        let answer = send(&lab).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (status, body));
    }
    assert!(lab.messages(ALEX).is_empty());
    say(&lab, "through").await;
}

#[tokio::test]
async fn a_flood_wait_on_demand_holds_until_its_end_and_who_does_not_wait_is_seen() {
    let lab = lab().await;
    lab.fault(Fault::on("sendMessage", FaultKind::RetryAfter(30)));
    let (status, body) = call(&lab, "sendMessage", json!({"chat_id": ALEX, "text": "x"})).await;
    assert_eq!((status, &body["parameters"]["retry_after"]), (429, &json!(30)));
    let edit = json!({"chat_id": ALEX, "message_id": 1, "text": "x"});
    // One that may have been on its way is none of the bot's fault.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(call(&lab, "editMessageText", edit).await.0, 429);
    assert_eq!(lab.look(|state| state.violations), 1);
    lab.user(7, "Other");
    ok(&lab, "sendMessage", json!({"chat_id": 7, "text": "another chat"})).await;
}

#[tokio::test]
async fn a_connection_closes_before_or_after_the_method_ran() {
    let lab = lab().await;
    lab.fault(Fault::on("sendMessage", FaultKind::CloseBefore));
    send(&lab).await.unwrap_err();
    assert!(lab.messages(ALEX).is_empty());
    assert!(matches!(last_outcome(&lab), Outcome::Closed { processed: false }));
    lab.fault(Fault::on("sendMessage", FaultKind::CloseAfter));
    send(&lab).await.unwrap_err();
    assert_eq!(lab.messages(ALEX).len(), 1, "the reply is lost, the message is there");
    assert!(matches!(last_outcome(&lab), Outcome::Closed { processed: true }));
    say(&lab, "well again").await;
}

#[tokio::test]
async fn a_call_hangs_until_released_before_or_after_the_method_ran() {
    for (kind, sent_meanwhile) in [(FaultKind::HangBefore, 0), (FaultKind::HangAfter, 1)] {
        let lab = lab().await;
        lab.fault(Fault::any(kind));
        let hung = say(&lab, "slow");
        let act = async {
            lab.wait_for("the call, as far as it goes", SOON, |state| {
                (state.calls.len() == 1 && state.visible(ALEX).count() == sent_meanwhile).then_some(())
            })
            .await
            .unwrap();
            assert!(lab.calls()[0].outcome.is_none());
            lab.release();
        };
        tokio::join!(hung, act);
        assert_eq!(lab.messages(ALEX).len(), 1);
    }
}

#[tokio::test]
async fn a_hung_call_given_up_by_the_bot_is_abandoned() {
    let lab = lab().await;
    lab.fault(Fault::any(FaultKind::HangBefore));
    let called = async {
        lab.wait_for("the call", SOON, |state| state.calls.back().map(|_| ())).await.unwrap();
    };
    tokio::select! {
        _ = send(&lab) => panic!("it hangs"),
        () = called => {}
    }
    lab.wait_for("the record", SOON, |state| {
        matches!(state.calls.back()?.outcome, Some(Outcome::Abandoned)).then_some(())
    })
    .await
    .unwrap();
    assert!(lab.messages(ALEX).is_empty());
}

#[tokio::test]
async fn a_delayed_call_is_answered_in_the_end() {
    let lab = lab().await;
    lab.fault(Fault::on("SENDMESSAGE", FaultKind::delay(Duration::from_millis(50))).in_chat(ALEX));
    say(&lab, "late").await;
}

#[tokio::test]
async fn a_server_that_is_down_closes_every_connection_also_waiting_ones() {
    let lab = lab().await;
    let poll = reqwest::Client::new().post(url(&lab, "getUpdates")).json(&json!({"timeout": 50})).send();
    let act = async {
        lab.wait_for("the poll", SOON, |state| state.calls.front().map(|_| ())).await.unwrap();
        lab.set_down(true);
    };
    tokio::join!(poll, act).0.unwrap_err();
    send(&lab).await.unwrap_err();
    assert_eq!(reqwest::get(lab.page_url()).await.unwrap().status(), 200, "the page stays");
    lab.set_down(false);
    say(&lab, "up again").await;
    assert_eq!(lab.messages(ALEX).len(), 1);
}

#[tokio::test]
async fn an_outage_with_a_status_meets_waiting_calls_too_and_is_counted() {
    let lab = lab().await;
    let poll = reqwest::Client::new().post(url(&lab, "getUpdates")).json(&json!({"timeout": 50})).send();
    let act = async {
        lab.wait_for("the poll", SOON, |state| state.calls.front().map(|_| ())).await.unwrap();
        lab.set_outage(Some(Outage::Status(502)));
    };
    assert_eq!(tokio::join!(poll, act).0.unwrap().status(), 502);
    let since = lab.mark();
    assert_eq!(send(&lab).await.unwrap().status(), 502);
    assert_eq!(lab.figures(ALEX, since).failed, 1);
    lab.set_outage(None);
    say(&lab, "up again").await;
    assert_eq!(lab.messages(ALEX).len(), 1, "what was refused was not done");
}

#[tokio::test]
async fn a_server_that_hangs_does_what_it_was_asked_when_it_is_back() {
    let lab = lab().await;
    lab.set_outage(Some(Outage::Hang));
    let act = async {
        lab.wait_for("the call", SOON, |state| state.calls.front().map(|_| ())).await.unwrap();
        assert!(lab.calls()[0].outcome.is_none() && lab.messages(ALEX).is_empty());
        lab.set_outage(None);
    };
    let (sent, ()) = tokio::join!(send(&lab), act);
    assert_eq!((sent.unwrap().status().as_u16(), lab.messages(ALEX).len()), (200, 1));
}

#[tokio::test]
async fn a_refusal_of_ones_own_may_meet_one_text_for_ever() {
    let lab = lab().await;
    let refusal = FaultKind::refuse(400, "Bad Request: can't parse entities: no");
    lab.fault(Fault::on("sendMessage", refusal).containing("poison").forever());
    lab.fault(Fault::on("sendMessage", FaultKind::Status(500)).containing("tar").forever());
    for _ in 0..3 {
        let poison = json!({"chat_id": ALEX, "text": "some poison"});
        let (status, body) = call(&lab, "sendMessage", poison).await;
        assert_eq!((status, &body["description"]), (400, &json!("Bad Request: can't parse entities: no")));
        let client = reqwest::Client::new().post(url(&lab, "sendMessage"));
        let tar = client.json(&json!({"chat_id": ALEX, "text": "tar"})).send().await.unwrap();
        assert_eq!(tar.status(), 500);
    }
    say(&lab, "food").await;
}

#[tokio::test]
async fn what_the_bot_cost_is_counted_from_a_mark_on() {
    let lab = lab().await;
    say(&lab, "before").await;
    let since = lab.mark();
    ok(&lab, "getUpdates", json!({})).await;
    let loud = say(&lab, "loud").await;
    let silent = json!({"chat_id": ALEX, "text": "silent", "disable_notification": true});
    let silent = ok(&lab, "sendMessage", silent).await["message_id"].clone();
    ok(&lab, "editMessageText", json!({"chat_id": ALEX, "message_id": loud, "text": "louder"})).await;
    ok(&lab, "deleteMessage", json!({"chat_id": ALEX, "message_id": silent})).await;
    let file = lab.send_file(ALEX, ALEX, SentFile::document("a.txt", b"a")).unwrap();
    let file = lab.messages(ALEX).iter().find(|one| one.id == file).unwrap().content.media.clone().unwrap();
    let media =
        json!([{"type": "document", "media": file.file_id}, {"type": "document", "media": file.file_id}]);
    ok(&lab, "sendMediaGroup", json!({"chat_id": ALEX, "media": media})).await;
    call(&lab, "sendMessage", json!({"chat_id": ALEX, "text": ""})).await;
    let figures = lab.figures(ALEX, since);
    assert_eq!(figures.calls["sendMessage"], 3);
    assert_eq!((figures.total(), figures.failed), (6, 1), "polls are not counted");
    assert_eq!((figures.messages_left, figures.sounds), (3, 2), "an album is one sound");
    assert!(figures.bytes > 100 && (1..=6).contains(&figures.busiest_second));
    assert_eq!(lab.figures(ALEX, lab.mark()).total(), 0);
}

#[tokio::test]
async fn faults_can_be_made_over_http() {
    let lab = lab().await;
    let client = reqwest::Client::new();
    let control = |path: &str| format!("{}/lab/{path}", lab.api_url());
    let fault = json!({"kind": {"status": 500}, "method": "sendMessage"});
    assert_eq!(client.post(control("faults")).json(&fault).send().await.unwrap().status(), 200);
    assert_eq!(send(&lab).await.unwrap().status(), 500);
    assert_eq!(client.post(control("faults")).json(&fault).send().await.unwrap().status(), 200);
    assert_eq!(client.delete(control("faults")).send().await.unwrap().status(), 200);
    say(&lab, "no fault left").await;
    let text = json!({"chat": ALEX, "from": ALEX, "text": "from a page"});
    assert_eq!(client.post(control("send")).json(&text).send().await.unwrap().status(), 200);
    let calls: Value = client.get(control("calls")).send().await.unwrap().json().await.unwrap();
    assert_eq!(calls["calls"][0]["outcome"]["processed"], false);
    let transcript = client.get(control(&format!("chats/{ALEX}/transcript")));
    assert!(transcript.send().await.unwrap().text().await.unwrap().contains("user 1001: from a page"));
}

#[tokio::test]
async fn dropping_the_lab_ends_its_server() {
    let lab = lab().await;
    let address = lab.api_url();
    let poll = reqwest::Client::new().post(url(&lab, "getUpdates")).json(&json!({"timeout": 50})).send();
    let act = async {
        lab.wait_for("the poll", SOON, |state| state.calls.front().map(|_| ())).await.unwrap();
        drop(lab);
    };
    tokio::join!(poll, act).0.unwrap_err();
    let gone = async {
        while reqwest::get(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, gone).await.unwrap();
}

#[tokio::test]
async fn an_action_of_the_page_runs_its_handler() {
    let actions = vec![
        PageAction::new("restart", "Restart the bot", || async { Ok("restarted".to_owned()) }),
        PageAction::new("fail", "Fail", || async { anyhow::bail!("no bot here") }),
    ];
    let lab = lab_with(LabConfig { actions, ..LabConfig::default() }).await;
    let act = async |id: &str| {
        let answer =
            reqwest::Client::new().post(format!("{}/lab/actions/{id}", lab.api_url())).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(act("restart").await, (200, json!({"text": "restarted"})));
    assert_eq!(act("fail").await, (500, json!({"error": "no bot here"})));
    assert_eq!(act("nothing").await.0, 404);
}
