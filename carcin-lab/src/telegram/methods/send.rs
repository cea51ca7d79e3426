//! Messages, drafts and chat actions.

use std::collections::VecDeque;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Answer, Context};
use crate::telegram::detect;
use crate::telegram::error::ApiError;
use crate::telegram::markup;
use crate::telegram::model::{
    ActionTrace, Author, ChatKind, ChatMessage, Content, Draft, DraftEnd, Media, Revision,
};
use crate::telegram::origin::{Origin, Quote};
use crate::telegram::state::{MAX_HISTORY, MAX_TRACES, NewMessage, bounded_push};
use crate::telegram::text::{self, CAPTION, MAX_CAPTION, MAX_TEXT, TEXT};

/// Where and how a message is sent: what all sending methods have in common.
pub(super) struct Envelope {
    pub(super) chat: i64,
    message: NewMessage,
}

impl Envelope {
    /// Reads and checks chat, topic, reply, sound and keyboard.
    pub(super) fn read(context: &Context<'_>) -> Result<Self, ApiError> {
        let chat = context.chat()?;
        let message = NewMessage {
            thread: context.thread(chat)?,
            keyboard: markup::read(context.params)?,
            silent: context.params.bool("disable_notification"),
            reply_to: reply_to(context, chat)?,
            quote: quote(context, chat)?,
            call: Some(context.call),
            ..NewMessage::default()
        };
        Ok(Self { chat, message })
    }

    /// Sends `content`, in an album where given one.
    pub(super) fn send(&self, context: &mut Context<'_>, content: Content, album: Option<String>) -> Answer {
        let new = NewMessage {
            thread: self.message.thread,
            content,
            keyboard: self.message.keyboard.clone(),
            silent: self.message.silent,
            reply_to: self.message.reply_to,
            quote: self.message.quote.clone(),
            forwarded: self.message.forwarded.clone(),
            album,
            service: None,
            call: self.message.call,
        };
        let id = context
            .state
            .add_message(self.chat, Author::Bot, new)
            .map_err(|_| ApiError::bad("chat not found"))?;
        Ok(context.message(self.chat, id))
    }
}

fn reply_to(context: &Context<'_>, chat: i64) -> Result<Option<i64>, ApiError> {
    let parameters = context.params.json("reply_parameters", "reply parameters")?;
    let (id, lenient) = match &parameters {
        Some(parameters) => {
            let id = parameters["message_id"].as_i64();
            let id = id.ok_or_else(|| ApiError::bad("can't parse reply parameters: no message_id"))?;
            (id, parameters["allow_sending_without_reply"].as_bool().unwrap_or(false))
        }
        None => match context.params.int("reply_to_message_id") {
            Some(id) => (id, context.params.bool("allow_sending_without_reply")),
            None => return Ok(None),
        },
    };
    let there = context.state.chats[&chat].messages.get(&id).is_some_and(ChatMessage::visible);
    match (there, lenient) {
        (true, _) => Ok(Some(id)),
        (false, true) => Ok(None),
        (false, false) => Err(ApiError::bad("message to be replied not found")),
    }
}

/// The part of the message that is answered; what is not in it is refused.
fn quote(context: &Context<'_>, chat: i64) -> Result<Option<Quote>, ApiError> {
    let parameters = context.params.json("reply_parameters", "reply parameters")?.unwrap_or_default();
    let Some(part) = parameters["quote"].as_str().filter(|part| !part.is_empty()) else { return Ok(None) };
    let answered =
        parameters["message_id"].as_i64().and_then(|id| context.state.chats[&chat].messages.get(&id));
    let Some(answered) = answered.filter(|answered| answered.visible()) else { return Ok(None) };
    let quote = Quote::of(&answered.content.text, &answered.content.entities, part);
    quote.map(Some).ok_or_else(|| ApiError::bad("QUOTE_TEXT_INVALID"))
}

/// The text of a message, with what Telegram finds in it.
pub(super) fn text_of(context: &Context<'_>, too_long: &str) -> Result<Content, ApiError> {
    if context.params.get("text").is_none() {
        return Err(ApiError::bad("message text is empty"));
    }
    let mut content = text::read(context.params, TEXT)?;
    if content.text.is_empty() {
        return Err(ApiError::bad("text must be non-empty"));
    }
    if text::utf16_len(&content.text) > MAX_TEXT {
        return Err(ApiError::bad(too_long));
    }
    detect::add(&content.text, &mut content.entities);
    Ok(content)
}

/// A file with the caption of the call.
pub(super) fn caption_of(context: &Context<'_>, media: Option<Media>) -> Result<Content, ApiError> {
    let content = text::read(context.params, CAPTION)?;
    finish_caption(content, media)
}

pub(super) fn finish_caption(mut content: Content, media: Option<Media>) -> Result<Content, ApiError> {
    if text::utf16_len(&content.text) > MAX_CAPTION {
        return Err(ApiError::bad("message caption is too long"));
    }
    detect::add(&content.text, &mut content.entities);
    content.media = media;
    Ok(content)
}

pub(super) fn send_message(context: &mut Context<'_>) -> Answer {
    let envelope = Envelope::read(context)?;
    let content = text_of(context, "message is too long")?;
    envelope.send(context, content, None)
}

/// The message that `copyMessage` and `forwardMessage` speak of.
fn original(context: &Context<'_>, missing: &str) -> Result<Content, ApiError> {
    let from = context.chat_in("from_chat_id")?;
    let id = context
        .params
        .int("message_id")
        .ok_or_else(|| ApiError::bad("message identifier is not specified"))?;
    let message = context.state.chats[&from].messages.get(&id).filter(|message| message.visible());
    message.map(|message| message.content.clone()).ok_or_else(|| ApiError::bad(missing))
}

pub(super) fn copy_message(context: &mut Context<'_>) -> Answer {
    let envelope = Envelope::read(context)?;
    let mut content = original(context, "message to copy not found")?;
    if content.media.is_some() && context.params.get("caption").is_some() {
        content = caption_of(context, content.media)?;
    }
    let sent = envelope.send(context, content, None)?;
    Ok(json!({"message_id": sent["message_id"]}))
}

pub(super) fn forward_message(context: &mut Context<'_>) -> Answer {
    let mut envelope = Envelope::read(context)?;
    let content = original(context, "message to forward not found")?;
    envelope.message.forwarded = Some(first_said_by(context));
    envelope.send(context, content, None)
}

/// From whom the message in `forwardMessage` first came.
fn first_said_by(context: &Context<'_>) -> Origin {
    let chat = context.params.int("from_chat_id").and_then(|id| context.state.chats.get(&id));
    let message = context.params.int("message_id").and_then(|id| chat?.messages.get(&id));
    if let Some(origin) = message.and_then(|message| message.forwarded.clone()) {
        return origin;
    }
    let by = match message.map(|message| message.author) {
        Some(Author::User(id)) => context.state.users.get(&id),
        _ => None,
    };
    let by = by.unwrap_or(&context.state.bot);
    Origin::User { id: by.id, name: by.first_name.clone() }
}

pub(super) fn send_message_draft(context: &mut Context<'_>) -> Answer {
    let chat = context.chat()?;
    if context.state.chats[&chat].kind != ChatKind::Private {
        return Err(ApiError::bad("TEXTDRAFT_PEER_INVALID"));
    }
    let thread = context.thread(chat)?;
    let id = context.params.int("draft_id").filter(|id| *id != 0);
    let id = id.ok_or_else(|| ApiError::bad("draft identifier must be non-zero"))?;
    let mut content = text::read(context.params, TEXT)?;
    if text::utf16_len(&content.text) > MAX_TEXT {
        return Err(ApiError::bad("message is too long"));
    }
    detect::add(&content.text, &mut content.entities);
    let frame = Revision { content, keyboard: None, at: SystemTime::now(), call: Some(context.call) };
    let (can_stop, keep_on_stop) = (context.params.bool("can_stop"), context.params.bool("keep_on_stop"));
    let Some(chat) = context.state.chats.get_mut(&chat) else { return Err(ApiError::bad("chat not found")) };
    let same = chat.drafts.iter_mut().rev().find(|draft| draft.thread == thread && draft.ended.is_none());
    if let Some(draft) = same.filter(|draft| draft.id == id) {
        draft.can_stop = can_stop;
        draft.keep_on_stop = keep_on_stop;
        bounded_push(&mut draft.frames, frame, MAX_HISTORY);
    } else {
        chat.end_drafts(thread, DraftEnd::Replaced);
        let draft =
            Draft { id, thread, frames: VecDeque::from([frame]), can_stop, keep_on_stop, ended: None };
        bounded_push(&mut chat.drafts, draft, MAX_TRACES);
    }
    Ok(json!(true))
}

const ACTIONS: &[&str] = &[
    "cancel",
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "record_audio",
    "upload_audio",
    "upload_document",
    "choose_sticker",
    "pick_up_location",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

pub(super) fn send_chat_action(context: &mut Context<'_>) -> Answer {
    let chat = context.chat()?;
    let thread = context.thread(chat)?;
    let action = context.params.str("action").unwrap_or_default();
    if !ACTIONS.contains(&action.as_str()) {
        return Err(ApiError::bad("wrong parameter action in request"));
    }
    if let Some(chat) = context.state.chats.get_mut(&chat) {
        let trace = ActionTrace { action, thread, at: SystemTime::now() };
        bounded_push(&mut chat.actions, trace, MAX_TRACES);
    }
    Ok(Value::Bool(true))
}
