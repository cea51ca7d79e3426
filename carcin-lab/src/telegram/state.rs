//! The state of the lab and the few ways it changes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::config::LabConfig;
use super::error::LabError;
use super::fault::{Faults, Outage};
use super::files::{FileStore, StoredFile};
use super::flood::FloodControl;
use super::model::{
    Author, Call, Callback, Chat, ChatKind, ChatMessage, Content, Draft, DraftEnd, Keyboard, Outcome,
    Revision, User,
};
use super::origin::{Origin, Quote};
use super::updates::UpdateQueue;
use super::wire;

/// Calls kept; beyond, the oldest is dropped.
pub const MAX_CALLS: usize = 20_000;
/// Messages kept in a chat.
pub const MAX_MESSAGES: usize = 5_000;
/// States kept of a message, and frames of a draft.
pub const MAX_HISTORY: usize = 500;
/// Chat actions, drafts and callbacks kept.
pub const MAX_TRACES: usize = 2_000;
/// How long a draft is shown after its last frame.
pub const DRAFT_LIFE: Duration = Duration::from_secs(30);

/// Everything the lab knows. Tests look at it through [`super::TelegramLab::look`].
#[derive(Debug)]
pub struct LabState {
    /// The bot itself.
    pub bot: User,
    /// People by id.
    pub users: BTreeMap<i64, User>,
    /// Chats by id.
    pub chats: BTreeMap<i64, Chat>,
    /// Calls, oldest first.
    pub calls: VecDeque<Call>,
    /// Presses, oldest first.
    pub callbacks: VecDeque<Callback>,
    /// Commands by scope and language; the default ones under "default".
    pub commands: BTreeMap<String, Vec<Value>>,
    /// Updates that wait for the bot.
    pub updates: UpdateQueue,
    /// Calls that came during a wait the bot had been told.
    pub violations: u64,
    /// What happens to every call, while Telegram is away.
    pub outage: Option<Outage>,
    /// The line beside the phone.
    pub status: String,
    pub(super) config: LabConfig,
    pub(super) files: FileStore,
    pub(super) faults: Faults,
    pub(super) flood: FloodControl,
    /// Counts changes; what changed carries the number of its change.
    pub(super) version: u64,
    /// Counts releases of hung calls.
    pub(super) releases: u64,
    pub(super) calls_seen: u64,
    private_next_message: i64,
}

/// What a new message is made of.
#[derive(Debug, Default)]
pub(super) struct NewMessage {
    pub(super) thread: Option<i64>,
    pub(super) content: Content,
    pub(super) keyboard: Option<Keyboard>,
    pub(super) silent: bool,
    pub(super) reply_to: Option<i64>,
    pub(super) quote: Option<Quote>,
    pub(super) forwarded: Option<Origin>,
    pub(super) album: Option<String>,
    pub(super) service: Option<Value>,
    pub(super) call: Option<u64>,
}

impl LabState {
    pub(super) fn new(config: LabConfig) -> Self {
        let id = config.token.split(':').next().and_then(|id| id.parse().ok()).unwrap_or(4242);
        let bot = User {
            id,
            is_bot: true,
            first_name: config.bot_name.clone(),
            username: Some(config.bot_username.clone()),
            language_code: None,
        };
        let mut state = Self {
            bot,
            users: BTreeMap::new(),
            chats: BTreeMap::new(),
            calls: VecDeque::new(),
            callbacks: VecDeque::new(),
            commands: BTreeMap::new(),
            updates: UpdateQueue::new(config.limits.poll_throttle),
            violations: 0,
            outage: None,
            status: String::new(),
            files: FileStore::default(),
            faults: Faults::default(),
            flood: FloodControl::new(config.limits),
            version: 0,
            releases: 0,
            calls_seen: 0,
            private_next_message: 1,
            config,
        };
        for (id, name) in state.config.users.clone() {
            state.add_user(id, &name);
        }
        state
    }

    /// A chat, or the lab's error.
    pub fn chat(&self, id: i64) -> Result<&Chat, LabError> {
        self.chats.get(&id).ok_or(LabError::NoChat(id))
    }

    /// The messages of a chat that can be seen, oldest first; none where there is no such chat.
    pub fn visible(&self, chat: i64) -> impl DoubleEndedIterator<Item = &ChatMessage> {
        self.chats
            .get(&chat)
            .into_iter()
            .flat_map(|chat| chat.messages.values())
            .filter(|message| message.visible())
    }

    /// The draft now shown in a chat.
    pub fn draft(&self, chat: i64, thread: Option<i64>) -> Option<&Draft> {
        let draft = self.chats.get(&chat)?.drafts.iter().rev().find(|draft| draft.thread == thread)?;
        let fresh =
            draft.frames.back().is_some_and(|frame| frame.at.elapsed().unwrap_or_default() < DRAFT_LIFE);
        (draft.ended.is_none() && fresh).then_some(draft)
    }

    /// A stored file.
    pub fn file(&self, file_id: &str) -> Option<&StoredFile> {
        self.files.get(file_id)
    }

    /// The number of changes so far.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A chat as text, for the error of a wait that failed.
    pub fn transcript(&self, chat: i64) -> String {
        let Some(chat) = self.chats.get(&chat) else { return format!("(no chat {chat})\n") };
        let mut out = format!("chat {} ({:?}, {:?}):\n", chat.id, chat.title, chat.kind);
        for message in chat.messages.values() {
            let who = match message.author {
                Author::Bot => "bot".to_owned(),
                Author::User(id) => format!("user {id}"),
            };
            let marks = [
                (message.deleted, " deleted"),
                (message.silent, " silent"),
                (message.service.is_some(), " service"),
                (message.content.media.is_some(), " file"),
                (!message.history.is_empty(), " edited"),
            ];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            // Writing to a String cannot fail.
            let _ =
                writeln!(out, "  #{} {who}{marks}: {}", message.id, message.text().replace('\n', "\n      "));
            for row in message.keyboard.iter().flatten() {
                let row: Vec<&str> = row.iter().map(|button| button.text.as_str()).collect();
                let _ = writeln!(out, "      [{}]", row.join("] ["));
            }
        }
        out
    }

    pub(super) fn add_user(&mut self, id: i64, name: &str) {
        let user = User {
            id,
            is_bot: false,
            first_name: name.to_owned(),
            username: None,
            language_code: Some("en".into()),
        };
        self.users.insert(id, user);
        self.add_chat(id, ChatKind::Private, name);
    }

    pub(super) fn add_chat(&mut self, id: i64, kind: ChatKind, title: &str) {
        let chat = self.chats.entry(id).or_insert_with(|| Chat {
            id,
            kind,
            title: String::new(),
            topics: BTreeMap::new(),
            blocked: false,
            deleted: false,
            moved: None,
            messages: BTreeMap::new(),
            pinned: Vec::new(),
            actions: VecDeque::new(),
            drafts: VecDeque::new(),
            next_message: 1,
        });
        title.clone_into(&mut chat.title);
    }

    /// Adds a message and returns its id. Private chats share one series of ids, each group has its own, as in
    /// Telegram.
    pub(super) fn add_message(
        &mut self,
        chat_id: i64,
        author: Author,
        new: NewMessage,
    ) -> Result<i64, LabError> {
        let version = self.version;
        let chat = self.chats.get_mut(&chat_id).ok_or(LabError::NoChat(chat_id))?;
        let counter = match chat.kind {
            ChatKind::Private => &mut self.private_next_message,
            ChatKind::Group | ChatKind::Forum => &mut chat.next_message,
        };
        let id = *counter;
        *counter += 1;
        if author == Author::Bot {
            chat.end_drafts(new.thread, DraftEnd::Sent);
        }
        chat.messages.insert(
            id,
            ChatMessage {
                id,
                chat: chat_id,
                thread: new.thread,
                author,
                sent: SystemTime::now(),
                edited: None,
                content: new.content,
                keyboard: new.keyboard,
                history: VecDeque::new(),
                silent: new.silent,
                deleted: false,
                reply_to: new.reply_to,
                quote: new.quote,
                forwarded: new.forwarded,
                album: new.album,
                reaction: None,
                service: new.service,
                call: new.call,
                revision: version,
            },
        );
        if chat.messages.len() > MAX_MESSAGES {
            chat.messages.pop_first();
        }
        Ok(id)
    }

    /// Gives a message another content, keeping what it was.
    pub(super) fn revise(
        &mut self,
        chat: i64,
        id: i64,
        content: Content,
        keyboard: Option<Keyboard>,
        call: Option<u64>,
    ) {
        let version = self.version;
        let Some(message) = self.chats.get_mut(&chat).and_then(|chat| chat.messages.get_mut(&id)) else {
            return;
        };
        let now = SystemTime::now();
        let before = Revision {
            content: std::mem::replace(&mut message.content, content),
            keyboard: std::mem::replace(&mut message.keyboard, keyboard),
            at: message.edited.unwrap_or(message.sent),
            call: std::mem::replace(&mut message.call, call),
        };
        bounded_push(&mut message.history, before, MAX_HISTORY);
        message.edited = Some(now);
        message.revision = version;
    }

    /// Queues an update about a message.
    pub(super) fn announce(&mut self, kind: &str, chat: i64, id: i64) {
        if let Some(message) = self.chats.get(&chat).and_then(|chat| chat.messages.get(&id)) {
            let body = wire::message(self, message);
            self.updates.push(kind, body);
        }
    }

    pub(super) fn begin_call(&mut self, method: &str, params: Value, bytes: u64) -> u64 {
        self.calls_seen += 1;
        let call = Call {
            seq: self.calls_seen,
            method: method.to_owned(),
            params,
            at: SystemTime::now(),
            bytes,
            outcome: None,
        };
        bounded_push(&mut self.calls, call, MAX_CALLS);
        self.calls_seen
    }

    pub(super) fn end_call(&mut self, seq: u64, outcome: Outcome) {
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.seq == seq) {
            call.outcome = Some(outcome);
        }
    }

    pub(super) fn callback_mut(&mut self, id: &str) -> Option<&mut Callback> {
        self.callbacks.iter_mut().rev().find(|callback| callback.id == id)
    }

    /// What the clock says, for flood control.
    pub(super) fn now() -> Instant {
        Instant::now()
    }
}

impl Chat {
    /// Ends the drafts shown in a topic.
    pub(super) fn end_drafts(&mut self, thread: Option<i64>, why: DraftEnd) {
        for draft in self.drafts.iter_mut().filter(|draft| draft.thread == thread && draft.ended.is_none()) {
            draft.ended = Some(why);
        }
    }
}

/// Appends, dropping the oldest beyond `max`.
pub(super) fn bounded_push<T>(queue: &mut VecDeque<T>, item: T, max: usize) {
    if queue.len() >= max {
        queue.pop_front();
    }
    queue.push_back(item);
}
