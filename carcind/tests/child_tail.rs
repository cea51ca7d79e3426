//! What a child prints is read completely, in order, and costs bounded space.

mod child_kit;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use bytes::Bytes;
use carcind::child::{Exit, Notice, RESERVE, STDERR_TAIL, Tail, TailError, Text};
use child_kit::{State, bounded, launcher, lines, next, rest, text, until};
use nix::sys::signal::Signal;

const MIB: u64 = 1 << 20;

/// A spool without a child.
struct Spool {
    path: PathBuf,
    file: File,
    _dir: tempfile::TempDir,
}

impl Spool {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout");
        let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        Self { path, file, _dir: dir }
    }

    fn tail(&self, offset: u64) -> Tail {
        Tail::open(&self.path, offset, Notice::Inotify).unwrap()
    }

    fn on_disk(&self) -> u64 {
        self.file.metadata().unwrap().blocks() * 512
    }
}

#[tokio::test]
async fn a_burst_is_read_line_by_line_with_offsets_that_add_up() {
    let state = State::new();
    let dir = state.script("seq 100000");
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    let mut tail = dir.stdout(0).unwrap();
    let got = lines(&mut tail, 100_000).await;
    let mut offset = 0;
    for (number, line) in got.iter().enumerate() {
        assert_eq!(text(line), (number + 1).to_string());
        assert_eq!(line.start, offset);
        offset += text(line).len() as u64 + 1;
        assert_eq!(line.end, offset);
    }
    assert_eq!(bounded(child.exited()).await, Exit::Code(0));
    assert_eq!(rest(&mut tail).await, []);
}

#[tokio::test]
async fn reading_goes_on_at_any_lines_end() {
    let mut spool = Spool::new();
    spool.file.write_all(b"one\ntwo\nthree\nfou").unwrap();
    let all = rest(&mut spool.tail(0)).await;
    for (index, line) in all.iter().enumerate() {
        assert_eq!(rest(&mut spool.tail(line.end)).await, all[index + 1..]);
    }
    let beyond = Tail::open(&spool.path, 1000, Notice::Inotify).unwrap_err();
    assert!(matches!(beyond, TailError::Truncated { length: 17, offset: 1000, .. }), "{beyond:?}");
}

#[tokio::test]
async fn half_a_line_at_death_is_a_fragment() {
    let state = State::new();
    let dir = state.script("printf 'whole\\nhal'; kill -9 $$");
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    let mut tail = dir.stdout(0).unwrap();
    assert_eq!(text(&lines(&mut tail, 1).await[0]), "whole");
    assert_eq!(bounded(child.exited()).await, Exit::Signal(9));
    let rest = rest(&mut tail).await;
    assert_eq!(rest.len(), 1);
    assert_eq!((rest[0].end, &rest[0].text), (9, &Text::Fragment(Bytes::from_static(b"hal"))));
}

#[tokio::test]
async fn catching_up_is_told_once_for_each_time() {
    for notice in [Notice::Inotify, Notice::Poll] {
        let mut spool = Spool::new();
        let mut tail = Tail::open(&spool.path, 0, notice).unwrap();
        let batch = next(&mut tail).await.unwrap();
        assert!(batch.caught_up && batch.lines.is_empty(), "an empty spool");
        spool.file.write_all(b"no newline yet").unwrap();
        let quiet = tokio::time::timeout(std::time::Duration::from_millis(50), tail.next()).await;
        assert!(quiet.is_err(), "half a line is no news: {quiet:?}");
        spool.file.write_all(b", now\n").unwrap();
        let batch = next(&mut tail).await.unwrap();
        assert!(batch.caught_up);
        assert_eq!(text(&batch.lines[0]), "no newline yet, now");
    }
}

#[tokio::test]
async fn a_reader_that_gives_up_waiting_misses_nothing() {
    let state = State::new();
    let dir = state.script("for i in $(seq 300); do echo $i; done");
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    let mut tail = dir.stdout(0).unwrap();
    let mut got = Vec::new();
    while got.len() < 300 {
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            batch = tail.next() => got.extend(batch.unwrap().unwrap().lines),
        }
    }
    assert!(got.iter().enumerate().all(|(index, line)| text(line) == (index + 1).to_string()));
    bounded(child.exited()).await;
}

#[tokio::test]
async fn space_is_reserved_ahead_and_given_back_behind() {
    let mut spool = Spool::new();
    let line = format!("{}\n", "x".repeat((1 << 20) - 1));
    for _ in 0..40 {
        spool.file.write_all(line.as_bytes()).unwrap();
    }
    let mut tail = spool.tail(0);
    let got = lines(&mut tail, 40).await;
    assert!(spool.on_disk() >= 40 * MIB + RESERVE, "{} MiB on disk", spool.on_disk() / MIB);
    assert_eq!(spool.file.metadata().unwrap().len(), 40 * MIB, "its length is as written");

    let before = spool.on_disk();
    tail.committed(got[0].end);
    assert_eq!(spool.on_disk(), before, "too little for a step");
    tail.committed(got[20].end);
    let given_back = before - spool.on_disk();
    assert!((20 * MIB - MIB..=21 * MIB).contains(&given_back), "{} MiB given back", given_back / MIB);
    tail.committed(u64::MAX);
    assert!(spool.on_disk() < before - 39 * MIB, "never beyond what was read, and all of that");

    // A new reader starts where the last committed, and gives back from 0 again.
    spool.file.write_all(b"after\n").unwrap();
    let mut tail = spool.tail(got[39].end);
    assert_eq!(text(&lines(&mut tail, 1).await[0]), "after");
}

#[tokio::test]
async fn the_space_is_there_before_the_child_starts() {
    let state = State::new();
    let dir = state.script("true");
    let blocks = dir.path().join("stdout").metadata().unwrap().blocks();
    assert!(blocks * 512 >= RESERVE);
}

#[tokio::test]
async fn much_stderr_uses_little_disk_and_its_end_is_kept() {
    let state = State::new();
    let dir = state.script("head -c 300000000 /dev/zero | tr '\\0' e >&2; echo the end >&2; exec sleep 1000");
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    let written = 300_000_008;
    until("all is written", || dir.stderr().unwrap().bytes == written).await;
    let path = dir.path().join("stderr");
    until("all but the end is given back", || path.metadata().unwrap().blocks() * 512 <= 5 * MIB).await;
    let tail = dir.stderr().unwrap().tail;
    assert_eq!(tail.len(), STDERR_TAIL);
    assert!(tail.ends_with(b"eeee\x74he end\n".as_slice()), "{:?}", String::from_utf8_lossy(&tail[4000..]));
    child.signal(Signal::SIGKILL).unwrap();
    bounded(child.exited()).await;
    assert_eq!(dir.stderr().unwrap().tail, tail, "also after its death");
}
