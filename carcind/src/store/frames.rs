//! What happened as frames: encoded once, for the journal and for all subscribers.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use carcin_proto::event::{Level, Notice};
use carcin_proto::{CodecError, ConversationKey, Event, Frame, Millis, Seq, Snapshot, Transient};
use tokio::sync::broadcast;

use super::texts::Texts;
use super::{Commit, StoreError};
use crate::rows::Item;

/// How many bytes of frames one published batch holds before another is begun.
pub(super) const MAX_BATCH: usize = 16 * 1024;
/// A frame over this size is not published: whoever wants it reads it from the journal. So what is published and not
/// yet read by all is bounded.
pub(super) const LARGE: usize = 32 * 1024;
/// What a frame takes as a rule, in bytes; a batch grows beyond it.
const USUAL: usize = 128;

/// Frames in the order in which they happened, encoded once for all subscribers.
#[derive(Debug, Clone)]
pub struct Published {
    /// The frames, back to back, with their length fields. Empty: an event too large to be published, to be read from
    /// the journal.
    pub bytes: Bytes,
    /// The frames' places in `bytes`: where each ends, and its `seq` (0: a transient one).
    pub frames: Arc<[(usize, Seq)]>,
    /// The last durable event in it, or before it.
    pub last: Seq,
}

impl Published {
    /// Whether it is one event of more than [`LARGE`], which is alone in its batch.
    fn is_large(&self) -> bool {
        self.frames.len() == 1 && self.bytes.len() > LARGE
    }
}

/// What one commit becomes once it is in the database.
pub(super) struct Written<'a> {
    pub(super) last: Seq,
    conversation: &'a ConversationKey,
    at: Millis,
    items: &'a [Item],
    pub(super) events: Vec<(Seq, Cow<'a, Event>)>,
    pub(super) batches: Vec<Published>,
}

impl Written<'_> {
    /// Takes its events into the snapshot.
    pub(super) fn apply(&self, snapshot: &mut Snapshot) {
        for (seq, event) in &self.events {
            snapshot.take_in(*seq, self.conversation, self.at, event);
        }
    }
}

/// Gives each durable event its number and makes the frames.
pub(super) fn encode<'a>(commit: &'a Commit, head: &mut Seq) -> Result<Written<'a>, StoreError> {
    let (conversation, at) = (&commit.conversation, commit.at);
    let mut batches = Batches::new(commit.items.len());
    let mut events = Vec::new();
    for item in &commit.items {
        match item {
            Item::Durable(event) => {
                head.0 += 1;
                let mut event = Cow::Borrowed(event);
                if let Err(error) = batches.durable(*head, conversation, at, &event) {
                    // Tried again it would fail again, and nothing of the conversation would be kept any more.
                    tracing::error!(%conversation, %error, "an event cannot be kept");
                    event = Cow::Owned(unkept(&error));
                    let unreadable = |error: CodecError| StoreError::Row(error.to_string());
                    batches.durable(*head, conversation, at, &event).map_err(unreadable)?;
                }
                events.push((*head, event));
            }
            Item::Transient(event) => batches.transient(conversation, event, *head),
        }
    }
    Ok(Written {
        last: *head,
        conversation,
        at,
        items: &commit.items,
        events,
        batches: batches.finish(*head),
    })
}

/// What stands in the place of an event that is too large for a frame.
fn unkept(error: &CodecError) -> Event {
    let text = format!("Something that Claude said could not be kept: {error}");
    Event::Notice(Notice { level: Level::Error, text, hint: None })
}

/// Frames on their way into batches.
struct Batches {
    done: Vec<Published>,
    bytes: Vec<u8>,
    frames: Vec<(usize, Seq)>,
}

impl Batches {
    fn new(items: usize) -> Self {
        let bytes = Vec::with_capacity((items * USUAL).min(MAX_BATCH + USUAL));
        Self { done: Vec::new(), bytes, frames: Vec::with_capacity(items) }
    }

    fn durable(
        &mut self,
        seq: Seq,
        conversation: &ConversationKey,
        at: Millis,
        event: &Event,
    ) -> Result<(), CodecError> {
        let start = self.bytes.len();
        Frame::put_durable(seq, conversation, at, event, &mut self.bytes)?;
        if self.bytes.len() - start > LARGE && !self.frames.is_empty() {
            let alone = self.bytes.split_off(start);
            self.batch(Seq(seq.0 - 1));
            self.bytes = alone;
        }
        self.close(seq, seq);
        Ok(())
    }

    /// One that cannot be encoded is left out, and so is a large one: it cannot be read from the journal, and may
    /// always be missed.
    fn transient(&mut self, conversation: &ConversationKey, event: &Transient, head: Seq) {
        let start = self.bytes.len();
        let encoded = Frame::put_transient(conversation, event, &mut self.bytes);
        if encoded.is_ok() && self.bytes.len() - start <= LARGE {
            self.close(Seq(0), head);
        } else {
            self.bytes.truncate(start);
        }
    }

    /// Ends a frame, and the batch where it is full.
    fn close(&mut self, seq: Seq, head: Seq) {
        self.frames.push((self.bytes.len(), seq));
        if self.bytes.len() >= MAX_BATCH {
            self.batch(head);
        }
    }

    fn batch(&mut self, last: Seq) {
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(USUAL)).into();
        let frames = std::mem::take(&mut self.frames).into();
        self.done.push(Published { bytes, frames, last });
    }

    fn finish(mut self, last: Seq) -> Vec<Published> {
        if !self.frames.is_empty() {
            self.batch(last);
        }
        self.done
    }
}

/// What a reader begins with that listens from now on.
#[derive(Debug)]
pub struct Listening {
    /// What is published from now on.
    pub live: broadcast::Receiver<Published>,
    /// The last durable event before that.
    pub seq: Seq,
    /// What there is of the text blocks that are being written, as frames of transient events, back to back.
    pub texts: Bytes,
}

/// The state after the last commit, and where that and everything is published, in one order for all. Nobody who looks
/// at it waits for the journal.
#[derive(Debug)]
pub(super) struct Publisher {
    state: Mutex<State>,
    ring: broadcast::Sender<Published>,
}

#[derive(Debug)]
struct State {
    snapshot: Arc<Snapshot>,
    texts: Texts,
}

impl Publisher {
    /// One with this state, and with a ring of so many batches.
    pub(super) fn new(snapshot: Snapshot, capacity: usize) -> Self {
        let (ring, _) = broadcast::channel(capacity);
        let state = State { snapshot: Arc::new(snapshot), texts: Texts::default() };
        Self { state: Mutex::new(state), ring }
    }

    /// What is published from now on, and what there is of the texts that go on in it.
    pub(super) fn listen(&self) -> Listening {
        let state = self.state();
        let mut texts = Vec::new();
        for (key, text) in state.texts.so_far() {
            let start = texts.len();
            if Frame::put_transient(key, &text.into(), &mut texts).is_err() {
                texts.truncate(start);
            }
        }
        Listening { live: self.ring.subscribe(), seq: state.snapshot.seq, texts: texts.into() }
    }

    /// The state after the last commit.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state().snapshot)
    }

    /// Takes what is committed into the state, and publishes it.
    pub(super) fn committed(&self, written: Written<'_>) -> Seq {
        let mut state = self.state();
        if !written.events.is_empty() {
            written.apply(Arc::make_mut(&mut state.snapshot));
        }
        for item in written.items {
            state.texts.take(written.conversation, item);
        }
        for mut batch in written.batches {
            if batch.is_large() {
                batch.bytes = Bytes::new();
            }
            // Nobody listening is no error.
            let _ = self.ring.send(batch);
        }
        written.last
    }

    /// Publishes transient events of which no durable one is on its way. They are as old as the last durable one
    /// that was published before them, whosever that is: a subscriber may have no later one when they come.
    pub(super) fn passing(&self, conversation: &ConversationKey, events: &[Item]) {
        let mut state = self.state();
        for item in events {
            state.texts.take(conversation, item);
        }
        if self.ring.receiver_count() == 0 {
            return;
        }
        let mut batches = Batches::new(events.len());
        for item in events {
            if let Item::Transient(event) = item {
                batches.transient(conversation, event, Seq(0));
            }
        }
        for batch in batches.finish(Seq(0)) {
            let _ = self.ring.send(Published { last: state.snapshot.seq, ..batch });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use carcin_proto::event::TextDelta;
    use carcin_proto::{BlockId, TransientEnvelope, TurnId};

    use super::*;

    fn delta(text: &str) -> Item {
        let delta = TextDelta { turn: TurnId(1), block: BlockId(0), offset: 0, text: text.to_owned() };
        Item::Transient(Transient::TextDelta(delta))
    }

    fn notice(text: &str) -> Item {
        Item::Durable(Event::Notice(Notice { level: Level::Info, text: text.to_owned(), hint: None }))
    }

    fn commit(items: Vec<Item>) -> Commit {
        let conversation = ConversationKey::new("test").expect("a valid key");
        Commit { conversation, at: Millis(7), items, rows: Vec::new(), sync: false }
    }

    #[test]
    fn a_full_batch_is_followed_by_another() {
        let mut head = Seq(4);
        let text = "x".repeat(MAX_BATCH / 2);
        let items = vec![delta(&text), notice(&text), delta("y")];
        let commit = commit(items);
        let written = encode(&commit, &mut head).expect("encodes");
        let shape: Vec<Vec<u64>> =
            written.batches.iter().map(|batch| batch.frames.iter().map(|(_, seq)| seq.0).collect()).collect();
        assert_eq!(shape, [vec![0, 5], vec![0]]);
        assert_eq!(written.batches[1].last, Seq(5));
        let event = Transient::TextDelta(TextDelta {
            turn: TurnId(1),
            block: BlockId(0),
            offset: 0,
            text: "y".to_owned(),
        });
        let envelope = TransientEnvelope { conversation: commit.conversation.clone(), event };
        let mut expected = bytes::BytesMut::new();
        Frame::transient(&envelope).expect("encodes").put(&mut expected);
        assert_eq!(written.batches[1].bytes, expected);
    }

    #[test]
    fn a_large_event_is_alone_and_published_without_its_bytes_and_a_large_transient_one_not_at_all() {
        let publisher = Publisher::new(Snapshot { seq: Seq(4), ..Snapshot::default() }, 8);
        let mut live = publisher.listen().live;
        let large = "x".repeat(LARGE);
        let commit = commit(vec![notice("one"), notice(&large), delta(&large), notice("three")]);
        publisher.committed(encode(&commit, &mut Seq(4)).expect("encodes"));
        let heard: Vec<(bool, u64, Vec<u64>)> = std::iter::from_fn(|| live.try_recv().ok())
            .map(|batch| {
                let seqs = batch.frames.iter().map(|(_, seq)| seq.0).collect();
                (batch.bytes.is_empty(), batch.last.0, seqs)
            })
            .collect();
        assert_eq!(heard, [(false, 5, vec![5]), (true, 6, vec![6]), (false, 7, vec![7])]);
    }

    #[test]
    fn what_passes_is_as_old_as_what_was_committed_last() {
        let publisher = Publisher::new(Snapshot { seq: Seq(4), ..Snapshot::default() }, 8);
        let mut live = publisher.listen().live;
        let durable = commit(vec![notice("one")]);
        let passing = commit(vec![delta("x")]);
        publisher.passing(&passing.conversation, &passing.items);
        publisher.committed(encode(&durable, &mut Seq(4)).expect("encodes"));
        publisher.passing(&passing.conversation, &passing.items);
        let lasts: Vec<u64> = std::iter::from_fn(|| live.try_recv().ok()).map(|batch| batch.last.0).collect();
        assert_eq!(lasts, [4, 5, 5]);
    }
}
