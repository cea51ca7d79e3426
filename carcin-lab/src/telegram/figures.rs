//! What the bot cost: calls, bytes, messages that stay, sounds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::model::Call;
use super::state::LabState;

/// What was counted, for one chat where that makes a difference.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Calls by method, of all chats, `getUpdates` included.
    pub calls: BTreeMap<String, u64>,
    /// Calls that were not answered with success.
    pub failed: u64,
    /// Bytes of all calls but `getUpdates`: query and body.
    pub bytes: u64,
    /// Seconds from the first call to the last, without `getUpdates`.
    pub seconds: f64,
    /// The most calls within one second, without `getUpdates`.
    pub busiest_second: u64,
    /// The bot's messages in the chat that were sent in this time and can still be seen.
    pub messages_left: u64,
    /// How often the phone made a sound: messages sent without `disable_notification`, an album being one.
    pub sounds: u64,
}

impl Figures {
    /// All calls but `getUpdates`.
    pub fn total(&self) -> u64 {
        self.calls.iter().filter(|(method, _)| *method != POLL).map(|(_, count)| count).sum()
    }
}

const POLL: &str = "getUpdates";

impl LabState {
    /// What was counted after the call numbered `after`, as far as calls are kept ([`super::MAX_CALLS`]).
    pub fn figures(&self, chat: i64, after: u64) -> Figures {
        let mut figures = Figures::default();
        let calls: Vec<&Call> = self.calls.iter().filter(|call| call.seq > after).collect();
        for call in &calls {
            *figures.calls.entry(call.method.clone()).or_default() += 1;
            figures.failed += u64::from(call.outcome.is_some() && !call.ok());
        }
        let written: Vec<&&Call> = calls.iter().filter(|call| call.method != POLL).collect();
        figures.bytes = written.iter().map(|call| call.bytes).sum();
        let times: Vec<SystemTime> = written.iter().map(|call| call.at).collect();
        if let (Some(first), Some(last)) = (times.first(), times.last()) {
            figures.seconds = last.duration_since(*first).unwrap_or_default().as_secs_f64();
        }
        figures.busiest_second = busiest_second(&times);
        let messages = self.chats.get(&chat).into_iter().flat_map(|chat| chat.messages.values());
        let sent = messages.filter(|message| {
            let first = message.history.front().map_or(message.call, |first| first.call);
            message.from_bot() && message.service.is_none() && first.is_some_and(|call| call > after)
        });
        let mut albums = BTreeSet::new();
        for message in sent {
            figures.messages_left += u64::from(message.visible());
            let counted = message.album.as_ref().is_some_and(|album| !albums.insert(album));
            figures.sounds += u64::from(!message.silent && !counted);
        }
        figures
    }
}

fn busiest_second(times: &[SystemTime]) -> u64 {
    let mut window: VecDeque<SystemTime> = VecDeque::new();
    let mut most = 0;
    for time in times {
        window.push_back(*time);
        let old =
            |first: &SystemTime| time.duration_since(*first).unwrap_or_default() >= Duration::from_secs(1);
        while window.front().is_some_and(old) {
            window.pop_front();
        }
        most = most.max(window.len());
    }
    u64::try_from(most).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_second_may_begin_anywhere() {
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        assert_eq!(busiest_second(&[0, 900, 1000, 1500, 1899, 1900, 5000].map(at)), 4);
        assert_eq!(busiest_second(&[]), 0);
    }
}
