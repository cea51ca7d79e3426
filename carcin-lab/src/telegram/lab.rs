//! The lab as tests and the demo hold it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::net::TcpListener;

use super::config::{LabConfig, Limits};
use super::conn::{Cutter, CuttingListener};
use super::error::LabError;
use super::fault::{Fault, Outage};
use super::figures::Figures;
use super::files::StoredFile;
use super::hub::Hub;
use super::model::{Call, ChatMessage};
use super::sent::{self, SentFile, Typed};
use super::state::LabState;
use super::{control, wire};

/// A running lab.
///
/// Not `Clone`: dropping it ends the server, its long polls and its pages.
pub struct TelegramLab {
    hub: Arc<Hub>,
    address: SocketAddr,
}

impl Drop for TelegramLab {
    fn drop(&mut self) {
        self.hub.shutdown.cancel();
    }
}

impl TelegramLab {
    /// Starts a lab on 127.0.0.1; fails where the port is taken.
    pub async fn start(config: LabConfig) -> anyhow::Result<Self> {
        let port = config.port.unwrap_or(0);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
        let address = listener.local_addr()?;
        let hub = Arc::new(Hub::new(LabState::new(config)));
        let service = control::router(&hub).into_make_service_with_connect_info::<Cutter>();
        let shutdown = hub.shutdown.clone();
        tokio::spawn(async move {
            let server = axum::serve(CuttingListener(listener), service)
                .with_graceful_shutdown(shutdown.cancelled_owned());
            if let Err(error) = server.await {
                tracing::error!(%error, "the lab's server ended");
            }
        });
        Ok(Self { hub, address })
    }

    /// The Bot API's base URL, for `TELEGRAM_API_URL`.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The page's URL.
    pub fn page_url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The bot's token.
    pub fn token(&self) -> &str {
        &self.hub.token
    }

    // ---- who there is ----

    /// Makes a person, and the private chat of the same id.
    pub fn user(&self, id: i64, name: &str) -> i64 {
        self.hub.write(|state| state.add_user(id, name));
        id
    }

    /// Makes a group; `id` is negative in Telegram.
    pub fn group(&self, id: i64, title: &str) -> i64 {
        self.hub.write(|state| state.add_group(id, title, false));
        id
    }

    /// Makes a group with topics.
    pub fn forum(&self, id: i64, title: &str) -> i64 {
        self.hub.write(|state| state.add_group(id, title, true));
        id
    }

    /// Makes a topic, as a person would.
    pub fn topic(&self, chat: i64, by: i64, name: &str) -> Result<i64, LabError> {
        self.hub.write(|state| state.add_topic(chat, by, name))
    }

    /// Deletes a topic and what was said in it, as a person would: bots are not told.
    pub fn delete_topic(&self, chat: i64, thread: i64) -> Result<(), LabError> {
        self.hub.write(|state| state.delete_topic(chat, thread))
    }

    /// A group becomes the supergroup `target`, which is there already: its own id is of no use any longer.
    pub fn migrate(&self, chat: i64, target: i64) -> Result<(), LabError> {
        self.hub.write(|state| state.migrate(chat, target))
    }

    // ---- acting as a person ----

    /// Sends a text; returns the message's id.
    pub fn send_text(&self, chat: i64, from: i64, text: &str) -> Result<i64, LabError> {
        self.send(chat, from, Typed::new(text))
    }

    /// Sends a text with entities, into a topic, or as a reply.
    pub fn send(&self, chat: i64, from: i64, typed: Typed) -> Result<i64, LabError> {
        self.hub.write(|state| state.type_text(chat, from, typed))
    }

    /// Edits one's own message.
    pub fn edit_text(&self, chat: i64, from: i64, message: i64, text: &str) -> Result<(), LabError> {
        self.hub.write(|state| state.retype(chat, from, message, text))
    }

    /// Sends one file; returns the message's id.
    pub fn send_file(&self, chat: i64, from: i64, file: SentFile) -> Result<i64, LabError> {
        let ids = self.send_album(chat, from, None, vec![file])?;
        Ok(ids[0])
    }

    /// Sends files as one album (a single one as a message of its own).
    pub fn send_album(
        &self,
        chat: i64,
        from: i64,
        thread: Option<i64>,
        files: Vec<SentFile>,
    ) -> Result<Vec<i64>, LabError> {
        self.hub.write(|state| state.send_files(chat, from, thread, files))
    }

    /// Sends a place.
    pub fn send_location(
        &self,
        chat: i64,
        from: i64,
        latitude: f64,
        longitude: f64,
    ) -> Result<i64, LabError> {
        self.send_other(chat, from, None, sent::location(latitude, longitude))
    }

    /// Sends somebody's card.
    pub fn send_contact(&self, chat: i64, from: i64, name: &str, phone: &str) -> Result<i64, LabError> {
        self.send_other(chat, from, None, sent::contact(name, phone))
    }

    /// Sends what is neither text nor file (a venue, a poll, dice), as the fields that it makes in a message.
    pub fn send_other(
        &self,
        chat: i64,
        from: i64,
        thread: Option<i64>,
        fields: Value,
    ) -> Result<i64, LabError> {
        self.hub.write(|state| state.send_other(chat, from, thread, fields))
    }

    /// Presses the button which has this data or says this; returns the callback query's id.
    pub fn press(&self, chat: i64, from: i64, message: i64, button: &str) -> Result<String, LabError> {
        self.hub.write(|state| state.press(chat, from, message, button))
    }

    /// A press with any data by anyone, as an old or a forged client sends it.
    pub fn forge_press(&self, chat: i64, from: i64, message: i64, data: &str) -> String {
        self.hub.write(|state| state.call_back(chat, from, message, data.to_owned()))
    }

    /// Presses Stop on a draft.
    pub fn stop_draft(&self, chat: i64, draft: i64) -> Result<(), LabError> {
        self.hub.write(|state| state.stop_draft(chat, draft))
    }

    /// Blocks the bot (`my_chat_member`); sending there is then forbidden.
    pub fn block_bot(&self, chat: i64, by: i64) -> Result<(), LabError> {
        self.hub.write(|state| state.set_blocked(chat, by, true))
    }

    /// Lets the bot in again.
    pub fn unblock_bot(&self, chat: i64, by: i64) -> Result<(), LabError> {
        self.hub.write(|state| state.set_blocked(chat, by, false))
    }

    /// Queues any update, say of a kind that the bot cannot know.
    pub fn raw_update(&self, kind: &str, body: Value) {
        self.hub.write(|state| state.updates.push(kind, body));
    }

    /// Queues the update about a message once more, under a new update id: a redelivery.
    pub fn redeliver(&self, chat: i64, message: i64) -> Result<(), LabError> {
        self.hub.write(|state| {
            state.message(chat, message)?;
            state.announce("message", chat, message);
            Ok(())
        })
    }

    // ---- making trouble ----

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) {
        self.hub.write(|state| state.faults.add(fault));
    }

    /// Forgets all faults; calls that hang go on hanging until [`Self::release`].
    pub fn clear_faults(&self) {
        self.hub.write(|state| state.faults.clear());
    }

    /// Lets hung calls go on.
    pub fn release(&self) {
        self.hub.write(|state| state.releases += 1);
    }

    /// Takes the Bot API down (connections are closed, also waiting ones) or brings it up; the page stays.
    pub fn set_down(&self, down: bool) {
        self.set_outage(down.then_some(Outage::Refuse));
    }

    /// Takes the Bot API away in one of the ways there are, or brings it back; the page stays.
    pub fn set_outage(&self, outage: Option<Outage>) {
        self.hub.write(|state| state.outage = outage);
    }

    /// The account, or the group, is gone: sending there is refused for good.
    pub fn delete_chat(&self, chat: i64) -> Result<(), LabError> {
        self.hub.write(|state| state.delete_chat(chat))
    }

    /// Makes everything said in a chat so much older: after 48 hours nothing can be deleted.
    pub fn age(&self, chat: i64, by: Duration) -> Result<(), LabError> {
        self.hub.write(|state| state.age(chat, by))
    }

    /// Other flood limits from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.hub.write(|state| {
            state.flood.set_limits(limits);
            state.updates.set_throttle(limits.poll_throttle);
        });
    }

    /// Update ids go on elsewhere, as after a quiet week.
    pub fn restart_update_ids(&self) {
        self.hub.write(|state| state.updates.restart_ids());
    }

    /// Sets the line beside the phone.
    pub fn set_status(&self, status: &str) {
        self.hub.write(|state| status.clone_into(&mut state.status));
    }

    // ---- looking ----

    /// Looks at everything.
    pub fn look<T>(&self, look: impl FnOnce(&LabState) -> T) -> T {
        self.hub.read(look)
    }

    /// All messages of a chat, deleted ones too, oldest first; none where there is no such chat.
    pub fn messages(&self, chat: i64) -> Vec<ChatMessage> {
        self.look(|state| {
            state.chats.get(&chat).map(|chat| chat.messages.values().cloned().collect()).unwrap_or_default()
        })
    }

    /// All calls, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.look(|state| state.calls.iter().cloned().collect())
    }

    /// The number of the last call, for [`Self::figures`].
    pub fn mark(&self) -> u64 {
        self.look(|state| state.calls.back().map_or(0, |call| call.seq))
    }

    /// What the bot cost since a mark.
    pub fn figures(&self, chat: i64, since: u64) -> Figures {
        self.look(|state| state.figures(chat, since))
    }

    /// The calls of one method.
    pub fn calls_of(&self, method: &str) -> Vec<Call> {
        self.look(|state| {
            state.calls.iter().filter(|call| call.method.eq_ignore_ascii_case(method)).cloned().collect()
        })
    }

    /// A file by its id.
    pub fn file(&self, file_id: &str) -> Option<StoredFile> {
        self.look(|state| state.file(file_id).cloned())
    }

    /// Waits until `find` finds something, looking at each change. After `within`, fails with `what` was waited
    /// for, all chats as text and the last calls.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        find: impl FnMut(&LabState) -> Option<T>,
    ) -> anyhow::Result<T> {
        match tokio::time::timeout(within, self.hub.until(find)).await {
            Ok(found) => Ok(found),
            Err(_) => anyhow::bail!("waited {within:?} in vain for {what}\n{}", self.look(report)),
        }
    }

    /// Waits for a message of the bot whose text contains `text`, and which can be seen.
    pub async fn wait_for_text(
        &self,
        chat: i64,
        text: &str,
        within: Duration,
    ) -> anyhow::Result<ChatMessage> {
        self.wait_for(&format!("{text:?} from the bot in chat {chat}"), within, |state| {
            state.visible(chat).rfind(|message| message.from_bot() && message.text().contains(text)).cloned()
        })
        .await
    }
}

/// What helps to see why a wait failed.
fn report(state: &LabState) -> String {
    let mut out: String = state.chats.keys().map(|chat| state.transcript(*chat)).collect();
    out.push_str("last calls:\n");
    for call in state.calls.iter().rev().take(12).rev() {
        let outcome = match &call.outcome {
            None => "running".to_owned(),
            Some(super::model::Outcome::Answered { status, body, .. }) => {
                format!("{status} {}", body["description"].as_str().unwrap_or("ok"))
            }
            Some(other) => format!("{other:?}"),
        };
        let age = wire::unix(std::time::SystemTime::now()).saturating_sub(wire::unix(call.at));
        let params: String = call.params.to_string().chars().take(200).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  #{} {age} s ago {} {params} -> {outcome}", call.seq, call.method);
    }
    out
}
