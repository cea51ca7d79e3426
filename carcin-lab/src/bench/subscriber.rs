//! A subscriber as thin as one can be: a blocking socket on a thread of its own.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, bail};
use bytes::{Buf as _, Bytes, BytesMut};
use carcin_proto::request::{From, Hello, Subscribe};
use carcin_proto::{Event, Frame, Kind, Request, Snapshot, Transient, preamble};

/// One read.
pub(super) const READ: usize = 128 << 10;
/// Bytes of a frame before its payload: length, kind and `seq`.
const HEADER: usize = 14;

/// Frames as they come.
pub(super) struct Subscriber {
    stream: UnixStream,
    buffer: BytesMut,
    chunk: Vec<u8>,
    /// What there was when it began.
    pub(super) snapshot: Snapshot,
}

impl Subscriber {
    /// Follows the daemon from now on, with transient events.
    pub(super) fn open(socket: &Path) -> anyhow::Result<Self> {
        let mut stream = UnixStream::connect(socket).context("cannot subscribe")?;
        stream.write_all(&preamble::ours())?;
        let mut theirs = [0; preamble::LEN];
        stream.read_exact(&mut theirs)?;
        preamble::check(&theirs)?;
        let hello = Hello { client: "bench".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let subscribe = Request::Subscribe(Subscribe { from: From::Now, transients: true });
        let mut out = BytesMut::new();
        Frame::of(Kind::HELLO, 0, &hello)?.put(&mut out);
        Frame::of(Kind::REQUEST, 1, &subscribe)?.put(&mut out);
        stream.write_all(&out)?;
        let mut subscriber =
            Self { stream, buffer: BytesMut::new(), chunk: vec![0; READ], snapshot: Snapshot::default() };
        for expected in [Kind::WELCOME, Kind::REPLY, Kind::SNAPSHOT] {
            let frame = subscriber.next()?;
            if frame.kind != expected {
                bail!("a subscription began with a frame of kind {:#06x}", frame.kind.0);
            }
            if expected == Kind::SNAPSHOT {
                subscriber.snapshot = frame.decode()?;
            }
        }
        Ok(subscriber)
    }

    /// The next frame.
    pub(super) fn next(&mut self) -> anyhow::Result<Frame> {
        loop {
            if let Some(length) = self.buffer.first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize)
                && self.buffer.len() >= 4 + length
            {
                self.buffer.advance(4);
                let body: Bytes = self.buffer.split_to(length).freeze();
                return Ok(Frame::parse(body)?);
            }
            let count = self.stream.read(&mut self.chunk)?;
            anyhow::ensure!(count > 0, "the daemon ended the subscription");
            self.buffer.extend_from_slice(&self.chunk[..count]);
        }
    }

    /// Reads until a durable event is what is waited for.
    pub(super) fn wait(&mut self, mut is_it: impl FnMut(&Event) -> bool) -> anyhow::Result<()> {
        loop {
            let frame = self.next()?;
            if frame.kind.is_durable()
                && let Some(envelope) = frame.decode_durable()?
                && is_it(&envelope.event)
            {
                return Ok(());
            }
        }
    }

    /// Reads and discards until a frame of this kind begins; gives what came before it. Looks into transient frames
    /// alone.
    pub(super) fn discard_until(&mut self, kind: Kind) -> anyhow::Result<Discarded> {
        let mut seen = Discarded::default();
        // What is left of a frame that reached into the next read, and the part of a header that was in this one.
        let (mut rest, mut open) = (0, self.buffer.split().to_vec());
        loop {
            let mut at = rest;
            while open.len() >= at + HEADER {
                let length = u32::from_le_bytes([open[at], open[at + 1], open[at + 2], open[at + 3]]);
                let found = Kind(u16::from_le_bytes([open[at + 4], open[at + 5]]));
                if found == kind {
                    self.buffer = BytesMut::from(&open[at..]);
                    return Ok(seen);
                }
                seen.durable += u64::from(found.is_durable());
                let end = at + 4 + length as usize;
                if found.is_transient() {
                    if open.len() < end {
                        break;
                    }
                    let body = Bytes::copy_from_slice(&open[at + 4..end]);
                    if let Some(Transient::TextDelta(delta)) =
                        Frame::parse(body)?.decode_transient()?.map(|envelope| envelope.event)
                    {
                        seen.text += delta.text.len() as u64;
                    }
                }
                at = end;
            }
            let kept = open.len().saturating_sub(at);
            rest = at.saturating_sub(open.len());
            open.drain(..open.len() - kept);
            open.resize(kept + READ, 0);
            let count = self.stream.read(&mut open[kept..])?;
            anyhow::ensure!(count > 0, "the daemon ended the subscription");
            open.truncate(kept + count);
        }
    }
}

/// How much a subscriber has let pass.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Discarded {
    pub(super) durable: u64,
    /// Bytes of partial text.
    pub(super) text: u64,
}
