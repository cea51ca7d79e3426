//! Messages that arrived long after they arose, and the one line that says so.

use std::collections::HashMap;
use std::time::Duration;

use carcin_proto::Millis;

use super::Outcome;
use crate::view::duration;

/// What is later than this is late, in milliseconds.
const LATE: i64 = 60_000;

/// What is late, by chat. A long answer takes its time, as no chat takes more than one message a second: that is nothing
/// to speak of.
#[derive(Debug)]
pub(super) struct Late {
    /// When this program began. What arose before waited for it.
    began: i64,
    chats: HashMap<i64, Chat>,
}

#[derive(Debug, Default)]
struct Chat {
    /// Why messages have to wait, or had to for long, as far as that was seen.
    cause: Option<&'static str>,
    /// Since when.
    since: i64,
    /// Messages arrive again.
    over: bool,
    /// How late the first one was, in milliseconds.
    by: i64,
    count: u32,
}

impl Late {
    /// Nothing is late yet.
    pub(super) fn new(began: i64) -> Self {
        Self { began, chats: HashMap::new() }
    }

    /// A message has to wait.
    pub(super) fn waits(&mut self, chat: i64, outcome: Outcome, now: i64) {
        let cause = match outcome {
            Outcome::Settled | Outcome::Elsewhere => return,
            Outcome::Unreachable => "Telegram was away",
            Outcome::Gone => "I could not write here",
            // What is not to be waited for long is nothing to speak of.
            Outcome::Wait(wait) if wait < Duration::from_mins(1) => return,
            Outcome::Wait(_) => "Telegram wanted silence",
        };
        let chat = self.chats.entry(chat).or_default();
        if chat.cause.is_none() {
            chat.since = now;
        }
        (chat.cause, chat.over) = (Some(cause), false);
    }

    /// A message that arose at `arose` has arrived.
    pub(super) fn arrived(&mut self, chat: i64, arose: i64, now: i64) {
        let began = self.began;
        let chat = self.chats.entry(chat).or_default();
        if !std::mem::replace(&mut chat.over, true) && now.saturating_sub(chat.since) < LATE {
            chat.cause = None;
        }
        let late = now.saturating_sub(arose);
        if late >= LATE && (chat.cause.is_some() || arose < began) {
            chat.count += 1;
            chat.by = chat.by.max(late);
        }
    }

    /// Everything that waited has arrived: what there is to say about it.
    pub(super) fn digest(&mut self, chat: i64) -> Option<String> {
        let Chat { cause, by, count, .. } = self.chats.remove(&chat)?;
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
        let mut late = Late::new(0);
        late.waits(5, Outcome::Unreachable, 1_000);
        late.waits(5, Outcome::Unreachable, HOUR - 1_000);
        late.arrived(5, 0, HOUR);
        late.arrived(5, HOUR - 90_000, HOUR);
        late.arrived(5, HOUR - 1_000, HOUR);
        insta::assert_snapshot!(late.digest(5).expect("it is told"), @"ℹ️ Telegram was away for 1 h 00 m; 2 messages came late");
        assert_eq!(late.digest(5), None, "once");
    }

    #[test]
    fn what_nobody_noticed_is_not_told() {
        let mut late = Late::new(0);
        late.waits(5, Outcome::Unreachable, 0);
        late.waits(6, Outcome::Wait(Duration::from_secs(3)), 0);
        late.arrived(5, 0, 2_000);
        late.arrived(6, 0, 4_000);
        assert_eq!((late.digest(5), late.digest(6)), (None, None));
    }

    #[test]
    fn a_long_answer_that_takes_its_time_is_not_late() {
        let mut late = Late::new(0);
        for part in 0..250 {
            if part == 20 {
                late.waits(5, Outcome::Unreachable, 20_000);
            }
            late.arrived(5, 1_000, 1_000 + part * 1_000);
        }
        assert_eq!(late.digest(5), None);
    }

    #[test]
    fn the_cause_is_told_where_it_was_seen() {
        let mut late = Late::new(HOUR);
        late.waits(5, Outcome::Gone, 0);
        late.waits(6, Outcome::Wait(Duration::from_hours(1)), 0);
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
