//! The state machine of a conversation: (state, input) → what to store, to publish and to do.
//!
//! No I/O and no clock: the actor feeds it requests, Claude's output, the fate of the process and timers, each
//! with the moment; it collects a [`Step`], which the actor commits before it carries out any effect. So an
//! effect that is seen outside is always on disk already.
//!
//! What holds at all times: a prompt starts at most once; what was accepted is settled in the end; an answer
//! goes to the request that it names; after a stop nothing older runs.

mod ask;
mod call;
mod content;
mod inquiry;
mod lines;
mod process;
mod prompts;
mod settings;
mod stop;
#[cfg(test)]
mod tests;
mod turn;
mod unread;
mod waits;
mod watchdog;
mod withdraw;

use carcin_proto::event::{ConversationRecalled, Level, Notice, TaskChanged, TaskStatus, TodoStatus};
use carcin_proto::{ConversationKey, Event, Millis, PromptId, Transient};
use uuid::Uuid;

use super::abilities::Reported;
use lines::Lines;
use waits::Waits;
use watchdog::Watchdog;
use withdraw::Withdrawals;

use crate::claude::{
    self, ControlResponse, Delta, LifecycleState, More, Output, Parsed, SessionState, Todos, TurnResult,
    control,
};
pub use ask::settlement_of;
pub use call::{Answered, Call, Committed, Past, Replies, Reply, Rest, Ticket};
pub use watchdog::Patience;

use crate::rows::{
    ConversationRow, InputKind, InputRow, Item, Loaded, PromptRow, PromptState, RequestRow, Row, TurnRow,
};

/// What a step asks for: to be committed as a whole, then carried out.
#[derive(Debug, Default)]
pub struct Step {
    /// What happened, in order.
    pub items: Vec<Item>,
    /// The rows that are others now.
    pub rows: Vec<Row>,
    /// Whether the conversation's own row is another, besides the spool's offset.
    pub dirty: bool,
    /// Whether it must survive a power cut.
    pub sync: bool,
    /// What to do once it is committed, in order.
    pub effects: Vec<Effect>,
    /// Whom to answer after that.
    pub replies: Replies,
}

impl Step {
    /// Whether there is anything to commit.
    pub fn leaves_something(&self) -> bool {
        !self.items.is_empty() || !self.rows.is_empty()
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        !self.leaves_something() && self.effects.is_empty() && self.replies.is_empty()
    }
}

/// What the actor is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start a Claude for the conversation's [`ChildRow`](crate::rows::ChildRow), and report it.
    Spawn,
    /// Write this line to Claude; the id is that of its input row.
    Write {
        /// What a failure names.
        id: String,
        /// The line without its newline.
        line: String,
        /// Pictures to put into it.
        images: Vec<std::path::PathBuf>,
    },
    /// Send a signal to Claude.
    Signal(Rung),
    /// Call [`Machine::rung`] with this rung after [`RUNG`], unless told otherwise before; where one is armed, see
    /// [`Rung::replaces`].
    Arm(Rung),
    /// Forget the rung that was armed.
    Disarm,
    /// Answer this call by what the journal knows.
    Recall(Ticket, Past),
}

/// How long a rung of the stop ladder is given before the next.
pub const RUNG: std::time::Duration = std::time::Duration::from_secs(5);

/// So much of the child's stdout may be dealt with before that is synced, in bytes: only then its space is given back.
const SYNC_EVERY: u64 = 16 << 20;
/// The most subagents and background tasks that are known at a time. Beyond, the oldest is forgotten: the row is
/// written with every commit.
const MAX_TASKS: usize = 256;

/// A rung of the stop ladder, after the request that Claude itself obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// SIGINT: ends the turn, and then the process.
    Interrupt,
    /// SIGTERM: ends the process, which cleans up its tools.
    Terminate,
    /// SIGKILL to Claude and all that it started.
    Kill,
}

impl Rung {
    /// Whether it takes the place of the rung that is armed. An interrupt does not, since that one comes sooner: who
    /// stops again and again would put the ladder off for ever.
    pub fn replaces(self, armed: Option<Self>) -> bool {
        self != Self::Interrupt || armed.is_none()
    }
}

/// Where the Claude process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    /// There is none.
    Absent,
    /// It is being started.
    Starting,
    /// It outlived the daemon; what it said meanwhile is being read.
    Adopted,
    /// It outlived the daemon, and has not answered yet to the line that tells which others it has had.
    Greeted,
    /// It takes lines.
    Ready,
    /// It was told to end; nothing more is given to it.
    Ending,
}

/// A conversation.
#[derive(Debug)]
pub struct Machine {
    key: ConversationKey,
    row: ConversationRow,
    /// Those not settled, in order.
    prompts: Vec<PromptRow>,
    lines: Lines,
    /// Those that Claude waits for, in order.
    requests: Vec<RequestRow>,
    todos: Todos,
    process: Process,
    watchdog: Watchdog,
    /// Whether the disk is so full that nothing may be begun.
    short_of_space: bool,
    /// A hash of the environment that a Claude started now gets; empty: not known.
    environment: String,
    /// The daemon is ending: nothing is started any more.
    closing: bool,
    /// Who asked for the interrupt that was sent last.
    stopper: Option<String>,
    /// Lines that were not understood and are not events yet.
    unread: unread::Unread,
    /// Up to where the offset of the child's stdout survives a power cut, as far as this process knows.
    synced: u64,
    /// The prompts that are being taken back.
    withdrawals: Withdrawals,
    /// The calls that only Claude can answer.
    waits: Waits,
    /// What Claude offers, as it has just reported.
    reported: Vec<Reported>,
    /// The last result of this process, for the reason of its end.
    last_result: Option<TurnResult>,
    /// The last thing that Claude said which it may say again.
    last_notice: Option<Notice>,
    /// The wall clock of the current step.
    now: Millis,
    step: Step,
    fresh: fn() -> Uuid,
}

impl Machine {
    /// A conversation that does not exist yet.
    pub fn open(key: ConversationKey, cwd: std::path::PathBuf, now: Millis) -> Self {
        let row = ConversationRow { cwd: cwd.clone(), ..ConversationRow::default() };
        let loaded = Loaded { key, conversation: row, prompts: vec![], inputs: vec![], requests: vec![] };
        let mut machine = Self::load(loaded);
        machine.now = now;
        machine.emit(carcin_proto::event::ConversationOpened { cwd });
        machine.step.dirty = true;
        machine
    }

    /// A conversation as the journal has it. If it has a child, the actor finds out what became of that, and
    /// says so: [`Machine::adopted`], [`Machine::exited`] or [`Machine::vanished`]; else [`Machine::childless`].
    pub fn load(loaded: Loaded) -> Self {
        Self {
            todos: serde_json::from_str(&loaded.conversation.todos).unwrap_or_default(),
            unread: unread::Unread::default(),
            synced: loaded.conversation.child.as_ref().map_or(0, |child| child.offset),
            process: match &loaded.conversation.child {
                None => Process::Absent,
                Some(child) if child.ending => Process::Ending,
                Some(_) => Process::Adopted,
            },
            key: loaded.key,
            row: loaded.conversation,
            prompts: loaded.prompts,
            lines: Lines::left(loaded.inputs),
            requests: loaded.requests,
            watchdog: Watchdog::default(),
            short_of_space: false,
            environment: String::new(),
            closing: false,
            stopper: None,
            withdrawals: Withdrawals::default(),
            waits: Waits::default(),
            reported: Vec::new(),
            last_result: None,
            last_notice: None,
            now: Millis(0),
            step: Step::default(),
            fresh: Uuid::new_v4,
        }
    }

    /// The same with a hash of the environment that a Claude started now gets. It must not change while this lives.
    #[must_use]
    pub fn with_environment(mut self, environment: String) -> Self {
        self.environment = environment;
        self
    }

    /// The conversation's row, with the spool's offset in it.
    pub fn row(&self) -> &ConversationRow {
        &self.row
    }

    /// Says what time it is on the wall clock, for all that follows.
    pub fn at(&mut self, now: Millis) -> &mut Self {
        self.now = now;
        self
    }

    /// What has come together since the last call. With a row or a durable event in it, the conversation's
    /// own row is in it too, so that the spool's offset is committed with what it stands for.
    pub fn take(&mut self) -> Step {
        let offset = self.row.child.as_ref().map_or(0, |child| child.offset);
        if self.is_sync_due() {
            self.step.dirty = true;
            self.step.sync = true;
        }
        let durable = self.step.items.iter().any(|item| matches!(item, Item::Durable(_)));
        let commits = durable || self.step.dirty || !self.step.rows.is_empty();
        if commits {
            self.tell_unread();
        }
        let mut step = std::mem::take(&mut self.step);
        if commits {
            self.row.active_at = self.now;
            step.rows.push(Row::Conversation(Box::new(self.row.clone())));
            if step.sync {
                self.synced = offset;
            }
        }
        step
    }

    /// Whether what has come together must be durable before anything else is looked at: something is to be done
    /// for it, somebody is answered, or it must survive a power cut.
    pub fn is_urgent(&self) -> bool {
        self.step.sync || self.is_sync_due() || !self.step.effects.is_empty() || !self.step.replies.is_empty()
    }

    /// Whether Claude has printed so much since the last sync that its spool's space is to be given back.
    fn is_sync_due(&self) -> bool {
        let offset = self.row.child.as_ref().map_or(0, |child| child.offset);
        // Before the last sync there is only another child's.
        offset.checked_sub(self.synced).unwrap_or(offset) >= SYNC_EVERY
    }

    /// The child's stdout is taken care of up to `offset`.
    pub fn consumed(&mut self, offset: u64) {
        if let Some(child) = &mut self.row.child {
            child.offset = offset;
        }
    }

    /// A line of Claude's.
    pub fn line(&mut self, parsed: Parsed, raw: &[u8], size: u64) {
        match parsed {
            Parsed::Problem(problem) => self.unrecognised(problem, raw, size),
            Parsed::Outputs { session, outputs } => {
                if !self.are_a_sign_of_life(&outputs) {
                    self.heard();
                }
                if let Some(session) = session {
                    self.follow(&session);
                }
                for output in outputs {
                    match output {
                        Output::Partly(problem) => self.unrecognised(problem, raw, size),
                        output => self.output(output),
                    }
                }
                self.advance();
            }
        }
    }

    /// A line that is a delta, without the detour over everything that a line may be. `false`: it belongs to another
    /// session, and nothing was done.
    pub fn delta(&mut self, delta: &Delta<'_>) -> bool {
        if self.row.session.as_ref().is_none_or(|session| session.as_str() != delta.session) {
            return false;
        }
        self.heard();
        match &delta.more {
            More::Text(text) => self.text_delta(delta.index, text),
            More::Thinking(text) => self.thinking_delta(delta.index, text),
            More::Other => {}
        }
        self.advance();
        true
    }

    /// What the journal's snapshot is to know of the conversation, where it has let go of it. That happens only at
    /// rest: what goes on is in the events to come.
    pub fn recalled(&self) -> ConversationRecalled {
        let todos = self.todos.list();
        let done = self.row.turn.is_none() && todos.iter().all(|todo| todo.status == TodoStatus::Completed);
        ConversationRecalled {
            cwd: self.row.cwd.clone(),
            session: self.row.session.clone(),
            settings: self.row.actual.clone(),
            todos: if done { Vec::new() } else { todos.to_vec() },
            unrecognised: self.row.unrecognised,
        }
    }

    /// Whether nothing goes on and nothing waits: what is in the journal is all that there is to know.
    pub fn is_at_rest(&self) -> bool {
        let nothing_waits = self.prompts.is_empty() && self.lines.is_empty() && self.requests.is_empty();
        self.process == Process::Absent && nothing_waits && self.row.child.is_none()
    }

    /// A question too long to be read: it is refused, or Claude would wait for ever.
    pub fn refuse(&mut self, request: &carcin_proto::RequestId, why: &str) {
        self.send(request.as_str(), InputKind::Answer, control::refuse(request, why));
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Init(init) => {
                self.reported.push(Reported::Turn(Box::new(init.clone())));
                self.init(init);
            }
            Output::Lifecycle { prompt, state } => self.lifecycle(prompt, state),
            Output::PromptReplayed { prompt } => self.replayed(prompt),
            Output::StateChanged(state) => self.state_changed(state),
            Output::Result(result) => self.result(result),
            Output::MessageStarted { parent: None, .. } => self.message_started(),
            Output::BlockStarted { parent: None, index, .. } => self.block_started(index),
            Output::TextDelta { parent: None, index, text } => self.text_delta(index, &text),
            Output::ThinkingDelta { parent: None, index, text } => self.thinking_delta(index, &text),
            Output::Assistant(assistant) => self.assistant(assistant),
            Output::ToolResult(result) => self.tool_result(result),
            Output::ToolProgress { tool_use, elapsed } => self.tool_progress(tool_use, elapsed),
            Output::LocalOutput(text) => self.local_output(&text),
            Output::Ask(asked) => self.asked(asked),
            Output::AskUnsupported { request, subtype } => {
                self.refuse(&request, &format!("Carcin cannot answer {subtype}"));
            }
            Output::AskCancelled { request } => self.ask_cancelled(&request),
            Output::ControlResponse(response) => self.control_response(response),
            Output::ApiRetry(retried) => self.api_retried(retried),
            Output::Compaction(compacted) => self.emit(compacted),
            Output::Task(task) => self.task(task),
            Output::ModeChanged(mode) => self.mode_changed(mode),
            Output::RateLimited(limit) => self.repeatable(limit.notice()),
            Output::Notice(notice) => self.repeatable(notice),
            Output::PermissionDenied { tool, reason, .. } => {
                let text =
                    format!("Claude was denied {tool}{}{reason}", if reason.is_empty() { "" } else { ": " });
                self.emit(Notice { level: Level::Info, text, hint: None });
            }
            Output::SessionReset { session } => self.follow(&session),
            // The actor has put it into a file, and told of that: see [`Machine::picture`].
            Output::Picture(_)
            | Output::MessageStarted { .. }
            | Output::BlockStarted { .. }
            | Output::TextDelta { .. }
            | Output::ThinkingDelta { .. }
            | Output::BlockStopped { .. }
            | Output::Partly(_)
            | Output::MessageStopped { .. } => {}
        }
    }

    /// Claude says some things with every answer of the API; once is enough.
    fn repeatable(&mut self, notice: Notice) {
        if self.last_notice.as_ref() != Some(&notice) {
            self.last_notice = Some(notice.clone());
            self.emit(notice);
        }
    }

    /// What a task is, Claude says at its beginning alone.
    fn task(&mut self, mut task: TaskChanged) {
        let known = self.row.tasks.iter().position(|known| known.task == task.task);
        if let Some(known) = known.map(|at| self.row.tasks.remove(at)) {
            if task.description.is_empty() {
                task.description = known.description;
            }
            task.tool_use = task.tool_use.or(known.tool_use);
        }
        if task.status == TaskStatus::Running {
            if self.row.tasks.len() >= MAX_TASKS {
                self.row.tasks.remove(0);
            }
            self.row.tasks.push(task.clone());
        }
        self.emit(task);
    }

    fn are_a_sign_of_life(&self, outputs: &[Output]) -> bool {
        matches!(outputs, [Output::ControlResponse(response)] if self.is_sign_of_life(&response.request_id))
    }

    fn control_response(&mut self, response: ControlResponse) {
        let row = self.lines.find(&response.request_id);
        let (kind, position) = (row.map(|input| input.kind), row.map(|input| input.position));
        let setting = row.filter(|input| input.kind == InputKind::Setting);
        let setting = setting.and_then(|input| control::Setting::asked(&input.line));
        self.lines.receipt(&response.request_id, &mut self.step);
        if kind == Some(InputKind::Interrupt) {
            self.stopped();
        }
        if let Some(pending) = response.pending {
            self.reconcile(pending);
        }
        if let (Some(InputKind::Control), Ok(answer)) = (kind, &response.result) {
            self.reported.extend(claude::abilities(answer).map(Reported::All));
        }
        self.withdrawal_answered(&response.request_id, response.result.as_deref());
        let result = response.result.as_deref().map_err(String::as_str);
        if let Some(setting) = setting {
            self.setting_answered(&response.request_id, setting, result);
        }
        self.waits.answered(&response.request_id, result, &mut self.step);
        if let Err(error) = result {
            tracing::warn!(conversation = %self.key, request = response.request_id, error, "Claude refused a control request");
        }
        if self.is_sign_of_life(&response.request_id) {
            self.alive();
        }
        self.answered_to(&response.request_id, position);
    }

    /// What Claude offers, as told since the last call.
    pub(super) fn take_reported(&mut self) -> Vec<Reported> {
        std::mem::take(&mut self.reported)
    }

    /// Starts what can be started and gives what can be given. Called at the end of each input.
    fn advance(&mut self) {
        if self.short_of_space || self.closing {
            return;
        }
        match self.process {
            Process::Absent if self.prompts.iter().any(|prompt| prompt.state == PromptState::Accepted) => {
                self.spawn();
            }
            Process::Ready => self.give_or_replace(),
            Process::Absent | Process::Starting | Process::Adopted | Process::Greeted | Process::Ending => {}
        }
    }

    /// Whether Claude works, or is about to.
    pub fn busy(&self) -> bool {
        self.row.active
            || self.row.turn.is_some()
            || self.prompts.iter().any(|prompt| prompt.state != PromptState::Accepted)
    }

    fn position(&mut self) -> u64 {
        self.row.next_position += 1;
        self.row.next_position
    }

    fn emit(&mut self, event: impl Into<Event>) {
        self.step.items.push(Item::Durable(event.into()));
    }

    fn emit_transient(&mut self, event: impl Into<Transient>) {
        self.step.items.push(Item::Transient(event.into()));
    }

    fn notice(&mut self, level: Level, text: impl Into<String>, hint: Option<String>) {
        self.emit(Notice { level, text: text.into(), hint });
    }
}
