//! Whether the log beside the journal is what was written.
//!
//! SQLite takes the log up to its first bad frame and passes over the rest in silence: right after a power cut, where
//! the end may be missing, and wrong where the middle was overwritten. Then commits would be gone that somebody was
//! told of, and their numbers given out twice.

use std::fs;
use std::path::Path;

/// A log is cut back at 4 MiB; one that grew beyond this, behind a reader that never ended, is taken as it is.
const LONGEST: u64 = 256 << 20;
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The header's first word, less the bit that says how the checksums are computed.
const MAGIC: u32 = 0x377f_0682;

/// Whether the log at `path` was tampered with: it has a header that is none, or a whole frame behind a bad one. A
/// log that is not there, or that is cut off, is fine.
pub(super) fn is_damaged(path: &Path) -> bool {
    if !fs::metadata(path).is_ok_and(|metadata| metadata.len() <= LONGEST) {
        return false;
    }
    fs::read(path).is_ok_and(|log| log.len() > HEADER && !is_whole(&log))
}

fn is_whole(log: &[u8]) -> bool {
    let (header, mut rest) = log.split_at(HEADER);
    let magic = word(header, 0);
    if magic & !1 != MAGIC {
        return false;
    }
    let sum = Checksum { big_endian: magic & 1 == 1 };
    let mut state = sum.add((0, 0), &header[..24]);
    if state != (word(header, 24), word(header, 28)) {
        return false;
    }
    let salts = &header[16..24];
    let frame = FRAME_HEADER + page_size(header);
    let mut broken = false;
    while rest.len() >= frame {
        let (this, behind) = rest.split_at(frame);
        rest = behind;
        if this[8..16] != *salts {
            // Left from before the log was begun anew.
            broken = true;
            continue;
        }
        if broken {
            return false;
        }
        state = sum.add(sum.add(state, &this[..8]), &this[FRAME_HEADER..]);
        broken = state != (word(this, 16), word(this, 20));
    }
    true
}

fn page_size(header: &[u8]) -> usize {
    // 1 stands for 64 KiB. Anything else that is no page size has not passed the checksum.
    usize::try_from(word(header, 8)).map_or(1 << 16, |size| if size == 1 { 1 << 16 } else { size })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// SQLite's checksum of a log: two sums over pairs of words, each in the other.
#[derive(Clone, Copy)]
struct Checksum {
    big_endian: bool,
}

impl Checksum {
    fn add(self, (mut first, mut second): (u32, u32), bytes: &[u8]) -> (u32, u32) {
        let number = |bytes: &[u8]| {
            let word = word(bytes, 0);
            if self.big_endian { word } else { word.swap_bytes() }
        };
        for pair in bytes.chunks_exact(8) {
            first = first.wrapping_add(number(&pair[..4])).wrapping_add(second);
            second = second.wrapping_add(number(&pair[4..])).wrapping_add(first);
        }
        (first, second)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// A log of several frames, as SQLite writes it.
    fn log() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        // A log that is begun anew leaves old frames behind its new ones.
        connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        for _ in 0..3 {
            connection.execute_batch("INSERT INTO t VALUES (randomblob(9000))").unwrap();
        }
        fs::read(dir.path().join("db-wal")).unwrap()
    }

    #[test]
    fn what_sqlite_wrote_is_whole_wherever_it_is_cut_off() {
        let log = log();
        assert!(log.len() > HEADER + 4 * (FRAME_HEADER + 4096));
        for end in (HEADER..=log.len()).rev().step_by(997) {
            assert!(is_whole(&log[..end]), "cut at {end}");
        }
    }

    #[test]
    fn what_was_overwritten_is_not() {
        let whole = log();
        for at in [0, 20, HEADER + 100, HEADER + FRAME_HEADER + 4096 + 50] {
            let mut log = whole.clone();
            log[at] ^= 0x55;
            assert!(!is_whole(&log), "overwritten at {at}");
        }
        assert!(!is_whole(&vec![0xA5; 50_000]));
    }

    #[test]
    fn a_last_frame_that_is_torn_is_no_damage() {
        let mut log = log();
        let end = log.len() - 10;
        log[end] ^= 0x55;
        let frame = FRAME_HEADER + 4096;
        assert_eq!((log.len() - HEADER) % frame, 0);
        assert!(is_whole(&log));
    }
}
