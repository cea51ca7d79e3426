//! Cutting and cleaning text.

/// The longest beginning of `text` that has at most `max` bytes and ends between two characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// `text`, cut in place at `max` bytes; how many bytes the cut left out.
pub(super) fn cut_to(text: &mut String, max: usize) -> u64 {
    let omitted = text.len() - cut(text, max).len();
    text.truncate(text.len() - omitted);
    omitted as u64
}

/// `text` on one line with single spaces, without terminal escapes and without characters that are not seen;
/// what is over `max` characters is cut, with `…` as the last one.
pub(super) fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for word in without_escapes(text).split_whitespace() {
        let space = usize::from(length > 0);
        for char in std::iter::repeat_n(' ', space).chain(word.chars().filter(|char| !is_hidden(*char))) {
            if length == max {
                line.pop();
                line.push('…');
                return line;
            }
            line.push(char);
            length += 1;
        }
    }
    line
}

/// `text` without the colours and cursor movements of a terminal (`ESC [ … letter`).
fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\u{1b}' {
            plain.push(char);
        } else if chars.clone().next() == Some('[') {
            // The sequence ends with the first of these; before it are digits and punctuation.
            chars.by_ref().skip(1).find(|char| ('@'..='~').contains(char));
        }
    }
    plain
}

/// Controls, and the marks that reorder text: they could show a command as another than it is.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
