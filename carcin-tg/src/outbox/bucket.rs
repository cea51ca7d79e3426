//! A token bucket: a rate with bursts.

use std::time::{Duration, Instant};

/// Holds up to `burst` tokens and gains one every `every`. Kept as the moment at which it would be full.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    every: Duration,
    burst: u32,
    full_at: Option<Instant>,
}

impl Bucket {
    pub(super) fn new(every: Duration, burst: u32) -> Self {
        Self { every, burst, full_at: None }
    }

    /// When a token is there: `now` or later.
    pub(super) fn ready_at(&self, now: Instant) -> Instant {
        let spare = self.every * (self.burst - 1);
        self.full_at.and_then(|full| full.checked_sub(spare)).map_or(now, |ready| ready.max(now))
    }

    /// Takes a token, also one that is not there: then the next waits longer.
    pub(super) fn take(&mut self, now: Instant) {
        self.full_at = Some(self.full_at.map_or(now, |full| full.max(now)) + self.every);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now() + Duration::from_secs(1000);
        let mut bucket = Bucket::new(Duration::from_secs(1), 3);
        let mut now = start;
        let mut taken = Vec::new();
        for _ in 0..5 {
            now = bucket.ready_at(now);
            bucket.take(now);
            taken.push((now - start).as_secs());
        }
        assert_eq!(taken, [0, 0, 0, 1, 2]);
    }

    #[test]
    fn a_debt_is_paid_back() {
        let now = Instant::now() + Duration::from_secs(1000);
        let mut bucket = Bucket::new(Duration::from_secs(1), 1);
        for _ in 0..3 {
            bucket.take(now);
        }
        assert_eq!(bucket.ready_at(now) - now, Duration::from_secs(3));
    }
}
