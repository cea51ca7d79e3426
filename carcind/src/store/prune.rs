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
