//! What a fuzzer throws bytes at: everything of this crate that reads what others wrote. Not part of the interface.

use bytes::BytesMut;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::Decoder;

use crate::frame::{Frame, FrameError, Kind, MAX_REQUEST, framing};
use crate::preamble;
use crate::request::{Gap, Hello, Refusal, Reply, Request, Welcome};
use crate::snapshot::Snapshot;

/// Reads `bytes` as a preamble, then as a stream of frames that ends with them, each frame as whatever its kind
/// says, and as a request and a reply besides. What is understood must come back the same from its own bytes.
///
/// Returns how many frames there were, and whether the stream ended as it should.
pub fn decode_frames(bytes: &[u8]) -> (usize, Result<(), FrameError>) {
    if let Some(head) = bytes.first_chunk() {
        drop(preamble::check(head));
    }
    let mut framing = framing(MAX_REQUEST);
    let mut buffer = BytesMut::from(bytes);
    let mut frames = 0;
    loop {
        match framing.decode_eof(&mut buffer) {
            Ok(Some(frame)) => decode_frame(&frame),
            Ok(None) => return (frames, Ok(())),
            Err(error) => return (frames, Err(error)),
        }
        frames += 1;
    }
}

fn decode_frame(frame: &Frame) {
    if let Ok(Some(envelope)) = frame.decode_durable() {
        let again =
            Frame::durable(crate::Seq(frame.seq), &envelope).expect("what was decoded can be encoded");
        assert_eq!(again.decode_durable().expect("and decoded again"), Some(envelope));
    }
    if let Ok(Some(envelope)) = frame.decode_transient() {
        let again = Frame::transient(&envelope).expect("what was decoded can be encoded");
        assert_eq!(again.decode_transient().expect("and decoded again"), Some(envelope));
    }
    match frame.kind {
        Kind::HELLO => round_trip::<Hello>(frame),
        Kind::WELCOME => round_trip::<Welcome>(frame),
        Kind::SNAPSHOT => round_trip::<Snapshot>(frame),
        Kind::GAP => round_trip::<Gap>(frame),
        Kind::FAREWELL => round_trip::<Refusal>(frame),
        _ => {}
    }
    round_trip::<Request>(frame);
    round_trip::<Reply>(frame);
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(frame: &Frame) {
    let Ok(value) = frame.decode::<T>() else { return };
    let again = Frame::of(frame.kind, frame.seq, &value).expect("what was decoded can be encoded");
    assert_eq!(again.decode::<T>().expect("and decoded again"), value);
}
