//! What Claude used: of each conversation's session, and of each day.

use carcin_proto::event::{Event, Usage};
use carcin_proto::{ConversationKey, Envelope, Millis};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{OptionalExtension, Row, params};

use super::{Reader, StoreError, Transaction};
use crate::view::usage::Spent;

/// More is no figure of anything. SQLite makes a real number of a sum that is too large, which no column here takes.
const MOST: i64 = 1 << 62;

/// Takes in what an event says of it. What Claude tells of the cost is the running total of its process, so what a
/// turn cost is what that has grown by: this, in millionths of a dollar.
pub fn event(tx: &Transaction<'_>, envelope: &Envelope) -> Result<u64, StoreError> {
    let conversation = envelope.conversation.as_str();
    match &envelope.event {
        Event::TurnEnded(ended) => return turn(tx, conversation, envelope.at, &ended.usage),
        Event::SessionChanged(_) => {
            tx.execute(
                "UPDATE session_use SET cost_micro_usd = 0, input_tokens = 0, output_tokens = 0, turns = 0
                 WHERE conversation = ?1",
                [conversation],
            )?;
        }
        Event::ProcessStarted(started) if !started.adopted => {
            tx.execute("UPDATE session_use SET told_micro_usd = 0 WHERE conversation = ?1", [conversation])?;
        }
        _ => {}
    }
    Ok(0)
}

fn turn(tx: &Transaction<'_>, conversation: &str, at: Millis, usage: &Usage) -> Result<u64, StoreError> {
    let told: Option<i64> = tx
        .query_row("SELECT told_micro_usd FROM session_use WHERE conversation = ?1", [conversation], |row| {
            row.get(0)
        })
        .optional()?;
    let told = told.unwrap_or(0).cast_unsigned();
    // Nothing told is no cost of nothing. Less than before is another process, whose start was not seen.
    let (told, cost) = match usage.cost_micro_usd {
        0 => (told, 0),
        now if now >= told => (now, now - told),
        now => (now, now),
    };
    let whole = |number: u64| i64::try_from(number).unwrap_or(MOST).min(MOST);
    let (grown, cost) = (cost, whole(cost));
    let (input, output) = (whole(usage.input_tokens), whole(usage.output_tokens));
    tx.execute(
        "INSERT INTO session_use (conversation, told_micro_usd, cost_micro_usd, input_tokens, output_tokens, turns)
         VALUES (?1, ?2, ?3, ?4, ?5, 1)
         ON CONFLICT (conversation) DO UPDATE SET told_micro_usd = ?2,
             cost_micro_usd = min(cost_micro_usd + ?3, ?6), input_tokens = min(input_tokens + ?4, ?6),
             output_tokens = min(output_tokens + ?5, ?6), turns = turns + 1",
        params![conversation, whole(told), cost, input, output, MOST],
    )?;
    tx.execute(
        "INSERT INTO day_use (day, cost_micro_usd, input_tokens, output_tokens, turns, at)
         VALUES (?1, ?2, ?3, ?4, 1, ?5)
         ON CONFLICT (day) DO UPDATE SET cost_micro_usd = min(cost_micro_usd + ?2, ?6),
             input_tokens = min(input_tokens + ?3, ?6), output_tokens = min(output_tokens + ?4, ?6),
             turns = turns + 1, at = ?5",
        params![day(at), cost, input, output, whole(at.0), MOST],
    )?;
    Ok(grown)
}

/// What the conversation's session has used here.
pub fn of_session(tx: &Reader<'_>, conversation: &ConversationKey) -> Result<Spent, StoreError> {
    let query =
        "SELECT cost_micro_usd, input_tokens, output_tokens, turns FROM session_use WHERE conversation = ?1";
    Ok(tx.query_row(query, [conversation.as_str()], read).optional()?.unwrap_or_default())
}

/// What all conversations have used on the day of this moment.
pub fn of_day(tx: &Reader<'_>, at: Millis) -> Result<Spent, StoreError> {
    let query = "SELECT cost_micro_usd, input_tokens, output_tokens, turns FROM day_use WHERE day = ?1";
    Ok(tx.query_row(query, [day(at)], read).optional()?.unwrap_or_default())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Spent> {
    let number = |index| row.get::<_, i64>(index).map(i64::cast_unsigned);
    Ok(Spent {
        cost_micro_usd: number(0)?,
        input_tokens: number(1)?,
        output_tokens: number(2)?,
        turns: number(3)?,
    })
}

/// The local date.
fn day(at: Millis) -> String {
    let moment = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.unwrap_or_default().to_zoned(TimeZone::system()).date().to_string()
}

/// Forgets days that ended before this moment.
pub(super) fn prune(tx: &Transaction<'_>, before: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM day_use WHERE at < ?1", [before])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use carcin_proto::TurnId;
    use carcin_proto::event::{ProcessStarted, SessionCause, SessionChanged, TurnEnded, TurnOutcome};

    use super::super::testing::Bench;
    use super::*;

    const NOON: u64 = 1_800_000_000_000;
    const DAY: u64 = 24 * 3_600_000;

    fn here() -> ConversationKey {
        "tg:1".parse().expect("a key")
    }

    fn happens(bench: &mut Bench, at: u64, it: impl Into<Event>) -> u64 {
        let envelope = Envelope { conversation: here(), at: Millis(at), event: it.into() };
        bench.write(|tx| event(tx, &envelope))
    }

    fn turn_ended(cost: u64) -> TurnEnded {
        let usage = Usage { cost_micro_usd: cost, input_tokens: 100, output_tokens: 10, ..Usage::default() };
        TurnEnded { turn: TurnId(1), outcome: TurnOutcome::Completed, duration: Millis(1), usage }
    }

    fn started(adopted: bool) -> ProcessStarted {
        ProcessStarted { pid: 1, adopted }
    }

    #[test]
    fn a_running_total_is_counted_once() {
        let mut bench = Bench::new();
        happens(&mut bench, NOON, started(false));
        let turns = [1000, 0, 1500].map(|told| happens(&mut bench, NOON, turn_ended(told)));
        assert_eq!(turns, [1000, 0, 500], "each turn's own");
        happens(&mut bench, NOON, started(true));
        assert_eq!(happens(&mut bench, NOON, turn_ended(1600)), 100);
        assert_eq!(bench.write(|tx| of_session(tx, &here())).cost_micro_usd, 1600);
        // Another process begins at nothing; one whose start was not seen tells less than the last.
        happens(&mut bench, NOON, started(false));
        happens(&mut bench, NOON, turn_ended(1700));
        happens(&mut bench, NOON, turn_ended(50));
        let spent = bench.write(|tx| of_session(tx, &here()));
        assert_eq!(spent.cost_micro_usd, 1600 + 1700 + 50);
        assert_eq!((spent.input_tokens, spent.output_tokens, spent.turns), (600, 60, 6));
    }

    #[test]
    fn a_day_has_all_sessions_and_a_session_its_own() {
        let mut bench = Bench::new();
        happens(&mut bench, NOON, turn_ended(1000));
        let changed = SessionChanged { session: None, cwd: "/".into(), cause: SessionCause::New };
        happens(&mut bench, NOON, changed);
        happens(&mut bench, NOON, turn_ended(300));
        happens(&mut bench, NOON + DAY, turn_ended(400));
        bench.reopen();
        assert_eq!(bench.write(|tx| of_session(tx, &here())).cost_micro_usd, 400);
        assert_eq!(bench.write(|tx| of_day(tx, Millis(NOON))).cost_micro_usd, 1300);
        assert_eq!(bench.write(|tx| of_day(tx, Millis(NOON + DAY))).cost_micro_usd, 100);
        assert_eq!(bench.write(|tx| of_day(tx, Millis(NOON + 2 * DAY))), Spent::default());
    }
    #[test]
    fn numbers_of_any_size_harm_nobody() {
        let mut bench = Bench::new();
        for _ in 0..3 {
            happens(&mut bench, NOON, started(false));
            happens(&mut bench, NOON, turn_ended(u64::MAX));
        }
        assert_eq!(bench.write(|tx| of_session(tx, &here())).cost_micro_usd, MOST.cast_unsigned());
        assert_eq!(bench.write(|tx| of_day(tx, Millis(NOON))).turns, 3);
    }
}
