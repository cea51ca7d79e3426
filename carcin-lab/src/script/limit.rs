//! `!limit`: what Claude Code tells of the limits of a plan.

use serde_json::{Value, json};

/// How long from now on the limit holds, in seconds.
const RESETS_IN: u64 = 3600;

/// A notice of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Whether it is reached; else it is near.
    pub reached: bool,
    /// How much of it is used, in percent.
    pub percent: u32,
    /// Which one: `five_hour`, `seven_day`…
    pub kind: String,
}

impl Limit {
    /// The frame that tells of it; `now` in seconds since 1970.
    pub fn frame(&self, now: u64) -> Value {
        let status = if self.reached { "rejected" } else { "allowed_warning" };
        json!({"type": "rate_limit_event", "rate_limit_info": {"status": status, "resetsAt": now + RESETS_IN,
            "rateLimitType": self.kind, "utilization": f64::from(self.percent) / 100.0}})
    }
}

/// Reads `warning 90 five_hour`, of which all but the first may be left out.
pub(super) fn parse(rest: &str) -> Result<Limit, String> {
    let mut parts = rest.split_whitespace();
    let reached = match parts.next() {
        Some("warning") => false,
        Some("rejected") => true,
        other => {
            return Err(format!("`!limit` is `warning` or `rejected`, not `{}`", other.unwrap_or_default()));
        }
    };
    let percent = match parts.next() {
        Some(percent) => percent.parse().map_err(|_| format!("`{percent}` is not a percentage"))?,
        None => {
            if reached {
                100
            } else {
                90
            }
        }
    };
    Ok(Limit { reached, percent, kind: parts.next().unwrap_or("five_hour").to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_how_near_it_is() {
        let limit = parse("warning 75 seven_day").unwrap();
        assert_eq!(limit, Limit { reached: false, percent: 75, kind: "seven_day".into() });
        assert_eq!(limit.frame(1)["rate_limit_info"]["utilization"], 0.75);
        assert!(parse("rejected").unwrap().reached);
        assert!(parse("soon").unwrap_err().contains("not `soon`"));
    }
}
