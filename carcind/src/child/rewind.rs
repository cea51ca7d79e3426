//! Finding a place to read on in a spool of which nobody knows how far it was read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How far back to look, in bytes.
const REACH: u64 = 64 << 20;
/// How much of a line's beginning is looked at.
const HEAD: usize = 256;

/// See [`ChildDir::last_line`](super::ChildDir::last_line).
pub(super) fn last_line(path: &Path, is_it: impl Fn(&[u8]) -> bool) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(REACH);
    file.seek(SeekFrom::Start(from))?;
    let mut found = None;
    // Where the open line starts; `None`: it was begun before the place from which on is read.
    let mut start = (from == 0).then_some(0);
    let (mut head, mut at) = (Vec::with_capacity(HEAD), from);
    let mut end = from;
    let mut chunk = vec![0; 128 << 10];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(found.unwrap_or(end));
        }
        for piece in chunk[..count].split_inclusive(|byte| *byte == b'\n') {
            head.extend_from_slice(&piece[..piece.len().min(HEAD - head.len())]);
            at += piece.len() as u64;
            if piece.ends_with(b"\n") {
                found = start.filter(|_| is_it(&head)).or(found);
                (start, end) = (Some(at), at);
                head.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> u64 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout");
        std::fs::write(&path, text).unwrap();
        last_line(&path, |head| head.starts_with(b"begin")).unwrap()
    }

    #[test]
    fn the_last_whole_line_of_the_kind_is_found() {
        assert_eq!(place(""), 0);
        assert_eq!(place("begin"), 0);
        assert_eq!(place("begin\nend\n"), 0);
        assert_eq!(place("begin\nend\nbegin\nmore\nbeg"), 10);
        assert_eq!(place("other\nend\nopen"), 10);
        let long = "x".repeat(300_000);
        assert_eq!(place(&format!("{long}\nbegin {long}\n{long}\n")), 300_001);
    }
}
