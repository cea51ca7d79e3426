//! For tests: a line on which an actor fails. There is none in a release build.

/// Panics on a line that contains what `CARCIN_PANIC_ON` says, each time; with `:N` behind it, N times.
#[cfg(debug_assertions)]
pub(super) fn check(line: &[u8]) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static POISON: OnceLock<Option<(String, AtomicU32)>> = OnceLock::new();
    let poison = POISON.get_or_init(|| {
        let told = std::env::var("CARCIN_PANIC_ON").ok()?;
        let (word, times) =
            told.split_once(':').map_or((told.as_str(), None), |(word, times)| (word, times.parse().ok()));
        Some((word.to_owned(), AtomicU32::new(times.unwrap_or(u32::MAX))))
    });
    let Some((word, left)) = poison else { return };
    if line.windows(word.len()).any(|part| part == word.as_bytes())
        && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    {
        panic!("told to fail on this line");
    }
}

#[cfg(not(debug_assertions))]
pub(super) fn check(_line: &[u8]) {}
