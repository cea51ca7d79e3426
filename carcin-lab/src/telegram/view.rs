//! The state as the page shows it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::hub::Hub;
use super::model::{Author, Call, Callback, Chat, ChatMessage, Draft, Outcome};
use super::origin::Origin;
use super::state::{DRAFT_LIFE, LabState};

/// How long a chat action shows.
const ACTION_LIFE: Duration = Duration::from_secs(5);

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `page` with the lab's clock, so that the page can tell what has run out whatever its own clock says.
pub(super) fn stamped(page: &Value) -> Value {
    let mut stamped = page.clone();
    stamped["now"] = json!(millis(SystemTime::now()));
    stamped
}

/// The page of one chat: everything small as it is, of messages and presses what changed after `since`.
pub(super) fn page(state: &LabState, hub: &Hub, chat: i64, since: u64) -> Value {
    let shown = state.chats.get(&chat);
    let messages = shown.into_iter().flat_map(|chat| chat.messages.values());
    let callbacks = state.callbacks.iter().filter(|one| one.chat == chat && one.revision > since);
    json!({
        "run": hub.run,
        "full": since == 0,
        "bot": state.bot,
        "users": state.users.values().collect::<Vec<_>>(),
        "chats": state.chats.values().map(summary).collect::<Vec<_>>(),
        "chat": chat,
        "commands": commands(state, chat),
        "status": state.status,
        "topics": state.config.private_topics && chat > 0,
        "down": state.outage.is_some(),
        "actions": hub.actions.iter().map(|one| json!({"id": one.id, "label": one.label})).collect::<Vec<_>>(),
        "doing": shown.and_then(doing),
        "drafts": shown.map(drafts),
        "messages": messages.filter(|one| since == 0 || one.revision > since).map(message).collect::<Vec<_>>(),
        "callbacks": if since == 0 { Vec::new() } else { callbacks.map(callback).collect() },
    })
}

fn summary(chat: &Chat) -> Value {
    json!({
        "id": chat.id,
        "kind": chat.kind,
        "title": chat.title,
        "topics": chat.topics.values().collect::<Vec<_>>(),
        "pinned": chat.pinned,
        "blocked": chat.blocked || chat.deleted,
    })
}

/// The commands that a client offers in a chat: the narrowest scope that has any.
fn commands(state: &LabState, chat: i64) -> Value {
    let kind = if chat > 0 { "all_private_chats" } else { "all_group_chats" };
    let scopes = [format!("chat:{chat}"), kind.to_owned(), "default".to_owned()];
    let found = scopes.iter().find_map(|scope| state.commands.get(scope));
    json!(found.cloned().unwrap_or_default())
}

/// What the bot does now: its last action, unless it ran out or a message came after it.
fn doing(chat: &Chat) -> Option<Value> {
    let trace = chat.actions.back()?;
    let answered =
        chat.messages.values().rev().find(|one| one.from_bot()).is_some_and(|one| one.sent >= trace.at);
    let over = answered || trace.action == "cancel" || trace.at.elapsed().unwrap_or_default() > ACTION_LIFE;
    (!over).then(
        || json!({"action": trace.action, "thread": trace.thread, "until": millis(trace.at + ACTION_LIFE)}),
    )
}

fn drafts(chat: &Chat) -> Vec<Value> {
    let shown = |draft: &&Draft| draft.ended.is_none();
    let show = |draft: &Draft| {
        let frame = draft.frames.back()?;
        Some(json!({
            "id": draft.id,
            "thread": draft.thread,
            "text": frame.content.text,
            "entities": frame.content.entities,
            "can_stop": draft.can_stop,
            "until": millis(frame.at + DRAFT_LIFE),
        }))
    };
    chat.drafts.iter().filter(shown).filter_map(show).collect()
}

fn message(message: &ChatMessage) -> Value {
    if message.deleted {
        return json!({"id": message.id, "deleted": true});
    }
    let from = match message.author {
        Author::Bot => Value::Null,
        Author::User(id) => json!(id),
    };
    json!({
        "id": message.id,
        "from": from,
        "thread": message.thread,
        "at": millis(message.sent),
        "edited": message.edited.is_some(),
        "text": message.content.text,
        "entities": message.content.entities,
        "media": message.content.media,
        "keyboard": message.keyboard,
        "silent": message.silent,
        "other": message.content.other,
        "reply_to": message.reply_to,
        "quote": message.quote.as_ref().map(|quote| &quote.text),
        "forwarded": message.forwarded.as_ref().map(Origin::name),
        "album": message.album,
        "reaction": message.reaction,
        "service": message.service,
    })
}

fn callback(callback: &Callback) -> Value {
    json!({"id": callback.id, "message": callback.message, "data": callback.data, "answer": callback.answer})
}

/// A call, for `/lab/calls`.
pub(super) fn call(call: &Call) -> Value {
    let outcome = match &call.outcome {
        None => json!({"state": "running"}),
        Some(Outcome::Answered { status, body, processed }) => {
            json!({"state": "answered", "status": status, "body": body, "processed": processed})
        }
        Some(Outcome::Closed { processed }) => json!({"state": "closed", "processed": processed}),
        Some(Outcome::Abandoned) => json!({"state": "abandoned"}),
    };
    json!({
        "seq": call.seq,
        "method": call.method,
        "params": call.params,
        "at": millis(call.at),
        "bytes": call.bytes,
        "outcome": outcome,
    })
}
