//! Places at which a test may have this process die, and lines of Claude's on which an actor may fail.
//!
//! A crash is proved where it happens, never after a sleep: the code names its worst moments, and
//! `CARCIN_FAULT=NAME` has the process get SIGKILL when it comes to one, so that nothing unwinds. All of this is in the
//! program `carcind-faults` alone, which the feature `fault-points` builds and nobody ships. In `carcind` every
//! call here is empty.
//!
//! It imports no other room: whoever calls says what is written or read.
//!
//! ```text
//! CARCIN_FAULT        [ACTION@]NAME[:N]: at the N-th time that this process comes to it, the first unless told.
//!                     `kill` (unless told), `stop` (SIGSTOP), `kill-parent` (the parent first). `list` prints
//!                     the names and ends
//! CARCIN_FAULT_MARKS  PATH[:PATH…]: each death makes the next of these files; when all are there, the fault is spent
//! CARCIN_FAULT_PANIC_ON
//!                     WORD[:N]: the actor that is given a line of Claude's or a notification with this word panics, N times or
//!                     each time
//! CARCIN_FAULT_UNREADABLE
//!                     WORD[:N]: a line of Claude's with this word cannot be read, N times or each time
//! ```

#[cfg(feature = "fault-points")]
mod armed;
#[cfg(feature = "fault-points")]
mod word;

#[cfg(feature = "fault-points")]
pub use armed::{hand_on, list_if_asked};

use crate::rows::{Item, Row};

macro_rules! points {
    ($($(#[doc = $doc:literal])+ $point:ident = $name:literal,)+) => {
        /// A place to die.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point {
            $($(#[doc = $doc])+ $point,)+
        }

        #[cfg(feature = "fault-points")]
        impl Point {
            /// All of them, in the order in which a conversation comes to them.
            pub const ALL: &[Self] = &[$(Self::$point,)+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

points! {
    /// A prompt is committed. Nobody was told, nothing was done about it.
    PromptCommitted = "prompt-committed",
    /// Anything at all is committed, and nobody was told.
    Committed = "committed",
    /// The row names the directory of a Claude, and there is none.
    SpawnDue = "spawn-due",
    /// The directory is there, nobody was started in it.
    DirectoryMade = "directory-made",
    /// The launcher's process was started, and may be anywhere on its way.
    LauncherStarted = "launcher-started",
    /// In the launcher: it has done nothing yet.
    LauncherBegins = "launcher-begins",
    /// In the launcher: it has the claim and not the lease.
    LauncherClaimed = "launcher-claimed",
    /// In the launcher: it has the lease and is about to become Claude.
    LauncherLeased = "launcher-leased",
    /// Claude runs, and its pid is not recorded.
    SpawnedUnrecorded = "spawned-unrecorded",
    /// Its pid is committed, with the first lines to it.
    SpawnCommitted = "spawn-committed",
    /// A control request is journalled, and not written.
    ControlUnwritten = "control-unwritten",
    /// A control request was written.
    ControlWritten = "control-written",
    /// A prompt's line is journalled, and not written.
    PromptUnwritten = "prompt-unwritten",
    /// A prompt's line was written.
    PromptWritten = "prompt-written",
    /// An effect was had, a request was done, and the reply to it was not sent.
    ReplyUnsent = "reply-unsent",
    /// Claude's receipt for a prompt is in the spool, and nobody has looked at it.
    ReceiptUnread = "receipt-unread",
    /// Claude's receipt for a prompt is committed.
    ReceiptCommitted = "receipt-committed",
    /// Lines of Claude's are understood, and not committed.
    LineUncommitted = "line-uncommitted",
    /// Some text of Claude's is committed, and not published.
    TextCommitted = "text-committed",
    /// Something is published, and a subscriber has not been sent it.
    EventUnsent = "event-unsent",
    /// A question is committed, and not published.
    QuestionCommitted = "question-committed",
    /// An answer is committed, and nothing was done about it.
    AnswerCommitted = "answer-committed",
    /// An answer is about to be written.
    AnswerUnwritten = "answer-unwritten",
    /// An answer was written.
    AnswerWritten = "answer-written",
    /// A stop is committed, and nothing was done about it.
    StopCommitted = "stop-committed",
    /// An interrupt is about to be written.
    InterruptUnwritten = "interrupt-unwritten",
    /// An interrupt was written.
    InterruptWritten = "interrupt-written",
    /// The end of a turn is committed, and not published.
    TurnEndCommitted = "turn-end-committed",
    /// The end of a prompt is committed, and not published.
    PromptEndCommitted = "prompt-end-committed",
    /// The start of the daemon: the journal is begun anew, and nobody has looked for the Claudes that it does not know.
    FoundlingsUnknown = "foundlings-unknown",
    /// The Claudes that a new journal did not know are in it, and it is not noted that they are.
    FoundlingsKnown = "foundlings-known",
    /// The start of the daemon: the journal names a Claude, and nobody has looked what became of it.
    Recovering = "recovering",
    /// That a Claude was taken up again is known, and not committed.
    AdoptedUncommitted = "adopted-uncommitted",
    /// That a Claude was taken up again is committed, and what it said meanwhile is not read.
    AdoptedCommitted = "adopted-committed",
    /// What it said meanwhile is read, and not committed.
    CaughtUpUncommitted = "caught-up-uncommitted",
    /// All conversations are taken up, and nobody can connect yet.
    Recovered = "recovered",
    /// Claude's end is known, and not committed.
    ExitUncommitted = "exit-uncommitted",
    /// Claude's end is committed, and its directory is there.
    ExitCommitted = "exit-committed",
    /// What Claude left running is ended, and its directory is there.
    DirectorySwept = "directory-swept",
    /// The snapshot is stored with a commit.
    SnapshotStored = "snapshot-stored",
    /// The oldest events are deleted, and that is not committed.
    Pruning = "pruning",
    /// Told to end: the socket is deaf, the journal open.
    Closing = "closing",
    /// Told to end: the journal is closed, the socket's file is there.
    Closed = "closed",
    /// Told to shut down: a Claude was told to end.
    ShutdownSignalled = "shutdown-signalled",
    /// Told to shut down: the first Claude is gone.
    ShutdownHalfWay = "shutdown-half-way",
    /// Told to shut down: all Claudes are gone, and nobody was told.
    ShutdownDone = "shutdown-done",
}

/// Dies here if that is asked for.
#[inline]
pub fn point(point: Point) {
    #[cfg(feature = "fault-points")]
    armed::reached(point);
    #[cfg(not(feature = "fault-points"))]
    let _ = point;
}

/// Dies at what this commit stands for; to be called when it is in the journal, before anybody knows.
#[inline]
pub fn committed(rows: &[Row], items: &[Item]) {
    #[cfg(feature = "fault-points")]
    armed::committed(rows, items);
    #[cfg(not(feature = "fault-points"))]
    let _ = (rows, items);
}

/// Dies if these lines of Claude's hold a receipt; to be called before anything is made of them.
#[inline]
pub fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) {
    #[cfg(feature = "fault-points")]
    armed::read(lines);
    #[cfg(not(feature = "fault-points"))]
    drop(lines);
}

/// Panics on this line of Claude's, or this notification, if that is asked for: a defect of one conversation's.
#[inline]
pub fn line(bytes: &[u8]) {
    #[cfg(feature = "fault-points")]
    armed::panic_on(bytes);
    #[cfg(not(feature = "fault-points"))]
    let _ = bytes;
}

/// The error of a file system that fails to read these lines of Claude's, if that is asked for.
#[cfg(feature = "fault-points")]
pub fn unreadable<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<std::io::Error> {
    armed::unreadable(lines)
}

/// No error: none can be asked for.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub fn unreadable<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<std::io::Error> {
    drop(lines);
    None
}

/// Dies at a line to Claude, before it is written.
#[inline]
pub fn unwritten(line: &str) {
    #[cfg(feature = "fault-points")]
    armed::line(
        line,
        [Point::PromptUnwritten, Point::AnswerUnwritten, Point::InterruptUnwritten, Point::ControlUnwritten],
    );
    #[cfg(not(feature = "fault-points"))]
    let _ = line;
}

/// Dies at a line to Claude, after it was written.
#[inline]
pub fn written(line: &str) {
    #[cfg(feature = "fault-points")]
    armed::line(
        line,
        [Point::PromptWritten, Point::AnswerWritten, Point::InterruptWritten, Point::ControlWritten],
    );
    #[cfg(not(feature = "fault-points"))]
    let _ = line;
}
