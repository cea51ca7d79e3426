//! Things that go wrong on demand.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Deserialize;

/// What happens to every call while Telegram is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outage {
    /// Every connection is closed, waiting ones too.
    Refuse,
    /// Everything is answered with this status (502…) and a proxy's page, waiting calls too.
    Status(u16),
    /// Nothing is answered, and nothing done, until it is over.
    Hang,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Answered with this HTTP status (500, 502…) and no effect; 5xx come with the HTML of a proxy, as at
    /// Telegram, not with JSON.
    Status(u16),
    /// Refused by Telegram itself with this status and description, without effect.
    Refuse {
        /// The status, and `error_code`.
        status: u16,
        /// The description, whole ("Bad Request: …").
        description: String,
    },
    /// Answered by a server in front of Telegram, without effect: a status with a page, or with nothing.
    Proxy {
        /// The HTTP status.
        status: u16,
        /// The body, as it is; may be empty.
        body: String,
    },
    /// Answered with 429 and this many seconds; calls before their end are violations: all those of the chat, or, where
    /// the call is about none, those of the method.
    RetryAfter(u64),
    /// The connection is closed, nothing happened.
    CloseBefore,
    /// The method runs, then the connection is closed: the reply is lost. Of a download ("download") the first half comes.
    CloseAfter,
    /// Nothing happens until [`super::TelegramLab::release`], then the method runs.
    HangBefore,
    /// The method runs, the reply comes after [`super::TelegramLab::release`].
    HangAfter,
    /// The method runs after this many milliseconds.
    DelayMs(u64),
}

impl FaultKind {
    /// A refusal with this status and description.
    pub fn refuse(status: u16, description: impl Into<String>) -> Self {
        Self::Refuse { status, description: description.into() }
    }

    /// A proxy's answer with this status and body.
    pub fn proxy(status: u16, body: impl Into<String>) -> Self {
        Self::Proxy { status, body: body.into() }
    }

    /// A delay.
    pub fn delay(time: Duration) -> Self {
        Self::DelayMs(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A fault, and which calls it meets. Of several that fit, the one given first is used up first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The method, in any case; `None` meets every method, `getUpdates` included.
    #[serde(default)]
    pub method: Option<String>,
    /// Only calls with this `chat_id`.
    #[serde(default)]
    pub chat: Option<i64>,
    /// Only calls whose text or caption contains this.
    #[serde(default)]
    pub containing: Option<String>,
    /// How many calls it meets; [`FOREVER`] is what it says.
    #[serde(default = "once")]
    pub times: u32,
    /// How many fitting calls pass before.
    #[serde(default)]
    pub skip: u32,
}

/// As [`Fault::times`]: it is never used up.
pub const FOREVER: u32 = u32::MAX;

fn once() -> u32 {
    1
}

impl Fault {
    /// Meets the next call of any method.
    pub const fn any(kind: FaultKind) -> Self {
        Self { kind, method: None, chat: None, containing: None, times: 1, skip: 0 }
    }

    /// Meets the next call of `method`.
    pub fn on(method: impl Into<String>, kind: FaultKind) -> Self {
        Self { method: Some(method.into()), ..Self::any(kind) }
    }

    /// Meets `times` calls.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Meets every fitting call from now on.
    #[must_use]
    pub const fn forever(self) -> Self {
        self.times(FOREVER)
    }

    /// Meets only calls whose text or caption contains `part`.
    #[must_use]
    pub fn containing(mut self, part: impl Into<String>) -> Self {
        self.containing = Some(part.into());
        self
    }

    /// Lets `skip` fitting calls pass first.
    #[must_use]
    pub const fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Meets only calls for this chat.
    #[must_use]
    pub const fn in_chat(mut self, chat: i64) -> Self {
        self.chat = Some(chat);
        self
    }

    fn fits(&self, method: &str, chat: Option<i64>, text: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.chat.is_none_or(|wanted| Some(wanted) == chat)
            && self.containing.as_ref().is_none_or(|part| text.contains(part))
    }
}

/// The faults that wait for their call.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        if fault.times > 0 {
            self.0.push_back(fault);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that meets this call, used up by one.
    pub(super) fn meet(&mut self, method: &str, chat: Option<i64>, text: &str) -> Option<FaultKind> {
        for index in 0..self.0.len() {
            let fault = &mut self.0[index];
            if !fault.fits(method, chat, text) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            let kind = fault.kind.clone();
            if fault.times != FOREVER {
                fault.times -= 1;
            }
            if fault.times == 0 {
                self.0.remove(index);
            }
            return Some(kind);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_as_many_fitting_calls_as_told() {
        let mut faults = Faults::default();
        faults.add(Fault::on("SENDMESSAGE", FaultKind::Status(500)).times(2).after(1).in_chat(7));
        assert_eq!(faults.meet("getMe", Some(7), ""), None);
        assert_eq!(faults.meet("sendMessage", Some(8), ""), None);
        assert_eq!(faults.meet("sendMessage", Some(7), ""), None, "the first one passes");
        assert_eq!(faults.meet("sendMessage", Some(7), ""), Some(FaultKind::Status(500)));
        assert_eq!(faults.meet("sendMessage", Some(7), ""), Some(FaultKind::Status(500)));
        assert_eq!(faults.meet("sendMessage", Some(7), ""), None);
        assert!(faults.0.is_empty());
    }

    #[test]
    fn a_fault_for_one_text_meets_it_for_ever_and_no_other() {
        let mut faults = Faults::default();
        let refusal = FaultKind::refuse(400, "Bad Request: no");
        faults.add(Fault::on("sendMessage", refusal.clone()).containing("poison").forever());
        assert_eq!(faults.meet("sendMessage", Some(7), "food"), None);
        for _ in 0..3 {
            assert_eq!(faults.meet("sendMessage", Some(7), "some poison"), Some(refusal.clone()));
        }
    }
}
