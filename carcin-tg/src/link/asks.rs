//! A request of Claude's in the store and on the phone: opened, answered step by step, reminded of, settled. All
//! of it within the caller's transaction.

use std::time::Duration;

use carcin_proto::ConversationKey;
use carcin_proto::event::{RequestOpened, RequestSettled, Settlement};
use uuid::Uuid;

use crate::outbox::Lane;
use crate::place::Place;
use crate::store::requests::Asked;
use crate::store::{StoreError, Transaction, awaiting, outbox, requests};
use crate::view::ask::{self, Ahead, Draft};

/// What is shown where Claude's question is gone without an answer.
const NO_LONGER: &str = "⌛ No longer asked";

/// Asks, unless that is asked already.
pub fn open(
    tx: &Transaction<'_>,
    place: Place,
    conversation: &ConversationKey,
    opened: &RequestOpened,
) -> Result<(), StoreError> {
    let known = requests::by_id(tx, conversation, &opened.request)?;
    if known.is_some_and(|asked| asked.outcome.is_none()) {
        return Ok(());
    }
    for ahead in ask::ahead(&opened.ask) {
        match ahead {
            Ahead::Text(text) => outbox::say(tx, place, &text, false)?,
            Ahead::File { name, content } => outbox::send_content(tx, place, name, &content, "")?,
        }
    }
    let nonce = Uuid::new_v4().simple().to_string();
    let draft = Draft::default();
    let question = ask::question(&opened.ask, &draft, &nonce, opened.request.as_str());
    let message = outbox::create(tx, place, &question)?;
    let asked = Asked {
        nonce,
        request: opened.request.clone(),
        conversation: conversation.clone(),
        ask: opened.ask.clone(),
        message,
        outcome: None,
        draft,
        reminder: None,
    };
    requests::insert(tx, &asked)
}

/// The answer has come this far: it is stored, and the message shows it. Where somebody is about to write, their
/// next message after the row `since` of the inbox is the answer.
pub fn go(tx: &Transaction<'_>, asked: &Asked, draft: &Draft, since: i64) -> Result<(), StoreError> {
    awaiting::clear(tx, &asked.nonce)?;
    if let (Some(writer), Some(place)) = (&draft.writer, Place::of(&asked.conversation)) {
        let before = awaiting::set(tx, place, writer.id, &asked.nonce, since)?;
        // Nobody writes two answers at once.
        if let Some(other) = before.map(|nonce| requests::by_nonce(tx, &nonce)).transpose()?.flatten() {
            show(tx, &other, &other.draft.unwritten())?;
        }
    }
    show(tx, asked, draft)
}

fn show(tx: &Transaction<'_>, asked: &Asked, draft: &Draft) -> Result<(), StoreError> {
    if asked.outcome.is_some() {
        return Ok(());
    }
    requests::set_draft(tx, &asked.nonce, draft)?;
    let question = ask::question(&asked.ask, draft, &asked.nonce, asked.request.as_str());
    outbox::edit(tx, asked.message, Lane::Control, &question)
}

/// The request is settled: its message says how.
pub fn settle(
    tx: &Transaction<'_>,
    conversation: &ConversationKey,
    settled: &RequestSettled,
) -> Result<(), StoreError> {
    let Some(asked) = requests::by_id(tx, conversation, &settled.request)? else { return Ok(()) };
    let outcome = ask::outcome(&asked.ask, &settled.settlement, &settled.by);
    close(tx, &asked, Some(&settled.settlement), &outcome)
}

/// A request of which the daemon knows nothing any longer.
pub fn close_forgotten(tx: &Transaction<'_>, asked: &Asked) -> Result<(), StoreError> {
    close(tx, asked, None, NO_LONGER)
}

/// Notes how a request was settled, and takes its buttons away.
fn close(
    tx: &Transaction<'_>,
    asked: &Asked,
    settlement: Option<&Settlement>,
    outcome: &str,
) -> Result<(), StoreError> {
    awaiting::clear(tx, &asked.nonce)?;
    requests::settle(tx, &asked.nonce, outcome)?;
    let settled = ask::settled(&asked.ask, settlement, outcome);
    outbox::edit(tx, asked.message, Lane::Control, &settled)?;
    match asked.reminder {
        Some(reminder) => outbox::edit(tx, reminder, Lane::Control, &ask::reminded(outcome)),
        None => Ok(()),
    }
}

/// Reminds of what has been open for `after`, once.
pub fn remind(tx: &Transaction<'_>, now: i64, after: Duration) -> Result<(), StoreError> {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    for (asked, message_id) in requests::due(tx, now.saturating_sub(after))? {
        let Some(place) = Place::of(&asked.conversation) else { continue };
        let reminder = outbox::create_reply(tx, place, &ask::reminder(&asked.ask), message_id)?;
        requests::set_reminder(tx, &asked.nonce, reminder)?;
    }
    Ok(())
}
