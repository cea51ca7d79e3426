//! The stream of frames: whatever arrives, and however it is cut.

use bytes::{BufMut, BytesMut};
use proptest::prelude::*;
use tokio_util::codec::Decoder;

use super::generate::any_envelope;
use crate::frame::{Frame, FrameError, Kind, MAX_FRAME, MAX_REQUEST, framing};
use crate::preamble::{self, PreambleError};
use crate::{CodecError, Seq};

fn frame(kind: u16, payload: &'static [u8]) -> Frame {
    Frame { kind: Kind(kind), seq: 7, payload: payload.into() }
}

#[test]
fn a_claimed_length_over_the_cap_is_refused_at_once() {
    let mut buffer = BytesMut::new();
    buffer.put_u32_le(u32::try_from(MAX_REQUEST).expect("fits") + 1);
    let error = framing(MAX_REQUEST).decode(&mut buffer).expect_err("refused");
    assert!(matches!(error, FrameError::TooLarge { cap: MAX_REQUEST, .. }), "{error}");
    assert_eq!(error.to_string(), "a frame of 1048577 bytes is over the limit of 1048576");
}

#[test]
fn a_claimed_length_under_the_cap_reserves_nothing() {
    let mut buffer = BytesMut::with_capacity(16);
    buffer.put_u32_le(u32::try_from(MAX_FRAME).expect("fits"));
    let before = buffer.capacity();
    assert!(framing(MAX_FRAME).decode(&mut buffer).expect("is waited for").is_none());
    assert_eq!(buffer.capacity(), before);
}

#[test]
fn a_length_without_room_for_the_header_is_refused_at_once() {
    let mut buffer = BytesMut::new();
    buffer.put_u32_le(9);
    assert!(matches!(framing(MAX_FRAME).decode(&mut buffer), Err(FrameError::Short(9))));
    assert!(matches!(Frame::parse(bytes::Bytes::from_static(b"123456789")), Err(FrameError::Short(9))));
}

#[test]
fn a_stream_that_ends_within_a_frame_says_so() {
    let mut whole = BytesMut::new();
    frame(3, b"payload").put(&mut whole);
    for end in 1..whole.len() {
        let mut cut = BytesMut::from(&whole[..end]);
        assert!(
            matches!(framing(MAX_FRAME).decode_eof(&mut cut), Err(FrameError::Truncated(n)) if n == end),
            "cut at {end}"
        );
    }
    assert!(matches!(framing(MAX_FRAME).decode_eof(&mut BytesMut::new()), Ok(None)));
}

#[test]
fn what_is_too_large_leaves_nothing_of_itself() {
    let key = crate::ConversationKey::new("test").expect("a valid key");
    let text = "x".repeat(MAX_FRAME);
    let notice = crate::event::Notice { level: crate::event::Level::Info, text, hint: None };
    let mut out = b"before".to_vec();
    let error =
        Frame::put_durable(Seq(1), &key, crate::Millis(0), &notice.into(), &mut out).expect_err("too large");
    assert!(matches!(error, CodecError::TooLarge { max: MAX_FRAME, .. }), "{error}");
    assert_eq!(out, b"before");
}

#[test]
fn a_frame_over_the_cap_cannot_be_made() {
    let error = Frame::of(Kind::REPLY, 1, &"x".repeat(MAX_FRAME)).expect_err("too large");
    assert!(matches!(error, CodecError::TooLarge { max: MAX_FRAME, .. }), "{error}");
    let frame = Frame::of(Kind::REQUEST, 1, &"x".repeat(MAX_REQUEST)).expect("small enough for a client");
    assert!(frame.fits(MAX_REQUEST).is_err());
    assert!(frame.fits(MAX_FRAME).is_ok());
}

#[test]
fn an_unknown_kind_is_skipped_and_a_known_one_must_be_whole() {
    let unknown = frame(0x01ff, b"\x03cli\x01whatever comes");
    assert!(unknown.kind.is_durable());
    assert_eq!(unknown.decode_durable().expect("skipped"), None);
    let trailing = frame(0x0120, b"\x03cli\x01\x01\x00more");
    let error = trailing.decode_durable().expect_err("trailing bytes");
    assert!(
        matches!(error, FrameError::Payload { kind: 0x0120, source: CodecError::Trailing(4) }),
        "{error}"
    );
}

#[test]
fn a_claimed_length_in_a_payload_is_not_believed() {
    // A string of 2^63 bytes, one of 8 MiB, and a list of 2^60 strings.
    for hostile in [&b"\xfd\0\0\0\0\0\0\0\x80"[..], &b"\xfc\0\0\x80\0"[..]] {
        assert!(matches!(crate::decode::<String>(hostile), Err(CodecError::Decode(_))));
    }
    let list = b"\xfd\0\0\0\0\0\0\0\x10";
    assert!(matches!(crate::decode::<Vec<String>>(list), Err(CodecError::Decode(_))));
}

#[test]
fn the_preamble_tells_which_end_to_upgrade() {
    let mut bytes = preamble::ours();
    assert_eq!(preamble::check(&bytes).expect("ours"), preamble::VERSION);
    bytes[10] = 0xff;
    assert_eq!(preamble::check(&bytes).expect("a later minor").minor, 0xff);
    bytes[8] += 1;
    assert!(matches!(preamble::check(&bytes), Err(PreambleError::WeAreOlder(theirs)) if theirs.major == 2));
    bytes[8] = 0;
    assert!(matches!(preamble::check(&bytes), Err(PreambleError::TheyAreOlder(theirs)) if theirs.major == 0));
    assert!(matches!(preamble::check(b"GET / HTTP/1"), Err(PreambleError::Magic)));
    assert!(matches!(preamble::check(b"CARCIN\n\n\x01\0\0\0"), Err(PreambleError::Magic)));
}

#[tokio::test]
async fn an_end_that_says_too_little_is_an_error_not_a_hang() {
    let (mut near, far) = tokio::io::duplex(64);
    drop(far);
    assert!(matches!(preamble::exchange(&mut near).await, Err(PreambleError::Io(_))));
}

proptest! {
    /// Frames come out as they went in, wherever the stream is cut into reads.
    #[test]
    fn cuts_do_not_matter(
        events in prop::collection::vec((any::<u64>(), any_envelope()), 1..5),
        cuts in prop::collection::vec(1usize..40, 1..60),
    ) {
        let frames: Vec<Frame> = events
            .iter()
            .map(|(seq, envelope)| Frame::durable(Seq(*seq), envelope).expect("encodes"))
            .collect();
        let mut stream = BytesMut::new();
        for frame in &frames {
            frame.put(&mut stream);
        }
        let mut cuts = cuts.into_iter().cycle();
        let (mut framing, mut buffer, mut out) = (framing(MAX_FRAME), BytesMut::new(), Vec::new());
        while !stream.is_empty() {
            let cut = cuts.next().expect("a cycle").min(stream.len());
            buffer.extend_from_slice(&stream.split_to(cut));
            while let Some(frame) = framing.decode(&mut buffer).expect("decodes") {
                out.push(frame);
            }
        }
        prop_assert!(framing.decode_eof(&mut buffer).expect("ends").is_none());
        prop_assert_eq!(frames, out);
    }
}
