//! A subscription: a cursor on the journal, never a queue.
//!
//! A subscriber is served from what was just published, already encoded; when it lags behind that, or does not
//! take it at once, from the journal. So one that is slow, or absent, costs nothing and misses nothing but
//! transients. What is pinned for one that does not read at all is what it is being given: a page of the journal.

use std::io::IoSlice;
use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

use carcin_proto::request::{From, Gap, GapReason, Subscribe};
use carcin_proto::{Cursor, Frame, Kind, Refusal, RefusalCode, Reply, Seq, Snapshot};
use interprocess::local_socket::tokio::Stream;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::timeout;

use super::Server;
use super::connection::{Broken, Requests, write};
use super::places::Reached;
use crate::fault::{self, Point};
use crate::store::{Published, Store};

/// How many batches go into one write at the most.
const GATHERED: usize = 16;
/// How long a subscriber may take for a write before it lets go of what is published meanwhile.
const PROMPT: Duration = Duration::from_millis(500);
/// How often a subscriber is brought up to the very last event, to be given the texts that go on. Where events come faster
/// than that, it waits for the finished texts.
const TEXT_TRIES: usize = 16;
/// How long a subscriber may take nothing at all before the connection is closed. It may come again with its
/// cursor; until then its place and its memory are for others.
const STALLED: Duration = Duration::from_mins(10);

/// Serves a subscriber until it leaves.
pub(super) async fn run(
    server: &Server,
    reached: Reached,
    subscribe: Subscribe,
    request: u64,
    requests: &mut Requests<'_>,
    send: &mut &Stream,
) -> Result<(), Broken> {
    let store = &server.site.store;
    let (cursor, first) = begin(store, subscribe.from).await?;
    let reply = Reply::Subscribed(store.cursor(cursor));
    write(send, &Frame::of(Kind::REPLY, request, &reply)?).await?;
    if let Some(first) = first {
        write(send, &first).await?;
    }
    let transients = subscribe.transients;
    Feed { store, cursor, transients, live: None, reached, send }.run(requests).await
}

struct Feed<'a, 's> {
    store: &'a Store,
    /// The last durable event given.
    cursor: Seq,
    transients: bool,
    /// What is published; `None`: the subscriber is behind it, and is not to hold on to it.
    live: Option<Receiver<Published>>,
    reached: Reached,
    send: &'a mut &'s Stream,
}

impl Feed<'_, '_> {
    async fn run(&mut self, requests: &mut Requests<'_>) -> Result<(), Broken> {
        loop {
            self.catch_up().await?;
            self.listen().await?;
            // Listening has begun before the journal is looked at once more, so that nothing falls between the two.
            self.catch_up().await?;
            while let Some(live) = &mut self.live {
                tokio::select! {
                    published = live.recv() => match published {
                        Ok(first) if !in_the_journal_only(&first) => {
                            let (batches, goes_on) = gather(first, live);
                            if !goes_on {
                                self.live = None;
                            }
                            self.forward(&batches).await?;
                        }
                        Ok(_) | Err(_) => self.live = None,
                    },
                    // Read only between two frames, so that what is said about it comes between two frames.
                    said = requests.next() => return match said? {
                        Some(_) => Err(Broken::Refused(no_more())),
                        None => Ok(()),
                    },
                }
            }
        }
    }

    /// Begins to listen. A reader that wants transient events is given what there is of the texts that go on: as of the
    /// very event that it has had last, so that none comes after its own end.
    async fn listen(&mut self) -> Result<(), Broken> {
        let mut listening = self.store.listen();
        for _ in 0..TEXT_TRIES {
            if !self.transients || listening.texts.is_empty() {
                break;
            }
            if listening.seq == self.cursor {
                let texts = std::mem::take(&mut listening.texts);
                self.live = Some(listening.live);
                return self.give(&mut [IoSlice::new(&texts)]).await;
            }
            self.catch_up().await?;
            listening = self.store.listen();
        }
        self.live = Some(listening.live);
        Ok(())
    }

    /// Serves from the journal until there is nothing more in it.
    async fn catch_up(&mut self) -> Result<(), Broken> {
        loop {
            self.reached.set(self.cursor);
            let page = self.store.events_after(self.cursor).await?;
            if page.oldest.0 > self.cursor.0 + 1 {
                // It was so slow that what it is to have next is no longer kept.
                let snapshot = self.store.snapshot();
                self.cursor = snapshot.seq;
                let gap = gap(GapReason::BehindRetention, &snapshot)?;
                write(self.send, &gap).await?;
                continue;
            }
            if page.bytes.is_empty() {
                return Ok(());
            }
            self.give(&mut [IoSlice::new(&page.bytes)]).await?;
            self.cursor = page.last;
        }
    }

    /// Sends what was published beyond the cursor: as a rule all of it, in one write.
    async fn forward(&mut self, batches: &[Published]) -> Result<(), Broken> {
        let mut parts = Vec::with_capacity(batches.len());
        for published in batches {
            let beyond = beyond(published, self.cursor, self.transients).into_iter();
            parts.extend(beyond.map(|part| IoSlice::new(&published.bytes[part])));
            self.cursor = self.cursor.max(published.last);
        }
        self.give(&mut parts).await?;
        self.reached.set(self.cursor);
        Ok(())
    }

    async fn give(&mut self, parts: &mut [IoSlice<'_>]) -> Result<(), Broken> {
        fault::point(Point::EventUnsent);
        let mut given = pin!(give(self.send, parts));
        if let Ok(done) = timeout(PROMPT, &mut given).await {
            return done;
        }
        self.live = None;
        given.await
    }
}

/// Writes all, to a reader that takes its time but does take something.
async fn give(send: &mut (impl AsyncWrite + Unpin), mut parts: &mut [IoSlice<'_>]) -> Result<(), Broken> {
    // Leaves out what is empty.
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        let taken = timeout(STALLED, send.write_vectored(parts)).await.map_err(|_| Broken::Slow)??;
        IoSlice::advance_slices(&mut parts, taken);
    }
    Ok(())
}

/// Whether it is too large to be published.
fn in_the_journal_only(published: &Published) -> bool {
    published.bytes.is_empty()
}

/// What was published since `first` goes with it, in one write. And whether what comes then is to be had from `live`.
fn gather(first: Published, live: &mut Receiver<Published>) -> (Vec<Published>, bool) {
    let mut batches = vec![first];
    while batches.len() < GATHERED {
        match live.try_recv() {
            Ok(published) if !in_the_journal_only(&published) => batches.push(published),
            Err(TryRecvError::Empty) => break,
            Ok(_) | Err(_) => return (batches, false),
        }
    }
    (batches, true)
}

fn no_more() -> Refusal {
    let text = "a connection that carries events takes no requests";
    Refusal::new(RefusalCode::Invalid, text).hint("ask on another connection")
}

fn gap(reason: GapReason, snapshot: &Snapshot) -> Result<Frame, Broken> {
    let gap = Gap { reason, snapshot: snapshot.clone() };
    Ok(Frame::of(Kind::GAP, snapshot.seq.0, &gap)?)
}

/// Where to go on from, and what to say first.
async fn begin(store: &Store, from: From) -> Result<(Seq, Option<Frame>), Broken> {
    let snapshot = store.snapshot();
    let reason = match from {
        From::Now => return Ok((snapshot.seq, Some(Frame::of(Kind::SNAPSHOT, snapshot.seq.0, &*snapshot)?))),
        From::After(Cursor { journal, .. }) if journal != store.journal() => GapReason::OtherJournal,
        From::After(Cursor { seq, .. }) if seq > snapshot.seq => GapReason::BeyondHead,
        From::After(Cursor { seq, .. }) => {
            let oldest = store.events_after(snapshot.seq).await?.oldest;
            if oldest.0 > seq.0 + 1 {
                GapReason::BehindRetention
            } else if seq == snapshot.seq || store.is_known(seq).await? {
                return Ok((seq, None));
            } else {
                // Read, and then lost in a power cut: beyond the head that the journal had then.
                GapReason::BeyondHead
            }
        }
    };
    Ok((snapshot.seq, Some(gap(reason, &snapshot)?)))
}

/// The parts of what was published that come after the cursor. A transient that was published before a durable
/// event which the subscriber has is as old as that: it is not to come after it.
fn beyond(published: &Published, cursor: Seq, transients: bool) -> Vec<Range<usize>> {
    if published.last < cursor {
        return Vec::new();
    }
    let known = |(_, seq): &(usize, Seq)| seq.0 != 0 && *seq <= cursor;
    let first = published.frames.iter().rposition(known).map_or(0, |at| at + 1);
    let mut start = first.checked_sub(1).map_or(0, |at| published.frames[at].0);
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (end, seq) in &published.frames[first..] {
        if seq.0 != 0 || transients {
            match parts.last_mut() {
                Some(part) if part.end == start => part.end = *end,
                _ => parts.push(start..*end),
            }
        }
        start = *end;
    }
    parts
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Frames of ten bytes each.
    fn published(seqs: &[u64], last: u64) -> Published {
        let frames = (1..).zip(seqs).map(|(at, seq)| (at * 10, Seq(*seq)));
        Published { bytes: Bytes::new(), frames: frames.collect(), last: Seq(last) }
    }

    fn sent(published: &Published, cursor: Seq, transients: bool) -> Vec<(usize, usize)> {
        let parts = beyond(published, cursor, transients);
        parts.into_iter().map(|part| (part.start, part.end)).collect()
    }

    #[test]
    fn what_is_beyond_the_cursor_is_one_part() {
        assert_eq!(sent(&published(&[0, 5, 0, 6], 6), Seq(4), true), [(0, 40)]);
        assert_eq!(sent(&published(&[0, 5, 0, 6], 6), Seq(5), true), [(20, 40)]);
        assert_eq!(sent(&published(&[0, 5, 0, 6], 6), Seq(4), false), [(10, 20), (30, 40)]);
    }

    #[test]
    fn a_transient_from_before_what_was_caught_up_with_does_not_come_after_it() {
        assert!(sent(&published(&[0, 0], 4), Seq(5), true).is_empty());
        assert_eq!(sent(&published(&[0, 5, 0], 5), Seq(5), true), [(20, 30)]);
        assert_eq!(sent(&published(&[0, 0], 5), Seq(5), true), [(0, 20)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_a_little_now_and_then_is_waited_for_and_one_that_takes_nothing_is_not() {
        use tokio::io::AsyncReadExt;
        let (mut ours, mut theirs) = tokio::io::duplex(4);
        let reader = tokio::spawn(async move {
            let mut taken = Vec::new();
            while taken.len() < 12 {
                tokio::time::sleep(STALLED * 9 / 10).await;
                let mut some = [0; 2];
                theirs.read_exact(&mut some).await.expect("something to read");
                taken.extend(some);
            }
            (theirs, taken)
        });
        give(&mut ours, &mut [IoSlice::new(b"it is"), IoSlice::new(b""), IoSlice::new(b" slow indeed")])
            .await
            .expect_err("the reader stops in the middle");
        let (_theirs, taken) = reader.await.expect("no panic");
        assert_eq!(taken, b"it is slow i");
    }
}
