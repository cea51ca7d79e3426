//! The watch over a Claude that says nothing: is it slow, or does it hang?
//!
//! Only silence counts, by a clock that stands still while the machine sleeps, and never how long a task takes. A
//! Claude that has said nothing for a while is asked for a sign of life, which it gives at all times: in the middle
//! of an answer, during a tool, with a question open. If it answers, people are told that it is slow, unless a tool
//! runs or a question is open, which may take as long as they like. If it does not, they are told that it hangs,
//! and after a much longer time it is ended.

use std::time::Duration;

use carcin_proto::event::Level;

use super::call::Ticket;
use super::waits::Awaits;
use super::{Effect, InputKind, Machine, Process, PromptState, Rung, control};

/// How long a sign of life may take. Claude Code answers within milliseconds; a machine that swaps takes longer.
const ANSWER: Duration = Duration::from_mins(1);

/// How long a silence may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After so long without a word Claude is asked for a sign of life; `None`: never.
    pub quiet: Option<Duration>,
    /// A Claude that gives no sign of life for so long is ended; `None`: never.
    pub hung: Option<Duration>,
    /// After so long an idle Claude ends by itself.
    pub idle_exit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let minutes = Duration::from_mins;
        // An idle Claude takes 200 MB, and coming back takes half a second.
        Self { quiet: Some(minutes(10)), hung: Some(minutes(30)), idle_exit: minutes(30) }
    }
}

impl Patience {
    /// How long a sign of life is waited for, until people are told.
    fn answer(&self) -> Duration {
        self.hung.map_or(ANSWER, |hung| ANSWER.min(hung / 2))
    }
}

#[derive(Debug, Default)]
pub(super) struct Watchdog {
    patience: Patience,
    /// The clock that stands still while the machine sleeps.
    now: Duration,
    /// When Claude said something, or was given something.
    heard: Duration,
    /// When it last gave a sign of life.
    alive: Duration,
    /// Whether people know of this silence.
    told: bool,
    /// The sign of life that was asked for and has not come.
    owed: Option<String>,
    waiting: Option<Waiting>,
}

/// Waiting for the sign of life that is owed.
#[derive(Debug)]
struct Waiting {
    since: Duration,
    /// Whether people know that there is no answer.
    told: bool,
}

impl Machine {
    /// How long Claude may be silent.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.watchdog.patience = patience;
        self
    }

    /// Says how long the daemon runs, by a clock that stands still while the machine sleeps.
    pub fn uptime(&mut self, now: Duration) {
        self.watchdog.now = now;
    }

    /// When to call [`Machine::tick`], by the clock of [`Machine::uptime`]; `None`: there is nothing to watch, and nobody
    /// waits.
    pub fn next_tick(&self) -> Option<Duration> {
        [self.next_check(), self.waits.next()].into_iter().flatten().min()
    }

    /// Time has passed: looks who has waited for too long, and whether Claude has been silent for too long.
    pub fn tick(&mut self) {
        self.waits.give_up(self.watchdog.now, &mut self.step);
        if self.next_check().is_some_and(|due| due <= self.watchdog.now) {
            self.check_silence();
        }
    }

    /// A call waits for Claude.
    pub(super) fn wait(&mut self, ticket: Ticket, awaits: Awaits) {
        self.waits.add(ticket, awaits, self.watchdog.now, &mut self.step);
    }

    /// Whoever has called is gone.
    pub fn hung_up(&mut self, ticket: Ticket) {
        self.waits.hung_up(ticket);
    }

    /// When to look whether Claude has been silent for too long.
    fn next_check(&self) -> Option<Duration> {
        let quiet = self.watched()?;
        let watchdog = &self.watchdog;
        match &watchdog.waiting {
            Some(waiting) if !waiting.told => Some(waiting.since + watchdog.patience.answer()),
            Some(waiting) => watchdog.patience.hung.map(|hung| waiting.since + hung),
            None => Some(watchdog.heard.max(watchdog.alive) + quiet),
        }
    }

    /// Looks whether Claude has been silent for too long.
    fn check_silence(&mut self) {
        let Some(quiet) = self.watched() else { return };
        let Watchdog { patience, now, heard, alive, .. } = self.watchdog;
        let Some(waiting) = &mut self.watchdog.waiting else {
            if now.saturating_sub(heard.max(alive)) >= quiet {
                self.ask_for_life();
            }
            return;
        };
        let silence = now.saturating_sub(waiting.since);
        if patience.hung.is_some_and(|hung| silence >= hung) {
            let why = format!("Claude has given no sign of life for {} and was ended", shown(silence));
            self.give_up_on_claude(why);
        } else if silence >= patience.answer() && !waiting.told {
            waiting.told = true;
            let text = format!("Claude hangs: it has said nothing for {}", shown(now.saturating_sub(heard)));
            let hint = match patience.hung {
                Some(hung) => {
                    format!(
                        "stop the task, or wait: after {} without a sign of life it is ended",
                        shown(hung)
                    )
                }
                None => "stop the task".to_owned(),
            };
            if self.awaited() {
                self.notice(Level::Warning, text, Some(hint));
            }
        }
    }

    /// Asks for a sign of life, and once only, however long that takes.
    fn ask_for_life(&mut self) {
        if self.watchdog.owed.is_some() {
            self.watchdog.waiting = Some(Waiting { since: self.watchdog.now, told: false });
            return;
        }
        let id = self.fresh_id();
        self.journal(&id, InputKind::Control, control::sign_of_life(&id));
        self.write(&id);
        self.owes(&id);
    }

    /// How long the silence may be now; `None`: nothing is to be watched.
    fn watched(&self) -> Option<Duration> {
        let patience = &self.watchdog.patience;
        let quiet = patience.quiet?;
        match self.process {
            // It may have been told to end by then, and not have heard it.
            Process::Ready if !self.awaited() => Some(quiet + patience.idle_exit),
            Process::Ready | Process::Greeted => Some(quiet),
            Process::Absent | Process::Starting | Process::Adopted | Process::Ending => None,
        }
    }

    /// Whether anybody waits for Claude.
    fn awaited(&self) -> bool {
        self.busy() || !self.prompts.is_empty()
    }

    /// Claude is to answer to this line.
    pub(super) fn owes(&mut self, id: &str) {
        self.watchdog.owed = Some(id.to_owned());
        self.watchdog.waiting = Some(Waiting { since: self.watchdog.now, told: false });
    }

    /// There is another Claude now, or one that nothing is known of yet.
    pub(super) fn begin_to_watch(&mut self) {
        let Watchdog { patience, now, .. } = self.watchdog;
        self.watchdog = Watchdog { patience, now, heard: now, ..Watchdog::default() };
    }

    /// Claude was given something: its silence begins anew, but not that of one that owes a sign of life.
    pub(super) fn given(&mut self) {
        self.watchdog.heard = self.watchdog.now;
    }

    /// Claude says something.
    pub(super) fn heard(&mut self) {
        let watchdog = &mut self.watchdog;
        (watchdog.heard, watchdog.told) = (watchdog.now, false);
        // One that speaks need not give signs. Should it fall silent again, what it owes is waited for anew.
        if let Some(waiting) = watchdog.waiting.take() {
            self.recovered(waiting.told);
        }
    }

    /// Whether this is the answer to a sign of life that was asked for, which breaks no silence.
    pub(super) fn is_sign_of_life(&self, id: &str) -> bool {
        self.watchdog.owed.as_deref() == Some(id)
    }

    /// Claude gives a sign of life.
    pub(super) fn alive(&mut self) {
        self.watchdog.owed = None;
        let told = self.watchdog.waiting.take().is_some_and(|waiting| waiting.told);
        self.watchdog.alive = self.watchdog.now;
        let silence = self.watchdog.now.saturating_sub(self.watchdog.heard);
        if self.watchdog.patience.quiet.is_none_or(|quiet| silence < quiet) || self.process != Process::Ready
        {
            return self.recovered(told);
        }
        if self.forgot_what_it_was_given() {
            return self.give_up_on_claude("Claude does not begin what it was given".to_owned());
        }
        if told {
            self.recovered(true);
        } else if self.busy() && self.may_not_be_silent() && !self.watchdog.told {
            let text = format!("Claude has said nothing for {}; it is alive", shown(silence));
            let hint = "it may think, or wait for the API; stop the task if that takes too long".to_owned();
            self.notice(Level::Warning, text, Some(hint));
        }
        self.watchdog.told = true;
    }

    fn recovered(&mut self, told: bool) {
        if told && self.awaited() {
            self.notice(Level::Info, "Claude gives signs of life again", None);
        }
    }

    /// A tool may be silent for hours, and a question wait for days.
    fn may_not_be_silent(&self) -> bool {
        self.requests.is_empty() && self.row.turn.as_ref().is_none_or(|turn| turn.tools.is_empty())
    }

    /// Claude says that it does nothing, and has not begun a prompt that it has.
    fn forgot_what_it_was_given(&self) -> bool {
        let waits = self
            .prompts
            .iter()
            .any(|prompt| matches!(prompt.state, PromptState::Given | PromptState::Queued));
        waits && !self.row.active && self.row.turn.is_none()
    }

    /// Ends the process. What it had begun is interrupted for this reason, what it had not goes to the next.
    pub(super) fn give_up_on_claude(&mut self, why: String) {
        if !matches!(self.process, Process::Greeted | Process::Ready) {
            return;
        }
        self.will_end();
        if let Some(child) = &mut self.row.child {
            child.given_up = Some(why);
        }
        self.step.sync = true;
        self.step.effects.push(Effect::Signal(Rung::Interrupt));
        self.step.effects.push(Effect::Arm(Rung::Terminate));
    }
}

/// A duration for people.
fn shown(duration: Duration) -> String {
    let minutes = (duration.as_secs() + 30) / 60;
    match minutes {
        0 => format!("{} s", duration.as_secs().max(1)),
        1..120 => format!("{minutes} min"),
        _ => format!("{} h", (minutes + 30) / 60),
    }
}
