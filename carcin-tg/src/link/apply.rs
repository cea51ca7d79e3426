//! What one delivery of the daemon changes in the store: synchronous, within the caller's transaction.

use std::collections::BTreeSet;

use carcin_proto::client::Delivery;
use carcin_proto::event::{Event, PromptEnded, PromptOutcome};
use carcin_proto::request::GapReason;
use carcin_proto::{ConversationKey, Envelope, Millis, Snapshot};
use uuid::Uuid;

use super::asks;
use crate::markdown::Text;
use crate::message::Message;
use crate::outbox::Lane;
use crate::place::Place;
use crate::store::outbox::MessageRef;
use crate::store::{StoreError, Transaction, facts, outbox, progress, prompts, requests, spending};
use crate::update::Gate;
use crate::view::card::Card;
use crate::view::{Output, Progress, prompt};

/// Who may be written to.
#[derive(Debug, Clone)]
pub struct Audience {
    /// Who may talk to the bot.
    pub gate: Gate,
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
    for conversation in progress::active(tx)? {
        if let (Progress { card: Some(card), .. }, Some(message)) = progress::load(tx, &conversation)? {
            let text = now.map_or_else(|| card.away(), |now| card.working(now));
            outbox::edit(tx, message, Lane::Live, &Message::silent(text))?;
        }
    }
    Ok(())
}

/// Where a conversation's output goes; `None`: it is not of this bot, or nobody there may be written to.
fn place_of(
    tx: &Transaction<'_>,
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
    spending::event(tx, envelope)?;
    let Some(place) = place_of(tx, audience, conversation)? else {
        return from_elsewhere(tx, audience, envelope);
    };
    let (mut state, mut card) = progress::load(tx, conversation)?;
    let outputs = state.take(envelope.at, &envelope.event);
    show(tx, place, &state, &mut card, envelope.at, outputs)?;
    let works = state.card.is_some();
    progress::save(tx, conversation, &state, card)?;
    super::steering::event(tx, place, works, &envelope.event)?;
    match &envelope.event {
        Event::RequestOpened(opened) => asks::open(tx, place, conversation, opened),
        Event::RequestSettled(settled) => asks::settle(tx, conversation, settled),
        Event::PromptAccepted(accepted) => prompts::accepted(tx, conversation, accepted),
        Event::PromptEnded(ended) => prompt_ended(tx, place, ended),
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
            let outputs = state.take(envelope.at, event);
            show(tx, place, &state, &mut None, envelope.at, outputs)
        }
        _ => Ok(()),
    }
}

fn show(
    tx: &Transaction<'_>,
    place: Place,
    state: &Progress,
    card: &mut Option<MessageRef>,
    at: Millis,
    outputs: Vec<Output>,
) -> Result<(), StoreError> {
    for output in outputs {
        match output {
            Output::Say { text, sound } => outbox::say(tx, place, &text, sound)?,
            Output::Files { files, sound } => outbox::send_files(tx, place, &files, sound)?,
            Output::CardBegun => {
                *card = Some(outbox::create(tx, place, &Message::silent(Card::begun()))?);
            }
            Output::Card => {
                if let (Some(content), Some(card)) = (&state.card, *card) {
                    outbox::edit(tx, card, Lane::Live, &Message::silent(content.working(at)))?;
                }
            }
            Output::CardEnded(text) => {
                if let Some(card) = card.take() {
                    outbox::edit(tx, card, Lane::Prose, &Message::silent(text))?;
                }
            }
        }
    }
    Ok(())
}

/// What buttons carry that nobody can guess.
pub(super) fn nonce() -> String {
    Uuid::new_v4().simple().to_string()
}

fn prompt_ended(tx: &Transaction<'_>, place: Place, ended: &PromptEnded) -> Result<(), StoreError> {
    let PromptOutcome::Interrupted(how) = &ended.outcome else {
        return prompts::forget(tx, ended.prompt);
    };
    let text = prompts::text(tx, ended.prompt)?;
    let nonce = nonce();
    let message = outbox::create(tx, place, &prompt::interrupted(how, text.as_deref(), &nonce))?;
    prompts::interrupted(tx, ended.prompt, &nonce, message)
}

/// Brings the store in line with the daemon's state, where events are missing between the two.
fn reconcile(
    tx: &Transaction<'_>,
    audience: &Audience,
    snapshot: &Snapshot,
    gap: Option<GapReason>,
) -> Result<(), StoreError> {
    let active = progress::active(tx)?;
    let keys: BTreeSet<&ConversationKey> = snapshot.conversations.keys().chain(&active).collect();
    for key in keys {
        let Some(place) = place_of(tx, audience, key)? else { continue };
        let now = snapshot.conversations.get(key);
        if gap.is_some() && active.contains(key) {
            outbox::say(tx, place, &Text::plain(gap_notice(gap)), false)?;
        }
        let (mut state, mut card) = progress::load(tx, key)?;
        let requests = now.map(|now| now.requests.as_slice()).unwrap_or_default();
        let waiting = requests.iter().map(|(_, opened)| opened.request.to_string()).collect();
        let outputs = state.reconcile(now.and_then(|now| now.turn.as_ref()), waiting);
        let at = now.map_or(Millis(0), |now| now.active_at);
        show(tx, place, &state, &mut card, at, outputs)?;
        progress::save(tx, key, &state, card)?;
        for (_, opened) in requests {
            asks::open(tx, place, key, opened)?;
        }
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
mod tests {
    use carcin_proto::event::Ask;
    use carcin_proto::event::{Level, Notice, PermissionAsk, RequestOpened, TextBlock, TurnStarted};
    use carcin_proto::request::Gap;
    use carcin_proto::{BlockId, Seq, TurnId};

    use super::*;
    use crate::store::testing::Bench;

    const ANN: i64 = 42;

    /// A chat with everything that came before it, through the same reducer as the daemon's.
    struct Chat {
        bench: Bench,
        snapshot: Snapshot,
        audience: Audience,
    }

    impl Chat {
        fn new() -> Self {
            let gate = Gate::new(&[ANN]).expect("not empty");
            Self { bench: Bench::new(), snapshot: Snapshot::default(), audience: Audience { gate } }
        }

        fn happens(&mut self, event: impl Into<Event>) {
            let conversation = Place::private(ANN).conversation();
            let seq = Seq(self.snapshot.seq.0 + 1);
            let envelope = Envelope { conversation, at: Millis(seq.0 * 1000), event: event.into() };
            self.snapshot.apply(seq, &envelope);
            self.is_delivered(&Delivery::Durable(seq, Some(envelope)));
        }

        fn is_delivered(&mut self, it: &Delivery) {
            self.bench.write(|tx| delivery(tx, &self.audience, it));
        }

        /// What is to be sent, in order: the operation and the first line.
        fn outbox(&mut self) -> Vec<String> {
            self.bench.write(|tx| {
                let jobs = outbox::open_jobs(tx, 0, 100)?;
                jobs.iter()
                    .map(|job| {
                        let body = outbox::begin(tx, job.id)?.body;
                        outbox::put_back(tx, job.id)?;
                        let line =
                            body["text"].as_str().and_then(|text| text.lines().next()).unwrap_or_default();
                        Ok(format!("{} {line}", job.op.name()))
                    })
                    .collect()
            })
        }
    }

    fn permission(request: &str) -> RequestOpened {
        let ask = PermissionAsk {
            tool: "Bash".into(),
            tool_use: None,
            summary: "ls".into(),
            input: String::new(),
            description: String::new(),
            reason: String::new(),
            blocked_path: None,
            suggestions: String::new(),
        };
        let request = request.parse().expect("an id");
        RequestOpened { request, turn: TurnId(1), ask: Ask::Permission(ask) }
    }

    fn started() -> TurnStarted {
        TurnStarted { turn: TurnId(1), prompt: None }
    }

    #[test]
    fn a_gap_behind_retention_keeps_the_card_and_the_question_that_still_stand() {
        let mut chat = Chat::new();
        chat.happens(started());
        chat.happens(permission("r1"));
        chat.happens(permission("r2"));
        let mut snapshot = chat.snapshot.clone();
        let here = Place::private(ANN).conversation();
        let now = snapshot.conversations.get_mut(&here).expect("it is there");
        now.requests.remove(0);
        now.requests.push((Millis(9), permission("r3")));
        chat.is_delivered(&Delivery::Gap(Gap { reason: GapReason::BehindRetention, snapshot }));
        assert_eq!(
            chat.outbox(),
            [
                "send ▶️ Started",
                "edit ❓ Waiting for your answer · 2 s",
                "send 🔐 May I use Bash?",
                "send 🔐 May I use Bash?",
                "send ⚠️ I was away too long: some of what Claude did is not shown here",
                "send 🔐 May I use Bash?",
                "edit 🔐 May I use Bash?",
            ]
        );
        let open = chat.bench.write(requests::open);
        let open: Vec<&str> = open.iter().map(|asked| asked.request.as_str()).collect();
        assert_eq!(open, ["r2", "r3"]);
    }

    #[test]
    fn a_snapshot_at_the_first_start_shows_what_is_going_on() {
        let mut earlier = Chat::new();
        earlier.happens(started());
        earlier.happens(permission("r1"));
        let mut chat = Chat::new();
        chat.is_delivered(&Delivery::Snapshot(earlier.snapshot));
        let expected =
            ["send ▶️ Started", "edit ❓ Waiting for your answer · 1 s", "send 🔐 May I use Bash?"];
        assert_eq!(chat.outbox(), expected);
    }

    #[test]
    fn a_card_says_when_nobody_knows_what_the_turn_does() {
        let mut chat = Chat::new();
        chat.happens(started());
        chat.bench.write(|tx| tick(tx, None));
        assert_eq!(chat.outbox(), ["send ▶️ Started", "edit 💤 carcind is away, Claude goes on"]);
        chat.bench.write(|tx| tick(tx, Some(Millis(61_000))));
        assert_eq!(chat.outbox()[1], "edit ⏳ Working · 1 m 00 s");
    }

    #[test]
    fn what_is_held_back_is_not_lost_in_a_crash() {
        let mut chat = Chat::new();
        chat.happens(started());
        let block = TextBlock { turn: TurnId(1), block: BlockId(0), text: "so far".into(), parent: None };
        chat.happens(block);
        chat.bench.reopen();
        chat.happens(Notice { level: Level::Info, text: "well".into(), hint: None });
        assert_eq!(chat.outbox(), ["send ▶️ Started", "send so far", "send ℹ️ well"]);
    }

    #[test]
    fn a_user_who_is_no_longer_allowed_hears_nothing_more() {
        let mut chat = Chat::new();
        chat.audience.gate = Gate::new(&[7]).expect("not empty");
        chat.happens(started());
        assert!(chat.outbox().is_empty());
    }
}
