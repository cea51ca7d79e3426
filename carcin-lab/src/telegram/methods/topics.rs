//! Topics, of forums and of private chats where the bot has them.

use serde_json::{Value, json};

use super::{Answer, Context};
use crate::telegram::error::ApiError;
use crate::telegram::model::{Author, ChatKind, Topic};
use crate::telegram::state::NewMessage;

fn forum(context: &Context<'_>) -> Result<i64, ApiError> {
    let id = context.chat()?;
    let has_topics = match context.state.chats[&id].kind {
        ChatKind::Forum => true,
        ChatKind::Private => context.state.config.private_topics,
        ChatKind::Group => false,
    };
    if has_topics { Ok(id) } else { Err(ApiError::bad("the chat is not a forum")) }
}

fn name_of(context: &Context<'_>) -> Result<String, ApiError> {
    let name = context.params.str("name").unwrap_or_default().trim().to_owned();
    match name.chars().count() {
        0 => Err(ApiError::bad("TOPIC_TITLE_EMPTY")),
        1..=128 => Ok(name),
        _ => Err(ApiError::bad("topic name is too long")),
    }
}

/// The topic under `message_thread_id`, and its chat.
fn topic<'a>(context: &'a mut Context<'_>) -> Result<(i64, &'a mut Topic), ApiError> {
    let chat = forum(context)?;
    let id = context.params.int("message_thread_id").unwrap_or(0);
    let topic = context.state.chats.get_mut(&chat).and_then(|chat| chat.topics.get_mut(&id));
    topic.map(|topic| (chat, topic)).ok_or_else(|| ApiError::bad("TOPIC_ID_INVALID"))
}

fn tell(context: &mut Context<'_>, chat: i64, thread: i64, service: Value) -> Answer {
    let call = Some(context.call);
    let new = NewMessage { thread: Some(thread), service: Some(service), call, ..NewMessage::default() };
    context.state.add_message(chat, Author::Bot, new).map_err(|_| ApiError::bad("chat not found"))?;
    Ok(json!(true))
}

/// A topic's id is that of the message which says that it was made.
pub(super) fn create(context: &mut Context<'_>) -> Answer {
    let chat = forum(context)?;
    let name = name_of(context)?;
    let icon_color = context.params.int("icon_color").unwrap_or(7_322_096);
    let service = json!({"forum_topic_created": {"name": name, "icon_color": icon_color}});
    let new = NewMessage { service: Some(service), call: Some(context.call), ..NewMessage::default() };
    let id =
        context.state.add_message(chat, Author::Bot, new).map_err(|_| ApiError::bad("chat not found"))?;
    if let Some(chat) = context.state.chats.get_mut(&chat) {
        chat.topics.insert(id, Topic { id, name: name.clone(), closed: false });
        if let Some(message) = chat.messages.get_mut(&id) {
            message.thread = Some(id);
        }
    }
    Ok(json!({"message_thread_id": id, "name": name, "icon_color": icon_color}))
}

pub(super) fn edit(context: &mut Context<'_>) -> Answer {
    let name = context.params.get("name").is_some().then(|| name_of(context)).transpose()?;
    let (chat, topic) = topic(context)?;
    let thread = topic.id;
    match name {
        Some(name) if name == topic.name => return Err(ApiError::bad("TOPIC_NOT_MODIFIED")),
        Some(name) => topic.name = name,
        None => {}
    }
    let name = topic.name.clone();
    tell(context, chat, thread, json!({"forum_topic_edited": {"name": name}}))
}

fn set_closed(context: &mut Context<'_>, closed: bool) -> Answer {
    let (chat, topic) = topic(context)?;
    if topic.closed == closed {
        return Err(ApiError::bad("TOPIC_NOT_MODIFIED"));
    }
    topic.closed = closed;
    let thread = topic.id;
    let service =
        if closed { json!({"forum_topic_closed": {}}) } else { json!({"forum_topic_reopened": {}}) };
    tell(context, chat, thread, service)
}

pub(super) fn close(context: &mut Context<'_>) -> Answer {
    set_closed(context, true)
}

pub(super) fn reopen(context: &mut Context<'_>) -> Answer {
    set_closed(context, false)
}

/// Deletes a topic and what was said in it.
pub(super) fn delete(context: &mut Context<'_>) -> Answer {
    let (chat, topic) = topic(context)?;
    let thread = topic.id;
    context.state.delete_topic(chat, thread).map_err(|_| ApiError::bad("TOPIC_ID_INVALID"))?;
    Ok(json!(true))
}
