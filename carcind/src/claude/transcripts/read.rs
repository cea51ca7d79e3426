//! Reading the beginning and the end of a transcript, which may be as large as a disk: never more than that.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use carcin_proto::request::RecentText;

use super::lines;

/// How much is read of a transcript's beginning, and of its end, in bytes. As Claude Code itself does.
pub const WINDOW: u64 = 64 * 1024;
/// How much is read from its end to find texts, in bytes: more and more until there are enough, and then no more.
const RECENT_WINDOWS: [u64; 3] = [256 * 1024, 2 * 1024 * 1024, 8 * 1024 * 1024];

/// The beginning and the end of a transcript.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) head: Vec<u8>,
    /// Begins within a line, or right behind the head.
    pub(super) tail: Vec<u8>,
    /// There is something between the two.
    pub(super) has_gap: bool,
}

impl Reading {
    /// Of a file that has `size` bytes.
    pub(super) fn of(path: &Path, size: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut reading = Self { head: window(&mut file, 0, WINDOW)?, ..Self::default() };
        if size > WINDOW {
            let from = size.saturating_sub(WINDOW).max(WINDOW);
            reading.tail = window(&mut file, from, WINDOW)?;
            reading.has_gap = from > WINDOW;
            if !reading.has_gap {
                // One piece: no line is lost where they meet.
                reading.head.append(&mut reading.tail);
            }
        }
        Ok(reading)
    }

    /// How many bytes were read.
    pub(super) fn bytes(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64
    }
}

/// The last texts of Claude's own, at most `limit`, oldest first.
pub(super) fn recent_texts(path: &Path, size: u64, limit: usize) -> io::Result<Vec<RecentText>> {
    let mut file = File::open(path)?;
    let mut texts = Vec::new();
    for length in RECENT_WINDOWS {
        let from = size.saturating_sub(length);
        let bytes = window(&mut file, from, length)?;
        texts = lines::recent_texts(&bytes, from > 0, limit);
        if texts.len() >= limit || from == 0 {
            break;
        }
    }
    Ok(texts)
}

fn window(file: &mut File, from: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
