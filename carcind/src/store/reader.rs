//! The thread that reads for those who catch up or look something up: a connection of its own, beside the
//! writer's.

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use carcin_proto::{ConversationKey, Envelope, Event, IdempotencyKey, RequestId, Seq, SessionId};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::StoreError;
use super::load::{self, event_frame, parse};
use super::schema::{connect, sqlite};
use crate::rows::{Loaded, PromptRow, RequestRow};

/// A page of events ends when it holds this many bytes.
const PAGE: usize = 256 * 1024;
/// Texts that are looked at for the last ones of Claude's own: those between them are of subagents.
const LOOKED_AT: u32 = 5_000;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What can be looked up.
pub(super) enum Read {
    EventsAfter(Seq, Reply<Page>),
    IsKnown(Seq, Reply<bool>),
    PromptByKey(ConversationKey, IdempotencyKey, Reply<Option<PromptRow>>),
    Request(RequestId, Reply<Option<RequestRow>>),
    Recent(ConversationKey, u32, Reply<Recent>),
    Load(ConversationKey, Reply<Option<Loaded>>),
    Knows(ConversationKey, Reply<bool>),
    OfSession(SessionId, Reply<Option<ConversationKey>>),
}

/// Events from the journal, as frames ready to be sent.
#[derive(Debug, Clone)]
pub struct Page {
    /// The frames, back to back, with their length fields.
    pub bytes: Bytes,
    /// The last event in it; the cursor itself where the page is empty.
    pub last: Seq,
    /// The oldest event that the journal still has; 0: it has none.
    pub oldest: Seq,
}

/// What Claude said last in the session that a conversation has now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recent {
    /// The event with which the session became the conversation's; `None`: the journal has it no longer.
    pub session: Option<Envelope>,
    /// The texts since then, oldest first.
    pub texts: Vec<Envelope>,
}

pub(super) struct Reader {
    path: PathBuf,
    connection: Connection,
    trouble: watch::Sender<Option<StoreError>>,
}

impl Reader {
    pub(super) fn open(path: &Path, trouble: watch::Sender<Option<StoreError>>) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), connection: connect(path)?, trouble })
    }

    /// Works until the last handle is gone. Whoever no longer waits for a reply is no error.
    pub(super) fn run(&self, questions: &mut mpsc::Receiver<Read>) {
        while let Some(read) = questions.blocking_recv() {
            match read {
                Read::EventsAfter(seq, reply) => drop(reply.send(self.sql(self.events_after(seq)))),
                Read::IsKnown(seq, reply) => drop(reply.send(self.sql(self.is_known(seq)))),
                Read::PromptByKey(conversation, key, reply) => {
                    let row = self.row(
                        "SELECT row FROM prompt WHERE conversation = ?1 AND key = ?2",
                        params![conversation.as_str(), key.as_str()],
                    );
                    drop(reply.send(row));
                }
                Read::Request(id, reply) => {
                    drop(reply.send(self.row("SELECT row FROM request WHERE id = ?1", params![id.as_str()])));
                }
                Read::Recent(conversation, limit, reply) => {
                    drop(reply.send(self.sql(self.recent(&conversation, limit))));
                }
                Read::Load(key, reply) => {
                    let loaded = load::conversation(&self.connection, &self.path, key.as_str());
                    drop(reply.send(loaded.map_err(|error| self.noted(error))));
                }
                Read::Knows(key, reply) => drop(reply.send(self.sql(self.knows(&key)))),
                Read::OfSession(session, reply) => drop(reply.send(self.of_session(&session))),
            }
        }
    }

    fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| self.noted(sqlite(&self.path, &error)))
    }

    fn noted(&self, error: StoreError) -> StoreError {
        super::open::note_damage(&self.trouble, &error);
        error
    }

    fn row<T: serde::de::DeserializeOwned>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Option<T>, StoreError> {
        let find = || {
            self.connection.prepare_cached(sql)?.query_row(values, |row| row.get::<_, String>(0)).optional()
        };
        self.sql(find())?.map(|row| parse(&row)).transpose()
    }

    fn events_after(&self, after: Seq) -> rusqlite::Result<Page> {
        let oldest: Option<i64> =
            self.connection.prepare_cached("SELECT min(seq) FROM event")?.query_row([], |row| row.get(0))?;
        let oldest = Seq(oldest.unwrap_or(0).cast_unsigned());
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq, kind, payload FROM event WHERE seq > ?1 ORDER BY seq")?;
        let mut rows = statement.query(params![after.0.cast_signed()])?;
        let (mut bytes, mut last) = (BytesMut::new(), after);
        while bytes.len() < PAGE {
            let Some(row) = rows.next()? else { break };
            let (seq, frame) = event_frame(row)?;
            frame.put(&mut bytes);
            last = seq;
        }
        Ok(Page { bytes: bytes.freeze(), last, oldest })
    }

    fn is_known(&self, seq: Seq) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM event WHERE seq IN (?1, ?1 + 1))")?
            .query_row(params![seq.0.cast_signed()], |row| row.get(0))
    }

    fn knows(&self, key: &ConversationKey) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM conversation WHERE key = ?1)")?
            .query_row([key.as_str()], |row| row.get(0))
    }

    fn of_session(&self, session: &SessionId) -> Result<Option<ConversationKey>, StoreError> {
        let find = || {
            self.connection
                .prepare_cached("SELECT key FROM conversation WHERE session = ?1")?
                .query_row([session.as_str()], |row| row.get::<_, String>(0))
                .optional()
        };
        let key = self.sql(find())?.map(ConversationKey::new).transpose();
        key.map_err(|error| StoreError::Row(error.to_string()))
    }

    fn recent(&self, conversation: &ConversationKey, limit: u32) -> rusqlite::Result<Recent> {
        let mut recent = Recent::default();
        let mut session = self.connection.prepare_cached(
            "SELECT seq, kind, payload FROM event WHERE conversation = ?1 AND kind = 0x0101
             ORDER BY seq DESC LIMIT 1",
        )?;
        let mut rows = session.query([conversation.as_str()])?;
        let mut since = 0;
        if let Some(row) = rows.next()? {
            let (seq, frame) = event_frame(row)?;
            since = seq.0;
            recent.session = frame.decode_durable().ok().flatten();
        }
        let mut texts = self.connection.prepare_cached(
            "SELECT seq, kind, payload FROM event WHERE conversation = ?1 AND kind = 0x0130 AND seq > ?2
             ORDER BY seq DESC LIMIT ?3",
        )?;
        let mut rows = texts.query(params![conversation.as_str(), since.cast_signed(), LOOKED_AT])?;
        while recent.texts.len() < limit as usize
            && let Some(row) = rows.next()?
        {
            let (_, frame) = event_frame(row)?;
            // What a subagent writes is for Claude.
            if let Ok(Some(envelope)) = frame.decode_durable()
                && matches!(&envelope.event, Event::TextBlock(block) if block.parent.is_none())
            {
                recent.texts.push(envelope);
            }
        }
        recent.texts.reverse();
        Ok(recent)
    }
}
