//! Lines reach the child whole or not at all.

mod child_kit;

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use carcind::child::{ATOMIC_LINE, Exit, LONGEST_LINE, WriteError};
use child_kit::{State, bounded, launcher, lines, soon, text};
use nix::sys::signal::Signal;
use tokio::time::Instant;

/// Holds its input open and never reads it.
const DEAF: &str = "exec sleep 1000";

/// Everything that waits in the FIFO.
fn drained(path: &std::path::Path) -> Vec<u8> {
    let fifo = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut bytes = Vec::new();
    let end = fifo.unwrap().read_to_end(&mut bytes).unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::WouldBlock);
    bytes
}

fn shortly() -> Instant {
    Instant::now() + Duration::from_millis(60)
}

#[tokio::test]
async fn short_lines_are_written_at_any_time_and_never_in_part() {
    let state = State::new();
    let child = bounded(state.script(DEAF).spawn(&launcher())).await.unwrap();
    let mut writer = child.writer().unwrap();
    // 2,100 bytes: two do not fit one page, which is how a FIFO fills up at half of its bytes.
    let line = |n: u8| vec![b'a' + n % 26; 2099];
    let mut written: u8 = 0;
    let refused = loop {
        match writer.write_line(&line(written), shortly()).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, WriteError::Deadline), "{refused:?}");
    assert!((8..=32).contains(&written), "{written} lines fitted");
    let expected: Vec<u8> = (0..written).flat_map(|n| [line(n), vec![b'\n']].concat()).collect();
    assert_eq!(drained(&child.dir().path().join("stdin")), expected);
}

#[tokio::test]
async fn a_long_line_waits_for_an_empty_fifo_and_a_short_one_does_not() {
    let state = State::new();
    let child = bounded(state.script(DEAF).spawn(&launcher())).await.unwrap();
    let stdin = child.dir().path().join("stdin");
    let mut writer = child.writer().unwrap();
    writer.write_line(b"first", shortly()).await.unwrap();
    let long = vec![b'x'; ATOMIC_LINE];
    assert!(matches!(writer.write_line(&long, shortly()).await, Err(WriteError::Deadline)));
    writer.write_line(&long[1..], shortly()).await.unwrap();
    assert_eq!(drained(&stdin), [b"first\n", &long[1..], b"\n"].concat());
    writer.write_line(&long, shortly()).await.unwrap();
    assert_eq!(drained(&stdin), [&long[..], b"\n"].concat());
}

#[tokio::test]
async fn a_line_beyond_what_a_fifo_can_hold_is_refused_with_the_limit() {
    let state = State::new();
    let child = bounded(state.script(DEAF).spawn(&launcher())).await.unwrap();
    let mut writer = child.writer().unwrap();
    let line = vec![b'x'; LONGEST_LINE];
    let refused = writer.write_line(&line, soon()).await.unwrap_err();
    let WriteError::TooLong { bytes, limit } = refused else { panic!("{refused:?}") };
    assert_eq!(bytes, line.len() + 1);
    assert!((65_536..=LONGEST_LINE).contains(&limit), "{limit}");
    assert!(drained(&child.dir().path().join("stdin")).is_empty());
    assert!(matches!(writer.write_line(b"two\nlines", soon()).await, Err(WriteError::NotOneLine)));
}

#[tokio::test]
async fn lines_of_all_lengths_arrive_whole_and_in_order() {
    let state = State::new();
    let dir = state.run(&["cat"]);
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    let mut writer = child.writer().unwrap();
    let mut tail = dir.stdout(0).unwrap();
    let lengths = [1, 4095, 4096, 4097, 60_000, 65_535, 65_536, 300_000, 12, 900_000, 0, 4095];
    for length in lengths {
        let line = "y".repeat(length);
        bounded(writer.write_line(line.as_bytes(), soon())).await.unwrap();
    }
    let got: Vec<usize> = lines(&mut tail, lengths.len()).await.iter().map(|line| text(line).len()).collect();
    assert_eq!(got, lengths);
}

#[tokio::test]
async fn a_dead_child_takes_no_line() {
    let state = State::new();
    let child = bounded(state.script(DEAF).spawn(&launcher())).await.unwrap();
    let mut writer = child.writer().unwrap();
    writer.write_line(b"unread", soon()).await.unwrap();
    // Someone else holding the FIFO open must not make it look alive.
    let stdin = child.dir().path().join("stdin");
    let held = OpenOptions::new().read(true).write(true).open(&stdin).unwrap();
    let long = vec![b'x'; 10_000];
    let waiting = tokio::spawn(async move { writer.write_line(&long, soon()).await });
    child.signal(Signal::SIGKILL).unwrap();
    assert_eq!(bounded(child.exited()).await, Exit::Signal(9));
    assert!(matches!(bounded(waiting).await.unwrap(), Err(WriteError::ChildGone)));
    drop(held);
    assert!(matches!(child.writer(), Err(WriteError::ChildGone)));
}
