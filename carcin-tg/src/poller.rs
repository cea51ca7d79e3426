//! Telegram's updates into the inbox: persisted first, confirmed afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use carcin_proto::client::Backoff;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::api::{Api, ApiError};
use crate::commands::{self, Command};
use crate::fatal::Fatal;
use crate::markdown::{Text, utf16_len};
use crate::menu;
use crate::message::Message as Said;
use crate::place::Place;
use crate::polling_conflict::PollingConflicts;
use crate::queue::{Lane, Priority, Signals};
use crate::store::inbox::{Arrival, Burst};
use crate::store::{Reader, Store, StoreError, Transaction, claude_commands, facts, inbox, outbox, topics};
use crate::strangers::{self, Strangers};
use crate::update::{Content, FileKind, Gate, Message, Update, update_id};

/// The first of the growing waits.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long they may become.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// From this length on, in UTF-16 units, a text may be a part of one that is too long for a message. Telegram's clients split
/// it at 4,096 or before, where it reads well: that of the desktop as far back as the middle.
const SPLIT_TEXT: usize = 2_048;

/// What the poller needs to know of an update to sort it.
#[derive(Debug, Clone)]
pub struct Intake {
    /// Who may talk.
    pub gate: Gate,
    /// The bot's id.
    pub bot: i64,
    /// The bot's username.
    pub username: String,
}

/// Polls until it is cancelled, or the token is refused.
pub async fn run(
    api: Api,
    store: Store,
    intake: Intake,
    signals: Arc<Signals>,
    cancel: CancellationToken,
) -> Result<(), Fatal> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let mut guests = Strangers::default();
    let mut conflicts = PollingConflicts::default();
    loop {
        let wait = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            polled = poll(&api, &store, &intake, &signals, &mut guests) => match polled {
                Ok(brought) => {
                    backoff.reset();
                    if brought == 0 {
                        conflicts.clear();
                    }
                    continue;
                }
                Err(PollError::Api(ApiError::Unauthorized)) => return Err(Fatal::TokenRefused),
                Err(PollError::Api(ApiError::RetryAfter(wait))) => wait,
                Err(PollError::Api(ApiError::Conflict(conflict))) => {
                    error!("no updates: {conflict}");
                    if let Some(words) = conflicts.hit(conflict) {
                        tell(&store, intake.gate.first(), words).await;
                    }
                    backoff.delay()
                }
                Err(PollError::Api(error)) => {
                    warn!("no updates: {error}");
                    backoff.delay()
                }
                // Not confirmed, so Telegram delivers them again.
                Err(PollError::Store(error)) => {
                    error!("updates cannot be stored: {error}");
                    backoff.delay()
                }
            },
        };
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tells the first user what keeps messages away: to them the bot would only seem deaf.
async fn tell(store: &Store, user: i64, words: Text) {
    let message = Said::loud(words);
    let told = store.write(move |tx| outbox::send(tx, Place::private(user), Priority::Prose, &message)).await;
    if let Err(error) = told {
        error!("nobody is told: {error}");
    }
}

/// How many updates there were.
async fn poll(
    api: &Api,
    store: &Store,
    intake: &Intake,
    signals: &Signals,
    guests: &mut Strangers,
) -> Result<usize, PollError> {
    let offset = store.read(facts::next_update).await?;
    let updates = api.updates(offset).await?;
    let brought = updates.len();
    if brought == 0 {
        return Ok(0);
    }
    for raw in &updates {
        if let Some(stranger) = guests.next_answer(&intake.gate, raw, &intake.username, Instant::now()) {
            strangers::answer(api, stranger);
        }
    }
    let intake = intake.clone();
    let lanes = store.write(move |tx| take_in(tx, &intake, &updates)).await?;
    for lane in lanes {
        signals.notify(lane);
    }
    Ok(brought)
}

/// Stores what allowed users did, and the offset that confirms all of it, in one transaction. Returns the lanes
/// that have work now.
pub fn take_in(tx: &Transaction<'_>, intake: &Intake, updates: &[Value]) -> Result<Vec<Lane>, StoreError> {
    let mut lanes = Vec::new();
    for raw in updates {
        // Of strangers nothing is kept but the offset.
        let Some(update) = intake.gate.admit(raw) else { continue };
        topics::hear(tx, update.place(), raw)?;
        let Some(lane) = lane_of(tx, &update, &intake.username)? else { continue };
        if store_update(tx, intake, &update, lane, raw)? {
            lanes.push(lane);
        }
    }
    // Ids restart after a quiet week: what counts is this batch, not the greatest ever seen.
    if let Some(last) = updates.iter().filter_map(update_id).max() {
        facts::set_next_update(tx, last + 1)?;
    }
    info!(updates = updates.len(), kept = lanes.len(), "updates taken in");
    Ok(lanes)
}

fn store_update(
    tx: &Transaction<'_>,
    intake: &Intake,
    update: &Update,
    lane: Lane,
    raw: &Value,
) -> Result<bool, StoreError> {
    let (key, place, sender, message) = match update {
        Update::Message(message) => (
            key_of(intake.bot, message, update_id(raw).unwrap_or_default()),
            message.place,
            message.from.id,
            Some((message.message, message.content.words())),
        ),
        Update::Press(press) => {
            (format!("tg:{}:press:{}", intake.bot, press.id), press.place, press.from.id, None)
        }
    };
    let (burst, needs) = match update {
        Update::Message(message) if lane == Lane::Prompt => {
            (burst_of(message, &intake.username), matches!(message.content, Content::File(_)))
        }
        _ => (Burst::Alone, false),
    };
    let media = match update {
        Update::Message(message) => message.content.media(),
        Update::Press(_) => "",
    };
    facts::know_chat(tx, place.chat)?;
    inbox::insert(tx, &Arrival { key: &key, lane, place, sender, message, media, burst, needs, raw })
}

/// The same for every delivery of the same message. Telegram tells the second of an edit and no more: of those within one
/// second, which may go back and forth, only the numbers of the updates are different.
fn key_of(bot: i64, message: &Message, update: i64) -> String {
    let key = format!("tg:{bot}:{}:{}:{}", message.place.chat, message.message, message.edited);
    if message.edited == 0 { key } else { format!("{key}-{update}") }
}

/// Who works on an update; `None`: nobody.
fn lane_of(tx: &Reader<'_>, update: &Update, username: &str) -> Result<Option<Lane>, StoreError> {
    let message = match update {
        Update::Press(_) => return Ok(Some(Lane::Button)),
        Update::Message(message) => message,
    };
    Ok(match &message.content {
        Content::Service => None,
        Content::Unsupported(_) => Some(Lane::Info),
        Content::File(_) => Some(Lane::Prompt),
        // A live location is edited all the time.
        Content::Fact(_) => (message.edited == 0).then_some(Lane::Prompt),
        // Somebody else's command is not the forwarder's.
        Content::Text(_) if message.forwarded.is_some() => Some(Lane::Prompt),
        Content::Text(text) => match commands::parse(text, username) {
            None => Some(Lane::Prompt),
            Some(Command::Other(other)) => {
                let known = claude_commands::names(tx)?;
                let meant = menu::meant(known.iter().map(String::as_str), &other.name);
                // One that nobody knew so far is asked about at once; it does not wait for the prompts before it.
                let is_new = !known.is_empty() && meant.is_none();
                Some(if is_new { Lane::Info } else { Lane::Prompt })
            }
            Some(command) => command.lane(),
        },
    })
}

/// Whether a message is likely one of several: parts of an album, of a long text, of what is forwarded at once, or a
/// file that is sent before what is to be done with it.
fn burst_of(message: &Message, username: &str) -> Burst {
    let is_command = matches!(&message.content, Content::Text(text)
        if message.forwarded.is_none() && commands::parse(text, username).is_some());
    match &message.content {
        Content::Text(text) if is_command && utf16_len(text) >= SPLIT_TEXT => Burst::Begins,
        _ if is_command => Burst::Alone,
        _ if message.album.is_some() => Burst::Waits,
        _ if message.edited > 0 => Burst::Joins,
        _ if message.forwarded.is_some() => Burst::Waits,
        // What is said is meant as it is.
        Content::File(file) if file.kind == FileKind::Voice => Burst::Joins,
        Content::File(_) => Burst::Waits,
        Content::Text(text) if utf16_len(text) >= SPLIT_TEXT => Burst::Waits,
        _ => Burst::Joins,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::testing::Bench;

    fn intake() -> Intake {
        Intake { gate: Gate::new(&[42]).expect("not empty"), bot: 9, username: "carcin_bot".into() }
    }

    fn message(update: i64, message: i64, user: i64, text: &str) -> Value {
        json!({"update_id": update, "message": {
            "message_id": message, "chat": {"id": user}, "from": {"id": user, "first_name": "Ann"}, "text": text}})
    }

    #[test]
    fn of_a_stranger_only_the_offset_is_kept() {
        let mut bench = Bench::new();
        let lanes = bench.write(|tx| take_in(tx, &intake(), &[message(10, 1, 666, "secret words")]));
        assert!(lanes.is_empty());
        assert_eq!(bench.read(facts::next_update), 11);
        assert!(!bench.write(|tx| facts::knows_chat(tx, 666)));
        for entry in std::fs::read_dir(bench.path().parent().expect("a directory")).expect("readable") {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("readable");
            assert!(!bytes.windows(6).any(|window| window == b"secret"));
        }
    }

    #[test]
    fn a_batch_delivered_twice_is_taken_in_once() {
        let mut bench = Bench::new();
        let batch = [message(10, 1, 42, "hello"), message(11, 2, 42, "/stop"), message(12, 3, 42, "/status")];
        assert_eq!(bench.write(|tx| take_in(tx, &intake(), &batch)), [Lane::Prompt, Lane::Stop, Lane::Info]);
        bench.reopen();
        // The confirmation never reached Telegram; the same messages may even have other update ids.
        let again = [message(90, 1, 42, "hello"), message(91, 2, 42, "/stop"), message(92, 3, 42, "/status")];
        assert!(bench.write(|tx| take_in(tx, &intake(), &again)).is_empty());
        assert_eq!(bench.read(facts::next_update), 93);
    }

    /// The first message, edited within one and the same second.
    fn edit(update: i64, text: &str) -> Value {
        json!({"update_id": update, "edited_message": {
            "message_id": 1, "chat": {"id": 42}, "from": {"id": 42, "first_name": "Ann"},
            "edit_date": 1_700_000_000, "text": text}})
    }

    #[test]
    fn two_edits_within_one_second_are_two_and_each_is_taken_in_once() {
        let mut bench = Bench::new();
        bench.write(|tx| take_in(tx, &intake(), &[message(10, 1, 42, "tset")]));
        let edits = [edit(11, "test"), edit(12, "test it")];
        assert_eq!(bench.write(|tx| take_in(tx, &intake(), &edits)).len(), 2);
        bench.reopen();
        assert!(bench.write(|tx| take_in(tx, &intake(), &edits)).is_empty(), "delivered again");
        assert_eq!(bench.received(), ["test it"]);
    }

    #[test]
    fn edits_that_go_back_and_forth_within_one_second_end_with_the_last() {
        let mut bench = Bench::new();
        bench.write(|tx| take_in(tx, &intake(), &[message(10, 1, 42, "a")]));
        let edits = [edit(11, "b"), edit(12, "a"), edit(13, "b"), edit(14, "a")];
        assert_eq!(bench.write(|tx| take_in(tx, &intake(), &edits)).len(), 4);
        assert_eq!(bench.received(), ["a"]);
        assert!(bench.write(|tx| take_in(tx, &intake(), &edits)).is_empty(), "delivered again");
        assert_eq!(bench.received(), ["a"]);
    }

    #[test]
    fn another_picture_under_the_same_words_is_an_edit_and_the_same_picture_is_none() {
        let mut bench = Bench::new();
        let photo = |update: i64, kind: &str, edited: i64, unique: &str| {
            json!({"update_id": update, kind: {
                "message_id": 1, "chat": {"id": 42}, "from": {"id": 42, "first_name": "Ann"}, "edit_date": edited,
                "caption": "look", "photo": [{"file_id": format!("{update}"), "file_unique_id": unique}]}})
        };
        let mut arrive = |raw: Value| bench.write(|tx| take_in(tx, &intake(), &[raw])).len();
        assert_eq!(arrive(photo(10, "message", 0, "first")), 1);
        assert_eq!(arrive(photo(11, "edited_message", 5, "first")), 0);
        assert_eq!(arrive(photo(12, "edited_message", 5, "second")), 1);
        let needed: Vec<i64> = bench
            .write(|tx| Ok(crate::store::bundle::to_fetch(tx, &[], 9)?.iter().map(|row| row.id).collect()));
        assert_eq!(needed.len(), 1, "the first picture is not fetched any longer");
    }

    #[test]
    fn messages_that_were_sent_one_after_the_other_go_together_and_those_that_only_came_in_together_do_not() {
        use crate::store::bundle::{Next, PAUSE, next};
        for (apart, together) in [(2, 2), (60, 1)] {
            let mut bench = Bench::new();
            let mut batch = [message(10, 1, 42, &"a".repeat(SPLIT_TEXT)), message(11, 2, 42, "b")];
            batch[0]["message"]["date"] = json!(1_000);
            batch[1]["message"]["date"] = json!(1_000 + apart);
            bench.write(|tx| take_in(tx, &intake(), &batch));
            let pause = i64::try_from(PAUSE.as_millis()).expect("it fits");
            let later = crate::store::now_ms() + 2 * pause;
            let Next::Ready(bundle) = bench.write(|tx| next(tx, later)) else { panic!("nothing to do") };
            assert_eq!(bundle.messages.len(), together, "{apart} s apart");
        }
    }

    #[test]
    fn update_ids_that_restart_lower_are_followed() {
        let mut bench = Bench::new();
        bench.write(|tx| take_in(tx, &intake(), &[message(900, 1, 42, "a")]));
        bench.write(|tx| take_in(tx, &intake(), &[message(5, 2, 42, "b")]));
        assert_eq!(bench.read(facts::next_update), 6);
    }
}
