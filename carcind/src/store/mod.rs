//! The journal: conversations, prompts, lines to Claude, pending requests, and every durable event.
//!
//! One thread writes (`writer`), one reads for those who catch up (`reader`); everybody else holds a
//! [`Store`] handle. What is committed is published by the writer itself, in commit order, so that all
//! subscribers see one order of events. This is the only module that speaks SQL.

mod frames;
mod load;
mod open;
mod origin;
#[cfg(test)]
mod plans;
mod prune;
mod reader;
mod rebuild;
mod salvage;
mod schema;
mod sessions;
mod texts;
mod wal;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use carcin_proto::event::Notice;
use carcin_proto::{
    ConversationKey, Cursor, Event, IdempotencyKey, JournalId, Millis, RequestId, Seq, SessionId, Snapshot,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::rows::{Item, Loaded, PromptRow, RequestRow, Row};

pub use frames::{Listening, Published};
pub use origin::Origin;
pub use reader::{Page, Recent};
pub use sessions::{Filter, SessionIndex, Stamp, TranscriptRow};
pub use writer::{KEEP_AT_LEAST, KEEP_DEFAULT};

/// Commits that may wait for the writer. An actor has one on its way at a time, whether it waits for that or reads on
/// meanwhile, so this many actors can be in a commit at once before one of them waits for room.
const COMMITS: usize = 256;
/// Reads that may wait for the reader.
const READS: usize = 64;
/// Batches that a live subscriber may lag behind before it is served from the journal instead. A batch has at most
/// [`frames::MAX_BATCH`] and one more event of at most [`frames::LARGE`], so all of them together are 12 MiB at most.
const RING: usize = 256;

/// The journal cannot do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// SQLite says no.
    #[error("the journal {path}: {message}")]
    Sqlite {
        /// Its file.
        path: PathBuf,
        /// SQLite's words.
        message: String,
    },
    /// There is no room for it.
    #[error("the journal {path} cannot be written: the disk is full")]
    Full {
        /// Its file.
        path: PathBuf,
    },
    /// The file is not what was written. The next start saves what can be read of it.
    #[error("the journal {path} is damaged: {message}")]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// SQLite's words.
        message: String,
    },
    /// A newer version has written it.
    #[error("the journal {path} is of version {found}, this carcind knows {known}; upgrade carcind")]
    Newer {
        /// Its file.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version known.
        known: i64,
    },
    /// Its thread is gone: the daemon is ending, or a defect ended the thread.
    #[error("the journal is closed")]
    Closed,
    /// The snapshot has let go of the conversation: its next commit must begin with
    /// [`ConversationRecalled`](carcin_proto::event::ConversationRecalled).
    #[error("the conversation is to be described anew")]
    Forgotten,
    /// A row or an event cannot be encoded or decoded.
    #[error("the journal holds what cannot be read: {0}")]
    Row(String),
}

/// What one step of a conversation leaves behind: committed as a whole or not at all.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Whose step it is.
    pub conversation: ConversationKey,
    /// The wall clock of the step.
    pub at: Millis,
    /// What happened.
    pub items: Vec<Item>,
    /// The rows that are others now.
    pub rows: Vec<Row>,
    /// Whether it must survive a power cut: prompts, answers, questions, ends of turns.
    pub sync: bool,
}

impl Commit {
    /// What is said in a conversation besides its steps.
    pub fn of_notice(conversation: ConversationKey, notice: Notice) -> Self {
        let items = vec![Item::Durable(notice.into())];
        Self { conversation, at: Millis::now(), items, rows: Vec::new(), sync: false }
    }

    /// Whether there is anything to write; transient events alone need no commit.
    pub fn is_durable(&self) -> bool {
        !self.rows.is_empty() || self.first_event().is_some()
    }

    /// The first durable event in it.
    fn first_event(&self) -> Option<&Event> {
        self.items.iter().find_map(|item| match item {
            Item::Durable(event) => Some(event),
            Item::Transient(_) => None,
        })
    }
}

enum Write {
    Commit(Arc<Commit>, oneshot::Sender<Result<Seq, StoreError>>),
    Nothing(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// A commit on its way.
#[derive(Debug)]
pub struct Committing(oneshot::Receiver<Result<Seq, StoreError>>);

impl Committing {
    /// Waits until it is written and published; gives the last sequence number. Cancel safe.
    pub async fn done(&mut self) -> Result<Seq, StoreError> {
        (&mut self.0).await.map_err(|_| StoreError::Closed)?
    }
}

/// A handle to the journal.
#[derive(Debug, Clone)]
pub struct Store {
    path: Arc<Path>,
    journal: JournalId,
    origin: Arc<Origin>,
    trouble: watch::Sender<Option<StoreError>>,
    writes: mpsc::Sender<Write>,
    reads: mpsc::Sender<reader::Read>,
    publisher: Arc<frames::Publisher>,
}

impl Store {
    /// Opens or creates the journal in `dir`, and gives what those conversations start from that have something
    /// open: a Claude, a prompt, a question. The others are loaded when they are asked for.
    ///
    /// `boot` is the id of the machine's current boot: after a change of it `seq` jumps by 2^32, because a
    /// power cut may have taken the journal's tail, and a number must never be given out twice.
    ///
    /// A damaged journal is put aside, and begun anew with what can be read of it: [`Store::origin`] says so.
    /// The last `keep` events are kept, and at times a few thousand more; at least [`KEEP_AT_LEAST`].
    pub fn open(dir: &Path, boot: &str, keep: u64) -> Result<(Self, Vec<Loaded>), StoreError> {
        let path = dir.join("journal.db");
        let (trouble, _) = watch::channel(None);
        let (mut writer, loaded, origin) = open::open(&path, boot, keep, RING, &trouble)?;
        let reader = reader::Reader::open(&path, trouble.clone())?;
        let (writes, mut inbox) = mpsc::channel(COMMITS);
        let (reads, mut questions) = mpsc::channel(READS);
        let (journal, publisher) = (writer.journal(), writer.publisher());
        std::thread::Builder::new()
            .name("journal-writer".into())
            .spawn(move || writer.run(&mut inbox))
            .and_then(|_| {
                std::thread::Builder::new()
                    .name("journal-reader".into())
                    .spawn(move || reader.run(&mut questions))
            })
            .map_err(|error| StoreError::Sqlite { path: path.clone(), message: error.to_string() })?;
        let (path, origin) = (path.into(), Arc::new(origin));
        Ok((Self { path, journal, origin, trouble, writes, reads, publisher }, loaded))
    }

    /// What was found in the place of the journal when it was opened. Each start finds the same, until
    /// [`Store::forget_origin`].
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// All that the journal did not know because it was begun anew is in it now: the next start finds a journal.
    pub fn forget_origin(&self) -> Result<(), StoreError> {
        origin::forget(&self.path)
    }

    /// Why the journal took the last commit not, for as long as that is so; or that it is damaged, which only a
    /// new start mends.
    pub fn trouble(&self) -> watch::Receiver<Option<StoreError>> {
        self.trouble.subscribe()
    }

    /// The journal's id.
    pub fn journal(&self) -> JournalId {
        self.journal
    }

    /// Writes and publishes; gives the last sequence number when that is done.
    pub async fn commit(&self, commit: impl Into<Arc<Commit>>) -> Result<Seq, StoreError> {
        self.begin(commit).await?.done().await
    }

    /// The same without waiting for the end of it. What is begun later comes later.
    pub async fn begin(&self, commit: impl Into<Arc<Commit>>) -> Result<Committing, StoreError> {
        let (reply, done) = oneshot::channel();
        self.writes.send(Write::Commit(commit.into(), reply)).await.map_err(|_| StoreError::Closed)?;
        Ok(Committing(done))
    }

    /// Publishes the transient ones of these at once. Only for a conversation of which no commit is on its way: they
    /// must not come before what happened earlier.
    pub fn publish(&self, conversation: &ConversationKey, items: &[Item]) {
        self.publisher.passing(conversation, items);
    }

    /// The last event that is published. Waits for nobody, also while a disk takes nothing.
    pub fn head(&self) -> Seq {
        self.publisher.snapshot().seq
    }

    /// The state after the last commit. Waits for nobody, either.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.publisher.snapshot()
    }

    /// Writes what is still to be written, and ends the writer.
    pub async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.writes.send(Write::Close(reply)).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Waits until the writer or the reader has ended: told to, or by a defect. After that nothing can be kept, or no
    /// conversation be loaded and nobody catch up.
    pub async fn ended(&self) {
        tokio::select! {
            () = self.writes.closed() => {}
            () = self.reads.closed() => {}
        }
    }

    /// What is published from now on, and what a reader needs to follow it.
    pub fn listen(&self) -> Listening {
        self.publisher.listen()
    }

    /// The events after `seq`, as many as make a good batch; an empty page: there are none, or the cursor is
    /// behind retention, as the page says.
    pub async fn events_after(&self, seq: Seq) -> Result<Page, StoreError> {
        self.read(|reply| reader::Read::EventsAfter(seq, reply)).await
    }

    /// Whether the journal has the event `seq` or the one right after it. If not, and `seq` is not the last number
    /// either, it was lost in a power cut after somebody had read it.
    pub async fn is_known(&self, seq: Seq) -> Result<bool, StoreError> {
        self.read(|reply| reader::Read::IsKnown(seq, reply)).await
    }

    /// The prompt with this key, settled or not.
    pub async fn prompt_by_key(
        &self,
        conversation: &ConversationKey,
        key: &IdempotencyKey,
    ) -> Result<Option<PromptRow>, StoreError> {
        let (conversation, key) = (conversation.clone(), key.clone());
        self.read(|reply| reader::Read::PromptByKey(conversation, key, reply)).await
    }

    /// The request with this id, settled or not, and whose it is.
    pub async fn request(&self, id: &RequestId) -> Result<Option<RequestRow>, StoreError> {
        let id = id.clone();
        self.read(|reply| reader::Read::Request(id, reply)).await
    }

    /// What Claude itself said last in a conversation's session, at most `limit` texts.
    pub async fn recent(&self, conversation: &ConversationKey, limit: u32) -> Result<Recent, StoreError> {
        let conversation = conversation.clone();
        self.read(|reply| reader::Read::Recent(conversation, limit, reply)).await
    }

    /// What a conversation starts from, after all that was committed before; `None`: there is no such
    /// conversation.
    pub async fn load(&self, key: &ConversationKey) -> Result<Option<Loaded>, StoreError> {
        // The writer takes one thing after the other: when it has answered, it has done what was asked before.
        let (reply, done) = oneshot::channel();
        self.writes.send(Write::Nothing(reply)).await.map_err(|_| StoreError::Closed)?;
        done.await.map_err(|_| StoreError::Closed)?;
        self.read(|reply| reader::Read::Load(key.clone(), reply)).await
    }

    /// Whether there is such a conversation.
    pub async fn knows(&self, key: &ConversationKey) -> Result<bool, StoreError> {
        self.read(|reply| reader::Read::Knows(key.clone(), reply)).await
    }

    /// The conversation that has this session, if one has.
    pub async fn conversation_of(&self, session: &SessionId) -> Result<Option<ConversationKey>, StoreError> {
        self.read(|reply| reader::Read::OfSession(session.clone(), reply)).await
    }

    /// The cursor `seq` in this journal.
    pub fn cursor(&self, seq: Seq) -> Cursor {
        Cursor { journal: self.journal, seq }
    }

    async fn read<T>(
        &self,
        read: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> reader::Read,
    ) -> Result<T, StoreError> {
        let (reply, done) = oneshot::channel();
        self.reads.send(read(reply)).await.map_err(|_| StoreError::Closed)?;
        done.await.map_err(|_| StoreError::Closed)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_has_ended_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut store, _) = Store::open(dir.path(), "boot", KEEP_AT_LEAST).expect("the journal opens");
        let (reads, reader) = mpsc::channel(READS);
        store.reads = reads;
        let waits = store.clone();
        let ended = tokio::spawn(async move { waits.ended().await });
        tokio::task::yield_now().await;
        assert!(!ended.is_finished());
        drop(reader);
        let ended = tokio::time::timeout(std::time::Duration::from_mins(1), ended).await;
        ended.expect("it is told").expect("no panic");
    }
}
