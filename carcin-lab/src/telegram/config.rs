//! What a lab can be told before it starts.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Rates at which the lab lets a bot write; Telegram does not publish its own.
///
/// A bucket holds `burst` calls and refills at `per_second`. Edits count like sends, as they do at Telegram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many calls may come at once.
    pub burst: f64,
    /// How many calls a second are let through in the long run.
    pub per_second: f64,
}

/// Flood control and the other slowing-down that the real server does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Sends and edits in one private chat; `None` is no limit.
    pub private_chat: Option<Rate>,
    /// Sends and edits in one group.
    pub group: Option<Rate>,
    /// Sends and edits of the bot altogether.
    pub global: Option<Rate>,
    /// `sendMessageDraft` in one chat.
    pub drafts: Option<Rate>,
    /// Whether `getUpdates` slows a client that repeats itself: the same offset within 3 s waits 3 s, within
    /// 0.5 s of the last answer gets one update only, and a 409 within 3 s of another is held back 3 s.
    pub poll_throttle: bool,
}

impl Limits {
    /// No limit at all.
    pub const OFF: Self =
        Self { private_chat: None, group: None, global: None, drafts: None, poll_throttle: false };

    /// What is known of Telegram: one message a second in a chat with short bursts, 20 a minute in a group, 30
    /// a second overall, a draft a second (the quarter is for a call that was a little faster than the one before).
    pub const TELEGRAM: Self = Self {
        private_chat: Some(Rate { burst: 5.0, per_second: 1.0 }),
        group: Some(Rate { burst: 20.0, per_second: 20.0 / 60.0 }),
        global: Some(Rate { burst: 30.0, per_second: 30.0 }),
        drafts: Some(Rate { burst: 1.25, per_second: 1.0 }),
        poll_throttle: true,
    };

    /// For tests about something else: only a bot gone wild meets these.
    pub const GENEROUS: Self = Self {
        private_chat: Some(Rate { burst: 300.0, per_second: 50.0 }),
        group: Some(Rate { burst: 300.0, per_second: 50.0 }),
        global: Some(Rate { burst: 1000.0, per_second: 200.0 }),
        drafts: Some(Rate { burst: 300.0, per_second: 50.0 }),
        poll_throttle: false,
    };
}

/// What an action of the page does; its text is shown to the person who pressed it.
pub type ActionFuture = Pin<Box<dyn Future<Output = anyhow::Result<String>> + Send>>;

/// A button beside the phone, for what a person cannot do in Telegram itself (say, restart the bot).
#[derive(Clone)]
pub struct PageAction {
    /// Stable name: `#actions button[data-action=ID]`.
    pub id: String,
    /// What the button says.
    pub label: String,
    pub(super) handler: Arc<dyn Fn() -> ActionFuture + Send + Sync>,
}

impl PageAction {
    /// An action which runs `handler` at each press.
    pub fn new<F, Fut>(id: impl Into<String>, label: impl Into<String>, handler: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<String>> + Send + 'static,
    {
        Self { id: id.into(), label: label.into(), handler: Arc::new(move || Box::pin(handler())) }
    }
}

impl fmt::Debug for PageAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageAction").field("id", &self.id).field("label", &self.label).finish_non_exhaustive()
    }
}

/// How a lab is set up.
#[derive(Debug, Clone)]
pub struct LabConfig {
    /// The bot's token; the number before the colon is the bot's id.
    pub token: String,
    /// The bot's `@name`, without the `@`.
    pub bot_username: String,
    /// The bot's name as shown in the chat's header.
    pub bot_name: String,
    /// Flood control; generous by default.
    pub limits: Limits,
    /// Port on 127.0.0.1; `None` takes a free one.
    pub port: Option<u16>,
    /// Set, the server is one of the bot's own (`--local`): files of up to 2000 MB both ways, and `getFile` gives the
    /// absolute path of a file in this folder, which nobody serves over HTTP.
    pub local_files: Option<PathBuf>,
    /// Whether private chats have topics (`getMe.has_topics_enabled`).
    pub private_topics: bool,
    /// For how long a callback query can be answered.
    pub callback_lifetime: Duration,
    /// People who exist from the start, as (user id, first name). The page plays the first.
    pub users: Vec<(i64, String)>,
    /// Buttons beside the phone.
    pub actions: Vec<PageAction>,
}

impl Default for LabConfig {
    fn default() -> Self {
        Self {
            token: "4242:carcin-lab-token-0123456789-abcdefghij".into(),
            bot_username: "carcin_lab_bot".into(),
            bot_name: "Carcin".into(),
            limits: Limits::GENEROUS,
            port: None,
            local_files: None,
            private_topics: false,
            callback_lifetime: Duration::from_mins(1),
            users: Vec::new(),
            actions: Vec::new(),
        }
    }
}
