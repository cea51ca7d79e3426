//! Lines that were not understood: the first ones of a turn are kept each as an event of its own; a flood of them is
//! kept too, but many lines to an event, and after a while only counted.
//!
//! The journal is what a phone catches up from, and it forgets its oldest events. A Claude of a newer version that
//! says something unknown with every word must not drive out of it what was said.

use carcin_proto::event::{LineProblem, MAX_RAW, Unrecognised, UnrecognisedLines};

use super::Machine;

/// So many lines of a turn are events of their own, with up to [`MAX_RAW`] bytes each.
const ALONE: u32 = 64;
/// Of each line beyond, the first bytes are kept.
const BEGINNING: usize = 1024;
/// What a kept line takes besides its bytes, about.
const OVERHEAD: usize = 64;
/// So much of a turn's flood is kept, in bytes; what comes then is only counted.
const KEPT: usize = 16 << 20;
/// So many lines are one event at most, so that the count is never far behind.
const LINES: u64 = 64 << 10;

/// The lines of a turn that were not understood, as far as they are more than a few. In memory alone: the spool's
/// offset is never committed without them, so that after a crash they are read again.
#[derive(Debug, Default)]
pub(super) struct Unread {
    alone: u32,
    /// What was kept of the flood so far.
    kept: usize,
    many: Option<UnrecognisedLines>,
    /// What [`Self::many`] takes.
    weight: usize,
}

impl Unread {
    /// Whether this line is an event of its own.
    fn is_alone(&mut self) -> bool {
        let alone = self.alone < ALONE;
        self.alone += u32::from(alone);
        alone
    }

    /// Takes a line in; whether it is time for an event.
    fn gather(&mut self, problem: LineProblem, raw: &[u8], size: u64) -> bool {
        let many = self.many.get_or_insert_with(|| UnrecognisedLines { lines: 0, size: 0, kept: Vec::new() });
        many.lines += 1;
        many.size = many.size.saturating_add(size);
        if self.kept < KEPT {
            let raw = raw[..raw.len().min(BEGINNING)].to_vec();
            let weight = raw.len() + OVERHEAD;
            self.kept += weight;
            self.weight += weight;
            many.kept.push(Unrecognised { problem, size, raw });
        }
        self.weight + BEGINNING + OVERHEAD > MAX_RAW || many.lines >= LINES
    }
}

impl Machine {
    /// A line that was not understood, or was lost.
    pub fn unrecognised(&mut self, problem: LineProblem, raw: &[u8], size: u64) {
        self.heard();
        self.row.unrecognised += 1;
        if self.unread.is_alone() {
            let raw = raw[..raw.len().min(MAX_RAW)].to_vec();
            self.emit(Unrecognised { problem, size, raw });
        } else if self.unread.gather(problem, raw, size) {
            self.tell_unread();
        }
    }

    /// What was gathered becomes an event: whatever else is committed, its line must not be behind the offset.
    pub(super) fn tell_unread(&mut self) {
        self.unread.weight = 0;
        if let Some(many) = self.unread.many.take() {
            self.emit(many);
        }
    }

    /// The turn, or the process, is over: the next one's first lines are events of their own again.
    pub(super) fn forget_unread(&mut self) {
        self.tell_unread();
        self.unread = Unread::default();
    }
}
