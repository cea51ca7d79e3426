//! Small phrases that many texts share.

use carcin_proto::Millis;

/// What a subagent is called.
pub(super) const AGENT: &str = "Task";

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

/// A tool's name in plain words: `mcp__github__list_issues` is `github: list issues`, `WebFetch` is `Web fetch`.
pub(super) fn tool_name(name: &str) -> String {
    let own = match name {
        "Agent" => AGENT,
        "AskUserQuestion" => "Ask you",
        "EnterPlanMode" => "Start planning",
        "ExitPlanMode" => "Show plan",
        _ => return words(name),
    };
    own.to_owned()
}

fn words(name: &str) -> String {
    if let Some((server, tool)) = name.strip_prefix("mcp__").and_then(|rest| rest.split_once("__")) {
        return format!("{server}: {}", tool.replace('_', " "));
    }
    let mut words = String::with_capacity(name.len() + 4);
    let mut before: Option<char> = None;
    for c in name.chars() {
        // An abbreviation stays as it is: `LSP`.
        if c.is_uppercase() && before.is_some_and(char::is_lowercase) {
            words.push(' ');
            words.extend(c.to_lowercase());
        } else {
            words.push(if c == '_' { ' ' } else { c });
        }
        before = Some(c);
    }
    words
}

/// The sentence as it stands before more of the line: less its full stop.
pub(super) fn bare(sentence: &str) -> &str {
    sentence.trim().trim_end_matches('.')
}

/// How long ago something was: `just now`, `5 min ago`, `3 h ago`, `2 days ago`.
pub(super) fn ago(at: Millis, now: Millis) -> String {
    let minutes = now.0.saturating_sub(at.0) / 60_000;
    match minutes {
        0 => "just now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..1440 => format!("{} h ago", minutes / 60),
        1440..2880 => "1 day ago".to_owned(),
        _ => format!("{} days ago", minutes / 1440),
    }
}

/// A number of tokens or lines as people say it: `950`, `12.3k`, `1.2M`.
pub(super) fn many(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..100_000 => format!("{}.{}k", number / 1_000, number % 1_000 / 100),
        100_000..1_000_000 => format!("{}k", number / 1_000),
        _ => format!("{}.{}M", number / 1_000_000, number % 1_000_000 / 100_000),
    }
}

/// An amount of money in millionths of a dollar; what is less than a cent is not nothing.
pub(super) fn money(micro_usd: u64) -> String {
    match micro_usd.saturating_add(5_000) / 10_000 {
        0 if micro_usd > 0 => "<$0.01".to_owned(),
        cents => format!("${}.{:02}", cents / 100, cents % 100),
    }
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
    fn tools_are_named_in_plain_words() {
        for (name, shown) in [
            ("Bash", "Bash"),
            ("WebFetch", "Web fetch"),
            ("LSP", "LSP"),
            ("mcp__github__list_issues", "github: list issues"),
            ("mcp__odd", "mcp  odd"),
            ("AskUserQuestion", "Ask you"),
            ("some_tool", "some tool"),
        ] {
            assert_eq!(tool_name(name), shown);
        }
    }

    #[test]
    fn numbers_read_well() {
        let numbers = [0, 999, 1_000, 12_345, 123_456, 1_234_567].map(many);
        insta::assert_snapshot!(numbers.join(", "), @"0, 999, 1.0k, 12.3k, 123k, 1.2M");
        let amounts = [0, 1, 5_000, 1_234_567].map(money);
        insta::assert_snapshot!(amounts.join(", "), @"$0.00, <$0.01, $0.01, $1.23");
        let moments =
            [0, 59_999, 60_000, 7_200_000, 90_000_000, 200_000_000].map(|ms| ago(Millis(0), Millis(ms)));
        insta::assert_snapshot!(moments.join(", "), @"just now, just now, 1 min ago, 2 h ago, 1 day ago, 2 days ago");
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        assert_eq!(one_line("a\n b\tc", 9), "a b c");
        assert_eq!(one_line("äöüß", 3), "äö…");
    }
}
