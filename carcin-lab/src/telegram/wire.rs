//! The lab's things as the Bot API's JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::files::{StoredFile, picture_size};
use super::model::{
    Author, Callback, Chat, ChatKind, ChatMessage, Keyboard, Media, MediaKind, Preview, User,
};
use super::state::LabState;

/// Seconds since 1970.
pub(super) fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

pub(super) fn user(user: &User) -> Value {
    serde_json::to_value(user).expect("a user is plain data")
}

/// `getMe`'s answer.
pub(super) fn me(state: &LabState) -> Value {
    let mut me = user(&state.bot);
    me["can_join_groups"] = json!(true);
    me["can_read_all_group_messages"] = json!(true);
    me["supports_inline_queries"] = json!(false);
    me["can_connect_to_business"] = json!(false);
    me["has_main_web_app"] = json!(false);
    me["has_topics_enabled"] = json!(state.config.private_topics);
    me["allows_users_to_create_topics"] = json!(state.config.private_topics);
    me
}

pub(super) fn chat(chat: &Chat) -> Value {
    match chat.kind {
        ChatKind::Private => json!({"id": chat.id, "type": "private", "first_name": chat.title}),
        ChatKind::Group => json!({"id": chat.id, "type": "supergroup", "title": chat.title}),
        ChatKind::Forum => {
            json!({"id": chat.id, "type": "supergroup", "title": chat.title, "is_forum": true})
        }
    }
}

fn author(state: &LabState, author: Author) -> Value {
    match author {
        Author::Bot => user(&state.bot),
        Author::User(id) => state.users.get(&id).map_or(Value::Null, user),
    }
}

pub(super) fn keyboard(keyboard: &Keyboard) -> Value {
    json!({"inline_keyboard": keyboard})
}

/// A `Message`, with the one it answers. What is said in a topic and answers nothing else answers the message which
/// says that the topic was made: so Telegram has it, and who shows what is answered must know.
pub(super) fn message(state: &LabState, message: &ChatMessage) -> Value {
    let mut out = bare_message(state, message);
    let answered = message
        .reply_to
        .or(message.thread.filter(|thread| *thread != message.id))
        .and_then(|id| state.chats.get(&message.chat)?.messages.get(&id))
        .filter(|answered| answered.visible());
    if let Some(answered) = answered {
        out["reply_to_message"] = bare_message(state, answered);
        if let Some(quote) = &message.quote {
            out["quote"] = quote.wire();
        }
    }
    out
}

fn bare_message(state: &LabState, message: &ChatMessage) -> Value {
    let mut out = json!({
        "message_id": message.id,
        "from": author(state, message.author),
        "chat": state.chats.get(&message.chat).map(chat),
        "date": unix(message.sent),
    });
    if let Some(edited) = message.edited {
        out["edit_date"] = json!(unix(edited));
    }
    if let Some(thread) = message.thread {
        out["message_thread_id"] = json!(thread);
        out["is_topic_message"] = json!(true);
    }
    if let Some(album) = &message.album {
        out["media_group_id"] = json!(album);
    }
    if let Some(origin) = &message.forwarded {
        out["forward_origin"] = origin.wire(unix(message.sent));
    }
    if let Some(Value::Object(service)) = &message.service {
        for (name, value) in service {
            out[name] = value.clone();
        }
        return out;
    }
    if let Some(buttons) = &message.keyboard {
        out["reply_markup"] = keyboard(buttons);
    }
    if let Some(Value::Object(other)) = &message.content.other {
        for (name, value) in other {
            out[name] = value.clone();
        }
        return out;
    }
    let (text, entities) = match &message.content.media {
        None => ("text", "entities"),
        Some(file) => {
            add_media(state, file, &mut out);
            ("caption", "caption_entities")
        }
    };
    if !message.content.text.is_empty() || message.content.media.is_none() {
        out[text] = json!(message.content.text);
        if !message.content.entities.is_empty() {
            out[entities] = json!(message.content.entities);
        }
    }
    out
}

fn add_media(state: &LabState, media: &Media, out: &mut Value) {
    let mut file = described(state, &media.file_id);
    let (width, height) = picture_of(state, media).unwrap_or((320, 240));
    match media.kind {
        MediaKind::Photo => {
            let preview = |preview: &Preview| {
                let mut small = described(state, &preview.file_id);
                small["width"] = json!(preview.width);
                small["height"] = json!(preview.height);
                small
            };
            file["width"] = json!(width);
            file["height"] = json!(height);
            let mut sizes: Vec<Value> = media.previews.iter().map(preview).collect();
            sizes.push(file);
            out["photo"] = Value::Array(sizes);
            return;
        }
        MediaKind::Sticker => {
            let ending = media.file_name.rsplit('.').next().unwrap_or_default();
            file["type"] = json!("regular");
            file["width"] = json!(512);
            file["height"] = json!(512);
            file["is_animated"] = json!(ending == "tgs");
            file["is_video"] = json!(ending == "webm");
            file["emoji"] = json!("🦀");
            file["set_name"] = json!("lab_stickers");
        }
        MediaKind::VideoNote => {
            file["length"] = json!(240);
            file["duration"] = json!(1);
        }
        MediaKind::Document
        | MediaKind::Video
        | MediaKind::Audio
        | MediaKind::Voice
        | MediaKind::Animation => {
            file["mime_type"] = json!(media.mime);
            if media.kind != MediaKind::Voice {
                file["file_name"] = json!(media.file_name);
            }
            if media.kind != MediaKind::Document {
                file["duration"] = json!(1);
            }
            if matches!(media.kind, MediaKind::Video | MediaKind::Animation) {
                file["width"] = json!(width);
                file["height"] = json!(height);
            }
            if media.kind == MediaKind::Animation {
                // Telegram sends an animation as a document too, for old clients.
                out["document"] = file.clone();
            }
        }
    }
    out[media.kind.field()] = file;
}

fn picture_of(state: &LabState, media: &Media) -> Option<(u32, u32)> {
    picture_size(&state.files.get(&media.file_id)?.bytes)
}

/// What every kind of file says of itself.
fn described(state: &LabState, id: &str) -> Value {
    let stored = state.files.get(id);
    json!({
        "file_id": id,
        "file_unique_id": stored.map_or("LABgone", |file| file.unique_id.as_str()),
        "file_size": stored.map_or(0, |file| file.bytes.len()),
    })
}

/// A `CallbackQuery`.
pub(super) fn callback(state: &LabState, callback: &Callback) -> Value {
    let pressed = state.chats.get(&callback.chat).and_then(|chat| chat.messages.get(&callback.message));
    json!({
        "id": callback.id,
        "from": state.users.get(&callback.from).map(user),
        "message": pressed.map(|pressed| message(state, pressed)),
        "chat_instance": format!("{}", callback.chat.unsigned_abs().wrapping_mul(0x9E37_79B9)),
        "data": callback.data,
    })
}

/// A `File`, as `getFile` answers; `path` is where its content is.
pub(super) fn file(file: &StoredFile, path: &str) -> Value {
    json!({
        "file_id": file.id,
        "file_unique_id": file.unique_id,
        "file_size": file.bytes.len(),
        "file_path": path,
    })
}
