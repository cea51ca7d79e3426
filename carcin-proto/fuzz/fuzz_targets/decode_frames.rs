//! Any bytes as a stream of frames: `cargo +nightly fuzz run decode_frames`, in `carcin-proto/`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = carcin_proto::fuzzing::decode_frames(bytes);
});
