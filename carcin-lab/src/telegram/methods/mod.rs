//! The methods of the Bot API.
//!
//! All but `getUpdates` run in one step on the state: a client that goes away in the middle changes nothing
//! about what was done.

mod edit;
mod info;
mod media;
mod poll;
mod send;
mod topics;

use serde_json::Value;

use super::error::ApiError;
use super::flood::Lane;
use super::model::{Chat, ChatKind};
use super::params::Params;
use super::state::LabState;

pub(super) use media::store;
pub(super) use poll::get_updates;

/// What a method works with.
pub(super) struct Context<'a> {
    pub(super) state: &'a mut LabState,
    pub(super) params: &'a Params,
    /// The call's number in the record.
    pub(super) call: u64,
}

type Answer = Result<Value, ApiError>;
type Run = fn(&mut Context<'_>) -> Answer;

/// What flood control charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charge {
    Nothing,
    Write,
    Draft,
    Album,
}

/// A method: its documented name, its charge, and what it does.
#[derive(Clone, Copy)]
pub(super) struct MethodEntry {
    pub(super) name: &'static str,
    charge: Charge,
    run: Run,
}

impl MethodEntry {
    /// Whether flood control charges nothing for it.
    pub(super) fn is_free(self) -> bool {
        self.charge == Charge::Nothing
    }
}

const fn free(name: &'static str, run: Run) -> MethodEntry {
    MethodEntry { name, charge: Charge::Nothing, run }
}

const fn write(name: &'static str, run: Run) -> MethodEntry {
    MethodEntry { name, charge: Charge::Write, run }
}

/// `getUpdates`, which waits, is not in the table.
pub(super) const GET_UPDATES: &str = "getUpdates";

const METHODS: &[MethodEntry] = &[
    free("getMe", info::get_me),
    free("setWebhook", poll::set_webhook),
    free("deleteWebhook", poll::delete_webhook),
    free("getWebhookInfo", poll::get_webhook_info),
    write("sendMessage", send::send_message),
    write("copyMessage", send::copy_message),
    write("forwardMessage", send::forward_message),
    MethodEntry { name: "sendMessageDraft", charge: Charge::Draft, run: send::send_message_draft },
    free("sendChatAction", send::send_chat_action),
    write("sendDocument", media::send_document),
    write("sendPhoto", media::send_photo),
    write("sendVideo", media::send_video),
    write("sendAudio", media::send_audio),
    write("sendVoice", media::send_voice),
    write("sendAnimation", media::send_animation),
    MethodEntry { name: "sendMediaGroup", charge: Charge::Album, run: media::send_media_group },
    free("getFile", media::get_file),
    write("editMessageText", edit::edit_text),
    write("editMessageCaption", edit::edit_caption),
    write("editMessageReplyMarkup", edit::edit_reply_markup),
    free("deleteMessage", edit::delete_message),
    free("deleteMessages", edit::delete_messages),
    free("pinChatMessage", edit::pin_message),
    free("unpinChatMessage", edit::unpin_message),
    free("setMessageReaction", edit::set_reaction),
    free("answerCallbackQuery", info::answer_callback_query),
    free("setMyCommands", info::set_my_commands),
    free("getMyCommands", info::get_my_commands),
    free("deleteMyCommands", info::delete_my_commands),
    free("getChat", info::get_chat),
    free("createForumTopic", topics::create),
    free("editForumTopic", topics::edit),
    free("closeForumTopic", topics::close),
    free("reopenForumTopic", topics::reopen),
    free("deleteForumTopic", topics::delete),
];

/// The method called `name` in any case.
pub(super) fn find(name: &str) -> Option<MethodEntry> {
    METHODS.iter().find(|method| method.name.eq_ignore_ascii_case(name)).copied()
}

/// Runs a method, after flood control let it through.
pub(super) fn run(method: MethodEntry, context: &mut Context<'_>) -> Answer {
    charge(method.charge, context)?;
    (method.run)(context)
}

fn charge(charge: Charge, context: &mut Context<'_>) -> Result<(), ApiError> {
    let Some(chat) = context.params.int("chat_id").and_then(|id| context.state.chats.get(&id)) else {
        return Ok(()); // the method itself says what is wrong with the chat
    };
    let (lane, cost) = match charge {
        Charge::Nothing => return Ok(()),
        Charge::Write => (lane_of(chat), 1),
        Charge::Draft => (Lane::Drafts(chat.id), 1),
        Charge::Album => (lane_of(chat), media::album_size(context.params)),
    };
    context.state.flood.take(lane, cost, LabState::now()).map_err(|flooded| {
        context.state.violations += u64::from(flooded.violation);
        ApiError::flood(flooded.retry_after)
    })
}

/// The lane of sends and edits in a chat.
pub(super) fn lane_of(chat: &Chat) -> Lane {
    match chat.kind {
        ChatKind::Private => Lane::Private(chat.id),
        ChatKind::Group | ChatKind::Forum => Lane::Group(chat.id),
    }
}

impl Context<'_> {
    /// The chat under `chat_id`, which has not thrown the bot out.
    fn chat(&self) -> Result<i64, ApiError> {
        self.chat_in("chat_id")
    }

    fn chat_in(&self, name: &str) -> Result<i64, ApiError> {
        if self.params.get(name).is_none() {
            return Err(ApiError::bad(format!("{name} is empty")));
        }
        let chat = self.params.int(name).and_then(|id| self.state.chats.get(&id));
        let chat = chat.ok_or_else(|| ApiError::bad("chat not found"))?;
        if let Some(target) = chat.moved {
            return Err(ApiError::moved(target));
        }
        if chat.deleted {
            return Err(match chat.kind {
                ChatKind::Private => ApiError::forbidden("user is deactivated"),
                ChatKind::Group | ChatKind::Forum => ApiError::bad("chat not found"),
            });
        }
        match (chat.blocked, chat.kind) {
            (false, _) => Ok(chat.id),
            (true, ChatKind::Private) => Err(ApiError::forbidden("bot was blocked by the user")),
            (true, _) => Err(ApiError::forbidden("bot was kicked from the supergroup chat")),
        }
    }

    /// `message_thread_id`, which must be an open topic of `chat`.
    fn thread(&self, chat: i64) -> Result<Option<i64>, ApiError> {
        let Some(id) = self.params.int("message_thread_id").filter(|id| *id != 0) else { return Ok(None) };
        match self.state.chats[&chat].topics.get(&id) {
            None => Err(ApiError::bad("message thread not found")),
            Some(topic) if topic.closed => Err(ApiError::bad("TOPIC_CLOSED")),
            Some(_) => Ok(Some(id)),
        }
    }

    /// The message as the answer to the call.
    fn message(&self, chat: i64, id: i64) -> Value {
        self.state.chats[&chat]
            .messages
            .get(&id)
            .map_or(Value::Null, |message| super::wire::message(self.state, message))
    }
}
