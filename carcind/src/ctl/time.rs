//! Moments and durations as people say them.

use carcin_proto::Millis;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `3 min ago`; after two weeks the date.
pub(super) fn age(at: Millis, now: Millis, zone: &TimeZone) -> String {
    let past = now.0.saturating_sub(at.0);
    match past {
        _ if at.0 == 0 => "never".to_owned(),
        ..10_000 => "just now".to_owned(),
        10_000..MINUTE => format!("{} s ago", past / SECOND),
        MINUTE..HOUR => format!("{} min ago", past / MINUTE),
        HOUR..DAY => format!("{} h ago", past / HOUR),
        _ if past < 2 * DAY => "1 day ago".to_owned(),
        _ if past < 14 * DAY => format!("{} days ago", past / DAY),
        _ => format(at, zone, "%Y-%m-%d"),
    }
}

/// `0.4 s`, `42 s`, `3 min 5 s`, `5 h 12 min`, `3 d 4 h`.
pub(super) fn duration(duration: Millis) -> String {
    let ms = duration.0;
    let two = |large: u64, name: &str, small: u64, small_name: &str| match small {
        0 => format!("{large} {name}"),
        _ => format!("{large} {name} {small} {small_name}"),
    };
    match ms {
        ..10_000 => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        10_000..MINUTE => format!("{} s", ms / SECOND),
        MINUTE..HOUR => two(ms / MINUTE, "min", ms % MINUTE / SECOND, "s"),
        HOUR..DAY => two(ms / HOUR, "h", ms % HOUR / MINUTE, "min"),
        _ => two(ms / DAY, "d", ms % DAY / HOUR, "h"),
    }
}

/// `14:03:21`
pub(super) fn clock(at: Millis, zone: &TimeZone) -> String {
    format(at, zone, "%H:%M:%S")
}

fn format(at: Millis, zone: &TimeZone, how: &str) -> String {
    let moment = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.map_or_else(|| "?".to_owned(), |moment| moment.to_zoned(zone.clone()).strftime(how).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_like_speech() {
        let now = 1_800_000_000_000;
        let told = [0, 9_999, 42_000, 3 * MINUTE, 5 * HOUR, 30 * HOUR, 3 * DAY, 40 * DAY]
            .map(|past| age(Millis(now - past), Millis(now), &TimeZone::UTC));
        let expected = [
            "just now",
            "just now",
            "42 s ago",
            "3 min ago",
            "5 h ago",
            "1 day ago",
            "3 days ago",
            "2026-12-06",
        ];
        assert_eq!(told, expected);
        assert_eq!(age(Millis(0), Millis(now), &TimeZone::UTC), "never");
        assert_eq!(age(Millis(now + 5), Millis(now), &TimeZone::UTC), "just now");
        assert_eq!(clock(Millis(u64::MAX), &TimeZone::UTC), "?");
    }

    #[test]
    fn durations_read_like_speech() {
        let told = [0, 450, 9_999, 42_000, 3 * MINUTE, 185_000, 5 * HOUR + 12 * MINUTE, 3 * DAY + 4 * HOUR]
            .map(|ms| duration(Millis(ms)));
        assert_eq!(told, ["0.0 s", "0.4 s", "9.9 s", "42 s", "3 min", "3 min 5 s", "5 h 12 min", "3 d 4 h"]);
    }
}
