//! Changing what was sent.

use std::time::Duration;

use serde_json::{Value, json};

use super::send::{caption_of, text_of};
use super::{Answer, Context};
use crate::telegram::error::ApiError;
use crate::telegram::markup;
use crate::telegram::model::{ChatMessage, Content, Keyboard};

const NOT_MODIFIED: &str = "message is not modified: specified new message content and reply markup are exactly the \
                            same as a current content and reply markup of the message";

/// The message under `message_id`, which can be seen.
fn target<'a>(context: &'a Context<'_>, missing: &str) -> Result<&'a ChatMessage, ApiError> {
    let chat = context.chat()?;
    let id = context.params.int("message_id").filter(|id| *id > 0);
    let id = id.ok_or_else(|| ApiError::bad("message identifier is not specified"))?;
    let message = context.state.chats[&chat].messages.get(&id).filter(|message| message.visible());
    message.ok_or_else(|| ApiError::bad(missing))
}

/// The bot's own message under `message_id`.
fn editable<'a>(context: &'a Context<'_>) -> Result<&'a ChatMessage, ApiError> {
    if context.params.get("inline_message_id").is_some() {
        return Err(ApiError::bad("MESSAGE_ID_INVALID"));
    }
    let message = target(context, "message to edit not found")?;
    if !message.from_bot() || message.service.is_some() {
        return Err(ApiError::bad("message can't be edited"));
    }
    Ok(message)
}

/// Gives the message another content or keyboard, unless it has them already.
fn change(context: &mut Context<'_>, content: Content, keyboard: Option<Keyboard>) -> Answer {
    let message = editable(context)?;
    let (chat, id) = (message.chat, message.id);
    if message.content == content && message.keyboard == keyboard {
        return Err(ApiError::bad(NOT_MODIFIED));
    }
    context.state.revise(chat, id, content, keyboard, Some(context.call));
    Ok(context.message(chat, id))
}

/// As in Telegram, an edit without `reply_markup` removes the keyboard.
pub(super) fn edit_text(context: &mut Context<'_>) -> Answer {
    let message = editable(context)?;
    if message.content.media.is_some() {
        return Err(ApiError::bad("there is no text in the message to edit"));
    }
    let content = text_of(context, "MESSAGE_TOO_LONG")?;
    let keyboard = markup::read(context.params)?;
    change(context, content, keyboard)
}

pub(super) fn edit_caption(context: &mut Context<'_>) -> Answer {
    let media = editable(context)?.content.media.clone();
    if media.is_none() {
        return Err(ApiError::bad("there is no caption in the message to edit"));
    }
    let content = caption_of(context, media)?;
    let keyboard = markup::read(context.params)?;
    change(context, content, keyboard)
}

pub(super) fn edit_reply_markup(context: &mut Context<'_>) -> Answer {
    let content = editable(context)?.content.clone();
    let keyboard = markup::read(context.params)?;
    change(context, content, keyboard)
}

/// How old a message may be that is deleted.
const DELETABLE: Duration = Duration::from_hours(48);

fn too_old(message: &ChatMessage) -> bool {
    message.sent.elapsed().unwrap_or_default() > DELETABLE
}

fn delete(context: &mut Context<'_>, chat: i64, id: i64) -> bool {
    let version = context.state.version;
    let found = context.state.chats.get_mut(&chat).and_then(|chat| chat.messages.get_mut(&id));
    let Some(message) = found.filter(|message| !message.deleted) else { return false };
    message.deleted = true;
    message.revision = version;
    true
}

pub(super) fn delete_message(context: &mut Context<'_>) -> Answer {
    let message = target(context, "message to delete not found")?;
    if too_old(message) {
        return Err(ApiError::bad("message can't be deleted for everyone"));
    }
    let (chat, id) = (message.chat, message.id);
    delete(context, chat, id);
    Ok(json!(true))
}

pub(super) fn delete_messages(context: &mut Context<'_>) -> Answer {
    let chat = context.chat()?;
    let ids = context.params.json("message_ids", "message identifiers")?;
    let ids: Vec<i64> = ids.and_then(|ids| serde_json::from_value(ids).ok()).unwrap_or_default();
    if !(1..=100).contains(&ids.len()) {
        return Err(ApiError::bad("message identifiers are not specified"));
    }
    let messages = &context.state.chats[&chat].messages;
    if ids.iter().filter_map(|id| messages.get(id)).any(|message| message.visible() && too_old(message)) {
        return Err(ApiError::bad("message can't be deleted for everyone"));
    }
    for id in ids {
        delete(context, chat, id); // those not found are skipped, as documented
    }
    Ok(json!(true))
}

pub(super) fn pin_message(context: &mut Context<'_>) -> Answer {
    let message = target(context, "message to pin not found")?;
    let (chat, id) = (message.chat, message.id);
    if let Some(chat) = context.state.chats.get_mut(&chat) {
        chat.pinned.retain(|pinned| *pinned != id);
        chat.pinned.push(id);
    }
    Ok(json!(true))
}

pub(super) fn unpin_message(context: &mut Context<'_>) -> Answer {
    let chat = context.chat()?;
    let id = context.params.int("message_id");
    if let Some(chat) = context.state.chats.get_mut(&chat) {
        let last = chat.pinned.last().copied();
        let Some(id) = id.or(last).filter(|id| chat.pinned.contains(id)) else {
            return Err(ApiError::bad("message to unpin not found"));
        };
        chat.pinned.retain(|pinned| *pinned != id);
    }
    Ok(json!(true))
}

pub(super) fn set_reaction(context: &mut Context<'_>) -> Answer {
    let message = target(context, "message to react not found")?;
    let (chat, id) = (message.chat, message.id);
    let reactions = context.params.json("reaction", "reaction")?.unwrap_or_else(|| json!([]));
    let reactions = reactions.as_array().ok_or_else(|| ApiError::bad("can't parse reaction JSON object"))?;
    let emoji = match reactions.as_slice() {
        [] => None,
        [one] => {
            let emoji = one["emoji"].as_str().filter(|emoji| REACTIONS.contains(emoji));
            Some(emoji.ok_or_else(|| ApiError::bad("REACTION_INVALID"))?.to_owned())
        }
        _ => return Err(ApiError::bad("REACTIONS_TOO_MANY")),
    };
    let version = context.state.version;
    if let Some(message) = context.state.chats.get_mut(&chat).and_then(|chat| chat.messages.get_mut(&id)) {
        message.reaction = emoji;
        message.revision = version;
    }
    Ok(Value::Bool(true))
}

/// The emoji a bot may react with, as documented for `ReactionTypeEmoji`.
const REACTIONS: &[&str] = &[
    "❤",
    "👍",
    "👎",
    "🔥",
    "🥰",
    "👏",
    "😁",
    "🤔",
    "🤯",
    "😱",
    "🤬",
    "😢",
    "🎉",
    "🤩",
    "🤮",
    "💩",
    "🙏",
    "👌",
    "🕊",
    "🤡",
    "🥱",
    "🥴",
    "😍",
    "🐳",
    "❤‍🔥",
    "🌚",
    "🌭",
    "💯",
    "🤣",
    "⚡",
    "🍌",
    "🏆",
    "💔",
    "🤨",
    "😐",
    "🍓",
    "🍾",
    "💋",
    "🖕",
    "😈",
    "😴",
    "😭",
    "🤓",
    "👻",
    "👨‍💻",
    "👀",
    "🎃",
    "🙈",
    "😇",
    "😨",
    "🤝",
    "✍",
    "🤗",
    "🫡",
    "🎅",
    "🎄",
    "☃",
    "💅",
    "🤪",
    "🗿",
    "🆒",
    "💘",
    "🙉",
    "🦄",
    "😘",
    "💊",
    "🙊",
    "😎",
    "👾",
    "🤷‍♂",
    "🤷",
    "🤷‍♀",
    "😡",
];
