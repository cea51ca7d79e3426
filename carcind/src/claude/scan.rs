//! Cutting JSON at its joints: nothing is built, nothing is copied, and no depth of nesting takes the stack.
//!
//! As strict as `serde_json`, so that a line is JSON here if it is there; only faster, since of most of a line nothing
//! is wanted but where it ends.

use std::borrow::Cow;

use super::string;

/// Whether a text is JSON.
pub(super) fn is_json(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.value().is_some() && scanner.is_at_end()
}

/// A place in a JSON text.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// A string as it is written, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quoted<'a> {
    /// What is between the quotes.
    pub(super) raw: &'a str,
    /// Whether there are escapes in it.
    pub(super) escaped: bool,
}

impl<'a> Quoted<'a> {
    /// The text, if it is written as it is meant.
    pub(super) fn plain(self) -> Option<&'a str> {
        (!self.escaped).then_some(self.raw)
    }

    /// What it means. Half of a surrogate pair means U+FFFD.
    pub(super) fn meant(self) -> Cow<'a, str> {
        match self.plain().is_none().then(|| string::unescape(self.raw, usize::MAX)).flatten() {
            Some((text, _)) => Cow::Owned(text),
            None => Cow::Borrowed(self.raw),
        }
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Whether nothing follows but white space.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    /// Takes this byte, after white space, if it is the next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Reads an object: `field` is given each name, and reads its value. `None`: it is none, or `field` says so.
    pub(super) fn fields(
        &mut self,
        mut field: impl FnMut(Quoted<'a>, &mut Self) -> Option<()>,
    ) -> Option<()> {
        if !self.take(b'{') {
            return None;
        }
        if self.take(b'}') {
            return Some(());
        }
        loop {
            let name = self.name()?;
            field(name, self)?;
            if !self.take(b',') {
                return self.take(b'}').then_some(());
            }
        }
    }

    /// Reads a list, whose items `item` reads. `None`: it is none, or `item` says so.
    pub(super) fn items(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if !self.take(b'[') {
            return None;
        }
        if self.take(b']') {
            return Some(());
        }
        loop {
            item(self)?;
            if !self.take(b',') {
                return self.take(b']').then_some(());
            }
        }
    }

    /// The name of a field, and its colon.
    fn name(&mut self) -> Option<Quoted<'a>> {
        let name = self.string()?;
        self.take(b':').then_some(name)
    }

    /// A string, after white space.
    pub(super) fn string(&mut self) -> Option<Quoted<'a>> {
        if !self.take(b'"') {
            return None;
        }
        let (start, mut escaped) = (self.at, false);
        loop {
            self.at += plain(self.text.as_bytes().get(self.at..)?);
            match self.peek()? {
                b'"' => {
                    let raw = self.text.get(start..self.at)?;
                    self.at += 1;
                    return Some(Quoted { raw, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return None,
            }
        }
    }

    /// Any value, after white space, as it is written.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        self.space();
        let start = self.at;
        let mut open = Open::default();
        loop {
            self.space();
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' => {
                    self.at += 1;
                    if !self.take(b'}') {
                        open.enter(true);
                        self.name()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    if !self.take(b']') {
                        open.enter(false);
                        continue;
                    }
                }
                b'n' => self.literal("null")?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                _ => self.number()?,
            }
            // A value has ended: so may what it is in.
            loop {
                let Some(object) = open.innermost() else { return self.text.get(start..self.at) };
                if self.take(b',') {
                    if object {
                        self.name()?;
                    }
                    break;
                }
                if !self.take(if object { b'}' } else { b']' }) {
                    return None;
                }
                open.leave();
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        let found = self.text.as_bytes().get(self.at..)?.starts_with(literal.as_bytes());
        self.at += literal.len();
        found.then_some(())
    }

    fn escape(&mut self) -> Option<()> {
        let escape = *self.text.as_bytes().get(self.at + 1)?;
        self.at += 2;
        match escape {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let zero = self.peek() == Some(b'0');
        let whole = self.digits()?;
        if zero && whole > 1 {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// At least one digit; how many.
    fn digits(&mut self) -> Option<usize> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Some(self.at - start).filter(|count| *count > 0)
    }
}

/// How many bytes come before the first that ends a string, begins an escape, or may not be in a string.
fn plain(bytes: &[u8]) -> usize {
    /// In each byte of the result, the highest bit is set where `word` has a byte below `limit`; above the lowest such
    /// one, there may be more than there are.
    fn below(word: u64, limit: u8) -> u64 {
        word.wrapping_sub(ONES * u64::from(limit)) & !word & (ONES << 7)
    }
    const ONES: u64 = u64::MAX / 0xFF;
    let (words, rest) = bytes.as_chunks();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let escape = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = quote | escape | below(word, b' ');
        if found != 0 {
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '));
    words.len() * 8 + end.unwrap_or(rest.len())
}

/// The objects and lists that are open, a bit each.
#[derive(Default)]
struct Open {
    depth: usize,
    /// The innermost 64, and those further out.
    bits: u64,
    outer: Vec<u64>,
}

impl Open {
    fn enter(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    fn leave(&mut self) {
        self.bits >>= 1;
        self.depth -= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    /// Whether the innermost is an object; `None`: none is open.
    fn innermost(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    #[test]
    fn no_depth_takes_the_stack() {
        for depth in [1, 63, 64, 65, 128, 129, 1_000_000] {
            let nested = format!("{}1{}", "[{\"a\":".repeat(depth), "}]".repeat(depth));
            assert!(is_json(&nested), "{depth}");
            assert!(!is_json(&nested[..nested.len() - 1]), "{depth}");
            assert!(!is_json(&nested.replace("1}]", "1]}")), "{depth}");
        }
    }

    #[test]
    fn a_value_is_given_as_it_is_written() {
        let mut scanner = Scanner::new(" {\"a\" : [ 1, \"\\u00e9\\\"\" ] , \"b\":-0.5e+3}");
        assert!(scanner.take(b'{'));
        assert_eq!(scanner.name().map(|name| name.raw), Some("a"));
        assert_eq!(scanner.value(), Some("[ 1, \"\\u00e9\\\"\" ]"));
        assert!(scanner.take(b','));
        assert_eq!(scanner.name().map(|name| name.raw), Some("b"));
        assert_eq!(scanner.value(), Some("-0.5e+3"));
        assert!(scanner.take(b'}') && scanner.is_at_end());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_is_json_for_serde_is_json_here_and_nothing_else(
            pieces in proptest::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"a\":", "\\", "\\n", "\\u12aF", "\\u12", "\\x", "1",
                    "0", "-", ".5", "e", "E+1", "null", "true", "false", "nul", " ", "\t", "\n", "\u{1}", "é", "𝄞",
                    "\"eight by\"", "\u{7f}", "[]", "{}",
                ]),
                0..12,
            ),
        ) {
            let text = pieces.concat();
            prop_assert_eq!(is_json(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn a_byte_changed_changes_nothing_about_that(
            at in 0usize..10_000,
            byte in prop::sample::select(b"{}[],:\"\\ 0-.eEn\x01u".to_vec()),
        ) {
            const LINES: &str = include_str!("../../../carcin-lab/corpus/claude/tools-parallel.ndjson");
            for line in LINES.lines() {
                let mut changed = line.as_bytes().to_vec();
                let place = at % changed.len();
                changed[place] = byte;
                let Ok(text) = String::from_utf8(changed) else { continue };
                prop_assert_eq!(is_json(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{}", text);
            }
        }
    }
}
