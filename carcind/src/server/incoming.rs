//! The frames that a peer sends, read so that a hostile one costs little: neither time, as a frame that has begun
//! must come to its end, nor memory, as few large ones are read at once.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use carcin_proto::Frame;
use carcin_proto::frame::{MAX_REQUEST, framing};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::codec::Decoder as _;

use super::connection::Broken;

/// How long a frame may take from its first byte to its last. The peer writes it in one piece.
const FRAME: Duration = Duration::from_secs(10);
/// Frames up to this size are read at any time.
const SMALL: usize = 16 * 1024;
/// How many larger ones are read at once.
const LARGE_AT_ONCE: usize = 4;
/// How much is read at once.
const READ: usize = 8 * 1024;

/// The room for large frames, of all connections together.
#[derive(Debug, Clone)]
pub struct LargeFrames(Arc<Semaphore>);

impl Default for LargeFrames {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_AT_ONCE)))
    }
}

/// The frames of one peer.
pub(super) struct Incoming<R> {
    from: R,
    buffer: BytesMut,
    large: LargeFrames,
    /// Held from the beginning of a large frame until it is decoded.
    room: Option<OwnedSemaphorePermit>,
    /// When the frame that has begun must be there.
    due: Option<Instant>,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(super) fn new(from: R, large: LargeFrames) -> Self {
        Self { from, buffer: BytesMut::new(), large, room: None, due: None }
    }

    /// The next frame; `None`: the peer is done. Waits as long as none has begun. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, Broken> {
        let mut framing = framing(MAX_REQUEST);
        loop {
            if let Some(frame) = framing.decode(&mut self.buffer)? {
                self.due = None;
                if self.room.is_some() && self.buffer.is_empty() {
                    // Otherwise the buffer would stay as large as its largest frame.
                    self.buffer = BytesMut::new();
                }
                return Ok(Some(frame));
            }
            if !self.buffer.is_empty() && self.due.is_none() {
                self.due = Some(Instant::now() + FRAME);
            }
            self.make_room().await;
            let wanted = self.wanted();
            self.buffer.reserve(wanted);
            let read = async { (&mut self.from).take(wanted as u64).read_buf(&mut self.buffer).await };
            let read = match self.due {
                Some(due) => timeout_at(due, read).await.map_err(|_| Broken::Silent)??,
                None => read.await?,
            };
            if read == 0 {
                return framing.decode_eof(&mut self.buffer).map_err(Broken::from);
            }
        }
    }

    /// The last frame is decoded and gone.
    pub(super) fn decoded(&mut self) {
        self.room = None;
    }

    /// The size that the frame which has begun claims; it is checked already.
    fn claimed(&self) -> Option<usize> {
        self.buffer.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize)
    }

    /// How much to read: of a large frame no more than what belongs to it.
    fn wanted(&self) -> usize {
        let missing = self.claimed().map_or(READ, |size| 4 + size - self.buffer.len());
        missing.min(READ)
    }

    async fn make_room(&mut self) {
        if self.room.is_none() && self.claimed().is_some_and(|size| size > SMALL) {
            self.room = Arc::clone(&self.large.0).acquire_owned().await.ok();
            // Who had to wait has not been slow.
            self.due = Some(Instant::now() + FRAME);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use carcin_proto::Kind;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn largest() -> u32 {
        u32::try_from(MAX_REQUEST).expect("1 MiB")
    }

    fn frame(seq: u64, size: usize) -> BytesMut {
        let mut bytes = BytesMut::new();
        Frame { kind: Kind::REQUEST, seq, payload: vec![7; size].into() }.put(&mut bytes);
        bytes
    }

    fn peer(large: &LargeFrames) -> (DuplexStream, Incoming<DuplexStream>) {
        let (theirs, ours) = duplex(READ);
        (theirs, Incoming::new(ours, large.clone()))
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_any_size_come_whole_and_in_order() {
        let (mut theirs, mut incoming) = peer(&LargeFrames::default());
        let sizes = [0, 1, SMALL, SMALL + 1, 500_000, 3, MAX_REQUEST - 10, 0];
        tokio::spawn(async move {
            for (seq, size) in (0..).zip(sizes) {
                theirs.write_all(&frame(seq, size)).await.expect("it is read");
            }
        });
        for (seq, size) in (0..).zip(sizes) {
            let frame = incoming.next().await.expect("it is one").expect("it comes");
            assert_eq!((frame.seq, frame.payload.len()), (seq, size));
            incoming.decoded();
        }
        assert!(incoming.next().await.expect("an end").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_has_begun_must_end_but_the_next_may_take_for_ever() {
        let (mut theirs, mut incoming) = peer(&LargeFrames::default());
        theirs.write_all(&frame(1, 5)).await.expect("it is taken");
        assert!(incoming.next().await.expect("it is one").is_some());
        let day = tokio::time::timeout(Duration::from_hours(24), incoming.next());
        assert!(day.await.is_err(), "nothing comes, and that is fine");
        theirs.write_all(&frame(2, 5)[..7]).await.expect("it is taken");
        let begun = Instant::now();
        assert!(matches!(incoming.next().await, Err(Broken::Silent)));
        assert!(begun.elapsed() < FRAME * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn few_large_frames_are_held_at_once() {
        let large = LargeFrames::default();
        let mut held = Vec::new();
        for _ in 0..LARGE_AT_ONCE {
            let (mut theirs, mut incoming) = peer(&large);
            tokio::spawn(async move { theirs.write_all(&frame(1, SMALL * 2)).await.map(|()| theirs) });
            assert!(incoming.next().await.expect("it is one").is_some());
            held.push(incoming);
        }
        let (mut theirs, mut waiting) = peer(&large);
        theirs.write_all(&largest().to_le_bytes()).await.expect("it is taken");
        assert!(tokio::time::timeout(FRAME * 3, waiting.next()).await.is_err(), "there is no room");
        assert!(waiting.buffer.capacity() <= 2 * READ, "{} bytes are held", waiting.buffer.capacity());
        // A small one needs none.
        let (mut theirs, mut incoming) = peer(&large);
        theirs.write_all(&frame(1, 5)).await.expect("it is taken");
        assert!(incoming.next().await.expect("it is one").is_some());
        held[0].decoded();
        assert!(matches!(waiting.next().await, Err(Broken::Silent)), "it had room, and its time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_beyond_the_limit_is_refused_at_once() {
        for claim in [0, 9, largest() + 1, u32::MAX] {
            let (mut theirs, mut incoming) = peer(&LargeFrames::default());
            let mut bytes = BytesMut::new();
            bytes.put_u32_le(claim);
            theirs.write_all(&bytes).await.expect("it is taken");
            assert!(matches!(incoming.next().await, Err(Broken::Frame(_))), "{claim}");
        }
    }
}
