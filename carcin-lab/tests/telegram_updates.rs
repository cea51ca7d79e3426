//! How updates reach the bot, and who may ask for them.

mod telegram_support;

use std::time::Duration;

use carcin_lab::telegram::{LabConfig, Limits, Typed};
use serde_json::{Value, json};
use telegram_support::{ALEX, SOON, call, lab, lab_with, ok, refused, say};

fn ids(updates: &Value) -> Vec<i64> {
    updates.as_array().unwrap().iter().map(|update| update["update_id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn an_offset_confirms_updates_for_good() {
    let lab = lab().await;
    for text in ["one", "two", "three"] {
        lab.send_text(ALEX, ALEX, text).unwrap();
    }
    let all = ids(&ok(&lab, "getUpdates", json!({})).await);
    assert_eq!(all.len(), 3);
    assert_eq!(ids(&ok(&lab, "getUpdates", json!({"limit": 1})).await), all[..1]);
    assert_eq!(ids(&ok(&lab, "getUpdates", json!({"offset": all[1]})).await), all[1..]);
    assert_eq!(ids(&ok(&lab, "getUpdates", json!({})).await), all[1..]);
}

#[tokio::test]
async fn a_long_poll_ends_with_the_update() {
    let lab = lab().await;
    let poll = ok(&lab, "getUpdates", json!({"timeout": 50}));
    let act = async {
        lab.wait_for("a poll", SOON, |state| state.calls.front().map(|_| ())).await.unwrap();
        lab.send_text(ALEX, ALEX, "/start now").unwrap();
    };
    let (updates, ()) = tokio::join!(poll, act);
    let message = &updates[0]["message"];
    assert_eq!((&message["text"], &message["from"]["id"]), (&json!("/start now"), &json!(ALEX)));
    assert_eq!(message["chat"], json!({"id": ALEX, "type": "private", "first_name": "Alex"}));
    assert_eq!(message["entities"][0], json!({"type": "bot_command", "offset": 0, "length": 6}));
}

#[tokio::test]
async fn an_empty_long_poll_ends_with_its_time() {
    let lab = lab().await;
    assert_eq!(ok(&lab, "getUpdates", json!({"timeout": 1})).await, json!([]));
}

#[tokio::test]
async fn a_second_poller_ends_the_older_call() {
    let lab = lab().await;
    let older = refused(&lab, 409, "getUpdates", json!({"timeout": 50}));
    let younger = async {
        lab.wait_for("the older poll", SOON, |state| state.calls.front().map(|_| ())).await.unwrap();
        ok(&lab, "getUpdates", json!({"timeout": 50})).await
    };
    let act = async {
        lab.wait_for("the refusal", SOON, |state| state.calls.front()?.outcome.as_ref().map(|_| ()))
            .await
            .unwrap();
        lab.send_text(ALEX, ALEX, "for the younger").unwrap();
    };
    let (refusal, updates, ()) = tokio::join!(older, younger, act);
    assert_eq!(
        refusal,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
    );
    assert_eq!(ids(&updates).len(), 1);
}

#[tokio::test]
async fn an_active_webhook_refuses_polls_and_ends_waiting_ones() {
    let lab = lab().await;
    let http = json!({"url": "http://example.org/"});
    assert!(refused(&lab, 400, "setWebhook", http).await.contains("bad webhook"));
    let waiting = refused(&lab, 409, "getUpdates", json!({"timeout": 50}));
    let act = async {
        lab.wait_for("a poll", SOON, |state| {
            state.calls.back().filter(|one| one.method == "getUpdates").map(|_| ())
        })
        .await
        .unwrap();
        ok(&lab, "setWebhook", json!({"url": "https://example.org/"})).await;
    };
    assert_eq!(tokio::join!(waiting, act).0, "Conflict: terminated by setWebhook request");
    let refusal = refused(&lab, 409, "getUpdates", json!({})).await;
    assert!(
        refusal.starts_with("Conflict: can't use getUpdates method while webhook is active"),
        "{refusal}"
    );
    lab.send_text(ALEX, ALEX, "meanwhile").unwrap();
    let info = ok(&lab, "getWebhookInfo", json!({})).await;
    assert_eq!((&info["url"], &info["pending_update_count"]), (&json!("https://example.org/"), &json!(1)));
    ok(&lab, "deleteWebhook", json!({"drop_pending_updates": true})).await;
    assert_eq!(ok(&lab, "getUpdates", json!({})).await, json!([]));
}

#[tokio::test]
async fn only_the_kinds_asked_for_arrive() {
    let lab = lab().await;
    ok(&lab, "getUpdates", json!({"allowed_updates": ["edited_message"]})).await;
    let id = lab.send_text(ALEX, ALEX, "one").unwrap();
    lab.edit_text(ALEX, ALEX, id, "two").unwrap();
    let updates = ok(&lab, "getUpdates", json!({})).await;
    assert_eq!(ids(&updates).len(), 1);
    assert_eq!(updates[0]["edited_message"]["text"], "two");
    assert!(updates[0]["edited_message"]["edit_date"].is_i64());
}

#[tokio::test]
async fn ids_may_restart_and_the_old_offset_confirms_nothing() {
    let lab = lab().await;
    lab.send_text(ALEX, ALEX, "before").unwrap();
    let before = ids(&ok(&lab, "getUpdates", json!({})).await)[0];
    ok(&lab, "getUpdates", json!({"offset": before + 1})).await;
    lab.restart_update_ids();
    lab.send_text(ALEX, ALEX, "after").unwrap();
    let next = lab.look(|state| state.updates.next_id());
    assert!((next - before).abs() > 1000);
    let updates = ok(&lab, "getUpdates", json!({"offset": before + 1})).await;
    assert_eq!(ids(&updates), [next - 1], "whether the new ids are lower or higher");
}

#[tokio::test]
async fn an_unknown_kind_of_update_or_entity_arrives_as_it_is() {
    let lab = lab().await;
    lab.raw_update("time_travel", json!({"year": 2099}));
    let odd = carcin_lab::telegram::Entity::new("hologram", 0, 3);
    lab.send(ALEX, ALEX, Typed { entities: vec![odd], ..Typed::new("odd one") }).unwrap();
    let updates = ok(&lab, "getUpdates", json!({})).await;
    assert_eq!(updates[0]["time_travel"]["year"], 2099);
    assert_eq!(updates[1]["message"]["entities"][0]["type"], "hologram");
}

#[tokio::test]
async fn flood_control_tells_how_long_to_wait() {
    let lab = lab_with(LabConfig { limits: Limits::TELEGRAM, ..LabConfig::default() }).await;
    let id = say(&lab, "0").await;
    for n in 1..5 {
        ok(&lab, "editMessageText", json!({"chat_id": ALEX, "message_id": id, "text": n.to_string()})).await;
    }
    let (status, body) = call(&lab, "sendMessage", json!({"chat_id": ALEX, "text": "too fast"})).await;
    assert_eq!(
        (status, &body["description"]),
        (429, &json!("Too Many Requests: retry after 1")),
        "edits count"
    );
    assert_eq!(body["parameters"], json!({"retry_after": 1}));
    assert_eq!(lab.look(|state| state.violations), 0);
    let (status, _) = call(&lab, "sendMessage", json!({"chat_id": ALEX, "text": "still"})).await;
    assert_eq!(status, 429);
    ok(&lab, "sendChatAction", json!({"chat_id": ALEX, "action": "typing"})).await;
    lab.set_limits(Limits::OFF);
    for _ in 0..50 {
        say(&lab, "at will").await;
    }
}

#[tokio::test]
async fn a_wait_that_fails_tells_what_was_said() {
    let lab = lab().await;
    say(&lab, "something else").await;
    let error = lab.wait_for_text(ALEX, "Done.", Duration::from_millis(1)).await.unwrap_err().to_string();
    assert!(error.contains("\"Done.\"") && error.contains("#1 bot: something else"), "{error}");
    assert!(error.contains("sendMessage"), "{error}");
}
