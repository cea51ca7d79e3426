//! Bytes into lines, in bounded memory. Pure.

use bytes::Bytes;

/// A longer line is never held whole. The longest lines in practice are images in tool results, of a few MiB.
pub const LINE_CAP: usize = 16 << 20;
/// A longer line is not gathered as it comes: however many children are each in the middle of one, they cost little.
/// It is read from the file once its end is there.
pub(super) const HOLD: usize = 1 << 20;
/// How much is kept of the beginning of a line over the cap: enough to tell what it is and whose.
const HEAD: usize = 64 << 10;
/// How much is kept of its end.
const TAIL: usize = 4 << 10;

/// One line of a spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where in the spool it starts.
    pub start: u64,
    /// Where the next one starts: the offset to continue at once this line is dealt with.
    pub end: u64,
    /// What it says, without its newline.
    pub text: Text,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// All of it.
    Whole(Bytes),
    /// Parts of a line over [`LINE_CAP`], terminated or not.
    Oversized {
        /// Its length in bytes, without the newline.
        size: u64,
        /// Its first 64 KiB.
        head: Bytes,
        /// Its last 4 KiB.
        tail: Bytes,
    },
    /// The last bytes of a child that died within a line.
    Fragment(Bytes),
}

/// Cuts a stream into lines. One that is longer than it holds is [`Text::Oversized`].
#[derive(Debug)]
pub(super) struct Splitter {
    hold: usize,
    /// Offset of the open line's first byte.
    start: u64,
    /// Length of the open line so far.
    size: u64,
    /// The open line; once it is too long to be held, its head.
    open: Vec<u8>,
    /// Of an open line too long to be held, the end. Empty otherwise.
    tail: Vec<u8>,
}

impl Splitter {
    pub(super) fn new(start: u64, hold: usize) -> Self {
        Self { hold, start, size: 0, open: Vec::new(), tail: Vec::new() }
    }

    /// The lines that end in `chunk`, which continues what was pushed before. One that begins there too is a part of
    /// it, not a copy.
    pub(super) fn push(&mut self, chunk: &Bytes) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut at = 0;
        for newline in memchr::memchr_iter(b'\n', chunk) {
            let piece = at..newline;
            at = newline + 1;
            if self.size == 0 && piece.len() <= self.hold {
                let start = self.start;
                self.start += piece.len() as u64 + 1;
                lines.push(Line { start, end: self.start, text: Text::Whole(chunk.slice(piece)) });
            } else {
                self.extend(&chunk[piece]);
                lines.push(self.close(1));
            }
        }
        if at < chunk.len() {
            self.extend(&chunk[at..]);
        }
        lines
    }

    /// The unterminated last line, if there is one.
    pub(super) fn finish(&mut self) -> Option<Line> {
        if self.size == 0 {
            return None;
        }
        let mut line = self.close(0);
        if let Text::Whole(bytes) = line.text {
            line.text = Text::Fragment(bytes);
        }
        Some(line)
    }

    fn too_long(&self) -> bool {
        self.size > self.hold as u64
    }

    fn extend(&mut self, piece: &[u8]) {
        self.size += piece.len() as u64;
        if !self.too_long() {
            self.open.extend_from_slice(piece);
            return;
        }
        if self.tail.is_empty() {
            // It has just grown too long: what is held is the head, and the beginning of the tail.
            self.tail.extend_from_slice(last(&self.open, TAIL));
            let missing = HEAD.min(self.hold).saturating_sub(self.open.len()).min(piece.len());
            self.open.extend_from_slice(&piece[..missing]);
            self.open.truncate(HEAD.min(self.hold));
            self.open.shrink_to_fit();
        }
        self.tail.extend_from_slice(last(piece, TAIL));
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
    }

    fn close(&mut self, newline: u64) -> Line {
        let oversized = self.too_long();
        let (size, start) = (self.size, self.start);
        let open = Bytes::from(std::mem::take(&mut self.open));
        let tail = Bytes::from(std::mem::take(&mut self.tail));
        self.start = start + size + newline;
        self.size = 0;
        let text = if oversized { Text::Oversized { size, head: open, tail } } else { Text::Whole(open) };
        Line { start, end: self.start, text }
    }
}

fn last(bytes: &[u8], count: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(count)..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the splitter must give, worked out from the whole stream at once.
    fn expected(stream: &[u8], start: u64, cap: usize) -> Vec<Line> {
        let mut at = start;
        let mut lines = Vec::new();
        for piece in stream.split_inclusive(|byte| *byte == b'\n') {
            let terminated = piece.ends_with(b"\n");
            let body = piece.strip_suffix(b"\n").unwrap_or(piece);
            let copy = Bytes::copy_from_slice;
            let text = if body.len() > cap {
                let head = copy(&body[..body.len().min(HEAD).min(cap)]);
                Text::Oversized { size: body.len() as u64, head, tail: copy(last(body, TAIL)) }
            } else if terminated {
                Text::Whole(copy(body))
            } else {
                Text::Fragment(copy(body))
            };
            lines.push(Line { start: at, end: at + piece.len() as u64, text });
            at += piece.len() as u64;
        }
        lines
    }

    proptest! {
        #[test]
        fn how_the_stream_is_cut_into_reads_does_not_matter(
            stream in proptest::collection::vec(prop_oneof![3 => Just(b'x'), 1 => Just(b'\n'), 3 => any::<u8>()], 0..300),
            reads in proptest::collection::vec(1usize..40, 1..20),
            start in 0u64..1_000_000,
            cap in 1usize..30,
        ) {
            let mut splitter = Splitter::new(start, cap);
            let mut lines = Vec::new();
            let mut rest = stream.as_slice();
            for read in reads.iter().cycle() {
                if rest.is_empty() { break }
                let (chunk, after) = rest.split_at(rest.len().min(*read));
                lines.extend(splitter.push(&Bytes::copy_from_slice(chunk)));
                rest = after;
            }
            lines.extend(splitter.finish());
            prop_assert_eq!(lines, expected(&stream, start, cap));
        }
    }

    #[test]
    fn a_line_over_the_cap_keeps_its_head_and_its_tail() {
        let mut splitter = Splitter::new(7, 1 << 20);
        let body: Vec<u8> = (0..3_000_000u32).map(|n| b'a' + u8::try_from(n % 26).unwrap()).collect();
        let mut lines = Vec::new();
        for chunk in body.chunks(10_000) {
            lines.extend(splitter.push(&Bytes::copy_from_slice(chunk)));
            assert!(splitter.open.len() <= 1 << 20 && splitter.tail.len() <= TAIL);
        }
        lines.extend(splitter.push(&Bytes::from_static(b"\nnext\n")));
        assert_eq!(lines[0].end, 7 + 3_000_001);
        let Text::Oversized { size, head, tail } = &lines[0].text else { panic!("{:?}", lines[0].start) };
        assert_eq!((*size, head.as_ref(), tail.as_ref()), (3_000_000, &body[..HEAD], last(&body, TAIL)));
        assert_eq!(lines[1].text, Text::Whole(Bytes::from_static(b"next")));
    }
}
