//! The actor of a conversation: it feeds the state machine, commits what that says, then carries it out.
//!
//! Nothing is done that is not on disk before: a step is committed as a whole, then its effects follow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::event::LineProblem;
use carcin_proto::request::Submitted;
use carcin_proto::{ConversationKey, Event, Refusal, RefusalCode, Seq};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use super::handle::Ask;
use super::machine::{Effect, Machine, RUNG, Rung, Step};
use super::running::{Happened, Running, clear_away};
use super::site::{Site, check_folder, now};
use crate::child::{AdoptError, Adopted, Child, ChildDir, Exit, Line, SpawnError, Text};
use crate::claude::launch::SessionArg;
use crate::claude::transcripts::Known;
use crate::claude::{cut_ask, parse};
use crate::store::{Commit, Item, RequestState, Row};

/// How long a failed commit waits for its next try. Meanwhile Claude's output stays in its spool.
const COMMIT_RETRY: Duration = Duration::from_millis(500);

/// How long a commit may take before a stop no longer waits for it: well below the two seconds promised.
const JOURNAL_PATIENCE: Duration = Duration::from_millis(500);
/// What may be asked while the journal takes nothing; more waits in the mailbox.
const DEFERRED: usize = 64;
/// How long to wait before asking again what became of a child.
const ADOPT_RETRY: Duration = Duration::from_secs(1);

/// Runs a conversation until nobody can ask for it any more, or its Claude was ended by [`Ask::Shutdown`].
pub(super) struct Actor {
    key: ConversationKey,
    site: Arc<Site>,
    machine: Machine,
    mailbox: mpsc::Receiver<Ask>,
    running: Option<Running>,
    starting: Option<JoinHandle<Result<Child, String>>>,
    rung: Option<(Instant, Rung)>,
    closing: Option<oneshot::Sender<()>>,
    /// What was asked while the journal took nothing.
    deferred: VecDeque<Ask>,
    /// A stop is being made durable.
    stopping: bool,
}

enum Next {
    Ask(Option<Ask>),
    Rung(Rung),
    Started(Result<Child, String>),
    Happened(Happened),
}

impl Actor {
    pub(super) fn new(
        key: ConversationKey,
        site: Arc<Site>,
        machine: Machine,
        mailbox: mpsc::Receiver<Ask>,
    ) -> Self {
        Self {
            key,
            site,
            machine,
            mailbox,
            running: None,
            starting: None,
            rung: None,
            closing: None,
            deferred: VecDeque::new(),
            stopping: false,
        }
    }

    /// Finds out what became of the Claude that an earlier run of the daemon had, then runs. `recovered` is told
    /// in between: from then on the conversation is as it was.
    pub(super) async fn run(mut self, recovered: oneshot::Sender<()>) {
        self.machine.at(now());
        self.recover().await;
        self.flush().await;
        let _ = recovered.send(());
        loop {
            let next = self.next().await;
            self.machine.at(now());
            match next {
                Next::Ask(None) => return,
                Next::Ask(Some(ask)) => self.ask(ask).await,
                Next::Rung(rung) => {
                    self.rung = None;
                    self.machine.rung(rung);
                }
                Next::Started(result) => self.started(result).await,
                Next::Happened(happened) => self.happened(happened).await,
            }
            self.flush().await;
            if self.running.is_none()
                && self.starting.is_none()
                && let Some(gone) = self.closing.take()
            {
                let _ = gone.send(());
                return;
            }
        }
    }

    async fn next(&mut self) -> Next {
        if let Some(ask) = self.deferred.pop_front() {
            return Next::Ask(Some(ask));
        }
        let rung = self.rung;
        // In no order: one that always has something must not keep the others from their turn.
        tokio::select! {
            ask = self.mailbox.recv() => Next::Ask(ask),
            rung = climb(rung) => Next::Rung(rung),
            result = join(self.starting.as_mut()) => {
                self.starting = None;
                Next::Started(result)
            }
            happened = watch(self.running.as_mut()) => Next::Happened(happened),
        }
    }

    /// Takes up the child that the journal names, dead or alive.
    async fn recover(&mut self) {
        let Some(row) = self.machine.row().child.clone() else { return self.machine.childless() };
        let Ok(generation) = row.generation.parse::<Uuid>() else { return self.machine.vanished() };
        let dir = ChildDir::open(&self.site.state_dir, generation);
        let running = loop {
            let running = match self.adopt(&dir).await {
                Adopted::Alive(child) => Running::alive(child, row.offset),
                Adopted::Dead(Exit::NotStarted(_)) => return self.machine.vanished(),
                Adopted::Dead(exit) => Running::dead(dir.clone(), exit, row.offset),
            };
            match running {
                Ok(running) => break running,
                Err(error) if error.may_pass() => {
                    tracing::error!(conversation = %self.key, error = describe(&error), "cannot take up Claude; trying again");
                    tokio::time::sleep(ADOPT_RETRY).await;
                }
                Err(error) => {
                    tracing::error!(conversation = %self.key, error = describe(&error), "cannot read what Claude printed");
                    clear_away(dir).await;
                    return self.machine.exited(&carcin_proto::event::Exit::Unknown, String::new());
                }
            }
        };
        if let Some(pid) = running.pid() {
            tracing::info!(conversation = %self.key, pid, "took up a Claude that runs");
            self.machine.adopted(pid);
        }
        self.running = Some(running);
    }

    /// What became of the child. As long as that is not known the conversation must not go on: a second Claude
    /// on its session would fork the transcript.
    async fn adopt(&self, dir: &ChildDir) -> Adopted {
        loop {
            match dir.adopt().await {
                Ok(adopted) => return adopted,
                Err(error) => {
                    tracing::error!(conversation = %self.key, %error, "cannot find out what became of Claude; trying again");
                    if let AdoptError::StillLaunching(pid) = error {
                        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
                    }
                    tokio::time::sleep(ADOPT_RETRY).await;
                }
            }
        }
    }

    async fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Submit(submit, reply) => {
                let result = self.submit(submit).await;
                let _ = reply.send(result);
            }
            Ask::Answer(answer, reply) => {
                let result = match self.machine.answer(&answer) {
                    Some(result) => result,
                    None => Err(self.no_such_request(&answer.request).await),
                };
                self.flush().await;
                let _ = reply.send(result);
            }
            Ask::Stop(by, reply) => {
                let stopped = self.machine.stop(&by);
                self.stopping = true;
                self.flush().await;
                self.stopping = false;
                let _ = reply.send(stopped);
            }
            Ask::New { cwd, by, done } => {
                self.machine.new_session(cwd, &by);
                self.finish(done).await;
            }
            Ask::Resume { session, cwd, by, done } => {
                self.machine.resume(session, cwd, &by);
                self.finish(done).await;
            }
            Ask::Configure(configure, done) => {
                self.machine.configure(&configure);
                self.finish(done).await;
            }
            Ask::Notify { text, topic, done } => {
                self.machine.notify(text, topic);
                self.finish(done).await;
            }
            Ask::OfferFile { path, caption, done } => {
                self.machine.offer_file(path, caption);
                self.finish(done).await;
            }
            Ask::Space(short) => self.machine.space(short),
            Ask::WorksIn(session, reply) => drop(reply.send(self.machine.works_in(&session))),
            Ask::Shutdown { by, gone } => {
                self.machine.shutdown(&by);
                self.closing = Some(gone);
            }
        }
    }

    async fn finish(&mut self, done: oneshot::Sender<()>) {
        self.flush().await;
        let _ = done.send(());
    }

    async fn submit(&mut self, submit: carcin_proto::request::Submit) -> Result<Submitted, Refusal> {
        let internal =
            |error: crate::store::StoreError| Refusal::new(RefusalCode::Internal, error.to_string());
        if let Some(known) = self.site.store.prompt_by_key(&self.key, &submit.key).await.map_err(internal)? {
            return Ok(Submitted { prompt: known.id, ahead: known.ahead, seq: known.seq });
        }
        let row = self.machine.submit(submit)?;
        let seq = self.flush_to(row.id).await;
        Ok(Submitted { prompt: row.id, ahead: row.ahead, seq })
    }

    async fn no_such_request(&self, id: &carcin_proto::RequestId) -> Refusal {
        match self.site.store.request(id).await {
            Ok(Some(row)) => match row.state {
                RequestState::Settled(settlement, by) => {
                    Refusal::new(RefusalCode::AlreadyAnswered, already(&settlement, &by))
                }
                RequestState::Open => Refusal::new(RefusalCode::NoRequest, "Claude asks that no longer"),
            },
            Ok(None) => Refusal::new(RefusalCode::NoRequest, format!("nobody asks {id}"))
                .hint("`carcin-ctl pending` shows what is asked"),
            Err(error) => Refusal::new(RefusalCode::Internal, error.to_string()),
        }
    }

    async fn started(&mut self, result: Result<Child, String>) {
        match result {
            Ok(child) => {
                let (pid, dir) = (child.pid(), child.dir().clone());
                match Running::alive(child, 0) {
                    Ok(running) => {
                        self.running = Some(running);
                        self.machine.spawned(pid);
                    }
                    Err(error) => {
                        // It runs, and had nothing to do yet. Left alone it would be in the way of the next one.
                        clear_away(dir).await;
                        self.machine.not_started(&describe(&error));
                    }
                }
            }
            Err(why) => {
                let exit = carcin_proto::event::Exit::NotStarted(why);
                self.machine.exited(&exit, String::new());
            }
        }
    }

    async fn happened(&mut self, happened: Happened) {
        match happened {
            Happened::Printed(batch) => {
                for line in &batch.lines {
                    self.line(line);
                }
                if batch.caught_up {
                    self.machine.caught_up();
                }
            }
            Happened::Unwritable { id, why } => self.machine.unwritable(&id, &why),
            Happened::Gone(exit) => self.gone(exit).await,
            Happened::Unreadable(error) => {
                tracing::error!(conversation = %self.key, %error, "what Claude prints cannot be read any more");
                self.signal(Rung::Kill).await;
                self.gone(Exit::Unknown).await;
            }
        }
    }

    fn line(&mut self, line: &Line) {
        match &line.text {
            Text::Whole(bytes) => {
                let size = line.end - line.start;
                self.machine.line(parse(bytes), bytes, size);
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

    /// Claude is gone, and all that it printed is read. What it leaves behind is cleared away once that is
    /// durable.
    async fn gone(&mut self, exit: Exit) {
        let Some(running) = self.running.take() else { return };
        tracing::info!(conversation = %self.key, %exit, "Claude has ended");
        let exit = match exit {
            Exit::Code(code) => carcin_proto::event::Exit::Code(code),
            Exit::Signal(number) => carcin_proto::event::Exit::Signal(number),
            Exit::NotStarted(failure) => carcin_proto::event::Exit::NotStarted(failure.to_string()),
            Exit::Unknown => carcin_proto::event::Exit::Unknown,
        };
        self.machine.exited(&exit, running.stderr_tail());
        self.flush().await;
        // Sweeping waits for processes to vanish, which nobody needs to wait for here.
        tokio::spawn(running.clear_away());
    }

    /// Commits what the machine has collected, then does it, until there is nothing more.
    async fn flush(&mut self) -> Seq {
        let mut last = Seq(0);
        loop {
            let step = self.machine.take();
            if step.items.is_empty() && step.rows.is_empty() && step.effects.is_empty() {
                return last;
            }
            last = self.perform(step).await.unwrap_or(last);
        }
    }

    /// Commits a step, then carries out its effects. `None`: there was nothing to commit.
    async fn perform(&mut self, step: Step) -> Option<Seq> {
        let mut last = None;
        if !step.items.is_empty() || !step.rows.is_empty() {
            last = Some(self.commit(step.items, step.rows, step.sync).await);
        }
        for effect in step.effects {
            self.carry_out(effect).await;
        }
        last
    }

    /// Commits, and gives the number of the event that made `prompt` known.
    async fn flush_to(&mut self, prompt: carcin_proto::PromptId) -> Seq {
        let step = self.machine.take();
        let durable = step.items.iter().filter(|item| matches!(item, Item::Durable(_)));
        let after = durable
            .skip_while(|item| {
                !matches!(item, Item::Durable(Event::PromptAccepted(accepted)) if accepted.prompt == prompt)
            })
            .count();
        let last = self.perform(step).await.unwrap_or_default();
        self.flush().await;
        Seq(last.0.saturating_sub(u64::try_from(after.saturating_sub(1)).unwrap_or(0)))
    }

    async fn commit(&mut self, items: Vec<Item>, rows: Vec<Row>, sync: bool) -> Seq {
        let commit = Commit { conversation: self.key.clone(), at: now(), items, rows, sync };
        let seq = loop {
            let store = self.site.store.clone();
            match self.stoppable(store.commit(commit.clone())).await {
                Ok(seq) => break seq,
                Err(error) => {
                    tracing::error!(conversation = %self.key, %error, "the journal does not take a commit; trying again");
                    self.stoppable(sleep(COMMIT_RETRY)).await;
                }
            }
        };
        // Only a synced offset survives a power cut, so only that far the spool may be given back.
        if sync && let (Some(running), Some(child)) = (&mut self.running, &self.machine.row().child) {
            running.committed(child.offset);
        }
        seq
    }

    /// Waits for the journal. Where that takes long, a stop is obeyed all the same, by a signal: that needs no
    /// record. It is answered, as everything else, once the journal takes it.
    async fn stoppable<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = timeout(JOURNAL_PATIENCE, &mut work).await {
            return done;
        }
        if std::mem::take(&mut self.stopping) {
            self.signal(Rung::Interrupt).await;
        }
        loop {
            let room = self.deferred.len() < DEFERRED;
            tokio::select! {
                done = &mut work => return done,
                Some(ask) = self.mailbox.recv(), if room => {
                    if let Ask::Stop(..) = &ask {
                        self.signal(Rung::Interrupt).await;
                    }
                    self.deferred.push_back(ask);
                }
            }
        }
    }

    async fn signal(&self, rung: Rung) {
        if let Some(running) = &self.running {
            running.signal(rung).await;
        }
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn => self.spawn(),
            Effect::Write { id, line } => {
                if let Some(running) = &self.running {
                    running.write(id, line);
                }
            }
            Effect::Signal(rung) => self.signal(rung).await,
            Effect::Arm(rung) => self.rung = Some((Instant::now() + RUNG, rung)),
            Effect::Disarm => self.rung = None,
        }
    }

    /// Resume or begin: whichever Claude takes, by what is known of the transcript.
    fn choose_session(&mut self) -> Option<SessionArg> {
        let row = self.machine.row();
        let session = row.session.clone()?;
        match self.site.transcripts.known(&session) {
            Known::Yes(_) => return Some(SessionArg::Resume(session)),
            Known::No if !row.session_used => return Some(SessionArg::New(session)),
            Known::No | Known::Unusable => self.machine.session_missing(),
        }
        self.machine.row().session.clone().map(SessionArg::New)
    }

    fn spawn(&mut self) {
        let Some(session) = self.choose_session() else { return };
        let (row, key, site) = (self.machine.row().clone(), self.key.clone(), Arc::clone(&self.site));
        self.starting = Some(tokio::spawn(async move {
            check_folder(&row.cwd)?;
            let generation = row.child.as_ref().and_then(|child| child.generation.parse().ok());
            let generation: Uuid = generation.ok_or("the journal names no child to start")?;
            let spec = site.spec(&key, &row, session, generation);
            let dir =
                ChildDir::create(&site.state_dir, generation, &spec).map_err(|error| describe(&error))?;
            match dir.spawn(&site.launcher).await {
                Ok(child) => Ok(child),
                Err(error) => {
                    clear_away(dir).await;
                    match error {
                        SpawnError::NotStarted(failure) => Err(failure.to_string()),
                        error => Err(describe(&error)),
                    }
                }
            }
        }));
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

fn already(settlement: &carcin_proto::event::Settlement, by: &str) -> String {
    use carcin_proto::event::Settlement;
    match settlement {
        Settlement::Allowed => format!("{by} allowed it already"),
        Settlement::AllowedAlways => format!("{by} allowed it for good already"),
        Settlement::Denied(_) => format!("{by} denied it already"),
        Settlement::Answered(_) => format!("{by} answered it already"),
        Settlement::Withdrawn(why) => format!("it is no longer asked: {why}"),
    }
}

async fn climb(rung: Option<(Instant, Rung)>) -> Rung {
    match rung {
        Some((at, rung)) => {
            sleep_until(at).await;
            rung
        }
        None => std::future::pending().await,
    }
}

async fn join(task: Option<&mut JoinHandle<Result<Child, String>>>) -> Result<Child, String> {
    match task {
        Some(task) => task.await.unwrap_or_else(|error| Err(format!("starting Claude failed: {error}"))),
        None => std::future::pending().await,
    }
}

async fn watch(running: Option<&mut Running>) -> Happened {
    match running {
        Some(running) => running.next().await,
        None => std::future::pending().await,
    }
}
