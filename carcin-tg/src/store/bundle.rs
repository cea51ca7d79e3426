//! Which messages go as one prompt: albums, texts that Telegram split, and what follows them within a moment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{OptionalExtension, Row as SqlRow, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::inbox::{self, Burst, Composed, Row};
use super::quarantine::{self, Table};
use super::{Reader, StoreError, Transaction};
use crate::queue::MessageRef;

/// How long more of a burst is waited for.
pub const PAUSE: Duration = Duration::from_secs(3);
/// The most messages in one prompt: a text of a million characters, and 25 full albums.
pub const MOST: usize = 256;
/// How far apart Telegram's clocks may have the messages of a burst, in seconds: they are full ones, and a client's messages
/// come one after the other.
const SAME_MOMENT: i64 = 5;
/// The most places looked at in one go.
const PLACES: i64 = 64;

/// What a fetched file gives to a prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where the file is.
    pub path: Option<PathBuf>,
    /// What it is, for Claude to read.
    pub what: String,
    /// Whether Claude is to see it.
    #[serde(default)]
    pub image: bool,
    /// What was said in it, where that is known.
    #[serde(default)]
    pub words: Option<String>,
    /// There is none, and the rest goes without it.
    #[serde(default)]
    pub missing: bool,
}

/// Messages that go as one prompt.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The row that stands for all of them.
    pub head: Row,
    /// The rows that go with it, by id.
    pub others: Vec<i64>,
    /// The messages, in the chat's order: the update, and what its file gives.
    pub messages: Vec<(Value, Option<Part>)>,
}

/// What is to be done in the lane of the prompts.
#[derive(Debug)]
pub enum Next {
    /// This.
    Ready(Box<Bundle>),
    /// Nothing before this time has passed.
    Later(Duration),
    /// Nothing.
    Nothing,
}

/// A row as far as the joining looks at it.
struct Candidate {
    id: i64,
    sender: Option<i64>,
    burst: i64,
    needs: bool,
    at: i64,
    /// When Telegram got it, in seconds.
    sent: Option<i64>,
}

impl Candidate {
    /// Whether this one came in with `last`: also where both were fetched later, all at once.
    fn is_with(&self, last: &Self, pause: i64) -> bool {
        let together = self.sent.zip(last.sent).is_none_or(|(this, last)| this - last <= SAME_MOMENT);
        self.at - last.at <= pause && together
    }
}

/// The oldest prompt that can go, at `now`. In each place the order is kept; a place that waits holds up no other. A
/// prompt waits for the stops that were sent before it in the same place, and for the presses, which say whether it is
/// an answer: but not for one that is known to wait for the daemon.
pub fn next(tx: &Reader<'_>, now: i64) -> Result<Next, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT min(id) FROM inbox AS this
         WHERE lane = 'prompt' AND state IN ('received', 'submitted') AND joined IS NULL
           AND NOT EXISTS (
               SELECT 1 FROM inbox AS first WHERE first.chat = this.chat
                  AND first.thread IS this.thread AND first.id < this.id
                  AND (first.lane = 'stop' OR (first.lane = 'button' AND first.told = 0))
                  AND first.state IN ('received', 'submitted'))
         GROUP BY chat, thread ORDER BY 1 LIMIT ?1",
    )?;
    let heads: Vec<i64> = statement.query_map([PLACES], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut later: Option<Duration> = None;
    for id in heads {
        let head = inbox::row(tx, id)?;
        if head.submitted || head.composed.is_some() {
            return Ok(Next::Ready(Box::new(Bundle { head, others: Vec::new(), messages: Vec::new() })));
        }
        match gather(tx, id, now)? {
            Gathered::All(ids) => return Ok(Next::Ready(Box::new(load(tx, head, &ids)?))),
            Gathered::MoreIn(wait) => later = Some(later.map_or(wait, |later| later.min(wait))),
            Gathered::Fetching => {}
        }
    }
    Ok(later.map_or(Next::Nothing, Next::Later))
}

enum Gathered {
    /// These go.
    All(Vec<i64>),
    /// More may come until this has passed.
    MoreIn(Duration),
    /// A file is not there yet.
    Fetching,
}

fn gather(tx: &Reader<'_>, head: i64, now: i64) -> Result<Gathered, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT id, sender, burst, needs, at,
                iif(json_valid(raw), json_extract(raw, '$.message.date'), NULL) FROM inbox
         WHERE lane = 'prompt' AND state = 'received' AND id >= ?1
           AND (chat, coalesce(thread, 0)) = (SELECT chat, coalesce(thread, 0) FROM inbox WHERE id = ?1)
         ORDER BY id LIMIT ?2",
    )?;
    let rows = statement.query_map(params![head, i64::try_from(MOST + 1).unwrap_or(i64::MAX)], |row| {
        Ok(Candidate {
            id: row.get(0)?,
            sender: row.get(1)?,
            burst: row.get(2)?,
            needs: row.get(3)?,
            at: row.get(4)?,
            sent: row.get(5)?,
        })
    })?;
    let rows: Vec<Candidate> = rows.collect::<Result<_, _>>()?;
    let pause = i64::try_from(PAUSE.as_millis()).unwrap_or(i64::MAX);
    let mut rows = rows.into_iter();
    let mut members: Vec<Candidate> = rows.next().into_iter().collect();
    let waits = [Burst::Waits as i64, Burst::Begins as i64];
    let mut complete = members.iter().all(|head| !waits.contains(&head.burst));
    for row in rows {
        let Some(last) = members.last() else { break };
        let is_apart = [Burst::Alone as i64, Burst::Begins as i64].contains(&row.burst);
        let goes_with = !is_apart && row.sender == last.sender && row.is_with(last, pause);
        if complete || !goes_with || members.len() == MOST {
            complete = true;
            break;
        }
        members.push(row);
    }
    let fetching = members.iter().any(|row| row.needs);
    // A clock that was set back would have it wait for long.
    let since = members.last().map_or(pause, |last| if last.at > now { pause } else { now - last.at });
    Ok(match (complete || since >= pause, fetching) {
        (false, _) => Gathered::MoreIn(Duration::from_millis((pause - since).unsigned_abs())),
        (true, true) => Gathered::Fetching,
        (true, false) => Gathered::All(members.into_iter().map(|row| row.id).collect()),
    })
}

fn load(tx: &Reader<'_>, head: Row, ids: &[i64]) -> Result<Bundle, StoreError> {
    let others = ids.iter().copied().filter(|id| *id != head.id).collect();
    let messages = messages(tx, ids)?;
    Ok(Bundle { head, others, messages })
}

/// A message as a row has it.
struct Seen {
    id: i64,
    raw: Value,
    part: Option<Part>,
}

/// The messages of these rows, in the chat's order; of one that was edited the last state.
pub fn messages(tx: &Reader<'_>, ids: &[i64]) -> Result<Vec<(Value, Option<Part>)>, StoreError> {
    let mut found: BTreeMap<Option<i64>, Seen> = BTreeMap::new();
    for id in ids {
        let read = |row: &SqlRow<'_>| {
            let message = row.get(0)?;
            let seen = quarantine::reading(Table::Inbox, *id, || {
                let (raw, part): (String, Option<String>) = (row.get(1)?, row.get(2)?);
                let part = part.map(|part| serde_json::from_str(&part)).transpose()?;
                Ok(Seen { id: *id, raw: serde_json::from_str(&raw)?, part })
            });
            Ok((message, seen))
        };
        let (message, seen) =
            tx.query_row("SELECT message, raw, part FROM inbox WHERE id = ?1", [id], read)?;
        // The later row is the later state.
        if found.get(&message).is_none_or(|seen| seen.id < *id) {
            found.insert(message, seen?);
        }
    }
    Ok(found.into_values().map(|seen| (seen.raw, seen.part)).collect())
}

/// The rows go as this prompt from here on, which may reach the daemon. `false`: taken back in the meantime.
pub fn submit(
    tx: &Transaction<'_>,
    head: i64,
    others: &[i64],
    composed: &Composed,
) -> Result<bool, StoreError> {
    let composed = serde_json::to_string(composed)?;
    let open = tx.execute(
        "UPDATE inbox SET composed = ?2 WHERE id = ?1 AND state IN ('received', 'submitted') AND cancelled_by IS NULL",
        params![head, composed],
    )?;
    if open == 0 {
        return Ok(false);
    }
    if !join(tx, head, others)? {
        tx.execute("UPDATE inbox SET composed = NULL WHERE id = ?1", [head])?;
        return Ok(false);
    }
    inbox::submit(tx, head)
}

/// The rows go with `head`. `false`: one was taken back or edited meanwhile, and was seen as it is no longer: again, from the
/// beginning.
fn join(tx: &Transaction<'_>, head: i64, others: &[i64]) -> Result<bool, StoreError> {
    for id in others {
        let join = "UPDATE inbox SET joined = ?2 WHERE id = ?1 AND state = 'received'";
        if tx.execute(join, params![id, head])? == 0 {
            tx.execute("UPDATE inbox SET joined = NULL WHERE joined = ?1", [head])?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// The rows are one message from here on, with this text: unless one of them is no longer what it was.
pub fn make_one(tx: &Transaction<'_>, head: i64, others: &[i64], text: &str) -> Result<(), StoreError> {
    if !join(tx, head, others)? {
        return Ok(());
    }
    tx.execute(
        "UPDATE inbox SET content = ?2, burst = ?3,
                raw = json_remove(json_replace(raw, '$.message.text', ?2), '$.message.entities')
         WHERE id = ?1",
        params![head, text, Burst::Alone as i64],
    )?;
    Ok(())
}

/// The prompt that an edited message was accepted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The row that stands for it.
    pub head: i64,
    /// Its key.
    pub key: String,
    /// All rows that went with it, the head included.
    pub rows: Vec<i64>,
}

/// What an edited message was accepted with, before this row.
pub fn earlier(tx: &Reader<'_>, chat: i64, message: i64, before: i64) -> Result<Option<Earlier>, StoreError> {
    let head: Option<i64> = tx
        .query_row(
            "SELECT coalesce(joined, id) FROM inbox
             WHERE chat = ?1 AND message = ?2 AND id < ?3 AND lane = 'prompt' AND state = 'accepted'
             ORDER BY id DESC LIMIT 1",
            params![chat, message, before],
            |row| row.get(0),
        )
        .optional()?;
    let Some(head) = head else { return Ok(None) };
    // What has no prompt was a command of Carcin's. What was made one with others is no longer in pieces.
    let key: Option<String> = tx
        .query_row(
            "SELECT key FROM inbox WHERE id = ?1 AND composed IS NOT NULL AND (message = ?2 OR burst <> ?3)",
            params![head, message, Burst::Alone as i64],
            |row| row.get(0),
        )
        .optional()?;
    let Some(key) = key else { return Ok(None) };
    let mut statement = tx.prepare_cached(
        "SELECT id FROM inbox WHERE (id = ?1 OR joined = ?1) AND state = 'accepted' ORDER BY id",
    )?;
    let rows = statement.query_map([head], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Some(Earlier { head, key, rows }))
}

/// What went with the prompt of the row `old` goes with that of `new`, which has replaced it.
pub fn adopt(tx: &Transaction<'_>, old: i64, new: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE inbox SET joined = ?2 WHERE (id = ?1 OR joined = ?1) AND state = 'accepted'",
        params![old, new],
    )?;
    Ok(())
}

/// A row whose file is to be fetched.
#[derive(Debug, Clone)]
pub struct ToFetch {
    /// The row.
    pub id: i64,
    /// The update.
    pub raw: Value,
    /// The message that tells of the fetching, where there is one.
    pub note: Option<MessageRef>,
}

/// The oldest rows whose files are to be fetched, less those in `busy`.
pub fn to_fetch(tx: &Reader<'_>, busy: &[i64], limit: usize) -> Result<Vec<ToFetch>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT id, raw, note FROM inbox
         WHERE lane = 'prompt' AND state = 'received' AND needs = 1 ORDER BY id LIMIT ?1",
    )?;
    let all = i64::try_from(busy.len() + limit).unwrap_or(i64::MAX);
    let rows = statement.query_map([all], read_to_fetch)?;
    let mut found = rows.collect::<rusqlite::Result<Result<Vec<_>, _>>>()??;
    found.retain(|row| !busy.contains(&row.id));
    found.truncate(limit);
    Ok(found)
}

/// A row whose file is to be fetched; `None`: no longer.
pub fn row_to_fetch(tx: &Reader<'_>, id: i64) -> Result<Option<ToFetch>, StoreError> {
    let wanted = "SELECT id, raw, note FROM inbox WHERE id = ?1 AND state = 'received' AND needs = 1";
    tx.query_row(wanted, [id], read_to_fetch).optional()?.transpose()
}

fn read_to_fetch(row: &SqlRow<'_>) -> rusqlite::Result<Result<ToFetch, StoreError>> {
    let id = row.get(0)?;
    Ok(quarantine::reading(Table::Inbox, id, || {
        let (raw, note): (String, Option<i64>) = (row.get(1)?, row.get(2)?);
        Ok(ToFetch { id, raw: serde_json::from_str(&raw)?, note: note.map(MessageRef) })
    }))
}

/// Whether a row's file is still wanted.
pub fn is_wanted(tx: &Reader<'_>, id: i64) -> Result<bool, StoreError> {
    let count = "SELECT count(*) FROM inbox WHERE id = ?1 AND state = 'received' AND needs = 1";
    Ok(tx.query_row(count, [id], |row| row.get::<_, i64>(0))? > 0)
}

/// The file is there. `false`: nobody wants it any longer.
pub fn fetched(tx: &Transaction<'_>, id: i64, part: &Part) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE inbox SET needs = 0, part = ?2 WHERE id = ?1 AND state = 'received'",
        params![id, serde_json::to_string(part)?],
    )?;
    Ok(changed == 1)
}

/// Remembers the message that tells of the fetching.
pub fn set_note(tx: &Transaction<'_>, id: i64, note: MessageRef) -> Result<(), StoreError> {
    tx.execute("UPDATE inbox SET note = ?2 WHERE id = ?1", params![id, note.0])?;
    Ok(())
}
