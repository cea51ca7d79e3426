//! Small phrases that many texts share.

use carcin_proto::Millis;

/// A duration as people say it: `0.4 s`, `12 s`, `3 m 05 s`, `2 h 07 m`.
pub(crate) fn duration(millis: Millis) -> String {
    let seconds = millis.0 / 1000;
    match seconds {
        0 if millis.0 >= 100 => format!("0.{} s", millis.0 / 100),
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
    }
}

/// The same for something that goes on: in whole minutes after ten, so that a long turn's card changes seldom.
pub(super) fn elapsed(millis: Millis) -> String {
    let seconds = millis.0 / 1000;
    if (600..3600).contains(&seconds) {
        format!("{} m", seconds / 60)
    } else {
        duration(Millis(seconds * 1000))
    }
}

/// `text` on one line of at most `max` characters, an ellipsis where it is cut.
pub(super) fn one_line(text: &str, max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= max {
        return line;
    }
    let mut cut: String = line.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// `1 tool`, `2 tools`.
pub(super) fn count(number: u32, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// The sentence as it stands before more of the line: less its full stop.
pub(super) fn bare(sentence: &str) -> &str {
    sentence.trim().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let texts =
            [0, 430, 1_000, 59_999, 60_000, 185_000, 3_600_000, 7_620_000].map(|ms| duration(Millis(ms)));
        insta::assert_snapshot!(texts.join(", "), @"0 s, 0.4 s, 1 s, 59 s, 1 m 00 s, 3 m 05 s, 1 h 00 m, 2 h 07 m");
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        assert_eq!(one_line("a\n b\tc", 9), "a b c");
        assert_eq!(one_line("äöüß", 3), "äö…");
    }
}
