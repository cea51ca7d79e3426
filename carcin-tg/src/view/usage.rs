//! The answer to `/usage`.

use carcin_proto::Millis;
use carcin_proto::event::Usage;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::phrases::{many, money, one_line};
use super::status::filled;
use crate::markdown::{Text, TextBuilder};

/// The plan's limits that are shown, as Claude names them.
const LIMITS: [(&str, &str); 4] = [
    ("five_hour", "5 hours"),
    ("seven_day", "7 days"),
    ("seven_day_opus", "7 days, Opus"),
    ("seven_day_sonnet", "7 days, Sonnet"),
];
/// Limits of single models that are shown.
const MODELS: usize = 6;

/// What some turns used in sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Millionths of a US dollar.
    pub cost_micro_usd: u64,
    /// Tokens in, cached ones included.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// In how many turns.
    pub turns: u64,
}

/// What is known about what was used.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// In this session, as far as it went on here.
    pub session: Spent,
    /// Today, in all conversations.
    pub today: Spent,
    /// What the last turn told.
    pub last: Option<&'a Usage>,
    /// What Claude says, see `get_usage`; else why it says nothing.
    pub told: Result<&'a str, &'a str>,
}

/// The answer, with moments as in this time zone.
pub fn render(known: Known<'_>, now: Millis, zone: &TimeZone) -> Text {
    let mut text = TextBuilder::new();
    if known.session.turns == 0 && known.today.turns == 0 {
        text.bold("Nothing used yet").push(", neither in this session nor elsewhere today.");
    } else {
        text.bold("This session").newline();
        sum(&mut text, known.session);
        if let Some(context) = known.last.and_then(filled) {
            text.newline().push(&format!("Context: {context}"));
        }
        text.blank_line().bold("Today, all conversations").newline();
        sum(&mut text, known.today);
    }
    text.blank_line().bold("Limits of the plan").newline();
    match known.told {
        Ok(raw) => limits(&mut text, &serde_json::from_str(raw).unwrap_or_default(), now, zone),
        Err(why) => drop(text.push("Not known now. ").push(&one_line(why, 300))),
    }
    text.build()
}

fn sum(text: &mut TextBuilder, spent: Spent) {
    if spent.turns == 0 {
        text.push("Nothing yet");
        return;
    }
    let turns = if spent.turns == 1 { "1 turn".to_owned() } else { format!("{} turns", spent.turns) };
    text.push(&format!(
        "{} · {turns} · {} tokens in, {} out",
        money(spent.cost_micro_usd),
        many(spent.input_tokens),
        many(spent.output_tokens)
    ));
}

fn limits(text: &mut TextBuilder, told: &Value, now: Millis, zone: &TimeZone) {
    let limits = &told["rate_limits"];
    let mut lines: Vec<String> =
        LIMITS.iter().filter_map(|(field, name)| limit(name, &limits[field], now, zone)).collect();
    let models = limits["model_scoped"].as_array().into_iter().flatten().take(MODELS);
    lines.extend(models.filter_map(|one| {
        let name = one["display_name"].as_str().unwrap_or("a model");
        limit(&format!("7 days, {}", one_line(name, 30)), one, now, zone)
    }));
    // Who pays by use, with an API key, has no plan.
    let has_none = told["rate_limits_available"] == false && told["subscription_type"].is_null();
    match lines.is_empty() {
        false => text.push(&lines.join("\n")),
        true if has_none => text.push("None: this account has no plan, and pays for what it uses."),
        true => text.push("Claude does not know them now. Ask again after its next answer."),
    };
}

fn limit(name: &str, window: &Value, now: Millis, zone: &TimeZone) -> Option<String> {
    let percent = window["utilization"].as_f64()?;
    let resets = window["resets_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let resets = resets.map(|at| {
        let at_ms = u64::try_from(at.as_millisecond()).unwrap_or_default();
        let soon = at_ms.saturating_sub(now.0) < 20 * 3_600_000;
        let how = if soon { "%H:%M" } else { "%a %H:%M" };
        format!(", new at {}", at.to_zoned(zone.clone()).strftime(how))
    });
    Some(format!("{name}: {percent:.0} % used{}", resets.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_told_with_the_limits_of_the_plan() {
        let session =
            Spent { cost_micro_usd: 1_234_567, input_tokens: 845_000, output_tokens: 12_345, turns: 4 };
        let last = Usage { context_tokens: 84_000, context_window: 200_000, ..Usage::default() };
        let told = r#"{"rate_limits_available": true, "rate_limits": {
            "five_hour": {"utilization": 42.4, "resets_at": "2026-11-22T18:30:00Z"},
            "seven_day": {"utilization": 7, "resets_at": "2026-11-25T09:00:00.123+00:00"},
            "seven_day_opus": null,
            "seven_day_sonnet": {"utilization": null, "resets_at": null},
            "model_scoped": [{"display_name": "Fable", "utilization": 3, "resets_at": null}]}}"#;
        let rich = Known { session, today: Spent { turns: 1, ..session }, last: Some(&last), told: Ok(told) };
        let none = Spent::default();
        let poor = Known { session: none, today: none, last: None, told: Err("Claude is not running here.") };
        let by_key = r#"{"subscription_type": null, "rate_limits_available": false, "rate_limits": null}"#;
        let by_key = Known { today: session, told: Ok(by_key), ..poor };
        let unknown = r#"{"subscription_type": "max", "rate_limits_available": false, "rate_limits": null}"#;
        let unknown = Known { told: Ok(unknown), ..rich };
        let odd = Known { told: Ok("no JSON"), ..poor };
        // 22 November 2026, 16:00
        let now = Millis(1_795_363_200_000);
        let shown = [rich, poor, by_key, unknown, odd].map(|known| render(known, now, &TimeZone::UTC).text);
        insta::assert_snapshot!(shown.join("\n---\n"));
    }
}
