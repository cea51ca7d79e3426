//! How long to wait before the next attempt.

use std::time::Duration;

use uuid::Uuid;

/// Delays that double from `first` to `max`, each with half of it left to chance, so that those who lost the same
/// daemon do not come back in step.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins with about `first` and goes up to about `max`.
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, next: first }
    }

    /// The largest delay.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The next delay: between half and the whole of the current step.
    pub fn delay(&mut self) -> Duration {
        let step = self.next.min(self.max);
        self.next = step.saturating_mul(2).min(self.max);
        // The last bytes of a random UUID are all random.
        let [.., a, b, c, d] = Uuid::new_v4().into_bytes();
        let chance = f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX);
        step.mul_f64(0.5 + chance / 2.0)
    }

    /// Begins again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

impl Default for Backoff {
    /// 50 ms to 2 s: a restart of the daemon takes less than the first few, and nobody waits much for a later one.
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(2))
    }
}
