//! What there is at the start: the snapshot, and the conversations that cannot be left alone until somebody asks
//! for them. Nothing here reads more of the journal than a start may take, however long it is.

use std::path::Path;

use carcin_proto::{ConversationKey, Frame, Kind, Seq, Snapshot};
use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;

use super::schema::{SNAPSHOT_FORMAT, sqlite};
use super::{StoreError, rebuild};
use crate::rows::{ConversationRow, Loaded};

/// The most events that are replayed at a start. The snapshot is stored more often than that; where it is not there,
/// or is that old, it is made anew from the rows.
const MAX_REPLAY: u64 = 8192;

/// The conversations with something open: a child, a prompt that is not settled, a line to Claude without a receipt,
/// a question. Each part is a look at an index that holds nothing else.
const AWAKE: &str = "SELECT key FROM conversation WHERE child IS NOT NULL
    UNION SELECT conversation FROM prompt WHERE settled = 0
    UNION SELECT conversation FROM input
    UNION SELECT conversation FROM request WHERE settled = 0
    ORDER BY 1";

/// What the conversations with something open start from. One that cannot be read is left out: the others are not to
/// suffer for it, and its Claude ends as every other does that no conversation knows.
pub(super) fn awake(connection: &Connection, path: &Path) -> Result<Vec<Loaded>, StoreError> {
    let keys = texts(connection, AWAKE, []).map_err(|error| sqlite(path, &error))?;
    let mut all = Vec::new();
    for key in keys {
        match conversation(connection, path, &key) {
            Ok(loaded) => all.extend(loaded),
            Err(error @ StoreError::Row(_)) => {
                tracing::error!(conversation = key, %error, "a conversation cannot be taken up");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// What one conversation starts from; `None`: there is no such conversation.
pub(super) fn conversation(
    connection: &Connection,
    path: &Path,
    key: &str,
) -> Result<Option<Loaded>, StoreError> {
    let fail = |error: rusqlite::Error| sqlite(path, &error);
    let row = connection
        .prepare_cached("SELECT row FROM conversation WHERE key = ?1")
        .and_then(|mut statement| statement.query_row([key], |row| row.get::<_, String>(0)).optional());
    let Some(row) = row.map_err(fail)? else { return Ok(None) };
    let conversation: ConversationRow = parse(&row)?;
    let of = |sql: &str| texts(connection, sql, [key]).map_err(fail);
    Ok(Some(Loaded {
        prompts: parse_all(&of(
            "SELECT row FROM prompt WHERE conversation = ?1 AND settled = 0 ORDER BY position",
        )?)?,
        inputs: parse_all(&of("SELECT row FROM input WHERE conversation = ?1 ORDER BY position")?)?,
        requests: parse_all(&of(
            "SELECT row FROM request WHERE conversation = ?1 AND settled = 0 ORDER BY position",
        )?)?,
        conversation,
        key: ConversationKey::new(key).map_err(|error| StoreError::Row(error.to_string()))?,
    }))
}

/// The state after `head`, and how many events had to be replayed for it.
pub(super) fn snapshot(
    connection: &Connection,
    path: &Path,
    head: Seq,
    awake: &[Loaded],
) -> Result<(Snapshot, u64), StoreError> {
    let fail = |error: rusqlite::Error| sqlite(path, &error);
    let stored: Option<Vec<u8>> = connection
        .query_row("SELECT payload FROM snapshot WHERE format = ?1", params![SNAPSHOT_FORMAT], |row| {
            row.get(0)
        })
        .optional()
        .map_err(fail)?;
    let stored = stored.and_then(|payload| carcin_proto::decode(&payload).ok());
    let replayed = match stored {
        Some(snapshot) => replay(connection, snapshot).map_err(fail)?,
        // The journal has been used little: all that ever happened is still in it.
        None if is_whole(connection).map_err(fail)? => {
            replay(connection, Snapshot::default()).map_err(fail)?
        }
        None => None,
    };
    if let Some((mut snapshot, count)) = replayed {
        snapshot.skip(head);
        return Ok((snapshot, count));
    }
    tracing::warn!("the journal has no snapshot that could be gone on from; making it anew");
    Ok((rebuild::snapshot(connection, path, head, awake)?, MAX_REPLAY))
}

/// Whether the first event of all is there, or nothing has happened yet.
fn is_whole(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM event WHERE seq = 1) OR (SELECT max(rowid) FROM conversation) IS NULL",
        [],
        |row| row.get(0),
    )
}

/// Takes in what has happened since; `None`: that is too much.
fn replay(connection: &Connection, mut snapshot: Snapshot) -> rusqlite::Result<Option<(Snapshot, u64)>> {
    let mut after =
        connection.prepare("SELECT seq, kind, payload FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let limit = MAX_REPLAY + 1;
    let mut rows = after.query(params![snapshot.seq.0.cast_signed(), limit.cast_signed()])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let (seq, frame) = event_frame(row)?;
        match frame.decode_durable() {
            Ok(Some(envelope)) => snapshot.apply(seq, &envelope),
            Ok(None) | Err(_) => snapshot.skip(seq),
        }
    }
    Ok((count <= MAX_REPLAY).then_some((snapshot, count)))
}

/// A row of `SELECT seq, kind, payload`.
pub(super) fn event_frame(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Seq, Frame)> {
    let seq: i64 = row.get(0)?;
    let payload: Vec<u8> = row.get(2)?;
    let seq = Seq(seq.cast_unsigned());
    Ok((seq, Frame { kind: Kind(row.get(1)?), seq: seq.0, payload: payload.into() }))
}

fn texts(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<Vec<String>> {
    connection.prepare_cached(sql)?.query_map(values, |row| row.get(0))?.collect()
}

fn parse_all<T: DeserializeOwned>(rows: &[String]) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| parse(row)).collect()
}

pub(super) fn parse<T: DeserializeOwned>(row: &str) -> Result<T, StoreError> {
    serde_json::from_str(row).map_err(|error| StoreError::Row(error.to_string()))
}
