//! The actor of a conversation: it feeds the state machine, commits what that says, then carries it out.
//!
//! Nothing is done that is not on disk before: a step is committed as a whole, then its effects follow
//! ([`commit`]). Around that: the calls ([`calls`]), how a Claude is started ([`start`]) and found again
//! ([`takeup`]).

mod callers;
mod calls;
mod commit;
mod insist;
mod start;
mod takeup;

use std::collections::VecDeque;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::event::{self, LineProblem};
use carcin_proto::{ConversationKey, Millis, Seq};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use self::callers::Callers;
use self::commit::Pending;
use super::machine::{Machine, Reply, Rung, Ticket};
use super::mailbox::{Mail, Mailbox};
use super::or_never;
use super::running::{Happened, Running};
use super::site::Site;
use super::tool_pictures;
use crate::child::{Batch, Exit, Line, TailError, Text};
use crate::claude::{Output, Parsed, cut_ask, delta, parse};
use crate::fault::{self, Point};
use crate::store::StoreError;

/// A rung that is so late is not climbed yet.
const OVERSLEPT: Duration = Duration::from_secs(1);
/// What is heard of Claude meanwhile is all that it has said.
const LISTEN: Duration = Duration::from_secs(1);

/// Runs a conversation until nobody can ask for it any more, or its Claude was ended by a shutdown.
pub(super) struct Actor {
    key: ConversationKey,
    site: Arc<Site>,
    machine: Machine,
    mailbox: Mailbox,
    /// What it starts that must have ended before another actor takes its place.
    tasks: TaskTracker,
    /// The line that is kept raw and not looked at, by its place in the child's output.
    skipped: Option<u64>,
    running: Option<Running>,
    starting: Option<JoinHandle<Start>>,
    /// Dropped, as with a failing actor, a start that fails is not tried again.
    give_up: Option<DropGuard>,
    /// Whether the disk is nearly full.
    short_of_space: watch::Receiver<bool>,
    /// A Claude that cannot be worked with is being ended; what it then is to have ended with.
    clearing: Option<JoinHandle<(event::Exit, String)>>,
    rung: Option<(Instant, Rung)>,
    /// The call to shut down, which is answered when Claude is gone.
    closing: Option<Ticket>,
    /// What was asked while the journal took nothing.
    deferred: VecDeque<Mail>,
    /// When this began: the clock of the watch over Claude, which stands still while the machine sleeps.
    born: Instant,
    /// A stop, or the end of all, is being made durable: what to send should that take long.
    stopping: Option<Rung>,
    /// When to kill a Claude that was told to end while the journal took nothing.
    killing: Option<Instant>,
    /// What Claude has printed and the journal is about to have.
    pending: Option<Pending>,
    /// Whoever has called, and has no reply yet.
    callers: Callers,
}

/// A Claude and its process id, or why there is none; then none runs.
type Start = Result<(Box<Running>, u32), String>;

enum Next {
    Called(Option<Mail>),
    /// The time of the armed rung is up.
    Rung,
    Started(Result<Start, JoinError>),
    Cleared(event::Exit, String),
    Space(bool),
    Happened(Happened),
    Committed(Result<Seq, StoreError>),
    /// It is time for the machine to look who has waited for too long.
    Tick,
}

impl Actor {
    pub(super) fn new(
        key: ConversationKey,
        site: Arc<Site>,
        machine: Machine,
        mailbox: Mailbox,
        tasks: TaskTracker,
        skipped: Option<u64>,
    ) -> Self {
        let machine = machine.with_patience(site.patience).with_environment(site.environment_hash(&key));
        Self {
            key,
            short_of_space: site.short_of_space.clone(),
            machine,
            site,
            mailbox,
            tasks,
            skipped,
            running: None,
            starting: None,
            give_up: None,
            clearing: None,
            rung: None,
            closing: None,
            deferred: VecDeque::new(),
            born: Instant::now(),
            stopping: None,
            killing: None,
            pending: None,
            callers: Callers::default(),
        }
    }

    /// Finds out what became of the Claude that an earlier run of the daemon had, then runs. `recovered` is told
    /// in between: from then on the conversation is as it was.
    pub(super) async fn run(mut self, recovered: oneshot::Sender<()>) {
        self.tell_the_time();
        if *self.short_of_space.borrow_and_update() {
            self.machine.space(true);
        }
        self.recover().await;
        self.flush().await;
        let _ = recovered.send(());
        loop {
            for ticket in self.callers.hung_up() {
                self.machine.hung_up(ticket);
            }
            for reported in self.machine.take_reported() {
                self.site.abilities.learn(reported);
            }
            self.mailbox.pulse.set_resting(self.is_at_rest());
            let next = self.next().await;
            self.tell_the_time();
            match next {
                Next::Called(None) => return,
                Next::Called(Some(mail)) => self.take(mail).await,
                Next::Rung => match self.rung.take() {
                    // This process stood still, or had no turn: Claude may have obeyed long ago.
                    Some((at, rung)) if at.elapsed() > OVERSLEPT => {
                        self.rung = Some((Instant::now() + LISTEN, rung));
                    }
                    Some((_, rung)) => self.machine.rung(rung),
                    None => {}
                },
                Next::Started(result) => self.started(result),
                Next::Space(short) => self.space(short).await,
                Next::Cleared(exit, stderr_tail) => self.machine.exited_unread(&exit, stderr_tail),
                Next::Happened(Happened::Printed(batch)) => {
                    self.printed(&batch).await;
                    self.flush_behind().await;
                    continue;
                }
                Next::Happened(Happened::Unwritable { id, why }) => self.machine.unwritable(&id, &why),
                Next::Happened(Happened::Gone(exit)) => self.gone(exit).await,
                Next::Happened(Happened::Unread(error)) => {
                    let error = describe(&error);
                    tracing::error!(conversation = %self.key, error, "what Claude prints cannot be read; trying again");
                    self.machine.unreadable(&error);
                }
                Next::Happened(Happened::Unreadable(error)) => self.unreadable(&error).await,
                Next::Committed(result) => {
                    if let Some(pending) = self.pending.take() {
                        self.settled(pending, result).await;
                    }
                    continue;
                }
                Next::Tick => self.machine.tick(),
            }
            self.flush().await;
            if self.running.is_none()
                && self.starting.is_none()
                && self.clearing.is_none()
                && let Some(ticket) = self.closing.take()
            {
                self.callers.answer(ticket, Ok(Reply::Done(())));
                return;
            }
        }
    }

    /// Whether there is nothing to do until somebody asks for it: then it need not stay loaded.
    fn is_at_rest(&self) -> bool {
        let nothing_runs = self.running.is_none() && self.starting.is_none() && self.clearing.is_none();
        let nobody_waits = self.callers.is_empty() && self.deferred.is_empty();
        let nothing_waits = nobody_waits && self.rung.is_none() && self.closing.is_none();
        nothing_runs && nothing_waits && self.pending.is_none() && self.machine.is_at_rest()
    }

    fn tell_the_time(&mut self) {
        self.machine.at(Millis::now());
        self.machine.uptime(self.born.elapsed());
    }

    async fn next(&mut self) -> Next {
        if let Some(mail) = self.deferred.pop_front() {
            return Next::Called(Some(mail));
        }
        let rung = self.rung.map(|(at, _)| at);
        let tick = self.machine.next_tick().and_then(|tick| self.born.checked_add(tick));
        // In no order: one that always has something must not keep the others from their turn.
        tokio::select! {
            mail = self.mailbox.recv() => Next::Called(mail),
            () = or_never(rung.map(sleep_until)) => Next::Rung,
            result = or_never(self.starting.as_mut()) => {
                self.starting = None;
                Next::Started(result)
            }
            cleared = or_never(self.clearing.as_mut()) => {
                self.clearing = None;
                // A defect there leaves the directory to the next start.
                let (exit, stderr_tail) = cleared.unwrap_or((event::Exit::Unknown, String::new()));
                Next::Cleared(exit, stderr_tail)
            }
            happened = or_never(self.running.as_mut().map(Running::next)) => Next::Happened(happened),
            result = or_never(self.pending.as_mut().map(Pending::done)) => Next::Committed(result),
            () = or_never(tick.map(sleep_until)) => Next::Tick,
            Ok(()) = self.short_of_space.changed() => Next::Space(*self.short_of_space.borrow_and_update()),
        }
    }

    /// What runs is stopped by a signal if need be: a disk that is full takes no record of an interrupt.
    async fn space(&mut self, short: bool) {
        self.stopping = (short && self.machine.busy()).then_some(Rung::Interrupt);
        self.machine.space(short);
        self.flush().await;
        self.stopping = None;
    }

    async fn unreadable(&mut self, error: &TailError) {
        tracing::error!(conversation = %self.key, %error, "what Claude prints cannot be read any more");
        if let Some(running) = self.running.take() {
            let stderr_tail = running.stderr_tail().await;
            self.clear(Some(running.dir().clone()), event::Exit::Unknown, stderr_tail);
        }
    }

    async fn printed(&mut self, batch: &Batch) {
        fault::read(batch.whole());
        for line in &batch.lines {
            self.mailbox.pulse.set_line(Some(line.start));
            if self.skipped == Some(line.start) {
                self.skip(line);
                // What comes next may be as bad: the next actor is not to meet this one again.
                self.mailbox.pulse.set_line(None);
                self.flush().await;
            } else {
                self.line(line).await;
            }
        }
        self.mailbox.pulse.set_line(None);
        if batch.caught_up && self.machine.caught_up() {
            fault::point(Point::CaughtUpUncommitted);
        }
        if !batch.lines.is_empty() {
            fault::point(Point::LineUncommitted);
        }
    }

    async fn line(&mut self, line: &Line) {
        if let Text::Whole(bytes) = &line.text {
            fault::line(bytes);
        }
        match &line.text {
            Text::Whole(bytes) if delta(bytes).is_some_and(|delta| self.machine.delta(&delta)) => {}
            Text::Whole(bytes) => {
                let size = line.end - line.start;
                let parsed = parse(bytes);
                self.keep_pictures(&parsed).await;
                self.machine.line(parsed, bytes, size);
            }
            Text::Oversized { size, head, tail } => {
                self.machine.unrecognised(LineProblem::TooLong, head, *size);
                if let Some(request) = cut_ask(head, tail) {
                    self.machine
                        .refuse(&request, &format!("the question is too long to be shown: {size} bytes"));
                }
            }
            Text::Fragment(bytes) => {
                self.machine.unrecognised(LineProblem::Fragment, bytes, line.end - line.start);
            }
        }
        self.machine.consumed(line.end);
    }

    /// Puts the pictures that tools have returned into files, before the events that name these. One that cannot be kept is
    /// not shown; nothing else depends on it.
    async fn keep_pictures(&mut self, parsed: &Parsed) {
        let Parsed::Outputs { outputs, .. } = parsed else { return };
        for output in outputs {
            let Output::Picture(picture) = output else { continue };
            let (site, wanted) = (Arc::clone(&self.site), picture.clone());
            let keep = spawn_blocking(move || tool_pictures::keep(&site.state_dir, &wanted));
            match self.stoppable(keep).await {
                Ok(Ok(kept)) => self.machine.picture(picture, kept),
                Ok(Err(error)) => {
                    tracing::warn!(conversation = %self.key, %error, "a picture of a tool's is not kept");
                }
                Err(error) => {
                    tracing::error!(conversation = %self.key, %error, "a picture of a tool's is not kept");
                }
            }
        }
    }

    /// A line on which the actors before this one failed: kept as it is, and Claude is not left waiting for an answer.
    fn skip(&mut self, line: &Line) {
        self.skipped = None;
        let (Text::Whole(bytes) | Text::Oversized { head: bytes, .. } | Text::Fragment(bytes)) = &line.text;
        self.machine.unrecognised(LineProblem::Defect, bytes, line.end - line.start);
        // It may be the reading of the line that fails.
        if let Ok(Some(request)) = catch_unwind(|| cut_ask(bytes, bytes)) {
            self.machine.refuse(&request, "Carcin fails on this question");
        }
        self.machine.consumed(line.end);
    }

    /// Claude is gone, and all that it printed is read. What it leaves behind is cleared away once that is
    /// durable.
    async fn gone(&mut self, exit: Exit) {
        let Some(running) = self.running.take() else { return };
        tracing::info!(conversation = %self.key, %exit, "Claude has ended");
        let exit = match exit {
            Exit::Code(code) => event::Exit::Code(code),
            Exit::Signal(number) => event::Exit::Signal(number),
            Exit::NotStarted(failure) => event::Exit::NotStarted(failure.to_string()),
            Exit::Unknown => event::Exit::Unknown,
        };
        self.machine.exited(&exit, running.stderr_tail().await);
        fault::point(Point::ExitUncommitted);
        self.flush().await;
        if self.closing.is_none() {
            // Sweeping waits for processes to vanish, which nobody needs to wait for here.
            tokio::spawn(running.clear_away());
        } else {
            // What is left now would outlive the daemon.
            running.clear_away().await;
        }
    }
}

/// An error with what caused it, as one sentence.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
