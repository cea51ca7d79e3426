//! The fault that this process was started with, and its action.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use carcin_proto::Event;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{getpid, getppid};
use tokio::process::Command;

use super::Point;
use super::word::Word;
use crate::rows::{InputKind, Item, Row};

const FAULT: &str = "CARCIN_FAULT";
const MARKS: &str = "CARCIN_FAULT_MARKS";
const PANIC_ON: &str = "CARCIN_FAULT_PANIC_ON";
const UNREADABLE: &str = "CARCIN_FAULT_UNREADABLE";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Kill,
    Stop,
    KillParent,
}

#[derive(Debug)]
struct Fault {
    point: Point,
    action: Action,
    nth: u64,
    reached: AtomicU64,
    marks: Vec<PathBuf>,
}

/// Prints the names of all points, one a line, and ends, where `CARCIN_FAULT` is `list`. Ends with a sentence where it
/// names no point: a fault that can never happen would prove nothing.
pub fn list_if_asked() {
    if std::env::var_os(FAULT).is_some_and(|fault| fault == "list") {
        for point in Point::ALL {
            println!("{}", point.name());
        }
        std::process::exit(0);
    }
    armed();
}

/// Gives the fault to a launcher, which gets no other environment.
pub fn hand_on(launcher: &mut Command) {
    for name in [FAULT, MARKS] {
        if let Some(value) = std::env::var_os(name) {
            launcher.env(name, value);
        }
    }
}

fn armed() -> Option<&'static Fault> {
    static FAULT_OF_PROCESS: OnceLock<Option<Fault>> = OnceLock::new();
    let fault = FAULT_OF_PROCESS.get_or_init(|| {
        let fault = std::env::var(FAULT).ok()?;
        let marks = std::env::var_os(MARKS).map(|marks| std::env::split_paths(&marks).collect());
        let Some((action, point, nth)) = parse(&fault) else {
            eprintln!("carcind: {FAULT}={fault} names no fault point; {FAULT}=list shows them");
            std::process::exit(2)
        };
        let marks = marks.unwrap_or_default();
        Some(Fault { point, action, nth, reached: AtomicU64::new(0), marks })
    });
    fault.as_ref()
}

fn parse(fault: &str) -> Option<(Action, Point, u64)> {
    let (action, rest) = match fault.split_once('@') {
        None => (Action::Kill, fault),
        Some(("kill", rest)) => (Action::Kill, rest),
        Some(("stop", rest)) => (Action::Stop, rest),
        Some(("kill-parent", rest)) => (Action::KillParent, rest),
        Some(_) => return None,
    };
    let (name, nth) = match rest.split_once(':') {
        None => (rest, 1),
        Some((name, nth)) => (name, nth.parse().ok().filter(|nth| *nth > 0)?),
    };
    let point = Point::ALL.iter().find(|point| point.name() == name)?;
    Some((action, *point, nth))
}

/// Acts if this is the place and the time.
pub(super) fn reached(point: Point) {
    let Some(fault) = armed().filter(|fault| fault.point == point) else { return };
    if fault.reached.fetch_add(1, Ordering::SeqCst) + 1 < fault.nth || !fault.mark() {
        return;
    }
    match fault.action {
        Action::Stop => return signal(getpid(), Signal::SIGSTOP),
        Action::KillParent => signal(getppid(), Signal::SIGKILL),
        Action::Kill => {}
    }
    signal(getpid(), Signal::SIGKILL);
    // The signal is on its way to this thread; nothing more is to be done by it.
    loop {
        std::thread::park();
    }
}

impl Fault {
    /// Whether it is to happen once more. Without marks it happens each time.
    fn mark(&self) -> bool {
        let make = |path: &PathBuf| OpenOptions::new().write(true).create_new(true).open(path).is_ok();
        self.marks.is_empty() || self.marks.iter().any(make)
    }
}

fn signal(pid: nix::unistd::Pid, signal: Signal) {
    if let Err(error) = kill(pid, signal) {
        eprintln!("carcind: cannot send {signal} to {pid} at a fault point: {error}");
        std::process::abort();
    }
}

/// The points that a commit stands for.
pub(super) fn committed(rows: &[Row], items: &[Item]) {
    reached(Point::Committed);
    for row in rows {
        match row {
            Row::Input(row) if row.kind == InputKind::Interrupt => reached(Point::StopCommitted),
            Row::InputDone(_) => reached(Point::ReceiptCommitted),
            _ => {}
        }
    }
    for item in items {
        let Item::Durable(event) = item else { continue };
        match event {
            Event::PromptAccepted(_) => reached(Point::PromptCommitted),
            Event::ProcessStarted(started) if started.adopted => reached(Point::AdoptedCommitted),
            Event::ProcessStarted(_) => reached(Point::SpawnCommitted),
            Event::TextBlock(_) => reached(Point::TextCommitted),
            Event::RequestOpened(_) => reached(Point::QuestionCommitted),
            Event::RequestSettled(settled) if settled.by != "claude" => reached(Point::AnswerCommitted),
            Event::TurnEnded(_) => reached(Point::TurnEndCommitted),
            Event::PromptEnded(_) => reached(Point::PromptEndCommitted),
            Event::ProcessEnded(_) => reached(Point::ExitCommitted),
            _ => {}
        }
    }
}

pub(super) fn read<'a>(mut lines: impl Iterator<Item = &'a [u8]>) {
    if lines.any(|line| line.windows(19).any(|part| part == b"\"command_lifecycle\"")) {
        reached(Point::ReceiptUnread);
    }
}

/// Panics on what has the word that is told.
pub(super) fn panic_on(bytes: &[u8]) {
    static WORD: OnceLock<Option<Word>> = OnceLock::new();
    assert!(
        !WORD.get_or_init(|| Word::of(PANIC_ON)).as_ref().is_some_and(|word| word.is_in(bytes)),
        "told to fail on this"
    );
}

/// The error of a file system that fails on a line with the word that is told.
pub(super) fn unreadable<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<io::Error> {
    static WORD: OnceLock<Option<Word>> = OnceLock::new();
    let word = WORD.get_or_init(|| Word::of(UNREADABLE)).as_ref()?;
    lines.any(|line| word.is_in(line)).then(|| Errno::EIO.into())
}

/// One of the points for a prompt, an answer, an interrupt, another control request.
pub(super) fn line(line: &str, [prompt, answer, interrupt, control]: [Point; 4]) {
    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    reached(match (value["type"].as_str(), value["request"]["subtype"].as_str()) {
        (Some("user"), _) => prompt,
        (Some("control_response"), _) => answer,
        (_, Some("interrupt")) => interrupt,
        _ => control,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_happens_where_and_when() {
        assert_eq!(parse("recovering"), Some((Action::Kill, Point::Recovering, 1)));
        assert_eq!(parse("stop@recovering:3"), Some((Action::Stop, Point::Recovering, 3)));
        assert_eq!(parse("kill-parent@closed"), Some((Action::KillParent, Point::Closed, 1)));
        for wrong in ["", "nowhere", "recovering:0", "recovering:x", "burn@recovering"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_two_points_have_one_name() {
        let mut names: Vec<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Point::ALL.len());
    }
}
