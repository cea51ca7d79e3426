//! A clock that two processes share.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock, the same for all processes of the machine.
pub(super) fn now() -> u64 {
    let since = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
