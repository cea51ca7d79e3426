//! What the tests of `child` share: a state directory, shell scripts as children, bounded waits.
#![allow(dead_code, unreachable_pub)] // each test program uses its own part

use std::path::{Path, PathBuf};
use std::time::Duration;

use carcind::child::{Adopted, Batch, Child, ChildDir, Launcher, Limits, Line, Snapshot, Spec, Tail, Text};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn launcher() -> Launcher {
    Launcher::Plain { exe: env!("CARGO_BIN_EXE_carcind").into() }
}

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

pub async fn bounded<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("took too long")
}

/// A state directory; ends whatever its children left behind when it goes.
pub struct State {
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Handle,
}

impl State {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), runtime: tokio::runtime::Handle::current() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn script(&self, script: &str) -> ChildDir {
        self.run(&["sh", "-c", script])
    }

    pub fn run(&self, argv: &[&str]) -> ChildDir {
        let spec = spec(argv, self.path().to_owned());
        ChildDir::create(self.path(), Uuid::new_v4(), &spec).unwrap()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let (path, runtime) = (self.path().to_owned(), self.runtime.clone());
        let sweeper = std::thread::spawn(move || {
            for generation in ChildDir::list(&path).unwrap() {
                let _ = runtime.block_on(ChildDir::open(&path, generation).sweep(Snapshot::default()));
            }
        });
        sweeper.join().unwrap();
    }
}

pub fn spec(argv: &[&str], cwd: PathBuf) -> Spec {
    Spec {
        argv: argv.iter().map(ToString::to_string).collect(),
        env: vec![
            ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
            ("GREETING".into(), "hello".into()),
        ],
        cwd,
        limits: Limits::default(),
        marker: format!("test-{}", Uuid::new_v4()),
    }
}

pub fn alive(adopted: Adopted) -> Child {
    match adopted {
        Adopted::Alive(child) => child,
        Adopted::Dead(exit) => panic!("it is dead: {exit}"),
    }
}

pub fn text(line: &Line) -> &str {
    match &line.text {
        Text::Whole(bytes) => std::str::from_utf8(bytes).unwrap(),
        other => panic!("not a whole line: {other:?}"),
    }
}

pub async fn next(tail: &mut Tail) -> Option<Batch> {
    bounded(tail.next()).await.unwrap()
}

/// Reads until `count` lines are there.
pub async fn lines(tail: &mut Tail, count: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    while lines.len() < count {
        lines.extend(next(tail).await.expect("the spool ended too early").lines);
    }
    lines
}

/// Reads to the end of a child that has ended.
pub async fn rest(tail: &mut Tail) -> Vec<Line> {
    tail.writer_ended();
    let mut lines = Vec::new();
    while let Some(batch) = next(tail).await {
        lines.extend(batch.lines);
    }
    lines
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = soon();
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub fn process_lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with(['Z', 'X']))
}
