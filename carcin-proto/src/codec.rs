//! Payload encoding: the only place that knows bincode.
//!
//! bincode 2's standard configuration (little-endian, variable-length integers) through serde, with a limit on
//! what a decoder may allocate. The crate is no longer maintained (RUSTSEC-2025-0141); it is pinned, and this
//! file is all that would change with it.

use bincode::config::{Configuration, Limit, LittleEndian, Varint, standard};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::MAX_FRAME;

/// A payload that cannot be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The value is too large for a frame, or of a shape that bincode refuses.
    #[error("cannot encode the payload: {0}")]
    Encode(String),
    /// The bytes are cut short or are no such value.
    #[error("cannot decode the payload: {0}")]
    Decode(String),
    /// The value ended before the bytes did.
    #[error("{0} bytes too many after the payload")]
    Trailing(usize),
}

type Config = Configuration<LittleEndian, Varint, Limit<MAX_FRAME>>;

const CONFIG: Config = standard().with_limit::<MAX_FRAME>();

/// The bytes of `value`.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    encode_into(value, &mut out)?;
    Ok(out)
}

/// Appends the bytes of `value` to `out`.
pub(crate) fn encode_into<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    bincode::serde::encode_into_std_write(value, out, CONFIG)
        .map(drop)
        .map_err(|error| CodecError::Encode(error.to_string()))
}

/// The value that all of `bytes` is.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, rest) = decode_prefix(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(CodecError::Trailing(rest.len())) }
}

/// The value that `bytes` begins with, and what comes after it.
pub(crate) fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), CodecError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, CONFIG)
        .map_err(|error| CodecError::Decode(error.to_string()))?;
    Ok((value, &bytes[used..]))
}
