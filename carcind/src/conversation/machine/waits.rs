//! Calls that only Claude can answer. Claude may take its time, and may say nothing: each waits for a limited time.

use std::time::Duration;

use carcin_proto::event::MAX_RAW;
use carcin_proto::request::Withdrawal;
use carcin_proto::{PromptId, Refusal, RefusalCode};

use super::call::{Answered, Reply, Ticket};
use super::{Step, control, settings};

/// How long Claude may take to answer. It does within milliseconds; a machine that swaps takes longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same for a setting, which stands without an answer too. Claude asks the API whether there is such a model.
const SETTING: Duration = Duration::from_secs(2);
/// How many may wait at a time. Each is a person's request.
const MOST: usize = 256;

/// The calls that wait. Those of a daemon that died have nobody to be told.
#[derive(Debug, Default)]
pub(super) struct Waits(Vec<Wait>);

#[derive(Debug)]
struct Wait {
    ticket: Ticket,
    /// Until when, by the clock of [`Machine::uptime`](super::Machine::uptime).
    until: Duration,
    awaits: Awaits,
}

/// What a call waits for.
#[derive(Debug)]
pub(super) enum Awaits {
    /// What becomes of a prompt that Claude is asked to give back.
    Withdrawal(PromptId),
    /// The answer to this line, a question.
    Inquiry(String),
    /// The answer to this line, by which a task is told to end.
    StopTask(String),
    /// The answers to these lines, by which Claude is told settings.
    Settings {
        /// Those that it has not answered to.
        open: Vec<String>,
        /// Why it has refused one.
        refused: Option<String>,
    },
}

impl Awaits {
    fn patience(&self) -> Duration {
        match self {
            Self::Settings { .. } => SETTING,
            Self::Withdrawal(_) | Self::Inquiry(_) | Self::StopTask(_) => PATIENCE,
        }
    }

    fn is_line(&self, line: &str) -> bool {
        matches!(self, Self::Inquiry(id) | Self::StopTask(id) if id == line)
    }

    /// What is said when the time is up.
    fn without_an_answer(&self) -> Answered {
        match self {
            Self::Withdrawal(_) => {
                let text = "Claude does not say whether it has begun the prompt";
                let hint = "ask again in a moment; if it has not, it does not any more";
                Err(Refusal::new(RefusalCode::NoAnswer, text).hint(hint))
            }
            Self::Inquiry(_) | Self::StopTask(_) => {
                let text = format!("Claude has not answered within {} s", PATIENCE.as_secs());
                Err(Refusal::new(RefusalCode::NoAnswer, text).hint("try again in a moment"))
            }
            // Should Claude refuse it yet, that is told as an event.
            Self::Settings { .. } => Ok(Reply::Done(())),
        }
    }
}

impl Waits {
    /// One more call waits, from `now` on.
    pub(super) fn add(&mut self, ticket: Ticket, awaits: Awaits, now: Duration, step: &mut Step) {
        if self.0.len() < MOST {
            self.0.push(Wait { ticket, until: now + awaits.patience(), awaits });
        } else {
            step.replies.push(ticket, awaits.without_an_answer());
        }
    }

    /// It is known what became of a prompt.
    pub(super) fn withdrawal_known(&mut self, id: PromptId, known: Withdrawal, step: &mut Step) {
        let of = |wait: &mut Wait| matches!(wait.awaits, Awaits::Withdrawal(prompt) if prompt == id);
        for wait in self.0.extract_if(.., of) {
            step.replies.push(wait.ticket, Ok(Reply::Withdrawal(known)));
        }
    }

    /// Claude has answered to a line, or never will.
    pub(super) fn answered(&mut self, line: &str, answer: Result<&str, &str>, step: &mut Step) {
        for wait in self.0.extract_if(.., |wait| wait.awaits.is_line(line)) {
            let reply = match wait.awaits {
                Awaits::Inquiry(_) => answer.map_err(refused).and_then(shorter).map(Reply::Inquired),
                _ => answer.map(|_| Reply::Done(())).map_err(refused),
            };
            step.replies.push(wait.ticket, reply);
        }
        let mut is_last = |wait: &mut Wait| match &mut wait.awaits {
            Awaits::Settings { open, refused } if open.iter().any(|id| id == line) => {
                open.retain(|id| id != line);
                if let Err(why) = answer {
                    refused.get_or_insert_with(|| why.to_owned());
                }
                open.is_empty()
            }
            _ => false,
        };
        for wait in self.0.extract_if(.., &mut is_last) {
            let Awaits::Settings { refused, .. } = wait.awaits else { continue };
            let reply = refused.map_or(Ok(Reply::Done(())), |why| Err(settings::refusal(&why)));
            step.replies.push(wait.ticket, reply);
        }
    }

    /// Claude is gone: it answers nothing more. The next one is started with the settings. What becomes of the prompts
    /// is known by now.
    pub(super) fn claude_ended(&mut self, step: &mut Step) {
        for wait in self.0.extract_if(.., |wait| !matches!(wait.awaits, Awaits::Withdrawal(_))) {
            let reply = match wait.awaits {
                Awaits::Settings { .. } => Ok(Reply::Done(())),
                _ => Err(refused("Claude has ended")),
            };
            step.replies.push(wait.ticket, reply);
        }
    }

    /// Whether somebody waits for the answer to this line, by which Claude is told a setting.
    pub(super) fn is_setting(&self, line: &str) -> bool {
        let named = |awaits: &Awaits| matches!(awaits, Awaits::Settings { open, .. } if open.iter().any(|id| id == line));
        self.0.iter().any(|wait| named(&wait.awaits))
    }

    /// When the first of them has waited long enough.
    pub(super) fn next(&self) -> Option<Duration> {
        self.0.iter().map(|wait| wait.until).min()
    }

    /// Those who have waited long enough are told that there is no answer.
    pub(super) fn give_up(&mut self, now: Duration, step: &mut Step) {
        for wait in self.0.extract_if(.., |wait| wait.until <= now) {
            step.replies.push(wait.ticket, wait.awaits.without_an_answer());
        }
    }

    /// The caller is gone.
    pub(super) fn hung_up(&mut self, ticket: Ticket) {
        self.0.retain(|wait| wait.ticket != ticket);
    }
}

fn refused(why: &str) -> Refusal {
    Refusal::new(RefusalCode::NoAnswer, format!("Claude does not answer: {why}"))
}

fn shorter(answer: &str) -> Result<String, Refusal> {
    let too_long = || Refusal::new(RefusalCode::NoAnswer, "Claude's answer is too long");
    control::within(answer, MAX_RAW).ok_or_else(too_long)
}
