//! The notes of prompts that came while Claude worked: when they appear, and when their buttons go.

use carcin_proto::PromptId;
use carcin_proto::event::{Event, PromptAccepted, PromptOutcome, TurnStarted};

use crate::message::nonce;
use crate::place::Place;
use crate::queue::{Priority, Spot};
use crate::store::steering::{self, Steered};
use crate::store::{Reader, StoreError, Transaction, inbox, outbox, requests};
use crate::view::steering as view;

/// Takes in an event; `works` says whether a turn runs.
pub(super) fn event(
    tx: &Transaction<'_>,
    place: Place,
    works: bool,
    event: &Event,
) -> Result<(), StoreError> {
    match event {
        Event::PromptAccepted(accepted) => self::accepted(tx, place, works, accepted),
        Event::TurnStarted(TurnStarted { prompt: Some(prompt), .. }) => own_turn(tx, *prompt),
        Event::PromptStarted(started) => over(tx, started.prompt, true),
        Event::PromptEnded(ended) => over(tx, ended.prompt, ended.outcome != PromptOutcome::Cancelled),
        _ => Ok(()),
    }
}

fn accepted(
    tx: &Transaction<'_>,
    place: Place,
    works: bool,
    accepted: &PromptAccepted,
) -> Result<(), StoreError> {
    let key = accepted.key.as_str();
    if let Some(known) = steering::by_key(tx, key)? {
        if known.place.key(&known.key).as_ref() != Some(&accepted.key) {
            return Ok(());
        }
        steering::arrived(tx, &known.nonce, accepted.prompt)?;
        return outbox::edit(
            tx,
            known.message,
            Priority::Control,
            &view::waiting(known.place, &known.text, &known.nonce, asks(tx, place)?),
        );
    }
    // Only what was written here: of others' prompts there is nothing to be moved. One that was moved already has had
    // its note.
    let written_here = key.starts_with("tg:") && steering::base(key) == key;
    let Some(whole) = inbox::prompt_of(tx, key)?.filter(|_| works && written_here) else { return Ok(()) };
    let nonce = nonce();
    let waits = if whole.queued { Spot::Queue } else { Spot::Steer };
    let message = outbox::create(tx, place, &view::waiting(waits, &whole.text, &nonce, asks(tx, place)?))?;
    let steered = Steered {
        nonce,
        key: key.to_owned(),
        prompt: Some(accepted.prompt.to_string()),
        text: whole.text,
        message,
        place: waits,
        stopped: false,
        over: false,
    };
    steering::insert(tx, &steered)
}

/// Whether Claude waits there for an answer.
fn asks(tx: &Reader<'_>, place: Place) -> Result<bool, StoreError> {
    Ok(requests::open(tx)?.iter().any(|asked| asked.conversation == place.conversation()))
}

/// It has a turn of its own, whose card tells it: the note goes.
fn own_turn(tx: &Transaction<'_>, prompt: PromptId) -> Result<(), StoreError> {
    let Some(known) = steering::by_prompt(tx, prompt)? else { return Ok(()) };
    steering::end(tx, &known.nonce)?;
    outbox::delete(tx, known.message)
}

fn over(tx: &Transaction<'_>, prompt: PromptId, begun: bool) -> Result<(), StoreError> {
    let Some(known) = steering::by_prompt(tx, prompt)? else { return Ok(()) };
    end(tx, &known, begun)
}

/// Ends the waiting: the buttons go.
pub fn end(tx: &Transaction<'_>, known: &Steered, begun: bool) -> Result<(), StoreError> {
    steering::end(tx, &known.nonce)?;
    let note = if begun {
        view::begun(&known.text)
    } else if steering::was_edited(tx, &known.key)? {
        // However often it is edited, one note says so.
        if steering::is_edit_of_another(tx, &known.key)? {
            return outbox::delete(tx, known.message);
        }
        view::edited(&known.text)
    } else {
        view::dropped(&known.text)
    };
    outbox::edit(tx, known.message, Priority::Control, &note)
}
