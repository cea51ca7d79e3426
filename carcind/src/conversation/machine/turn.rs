//! The life of a turn: it begins with a prompt or by itself, and ends with Claude's result or its death.

use carcin_proto::event::{ApiRetried, PromptOutcome, TurnEnded, TurnOutcome, TurnStarted, Usage};
use carcin_proto::{Millis, TurnId};

use super::{Effect, Machine, Process, PromptId, PromptRow, PromptState, SessionState, TurnResult, TurnRow};
use crate::claude::failure;

/// Why a prompt that Claude took up and did not answer is not completed.
pub(super) const UNANSWERED: &str = "Claude has ended the turn without an answer";
/// Why a turn is not completed that Claude began when it was already being ended.
const CUT_OFF: &str = "Claude was ended while it worked on this";

impl Machine {
    /// The running turn; begins one if there is none.
    pub(super) fn begin_turn(&mut self, prompt: Option<PromptId>) -> &mut TurnRow {
        if self.row.turn.is_none() {
            let turn = TurnId(self.row.last_turn.0 + 1);
            self.row.last_turn = turn;
            self.row.failed = None;
            if prompt.is_some() && self.todos.prompted() {
                self.keep_todos();
            }
            self.emit(TurnStarted { turn, prompt });
            // Claude begins what was given to it before it hears of the stop.
            let stopped_by = if self.lines.has_interrupt() { self.stopper.clone() } else { None };
            self.row.turn = Some(TurnRow { turn, started_at: self.now, stopped_by, ..TurnRow::default() });
        }
        self.row.turn.as_mut().expect("a turn was just begun where there was none")
    }

    pub(super) fn state_changed(&mut self, state: SessionState) {
        let active = state != SessionState::Idle;
        if self.row.active != active {
            self.row.active = active;
            self.step.dirty = true;
        }
        if state == SessionState::Idle {
            self.idle();
        }
    }

    /// Claude does nothing any more: what it had begun is done, and it waits for no answer.
    fn idle(&mut self) {
        let stopped = self.row.turn.as_ref().is_some_and(|turn| turn.stopped_by.is_some());
        if self.unanswered() {
            self.end_unanswered();
        } else if self.row.turn.is_some() {
            let outcome = self.outcome(None);
            self.end_turn(outcome, Usage::default(), None);
        }
        let outcome = match &self.row.failed {
            _ if stopped => PromptOutcome::Cancelled,
            Some(why) => PromptOutcome::Failed(why.clone()),
            None => PromptOutcome::Completed,
        };
        self.settle_all(|prompt| prompt.state == PromptState::Started, &outcome);
        self.withdraw_all("Claude asks no longer");
        self.stopped();
    }

    pub(super) fn result(&mut self, result: TurnResult) {
        if self.is_of_another_turn(&result) {
            tracing::warn!(conversation = %self.key, prompts = ?result.prompts, "Claude tells the end of a turn that does not run");
        } else if self.is_no_answer(&result) {
            if let Some(turn) = &mut self.row.turn {
                turn.unanswered = true;
                self.step.dirty = true;
            }
        } else if self.row.turn.is_some() {
            let outcome = self.outcome(Some(&result));
            if failure::of_turn(&result).is_some_and(|failure| failure.kind == failure::Kind::Login) {
                self.refuse_login();
            }
            if let TurnOutcome::Interrupted(why) = &outcome {
                // Claude will call it cancelled, as if a person had wanted that.
                let begun = PromptOutcome::Interrupted(why.clone());
                self.settle_all(|prompt| prompt.state == PromptState::Started, &begun);
            }
            let usage = Usage {
                context_tokens: self.row.context.0,
                context_window: result.context_window(&self.row.context.1),
                ..result.usage
            };
            self.end_turn(outcome, usage, Some(result.duration));
        }
        self.last_result = Some(result);
    }

    /// A call of the API failed. A login that is refused twice stays refused: Claude has had its chance to renew it, and
    /// would go on trying for minutes.
    pub(super) fn api_retried(&mut self, retried: ApiRetried) {
        let refused = retried.status == Some(401);
        let again = retried.attempt >= 2;
        self.emit(retried);
        let Some(turn) = self.row.turn.as_mut().filter(|turn| turn.hopeless.is_none()) else { return };
        if refused && again {
            turn.hopeless = Some(failure::not_logged_in().sentence());
            self.step.dirty = true;
            self.refuse_login();
            self.interrupt_turn();
        }
    }

    fn refuse_login(&mut self) {
        if let Some(child) = &mut self.row.child {
            child.login_refused = true;
            self.step.dirty = true;
        }
    }

    /// After a death in mid-turn a resumed Claude may close that turn before it begins ours.
    fn is_of_another_turn(&self, result: &TurnResult) -> bool {
        let mut begun = self.prompts.iter().filter(|prompt| prompt.state == PromptState::Started).peekable();
        begun.peek().is_some()
            && !result.prompts.is_empty()
            && !begun.any(|prompt| result.prompts.contains(&prompt.id))
    }

    /// A resumed Claude may end a turn as if all were well, and have asked no model. Either the answer comes after
    /// that, or never. A slash command's turn looks the same, and has done its work.
    fn is_no_answer(&self, result: &TurnResult) -> bool {
        let ordinary = |prompt: &PromptRow| {
            prompt.state == PromptState::Started && !prompt.text.trim_start().starts_with('/')
        };
        self.row.turn.as_ref().is_some_and(is_silent)
            && result.is_empty()
            && self.prompts.iter().any(ordinary)
    }

    /// Whether Claude says that it is done with a turn in which it did nothing.
    pub(super) fn unanswered(&self) -> bool {
        let turn = self.row.turn.as_ref();
        turn.is_some_and(|turn| turn.unanswered && is_silent(turn))
    }

    /// Claude does not answer what it had begun, and would pass over it if it got it once more.
    pub(super) fn end_unanswered(&mut self) {
        let why = UNANSWERED.to_owned();
        let (turn, prompts) = match self.row.turn.as_ref().and_then(|turn| turn.stopped_by.clone()) {
            Some(by) => (TurnOutcome::Stopped(by), PromptOutcome::Cancelled),
            None => (TurnOutcome::Interrupted(why.clone()), PromptOutcome::Interrupted(why)),
        };
        self.end_turn(turn, Usage::default(), None);
        self.settle_all(|prompt| prompt.state == PromptState::Started, &prompts);
    }

    fn outcome(&self, result: Option<&TurnResult>) -> TurnOutcome {
        if let Some(by) = self.row.turn.as_ref().and_then(|turn| turn.stopped_by.clone()) {
            return TurnOutcome::Stopped(by);
        }
        let hopeless = self.row.turn.as_ref().and_then(|turn| turn.hopeless.clone());
        if let (Some(why), Some(true)) = (hopeless, result.map(TurnResult::was_interrupted)) {
            return TurnOutcome::Failed(why);
        }
        match result {
            // By the signal with which it is ended, and nobody has stopped this turn.
            Some(result) if result.was_interrupted() && self.process == Process::Ending => {
                let given_up = self.row.child.as_ref().and_then(|child| child.given_up.clone());
                TurnOutcome::Interrupted(given_up.unwrap_or_else(|| CUT_OFF.to_owned()))
            }
            Some(result) if result.was_interrupted() => TurnOutcome::Stopped("Claude Code".to_owned()),
            Some(result) => match failure::of_turn(result) {
                Some(failure) => TurnOutcome::Failed(failure.sentence()),
                None => TurnOutcome::Completed,
            },
            None => TurnOutcome::Completed,
        }
    }

    /// Ends the running turn.
    pub(super) fn end_turn(&mut self, outcome: TurnOutcome, usage: Usage, duration: Option<Millis>) {
        let Some(turn) = self.row.turn.take() else { return };
        self.forget_unread();
        self.row.failed = match &outcome {
            TurnOutcome::Failed(why) => Some(why.clone()),
            TurnOutcome::Completed | TurnOutcome::Stopped(_) | TurnOutcome::Interrupted(_) => None,
        };
        let duration = duration.unwrap_or(Millis(self.now.0.saturating_sub(turn.started_at.0)));
        if usage != Usage::default() {
            self.row.usage = Some(usage);
        }
        self.emit(TurnEnded { turn: turn.turn, outcome, duration, usage });
        self.step.sync = true;
        self.stopped();
    }

    /// A stop, if one was under way, has had its effect, unless the interrupt is still unread: then what ended
    /// did so by itself, and the next turn may be one that is to be stopped.
    pub(super) fn stopped(&mut self) {
        if self.process != Process::Ending && self.row.turn.is_none() && !self.lines.has_interrupt() {
            self.step.effects.push(Effect::Disarm);
        }
    }
}

fn is_silent(turn: &TurnRow) -> bool {
    turn.next_block == 0 && turn.tools.is_empty()
}
