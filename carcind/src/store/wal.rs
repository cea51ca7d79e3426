//! Whether the log beside the journal is what was written.
//!
//! SQLite takes the log up to its first bad frame and passes over the rest in silence: right after a power cut, where
//! the end may be missing, and wrong where the middle was overwritten. Then commits would be gone that somebody was
//! told of, and their numbers given out twice.
//!
//! Not every whole frame behind a bad one was committed. SQLite writes the frames of a transaction one after the other
//! behind the last commit, and where that fails (no room, a kill, a rollback of what did not fit into its cache) it
//! leaves them there; the next transaction begins in the same place, and need not be as long. Nothing else writes
//! there twice: what is committed is overwritten only once the log is begun anew, and then its salts are others. So a
//! frame with the log's salts behind the end of its commits belongs to a transaction that failed.
//!
//! Where the commits end, the log's index says, which a kill leaves behind as it was. Without it a commit is known
//! by its mark, which is on its last frame alone. Only a commit that failed at its very end, while it was synced,
//! has one too.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// A log is cut back at 4 MiB; one that grew beyond this, behind a reader that never ended, is taken as it is.
const LONGEST: u64 = 256 << 20;
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The header's first word, less the bit that says how the checksums are computed.
const MAGIC: u32 = 0x377f_0682;
/// The index begins with this header, twice.
const INDEX_HEADER: usize = 48;
/// The version of the index in its first word.
const INDEX_VERSION: u32 = 3_007_000;

/// Whether the log at `path` was tampered with: it has a header that is none, or a commit is behind a bad frame. A
/// log that is not there is fine, and so is one that is cut off, unless its index at `index` knows better.
pub(super) fn is_damaged(path: &Path, index: &Path) -> bool {
    if !fs::metadata(path).is_ok_and(|metadata| metadata.len() <= LONGEST) {
        return false;
    }
    let mut known = [0; 2 * INDEX_HEADER];
    let known = File::open(index).and_then(|mut file| file.read_exact(&mut known)).is_ok().then_some(known);
    fs::read(path).is_ok_and(|log| log.len() > HEADER && !is_whole(&log, known.as_ref()))
}

fn is_whole(log: &[u8], index: Option<&[u8; 2 * INDEX_HEADER]>) -> bool {
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
    let (mut good, mut broken, mut commit_behind) = (0, false, false);
    while rest.len() >= frame {
        let (this, behind) = rest.split_at(frame);
        rest = behind;
        if this[8..16] != *salts {
            // Left from before the log was begun anew.
            broken = true;
            continue;
        }
        if broken {
            // How many pages the database has after the commit; 0: it is not the last frame of one.
            commit_behind |= word(this, 4) != 0;
            continue;
        }
        state = sum.add(sum.add(state, &this[..8]), &this[FRAME_HEADER..]);
        broken = state != (word(this, 16), word(this, 20));
        good += u32::from(!broken);
    }
    match index.and_then(|index| committed(index, salts)) {
        Some(committed) => good >= committed,
        None => !commit_behind,
    }
}

/// How many frames of the log with these salts are committed, as its index says. `None`: it is the index of another
/// log, or was being written.
fn committed(index: &[u8; 2 * INDEX_HEADER], salts: &[u8]) -> Option<u32> {
    let (header, again) = index.split_at(INDEX_HEADER);
    // It is memory of the machine's own, in its order; only the salts are as in the log.
    let big_endian = cfg!(target_endian = "big");
    let number = |at: usize| if big_endian { word(header, at) } else { word(header, at).swap_bytes() };
    let valid = header == again
        && number(0) == INDEX_VERSION
        && Checksum { big_endian }.add((0, 0), &header[..40]) == (number(40), number(44));
    (valid && header[32..40] == *salts).then(|| number(16))
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

    const FRAME: usize = FRAME_HEADER + 4096;

    /// A journal in a directory of its own, with the daemon's settings as far as they count here.
    struct Journal {
        dir: tempfile::TempDir,
        connection: Connection,
    }

    impl Journal {
        fn begin() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let connection = Connection::open(dir.path().join("db")).unwrap();
            connection.pragma_update(None, "journal_mode", "WAL").unwrap();
            connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
            // A log that is begun anew leaves old frames behind its new ones.
            connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
            let journal = Self { dir, connection };
            for _ in 0..3 {
                journal.insert(9000);
            }
            journal
        }

        fn insert(&self, bytes: u32) {
            self.connection.execute("INSERT INTO t VALUES (randomblob(?1))", [bytes]).unwrap();
        }

        fn log(&self) -> Vec<u8> {
            fs::read(self.dir.path().join("db-wal")).unwrap()
        }

        fn index(&self) -> [u8; 2 * INDEX_HEADER] {
            let index = fs::read(self.dir.path().join("db-shm")).unwrap();
            index[..2 * INDEX_HEADER].try_into().unwrap()
        }

        /// A second one that goes on from the same log.
        fn copy(&self) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for name in ["db", "db-wal"] {
                fs::copy(self.dir.path().join(name), dir.path().join(name)).unwrap();
            }
            let connection = Connection::open(dir.path().join("db")).unwrap();
            Self { dir, connection }
        }

        fn is_whole_either_way(&self) -> bool {
            let log = self.log();
            is_whole(&log, Some(&self.index())) && is_whole(&log, None)
        }
    }

    /// A log whose last commit of many frames failed when all but the last `missing` of them were written, and a
    /// small one that came after it; with its index.
    fn failed(missing: usize) -> (Vec<u8>, [u8; 2 * INDEX_HEADER]) {
        let journal = Journal::begin();
        let large = journal.copy();
        large.insert(200_000);
        journal.insert(10);
        let (mut log, fails) = (journal.log(), large.log());
        let kept = fails.len() - missing * FRAME;
        assert!(kept > log.len() + 10 * FRAME, "frames are left behind the small commit");
        log.extend_from_slice(&fails[log.len()..kept]);
        (log, journal.index())
    }

    #[test]
    fn what_sqlite_wrote_is_whole_wherever_it_is_cut_off() {
        let journal = Journal::begin();
        let log = journal.log();
        assert!(log.len() > HEADER + 4 * FRAME);
        assert!(is_whole(&log, Some(&journal.index())));
        for end in (HEADER..=log.len()).rev().step_by(997) {
            assert!(is_whole(&log[..end], None), "cut at {end}");
        }
        assert!(!is_whole(&log[..log.len() - FRAME], Some(&journal.index())), "the index knows of more");
    }

    #[test]
    fn what_was_overwritten_is_not() {
        let journal = Journal::begin();
        let (whole, index) = (journal.log(), journal.index());
        for at in [0, 20, HEADER + 100, HEADER + FRAME + 50] {
            let mut log = whole.clone();
            log[at] ^= 0x55;
            assert!(!is_whole(&log, None), "overwritten at {at}");
            assert!(!is_whole(&log, Some(&index)), "overwritten at {at}, and there is an index");
        }
        assert!(!is_whole(&vec![0xA5; 50_000], None));
    }

    #[test]
    fn a_last_frame_that_is_torn_is_no_damage_unless_it_was_committed() {
        let journal = Journal::begin();
        let mut log = journal.log();
        let end = log.len() - 10;
        log[end] ^= 0x55;
        assert_eq!((log.len() - HEADER) % FRAME, 0);
        assert!(is_whole(&log, None));
        assert!(!is_whole(&log, Some(&journal.index())));
    }

    #[test]
    fn what_a_rollback_left_behind_the_last_commit_is_no_damage() {
        let journal = Journal::begin();
        let before = journal.log().len();
        // More than the cache holds goes into the log before it is committed.
        journal.connection.pragma_update(None, "cache_size", 10).unwrap();
        journal
            .connection
            .execute_batch("BEGIN; INSERT INTO t VALUES (randomblob(200000)); ROLLBACK")
            .unwrap();
        let spilled = journal.log().len();
        assert!(spilled > before + 10 * FRAME, "nothing was spilled: {before}, {spilled}");
        journal.insert(10);
        assert_eq!(journal.log().len(), spilled, "the small commit is in the place of the first frames");
        assert!(journal.is_whole_either_way());
    }

    /// Set in the process that [`what_a_commit_left_that_found_no_room_is_no_damage`] starts: its journal's directory.
    const NO_ROOM: &str = "CARCIN_TEST_NO_ROOM";

    /// A journal whose disk has no room for a large commit, and takes a small one after it. Nothing is tidied up.
    fn fail_for_want_of_room(path: &Path) {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        connection.execute_batch("INSERT INTO t VALUES (randomblob(1000000))").expect_err("there is no room");
        connection.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        std::mem::forget(connection);
    }

    #[test]
    fn what_a_commit_left_that_found_no_room_is_no_damage() {
        if let Some(path) = std::env::var_os(NO_ROOM) {
            return fail_for_want_of_room(Path::new(&path));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        // The limit on a file's size stands for a disk that is full; with its signal ignored, it is an error of the write.
        let script = r#"trap "" XFSZ; ulimit -f 300; exec "$0" --exact "$1""#;
        let name = concat!(module_path!(), "::what_a_commit_left_that_found_no_room_is_no_damage");
        let (_, name) = name.split_once("::").expect("the crate's name comes first");
        let child = std::process::Command::new("sh")
            .args(["-c", script])
            .args([std::env::current_exe().unwrap().as_os_str(), name.as_ref()])
            .env(NO_ROOM, &path)
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        let log = fs::read(dir.path().join("db-wal")).unwrap();
        let index = fs::read(dir.path().join("db-shm")).unwrap();
        let committed = committed(index[..2 * INDEX_HEADER].try_into().unwrap(), &log[16..24]);
        let committed = HEADER + usize::try_from(committed.expect("an index")).unwrap() * FRAME;
        assert!(log.len() > committed + 10 * FRAME, "nothing is left behind the commits");
        assert!(!is_damaged(&dir.path().join("db-wal"), &dir.path().join("db-shm")));
        assert!(is_whole(&log, None));
    }

    #[test]
    fn what_a_killed_commit_left_is_no_damage() {
        for missing in [1, 2, 20] {
            let (log, index) = failed(missing);
            assert!(is_whole(&log, Some(&index)), "{missing} frames are missing");
            assert!(is_whole(&log, None), "{missing} frames are missing, and there is no index");
        }
    }

    #[test]
    fn what_a_commit_left_that_was_written_and_could_not_be_synced_is_no_damage_to_the_index() {
        let (log, index) = failed(0);
        assert!(is_whole(&log, Some(&index)));
        assert!(!is_whole(&log, None), "without it, it looks like one that was overwritten");
    }

    #[test]
    fn an_index_of_another_log_or_one_that_was_being_written_says_nothing() {
        let journal = Journal::begin();
        let (log, index) = (journal.log(), journal.index());
        let salts = &log[16..24];
        assert_eq!(committed(&index, salts), u32::try_from((log.len() - HEADER) / FRAME).ok());
        assert_eq!(committed(&index, &[0; 8]), None);
        for at in [0, 16, 40, INDEX_HEADER + 16] {
            let mut torn = index;
            torn[at] ^= 1;
            assert_eq!(committed(&torn, salts), None, "at {at}");
        }
    }
}
