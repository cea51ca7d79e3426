//! The stand-in's own page: what a person and a bot can send is there to be seen.

use anyhow::ensure;
use carcin_lab::telegram::{LabConfig, MediaKind, Origin, SentFile, TelegramLab, Typed};
use serde_json::{Value, json};

use super::chromium::Browser;

const ALEX: i64 = 1001;

/// One white pixel, PNG.
const PIXEL: &[u8] = &[
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x04, 0x00, 0x00, 0x00, 0xB5, 0x1C, 0x0C, 0x02, 0x00,
    0x00, 0x00, 0x0B, 0x49, 0x44, 0x41, 0x54, 0x78, 0xDA, 0x63, 0xFC, 0xFF, 0x1F, 0x00, 0x03, 0x03, 0x02,
    0x00, 0xEF, 0xA2, 0xA7, 0x5B, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
];

async fn ask(lab: &TelegramLab, method: &str, params: Value) -> anyhow::Result<Value> {
    let url = format!("{}/bot{}/{method}", lab.api_url(), lab.token());
    let body: Value = reqwest::Client::new().post(url).json(&params).send().await?.json().await?;
    ensure!(body["ok"] == true, "{method}: {body}");
    Ok(body["result"].clone())
}

pub(crate) async fn shows_everything() -> anyhow::Result<()> {
    let users = vec![(ALEX, "Alex".to_owned())];
    let lab = TelegramLab::start(LabConfig { users, private_topics: true, ..LabConfig::default() }).await?;
    let said = ask(&lab, "sendMessage", json!({"chat_id": ALEX, "text": "one two three"})).await?;
    let said = said["message_id"].as_i64().unwrap_or_default();
    for (kind, name) in [
        (MediaKind::Photo, "a.png"),
        (MediaKind::Sticker, "a.webp"),
        (MediaKind::Voice, "a.ogg"),
        (MediaKind::Video, "a.mp4"),
        (MediaKind::Audio, "song.mp3"),
        (MediaKind::Document, "notes.pdf"),
    ] {
        lab.send_file(ALEX, ALEX, SentFile::new(kind, name, PIXEL))?;
    }
    lab.send_location(ALEX, ALEX, 48.25, 16.5)?;
    lab.send_contact(ALEX, ALEX, "Ada", "+43 1 23")?;
    lab.send(ALEX, ALEX, Typed::new("and now?").quoting(said, "two"))?;
    lab.send(ALEX, ALEX, Typed::new("news").forwarded(Origin::HiddenUser { name: "Somebody".into() }))?;
    let topic = lab.topic(ALEX, ALEX, "Build")?;
    let browser = Browser::open(&lab.page_url()).await?;
    let shown = |selector: &str, text: &str| {
        format!(
            "return [...document.querySelectorAll({})].some((one) => one.textContent.includes({}))",
            json!(selector),
            json!(text)
        )
    };
    for (selector, text) in [
        (".media[data-kind=photo]", ""),
        (".media[data-kind=sticker] img", ""),
        (".media[data-kind=voice]", "Voice message"),
        (".media[data-kind=video]", "Video"),
        (".media[data-kind=audio]", "song.mp3"),
        (".media[data-kind=document]", "notes.pdf"),
        (".other", "📍 48.25, 16.5"),
        (".other", "👤 Ada · +43 1 23"),
        (".quoted", "“two”"),
        (".forwarded", "Forwarded from Somebody"),
        ("#topics button", "Build"),
    ] {
        browser.wait(&format!("{selector} with {text:?}"), &shown(selector, text)).await?;
    }
    let draft = |text: &str| json!({"chat_id": ALEX, "draft_id": 7, "text": text, "can_stop": true, "message_thread_id": topic});
    ask(&lab, "sendMessageDraft", draft("It str")).await?;
    browser.click("#topics button", "Build").await?;
    browser.wait("the draft", &shown(".draft", "It str")).await?;
    ask(&lab, "sendMessageDraft", draft("It streams")).await?;
    browser.wait("its next frame", &shown(".draft", "It streams")).await?;
    browser.click(".draft button", "Stop").await?;
    lab.wait_for("the press on Stop", super::chromium::PATIENCE, |state| {
        state.updates.pending().any(|one| one["stopped_message_generation"]["draft_id"] == 7).then_some(())
    })
    .await?;
    browser.close().await
}
