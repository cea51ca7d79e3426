//! What the stand-in for Telegram refuses, and in which words.

mod telegram_support;

use std::time::Duration;

use carcin_lab::telegram::{LabConfig, SentFile};
use serde_json::{Value, json};
use telegram_support::{ALEX, call, lab, lab_with, ok, picture, refused, say, url};

#[tokio::test]
async fn a_wrong_token_is_unauthorised_and_an_unknown_method_is_not_found() {
    let lab = lab().await;
    let wrong = format!("{}/bot1:wrong/getMe", lab.api_url());
    let answer = reqwest::get(wrong).await.unwrap();
    assert_eq!(answer.status(), 401);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body, json!({"ok": false, "error_code": 401, "description": "Unauthorized"}));
    assert_eq!(refused(&lab, 404, "makeCoffee", json!({})).await, "Not Found");
    assert_eq!(reqwest::get(format!("{}/nothing", lab.api_url())).await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_method_is_found_in_any_case_and_a_body_in_any_form() {
    let lab = lab().await;
    for method in ["getMe", "GetMe", "getme", "GETME"] {
        assert_eq!(ok(&lab, method, json!({})).await["username"], "carcin_lab_bot");
    }
    let client = reqwest::Client::new();
    let query = format!("{}?chat_id={ALEX}&text=by%20query", url(&lab, "sendMessage"));
    assert_eq!(client.get(query).send().await.unwrap().status(), 200);
    let form = client
        .post(url(&lab, "sendMessage"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("chat_id={ALEX}&text=by+form"));
    assert_eq!(form.send().await.unwrap().status(), 200);
    let parts = reqwest::multipart::Form::new()
        .text("chat_id", ALEX.to_string())
        .text("text", "by parts")
        .text("entities", r#"[{"type":"bold","offset":0,"length":2}]"#);
    assert_eq!(client.post(url(&lab, "sendMessage")).multipart(parts).send().await.unwrap().status(), 200);
    let texts: Vec<String> = lab.messages(ALEX).iter().map(|message| message.text().to_owned()).collect();
    assert_eq!(texts, ["by query", "by form", "by parts"]);
    assert_eq!(lab.messages(ALEX)[2].content.entities[0].kind, "bold");
}

#[tokio::test]
async fn a_text_has_1_to_4096_utf16_units() {
    let lab = lab().await;
    let send = |text: String| json!({"chat_id": ALEX, "text": text});
    assert_eq!(
        refused(&lab, 400, "sendMessage", send(String::new())).await,
        "Bad Request: message text is empty"
    );
    assert_eq!(
        refused(&lab, 400, "sendMessage", send(" \n ".into())).await,
        "Bad Request: text must be non-empty"
    );
    ok(&lab, "sendMessage", send("🦀".repeat(2048))).await;
    ok(&lab, "sendMessage", send(format!("{}\n\n", "x".repeat(4096)))).await;
    for text in ["🦀".repeat(2048) + "x", "x".repeat(4097)] {
        assert_eq!(refused(&lab, 400, "sendMessage", send(text)).await, "Bad Request: message is too long");
    }
    assert_eq!(lab.messages(ALEX).len(), 2);
}

#[tokio::test]
async fn parse_modes_and_bad_entities_are_refused() {
    let lab = lab().await;
    let with = |extra: Value| {
        let mut params = json!({"chat_id": ALEX, "text": "text"});
        params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        params
    };
    for mode in ["HTML", "MarkdownV2", "Markdown"] {
        let refusal = refused(&lab, 400, "sendMessage", with(json!({"parse_mode": mode}))).await;
        assert!(refusal.contains("refuses parse modes by design"), "{refusal}");
    }
    let entity = json!([{"type": "bold", "offset": 2, "length": 9}]);
    let refusal = refused(&lab, 400, "sendMessage", with(json!({"entities": entity}))).await;
    assert!(
        refusal.starts_with("Bad Request: can't parse entities: bold at 2+9: out of bounds"),
        "{refusal}"
    );
    refused(&lab, 400, "sendMessage", with(json!({"entities": "[{"}))).await;
    assert!(lab.messages(ALEX).is_empty());
}

#[tokio::test]
async fn a_keyboard_is_checked() {
    let lab = lab().await;
    let with = |button: Value| json!({"chat_id": ALEX, "text": "text", "reply_markup": {"inline_keyboard": [[button]]}});
    ok(&lab, "sendMessage", with(json!({"text": "go", "callback_data": "x".repeat(64), "style": "danger"})))
        .await;
    let long = with(json!({"text": "go", "callback_data": "é".repeat(33)}));
    assert_eq!(refused(&lab, 400, "sendMessage", long).await, "Bad Request: BUTTON_DATA_INVALID");
    let nothing = refused(&lab, 400, "sendMessage", with(json!({"text": "go"}))).await;
    assert!(nothing.contains("Text buttons are unallowed in the inline keyboard"), "{nothing}");
    let url = with(json!({"text": "go", "url": "javascript:1"}));
    assert_eq!(refused(&lab, 400, "sendMessage", url).await, "Bad Request: BUTTON_URL_INVALID");
    refused(&lab, 400, "sendMessage", with(json!({"text": "go", "callback_data": "a", "style": "pink"})))
        .await;
    let flat = json!({"chat_id": ALEX, "text": "text", "reply_markup": {"inline_keyboard": [{"text": "a"}]}});
    assert!(refused(&lab, 400, "sendMessage", flat).await.contains("should be an Array of Arrays"));
    assert_eq!(lab.messages(ALEX).len(), 1);
}

#[tokio::test]
async fn an_edit_needs_a_difference_and_a_message_of_the_bots_own() {
    let lab = lab().await;
    let id = say(&lab, "one").await;
    let edit = |id: i64, text: &str| json!({"chat_id": ALEX, "message_id": id, "text": text});
    let same = refused(&lab, 400, "editMessageText", edit(id, "one")).await;
    assert!(
        same.starts_with("Bad Request: message is not modified: specified new message content"),
        "{same}"
    );
    ok(&lab, "editMessageText", edit(id, "two")).await;
    assert_eq!(
        refused(&lab, 400, "editMessageText", edit(999, "x")).await,
        "Bad Request: message to edit not found"
    );
    let theirs = lab.send_text(ALEX, ALEX, "mine").unwrap();
    assert_eq!(
        refused(&lab, 400, "editMessageText", edit(theirs, "x")).await,
        "Bad Request: message can't be edited"
    );
    let message = &lab.messages(ALEX)[0];
    assert_eq!((message.text(), message.history[0].content.text.as_str()), ("two", "one"));
    assert!(message.edited.is_some());
}

#[tokio::test]
async fn an_edit_of_the_text_without_a_keyboard_removes_it() {
    let lab = lab().await;
    let keyboard = json!({"inline_keyboard": [[{"text": "Stop", "callback_data": "stop"}]]});
    let sent =
        ok(&lab, "sendMessage", json!({"chat_id": ALEX, "text": "one", "reply_markup": keyboard})).await;
    let id = &sent["message_id"];
    let same = json!({"chat_id": ALEX, "message_id": id, "reply_markup": keyboard});
    assert!(refused(&lab, 400, "editMessageReplyMarkup", same).await.contains("not modified"));
    let edited = ok(&lab, "editMessageText", json!({"chat_id": ALEX, "message_id": id, "text": "one"})).await;
    assert!(edited.get("reply_markup").is_none());
    assert!(lab.messages(ALEX)[0].keyboard.is_none());
}

#[tokio::test]
async fn a_deleted_message_is_gone_for_the_bot_and_kept_for_the_test() {
    let lab = lab().await;
    let id = say(&lab, "one").await;
    let target = json!({"chat_id": ALEX, "message_id": id});
    ok(&lab, "deleteMessage", target.clone()).await;
    assert_eq!(refused(&lab, 400, "deleteMessage", target).await, "Bad Request: message to delete not found");
    let edit = json!({"chat_id": ALEX, "message_id": id, "text": "two"});
    assert_eq!(refused(&lab, 400, "editMessageText", edit).await, "Bad Request: message to edit not found");
    assert!(lab.messages(ALEX)[0].deleted);
}

#[tokio::test]
async fn a_chat_that_is_unknown_or_has_blocked_the_bot_takes_nothing() {
    let lab = lab().await;
    let send = |chat: Value| json!({"chat_id": chat, "text": "x"});
    assert_eq!(refused(&lab, 400, "sendMessage", send(json!(5))).await, "Bad Request: chat not found");
    assert_eq!(
        refused(&lab, 400, "sendMessage", json!({"text": "x"})).await,
        "Bad Request: chat_id is empty"
    );
    lab.block_bot(ALEX, ALEX).unwrap();
    for (method, params) in
        [("sendMessage", send(json!(ALEX))), ("sendChatAction", json!({"chat_id": ALEX, "action": "typing"}))]
    {
        assert_eq!(refused(&lab, 403, method, params).await, "Forbidden: bot was blocked by the user");
    }
    let updates = ok(&lab, "getUpdates", json!({})).await;
    assert_eq!(updates[0]["my_chat_member"]["new_chat_member"]["status"], "kicked");
    lab.unblock_bot(ALEX, ALEX).unwrap();
    say(&lab, "back").await;
}

#[tokio::test]
async fn a_reply_needs_its_message() {
    let lab = lab().await;
    let reply = |id: i64, lenient: bool| {
        json!({"chat_id": ALEX, "text": "re",
            "reply_parameters": {"message_id": id, "allow_sending_without_reply": lenient}})
    };
    assert_eq!(
        refused(&lab, 400, "sendMessage", reply(99, false)).await,
        "Bad Request: message to be replied not found"
    );
    assert!(ok(&lab, "sendMessage", reply(99, true)).await.get("reply_to_message").is_none());
    let first = say(&lab, "first").await;
    let sent = ok(&lab, "sendMessage", reply(first, false)).await;
    assert_eq!(sent["reply_to_message"]["text"], "first");
}

#[tokio::test]
async fn topics_exist_in_forums_and_where_the_bot_has_them() {
    let lab = lab().await;
    let forum = lab.forum(-100_500, "Team");
    let create = |chat: i64| json!({"chat_id": chat, "name": "Build"});
    let refusal = refused(&lab, 400, "createForumTopic", create(ALEX)).await;
    assert_eq!(refusal, "Bad Request: the chat is not a forum");
    let topic = ok(&lab, "createForumTopic", create(forum)).await["message_thread_id"].clone();
    let into = |thread: &Value| json!({"chat_id": forum, "text": "x", "message_thread_id": thread});
    let sent = ok(&lab, "sendMessage", into(&topic)).await;
    assert_eq!((&sent["message_thread_id"], &sent["is_topic_message"]), (&topic, &json!(true)));
    let refusal = refused(&lab, 400, "sendMessage", into(&json!(77))).await;
    assert_eq!(refusal, "Bad Request: message thread not found");
    ok(&lab, "closeForumTopic", json!({"chat_id": forum, "message_thread_id": topic})).await;
    assert_eq!(refused(&lab, 400, "sendMessage", into(&topic)).await, "Bad Request: TOPIC_CLOSED");

    let lab = lab_with(LabConfig { private_topics: true, ..LabConfig::default() }).await;
    assert_eq!(ok(&lab, "getMe", json!({})).await["has_topics_enabled"], true);
    ok(&lab, "createForumTopic", create(ALEX)).await;
}

#[tokio::test]
async fn a_press_is_answered_once() {
    let lab = lab().await;
    let keyboard = json!({"inline_keyboard": [[{"text": "Allow", "callback_data": "ok:1"}]]});
    let sent =
        ok(&lab, "sendMessage", json!({"chat_id": ALEX, "text": "May I?", "reply_markup": keyboard})).await;
    let message = sent["message_id"].as_i64().unwrap();
    assert!(lab.press(ALEX, ALEX, message, "Deny").unwrap_err().to_string().contains("Allow"));
    let id = lab.press(ALEX, ALEX, message, "Allow").unwrap();
    let updates = ok(&lab, "getUpdates", json!({})).await;
    let query = &updates[0]["callback_query"];
    assert_eq!((&query["data"], &query["from"]["id"]), (&json!("ok:1"), &json!(ALEX)));
    assert_eq!(query["message"]["message_id"], message);
    let answer = |id: &str, text: String| json!({"callback_query_id": id, "text": text});
    refused(&lab, 400, "answerCallbackQuery", answer(&id, "x".repeat(201))).await;
    ok(&lab, "answerCallbackQuery", answer(&id, "x".repeat(200))).await;
    for id in [id.as_str(), "12345"] {
        let refusal = refused(&lab, 400, "answerCallbackQuery", answer(id, String::new())).await;
        assert!(refusal.contains("query is too old"), "{refusal}");
    }
    assert!(lab.look(|state| state.callbacks[0].answer.is_some()));
}

#[tokio::test]
async fn a_draft_is_for_private_chats_and_ends_with_the_message() {
    let lab = lab().await;
    let group = lab.group(-100, "Team");
    let draft = |chat: i64, id: i64, text: &str| json!({"chat_id": chat, "draft_id": id, "text": text, "can_stop": true});
    assert_eq!(
        refused(&lab, 400, "sendMessageDraft", draft(group, 1, "x")).await,
        "Bad Request: TEXTDRAFT_PEER_INVALID"
    );
    refused(&lab, 400, "sendMessageDraft", draft(ALEX, 0, "x")).await;
    ok(&lab, "sendMessageDraft", draft(ALEX, 9, "")).await;
    ok(&lab, "sendMessageDraft", draft(ALEX, 9, "Hel")).await;
    assert_eq!(lab.look(|state| state.draft(ALEX, None).unwrap().frames.len()), 2);
    say(&lab, "Hello").await;
    assert!(lab.look(|state| state.draft(ALEX, None).is_none()));
    ok(&lab, "sendMessageDraft", draft(ALEX, 10, "More")).await;
    lab.stop_draft(ALEX, 10).unwrap();
    let updates = ok(&lab, "getUpdates", json!({})).await;
    assert_eq!(updates[0]["stopped_message_generation"]["draft_id"], 10);
    assert!(lab.look(|state| state.draft(ALEX, None).is_none()));
}

#[tokio::test]
async fn a_silent_message_is_known_as_silent() {
    let lab = lab().await;
    ok(&lab, "sendMessage", json!({"chat_id": ALEX, "text": "psst", "disable_notification": true})).await;
    say(&lab, "ding").await;
    let silent: Vec<bool> = lab.messages(ALEX).iter().map(|message| message.silent).collect();
    assert_eq!(silent, [true, false]);
}

#[tokio::test]
async fn a_file_travels_both_ways_and_large_ones_are_refused() {
    let lab = lab().await;
    let upload = reqwest::multipart::Form::new()
        .text("chat_id", ALEX.to_string())
        .text("caption", "the log")
        .part("document", reqwest::multipart::Part::bytes(b"one\ntwo".to_vec()).file_name("../run.log"));
    let client = reqwest::Client::new();
    let sent: Value =
        client.post(url(&lab, "sendDocument")).multipart(upload).send().await.unwrap().json().await.unwrap();
    let document = &sent["result"]["document"];
    assert_eq!((&document["file_name"], &document["file_size"]), (&json!("run.log"), &json!(7)));
    assert_eq!(sent["result"]["caption"], "the log");

    let id = lab.send_file(ALEX, ALEX, SentFile::document("a.bin", b"abc").caption("look")).unwrap();
    let update = ok(&lab, "getUpdates", json!({})).await[0]["message"].clone();
    assert_eq!((&update["message_id"], &update["caption"]), (&json!(id), &json!("look")));
    let file = ok(&lab, "getFile", json!({"file_id": update["document"]["file_id"]})).await;
    let path = file["file_path"].as_str().unwrap().replace('/', "%2F");
    let link = format!("{}/file/bot{}/{path}", lab.api_url(), lab.token());
    assert_eq!(reqwest::get(link).await.unwrap().bytes().await.unwrap(), "abc");

    let large = SentFile::document("large.bin", vec![0; 20 * 1024 * 1024 + 1]);
    let id = lab.send_file(ALEX, ALEX, large).unwrap();
    let media =
        lab.messages(ALEX).into_iter().find(|message| message.id == id).unwrap().content.media.unwrap();
    let refusal = refused(&lab, 400, "getFile", json!({"file_id": media.file_id})).await;
    assert_eq!(refusal, "Bad Request: file is too big");
    refused(&lab, 400, "getFile", json!({"file_id": "nothing"})).await;
}

#[tokio::test]
async fn a_caption_has_up_to_1024_units_and_a_photo_must_be_a_picture() {
    let lab = lab().await;
    let client = reqwest::Client::new();
    let send = async |method: &str, field: &'static str, caption: String| -> Value {
        let form = reqwest::multipart::Form::new()
            .text("chat_id", ALEX.to_string())
            .text("caption", caption)
            .part(field, reqwest::multipart::Part::bytes(b"not a picture".to_vec()).file_name("a.png"));
        client.post(url(&lab, method)).multipart(form).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(send("sendDocument", "document", "x".repeat(1024)).await["ok"], true);
    let long = send("sendDocument", "document", "x".repeat(1025)).await;
    assert_eq!(long["description"], "Bad Request: message caption is too long");
    let broken = send("sendPhoto", "photo", String::new()).await;
    assert_eq!(broken["description"], "Bad Request: IMAGE_PROCESS_FAILED");
}

#[tokio::test]
async fn a_photo_has_up_to_ten_megabytes_and_a_shape_that_can_be_shown() {
    let lab = lab().await;
    let client = reqwest::Client::new();
    let send = async |mut bytes: Vec<u8>, padding: usize| -> Value {
        bytes.resize(bytes.len() + padding, 0);
        let form = reqwest::multipart::Form::new()
            .text("chat_id", ALEX.to_string())
            .part("photo", reqwest::multipart::Part::bytes(bytes).file_name("a.png"));
        client.post(url(&lab, "sendPhoto")).multipart(form).send().await.unwrap().json().await.unwrap()
    };
    for (width, height) in [(5000, 5000), (2000, 100)] {
        assert_eq!(send(picture(width, height), 0).await["ok"], true);
    }
    for (width, height) in [(5001, 5000), (2001, 100), (1, 21)] {
        let refusal = send(picture(width, height), 0).await;
        assert_eq!(refusal["description"], "Bad Request: PHOTO_INVALID_DIMENSIONS");
    }
    let large = send(picture(100, 100), 10 * 1024 * 1024).await;
    assert!(large["description"].as_str().unwrap().contains("is too big for a photo"), "{large}");
}

#[tokio::test]
async fn after_two_days_nothing_can_be_deleted() {
    let lab = lab().await;
    let id = say(&lab, "old").await;
    lab.age(ALEX, Duration::from_hours(48)).unwrap();
    let one = json!({"chat_id": ALEX, "message_id": id});
    let refusal = refused(&lab, 400, "deleteMessage", one).await;
    assert_eq!(refusal, "Bad Request: message can't be deleted for everyone");
    refused(&lab, 400, "deleteMessages", json!({"chat_id": ALEX, "message_ids": [id]})).await;
    ok(&lab, "editMessageText", json!({"chat_id": ALEX, "message_id": id, "text": "edited"})).await;
    let young = say(&lab, "young").await;
    ok(&lab, "deleteMessages", json!({"chat_id": ALEX, "message_ids": [young, 999]})).await;
    assert!(lab.messages(ALEX)[1].deleted);
}

#[tokio::test]
async fn a_chat_that_is_gone_takes_nothing_for_good() {
    let lab = lab().await;
    let group = lab.group(-100, "Team");
    lab.delete_chat(ALEX).unwrap();
    lab.delete_chat(group).unwrap();
    let send = |chat: i64| json!({"chat_id": chat, "text": "x"});
    assert_eq!(refused(&lab, 403, "sendMessage", send(ALEX)).await, "Forbidden: user is deactivated");
    assert_eq!(refused(&lab, 400, "sendMessage", send(group)).await, "Bad Request: chat not found");
}

#[tokio::test]
async fn an_album_has_two_to_ten_of_a_kind() {
    let lab = lab().await;
    let file = lab.send_file(ALEX, ALEX, SentFile::document("a.txt", b"a")).unwrap();
    let id =
        lab.messages(ALEX).iter().find(|one| one.id == file).unwrap().content.media.clone().unwrap().file_id;
    let album = |count: usize, odd: bool| {
        let mut media = vec![json!({"type": "document", "media": id}); count];
        if odd {
            media[0]["type"] = json!("photo");
        }
        json!({"chat_id": ALEX, "media": media})
    };
    for params in [album(1, false), album(11, false), album(2, true)] {
        refused(&lab, 400, "sendMediaGroup", params).await;
    }
    let sent = ok(&lab, "sendMediaGroup", album(3, false)).await;
    assert_eq!(sent.as_array().unwrap().len(), 3);
    assert_eq!(sent[0]["media_group_id"], sent[2]["media_group_id"]);
}

#[tokio::test]
async fn commands_reactions_and_pins_are_kept() {
    let lab = lab().await;
    let commands = json!([{"command": "stop", "description": "Stop"}]);
    ok(&lab, "setMyCommands", json!({"commands": commands})).await;
    assert_eq!(ok(&lab, "getMyCommands", json!({})).await, commands);
    let bad = json!({"commands": [{"command": "Stop!", "description": "Stop"}]});
    assert_eq!(refused(&lab, 400, "setMyCommands", bad).await, "Bad Request: BOT_COMMAND_INVALID");
    let id = lab.send_text(ALEX, ALEX, "hello").unwrap();
    let react = |emoji: &str| json!({"chat_id": ALEX, "message_id": id, "reaction": [{"type": "emoji", "emoji": emoji}]});
    ok(&lab, "setMessageReaction", react("👀")).await;
    assert_eq!(refused(&lab, 400, "setMessageReaction", react("✅")).await, "Bad Request: REACTION_INVALID");
    assert_eq!(lab.messages(ALEX)[0].reaction.as_deref(), Some("👀"));
    ok(&lab, "pinChatMessage", json!({"chat_id": ALEX, "message_id": id})).await;
    assert_eq!(ok(&lab, "getChat", json!({"chat_id": ALEX})).await["pinned_message"]["text"], "hello");
}

#[tokio::test]
async fn a_copy_and_a_forward_say_the_same_again() {
    let lab = lab().await;
    let id = say(&lab, "again").await;
    let of = |id: i64| json!({"chat_id": ALEX, "from_chat_id": ALEX, "message_id": id});
    assert!(ok(&lab, "copyMessage", of(id)).await["message_id"].as_i64().unwrap() > id);
    let forwarded = ok(&lab, "forwardMessage", of(id)).await;
    assert_eq!((&forwarded["text"], &forwarded["forward_origin"]["type"]), (&json!("again"), &json!("user")));
    let missing = refused(&lab, 400, "copyMessage", of(99)).await;
    assert_eq!(missing, "Bad Request: message to copy not found");
}

#[tokio::test]
async fn another_sites_page_cannot_act_as_the_person() {
    let lab = lab().await;
    let send = |origin: &'static str| {
        let body = json!({"chat": ALEX, "from": ALEX, "text": "rm -rf /"});
        let post = reqwest::Client::new().post(format!("{}/lab/send", lab.api_url())).json(&body);
        async move { post.header("origin", origin).send().await.unwrap().status().as_u16() }
    };
    assert_eq!(send("http://evil.example").await, 403);
    let own: &'static str = lab.api_url().leak();
    assert_eq!(send(own).await, 200);
    assert_eq!(lab.messages(ALEX).len(), 1);
    let (status, _) = call(&lab, "getMe", json!({})).await;
    assert_eq!(status, 200);
}
