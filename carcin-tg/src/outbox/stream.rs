//! A text as it comes, block by block: what is to be shown of it before it is finished. Worthless a moment later, so
//! it is kept in memory alone.

use std::time::Instant;

use carcin_proto::event::{TextDelta, TextSoFar};
use carcin_proto::{BlockId, TurnId};

use crate::markdown::{self, MESSAGE_LIMIT, Text};
use crate::view::markers;

/// As much of a text is kept, in bytes: for the end of it where it is cut short.
const KEPT: usize = 256 << 10;
/// As much of it is rendered for a frame, in bytes: more than a message shows.
const RENDERED: usize = 16 << 10;

/// A block of text that is being written.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    turn: TurnId,
    block: BlockId,
    /// When the first of it came.
    begun: Instant,
    text: String,
    /// Its beginning is no longer kept.
    clipped: bool,
    /// Characters that have come, those no longer kept included.
    characters: u64,
    /// Some of it did not come: nothing is shown of it before it is finished.
    broken: bool,
    /// No more comes; what it says is on its way as a message.
    finished: bool,
    /// Telegram's name for the draft.
    draft: i64,
    /// How many characters the frame shown last had.
    shown: u64,
}

impl Stream {
    /// A block of which nothing has come yet.
    pub(super) fn begin(turn: TurnId, block: BlockId, draft: i64, now: Instant) -> Self {
        Self {
            turn,
            block,
            begun: now,
            text: String::new(),
            clipped: false,
            characters: 0,
            broken: false,
            finished: false,
            draft,
            shown: 0,
        }
    }

    /// Whether it is this block.
    pub(super) fn is(&self, turn: TurnId, block: BlockId) -> bool {
        self.turn == turn && self.block == block
    }

    /// Takes in more of it.
    pub(super) fn take(&mut self, delta: &TextDelta) {
        if self.broken || self.finished {
            return;
        }
        if delta.offset != self.characters {
            self.broken = true;
            self.text.clear();
            return;
        }
        self.push(&delta.text);
    }

    /// Takes in what the daemon has of it, in the place of what had come. What is before that stays, as far as it is
    /// known.
    pub(super) fn replace(&mut self, so_far: &TextSoFar) {
        if self.finished {
            return;
        }
        let first = self.characters - count(&self.text);
        if !self.broken && (first..=self.characters).contains(&so_far.offset) {
            let before = usize::try_from(so_far.offset - first).unwrap_or(usize::MAX);
            let end = self.text.char_indices().nth(before).map_or(self.text.len(), |(at, _)| at);
            self.text.truncate(end);
        } else {
            self.text.clear();
            self.clipped = so_far.offset > 0;
        }
        self.broken = false;
        self.characters = so_far.offset;
        self.push(&so_far.text);
    }

    fn push(&mut self, more: &str) {
        self.characters += count(more);
        self.text.push_str(more);
        if self.text.len() > KEPT {
            let kept = tail(&self.text, KEPT / 2).len();
            self.text.drain(..self.text.len() - kept);
            self.clipped = true;
        }
    }

    /// The block is complete.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// When the first of it came.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// Telegram's name for the draft.
    pub(super) fn draft(&self) -> i64 {
        self.draft
    }

    /// Whether more has come than was shown.
    pub(super) fn has_more(&self) -> bool {
        !self.broken && self.characters > self.shown
    }

    /// What was shown was not taken.
    pub(super) fn show_again(&mut self) {
        self.shown = 0;
    }

    /// Whether there is something that a draft has to be kept alive for.
    pub(super) fn is_shown(&self) -> bool {
        !self.broken && self.shown > 0
    }

    /// Whether no more of it comes.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// What there is of a block that is not finished, and never will be.
    pub(super) fn partial(&self) -> Option<String> {
        let text = markers::strip_partial(&self.text).text;
        let has_text = !self.broken && !self.finished && !text.trim().is_empty();
        has_text.then(|| format!("{}{text}", if self.clipped { "…" } else { "" }))
    }

    /// What is to be shown now: the end of it where it is long. `None`: nothing that can be seen.
    pub(super) fn frame(&mut self) -> Option<Text> {
        self.shown = self.characters;
        // What names a file to be sent is not for people, nor is the beginning of it.
        let text = markdown::render(&markers::strip_partial(tail(&self.text, RENDERED)).text);
        markdown::split(&text, MESSAGE_LIMIT).pop().filter(|text| !text.is_blank())
    }
}

fn count(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// The end of a text, of so many bytes at most.
fn tail(text: &str, most: usize) -> &str {
    let mut cut = text.len().saturating_sub(most);
    while !text.is_char_boundary(cut) {
        cut += 1;
    }
    &text[cut..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The block of which this is the first that comes.
    fn begin(delta: &TextDelta, draft: i64) -> Stream {
        let mut stream = Stream::begin(delta.turn, delta.block, draft, Instant::now());
        stream.take(delta);
        stream
    }

    fn delta(block: u32, offset: u64, text: &str) -> TextDelta {
        TextDelta { turn: TurnId(1), block: BlockId(block), offset, text: text.into() }
    }

    #[test]
    fn it_grows_and_is_shown_when_there_is_more() {
        let mut stream = begin(&delta(0, 0, "Hé"), 7);
        assert!(stream.has_more() && !stream.is_shown());
        assert_eq!(stream.frame().map(|text| text.text).as_deref(), Some("Hé"));
        assert!(!stream.has_more() && stream.is_shown());
        stream.take(&delta(0, 2, "llo **you**"));
        assert_eq!(stream.frame().map(|text| text.text).as_deref(), Some("Héllo you"));
        assert_eq!(stream.partial().as_deref(), Some("Héllo **you**"));
        stream.finish();
        assert_eq!(stream.partial(), None);
    }

    #[test]
    fn where_a_piece_is_missing_the_finished_block_is_waited_for() {
        let mut stream = begin(&delta(0, 0, "abc"), 7);
        stream.take(&delta(0, 5, "fgh"));
        stream.take(&delta(0, 3, "de"));
        assert!(!stream.has_more() && stream.partial().is_none());
        let late = begin(&delta(0, 9, "the middle"), 7);
        assert!(!late.has_more());
    }

    #[test]
    fn a_marker_that_has_only_begun_is_not_shown() {
        let whole = "Here: [[telegram:send:/tmp/x.png]] and more";
        let mut stream = begin(&delta(0, 0, ""), 7);
        for (offset, letter) in whole.chars().enumerate() {
            stream.take(&delta(0, u64::try_from(offset).expect("small"), &letter.to_string()));
            let frame = stream.frame().map(|text| text.text).unwrap_or_default();
            assert!(!frame.contains('['), "{frame:?}");
            assert!(stream.partial().is_none_or(|text| !text.contains('[')));
        }
        assert_eq!(stream.frame().map(|text| text.text).as_deref(), Some("Here:  and more"));
    }

    #[test]
    fn of_a_long_one_the_end_is_shown_and_memory_is_bounded() {
        let mut stream = begin(&delta(0, 0, ""), 7);
        let mut offset = 0;
        for round in 0..30_000 {
            let text = format!("line {round} ä\n\n");
            stream.take(&delta(0, offset, &text));
            offset += u64::try_from(text.chars().count()).expect("small");
        }
        assert!(stream.text.len() <= KEPT);
        let frame = stream.frame().expect("a frame");
        assert!(frame.units() <= MESSAGE_LIMIT && frame.text.ends_with("line 29999 ä"), "{}", frame.text);
        assert!(stream.partial().is_some_and(|text| text.starts_with('…') && text.len() > RENDERED));
    }

    #[test]
    fn what_the_daemon_has_of_it_replaces_what_had_come() {
        let so_far =
            |offset, text: &str| TextSoFar { turn: TurnId(1), block: BlockId(0), offset, text: text.into() };
        // A restarted daemon reads some of it again; what came before that is known here alone.
        let mut stream = begin(&delta(0, 0, "Héllo you"), 7);
        stream.replace(&so_far(2, "llo"));
        stream.take(&delta(0, 5, " there"));
        assert_eq!(stream.partial().as_deref(), Some("Héllo there"));
        // A restarted bot has nothing of it.
        let mut stream = Stream::begin(TurnId(1), BlockId(0), 7, Instant::now());
        stream.replace(&so_far(2, "llo"));
        assert!(stream.has_more());
        stream.take(&delta(0, 5, " you"));
        assert_eq!(stream.partial().as_deref(), Some("…llo you"));
        // One of which a piece was missed goes on.
        let mut stream = begin(&delta(0, 0, "abc"), 7);
        stream.take(&delta(0, 9, "x"));
        assert_eq!(stream.partial(), None);
        stream.replace(&so_far(0, "abc, and"));
        assert_eq!(stream.partial().as_deref(), Some("abc, and"));
    }
}
