//! Letting go of what is settled for good.
//!
//! A settled prompt is kept so that the same key again is the same prompt, a settled request so that a second answer
//! hears of the first. Telegram delivers an update again for a day; buttons are pressed for longer. So the row stays
//! for [`KEPT_FOR`], and the newest [`KEPT`] of all conversations stay in any case: whatever becomes of the clock, what
//! was just settled is known.

use std::time::Duration;

use carcin_proto::Millis;
use rusqlite::{Transaction, params};

/// How long a settled row is kept.
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// How many of the newest rows are kept, however old they are.
pub(super) const KEPT: u64 = 10_000;
/// How many of the oldest rows one step looks at. A step belongs to 512 events, which settle fewer than these.
pub(super) const STEP: u64 = 512;

const PROMPTS: &str = "DELETE FROM prompt WHERE rowid IN (
    SELECT id FROM (SELECT rowid AS id, settled FROM prompt
        WHERE rowid <= (SELECT max(rowid) FROM prompt) - ?1 ORDER BY rowid LIMIT ?2)
    WHERE settled <> 0 AND settled < ?3)";
const REQUESTS: &str = "DELETE FROM request WHERE rowid IN (
    SELECT id FROM (SELECT rowid AS id, settled FROM request
        WHERE rowid <= (SELECT max(rowid) FROM request) - ?1 ORDER BY rowid LIMIT ?2)
    WHERE settled <> 0 AND settled < ?3)";

/// One step of it.
pub(super) fn settled(transaction: &Transaction<'_>, now: Millis) -> rusqlite::Result<()> {
    let kept = u64::try_from(KEPT_FOR.as_millis()).unwrap_or(u64::MAX);
    let before = now.0.saturating_sub(kept);
    for sql in [PROMPTS, REQUESTS] {
        let values = params![KEPT.cast_signed(), STEP.cast_signed(), before.cast_signed()];
        transaction.prepare_cached(sql)?.execute(values)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::schema::{connect, migrate};
    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    /// A journal with so many prompts, `settled` as told by number.
    fn journal(count: u64, settled: impl Fn(u64) -> u64) -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal.db");
        let mut journal = connect(&path).expect("a journal");
        migrate(&mut journal, &path).expect("the newest version");
        let transaction = journal.transaction().expect("a transaction");
        for number in 1..=count {
            transaction
                .execute(
                    "INSERT INTO prompt (id, conversation, key, position, settled, row) VALUES (?1, 'c', ?1, 1, ?2, '{}')",
                    params![number.to_string(), settled(number).cast_signed()],
                )
                .expect("a row");
        }
        transaction.commit().expect("a commit");
        (dir, journal)
    }

    fn step(journal: &mut Connection) {
        let transaction = journal.transaction().expect("a transaction");
        settled(&transaction, NOW).expect("a step");
        transaction.commit().expect("a commit");
    }

    /// The lowest number left, and how many there are.
    fn left(journal: &Connection) -> (u64, u64) {
        let numbers = "SELECT min(CAST(id AS INTEGER)), count(*) FROM prompt";
        let (lowest, count): (i64, i64) =
            journal.query_row(numbers, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("what is left");
        (lowest.cast_unsigned(), count.cast_unsigned())
    }

    #[test]
    fn what_was_settled_long_ago_goes_in_steps_and_the_newest_stay() {
        let (_dir, mut journal) = journal(KEPT + STEP + 10, |_| 1);
        step(&mut journal);
        assert_eq!(left(&journal), (STEP + 1, KEPT + 10));
        step(&mut journal);
        assert_eq!(left(&journal), (STEP + 11, KEPT));
        step(&mut journal);
        assert_eq!(left(&journal), (STEP + 11, KEPT));
    }

    #[test]
    fn what_is_open_or_was_settled_lately_stays() {
        let lately = NOW.0 - 24 * 3600 * 1000;
        let (_dir, mut journal) = journal(KEPT + 30, |number| match number % 3 {
            0 => 0,
            1 => lately,
            _ => 1,
        });
        step(&mut journal);
        assert_eq!(left(&journal), (1, KEPT + 20));
    }
}
