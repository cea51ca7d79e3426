//! What Telegram wants silence for, and until when: known to every call, whichever task makes it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a wait is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// Everything in a chat. Telegram does not say which calls it has counted.
    Chat(i64),
    /// A method that is about no chat.
    Method(&'static str),
}

/// The waits that are not over.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<HashMap<Scope, Instant>>);

impl Waits {
    fn all(&self) -> MutexGuard<'_, HashMap<Scope, Instant>> {
        // Nothing here is left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much is left of a wait; `None`: it is over, or there is none.
    pub(super) fn left(&self, scope: Scope, now: Instant) -> Option<Duration> {
        let until = *self.all().get(&scope)?;
        Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Telegram wants silence for so long. A longer wait that is known already stays.
    pub(super) fn begin(&self, scope: Scope, wait: Duration, now: Instant) {
        let mut all = self.all();
        all.retain(|_, until| *until > now);
        let until = all.entry(scope).or_insert(now);
        *until = (*until).max(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_for_one_chat_or_one_method_and_is_never_shortened() {
        let (waits, now) = (Waits::default(), Instant::now());
        let (here, there) = (Scope::Chat(5), Scope::Chat(6));
        waits.begin(here, Duration::from_mins(10), now);
        waits.begin(here, Duration::from_secs(3), now + Duration::from_secs(1));
        assert_eq!(waits.left(here, now + Duration::from_mins(9)), Some(Duration::from_mins(1)));
        assert_eq!(waits.left(there, now), None);
        assert_eq!(waits.left(Scope::Method("GetFile"), now), None);
        assert_eq!(waits.left(here, now + Duration::from_mins(10)), None);
    }
}
