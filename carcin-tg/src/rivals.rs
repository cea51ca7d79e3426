//! Somebody else who takes the bot's updates, and whether people are told of it: pure.

use crate::api::Conflict;
use crate::markdown::Text;

/// As often as this another program has disturbed a poll before people are told. It takes no more than one while one that
/// was just ended is still connected.
const TOLD_AT: u32 = 3;

const OTHER_POLLER: &str = "⚠️ Another program uses this bot, too, and takes messages of yours that I never see. Stop the \
                            other one, or give it a bot of its own.";
const WEBHOOK: &str = "⚠️ A webhook is set for this bot, so nothing that you write reaches me. Have it removed with \
                       deleteWebhook of the Bot API; “carcin-tg doctor” says whether it is gone.";

/// What was seen of others.
#[derive(Debug, Default)]
pub(crate) struct Rivals {
    met: u32,
    told: bool,
}

impl Rivals {
    /// A poll was ended by this; what people are told now, once for as long as it lasts.
    pub(crate) fn meet(&mut self, conflict: Conflict) -> Option<Text> {
        self.met = self.met.saturating_add(1);
        let (words, told_at) = match conflict {
            Conflict::OtherPoller => (OTHER_POLLER, TOLD_AT),
            Conflict::Webhook => (WEBHOOK, 1),
        };
        if self.told || self.met < told_at {
            return None;
        }
        self.told = true;
        Some(Text::plain(words))
    }

    /// A poll waited to its end, and nobody disturbed it. (One that brings something says nothing: it may have been quicker.)
    pub(crate) fn be_alone(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_once_for_as_long_as_it_lasts() {
        let mut rivals = Rivals::default();
        let mut meet = |times: usize| -> Vec<bool> {
            (0..times).map(|_| rivals.meet(Conflict::OtherPoller).is_some()).collect()
        };
        assert_eq!(meet(5), [false, false, true, false, false]);
        rivals.be_alone();
        assert!(rivals.meet(Conflict::OtherPoller).is_none(), "one that was just ended");
        rivals.be_alone();
        assert!(rivals.meet(Conflict::Webhook).is_some_and(|text| text.text.contains("webhook")));
        assert!(rivals.meet(Conflict::Webhook).is_none());
    }
}
