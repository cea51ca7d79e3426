//! Another program, or a webhook, that takes the bot's updates, and when people are told of it: pure.

use crate::api::Conflict;
use crate::markdown::Text;

/// As often as this another program has disturbed a poll before people are told. It takes no more than one while one that
/// was just ended is still connected.
const TOLD_AT: u32 = 3;

const OTHER_POLLER: &str = "⚠️ Another program uses this bot, too, and takes messages of yours that I never see. Stop the \
                            other one, or give it a bot of its own.";
const WEBHOOK: &str = "⚠️ A webhook is set for this bot, so nothing that you write reaches me. Have it removed with \
                       deleteWebhook of the Bot API; “carcin-tg doctor” says whether it is gone.";

/// The polling conflicts of late.
#[derive(Debug, Default)]
pub(crate) struct PollingConflicts {
    hits: u32,
    told: bool,
}

impl PollingConflicts {
    /// A poll was ended by this; what people are told now, once for as long as it lasts.
    pub(crate) fn hit(&mut self, conflict: Conflict) -> Option<Text> {
        self.hits = self.hits.saturating_add(1);
        let (words, told_at) = match conflict {
            Conflict::OtherPoller => (OTHER_POLLER, TOLD_AT),
            Conflict::Webhook => (WEBHOOK, 1),
        };
        if self.told || self.hits < told_at {
            return None;
        }
        self.told = true;
        Some(Text::plain(words))
    }

    /// A poll waited to its end, and nobody disturbed it. (One that brings something says nothing: it may have been quicker.)
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_once_for_as_long_as_it_lasts() {
        let mut conflicts = PollingConflicts::default();
        let mut hit = |times: usize| -> Vec<bool> {
            (0..times).map(|_| conflicts.hit(Conflict::OtherPoller).is_some()).collect()
        };
        assert_eq!(hit(5), [false, false, true, false, false]);
        conflicts.clear();
        assert!(conflicts.hit(Conflict::OtherPoller).is_none(), "one that was just ended");
        conflicts.clear();
        assert!(conflicts.hit(Conflict::Webhook).is_some_and(|text| text.text.contains("webhook")));
        assert!(conflicts.hit(Conflict::Webhook).is_none());
    }
}
