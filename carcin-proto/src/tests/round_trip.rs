//! Every value comes back from its bytes as it was, and from nothing less or more.

use bytes::BytesMut;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::generate::{any_envelope, any_transient, any_value};
use crate::frame::Frame;
use crate::request::{Gap, Hello, Reply, Request, Welcome};
use crate::{Cursor, Refusal, Seq, Snapshot, decode, encode};

/// The value comes back; any shorter bytes are an error, and so is a byte more.
fn comes_back<T>(value: &T) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let mut bytes = encode(value).expect("encodes");
    prop_assert_eq!(&decode::<T>(&bytes).expect("decodes"), value);
    for end in 0..bytes.len() {
        prop_assert!(decode::<T>(&bytes[..end]).is_err(), "cut at {} of {}", end, bytes.len());
    }
    bytes.push(0);
    prop_assert_eq!(decode::<T>(&bytes), Err(crate::CodecError::Trailing(1)));
    Ok(())
}

proptest! {
    #[test]
    fn handshakes(hello in any_value::<Hello>(), welcome in any_value::<Welcome>()) {
        comes_back(&hello)?;
        comes_back(&welcome)?;
    }

    #[test]
    fn requests(request in any_value::<Request>()) {
        comes_back(&request)?;
    }

    #[test]
    fn replies(reply in any_value::<Reply>()) {
        comes_back(&reply)?;
    }

    #[test]
    fn snapshots_and_gaps(snapshot in any_value::<Snapshot>(), gap in any_value::<Gap>()) {
        comes_back(&snapshot)?;
        comes_back(&gap)?;
    }

    #[test]
    fn refusals_and_cursors(refusal in any_value::<Refusal>(), cursor in any_value::<Cursor>()) {
        comes_back(&refusal)?;
        comes_back(&cursor)?;
    }

    #[test]
    fn durable_events(seq in any::<u64>(), envelope in any_envelope()) {
        let frame = Frame::durable(Seq(seq), &envelope).expect("encodes");
        prop_assert!(frame.kind.is_durable());
        prop_assert_eq!(frame.seq, seq);
        for end in 0..frame.payload.len() {
            let cut = Frame { payload: frame.payload.slice(..end), ..frame.clone() };
            prop_assert!(cut.decode_durable().is_err(), "cut at {}", end);
        }
        let (mut apart, mut whole) = (BytesMut::from("before"), b"before".to_vec());
        frame.put(&mut apart);
        Frame::put_durable(Seq(seq), &envelope.conversation, envelope.at, &envelope.event, &mut whole).expect("encodes");
        prop_assert_eq!(&apart[..], &whole[..]);
        prop_assert_eq!(frame.decode_durable().expect("decodes"), Some(envelope));
    }

    #[test]
    fn transient_events(envelope in any_transient()) {
        let frame = Frame::transient(&envelope).expect("encodes");
        prop_assert!(frame.kind.is_transient());
        let (mut apart, mut whole) = (BytesMut::new(), Vec::new());
        frame.put(&mut apart);
        Frame::put_transient(&envelope.conversation, &envelope.event, &mut whole).expect("encodes");
        prop_assert_eq!(&apart[..], &whole[..]);
        prop_assert_eq!(frame.decode_transient().expect("decodes"), Some(envelope));
    }

    /// What `--json` prints is JSON, whatever is in it.
    #[test]
    fn events_have_a_json_face(envelope in any_envelope()) {
        let json = serde_json::to_value(&envelope).expect("serialises");
        prop_assert_eq!(json["conversation"].as_str(), Some(envelope.conversation.as_str()));
        prop_assert_eq!(json["at"].as_u64(), Some(envelope.at.0));
        prop_assert!(json["type"].is_string());
    }
}

/// bincode counts each small number as eight bytes against the limit of its size class.
#[test]
fn small_numbers_stay_decodable_in_every_size_class() {
    for size in [8 * 1024, 128 * 1024, 1024 * 1024] {
        let fill = |length: usize| encode(&vec![1u64; length]).expect("encodes");
        let bytes =
            (size - 9..size).map(fill).find(|bytes| bytes.len() == size).expect("a length of that size");
        assert!(decode::<Vec<u64>>(&bytes).is_ok(), "{size}");
    }
}
