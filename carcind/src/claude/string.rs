//! A JSON string to its text, as much of it as is wanted.

/// The text of `raw`, a JSON string with its quotes: at most `max` bytes of it, cut between two
/// characters, and how many bytes that leaves out. `None`: it is none.
///
/// Half of a surrogate pair, which JavaScript leaves where it cuts a text within a character, becomes U+FFFD instead
/// of costing the line.
pub(super) fn decode(raw: &str, max: usize) -> Option<(String, u64)> {
    unescape(raw.strip_prefix('"')?.strip_suffix('"')?, max)
}

/// The same for what is between the quotes.
pub(super) fn unescape(mut rest: &str, max: usize) -> Option<(String, u64)> {
    // No escape is shorter than what it stands for: the room suffices, and is taken once.
    let mut out = Decoded { text: String::with_capacity(rest.len().min(max)), max, omitted: 0 };
    while let Some(at) = rest.find('\\') {
        out.push(&rest[..at]);
        let (char, length) = escape(&rest.as_bytes()[at..])?;
        out.push(char.encode_utf8(&mut [0; 4]));
        rest = &rest[at + length..];
    }
    out.push(rest);
    Some((out.text, out.omitted))
}

struct Decoded {
    text: String,
    max: usize,
    omitted: u64,
}

impl Decoded {
    fn push(&mut self, piece: &str) {
        let room = if self.omitted == 0 { self.max - self.text.len() } else { 0 };
        let fits = &piece[..piece.floor_char_boundary(room)];
        self.text.push_str(fits);
        self.omitted += (piece.len() - fits.len()) as u64;
    }
}

/// What the escape at the beginning of `bytes` stands for, and its length.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let char = match *bytes.get(1)? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'u' => {
            let first = hex(bytes.get(2..6)?)?;
            if !(0xD800..0xDC00).contains(&first) {
                // The second half of a pair is no character by itself.
                return Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6));
            }
            let second = bytes.get(6..8).filter(|mark| *mark == b"\\u").and_then(|_| hex(bytes.get(8..12)?));
            return Some(match second.filter(|second| (0xDC00..0xE000).contains(second)) {
                Some(second) => {
                    let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
                None => (char::REPLACEMENT_CHARACTER, 6),
            });
        }
        quoted @ (b'"' | b'\\' | b'/') => char::from(quoted),
        _ => return None,
    };
    Some((char, 2))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(raw: &str) -> String {
        decode(raw, usize::MAX).expect("a string").0
    }

    #[test]
    fn escapes_are_what_they_stand_for() {
        assert_eq!(whole(r#""a\"b\\c\/d\b\f\n\r\t\u0041\u00e9\u0000""#), "a\"b\\c/d\u{8}\u{c}\n\r\tAé\0");
        assert_eq!(whole(r#""\ud83e\uDD80!""#), "🦀!");
        assert_eq!(decode("null", 9), None);
        assert_eq!(decode("12", 9), None);
        assert_eq!(decode("\"\\é\"", 9), None);
    }

    #[test]
    fn half_a_pair_is_replaced_and_the_rest_stays() {
        for (raw, text) in [
            (r#""a\ud83eb""#, "a\u{fffd}b"),
            (r#""a\udd80b""#, "a\u{fffd}b"),
            (r#""\ud83e\u0041""#, "\u{fffd}A"),
            (r#""\ud83e\ud83e\udd80""#, "\u{fffd}🦀"),
            (r#""\ud83e""#, "\u{fffd}"),
            (r#""\ud83e\n""#, "\u{fffd}\n"),
        ] {
            assert_eq!(whole(raw), text, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(text in any::<String>(), max in 0usize..40, ascii in any::<bool>()) {
            let mut raw = serde_json::to_string(&text).unwrap();
            if ascii {
                let escaped = raw.encode_utf16().map(|unit| match u8::try_from(unit) {
                    Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
                    _ => format!("\\u{unit:04x}"),
                });
                raw = escaped.collect();
            }
            prop_assert_eq!(&whole(&raw), &text);
            let (cut, omitted) = decode(&raw, max).unwrap();
            prop_assert_eq!(&cut, &text[..text.floor_char_boundary(max)]);
            prop_assert_eq!(omitted, (text.len() - cut.len()) as u64);
        }

        #[test]
        fn anything_that_is_json_is_read(raw in r#""([a-z]|\\u[0-9a-fA-F]{4}|\\[nrt"])*""#) {
            let value: serde_json::Result<String> = serde_json::from_str(&raw);
            let text = whole(&raw);
            if let Ok(value) = value {
                prop_assert_eq!(text, value);
            }
        }
    }
}
