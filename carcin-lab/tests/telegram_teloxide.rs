//! The library that carcin-tg uses gets along with the stand-in.

mod telegram_support;

use carcin_lab::telegram::{SentFile, TelegramLab};
use telegram_support::{ALEX, lab};
use teloxide::net::Download;
use teloxide::prelude::*;
use teloxide::types::{InlineKeyboardButton, InlineKeyboardMarkup, InputFile, MessageEntity, UpdateKind};
use teloxide::{ApiError, RequestError};

fn bot(lab: &TelegramLab) -> Bot {
    Bot::new(lab.token()).set_api_url(lab.api_url().parse().unwrap())
}

const CHAT: ChatId = ChatId(ALEX);

#[tokio::test]
async fn teloxide_sends_edits_and_reads_updates() {
    let lab = lab().await;
    let bot = bot(&lab);
    assert_eq!(bot.get_me().await.unwrap().username(), "carcin_lab_bot");
    let keyboard = InlineKeyboardMarkup::new([[InlineKeyboardButton::callback("Stop", "stop")]]);
    let sent = bot
        .send_message(CHAT, "bold and code")
        .entities([MessageEntity::bold(0, 4), MessageEntity::code(9, 4)])
        .reply_markup(keyboard)
        .await
        .unwrap();
    assert_eq!(sent.entities().unwrap().len(), 2);
    assert!(sent.reply_markup().is_some());
    let error = bot.edit_message_text(CHAT, teloxide::types::MessageId(99), "x").await.unwrap_err();
    assert!(matches!(error, RequestError::Api(ApiError::MessageToEditNotFound)), "{error:?}");

    lab.send_text(ALEX, ALEX, "/start").unwrap();
    lab.press(ALEX, ALEX, i64::from(sent.id.0), "Stop").unwrap();
    let updates = bot.get_updates().timeout(5).await.unwrap();
    let UpdateKind::Message(message) = &updates[0].kind else { panic!("{:?}", updates[0]) };
    assert_eq!(message.text(), Some("/start"));
    let UpdateKind::CallbackQuery(query) = &updates[1].kind else { panic!("{:?}", updates[1]) };
    assert_eq!(query.data.as_deref(), Some("stop"));
    bot.answer_callback_query(query.id.clone()).text("Stopping").await.unwrap();
}

#[tokio::test]
async fn teloxide_sends_and_downloads_files_and_asks_for_chats() {
    let lab = lab().await;
    let bot = bot(&lab);
    let sent = bot.send_document(CHAT, InputFile::memory("log").file_name("run.log")).await.unwrap();
    assert_eq!(sent.document().unwrap().file_name.as_deref(), Some("run.log"));
    lab.send_file(ALEX, ALEX, SentFile::document("a.bin", b"abc")).unwrap();
    let updates = bot.get_updates().await.unwrap();
    let UpdateKind::Message(message) = &updates[0].kind else { panic!("{:?}", updates[0]) };
    let file = bot.get_file(message.document().unwrap().file.id.clone()).await.unwrap();
    let mut bytes = Vec::new();
    bot.download_file(&file.path, &mut bytes).await.unwrap();
    assert_eq!(bytes, b"abc");
    bot.get_chat(CHAT).await.unwrap();
    bot.delete_message(CHAT, sent.id).await.unwrap();
}

#[tokio::test]
async fn teloxide_reads_refusals() {
    let lab = lab().await;
    lab.fault(carcin_lab::telegram::Fault::any(carcin_lab::telegram::FaultKind::RetryAfter(7)));
    let bot = bot(&lab);
    let error = bot.send_message(CHAT, "x").await.unwrap_err();
    assert!(matches!(&error, RequestError::RetryAfter(wait) if wait.seconds() == 7), "{error:?}");
    lab.block_bot(ALEX, ALEX).unwrap();
    lab.user(7, "Other");
    lab.block_bot(7, 7).unwrap();
    let error = bot.send_message(ChatId(7), "x").await.unwrap_err();
    assert!(matches!(error, RequestError::Api(ApiError::BotBlocked)), "{error:?}");
    let updates = bot.get_updates().await.unwrap();
    assert!(matches!(updates[0].kind, UpdateKind::MyChatMember(_)), "{:?}", updates[0]);
}
