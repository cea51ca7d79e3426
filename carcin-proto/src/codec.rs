//! Payload encoding: the only place that knows bincode.
//!
//! bincode 2's standard configuration (little-endian, variable-length integers) through serde, with a limit on
//! what a decoder may allocate. The crate is no longer maintained (RUSTSEC-2025-0141); it is pinned, and this
//! file is all that would change with it.

use bincode::config::standard;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::MAX_FRAME;

/// How many bytes bincode counts at most for one byte that it reads: a small `u64` is one byte long and counts
/// as eight.
const COUNTED: usize = 8;

/// A payload that cannot be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The value is too large for a frame, or of a shape that bincode refuses.
    #[error("cannot encode the payload: {0}")]
    Encode(String),
    /// The frame would be larger than the other end accepts.
    #[error("{size} bytes do not fit into a frame of at most {max}")]
    TooLarge {
        /// The frame's size in bytes.
        size: usize,
        /// The largest allowed, in bytes.
        max: usize,
    },
    /// The bytes are cut short or are no such value.
    #[error("cannot decode the payload: {0}")]
    Decode(String),
    /// The value ended before the bytes did.
    #[error("{0} bytes too many after the payload")]
    Trailing(usize),
}

/// The bytes of `value`.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    encode_into(value, &mut out)?;
    Ok(out)
}

/// Appends the bytes of `value` to `out`.
pub(crate) fn encode_into<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    bincode::serde::encode_into_std_write(value, out, standard())
        .map(drop)
        .map_err(|error| CodecError::Encode(error.to_string()))
}

/// The value that all of `bytes` is.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, rest) = decode_prefix(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(CodecError::Trailing(rest.len())) }
}

/// The value that `bytes` begins with, and what comes after it.
///
/// bincode reserves what a length claims, up to its limit, before it looks whether the bytes are there. Its limit
/// is a constant, so a few of them keep a short payload from claiming much.
pub(crate) fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), CodecError> {
    const SMALL: usize = 8 * 1024;
    const MIDDLE: usize = 128 * 1024;
    const LARGE: usize = 1024 * 1024;
    let size = bytes.len();
    if size <= SMALL {
        decode_within::<T, { SMALL * COUNTED }>(bytes)
    } else if size <= MIDDLE {
        decode_within::<T, { MIDDLE * COUNTED }>(bytes)
    } else if size <= LARGE {
        decode_within::<T, { LARGE * COUNTED }>(bytes)
    } else {
        decode_within::<T, { MAX_FRAME * COUNTED }>(bytes)
    }
}

fn decode_within<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<(T, &[u8]), CodecError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, standard().with_limit::<LIMIT>())
        .map_err(|error| CodecError::Decode(error.to_string()))?;
    Ok((value, &bytes[used..]))
}
