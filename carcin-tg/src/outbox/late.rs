//! Messages that arrived long after they arose, and the one line that says so.

use std::collections::HashMap;
use std::time::Duration;

use carcin_proto::Millis;

use super::Outcome;
use crate::view::duration;

/// What is later than this is late, in milliseconds.
const LATE: i64 = 60_000;

/// What is late, by chat.
#[derive(Debug, Default)]
pub(super) struct Late(HashMap<i64, Chat>);

#[derive(Debug, Default)]
struct Chat {
    /// Why messages had to wait, as far as that was seen.
    cause: Option<&'static str>,
    /// How late the first one was, in milliseconds.
    by: i64,
    count: u32,
}

impl Late {
    /// A message has to wait.
    pub(super) fn waits(&mut self, chat: i64, outcome: Outcome) {
        let cause = match outcome {
            Outcome::Settled | Outcome::Elsewhere => return,
            Outcome::Unreachable => "Telegram was away",
            Outcome::Gone => "I could not write here",
            // What is not to be waited for long is nothing to speak of.
            Outcome::Wait(wait) if wait < Duration::from_mins(1) => return,
            Outcome::Wait(_) => "Telegram wanted silence",
        };
        self.0.entry(chat).or_default().cause = Some(cause);
    }

    /// A message that arose at `arose` has arrived.
    pub(super) fn arrived(&mut self, chat: i64, arose: i64, now: i64) {
        let late = now.saturating_sub(arose);
        if late >= LATE {
            let chat = self.0.entry(chat).or_default();
            chat.count += 1;
            chat.by = chat.by.max(late);
        }
    }

    /// Everything that waited has arrived: what there is to say about it.
    pub(super) fn digest(&mut self, chat: i64) -> Option<String> {
        let Chat { cause, by, count } = self.0.remove(&chat)?;
        let messages = match count {
            0 => return None,
            1 => "1 message".to_owned(),
            more => format!("{more} messages"),
        };
        let by = duration(Millis(by.unsigned_abs()));
        Some(match cause {
            Some(cause) => format!("ℹ️ {cause} for {by}; {messages} came late"),
            None => format!("ℹ️ {messages} came late, by up to {by}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn an_outage_is_told_in_one_line() {
        let mut late = Late::default();
        late.waits(5, Outcome::Unreachable);
        late.arrived(5, 0, HOUR);
        late.arrived(5, HOUR - 90_000, HOUR);
        late.arrived(5, HOUR - 1_000, HOUR);
        insta::assert_snapshot!(late.digest(5).expect("it is told"), @"ℹ️ Telegram was away for 1 h 00 m; 2 messages came late");
        assert_eq!(late.digest(5), None, "once");
    }

    #[test]
    fn what_nobody_noticed_is_not_told() {
        let mut late = Late::default();
        late.waits(5, Outcome::Unreachable);
        late.waits(6, Outcome::Wait(Duration::from_secs(3)));
        late.arrived(5, 0, 2_000);
        late.arrived(6, 0, 4_000);
        assert_eq!((late.digest(5), late.digest(6)), (None, None));
    }

    #[test]
    fn the_cause_is_told_where_it_was_seen() {
        let mut late = Late::default();
        late.waits(5, Outcome::Gone);
        late.waits(6, Outcome::Wait(Duration::from_hours(1)));
        let told: Vec<String> = [5, 6, 7]
            .into_iter()
            .filter_map(|chat| {
                late.arrived(chat, 0, HOUR);
                late.digest(chat)
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        ℹ️ I could not write here for 1 h 00 m; 1 message came late
        ℹ️ Telegram wanted silence for 1 h 00 m; 1 message came late
        ℹ️ 1 message came late, by up to 1 h 00 m
        ");
    }
}
