//! The timestamps in transcripts.

use carcin_proto::Millis;

/// A moment as JavaScript writes it, `2026-11-22T12:07:06.122Z`; `None`: it is written otherwise.
pub(super) fn parse(timestamp: &str) -> Option<Millis> {
    let (date, time) = timestamp.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':')?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let millis: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(Millis(seconds * 1000 + millis))
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let numbers: Vec<u64> = text
        .split(separator)
        .map(|part| part.get(..4.min(part.len()))?.parse().ok())
        .collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// In the Gregorian calendar. The year is counted from March, so that the leap day is its last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719,468 days from the first of March in the year 0 to 1970.
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}
