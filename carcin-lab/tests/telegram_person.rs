//! What a person sends, as the bot gets it: every kind of file, forwards, quotes, places, and how files are fetched.

mod telegram_support;

use carcin_lab::telegram::{LabConfig, MediaKind, Origin, SentFile, TelegramLab, Typed};
use serde_json::{Value, json};
use telegram_support::{ALEX, lab, lab_with, ok, picture, refused, url};

/// The messages that the bot has not confirmed yet.
async fn received(lab: &TelegramLab) -> Vec<Value> {
    let updates = ok(lab, "getUpdates", json!({})).await;
    updates.as_array().unwrap().iter().map(|update| update["message"].clone()).collect()
}

#[tokio::test]
async fn every_kind_of_file_has_a_field_of_its_own_and_can_be_fetched() {
    let lab = lab().await;
    let kinds = [
        (MediaKind::Document, "a.pdf"),
        (MediaKind::Video, "a.mp4"),
        (MediaKind::Audio, "a.mp3"),
        (MediaKind::Voice, "a.ogg"),
        (MediaKind::Animation, "a.gif"),
        (MediaKind::VideoNote, "a.mp4"),
        (MediaKind::Sticker, "a.webp"),
    ];
    for (kind, name) in kinds {
        lab.send_file(ALEX, ALEX, SentFile::new(kind, name, name.as_bytes())).unwrap();
    }
    for ((kind, name), message) in kinds.into_iter().zip(received(&lab).await) {
        let file = &message[kind.field()];
        let answer = ok(&lab, "getFile", json!({"file_id": file["file_id"]})).await;
        let link =
            format!("{}/file/bot{}/{}", lab.api_url(), lab.token(), answer["file_path"].as_str().unwrap());
        assert_eq!(reqwest::get(link).await.unwrap().text().await.unwrap(), name, "{message}");
        let named = !matches!(kind, MediaKind::Voice | MediaKind::VideoNote | MediaKind::Sticker);
        assert_eq!(file["file_name"], if named { json!(name) } else { Value::Null }, "{message}");
    }
}

#[tokio::test]
async fn a_sticker_says_whether_it_moves() {
    let lab = lab().await;
    for name in ["still.webp", "moving.tgs", "film.webm"] {
        lab.send_file(ALEX, ALEX, SentFile::new(MediaKind::Sticker, name, b"x")).unwrap();
    }
    let moves: Vec<(bool, bool)> = received(&lab)
        .await
        .iter()
        .map(|message| &message["sticker"])
        .map(|one| (one["is_animated"].as_bool().unwrap(), one["is_video"].as_bool().unwrap()))
        .collect();
    assert_eq!(moves, [(false, false), (true, false), (false, true)]);
}

#[tokio::test]
async fn a_photo_comes_in_several_sizes_of_which_only_the_last_is_the_photo() {
    let lab = lab().await;
    let bytes = picture(1000, 500);
    lab.send_file(ALEX, ALEX, SentFile::photo("a.png", bytes.clone()).caption("look")).unwrap();
    let message = received(&lab).await.remove(0);
    let sizes = message["photo"].as_array().unwrap();
    let sides: Vec<(u64, u64)> =
        sizes.iter().map(|one| (one["width"].as_u64().unwrap(), one["height"].as_u64().unwrap())).collect();
    assert_eq!(sides, [(90, 45), (320, 160), (800, 400), (1000, 500)]);
    let length = |size: &Value| size["file_size"].as_u64().unwrap();
    assert_eq!(length(&sizes[3]), u64::try_from(bytes.len()).unwrap());
    assert!(length(&sizes[0]) != length(&sizes[3]));
    assert_eq!(message["caption"], "look");
}

#[tokio::test]
async fn a_place_and_a_card_are_messages_without_text() {
    let lab = lab().await;
    lab.send_location(ALEX, ALEX, 48.2, 16.4).unwrap();
    lab.send_contact(ALEX, ALEX, "Ada", "+43 1 23").unwrap();
    lab.send_other(ALEX, ALEX, None, json!({"dice": {"emoji": "🎲", "value": 3}})).unwrap();
    let messages = received(&lab).await;
    assert_eq!(messages[0]["location"]["latitude"], 48.2);
    assert_eq!(messages[1]["contact"], json!({"phone_number": "+43 1 23", "first_name": "Ada"}));
    assert_eq!(messages[2]["dice"]["value"], 3);
    assert!(messages.iter().all(|message| message.get("text").is_none()));
}

#[tokio::test]
async fn a_forward_says_where_it_comes_from_as_far_as_that_is_told() {
    let lab = lab().await;
    let origins = [
        Origin::User { id: 77, name: "Ada".into() },
        Origin::HiddenUser { name: "Somebody".into() },
        Origin::Chat { id: -1005, title: "Team".into() },
        Origin::Channel { id: -1006, title: "News".into(), message: 12, signature: Some("Eve".into()) },
    ];
    for origin in origins {
        lab.send(ALEX, ALEX, Typed::new("news").forwarded(origin)).unwrap();
    }
    let hidden = Origin::HiddenUser { name: "Somebody".into() };
    lab.send_file(ALEX, ALEX, SentFile::document("a.txt", b"a").forwarded(hidden)).unwrap();
    let messages = received(&lab).await;
    let origin = |at: usize| &messages[at]["forward_origin"];
    assert_eq!(
        (&origin(0)["type"], &origin(0)["sender_user"]["first_name"]),
        (&json!("user"), &json!("Ada"))
    );
    assert_eq!(origin(1)["sender_user_name"], "Somebody");
    assert_eq!(origin(2)["sender_chat"]["title"], "Team");
    assert_eq!(
        (&origin(3)["chat"]["type"], &origin(3)["author_signature"]),
        (&json!("channel"), &json!("Eve"))
    );
    assert_eq!(origin(4)["type"], "hidden_user");
    assert!(messages.iter().all(|message| message["forward_origin"]["date"].is_u64()));
}

#[tokio::test]
async fn a_reply_may_quote_a_part_of_what_it_answers() {
    let lab = lab().await;
    let bold = json!([{"type": "bold", "offset": 3, "length": 5}]);
    let sent =
        ok(&lab, "sendMessage", json!({"chat_id": ALEX, "text": "🦀 first second", "entities": bold})).await;
    let id = sent["message_id"].as_i64().unwrap();
    lab.send(ALEX, ALEX, Typed::new("which?").quoting(id, "first sec")).unwrap();
    let message = received(&lab).await.remove(0);
    assert_eq!(message["reply_to_message"]["text"], "🦀 first second");
    assert_eq!(
        message["quote"],
        json!({"text": "first sec", "position": 3, "is_manual": true,
            "entities": [{"type": "bold", "offset": 0, "length": 5}]})
    );
    let wrong = lab.send(ALEX, ALEX, Typed::new("which?").quoting(id, "third")).unwrap_err();
    assert!(wrong.to_string().contains("does not say \"third\""), "{wrong}");
    let bot = |quote: &str| json!({"chat_id": ALEX, "text": "x", "reply_parameters": {"message_id": id, "quote": quote}});
    assert_eq!(ok(&lab, "sendMessage", bot("second")).await["quote"]["position"], 9);
    assert_eq!(refused(&lab, 400, "sendMessage", bot("third")).await, "Bad Request: QUOTE_TEXT_INVALID");
}

#[tokio::test]
async fn what_is_said_in_a_topic_answers_the_message_that_made_it() {
    let lab = lab_with(LabConfig { private_topics: true, ..LabConfig::default() }).await;
    assert_eq!(ok(&lab, "getMe", json!({})).await["allows_users_to_create_topics"], true);
    for chat in [ALEX, lab.forum(-1007, "Team")] {
        let topic = lab.topic(chat, ALEX, "Build").unwrap();
        let id = lab.send(chat, ALEX, Typed::new("hello").thread(topic)).unwrap();
        lab.send(chat, ALEX, Typed::new("again").thread(topic).reply_to(id)).unwrap();
        let messages: Vec<Value> = received(&lab).await.into_iter().rev().take(3).rev().collect();
        assert!(messages[0].get("reply_to_message").is_none(), "{}", messages[0]);
        assert_eq!(messages[1]["reply_to_message"]["forum_topic_created"]["name"], "Build");
        assert_eq!(messages[2]["reply_to_message"]["text"], "hello");
    }
}

#[tokio::test]
async fn a_server_of_ones_own_gives_the_path_of_any_file_and_takes_large_ones() {
    let folder = tempfile::tempdir().unwrap();
    let config = LabConfig { local_files: Some(folder.path().to_owned()), ..LabConfig::default() };
    let lab = lab_with(config).await;
    let large = vec![7; 20 * 1024 * 1024 + 1];
    lab.send_file(ALEX, ALEX, SentFile::document("large.bin", large.clone())).unwrap();
    let message = received(&lab).await.remove(0);
    let file = ok(&lab, "getFile", json!({"file_id": message["document"]["file_id"]})).await;
    let path = std::path::PathBuf::from(file["file_path"].as_str().unwrap());
    assert!(path.starts_with(folder.path()));
    assert!(std::fs::read(&path).unwrap() == large);
    let link = format!("{}/file/bot{}/documents%2Ffile_1.bin", lab.api_url(), lab.token());
    assert_eq!(reqwest::get(link).await.unwrap().status(), 404, "nobody serves files there");
    let upload = reqwest::multipart::Form::new()
        .text("chat_id", ALEX.to_string())
        .part("document", reqwest::multipart::Part::bytes(vec![0; 51 * 1024 * 1024]).file_name("l.bin"));
    let client = reqwest::Client::new();
    let answer = client.post(url(&lab, "sendDocument")).multipart(upload).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let local = json!({"chat_id": ALEX, "document": format!("file://{}", path.display())});
    assert_eq!(ok(&lab, "sendDocument", local).await["document"]["file_size"], large.len());
}
