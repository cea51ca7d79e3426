//! The life of the Claude process, as the conversation sees it.

use carcin_proto::SessionId;
use carcin_proto::event::{
    Exit, Level, ProcessEnded, ProcessStarted, SessionCause, SessionChanged, TurnOutcome, Usage,
};

use super::turn::UNANSWERED;
use super::{Effect, Machine, Process, PromptState};
use crate::claude::failure;
use crate::rows::ChildRow;

/// Why a prompt that Claude had is not given to the next one.
const UNREAD: &str = "What Claude printed last cannot be read, and Claude was ended";
/// What Claude says of a session whose transcript is not there.
const UNKNOWN_SESSION: &str = "No conversation found with session ID";

impl Machine {
    /// Asks for a Claude. The row names its directory before anything is started, so that it is found again
    /// whenever the daemon dies.
    pub(super) fn spawn(&mut self) {
        if self.row.session.is_none() {
            let session = SessionId::new((self.fresh)().to_string()).expect("a UUID is a valid session id");
            self.change_session(Some(session), SessionCause::New);
        }
        self.row.child = Some(ChildRow {
            generation: (self.fresh)().to_string(),
            session: self.row.session.clone(),
            environment: self.environment.clone(),
            ..ChildRow::default()
        });
        self.process = Process::Starting;
        self.last_result = None;
        self.starts_with_settings();
        self.step.dirty = true;
        self.step.effects.push(Effect::Spawn);
    }

    /// Claude runs.
    pub fn spawned(&mut self, pid: u32) {
        self.started(pid, false);
        if self.process == Process::Starting {
            self.process = Process::Ready;
            self.greet();
            self.advance();
        }
        // Cancelled while it started. It never ends by itself before it had a prompt.
        if self.process == Process::Ready && !self.prompted() {
            self.end_process(false);
        } else if self.process == Process::Ending {
            self.step.effects.push(Effect::Signal(super::Rung::Terminate));
        }
    }

    /// What Claude prints cannot be read for now.
    pub fn unreadable(&mut self, why: &str) {
        let hint = "it is tried again until it can be; what Claude does goes on".to_owned();
        self.notice(Level::Warning, format!("What Claude prints cannot be read now: {why}"), Some(hint));
    }

    /// Claude outlived the daemon. What it said meanwhile is being read; see [`Machine::caught_up`].
    pub fn adopted(&mut self, pid: u32) {
        self.started(pid, true);
        if self.process == Process::Ending {
            self.step.effects.push(Effect::Arm(super::Rung::Terminate));
        }
    }

    /// Gives Claude what waits for it; or ends it, if it keeps a login or an environment that a fresh one would not have.
    /// Then what waits is given to that one.
    pub(super) fn give_or_replace(&mut self) {
        let Some(child) = &self.row.child else { return };
        let known = !child.environment.is_empty() && !self.environment.is_empty();
        // A changed environment may concern Claude or not: work in the background is not ended for it.
        let changed = known && child.environment != self.environment && self.row.tasks.is_empty();
        let refused = child.login_refused;
        let waits = self.prompts.iter().any(|prompt| prompt.state == PromptState::Accepted);
        if waits && (refused || changed) && !self.busy() {
            self.replace();
        } else if !refused {
            self.give_all();
        }
    }

    fn replace(&mut self) {
        if !self.row.tasks.is_empty() {
            let text = "Claude is restarted with the current login, which ends its background tasks";
            self.notice(Level::Warning, text, None);
        }
        self.end_process(false);
    }

    fn started(&mut self, pid: u32, adopted: bool) {
        if let Some(child) = &mut self.row.child {
            child.pid = Some(pid);
        }
        self.emit(ProcessStarted { pid, adopted });
    }

    pub(super) fn prompted(&self) -> bool {
        self.row.child.as_ref().is_some_and(|child| child.prompted)
    }

    /// All that an adopted Claude has said is read. Now, and only now, it can be found out which lines it has had.
    /// Whether that was news.
    pub fn caught_up(&mut self) -> bool {
        if self.process != Process::Adopted {
            return false;
        }
        self.ask_for_a_sign();
        let stopped = self.row.turn.as_ref().is_some_and(|turn| turn.stopped_by.is_some());
        if stopped || self.lines.has_interrupt() {
            self.step.effects.push(Effect::Arm(super::Rung::Interrupt));
        }
        true
    }

    /// Claude could not be started at all.
    pub fn not_started(&mut self, why: &str) {
        let failed = carcin_proto::event::PromptOutcome::Failed(why.to_owned());
        let told = !self.settle_all(|_| true, &failed).is_empty();
        self.gone(Exit::NotStarted(why.to_owned()), (!told).then(|| why.to_owned()), String::new());
        self.advance();
    }

    /// There was no Claude when the daemon ended: what waits gets one. Where the rows say that one has had something,
    /// it is none that could be found: of a damaged journal not every row may be there.
    pub fn childless(&mut self) {
        if self.busy() || !self.lines.is_empty() || !self.requests.is_empty() {
            return self.vanished();
        }
        self.advance();
    }

    /// The Claude that the journal names never ran: it is started anew if anything waits for it.
    pub fn vanished(&mut self) {
        let why = "Claude did not start";
        self.end_turn_of_the_dead(why);
        self.bereave(false, why, true);
        self.gone(Exit::Unknown, None, String::new());
        self.advance();
    }

    /// Claude is gone, and all that it said is read.
    pub fn exited(&mut self, exit: &Exit, stderr_tail: String) {
        self.ended(exit, stderr_tail, false);
    }

    /// Claude is gone, and the last of what it said cannot be read: nobody knows what it had begun.
    pub fn exited_unread(&mut self, exit: &Exit, stderr_tail: String) {
        self.ended(exit, stderr_tail, true);
    }

    fn ended(&mut self, exit: &Exit, stderr_tail: String, unread: bool) {
        // One that was told to end was in another session than the next one will be.
        if self.process != Process::Ending && self.session_is_unknown(&stderr_tail) {
            return self.lose_session(exit, stderr_tail);
        }
        if let Exit::NotStarted(_) = exit {
            let failure = failure::sentence(exit, &stderr_tail, None);
            return self.not_started(&failure.sentence());
        }
        let stopped = self.row.turn.as_ref().is_some_and(|turn| turn.stopped_by.is_some());
        let runs = self.row.turn.is_some();
        let given_up = self.row.child.as_mut().and_then(|child| child.given_up.take());
        let asked_to = self.process == Process::Ending && given_up.is_none();
        // Idle, it ends by itself; if nobody was there to see how, that too is as good as any.
        let by_itself = matches!(exit, Exit::Code(0) | Exit::Unknown);
        let unremarkable = by_itself && !self.busy();
        let failure = failure::sentence(exit, &stderr_tail, self.last_result.as_ref());
        let unanswered = (by_itself && self.unanswered()).then(|| UNANSWERED.to_owned());
        let unknown = unread.then(|| UNREAD.to_owned());
        let why = given_up.or(unknown).or(unanswered).unwrap_or_else(|| failure.sentence());
        let mut told = self.end_turn_of_the_dead(&why);
        if unread {
            told |= self.give_up_what_may_have_begun(&why);
        }
        // One that is ended may have begun what was sent after the stop for which it is ended.
        let cancelled = stopped || (asked_to && !runs);
        told |= self.bereave(cancelled, &why, asked_to);
        // What waits is tried again at once; if that fails for good, the prompts' own ends say so.
        let message = (!asked_to && !unremarkable && !told && self.prompts.is_empty()).then_some(why);
        self.gone(exit.clone(), message, stderr_tail);
        self.advance();
    }

    fn end_turn_of_the_dead(&mut self, why: &str) -> bool {
        let Some(turn) = &self.row.turn else { return false };
        let outcome = match turn.stopped_by.clone() {
            Some(by) => TurnOutcome::Stopped(by),
            None => TurnOutcome::Interrupted(why.to_owned()),
        };
        self.end_turn(outcome, Usage::default(), None);
        true
    }

    /// Whatever the process's end was, this is what is no longer there.
    fn gone(&mut self, exit: Exit, message: Option<String>, stderr_tail: String) {
        self.withdraw_all("Claude has ended");
        self.waits.claude_ended(&mut self.step);
        self.forget_unread();
        self.lines.forget(&mut self.step);
        // It has not answered to what it was told last: that is for the next one.
        self.tell_what_the_next_gets();
        self.row.child = None;
        self.row.active = false;
        self.row.tasks.clear();
        self.process = Process::Absent;
        self.step.effects.push(Effect::Disarm);
        self.emit(ProcessEnded { exit, message, stderr_tail });
        self.step.sync = true;
    }

    fn session_is_unknown(&self, stderr_tail: &str) -> bool {
        let result = self.last_result.as_ref();
        stderr_tail.contains(UNKNOWN_SESSION)
            || result.is_some_and(|result| result.errors.iter().any(|error| error.contains(UNKNOWN_SESSION)))
    }

    /// The session has no transcript any more: the conversation goes on in a new one, and says so.
    pub(super) fn lose_session(&mut self, exit: &Exit, stderr_tail: String) {
        let lost = self.row.session.clone();
        self.end_turn_of_the_dead("the session does not exist any more");
        self.bereave(false, "the session does not exist any more", false);
        self.gone(exit.clone(), None, stderr_tail);
        self.forget_session(lost.as_ref());
        self.advance();
    }

    /// The session cannot be gone on with, as seen before a start: it has no transcript any more, or one that
    /// Claude never wrote a message to.
    pub fn session_missing(&mut self) {
        if self.row.session_used {
            let lost = self.row.session.clone();
            self.forget_session(lost.as_ref());
        }
        let session = SessionId::new((self.fresh)().to_string()).expect("a UUID is a valid session id");
        self.change_session(Some(session), SessionCause::New);
    }

    fn forget_session(&mut self, lost: Option<&SessionId>) {
        let lost = lost.map_or_else(String::new, |session| format!(" {session}"));
        self.notice(
            Level::Warning,
            format!("The session{lost} does not exist any more; the conversation goes on in a new one"),
            None,
        );
        self.change_session(None, SessionCause::Lost);
    }

    /// The session is another from now on.
    pub(super) fn change_session(&mut self, session: Option<SessionId>, cause: SessionCause) {
        self.row.session_used = matches!(cause, SessionCause::Resumed | SessionCause::Followed);
        self.row.session.clone_from(&session);
        self.row.taken_over.clear();
        if let Some(child) = self.row.child.as_mut().filter(|child| !child.ending) {
            child.session.clone_from(&session);
        }
        self.todos = crate::claude::Todos::default();
        self.row.todos = String::new();
        let cwd = self.row.cwd.clone();
        self.emit(SessionChanged { session, cwd, cause });
    }

    /// Each frame says which session it belongs to; `/clear` changes it.
    pub(super) fn follow(&mut self, session: &SessionId) {
        let ours = matches!(self.process, Process::Adopted | Process::Greeted | Process::Ready);
        if ours && self.row.session.as_ref() != Some(session) {
            self.change_session(Some(session.clone()), SessionCause::Followed);
        }
    }

    /// Whether there is a Claude in this session. A second one, of another conversation, would fork the transcript.
    pub fn works_in(&self, session: &SessionId) -> bool {
        self.row.child.as_ref().is_some_and(|child| child.session.as_ref() == Some(session))
    }

    /// Whether a prompt waits, for the daemon's end and for tests.
    pub fn is_settled(&self) -> bool {
        self.prompts.iter().all(|prompt| prompt.state == PromptState::Settled)
    }
}

#[cfg(test)]
mod tests {
    use carcin_proto::event::RequestOpened;
    use carcin_proto::request::Placement;
    use carcin_proto::{ConversationKey, IdempotencyKey, Millis, PromptId, RequestId, Seq, TurnId};

    use super::*;
    use crate::conversation::machine::tests::asked;
    use crate::rows::{ConversationRow, InputKind, InputRow, Loaded, PromptRow, RequestRow, RequestState};

    fn key() -> ConversationKey {
        ConversationKey::new("test").expect("a valid key")
    }

    fn prompt(state: PromptState) -> PromptRow {
        PromptRow {
            id: PromptId::random(),
            key: IdempotencyKey::new(format!("{state:?}")).expect("a valid key"),
            text: "do".to_owned(),
            images: vec![],
            by: "test".to_owned(),
            placement: Placement::Steer,
            position: 1,
            ahead: 0,
            seq: Seq(1),
            state,
            attempts: 0,
            withdrawing: false,
            unbegun: false,
        }
    }

    fn request() -> RequestRow {
        let id = RequestId::new("r").expect("a valid id");
        let ask = asked(id.clone()).ask;
        RequestRow {
            id: id.clone(),
            conversation: key(),
            position: 3,
            at: Millis(1),
            opened: RequestOpened { request: id, turn: TurnId(1), ask },
            tool_input: String::new(),
            state: RequestState::Open,
        }
    }

    #[test]
    fn what_a_claude_had_that_nothing_is_known_of_is_not_waited_for() {
        let input = InputRow {
            id: "line".to_owned(),
            position: 2,
            kind: InputKind::Control,
            line: "{}".to_owned(),
            images: vec![],
        };
        let given = [PromptState::Started, PromptState::Queued, PromptState::Given];
        let loaded = Loaded {
            key: key(),
            conversation: ConversationRow { active: true, ..ConversationRow::default() },
            prompts: given.map(prompt).into(),
            inputs: vec![input],
            requests: vec![request()],
        };
        let mut machine = Machine::load(loaded);
        machine.at(Millis(1)).childless();
        // What had begun is interrupted, the rest goes to the next Claude.
        assert_eq!(machine.process, Process::Starting);
        assert_eq!(machine.prompts.iter().filter(|prompt| prompt.state == PromptState::Settled).count(), 0);
        assert_eq!(machine.prompts.len(), 2);
        assert!(machine.lines.find("line").is_none(), "{:?}", machine.lines);
        assert!(machine.requests.is_empty());
    }

    #[test]
    fn a_conversation_that_only_waits_for_a_claude_is_told_of_no_end() {
        let loaded = Loaded {
            key: key(),
            conversation: ConversationRow::default(),
            prompts: vec![prompt(PromptState::Accepted)],
            inputs: vec![],
            requests: vec![],
        };
        let mut machine = Machine::load(loaded);
        machine.at(Millis(1)).childless();
        assert_eq!(machine.process, Process::Starting);
        let ends = |item: &crate::rows::Item| {
            matches!(item, crate::rows::Item::Durable(carcin_proto::Event::ProcessEnded(_)))
        };
        assert!(!machine.take().items.iter().any(ends));
    }
}
