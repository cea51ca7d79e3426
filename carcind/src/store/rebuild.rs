//! A snapshot from the rows, where the stored one is lost: what is open is in the rows, and of the rest those
//! conversations count that the end of the journal speaks of. Replaying a whole journal would take minutes.

use std::collections::BTreeSet;
use std::path::Path;

use carcin_proto::event::ToolStarted;
use carcin_proto::snapshot::{MAX_CONVERSATIONS, MAX_QUEUED_TEXT, QueuedPrompt, Turn};
use carcin_proto::{BlockId, Conversation, Millis, Seq, Snapshot};
use rusqlite::Connection;

use super::StoreError;
use super::load::{conversation, event_frame};
use super::schema::sqlite;
use crate::rows::{Loaded, PromptState, TurnRow};

/// How much of the journal's end is looked at.
const TAIL: usize = 20_000;

/// The state after `head`: all that is open, and who was active last. Of todo lists nothing is known until they
/// change.
pub(super) fn snapshot(
    connection: &Connection,
    path: &Path,
    head: Seq,
    awake: &[Loaded],
) -> Result<Snapshot, StoreError> {
    let active = active(connection).map_err(|error| sqlite(path, &error))?;
    let mut snapshot = Snapshot { seq: head, ..Snapshot::default() };
    let at = |key: &str| active.iter().find(|(known, _)| known == key).map_or(Millis(0), |(_, at)| *at);
    for loaded in awake {
        let state = state(loaded, at(loaded.key.as_str()));
        snapshot.conversations.insert(loaded.key.clone(), state);
    }
    for (key, at) in &active {
        if snapshot.conversations.len() >= MAX_CONVERSATIONS {
            break;
        }
        match conversation(connection, path, key) {
            Ok(Some(loaded)) => {
                let state = state(&loaded, *at);
                snapshot.conversations.entry(loaded.key).or_insert(state);
            }
            Ok(None) | Err(StoreError::Row(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(snapshot)
}

/// The conversations that the journal's end speaks of, with the moment, latest first.
fn active(connection: &Connection) -> rusqlite::Result<Vec<(String, Millis)>> {
    let mut latest = connection
        .prepare("SELECT seq, kind, payload, conversation FROM event ORDER BY seq DESC LIMIT ?1")?;
    let mut rows = latest.query([i64::try_from(TAIL).unwrap_or(i64::MAX)])?;
    let mut found: Vec<(String, Millis)> = Vec::new();
    let mut known = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get(3)?;
        if known.contains(&key) {
            continue;
        }
        if let Ok(Some(envelope)) = event_frame(row)?.1.decode_durable() {
            known.insert(key.clone());
            found.push((key, envelope.at));
        }
        if found.len() >= MAX_CONVERSATIONS {
            break;
        }
    }
    Ok(found)
}

fn state(loaded: &Loaded, active_at: Millis) -> Conversation {
    let row = &loaded.conversation;
    let waiting = loaded.prompts.iter().filter(|prompt| prompt.state != PromptState::Started);
    let queue = waiting.map(|prompt| QueuedPrompt {
        prompt: prompt.id,
        text: prompt.text.chars().take(MAX_QUEUED_TEXT).collect(),
    });
    Conversation {
        cwd: row.cwd.clone(),
        session: row.session.clone(),
        settings: row.actual.clone(),
        claude_pid: row.child.as_ref().and_then(|child| child.pid),
        turn: row.turn.as_ref().map(|turn| running(turn, loaded)),
        queue: queue.collect(),
        requests: loaded.requests.iter().map(|request| (request.at, request.opened.clone())).collect(),
        todos: Vec::new(),
        tasks: row.tasks.clone(),
        active_at,
        unrecognised: row.unrecognised,
    }
}

fn running(turn: &TurnRow, loaded: &Loaded) -> Turn {
    let begun = loaded.prompts.iter().filter(|prompt| prompt.state == PromptState::Started);
    let tools = turn.tools.iter().map(|(tool_use, tool)| {
        let started = ToolStarted {
            turn: turn.turn,
            block: BlockId(0),
            tool_use: tool_use.clone(),
            name: tool.name.clone(),
            summary: String::new(),
            input: String::new(),
            parent: None,
        };
        (tool.started_at, started)
    });
    Turn {
        turn: turn.turn,
        prompts: begun.map(|prompt| prompt.id).collect(),
        started_at: turn.started_at,
        tools: u32::try_from(turn.tools.len()).unwrap_or(u32::MAX),
        running: tools.collect(),
    }
}
