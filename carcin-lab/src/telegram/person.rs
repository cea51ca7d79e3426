//! What people do: write, edit, press, send files, block.

use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use serde_json::{Value, json};

use super::detect;
use super::error::LabError;
use super::files::{mime_of, picture_size};
use super::methods::store;
use super::model::{
    Author, Callback, Chat, ChatKind, ChatMessage, Content, DraftEnd, Entity, MediaKind, Topic,
};
use super::origin::Quote;
use super::sent::{SentFile, Typed};
use super::state::{LabState, MAX_TRACES, NewMessage, bounded_push};
use super::text::{MAX_TEXT, utf16_len};
use super::wire;

impl LabState {
    fn present(&self, chat: i64, from: i64) -> Result<&Chat, LabError> {
        if !self.users.contains_key(&from) {
            return Err(LabError::NoUser(from));
        }
        self.chat(chat)
    }

    fn own_thread(&self, chat: i64, thread: Option<i64>) -> Result<(), LabError> {
        match thread {
            Some(thread) if !self.chat(chat)?.topics.contains_key(&thread) => {
                Err(LabError::NoTopic { chat, thread })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn type_text(&mut self, chat: i64, from: i64, typed: Typed) -> Result<i64, LabError> {
        self.present(chat, from)?;
        self.own_thread(chat, typed.thread)?;
        let quote = self.quote(chat, typed.reply_to, typed.quote.as_deref())?;
        let new = NewMessage {
            thread: typed.thread,
            content: typed_content(&typed.text, typed.entities)?,
            reply_to: typed.reply_to,
            quote,
            forwarded: typed.forwarded,
            ..NewMessage::default()
        };
        let id = self.add_message(chat, Author::User(from), new)?;
        self.announce("message", chat, id);
        Ok(id)
    }

    /// The part of a message that is answered, if only a part is; the message must be there.
    fn quote(&self, chat: i64, answered: Option<i64>, part: Option<&str>) -> Result<Option<Quote>, LabError> {
        let Some(message) = answered else { return Ok(None) };
        let answered = self.message(chat, message)?;
        let Some(part) = part else { return Ok(None) };
        let quote = Quote::of(&answered.content.text, &answered.content.entities, part);
        quote.map(Some).ok_or_else(|| LabError::NoQuote { chat, message, part: part.to_owned() })
    }

    /// Sends what is neither text nor file, as the fields that it makes in a message.
    pub(super) fn send_other(
        &mut self,
        chat: i64,
        from: i64,
        thread: Option<i64>,
        fields: Value,
    ) -> Result<i64, LabError> {
        self.present(chat, from)?;
        self.own_thread(chat, thread)?;
        let content = Content { other: Some(fields), ..Content::default() };
        let new = NewMessage { thread, content, ..NewMessage::default() };
        let id = self.add_message(chat, Author::User(from), new)?;
        self.announce("message", chat, id);
        Ok(id)
    }

    /// A chat is gone: the account, or the group, was deleted.
    pub(super) fn delete_chat(&mut self, chat: i64) -> Result<(), LabError> {
        self.chats.get_mut(&chat).ok_or(LabError::NoChat(chat))?.deleted = true;
        Ok(())
    }

    /// A group has become a supergroup, which is there already.
    pub(super) fn migrate(&mut self, chat: i64, target: i64) -> Result<(), LabError> {
        self.chat(target)?;
        self.chats.get_mut(&chat).ok_or(LabError::NoChat(chat))?.moved = Some(target);
        Ok(())
    }

    /// A topic is gone, with all that was said in it.
    pub(super) fn delete_topic(&mut self, chat: i64, thread: i64) -> Result<(), LabError> {
        let version = self.version;
        let found = self.chats.get_mut(&chat).ok_or(LabError::NoChat(chat))?;
        found.topics.remove(&thread).ok_or(LabError::NoTopic { chat, thread })?;
        for message in found.messages.values_mut().filter(|message| message.thread == Some(thread)) {
            message.deleted = true;
            message.revision = version;
        }
        Ok(())
    }

    /// Everything in a chat was said that much earlier.
    pub(super) fn age(&mut self, chat: i64, by: Duration) -> Result<(), LabError> {
        for message in self.chats.get_mut(&chat).ok_or(LabError::NoChat(chat))?.messages.values_mut() {
            message.sent = message.sent.checked_sub(by).unwrap_or(SystemTime::UNIX_EPOCH);
        }
        Ok(())
    }

    pub(super) fn retype(&mut self, chat: i64, from: i64, message: i64, text: &str) -> Result<(), LabError> {
        self.present(chat, from)?;
        let found = self.message(chat, message)?;
        if found.author != Author::User(from) {
            return Err(LabError::NotYours { chat, message, user: from });
        }
        let media = found.content.media.clone();
        let mut content = if media.is_some() && text.trim().is_empty() {
            Content::default()
        } else {
            typed_content(text, Vec::new())?
        };
        content.media = media;
        self.revise(chat, message, content, None, None);
        self.announce("edited_message", chat, message);
        Ok(())
    }

    /// Sends files: one message each, an album where there are several.
    pub(super) fn send_files(
        &mut self,
        chat: i64,
        from: i64,
        thread: Option<i64>,
        files: Vec<SentFile>,
    ) -> Result<Vec<i64>, LabError> {
        self.present(chat, from)?;
        self.own_thread(chat, thread)?;
        if let Some(empty) = files.iter().find(|file| file.bytes.is_empty()) {
            return Err(LabError::EmptyFile(empty.name.clone()));
        }
        for answered in files.iter().filter_map(|file| file.reply_to) {
            self.message(chat, answered)?;
        }
        let album = (files.len() > 1).then(|| uuid::Uuid::new_v4().as_u128().to_string());
        let mut ids = Vec::new();
        for file in files {
            // A client sends as a photo only what it can show.
            let shown = file.kind != MediaKind::Photo || picture_size(&file.bytes).is_some();
            let kind = if shown { file.kind } else { MediaKind::Document };
            let media = store(self, kind, &file.name, mime_of(&file.name), Bytes::from(file.bytes));
            let mut content = Content { text: file.caption.trim().to_owned(), ..Content::default() };
            detect::add(&content.text, &mut content.entities);
            content.media = Some(media);
            let new = NewMessage {
                thread,
                content,
                album: album.clone(),
                reply_to: file.reply_to,
                forwarded: file.forwarded,
                ..NewMessage::default()
            };
            ids.push(self.add_message(chat, Author::User(from), new)?);
        }
        for id in &ids {
            self.announce("message", chat, *id);
        }
        Ok(ids)
    }

    pub(super) fn press(
        &mut self,
        chat: i64,
        from: i64,
        message: i64,
        button: &str,
    ) -> Result<String, LabError> {
        self.present(chat, from)?;
        let found = self.message(chat, message)?;
        let fits = |data: &str, text: &str| data == button || text == button;
        let data = found
            .buttons()
            .filter_map(|one| Some((one.callback_data.as_deref()?, one.text.as_str())))
            .find(|(data, text)| fits(data, text))
            .map(|(data, _)| data.to_owned());
        let data = data.ok_or_else(|| LabError::NoButton {
            chat,
            message,
            wanted: button.to_owned(),
            has: found.buttons().map(|button| button.text.clone()).collect(),
        })?;
        Ok(self.call_back(chat, from, message, data))
    }

    /// A press with any data, also of a button that is gone: what an old client may still send.
    pub(super) fn call_back(&mut self, chat: i64, from: i64, message: i64, data: String) -> String {
        let id = (uuid::Uuid::new_v4().as_u128() >> 65).to_string();
        let callback = Callback {
            id: id.clone(),
            chat,
            message,
            from,
            data,
            at: SystemTime::now(),
            answer: None,
            revision: self.version,
        };
        let body = wire::callback(self, &callback);
        bounded_push(&mut self.callbacks, callback, MAX_TRACES);
        self.updates.push("callback_query", body);
        id
    }

    pub(super) fn stop_draft(&mut self, chat: i64, draft: i64) -> Result<(), LabError> {
        let found = self
            .chats
            .get_mut(&chat)
            .ok_or(LabError::NoChat(chat))?
            .drafts
            .iter_mut()
            .rev()
            .find(|one| one.id == draft && one.ended.is_none() && one.can_stop)
            .ok_or(LabError::NoDraft { chat, draft })?;
        found.can_stop = false;
        if !found.keep_on_stop {
            found.ended = Some(DraftEnd::Stopped);
        }
        let thread = found.thread;
        let mut body = json!({"chat": wire::chat(self.chat(chat)?), "draft_id": draft});
        if let Some(thread) = thread {
            body["message_thread_id"] = json!(thread);
        }
        self.updates.push("stopped_message_generation", body);
        Ok(())
    }

    /// A person blocks the bot or lets it in again; a group throws it out or takes it back.
    pub(super) fn set_blocked(&mut self, chat: i64, by: i64, blocked: bool) -> Result<(), LabError> {
        let from = self.users.get(&by).map(wire::user).ok_or(LabError::NoUser(by))?;
        let found = self.chats.get_mut(&chat).ok_or(LabError::NoChat(chat))?;
        if found.blocked == blocked {
            return Ok(());
        }
        found.blocked = blocked;
        let member = |blocked: bool| {
            json!({
                "user": wire::user(&self.bot),
                "status": if blocked { "kicked" } else { "member" },
            })
        };
        let (mut old, mut new) = (member(!blocked), member(blocked));
        for one in [&mut old, &mut new] {
            if one["status"] == "kicked" {
                one["until_date"] = json!(0);
            }
        }
        let body = json!({
            "chat": wire::chat(self.chat(chat)?),
            "from": from,
            "date": wire::unix(SystemTime::now()),
            "old_chat_member": old,
            "new_chat_member": new,
        });
        self.updates.push("my_chat_member", body);
        Ok(())
    }

    /// A topic which a person made.
    pub(super) fn add_topic(&mut self, chat: i64, by: i64, name: &str) -> Result<i64, LabError> {
        self.present(chat, by)?;
        let service: Value = json!({"forum_topic_created": {"name": name, "icon_color": 7_322_096}});
        let new = NewMessage { service: Some(service), ..NewMessage::default() };
        let id = self.add_message(chat, Author::User(by), new)?;
        if let Some(chat) = self.chats.get_mut(&chat) {
            chat.topics.insert(id, Topic { id, name: name.to_owned(), closed: false });
            if let Some(message) = chat.messages.get_mut(&id) {
                message.thread = Some(id);
            }
        }
        self.announce("message", chat, id);
        Ok(id)
    }

    /// A message which can be seen.
    pub(super) fn message(&self, chat: i64, message: i64) -> Result<&ChatMessage, LabError> {
        let found = self.chat(chat)?.messages.get(&message).filter(|found| found.visible());
        found.ok_or(LabError::NoMessage { chat, message })
    }

    /// A group; its id is negative.
    pub(super) fn add_group(&mut self, id: i64, title: &str, forum: bool) {
        self.add_chat(id, if forum { ChatKind::Forum } else { ChatKind::Group }, title);
    }
}

/// What a client sends of what was typed.
fn typed_content(text: &str, mut entities: Vec<Entity>) -> Result<Content, LabError> {
    let text = if entities.is_empty() { text.trim() } else { text };
    let length = utf16_len(text);
    if text.trim().is_empty() || length > MAX_TEXT {
        return Err(LabError::TextLength(length));
    }
    detect::add(text, &mut entities);
    Ok(Content { text: text.to_owned(), entities, ..Content::default() })
}
