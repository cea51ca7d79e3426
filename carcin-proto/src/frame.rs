//! Frames: `{length u32, kind u16, seq u64, payload}`, all numbers little-endian.
//!
//! The length counts what follows it. A reader skips kinds that it does not know, and still advances its cursor
//! by their `seq`.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::{Decoder, Encoder};

use crate::codec::{self, CodecError};
use crate::event::{Envelope, Event, Transient, TransientEnvelope};
use crate::ids::{ConversationKey, Millis, Seq};

/// The largest frame that a client accepts, in bytes without the length field.
pub const MAX_FRAME: usize = 8 * 1024 * 1024;
/// The largest frame that the daemon accepts, in bytes without the length field: requests are small, and a
/// hostile length must not cost memory.
pub const MAX_REQUEST: usize = 1024 * 1024;

/// Bytes of kind and seq, before the payload.
const HEADER: usize = 2 + 8;
/// Bytes of the length field.
const LENGTH: usize = 4;

/// What a frame is. 0x0100 to 0x01ff are durable events, 0x0200 to 0x02ff transient ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(pub u16);

impl Kind {
    /// Client: who it is.
    pub const HELLO: Self = Self(0x0001);
    /// Daemon: who it is; the answer to a hello.
    pub const WELCOME: Self = Self(0x0002);
    /// Client: a request; `seq` is a number of the client's choice.
    pub const REQUEST: Self = Self(0x0003);
    /// Daemon: the reply; `seq` is the request's.
    pub const REPLY: Self = Self(0x0004);
    /// Daemon: the state at `seq`; the first frame of a subscription from now.
    pub const SNAPSHOT: Self = Self(0x0005);
    /// Daemon: the cursor cannot be served; why, and the state at `seq`.
    pub const GAP: Self = Self(0x0006);
    /// Daemon: a refusal that ends the connection.
    pub const FAREWELL: Self = Self(0x0007);

    /// Whether it is a durable event, known or not.
    pub fn is_durable(self) -> bool {
        (0x0100..0x0200).contains(&self.0)
    }

    /// Whether it is a transient event, known or not.
    pub fn is_transient(self) -> bool {
        (0x0200..0x0300).contains(&self.0)
    }
}

/// A frame that is not one, or never came.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Fewer bytes than a header.
    #[error("a frame of {0} bytes has no room for its header of {HEADER}")]
    Short(usize),
    /// A frame that claims more than this end accepts. Nothing of it was read.
    #[error("a frame of {size} bytes is over the limit of {cap}")]
    TooLarge {
        /// What it claims, in bytes.
        size: usize,
        /// The largest accepted, in bytes.
        cap: usize,
    },
    /// The connection ended within a frame: the other end died while it wrote.
    #[error("the connection ended {0} bytes into a frame")]
    Truncated(usize),
    /// The payload is not what its kind says.
    #[error("frame of kind {kind:#06x}: {source}")]
    Payload {
        /// The frame's kind.
        kind: u16,
        /// What is the matter with it.
        #[source]
        source: CodecError,
    },
}

/// A frame as it travels: the payload still encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// A durable event's place in the journal, a request's number, else 0.
    pub seq: u64,
    /// The encoded payload.
    pub payload: Bytes,
}

impl Frame {
    /// A frame around `value`.
    pub fn of<T: Serialize>(kind: Kind, seq: u64, value: &T) -> Result<Self, CodecError> {
        Self::around(kind, seq, codec::encode(value)?)
    }

    /// A durable event's frame.
    pub fn durable(seq: Seq, envelope: &Envelope) -> Result<Self, CodecError> {
        let mut payload = Vec::with_capacity(128);
        codec::encode_into(&(&envelope.conversation, envelope.at), &mut payload)?;
        envelope.event.encode_body(&mut payload)?;
        Self::around(Kind(envelope.event.kind()), seq.0, payload)
    }

    /// A transient event's frame.
    pub fn transient(envelope: &TransientEnvelope) -> Result<Self, CodecError> {
        let mut payload = Vec::with_capacity(128);
        codec::encode_into(&envelope.conversation, &mut payload)?;
        envelope.event.encode_body(&mut payload)?;
        Self::around(Kind(envelope.event.kind()), 0, payload)
    }

    /// Appends a durable event's whole frame to `out`: the bytes of [`Self::durable`] and [`Self::put`], with nothing
    /// copied. If it cannot be, `out` is left as it was.
    pub fn put_durable(
        seq: Seq,
        conversation: &ConversationKey,
        at: Millis,
        event: &Event,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        Self::put_around(Kind(event.kind()), seq.0, out, |out| {
            codec::encode_into(&(conversation, at), out)?;
            event.encode_body(out)
        })
    }

    /// The same for a transient event, as of [`Self::transient`].
    pub fn put_transient(
        conversation: &ConversationKey,
        event: &Transient,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        Self::put_around(Kind(event.kind()), 0, out, |out| {
            codec::encode_into(conversation, out)?;
            event.encode_body(out)
        })
    }

    fn put_around(
        kind: Kind,
        seq: u64,
        out: &mut Vec<u8>,
        payload: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let start = out.len();
        out.put_u32_le(0);
        out.put_u16_le(kind.0);
        out.put_u64_le(seq);
        let size = |out: &Vec<u8>| {
            let size = out.len() - start - LENGTH;
            let length = u32::try_from(size).ok().filter(|_| size <= MAX_FRAME);
            length.ok_or(CodecError::TooLarge { size, max: MAX_FRAME })
        };
        match payload(out).and_then(|()| size(out)) {
            Ok(length) => {
                out[start..start + LENGTH].copy_from_slice(&length.to_le_bytes());
                Ok(())
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    fn around(kind: Kind, seq: u64, payload: Vec<u8>) -> Result<Self, CodecError> {
        let frame = Self { kind, seq, payload: payload.into() };
        frame.fits(MAX_FRAME)?;
        Ok(frame)
    }

    /// Whether a reader that accepts frames of `max` bytes accepts this one.
    pub fn fits(&self, max: usize) -> Result<(), CodecError> {
        let size = HEADER + self.payload.len();
        if size > max { Err(CodecError::TooLarge { size, max }) } else { Ok(()) }
    }

    /// The payload as a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        codec::decode(&self.payload).map_err(|source| self.bad(source))
    }

    /// The durable event in it; `None`: of a kind that this version does not know.
    pub fn decode_durable(&self) -> Result<Option<Envelope>, FrameError> {
        let ((conversation, at), rest): ((ConversationKey, Millis), &[u8]) =
            codec::decode_prefix(&self.payload).map_err(|source| self.bad(source))?;
        let event = Event::decode_body(self.kind.0, rest).map_err(|source| self.bad(source))?;
        Ok(event.map(|event| Envelope { conversation, at, event }))
    }

    /// The transient event in it; `None`: of a kind that this version does not know.
    pub fn decode_transient(&self) -> Result<Option<TransientEnvelope>, FrameError> {
        let (conversation, rest): (ConversationKey, &[u8]) =
            codec::decode_prefix(&self.payload).map_err(|source| self.bad(source))?;
        let event = Transient::decode_body(self.kind.0, rest).map_err(|source| self.bad(source))?;
        Ok(event.map(|event| TransientEnvelope { conversation, event }))
    }

    /// Appends the whole frame, length included: what a batch of frames is made of.
    pub fn put(&self, out: &mut BytesMut) {
        let length = HEADER + self.payload.len();
        out.reserve(LENGTH + length);
        out.put_u32_le(u32::try_from(length).expect("a frame is checked against MAX_FRAME when it is made"));
        out.put_u16_le(self.kind.0);
        out.put_u64_le(self.seq);
        out.extend_from_slice(&self.payload);
    }

    /// Reads a frame from what follows its length.
    pub fn parse(mut body: Bytes) -> Result<Self, FrameError> {
        if body.len() < HEADER {
            return Err(FrameError::Short(body.len()));
        }
        let kind = Kind(body.get_u16_le());
        let seq = body.get_u64_le();
        Ok(Self { kind, seq, payload: body })
    }

    fn bad(&self, source: CodecError) -> FrameError {
        FrameError::Payload { kind: self.kind.0, source }
    }
}

/// The framing of a connection: `max` is [`MAX_FRAME`] at the client's end, [`MAX_REQUEST`] at the daemon's.
pub fn framing(max: usize) -> Framing {
    Framing { max }
}

/// Frames on a byte stream. The buffer grows with what arrives, never with what a length claims.
#[derive(Debug, Clone, Copy)]
pub struct Framing {
    max: usize,
}

impl Decoder for Framing {
    type Item = Frame;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some(length) = src.first_chunk::<LENGTH>() else { return Ok(None) };
        let size = u32::from_le_bytes(*length) as usize;
        if size > self.max {
            return Err(FrameError::TooLarge { size, cap: self.max });
        }
        if size < HEADER {
            return Err(FrameError::Short(size));
        }
        if src.len() < LENGTH + size {
            return Ok(None);
        }
        src.advance(LENGTH);
        Frame::parse(src.split_to(size).freeze()).map(Some)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        match self.decode(src)? {
            None if !src.is_empty() => Err(FrameError::Truncated(src.len())),
            frame => Ok(frame),
        }
    }
}

impl Encoder<&Frame> for Framing {
    type Error = FrameError;

    fn encode(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<(), FrameError> {
        frame.put(out);
        Ok(())
    }
}
