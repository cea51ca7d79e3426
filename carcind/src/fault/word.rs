//! A word on which something is told to fail, so and so often.

use std::sync::atomic::{AtomicU32, Ordering};

/// `WORD`, each time; `WORD:N`, N times.
#[derive(Debug)]
pub(super) struct Word {
    word: String,
    left: AtomicU32,
}

impl Word {
    /// What a variable of the environment says. Ends with a sentence where that makes no sense: a fault that can never
    /// happen would prove nothing.
    pub(super) fn of(variable: &str) -> Option<Self> {
        let told = std::env::var(variable).ok()?;
        let Some((word, times)) = read(&told) else {
            eprintln!("carcind: {variable}={told} is not WORD[:N]");
            std::process::exit(2)
        };
        Some(Self { word: word.to_owned(), left: AtomicU32::new(times) })
    }

    /// Whether it is here, and still counts.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        bytes.windows(self.word.len()).any(|part| part == self.word.as_bytes())
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }
}

/// The word, and how often to fail on it.
fn read(told: &str) -> Option<(&str, u32)> {
    let (word, times) = match told.split_once(':') {
        None => (told, u32::MAX),
        Some((word, times)) => (word, times.parse().ok().filter(|times| *times > 0)?),
    };
    (!word.is_empty()).then_some((word, times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_word_and_how_often_it_works() {
        assert_eq!(read("POISON"), Some(("POISON", u32::MAX)));
        assert_eq!(read("POISON:2"), Some(("POISON", 2)));
        for wrong in ["", ":1", "POISON:0", "POISON:x", "POISON:"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn it_counts_as_often_as_it_is_told() {
        let word = Word { word: "POISON".to_owned(), left: AtomicU32::new(1) };
        assert!(!word.is_in(b"a clean line"));
        assert!(word.is_in(b"a line with POISON in it"));
        assert!(!word.is_in(b"a line with POISON in it"));
    }
}
