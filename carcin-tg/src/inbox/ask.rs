//! Answers to what Claude asks: by buttons, and in words.

use carcin_proto::event::Ask;
use carcin_proto::request::{Answer, Decision, Refusal, RefusalCode};
use carcin_proto::{Reply, Request};

use super::compose::Letter;
use super::{Desk, Handled, control, reason, refused};
use crate::commands::{self, Command};
use crate::link::{AskError, asks};
use crate::markdown::Text;
use crate::place::Place;
use crate::store::bundle;
use crate::store::inbox::{self, End, Row};
use crate::store::requests::Asked;
use crate::store::{Reader, StoreError, Transaction, awaiting, facts, requests, topics};
use crate::update::{Content, Gate, Message, Press, Sender, Update};
use crate::view::ask::{self, Step, Writer};

use super::button::STALE;

/// What a press or a message leads to.
enum Acted {
    /// It is no answer.
    Nothing,
    /// All of it is done; this is to be said.
    Done(String),
    /// It has no effect; why.
    Stale(String),
    /// The daemon is to be told.
    Decided(Box<Asked>, Decision),
}

impl Desk {
    /// A press on a button of a question.
    pub(super) async fn press_answer(
        &self,
        row: &Row,
        press: &Press,
        nonce: &str,
        argument: &str,
    ) -> Result<Handled, StoreError> {
        let (id, place, by) = (row.id, press.place, writer(&press.from));
        let (nonce, argument) = (nonce.to_owned(), argument.to_owned());
        // Where the message only moves on, that and the end of the press are one: a second press finds it moved.
        let acted = self.store.write(move |tx| pressed(tx, id, place, &by, &nonce, &argument)).await?;
        let (asked, decision) = match acted {
            Acted::Decided(asked, decision) => (asked, decision),
            Acted::Stale(why) => return self.stale(row, press, &why).await,
            Acted::Done(said) => {
                self.toast(&press.id, &said);
                return Ok(Handled::Done);
            }
            Acted::Nothing => return self.stale(row, press, STALE).await,
        };
        let answer = Answer { request: asked.request.clone(), decision, by: press.from.name.clone() };
        match self.daemon.ask(&Request::Answer(answer)).await {
            Ok(Reply::Answered(settlement)) => {
                // The message itself changes with the event.
                self.toast(&press.id, &ask::outcome(&asked.ask, &settlement, &press.from.name));
                self.finish(row.id, End::Accepted).await
            }
            Ok(_) => {
                self.toast(&press.id, "");
                self.finish(row.id, End::Accepted).await
            }
            Err(AskError::Refused(refusal)) => {
                self.toast(&press.id, reason(&refusal));
                let close = move |tx: &Transaction<'_>| {
                    inbox::finish(tx, id, End::Refused)?;
                    forgotten(tx, &asked.nonce, &refusal)
                };
                self.store.write(close).await?;
                Ok(Handled::Done)
            }
            Err(AskError::Away { why, .. }) => self.keep(row, press, &why).await,
        }
    }

    /// A message that answers a question: a reply to it, or the next one of somebody who was about to write the
    /// answer. It is no command. `None`: it is no answer any longer.
    pub(super) async fn written_answer(
        &self,
        row: &Row,
        message: &Message,
    ) -> Result<Option<Handled>, StoreError> {
        let (id, place) = (row.id, message.place);
        let (letter, gate, username) = (message.clone(), self.gate.clone(), self.username.clone());
        let read = self.store.write(move |tx| written(tx, id, &letter, &gate, &username));
        let (asked, decision) = match read.await? {
            Acted::Nothing => return Ok(None),
            Acted::Done(_) => return Ok(Some(Handled::Done)),
            Acted::Stale(why) => {
                return self.reply(id, End::Refused, place, Text::plain(&why)).await.map(Some);
            }
            Acted::Decided(asked, decision) => (asked, decision),
        };
        let answer = Answer { request: asked.request.clone(), decision, by: message.from.name.clone() };
        let handled = match self.daemon.ask(&Request::Answer(answer)).await {
            Ok(_) => {
                let accepted = move |tx: &Transaction<'_>| {
                    inbox::accept(tx, id)?;
                    facts::end_outage(tx)
                };
                self.store.write(accepted).await?;
                Handled::Done
            }
            Err(AskError::Refused(refusal)) => {
                // What was submitted before a crash may be the very answer that won.
                let tell = !row.submitted;
                let close = move |tx: &Transaction<'_>| {
                    inbox::finish(tx, id, End::Refused)?;
                    forgotten(tx, &asked.nonce, &refusal)?;
                    if tell { control(tx, place, &refused(&refusal)) } else { Ok(()) }
                };
                self.store.write(close).await?;
                Handled::Done
            }
            Err(AskError::Away { why, maybe_done }) => self.wait(id, place, why, maybe_done).await?,
        };
        Ok(Some(handled))
    }

    /// Nobody is about to write the answer to this question any longer.
    pub(super) async fn stop_writing(&self, nonce: String) -> Result<Handled, StoreError> {
        self.store.write(move |tx| stop_writing(tx, &nonce)).await?;
        Ok(Handled::Done)
    }

    /// A command is no answer, and nobody who sends one is about to write one.
    pub(super) async fn unless_command(&self, row: &Row, message: &Message) -> Result<(), StoreError> {
        let Content::Text(text) = &message.content else { return Ok(()) };
        if !is_command(text, &self.username) {
            return Ok(());
        }
        let (id, place, user) = (row.id, message.place, message.from.id);
        let waits = self.store.read(move |tx| awaiting::of(tx, place, user)).await?;
        if waits.is_none_or(|awaited| awaited.since > id) {
            return Ok(());
        }
        let cancel = move |tx: &Transaction<'_>| {
            let Some(awaited) = awaiting::of(tx, place, user)?.filter(|awaited| awaited.since < id) else {
                return Ok(());
            };
            // What was written before the command, and waits for its turn, is still the answer.
            if awaiting::open_between(tx, place.chat, awaited.since, id)? {
                return Ok(());
            }
            stop_writing(tx, &awaited.nonce)
        };
        self.store.write(cancel).await
    }
}

fn writer(from: &Sender) -> Writer {
    Writer { id: from.id, name: from.name.clone() }
}

fn is_command(text: &str, username: &str) -> bool {
    commands::parse(text, username).is_some_and(|command| command != Command::Foreign)
}

fn settled_already(outcome: &str) -> String {
    format!("Settled already. {outcome}")
}

fn pressed(
    tx: &Transaction<'_>,
    row: i64,
    place: Place,
    by: &Writer,
    nonce: &str,
    argument: &str,
) -> Result<Acted, StoreError> {
    let Some(asked) = requests::by_nonce(tx, nonce)? else { return Ok(Acted::Nothing) };
    if let Some(outcome) = &asked.outcome {
        return Ok(Acted::Stale(settled_already(outcome)));
    }
    // The button shows where it was pressed; only there does it count.
    let is_here = match Place::of(&asked.conversation) {
        Some(home) => topics::is_answered(tx, home, place)?,
        None => false,
    };
    if !is_here {
        return Ok(Acted::Nothing);
    }
    match ask::press(&asked.ask, &asked.draft, by, argument) {
        None => Ok(Acted::Nothing),
        Some(Step::Stay(why)) => Ok(Acted::Stale(why)),
        Some(Step::Decide(decision)) => Ok(Acted::Decided(Box::new(asked), decision)),
        Some(Step::Go(draft)) => {
            asks::go(tx, &asked, &draft, row)?;
            inbox::finish(tx, row, End::Accepted)?;
            let said = if draft.writer.is_some() { "Write your answer as the next message" } else { "" };
            Ok(Acted::Done(said.to_owned()))
        }
    }
}

fn written(
    tx: &Transaction<'_>,
    row: i64,
    message: &Message,
    gate: &Gate,
    username: &str,
) -> Result<Acted, StoreError> {
    let Some(text) = said(tx, row, message)? else { return Ok(Acted::Nothing) };
    let claimed = awaiting::claimed(tx, row)?;
    let before = match &claimed {
        // It may have reached the daemon before a crash: whatever became of that, it is no prompt.
        Some(nonce) => requests::by_nonce(tx, nonce)?,
        None => match found(tx, row, message, gate, username)? {
            Found::Open(asked) => Some(*asked),
            Found::Lapsed(nonce) => {
                stop_writing(tx, &nonce)?;
                None
            }
            Found::Nothing => None,
        },
    };
    let Some(asked) = before else {
        if claimed.is_some() {
            inbox::finish(tx, row, End::Accepted)?;
            return Ok(Acted::Done(String::new()));
        }
        // An answer that is changed afterwards is no prompt either.
        let changed = message.edited != 0
            && awaiting::claimed_by_message(tx, message.place.chat, message.message)?.is_some();
        return Ok(if changed {
            Acted::Stale("ℹ️ That message was an answer, and was given as it was.".to_owned())
        } else {
            Acted::Nothing
        });
    };
    awaiting::claim(tx, row, &asked.nonce)?;
    if asked.outcome.is_some() {
        // Its message says who answered what.
        inbox::finish(tx, row, End::Accepted)?;
        return Ok(Acted::Done(String::new()));
    }
    let text = if matches!(asked.ask, Ask::Elicitation(_)) { text.words } else { text.whole };
    match ask::reply(&asked.ask, &asked.draft, &writer(&message.from), &text) {
        Step::Stay(why) => Ok(Acted::Stale(format!("⚠️ {why}"))),
        Step::Go(draft) => {
            asks::go(tx, &asked, &draft, row)?;
            inbox::finish(tx, row, End::Accepted)?;
            Ok(Acted::Done(String::new()))
        }
        Step::Decide(decision) => {
            if !inbox::submit(tx, row)? {
                return Ok(Acted::Done(String::new()));
            }
            // What comes next is no answer any longer.
            stop_writing(tx, &asked.nonce)?;
            Ok(Acted::Decided(Box::new(asked), decision))
        }
    }
}

/// What a message says that may be an answer.
struct Said {
    /// Its words alone, for a form.
    words: String,
    /// With where its file is, for Claude.
    whole: String,
}

/// The words of a text, under a file, or in a recording; `None`: it has none.
fn said(tx: &Reader<'_>, row: i64, message: &Message) -> Result<Option<Said>, StoreError> {
    if let Content::Text(text) = &message.content {
        return Ok(Some(Said { words: text.clone(), whole: text.clone() }));
    }
    let Content::File(file) = &message.content else { return Ok(None) };
    let part = bundle::messages(tx, &[row])?.pop().and_then(|(_, part)| part).unwrap_or_default();
    let heard = part.words.clone().unwrap_or_default();
    let words = [file.caption.trim(), heard.trim()].into_iter().filter(|words| !words.is_empty());
    let words = words.collect::<Vec<_>>().join("\n\n");
    if words.is_empty() {
        return Ok(None);
    }
    // The question is known; what is quoted of it is not said again.
    let bare = Message { quote: None, ..message.clone() };
    Ok(Some(Said { words, whole: Letter::of(&[(bare, Some(part))]).whole().text }))
}

/// Whether a message is an answer.
pub(super) enum Answered {
    /// No.
    Nothing,
    /// To a question that a message shows.
    Question,
    /// It was one before, or an earlier version of it was.
    Before,
    /// It would be the answer to the question with this nonce, had its sender not sent a command since.
    Lapsed(String),
}

/// Looks whether a message is an answer.
pub(super) fn answered(
    tx: &Reader<'_>,
    row: i64,
    message: &Message,
    gate: &Gate,
    username: &str,
) -> Result<Answered, StoreError> {
    // A command is none, not even somebody else's.
    if matches!(&message.content, Content::Text(text) if commands::parse(text, username).is_some()) {
        return Ok(Answered::Nothing);
    }
    // Nor is what says nothing.
    if said(tx, row, message)?.is_none() {
        return Ok(Answered::Nothing);
    }
    if awaiting::claimed(tx, row)?.is_some() {
        return Ok(Answered::Before);
    }
    match found(tx, row, message, gate, username)? {
        Found::Open(_) => return Ok(Answered::Question),
        Found::Lapsed(nonce) => return Ok(Answered::Lapsed(nonce)),
        Found::Nothing => {}
    }
    let changed = message.edited != 0
        && awaiting::claimed_by_message(tx, message.place.chat, message.message)?.is_some();
    Ok(if changed { Answered::Before } else { Answered::Nothing })
}

/// The request that a message answers.
enum Found {
    Nothing,
    Open(Box<Asked>),
    /// Its sender was about to answer the request with this nonce, and has sent a command since.
    Lapsed(String),
}

fn found(
    tx: &Reader<'_>,
    row: i64,
    message: &Message,
    gate: &Gate,
    username: &str,
) -> Result<Found, StoreError> {
    let (place, user) = (message.place, message.from.id);
    if let Some(to) = message.reply_to
        && let Some(asked) = requests::by_message(tx, place.chat, to)?
    {
        return Ok(Found::Open(Box::new(asked)));
    }
    let Some(awaited) = awaiting::of(tx, place, user)?.filter(|awaited| awaited.since < row) else {
        return Ok(Found::Nothing);
    };
    // An edit of what was written before is not the next message.
    if message.edited != 0 && awaiting::was_there(tx, place.chat, message.message, awaited.since)? {
        return Ok(Found::Nothing);
    }
    // The lanes are worked side by side, so the command may have been seen to before or not yet.
    let is_theirs = |raw: &serde_json::Value| match gate.admit(raw) {
        Some(Update::Message(Message { place: other, from, content: Content::Text(text), .. })) => {
            other == place && from.id == user && is_command(&text, username)
        }
        _ => false,
    };
    if awaiting::slashes_between(tx, place.chat, awaited.since, row)?.iter().any(is_theirs) {
        return Ok(Found::Lapsed(awaited.nonce));
    }
    let asked = requests::by_nonce(tx, &awaited.nonce)?;
    Ok(asked.map_or(Found::Nothing, |asked| Found::Open(Box::new(asked))))
}

fn stop_writing(tx: &Transaction<'_>, nonce: &str) -> Result<(), StoreError> {
    awaiting::clear(tx, nonce)?;
    match requests::by_nonce(tx, nonce)? {
        Some(asked) if asked.draft.writer.is_some() => asks::go(tx, &asked, &asked.draft.unwritten(), 0),
        _ => Ok(()),
    }
}

/// Takes the buttons away from what the daemon no longer knows.
fn forgotten(tx: &Transaction<'_>, nonce: &str, refusal: &Refusal) -> Result<(), StoreError> {
    if !matches!(refusal.code, RefusalCode::NoRequest | RefusalCode::NoConversation) {
        return Ok(());
    }
    // Unless the event that says how it was settled has come in the meantime.
    match requests::by_nonce(tx, nonce)? {
        Some(asked) if asked.outcome.is_none() => asks::close_forgotten(tx, &asked),
        _ => Ok(()),
    }
}
