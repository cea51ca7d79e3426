//! The thread that writes: it numbers, stores, reduces and publishes, in this order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use carcin_proto::{ConversationKey, Event, JournalId, Millis, Seq, SessionId, Snapshot};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::frames::{Publisher, Written, encode};
use super::schema::{EVENT_FORMAT, SNAPSHOT_FORMAT, connect, migrate, sqlite};
use crate::fault::{self, Point};

use super::{Commit, StoreError, Write, load, prune};
use crate::rows::{ConversationRow, Loaded, PromptRow, PromptState, RequestRow, RequestState, Row};

/// How many commits share one transaction, at most.
const GROUP: usize = 64;
/// The snapshot is stored every so many events, so that a start replays at most these.
const SNAPSHOT_EVERY: u64 = 512;
/// How many events are kept unless told otherwise.
pub const KEEP_DEFAULT: u64 = 1_000_000;
/// How many events are kept at least: the stored snapshot must be among them, and a client that was away for a
/// moment is to find what it missed.
pub const KEEP_AT_LEAST: u64 = 5_000;
/// Events are let go in steps of this: few enough that no commit is late for them.
const PRUNE_STEP: u64 = 64;
/// For one event that comes, so many are let go at most, so that no commit pays for a long past.
const PRUNE_RATE: u64 = 2;
/// How long a commit waits for somebody else's lock on the journal.
const BUSY: std::time::Duration = std::time::Duration::from_millis(250);
/// The jump of `seq` after a reboot.
const BOOT_JUMP: u64 = 1 << 32;

/// The journal's owner.
pub(super) struct Writer {
    path: PathBuf,
    connection: Connection,
    journal: JournalId,
    /// The last number given out.
    head: Seq,
    /// The number of events since the snapshot was stored.
    unsaved: u64,
    /// How many events are to be kept.
    keep: u64,
    /// How many events are pruned.
    pruned: u64,
    /// How many may be pruned for those that have come since.
    prunable: u64,
    /// Whether a commit is synced, as the connection is set now.
    syncing: bool,
    publisher: Arc<Publisher>,
    trouble: watch::Sender<Option<StoreError>>,
}

/// Who waits for a commit.
type Reply = oneshot::Sender<Result<Seq, StoreError>>;

impl Writer {
    /// With a publisher whose ring has so many places.
    pub(super) fn open(
        path: &Path,
        boot: &str,
        keep: u64,
        ring: usize,
        trouble: watch::Sender<Option<StoreError>>,
    ) -> Result<(Self, Vec<Loaded>), StoreError> {
        let mut connection = connect(path)?;
        migrate(&mut connection, path)?;
        let fail = |error: rusqlite::Error| sqlite(path, &error);
        let journal = journal_id(&connection).map_err(fail)?;
        let journal = journal.parse().map_err(|_| StoreError::Row(format!("journal id {journal:?}")))?;
        let stored = seq(&connection, "SELECT max(seq) FROM event").map_err(fail)?;
        let oldest = seq(&connection, "SELECT min(seq) FROM event").map_err(fail)?;
        let base = meta(&connection, "base").map_err(fail)?.and_then(|base| base.parse().ok()).unwrap_or(0);
        let mut head = Seq(stored.0.max(base));
        let known = meta(&connection, "boot").map_err(fail)?;
        if known.as_ref().is_some_and(|known| known != boot) {
            head.0 += BOOT_JUMP;
        }
        // Nothing is written without need: with a full disk, too, the Claudes must be taken up.
        if known.as_deref() != Some(boot) {
            set_meta(&connection, "base", &head.to_string()).map_err(fail)?;
            set_meta(&connection, "boot", boot).map_err(fail)?;
        }
        let loaded = load::awake(&connection, path)?;
        let (snapshot, replayed) = load::snapshot(&connection, path, head, &loaded)?;
        // Whoever waits for the writer, waits for this too; the commit is tried again.
        connection.busy_timeout(BUSY).map_err(fail)?;
        let writer = Self {
            path: path.to_owned(),
            connection,
            journal,
            head,
            unsaved: replayed,
            keep: keep.max(KEEP_AT_LEAST),
            pruned: count(oldest).saturating_sub(1),
            prunable: 0,
            syncing: false,
            publisher: Arc::new(Publisher::new(snapshot, ring)),
            trouble,
        };
        Ok((writer, loaded))
    }

    pub(super) fn journal(&self) -> JournalId {
        self.journal
    }

    /// Whether nothing was ever said in this journal.
    pub(super) fn is_blank(&self) -> bool {
        count(self.head) == 0
    }

    pub(super) fn publisher(&self) -> Arc<Publisher> {
        Arc::clone(&self.publisher)
    }

    /// Works until the last handle is gone, or it is told to close.
    pub(super) fn run(&mut self, inbox: &mut mpsc::Receiver<Write>) {
        let mut group = Vec::new();
        while let Some(first) = inbox.blocking_recv() {
            let mut next = Some(first);
            while let Some(write) = next.take() {
                match write {
                    Write::Commit(commit, reply) if self.is_newcomer(&commit) => {
                        self.commit_group(&mut group);
                        self.admit(commit, reply);
                    }
                    Write::Commit(commit, reply) => {
                        group.push((commit, reply));
                        if group.len() < GROUP {
                            next = inbox.try_recv().ok();
                        }
                    }
                    Write::Nothing(reply) => {
                        self.commit_group(&mut group);
                        let _ = reply.send(());
                    }
                    Write::Close(reply) => {
                        self.commit_group(&mut group);
                        self.close();
                        let _ = reply.send(());
                        return;
                    }
                }
            }
            self.commit_group(&mut group);
        }
    }

    /// Whether the snapshot does not have the conversation of which this tells something.
    fn is_newcomer(&self, commit: &Commit) -> bool {
        commit.first_event().is_some()
            && !self.publisher.snapshot().conversations.contains_key(&commit.conversation)
    }

    /// Commits what brings a conversation into the snapshot, which may let go of another one for it: by itself, so
    /// that it is certain which conversations the snapshot has when the next commit is looked at. Of a conversation that
    /// the journal has known for longer, one that does not begin by describing it is given back.
    fn admit(&mut self, commit: Arc<Commit>, reply: Reply) {
        // What was just committed may have brought it.
        let describes = matches!(
            commit.first_event(),
            Some(Event::ConversationOpened(_) | Event::ConversationRecalled(_))
        );
        if describes || !self.is_newcomer(&commit) {
            return self.commit_group(&mut vec![(commit, reply)]);
        }
        match self.has_row(&commit.conversation) {
            Ok(false) => self.commit_group(&mut vec![(commit, reply)]),
            Ok(true) => drop(reply.send(Err(StoreError::Forgotten))),
            Err(error) => drop(reply.send(Err(sqlite(&self.path, &error)))),
        }
    }

    fn has_row(&self, key: &ConversationKey) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM conversation WHERE key = ?1)")?
            .query_row([key.as_str()], |row| row.get(0))
    }

    /// Commits the group in one transaction; if that fails, each by itself, so that one cannot spoil the rest.
    fn commit_group(&mut self, group: &mut Vec<(Arc<Commit>, Reply)>) {
        if group.is_empty() {
            return;
        }
        let commits: Vec<&Commit> = group.iter().map(|(commit, _)| &**commit).collect();
        let results = match self.commit_all(&commits) {
            Err(_) if commits.len() > 1 => commits.iter().map(|commit| self.commit(commit)).collect(),
            Ok(seqs) => seqs.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        for ((_, reply), result) in group.drain(..).zip(results) {
            match &result {
                Ok(_) => super::open::note_success(&self.trouble),
                Err(error) => super::open::note_failure(&self.trouble, error),
            }
            // The actor may have ended meanwhile.
            let _ = reply.send(result);
        }
    }

    /// Commits in one transaction and publishes; gives the last number of each.
    pub(super) fn commit_all(&mut self, commits: &[&Commit]) -> Result<Vec<Seq>, StoreError> {
        let written = self.write(commits)?;
        Ok(written.into_iter().map(|written| self.publisher.committed(written)).collect())
    }

    /// Commits by itself, and publishes; gives the last number.
    fn commit(&mut self, commit: &Commit) -> Result<Seq, StoreError> {
        Ok(self.commit_all(&[commit])?.into_iter().next().unwrap_or_default())
    }

    /// Numbers and stores the commits, all or none.
    fn write<'a>(&mut self, commits: &[&'a Commit]) -> Result<Vec<Written<'a>>, StoreError> {
        let mut head = self.head;
        if !commits.iter().any(|commit| commit.is_durable()) {
            return commits.iter().map(|commit| encode(commit, &mut head)).collect();
        }
        let path = self.path.clone();
        let fail = |error: rusqlite::Error| sqlite(&path, &error);
        let sync = commits.iter().any(|commit| commit.sync);
        if self.syncing != sync {
            let level = if sync { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level).map_err(fail)?;
            self.syncing = sync;
        }
        let transaction = self.connection.transaction().map_err(fail)?;
        let mut all = Vec::with_capacity(commits.len());
        for commit in commits {
            let written = encode(commit, &mut head)?;
            store_events(&transaction, commit, &written).map_err(fail)?;
            for row in &commit.rows {
                store_row(&transaction, commit, row, &written)?.map_err(fail)?;
            }
            all.push(written);
        }
        let fresh = head.0 - self.head.0;
        // Kept once it is committed: one that fails is tried again, and would be counted again.
        let unsaved = self.unsaved + fresh;
        if unsaved >= SNAPSHOT_EVERY {
            let mut snapshot = Snapshot::clone(&self.publisher.snapshot());
            for written in &all {
                written.apply(&mut snapshot);
            }
            store_snapshot(&transaction, &snapshot)?.map_err(fail)?;
            prune::settled(&transaction, commits.last().map_or(Millis(0), |commit| commit.at))
                .map_err(fail)?;
        }
        let surplus = count(head).saturating_sub(self.keep).saturating_sub(self.pruned);
        let prunable = self.prunable + PRUNE_RATE * fresh;
        let prune = surplus.min(prunable) / PRUNE_STEP * PRUNE_STEP;
        if prune > 0 {
            let oldest = "DELETE FROM event WHERE seq IN (SELECT seq FROM event ORDER BY seq LIMIT ?1)";
            transaction.execute(oldest, params![prune.cast_signed()]).map_err(fail)?;
        }
        if prune > 0 {
            fault::point(Point::Pruning);
        }
        transaction.commit().map_err(fail)?;
        if unsaved >= SNAPSHOT_EVERY {
            fault::point(Point::SnapshotStored);
        }
        for commit in commits {
            fault::committed(&commit.rows, &commit.items);
        }
        self.head = head;
        self.unsaved = if unsaved >= SNAPSHOT_EVERY { 0 } else { unsaved };
        self.pruned += prune;
        // What is not needed now is not saved up.
        self.prunable = if surplus < PRUNE_STEP { 0 } else { prunable - prune };
        Ok(all)
    }

    fn close(&mut self) {
        let result = self.connection.transaction().map_err(|error| sqlite(&self.path, &error)).and_then(
            |transaction| {
                store_snapshot(&transaction, &self.publisher.snapshot())?
                    .map_err(|error| sqlite(&self.path, &error))?;
                transaction.commit().map_err(|error| sqlite(&self.path, &error))
            },
        );
        if let Err(error) = result {
            tracing::warn!(%error, "the snapshot was not stored; the next start replays more");
        }
    }
}

/// How many events there have been up to the one with this number: what a reboot adds leaves the low half alone.
fn count(seq: Seq) -> u64 {
    seq.0 % BOOT_JUMP
}

fn store_events(
    transaction: &Transaction<'_>,
    commit: &Commit,
    written: &Written<'_>,
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO event (seq, conversation, kind, format, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut start = 0;
    for published in &written.batches {
        for (end, seq) in published.frames.iter() {
            if seq.0 != 0 {
                // The frame is `length u32, kind u16, seq u64, payload`; the payload is what the journal keeps.
                let frame = &published.bytes[start..*end];
                let kind = u16::from_le_bytes([frame[4], frame[5]]);
                insert.execute(params![
                    seq.0.cast_signed(),
                    commit.conversation.as_str(),
                    kind,
                    EVENT_FORMAT,
                    &frame[14..]
                ])?;
            }
            start = *end;
        }
        start = 0;
    }
    Ok(())
}

/// The outer error is a row that cannot be encoded, the inner one SQLite's.
fn store_row(
    transaction: &Transaction<'_>,
    commit: &Commit,
    row: &Row,
    written: &Written<'_>,
) -> Result<rusqlite::Result<()>, StoreError> {
    let conversation = commit.conversation.as_str();
    // When it was settled; 0: it is open.
    let settled = |is: bool| if is { commit.at.0.max(1).cast_signed() } else { 0 };
    Ok(match row {
        Row::Conversation(row) => store_conversation(transaction, conversation, row, &json(row)?),
        Row::Prompt(row) => {
            let mut row = PromptRow::clone(row);
            if row.state == PromptState::Settled {
                // The row stays for its key, and nobody reads the text again.
                row.text = String::new();
            }
            if row.seq == Seq(0) {
                row.seq = accepted_at(&row, written);
            }
            run(
                transaction,
                "INSERT INTO prompt (id, conversation, key, position, settled, row) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (id) DO UPDATE SET settled = excluded.settled, row = excluded.row",
                params![
                    row.id.to_string(),
                    conversation,
                    row.key.as_str(),
                    row.position.cast_signed(),
                    settled(row.state == PromptState::Settled),
                    json(&row)?
                ],
            )
        }
        Row::Input(row) => run(
            transaction,
            "INSERT OR REPLACE INTO input (conversation, id, position, row) VALUES (?1, ?2, ?3, ?4)",
            params![conversation, row.id, row.position.cast_signed(), json(row)?],
        ),
        Row::InputDone(id) => run(
            transaction,
            "DELETE FROM input WHERE conversation = ?1 AND id = ?2",
            params![conversation, id],
        ),
        Row::Request(row) => {
            let mut row = RequestRow::clone(row);
            let is_settled = row.state != RequestState::Open;
            if is_settled {
                row.tool_input = String::new();
            }
            run(
                transaction,
                "INSERT INTO request (id, conversation, position, settled, row) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO UPDATE SET settled = excluded.settled, row = excluded.row",
                params![
                    row.id.as_str(),
                    conversation,
                    row.position.cast_signed(),
                    settled(is_settled),
                    json(&row)?
                ],
            )
        }
    })
}

fn store_conversation(
    transaction: &Transaction<'_>,
    key: &str,
    row: &ConversationRow,
    json: &str,
) -> rusqlite::Result<()> {
    run(
        transaction,
        "INSERT INTO conversation (key, row) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET row = excluded.row",
        params![key, json],
    )?;
    let child = row.child.as_ref().map(|child| child.generation.as_str());
    // Apart, for these rarely change, and their indexes are then left alone.
    run(
        transaction,
        "UPDATE conversation SET child = ?2, session = ?3
         WHERE key = ?1 AND (child IS NOT ?2 OR session IS NOT ?3)",
        params![key, child, row.session.as_ref().map(SessionId::as_str)],
    )
}

/// The number of the event that told of the prompt, where it is in this commit.
fn accepted_at(row: &PromptRow, written: &Written<'_>) -> Seq {
    let accepted = written
        .events
        .iter()
        .find(|(_, event)| matches!(&**event, Event::PromptAccepted(accepted) if accepted.prompt == row.id));
    accepted.map_or(Seq(0), |(seq, _)| *seq)
}

fn run(transaction: &Transaction<'_>, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<()> {
    transaction.prepare_cached(sql)?.execute(values).map(drop)
}

fn json<T: serde::Serialize>(row: &T) -> Result<String, StoreError> {
    serde_json::to_string(row).map_err(|error| StoreError::Row(error.to_string()))
}

fn store_snapshot(
    transaction: &Transaction<'_>,
    snapshot: &Snapshot,
) -> Result<rusqlite::Result<()>, StoreError> {
    let payload = carcin_proto::encode(snapshot).map_err(|error| StoreError::Row(error.to_string()))?;
    Ok(run(
        transaction,
        "INSERT OR REPLACE INTO snapshot (id, format, payload) VALUES (1, ?1, ?2)",
        params![SNAPSHOT_FORMAT, payload],
    ))
}

fn seq(connection: &Connection, sql: &str) -> rusqlite::Result<Seq> {
    let seq: Option<i64> = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(Seq(seq.unwrap_or(0).cast_unsigned()))
}

pub(super) fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()
}

fn set_meta(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", [name, value]).map(drop)
}

fn journal_id(connection: &Connection) -> rusqlite::Result<String> {
    if let Some(id) = meta(connection, "journal")? {
        return Ok(id);
    }
    let id = JournalId::random().to_string();
    set_meta(connection, "journal", &id)?;
    Ok(id)
}
