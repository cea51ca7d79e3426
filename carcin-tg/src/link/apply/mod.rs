//! What one delivery of the daemon changes in the store: synchronous, within the caller's transaction.

use std::collections::BTreeSet;

use carcin_proto::client::Delivery;
use carcin_proto::event::{Event, PromptEnded, PromptOutcome};
use carcin_proto::request::GapReason;
use carcin_proto::{ConversationKey, Envelope, Millis, Snapshot};

use super::asks;
use crate::markdown::Text;
use crate::message::{Message, nonce};
use crate::place::Place;
use crate::queue::Priority;
use crate::store::progress::Shown;
use crate::store::{Reader, StoreError, Transaction, facts, outbox, progress, prompts, requests, spending};
use crate::update::Gate;
use crate::view::card::Card;
use crate::view::{Output, Progress, Style, prompt};

/// Who may be written to, and how.
#[derive(Debug, Clone)]
pub struct Audience {
    /// Who may talk to the bot.
    pub gate: Gate,
    /// How things are told.
    pub style: Style,
}

/// Takes in a delivery.
pub fn delivery(tx: &Transaction<'_>, audience: &Audience, delivery: &Delivery) -> Result<(), StoreError> {
    match delivery {
        Delivery::Durable(_, Some(envelope)) => event(tx, audience, envelope),
        Delivery::Durable(_, None) | Delivery::Transient(_) => Ok(()),
        Delivery::Snapshot(snapshot) => reconcile(tx, audience, snapshot, None),
        Delivery::Gap(gap) => reconcile(tx, audience, &gap.snapshot, Some(gap.reason)),
    }
}

/// Moves the clocks of the live cards; `None`: the daemon is away.
pub fn tick(tx: &Transaction<'_>, now: Option<Millis>) -> Result<(), StoreError> {
    for conversation in progress::live(tx)? {
        if let (Progress { card: Some(card), .. }, Shown { card: Some(message), .. }) =
            progress::load(tx, &conversation)?
        {
            let text = now.map_or_else(|| card.away(), |now| card.working(now));
            outbox::edit(tx, message, Priority::Live, &Message::silent(text))?;
        }
    }
    Ok(())
}

/// Where Claude is at work, and whether it goes on without anybody's answer.
pub fn at_work(tx: &Reader<'_>, audience: &Audience) -> Result<Vec<(Place, bool)>, StoreError> {
    let mut places = Vec::new();
    for conversation in progress::live(tx)? {
        if let (Some(place), (Progress { card: Some(card), .. }, _)) =
            (place_of(tx, audience, &conversation)?, progress::load(tx, &conversation)?)
        {
            places.push((place, card.waiting.is_empty()));
        }
    }
    Ok(places)
}

/// Shows more of a text that is not finished, in a message of its own that the finished text will take over.
pub fn stream(tx: &Transaction<'_>, place: Place, text: Text) -> Result<(), StoreError> {
    let conversation = place.conversation();
    let (state, mut shown) = progress::load(tx, &conversation)?;
    if state.card.is_none() {
        return Ok(());
    }
    let message = Message::silent(text);
    if let Some(stream) = shown.stream {
        return outbox::edit(tx, stream, Priority::Live, &message);
    }
    shown.stream = Some(outbox::create(tx, place, &message)?);
    progress::save(tx, &conversation, &state, shown)
}

/// Sends the text that is complete: another one begins, and would take its place on the screen.
pub fn next_text(tx: &Transaction<'_>, audience: &Audience, place: Place) -> Result<(), StoreError> {
    show_text(tx, audience, place, Progress::next_text)
}

/// Says what was seen of a text that will not be finished: its turn is over.
pub fn cut_short(
    tx: &Transaction<'_>,
    audience: &Audience,
    place: Place,
    text: &str,
) -> Result<(), StoreError> {
    show_text(tx, audience, place, |state| state.cut_short(text))
}

/// What the moment says to what is stored, where somebody may be written to.
fn show_text(
    tx: &Transaction<'_>,
    audience: &Audience,
    place: Place,
    change: impl FnOnce(&mut Progress) -> Vec<Output>,
) -> Result<(), StoreError> {
    let conversation = place.conversation();
    if place_of(tx, audience, &conversation)?.is_none() {
        return Ok(());
    }
    let (mut state, mut shown) = progress::load(tx, &conversation)?;
    let outputs = change(&mut state);
    show(tx, place, &state, &mut shown, Millis(0), outputs)?;
    progress::save(tx, &conversation, &state, shown)
}

/// Where a conversation's output goes; `None`: it is not of this bot, or nobody there may be written to.
fn place_of(
    tx: &Reader<'_>,
    audience: &Audience,
    conversation: &ConversationKey,
) -> Result<Option<Place>, StoreError> {
    let Some(place) = Place::of(conversation) else { return Ok(None) };
    // A private chat has its user's id. Of groups, those in which an allowed user has written.
    let may =
        if place.chat > 0 { audience.gate.admits(place.chat) } else { facts::knows_chat(tx, place.chat)? };
    Ok(may.then_some(place))
}

fn event(tx: &Transaction<'_>, audience: &Audience, envelope: &Envelope) -> Result<(), StoreError> {
    let conversation = &envelope.conversation;
    let cost = spending::event(tx, envelope)?;
    let Some(place) = place_of(tx, audience, conversation)? else {
        return from_elsewhere(tx, audience, envelope);
    };
    let (mut state, mut shown) = progress::load(tx, conversation)?;
    let outputs = state.take(envelope.at, &envelope.event, cost, &audience.style);
    show(tx, place, &state, &mut shown, envelope.at, outputs)?;
    let heard = matches!(&envelope.event, Event::PromptEnded(ended)
        if matches!(ended.outcome, PromptOutcome::Interrupted(_)) && state.hear_death());
    let works = state.card.is_some();
    progress::save(tx, conversation, &state, shown)?;
    super::steering::event(tx, place, works, &envelope.event)?;
    match &envelope.event {
        Event::RequestOpened(opened) => asks::open(tx, place, conversation, opened),
        Event::RequestSettled(settled) => asks::settle(tx, conversation, settled),
        Event::PromptAccepted(accepted) => prompts::accepted(tx, conversation, accepted),
        Event::PromptEnded(ended) => prompt_ended(tx, place, ended, heard),
        Event::FileOffered(file) => outbox::send_file(tx, place, &file.path, &file.caption),
        _ => Ok(()),
    }
}

/// What is addressed to the user by a conversation that is not in Telegram goes to the first one.
fn from_elsewhere(tx: &Transaction<'_>, audience: &Audience, envelope: &Envelope) -> Result<(), StoreError> {
    if Place::of(&envelope.conversation).is_some() {
        return Ok(());
    }
    let place = Place::private(audience.gate.first());
    match &envelope.event {
        Event::FileOffered(file) => outbox::send_file(tx, place, &file.path, &file.caption),
        event @ Event::Notification(_) => {
            let mut state = Progress::default();
            let outputs = state.take(envelope.at, event, 0, &audience.style);
            show(tx, place, &state, &mut Shown::default(), envelope.at, outputs)
        }
        _ => Ok(()),
    }
}

fn show(
    tx: &Transaction<'_>,
    place: Place,
    state: &Progress,
    shown: &mut Shown,
    at: Millis,
    outputs: Vec<Output>,
) -> Result<(), StoreError> {
    let mut sounded = false;
    for output in outputs {
        match output {
            Output::Say { text, sound } => outbox::say(tx, place, &text, sound)?,
            Output::Text { text, sound } => {
                sounded |= if let Some(stream) = shown.stream.take() {
                    outbox::finish(tx, place, stream, &text, sound)?
                } else {
                    outbox::say(tx, place, &text, sound)?;
                    sound
                };
            }
            Output::File { name, content, caption } => {
                outbox::send_content(tx, place, &name, &content, &caption)?;
            }
            Output::Files { files, sound } => {
                outbox::send_files(tx, place, &files, sound)?;
                sounded |= sound;
            }
            Output::Picture(path) => outbox::send_picture(tx, place, &path)?,
            Output::CardBegun => {
                let begun = state.card.as_ref().map(Card::begun).unwrap_or_default();
                shown.card = Some(outbox::create(tx, place, &Message::silent(begun))?);
            }
            Output::Card => {
                if let (Some(content), Some(card)) = (&state.card, shown.card) {
                    outbox::edit(tx, card, Priority::Live, &Message::silent(content.working(at)))?;
                }
            }
            Output::CardMoved => {
                let before = shown.card.replace(outbox::create(tx, place, &Message::silent(Card::moved()))?);
                if let Some(before) = before {
                    outbox::delete(tx, before)?;
                }
                if let (Some(content), Some(card)) = (&state.card, shown.card) {
                    outbox::edit(tx, card, Priority::Live, &Message::silent(content.working(at)))?;
                }
            }
            Output::CardEnded { text, heard } => {
                // What was streamed of a text that never came to its end stays as it is.
                shown.stream = None;
                match shown.card.take() {
                    // An edit makes no sound: the card makes room for a message that does.
                    Some(card) if heard && !sounded => {
                        outbox::delete(tx, card)?;
                        outbox::send(tx, place, Priority::Prose, &Message::loud(text))?;
                    }
                    Some(card) => outbox::edit(tx, card, Priority::Prose, &Message::silent(text))?,
                    None => {}
                }
            }
        }
    }
    Ok(())
}

fn prompt_ended(
    tx: &Transaction<'_>,
    place: Place,
    ended: &PromptEnded,
    heard: bool,
) -> Result<(), StoreError> {
    let PromptOutcome::Interrupted(how) = &ended.outcome else {
        return prompts::forget(tx, ended.prompt);
    };
    let text = prompts::text(tx, ended.prompt)?;
    let nonce = nonce();
    let told = Message { sound: heard, ..prompt::interrupted(how, text.as_deref(), &nonce) };
    let message = outbox::create(tx, place, &told)?;
    prompts::interrupted(tx, ended.prompt, &nonce, message)
}

/// Brings the store in line with the daemon's state, where events are missing between the two.
fn reconcile(
    tx: &Transaction<'_>,
    audience: &Audience,
    snapshot: &Snapshot,
    gap: Option<GapReason>,
) -> Result<(), StoreError> {
    let known = progress::known(tx)?;
    let keys: BTreeSet<&ConversationKey> = snapshot.conversations.keys().chain(&known).collect();
    for key in keys {
        let Some(place) = place_of(tx, audience, key)? else { continue };
        let now = snapshot.conversations.get(key);
        let (mut state, mut shown) = progress::load(tx, key)?;
        if gap.is_some() && state.is_busy() {
            outbox::say(tx, place, &Text::plain(gap_notice(gap)), false)?;
        }
        let requests = now.map(|now| now.requests.as_slice()).unwrap_or_default();
        let outputs = state.reconcile(now);
        let at = now.map_or(Millis(0), |now| now.active_at);
        show(tx, place, &state, &mut shown, at, outputs)?;
        progress::save(tx, key, &state, shown)?;
        for (_, opened) in requests {
            asks::open(tx, place, key, opened)?;
        }
    }
    if gap.is_some() {
        let open = snapshot.conversations.values().flat_map(|now| {
            let begun = now.turn.iter().flat_map(|turn| turn.prompts.iter().copied());
            now.queue.iter().map(|queued| queued.prompt).chain(begun)
        });
        prompts::only_open(tx, &open.collect::<Vec<_>>())?;
    }
    for asked in requests::open(tx)? {
        let still = snapshot
            .conversations
            .get(&asked.conversation)
            .is_some_and(|now| now.requests.iter().any(|(_, opened)| opened.request == asked.request));
        if !still {
            asks::close_forgotten(tx, &asked)?;
        }
    }
    Ok(())
}

fn gap_notice(gap: Option<GapReason>) -> &'static str {
    match gap {
        Some(GapReason::OtherJournal) => {
            "⚠️ carcind lost its journal: some of what Claude did is not shown here"
        }
        Some(GapReason::BeyondHead) => {
            "⚠️ carcind lost the end of its journal: some of what Claude did may be shown twice"
        }
        Some(GapReason::BehindRetention) | None => {
            "⚠️ I was away too long: some of what Claude did is not shown here"
        }
    }
}

#[cfg(test)]
mod tests;
