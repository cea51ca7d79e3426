//! A request of Claude's in the store and on the phone: opened, answered step by step, reminded of, settled. All
//! of it within the caller's transaction.

use std::time::Duration;

use carcin_proto::ConversationKey;
use carcin_proto::event::{RequestOpened, RequestSettled, Settlement};

use crate::message::nonce;
use crate::paths::Viewpoint;
use crate::place::Place;
use crate::queue::Priority;
use crate::store::requests::Asked;
use crate::store::{StoreError, Transaction, awaiting, outbox, progress, requests};
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
    let nonce = nonce();
    let draft = Draft::default();
    let folder = progress::load(tx, conversation)?.0.folder;
    let question =
        ask::question(&opened.ask, &draft, &nonce, opened.request.as_str(), &Viewpoint::of(&folder));
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
        folder,
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
    let from = Viewpoint::of(&asked.folder);
    let question = ask::question(&asked.ask, draft, &asked.nonce, asked.request.as_str(), &from);
    outbox::edit(tx, asked.message, Priority::Control, &question)
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
    let settled = ask::settled(&asked.ask, settlement, outcome, &Viewpoint::of(&asked.folder));
    outbox::edit(tx, asked.message, Priority::Control, &settled)?;
    match asked.reminder {
        Some(reminder) => outbox::edit(tx, reminder, Priority::Control, &ask::reminded(outcome)),
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

#[cfg(test)]
mod tests {
    use carcin_proto::TurnId;
    use carcin_proto::event::{Ask, PlanAsk};

    use super::*;
    use crate::store::testing::Bench;
    use crate::view::ask::Writer;

    const ANN: Place = Place { chat: 42, thread: Some(7) };

    fn opened(request: &str) -> RequestOpened {
        let ask = Ask::Plan(PlanAsk { plan: "1. Read".into(), path: None });
        RequestOpened { request: request.parse().expect("an id"), turn: TurnId(1), ask }
    }

    fn asked(bench: &mut Bench, request: &str) -> Asked {
        let found =
            bench.write(|tx| requests::by_id(tx, &ANN.conversation(), &request.parse().expect("an id")));
        found.expect("it is asked")
    }

    /// Everything that waits is sent, as messages from this id on. The operations, with their bodies.
    fn send_all(bench: &mut Bench, mut id: i64) -> Vec<(&'static str, serde_json::Value)> {
        bench.write(|tx| {
            let mut sent = Vec::new();
            for job in outbox::open_jobs(tx, 0, 100)? {
                let Some(payload) = outbox::begin(tx, &job)? else { continue };
                outbox::sent(tx, &job, &payload, Some(payload.message_id.unwrap_or(id)))?;
                id += 1;
                sent.push((job.op.name(), payload.body));
            }
            Ok(sent)
        })
    }

    #[test]
    fn one_is_reminded_once_of_what_was_seen_and_is_still_open() {
        let mut bench = Bench::new();
        for request in ["r1", "r2", "r3"] {
            bench.write(|tx| open(tx, ANN, &ANN.conversation(), &opened(request)));
            if request != "r3" {
                send_all(&mut bench, if request == "r1" { 100 } else { 200 });
            }
        }
        let second = asked(&mut bench, "r2");
        bench.write(|tx| close_forgotten(tx, &second));
        let remind = |bench: &mut Bench, later: i64| {
            let now = crate::store::now_ms() + later;
            bench.write(|tx| remind(tx, now, Duration::from_mins(15)));
        };
        let reminders = |bench: &mut Bench| {
            let sent = send_all(bench, 300);
            let replies = sent.into_iter().filter(|(_, body)| body.get("reply_parameters").is_some());
            replies.map(|(_, body)| body["reply_parameters"]["message_id"].clone()).collect::<Vec<_>>()
        };
        remind(&mut bench, 0);
        remind(&mut bench, 14 * 60_000);
        assert!(reminders(&mut bench).is_empty(), "not yet");
        // The third question was sent just now, with the others; until then nobody could have answered it.
        let third = asked(&mut bench, "r3");
        bench.write(|tx| close_forgotten(tx, &third));
        remind(&mut bench, 16 * 60_000);
        assert_eq!(reminders(&mut bench), [100]);
        bench.reopen();
        remind(&mut bench, 60 * 60_000);
        assert!(reminders(&mut bench).is_empty(), "once");
    }

    #[test]
    fn a_question_that_telegram_has_not_taken_is_not_reminded_of() {
        let mut bench = Bench::new();
        bench.write(|tx| open(tx, ANN, &ANN.conversation(), &opened("r1")));
        let later = crate::store::now_ms() + 3_600_000;
        bench.write(|tx| remind(tx, later, Duration::from_mins(15)));
        assert_eq!(send_all(&mut bench, 100).len(), 1, "the question alone");
    }

    #[test]
    fn a_person_writes_one_answer_at_a_time_and_each_for_themselves() {
        let mut bench = Bench::new();
        for request in ["r1", "r2"] {
            bench.write(|tx| open(tx, ANN, &ANN.conversation(), &opened(request)));
        }
        let writes = |bench: &mut Bench, request: &str, id: i64, since: i64| {
            let asked = asked(bench, request);
            let draft = Draft { writer: Some(Writer { id, name: "A".into() }), ..Draft::default() };
            bench.write(|tx| go(tx, &asked, &draft, since));
        };
        let awaited = |bench: &mut Bench, user: i64| {
            let nonce = bench.write(|tx| awaiting::of(tx, ANN, user)).map(|awaited| awaited.nonce)?;
            bench.write(|tx| requests::by_nonce(tx, &nonce)).map(|asked| asked.request.to_string())
        };
        writes(&mut bench, "r1", 42, 1);
        writes(&mut bench, "r2", 42, 2);
        assert_eq!(awaited(&mut bench, 42).as_deref(), Some("r2"));
        assert_eq!(asked(&mut bench, "r1").draft.writer, None, "it shows its buttons again");
        writes(&mut bench, "r1", 43, 3);
        assert_eq!(awaited(&mut bench, 43).as_deref(), Some("r1"));
        // Another one takes it over.
        writes(&mut bench, "r2", 43, 4);
        assert_eq!((awaited(&mut bench, 42), awaited(&mut bench, 43).as_deref()), (None, Some("r2")));
        let second = asked(&mut bench, "r2");
        bench.write(|tx| close_forgotten(tx, &second));
        assert_eq!(awaited(&mut bench, 43), None);
        let elsewhere = Place { thread: None, ..ANN };
        assert_eq!(bench.write(|tx| awaiting::of(tx, elsewhere, 43)), None);
    }
}
