//! Generated words: deterministic, so that a test can tell what must have arrived.

const LEXICON: [&str; 24] = [
    "the", "crab", "walks", "sideways", "along", "the", "quiet", "shore", "and", "counts", "every", "wave",
    "while", "a", "lantern", "swings", "over", "wet", "stones", "until", "morning", "finds", "it", "home",
];

/// How many words make a sentence.
const SENTENCE: usize = 12;
/// How many words make a paragraph.
const PARAGRAPH: usize = 48;

/// So many words, or as many as are so many characters; ASCII only, so that characters are bytes.
pub(super) fn stream(total: usize, chars: Option<usize>) -> impl Iterator<Item = String> {
    let mut left = chars.unwrap_or(usize::MAX);
    (0..total).map_while(move |index| {
        let mut word = word(index, total);
        word.truncate(left);
        left -= word.len();
        (!word.is_empty()).then_some(word)
    })
}

/// The word at `index`, with the space, full stop or line break that follows it. Every tenth is numbered, so that a
/// lost or repeated delta shows.
pub(super) fn word(index: usize, total: usize) -> String {
    let plain = LEXICON[index % LEXICON.len()];
    let count = index + 1;
    let mut word = if index.is_multiple_of(SENTENCE) { capitalised(plain) } else { plain.to_owned() };
    if count.is_multiple_of(10) {
        word = format!("{word} [{count}]");
    }
    if count == total {
        word.push('.');
    } else if count.is_multiple_of(PARAGRAPH) {
        word.push_str(".\n\n");
    } else if count.is_multiple_of(SENTENCE) {
        word.push_str(". ");
    } else {
        word.push(' ');
    }
    word
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Cuts a text into deltas of a few words, as a model streams it.
pub(super) fn deltas(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
    words.chunks(3).map(<[&str]>::concat).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_exactly() {
        for chars in [1, 7, 2000] {
            let said: String = stream(chars, Some(chars)).collect();
            assert_eq!(said.len(), chars);
        }
        assert_eq!(stream(5, None).count(), 5);
    }
}
