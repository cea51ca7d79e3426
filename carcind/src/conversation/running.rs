//! A Claude process from the outside: what it prints, a writer task for what it reads, and its end.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::clearing::{clear_away, sweep};
use super::machine::Rung;
use super::or_never;
use super::pictures;
use crate::child::{Batch, Child, ChildDir, Exit, FifoWriter, LONGEST_LINE, Tail, TailError, WriteError};
use crate::fault;

/// Lines that may wait to be written. A conversation holds at most a hundred prompts, and an answer for each
/// question that Claude asks at once; beyond this something is wrong, and what is left is sent after a restart.
const LINES: usize = 1024;
/// How long the writer waits for room before it looks around. Claude may not read for hours, in a long tool.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long to wait before trying again to read what a process prints.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// A line to a process.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// What a failure names.
    pub(super) id: String,
    /// Without its newline and its pictures.
    pub(super) line: String,
    /// Pictures to put into it.
    pub(super) images: Vec<PathBuf>,
}

/// What a process does next.
pub(super) enum Happened {
    /// It printed something.
    Printed(Batch),
    /// It is gone, and all that it printed was given before.
    Gone(Exit),
    /// A line cannot be written to it, ever.
    Unwritable { id: String, why: String },
    /// Its spool cannot be read now, which is tried again. Told once, until some of it is read.
    Unread(TailError),
    /// Its spool cannot be read, and never will be.
    Unreadable(TailError),
}

/// Why a process cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeUpError {
    /// What it prints cannot be read.
    #[error(transparent)]
    Output(#[from] TailError),
    /// It cannot be written to, though it runs.
    #[error("cannot open Claude's input")]
    Input(#[source] WriteError),
}

impl TakeUpError {
    /// Whether it may succeed later, as when this process is out of descriptors.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Output(error) => reading_may_pass(error),
            Self::Input(WriteError::Io(source)) => source.kind() != ErrorKind::NotFound,
            Self::Input(_) => false,
        }
    }
}

/// What was read, unless a fault is asked for.
fn readable(batch: Option<Batch>) -> Result<Option<Batch>, TailError> {
    match batch.as_ref().and_then(|batch| fault::unreadable(batch.whole())) {
        Some(source) => Err(TailError::Io { path: "told to fail on this line".into(), source }),
        None => Ok(batch),
    }
}

fn reading_may_pass(error: &TailError) -> bool {
    match error {
        TailError::Io { source, .. } => source.kind() != ErrorKind::NotFound,
        TailError::Truncated { .. } => false,
    }
}

/// A process that runs, or has ended and is still being read.
#[derive(Debug)]
pub(super) struct Running {
    dir: ChildDir,
    /// `None`: it had ended before we came.
    child: Option<Child>,
    tail: Tail,
    /// Up to where it was given.
    given: u64,
    /// When to read again, after an error.
    again: Option<Instant>,
    /// Whether the error was told.
    told: bool,
    /// How it ended, once it has.
    exit: Option<Exit>,
    lines: mpsc::Sender<Outgoing>,
    unwritable: mpsc::Receiver<(String, String)>,
    /// Ends with this.
    writer: Option<AbortOnDropHandle<()>>,
}

impl Running {
    /// Takes up a process that runs, reading on at `offset`.
    pub(super) fn alive(child: Child, offset: u64, tasks: &TaskTracker) -> Result<Self, TakeUpError> {
        let mut running = Self::new(child.dir().clone(), offset)?;
        match child.writer() {
            Ok(fifo) => {
                let (lines, inbox) = mpsc::channel(LINES);
                let (report, unwritable) = mpsc::channel(LINES);
                (running.lines, running.unwritable) = (lines, unwritable);
                running.writer = Some(AbortOnDropHandle::new(tasks.spawn(write(fifo, inbox, report))));
            }
            // It has just ended: its end is about to be told.
            Err(WriteError::ChildGone) => {}
            Err(error) => return Err(TakeUpError::Input(error)),
        }
        running.child = Some(child);
        Ok(running)
    }

    /// Takes up what a process left behind that has ended.
    pub(super) fn dead(dir: ChildDir, exit: Exit, offset: u64) -> Result<Self, TakeUpError> {
        let mut running = Self::new(dir, offset)?;
        running.tail.writer_ended();
        running.exit = Some(exit);
        Ok(running)
    }

    /// One that is read from `offset` on, and takes no lines.
    fn new(dir: ChildDir, offset: u64) -> Result<Self, TakeUpError> {
        let tail = dir.stdout(offset)?;
        let (lines, _) = mpsc::channel(1);
        let (_, unwritable) = mpsc::channel(1);
        Ok(Self {
            dir,
            child: None,
            tail,
            given: offset,
            again: None,
            told: false,
            exit: None,
            lines,
            unwritable,
            writer: None,
        })
    }

    /// Its process id; `None`: it had ended before we came.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }

    /// Hands a line to the writer. Never waits: the actor must stay able to stop a Claude that does not read.
    pub(super) fn write(&self, line: Outgoing) {
        if self.lines.try_send(line).is_err() {
            tracing::debug!("a line to Claude waits for the next one: this one takes no more");
        }
    }

    /// What happens next; asking tells that what was given before is dealt with. Cancel safe.
    pub(super) async fn next(&mut self) -> Happened {
        loop {
            let ended = self.exit.is_some();
            let again = self.again.map(sleep_until);
            tokio::select! {
                Some((id, why)) = self.unwritable.recv() => return Happened::Unwritable { id, why },
                exit = or_never(self.child.as_ref().map(Child::exited)), if !ended => {
                    self.exit = Some(exit);
                    self.tail.writer_ended();
                }
                () = or_never(again) => {
                    self.again = None;
                    if let Err(error) = self.read_again()
                        && let Some(told) = self.failed(error)
                    {
                        return told;
                    }
                }
                batch = self.tail.next(), if self.again.is_none() => match batch.and_then(readable) {
                    Ok(Some(batch)) => {
                        self.given = batch.lines.last().map_or(self.given, |line| line.end);
                        self.told = false;
                        return Happened::Printed(batch);
                    }
                    Ok(None) => return Happened::Gone(self.exit.clone().unwrap_or(Exit::Unknown)),
                    Err(error) => {
                        if let Some(told) = self.failed(error) {
                            return told;
                        }
                    }
                },
            }
        }
    }

    /// An error that may pass ends nothing: hours of work may hang on it.
    fn failed(&mut self, error: TailError) -> Option<Happened> {
        if !reading_may_pass(&error) {
            return Some(Happened::Unreadable(error));
        }
        tracing::debug!(%error, "what Claude prints cannot be read; trying again");
        self.again = Some(Instant::now() + READ_AGAIN);
        (!std::mem::replace(&mut self.told, true)).then_some(Happened::Unread(error))
    }

    /// Begins to read anew, behind what was given: what the reader held then is not known.
    fn read_again(&mut self) -> Result<(), TailError> {
        self.tail = self.dir.stdout(self.given)?;
        if self.exit.is_some() {
            self.tail.writer_ended();
        }
        Ok(())
    }

    /// All before `offset` is durable.
    pub(super) fn committed(&mut self, offset: u64) {
        self.tail.committed(offset);
    }

    /// Its directory.
    pub(super) fn dir(&self) -> &ChildDir {
        &self.dir
    }

    /// The end of what it printed to stderr.
    pub(super) async fn stderr_tail(&self) -> String {
        let dir = self.dir.clone();
        match tokio::task::spawn_blocking(move || dir.stderr()).await {
            Ok(Ok(stderr)) => String::from_utf8_lossy(&stderr.tail).into_owned(),
            _ => String::new(),
        }
    }

    pub(super) async fn signal(&self, rung: Rung) {
        let Some(child) = &self.child else { return };
        let sent = match rung {
            Rung::Interrupt => child.signal(Signal::SIGINT),
            Rung::Terminate => child.signal_group(Signal::SIGTERM),
            Rung::Kill => {
                // Its tools are in sessions of their own, and orphans do not tell whose they were.
                let descendants = child.descendants().await.unwrap_or_default();
                let sent = child.signal_group(Signal::SIGKILL);
                // Some may take their time to vanish, and the conversation has other things to do.
                let dir = self.dir.clone();
                tokio::spawn(async move { sweep(&dir, descendants).await });
                sent
            }
        };
        if let Err(error) = sent {
            tracing::debug!(%error, ?rung, "a signal to Claude");
        }
    }

    /// Ends what it left running and removes its directory.
    pub(super) async fn clear_away(self) {
        clear_away(self.dir).await;
    }
}

async fn write(
    mut fifo: FifoWriter,
    mut lines: mpsc::Receiver<Outgoing>,
    unwritable: mpsc::Sender<(String, String)>,
) {
    while let Some(Outgoing { id, line: bare, images }) = lines.recv().await {
        let pictures = pictures::load(images).await;
        let mut line = pictures::illustrate(&bare, &pictures, LONGEST_LINE);
        fault::unwritten(&line);
        loop {
            match fifo.write_line(line.as_bytes(), Instant::now() + PATIENCE).await {
                Ok(()) => {
                    fault::written(&line);
                    break;
                }
                Err(WriteError::Deadline) => tracing::warn!("Claude does not read its input"),
                // The pipe is smaller than it might be: with fewer pictures, or none, the line may fit.
                Err(WriteError::TooLong { limit, .. }) if line.len() > bare.len() => {
                    line = pictures::illustrate(&bare, &pictures, limit);
                }
                // The rows without a receipt go to the next Claude.
                Err(WriteError::ChildGone) => return,
                Err(error) => {
                    tracing::warn!(%error, "a line cannot be given to Claude");
                    let why = match &error {
                        WriteError::TooLong { .. } => format!("This is too long for Claude's input: {error}"),
                        _ => format!("Claude could not be given this: {error}"),
                    };
                    let _ = unwritable.send((id, why)).await;
                    break;
                }
            }
        }
    }
}
