//! What the fuzzer runs, over its committed seeds and what becomes of them: for machines without a fuzzer.

use std::fs;
use std::path::Path;

use carcin_proto::frame::FrameError;
use carcin_proto::fuzzing::decode_frames;
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn seeds() -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/decode_frames");
    let mut seeds: Vec<_> = fs::read_dir(&dir)
        .expect("the corpus is there")
        .map(|entry| {
            let entry = entry.expect("readable");
            let name = entry.file_name().into_string().expect("a plain name");
            (name, fs::read(entry.path()).expect("readable"))
        })
        .collect();
    seeds.sort();
    assert!(seeds.len() > 20, "the corpus has its seeds");
    seeds
}

fn seed(name: &str) -> Vec<u8> {
    seeds().into_iter().find(|(known, _)| known == name).expect("a committed seed").1
}

#[test]
fn every_seed_is_read_without_a_panic() {
    for (_, bytes) in seeds() {
        drop(decode_frames(&bytes));
    }
}

#[test]
fn the_good_seeds_are_whole_streams() {
    for name in ["control", "durable", "transient", "requests", "replies", "unknown_kinds"] {
        let (frames, end) = decode_frames(&seed(name));
        assert!(frames >= 3 && end.is_ok(), "{name}: {frames} frames, then {end:?}");
    }
}

#[test]
fn the_hostile_seeds_are_told_apart() {
    let end = |name: &str| decode_frames(&seed(name)).1;
    assert!(matches!(end("hostile_length_max"), Err(FrameError::TooLarge { size: 0xffff_ffff, .. })));
    assert!(matches!(end("hostile_length_at_cap"), Err(FrameError::Truncated(6))));
    assert!(matches!(end("hostile_length_short"), Err(FrameError::Short(9))));
    assert!(matches!(end("hostile_truncated"), Err(FrameError::Truncated(_))));
}

/// What happens to a seed.
#[derive(Debug, Clone)]
enum Mutation {
    Set(Index, u8),
    Remove(Index),
    Insert(Index, Vec<u8>),
    Cut(Index),
    Repeat(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let edge = select(vec![0u8, 1, 0x10, 0x7f, 0x80, 250, 251, 252, 253, 254, 255]);
    prop_oneof![
        4 => (any::<Index>(), prop_oneof![edge, any::<u8>()]).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        2 => any::<Index>().prop_map(Mutation::Remove),
        2 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        1 => any::<Index>().prop_map(Mutation::Cut),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: Mutation) {
    if bytes.is_empty() {
        return;
    }
    let at = |index: Index| index.index(bytes.len());
    match mutation {
        Mutation::Set(index, byte) => {
            let at = at(index);
            bytes[at] = byte;
        }
        Mutation::Remove(index) => drop(bytes.remove(at(index))),
        Mutation::Insert(index, new) => {
            let at = at(index);
            bytes.splice(at..at, new);
        }
        Mutation::Cut(index) => bytes.truncate(at(index)),
        Mutation::Repeat(from, to) => {
            let (from, to) = (at(from).min(at(to)), at(from).max(at(to)));
            bytes.extend_from_within(from..to.min(from + 64));
        }
    }
}

proptest! {
    #[test]
    fn mutated_seeds_are_read_without_a_panic(
        (_, mut bytes) in select(seeds()),
        mutations in prop::collection::vec(mutation(), 1..6),
    ) {
        for mutation in mutations {
            mutate(&mut bytes, mutation);
        }
        drop(decode_frames(&bytes));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(decode_frames(&bytes));
    }
}
