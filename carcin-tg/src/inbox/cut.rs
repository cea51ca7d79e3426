//! Where a client cut a long text into messages, and the whitespace that it removed there.
//!
//! Telegram's clients cut what is longer than a message, each in its own way, and remove the whitespace at the cut. Android's
//! looks for a line's end, a sentence's or a blank in the last 300 units; the desktop's for the best of these in the second
//! half; iOS's for the last full stop or line's end. Where they find none they cut at the limit, in the middle of a word. So
//! what was there is found out from what is left.

use crate::markdown::{MESSAGE_LIMIT, utf16_len};

/// Where there was no blank in so many units, a text has none to be cut at.
const NO_BLANK: usize = 1_000;
/// So far back Android's clients look for the end of a line.
const LOOK_BACK: usize = 300;

/// What stood between two messages of one text.
pub(super) fn removed_at_cut(before: &str, after: &str) -> &'static str {
    let length = utf16_len(before);
    // Cut off at the limit.
    if length >= MESSAGE_LIMIT {
        return "";
    }
    if length <= MESSAGE_LIMIT / 2 {
        return "\n";
    }
    if !tail(before, NO_BLANK).contains(char::is_whitespace) {
        return "";
    }
    // Behind a full stop that ends no sentence: that of a name, or of a number.
    let goes_on = after.chars().next().is_some_and(|c| c.is_lowercase() || c.is_ascii_digit());
    if before.ends_with('.') && goes_on {
        return "";
    }
    // As much as fits, of a text without lines.
    let word = after.split(char::is_whitespace).next().unwrap_or_default();
    if length + 1 + utf16_len(word) > MESSAGE_LIMIT && !tail(before, LOOK_BACK).contains('\n') {
        return " ";
    }
    "\n"
}

/// At most so many characters of the end.
fn tail(text: &str, characters: usize) -> &str {
    let start = text.char_indices().rev().nth(characters - 1).map_or(0, |(start, _)| start);
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a text by a client that cuts it here.
    fn cut(text: &str, at: usize) -> (&str, &str) {
        let at = text.char_indices().nth(at).expect("long enough").0;
        (text[..at].trim(), text[at..].trim())
    }

    fn joined((before, after): (&str, &str)) -> String {
        format!("{before}{}{after}", removed_at_cut(before, after))
    }

    #[test]
    fn what_is_cut_at_the_limit_is_whole_again() {
        let text = "x".repeat(6_000);
        assert_eq!(joined(cut(&text, MESSAGE_LIMIT)), text);
        let emoji = "🦀".repeat(4_000);
        assert_eq!(joined(cut(&emoji, MESSAGE_LIMIT / 2)), emoji);
        let text = "call(name);\n".repeat(600);
        assert_eq!(joined(cut(&text, MESSAGE_LIMIT)), text.trim());
    }

    #[test]
    fn lines_stay_lines_and_sentences_stay_sentences() {
        // As on Android and on the desktop: at the end of a line, near the limit or far from it.
        let lines = "a line of some words\n".repeat(300);
        for at in [21 * 195 - 1, 21 * 120 - 1] {
            assert_eq!(joined(cut(&lines, at)), lines.trim());
        }
        // Where there are no lines, at the last blank that fits.
        let words = "anything ".repeat(600);
        assert_eq!(joined(cut(&words, 9 * 455 - 1)), words.trim());
        // Where there is nothing to cut at, the desktop cuts behind a slash.
        let path = "directory/".repeat(600);
        assert_eq!(joined(cut(&path, 10 * 409)), path);
        // iOS cuts behind any full stop.
        let names = "look into main.rs and ".repeat(300);
        assert_eq!(joined(cut(&names, 22 * 180 + 15)), names.trim());
    }
}
