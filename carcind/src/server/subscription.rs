//! A subscription: a cursor on the journal, never a queue.
//!
//! A subscriber is served from what was just published, already encoded; when it lags behind that, from the
//! journal. So one that is slow, or absent, costs nothing and misses nothing but transients.

use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;
use carcin_proto::request::{From, Gap, GapReason, Subscribe};
use carcin_proto::{Cursor, Frame, Kind, Reply, Seq};
use interprocess::local_socket::tokio::Stream;
use tokio::io::AsyncWriteExt;
use tokio::sync::broadcast::error::RecvError;

use super::Server;
use super::clients::Place;
use super::connection::{Broken, Requests, Session, next, write};
use crate::store::{Published, Store};

/// As many batches as are sent in one write, at most: the rest has the time that this takes.
const TOGETHER: usize = 32;

/// Serves a subscriber until it leaves.
pub(super) async fn run(
    server: &Server,
    session: &Session,
    subscribe: Subscribe,
    request: u64,
    requests: &mut Requests<'_>,
    send: &mut &Stream,
) -> Result<(), Broken> {
    let place = server.clients.enter(&session.client);
    tokio::select! {
        served = feed(&server.site.store, subscribe, request, &place, send) => served,
        left = wait_for_end(requests) => left,
    }
}

/// A subscriber has nothing more to say; that it hangs up is heard even while nothing is written to it.
async fn wait_for_end(requests: &mut Requests<'_>) -> Result<(), Broken> {
    while next(requests).await?.is_some() {}
    Ok(())
}

async fn feed(
    store: &Store,
    subscribe: Subscribe,
    request: u64,
    place: &Place,
    send: &mut &Stream,
) -> Result<(), Broken> {
    // Listening begins before the journal is looked at, so that nothing falls between the two.
    let mut live = store.live();
    let (mut cursor, first) = begin(store, subscribe.from).await?;
    let reply = Reply::Subscribed(store.cursor(cursor));
    write(send, &Frame::of(Kind::REPLY, request, &reply)?).await?;
    if let Some(first) = first {
        write(send, &first).await?;
    }
    loop {
        cursor = catch_up(store, cursor, place, send).await?;
        loop {
            match live.recv().await {
                Ok(published) => {
                    // Whoever is late gets what has come together in one write.
                    let late = std::iter::from_fn(|| live.try_recv().ok()).take(TOGETHER - 1);
                    let mut parts = Parts::default();
                    for published in std::iter::once(published).chain(late) {
                        parts.extend(beyond(&published, cursor, subscribe.transients));
                        cursor = cursor.max(published.last);
                    }
                    parts.write(send).await?;
                    place.set_cursor(cursor);
                }
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }
}

/// Where to go on from, and what to say first.
async fn begin(store: &Store, from: From) -> Result<(Seq, Option<Frame>), Broken> {
    let snapshot = store.snapshot().await?;
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
    let gap = Gap { reason, snapshot: (*snapshot).clone() };
    Ok((snapshot.seq, Some(Frame::of(Kind::GAP, snapshot.seq.0, &gap)?)))
}

/// Serves from the journal until there is nothing more in it.
async fn catch_up(store: &Store, mut cursor: Seq, place: &Place, send: &mut &Stream) -> Result<Seq, Broken> {
    loop {
        place.set_cursor(cursor);
        let page = store.events_after(cursor).await?;
        if page.bytes.is_empty() {
            return Ok(cursor);
        }
        send.write_all(&page.bytes).await?;
        cursor = page.last;
    }
}

/// Bytes that are sent in one write, as a rule, and copied by nobody.
#[derive(Default)]
struct Parts(Vec<Bytes>);

impl Parts {
    fn extend(&mut self, parts: impl Iterator<Item = Bytes>) {
        self.0.extend(parts);
    }

    async fn write(&self, send: &mut &Stream) -> std::io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = self.0.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            match send.write_vectored(rest).await? {
                0 => return Err(std::io::ErrorKind::WriteZero.into()),
                written => IoSlice::advance_slices(&mut rest, written),
            }
        }
        Ok(())
    }
}

/// The parts of what was published that come after the cursor. A transient that was published before a durable
/// event which the subscriber has is as old as that: it is not to come after it.
fn beyond(published: &Published, cursor: Seq, transients: bool) -> impl Iterator<Item = Bytes> {
    ranges_beyond(published, cursor, transients).into_iter().map(|range| published.bytes.slice(range))
}

fn ranges_beyond(published: &Published, cursor: Seq, transients: bool) -> Vec<Range<usize>> {
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
    use super::*;

    /// Frames of ten bytes each.
    fn published(seqs: &[u64], last: u64) -> Published {
        let frames = (1..).zip(seqs).map(|(at, seq)| (at * 10, Seq(*seq)));
        Published { bytes: Bytes::new(), frames: frames.collect(), last: Seq(last) }
    }

    fn sent(published: &Published, cursor: Seq, transients: bool) -> Vec<(usize, usize)> {
        let parts = ranges_beyond(published, cursor, transients);
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
}
