//! The work on what came in: one task for each lane, so that a stuck prompt holds up no stop and no button.

mod ask;
mod button;
mod compose;
mod concurrent;
mod cut;
mod info;
mod inquiries;
mod looks;
mod ordered;
mod pick;
mod program;
mod prompt;
mod settings;
mod steer;
mod stop;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use carcin_proto::Millis;
use carcin_proto::client::Backoff;
use carcin_proto::request::{Refusal, RefusalCode};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::api::{Api, Me};
use crate::fatal::Fatal;
use crate::link::Daemon;
use crate::markdown::{self, MESSAGE_LIMIT, Text};
use crate::message::Message;
use crate::place::Place;
use crate::queue::{Lane, Priority, Signals};
use crate::store::bundle::{self, Next};
use crate::store::inbox::{self, End, Row};
use crate::store::{Store, StoreError, Transaction, now_ms, outbox};
use crate::update::{Gate, Update};

pub use program::Program;

/// Answers to buttons under way at once: a person's fingers make no more.
const TOASTS: usize = 16;

/// What the lanes work with.
#[derive(Debug)]
pub struct Desk {
    daemon: Daemon,
    store: Store,
    api: Api,
    gate: Gate,
    bot: i64,
    username: String,
    has_private_topics: bool,
    program: Program,
    toasts: Arc<Semaphore>,
    /// Held while a prompt that the daemon has is taken back and put elsewhere: by a button, or by an edit.
    moving: Mutex<()>,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handled {
    /// It is settled.
    Done,
    /// More of it may come: again after this time.
    Later(Duration),
    /// The daemon is away: again later.
    Away,
}

impl Desk {
    /// A desk for the bot with this id and name.
    pub fn new(
        daemon: Daemon,
        store: Store,
        api: Api,
        gate: Gate,
        (bot, me): (i64, Me),
        program: Program,
    ) -> Self {
        let Me { username, has_private_topics } = me;
        let toasts = Arc::new(Semaphore::new(TOASTS));
        let moving = Mutex::new(());
        Self { daemon, store, api, gate, bot, username, has_private_topics, program, toasts, moving }
    }

    async fn handle(&self, lane: Lane, row: &Row) -> Result<Handled, StoreError> {
        // The list of allowed users may be another since the row came in.
        let update = self.gate.admit(&row.raw);
        if let Some(Update::Message(message)) = &update {
            self.unless_command(row, message).await?;
        }
        match (lane, update) {
            (Lane::Stop, Some(Update::Message(message))) => self.stop(row, &message).await,
            (Lane::Info, Some(Update::Message(message))) => self.info(row, &message).await,
            (Lane::Button, Some(Update::Press(press))) => self.press(row, &press).await,
            _ => self.finish(row.id, End::Cancelled).await,
        }
    }

    async fn finish(&self, id: i64, end: End) -> Result<Handled, StoreError> {
        self.store.write(move |tx| inbox::finish(tx, id, end)).await?;
        Ok(Handled::Done)
    }

    /// Ends a row and tells the user, in one transaction.
    async fn reply(&self, id: i64, end: End, place: Place, text: Text) -> Result<Handled, StoreError> {
        self.store
            .write(move |tx| {
                inbox::finish(tx, id, end)?;
                control(tx, place, &text)
            })
            .await?;
        Ok(Handled::Done)
    }

    /// Ends the wait of a pressed button. Not durable: Telegram forgets the press within a minute.
    fn toast(&self, press: &str, text: &str) {
        let Ok(permit) = Arc::clone(&self.toasts).try_acquire_owned() else { return };
        let (api, press, text) = (self.api.clone(), press.to_owned(), text.to_owned());
        tokio::spawn(async move {
            if let Err(error) = api.answer_press(&press, &text).await {
                debug!("a button's wait was not ended: {error}");
            }
            drop(permit);
        });
    }
}

/// Sends an answer to what the user did just now, ahead of everything that waits. Of one that repeats what was typed, and is
/// too long for that, the beginning.
fn control(tx: &Transaction<'_>, place: Place, text: &Text) -> Result<(), StoreError> {
    let said = markdown::truncate(text, MESSAGE_LIMIT);
    outbox::send(tx, place, Priority::Control, &Message::silent(said))
}

/// What the daemon refused, in its own words. What to type in a terminal is of no use on a phone.
fn refused(refusal: &Refusal) -> Text {
    let hint = match &refusal.hint {
        Some(hint) if !hint.contains("carcin-ctl") => format!("\n{hint}"),
        _ if refusal.code == RefusalCode::NoSession => "\n/sessions lists them".to_owned(),
        _ => String::new(),
    };
    Text::plain(&format!("❌ {}{hint}", reason(refusal)))
}

/// Why the daemon refused. Its own name of a conversation says nothing on a phone.
fn reason(refusal: &Refusal) -> &str {
    match refusal.code {
        RefusalCode::SessionTaken => "another chat or topic has this session",
        RefusalCode::NoConversation => "nothing was done here yet",
        _ => &refusal.message,
    }
}

fn now() -> Millis {
    Millis(now_ms().cast_unsigned())
}

/// Works on a lane, in order, until it is cancelled. `up` tells when the daemon comes back.
pub async fn run(
    lane: Lane,
    desk: Arc<Desk>,
    signals: Arc<Signals>,
    mut up: watch::Receiver<bool>,
    cancel: CancellationToken,
) -> Result<(), Fatal> {
    if lane == Lane::Info {
        return concurrent::run(desk, signals, cancel).await;
    }
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        let wait = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            worked = work(lane, &desk) => match worked {
                Ok(Some(Handled::Done)) => {
                    backoff.reset();
                    if matches!(lane, Lane::Stop | Lane::Button) {
                        // Prompts sent after the stop have waited for it; what a button does may be among them.
                        signals.notify(Lane::Prompt);
                    }
                    continue;
                }
                Ok(None) => None,
                Ok(Some(Handled::Later(wait))) => Some(wait),
                Ok(Some(Handled::Away)) => Some(backoff.delay()),
                Err(error) => {
                    error!(lane = lane.name(), "{error}");
                    Some(backoff.delay())
                }
            },
        };
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = signals.work_in(lane) => {}
            () = async { tokio::time::sleep(wait.unwrap_or_default()).await }, if wait.is_some() => {}
            Ok(()) = up.changed() => {}
        }
    }
}

/// Works on the oldest row of a lane; `None`: there is none.
async fn work(lane: Lane, desk: &Desk) -> Result<Option<Handled>, StoreError> {
    if lane == Lane::Prompt {
        return match desk.store.read(|tx| bundle::next(tx, now_ms())).await? {
            Next::Nothing => Ok(None),
            Next::Later(wait) => Ok(Some(Handled::Later(wait))),
            Next::Ready(ready) => desk.prompt(&ready).await.map(Some),
        };
    }
    match desk.store.read(move |tx| inbox::next(tx, lane)).await? {
        None => Ok(None),
        Some(row) => desk.handle(lane, &row).await.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_a_phone_nothing_to_type_in_a_terminal() {
        let said = |code, hint: &str| refused(&Refusal::new(code, "no").hint(hint)).text;
        let terminal = "`carcin-ctl sessions` lists them";
        assert_eq!(said(RefusalCode::NoSession, terminal), "❌ no\n/sessions lists them");
        assert_eq!(said(RefusalCode::Full, terminal), "❌ no");
        let taken = Refusal::new(RefusalCode::SessionTaken, "the conversation tg:7 has this session");
        assert!(!reason(&taken).contains("tg:7"));
        assert_eq!(said(RefusalCode::AmbiguousSession, "give more of the id"), "❌ no\ngive more of the id");
    }
}
