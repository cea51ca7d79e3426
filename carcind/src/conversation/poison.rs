//! For tests: a line or a notification on which an actor fails, a line that cannot be read. There is none in a release build.

use crate::child::{Batch, TailError};

/// Panics on what contains the word that `CARCIN_PANIC_ON` says, each time; with `:N` behind it, N times.
#[cfg(debug_assertions)]
pub(super) fn check(line: &[u8]) {
    use std::sync::OnceLock;

    static POISON: OnceLock<Option<armed::Word>> = OnceLock::new();
    if let Some(word) = POISON.get_or_init(|| armed::Word::of("CARCIN_PANIC_ON"))
        && word.is_in(line)
    {
        panic!("told to fail on this line");
    }
}

/// Has the file system fail on a line that contains what `CARCIN_UNREADABLE` says, in the same way.
#[cfg(debug_assertions)]
pub(super) fn unreadable(batch: Option<Batch>) -> Result<Option<Batch>, TailError> {
    use std::sync::OnceLock;

    use crate::child::{Line, Text};

    static POISON: OnceLock<Option<armed::Word>> = OnceLock::new();
    let Some(word) = POISON.get_or_init(|| armed::Word::of("CARCIN_UNREADABLE")) else { return Ok(batch) };
    let poisonous = |line: &Line| matches!(&line.text, Text::Whole(bytes) if word.is_in(bytes));
    if batch.as_ref().is_some_and(|batch| batch.lines.iter().any(poisonous)) {
        let source = nix::errno::Errno::EIO.into();
        return Err(TailError::Io { path: "told to fail on this line".into(), source });
    }
    Ok(batch)
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A word, and how often it still counts.
    pub(super) struct Word(String, AtomicU32);

    impl Word {
        pub(super) fn of(variable: &str) -> Option<Self> {
            let told = std::env::var(variable).ok()?;
            let (word, times) = told
                .split_once(':')
                .map_or((told.as_str(), None), |(word, times)| (word, times.parse().ok()));
            Some(Self(word.to_owned(), AtomicU32::new(times.unwrap_or(u32::MAX))))
        }

        pub(super) fn is_in(&self, line: &[u8]) -> bool {
            let Self(word, left) = self;
            line.windows(word.len()).any(|part| part == word.as_bytes())
                && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        }
    }
}

#[cfg(not(debug_assertions))]
pub(super) fn check(_line: &[u8]) {}

#[cfg(not(debug_assertions))]
#[allow(clippy::unnecessary_wraps)] // in tests it may fail
pub(super) fn unreadable(batch: Option<Batch>) -> Result<Option<Batch>, TailError> {
    Ok(batch)
}
