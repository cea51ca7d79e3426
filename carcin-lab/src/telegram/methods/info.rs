//! The bot itself, its commands, chats, and answers to presses.

use serde_json::{Value, json};

use super::{Answer, Context};
use crate::telegram::error::ApiError;
use crate::telegram::model::{CallbackAnswer, ChatKind};
use crate::telegram::wire;

/// Characters in the answer to a press.
const MAX_ANSWER: usize = 200;
/// Commands of a bot.
const MAX_COMMANDS: usize = 100;

#[allow(clippy::unnecessary_wraps, reason = "the table of methods has one signature")]
pub(super) fn get_me(context: &mut Context<'_>) -> Answer {
    Ok(wire::me(context.state))
}

pub(super) fn get_chat(context: &mut Context<'_>) -> Answer {
    let id = context.chat()?;
    let chat = &context.state.chats[&id];
    let mut out = wire::chat(chat);
    out["accent_color_id"] = json!(0);
    out["max_reaction_count"] = json!(11);
    out["accepted_gift_types"] = json!({
        "unlimited_gifts": false, "limited_gifts": false, "unique_gifts": false,
        "premium_subscription": false, "gifts_from_channels": false,
    });
    if chat.kind != ChatKind::Private {
        out["permissions"] = json!({"can_send_messages": true});
    }
    let pinned = chat.pinned.last().and_then(|id| chat.messages.get(id)).filter(|message| message.visible());
    if let Some(message) = pinned {
        out["pinned_message"] = wire::message(context.state, message);
    }
    Ok(out)
}

/// A query is answered once, and only for [`crate::telegram::LabConfig::callback_lifetime`].
pub(super) fn answer_callback_query(context: &mut Context<'_>) -> Answer {
    let id = context.params.str("callback_query_id").unwrap_or_default();
    let text = context.params.str("text");
    if text.as_ref().is_some_and(|text| text.chars().count() > MAX_ANSWER) {
        return Err(ApiError::bad("MESSAGE_TOO_LONG"));
    }
    let show_alert = context.params.bool("show_alert");
    let lifetime = context.state.config.callback_lifetime;
    let version = context.state.version;
    let open = context.state.callback_mut(&id).filter(|callback| {
        callback.answer.is_none() && callback.at.elapsed().unwrap_or_default() <= lifetime
    });
    let Some(callback) = open else {
        return Err(ApiError::bad("query is too old and response timeout expired or query ID is invalid"));
    };
    callback.answer = Some(CallbackAnswer { text, show_alert });
    callback.revision = version;
    Ok(json!(true))
}

/// Under which name commands are kept: scope, chat, language.
fn commands_key(context: &Context<'_>) -> Result<String, ApiError> {
    let scope = context.params.json("scope", "bot command scope")?;
    let language = context.params.str("language_code").unwrap_or_default();
    let kind = scope.as_ref().and_then(|scope| scope["type"].as_str()).unwrap_or("default").to_owned();
    let known = [
        "default",
        "all_private_chats",
        "all_group_chats",
        "all_chat_administrators",
        "chat",
        "chat_administrators",
        "chat_member",
    ];
    if !known.contains(&kind.as_str()) {
        return Err(ApiError::bad("can't parse BotCommandScope: unsupported type specified"));
    }
    let chat =
        scope.and_then(|scope| scope["chat_id"].as_i64()).map(|chat| format!(":{chat}")).unwrap_or_default();
    let language = if language.is_empty() { language } else { format!("@{language}") };
    Ok(format!("{kind}{chat}{language}"))
}

fn check_command(command: &Value) -> Result<(), ApiError> {
    let name = command["command"].as_str().unwrap_or_default().trim_start_matches('/');
    let sound = (1..=32).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !sound {
        return Err(ApiError::bad("BOT_COMMAND_INVALID"));
    }
    let length = command["description"].as_str().map_or(0, |text| text.chars().count());
    if (1..=256).contains(&length) { Ok(()) } else { Err(ApiError::bad("BOT_COMMAND_DESCRIPTION_INVALID")) }
}

pub(super) fn set_my_commands(context: &mut Context<'_>) -> Answer {
    let key = commands_key(context)?;
    let commands = context.params.json("commands", "commands")?.unwrap_or_else(|| json!([]));
    let Value::Array(commands) = commands else {
        return Err(ApiError::bad("expected an Array of BotCommand"));
    };
    if commands.len() > MAX_COMMANDS {
        return Err(ApiError::bad("too many bot commands specified"));
    }
    commands.iter().try_for_each(check_command)?;
    context.state.commands.insert(key, commands);
    Ok(json!(true))
}

pub(super) fn get_my_commands(context: &mut Context<'_>) -> Answer {
    let key = commands_key(context)?;
    Ok(json!(context.state.commands.get(&key).cloned().unwrap_or_default()))
}

pub(super) fn delete_my_commands(context: &mut Context<'_>) -> Answer {
    let key = commands_key(context)?;
    context.state.commands.remove(&key);
    Ok(json!(true))
}
