//! Where files come from and go to: downloads that go wrong, a disk that is full, a Bot API server of one's own, and how long
//! files are kept.

#[allow(dead_code, unreachable_pub)] // the tests of the machine use the rest
#[path = "../../carcin-lab/tests/e2e_support/disk.rs"]
mod disk;
mod support;

use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use carcin_lab::telegram::{Fault, FaultKind, LabConfig, SentFile};
use carcin_proto::event::{PromptEnded, PromptOutcome, TurnOutcome};
use disk::{Disk, Kind};
use support::events::{text, turn_ended, turn_started};
use support::{ANN, HERE, Rig};

/// Where the one file of a prompt is.
fn file_of(text: &str) -> PathBuf {
    let path = text.lines().find_map(|line| line.strip_prefix("[Attached file: ")?.strip_suffix(']'));
    PathBuf::from(path.expect("its path"))
}

#[tokio::test]
async fn what_comes_in_the_place_of_a_file_is_not_it_and_the_file_is_asked_for_again() {
    let rig = Rig::new().await;
    // A page that is shorter than the file, one that is longer, half of it, nothing.
    for (size, fault) in [
        (100_000, FaultKind::Status(200)),
        (5, FaultKind::Status(200)),
        (100_000, FaultKind::CloseAfter),
        (100_000, FaultKind::CloseBefore),
    ] {
        rig.telegram.fault(Fault::on("download", fault.clone()));
        let what = format!("read these {size} with {fault:?}");
        let bytes = vec![b'x'; size];
        let file = SentFile::document("a.txt", bytes.clone()).caption(&what);
        rig.telegram.send_file(ANN, ANN, file).expect("sent");
        let (prompt, _) = rig.prompt_with(&what).await;
        assert!(std::fs::read(file_of(&prompt.text)).expect("it is there") == bytes, "{what}");
    }
    assert_eq!(rig.count("I cannot give"), 0);
}

#[tokio::test]
async fn a_file_that_never_comes_whole_is_given_up_and_holds_up_nothing() {
    let rig = Rig::new().await;
    rig.telegram.fault(Fault::on("download", FaultKind::CloseAfter).forever());
    let file = SentFile::document("a.txt", vec![b'x'; 100_000]).caption("read it");
    rig.telegram.send_file(ANN, ANN, file).expect("sent");
    let told = rig.sees("I cannot give a.txt to Claude").await;
    assert!(told.text().contains("breaks off in the middle") && !told.silent, "{}", told.text());
    rig.write("never mind");
    rig.daemon.wait_for_prompt("never mind").await;
    assert_eq!(rig.daemon.state().order.len(), 1);
    let left =
        std::fs::read_dir(rig.dir.path().join(format!("state/tg/uploads/{ANN}"))).expect("a folder").count();
    assert_eq!(left, 0, "of what came nothing is left");
}

fn set_age(path: &Path, days: u64) {
    let then = SystemTime::now() - Duration::from_hours(24 * days);
    std::fs::File::options()
        .append(true)
        .open(path)
        .expect("it is there")
        .set_modified(then)
        .expect("a time");
}

fn age(path: &Path) -> Duration {
    let modified = std::fs::metadata(path).expect("it is there").modified().expect("a time");
    SystemTime::now().duration_since(modified).unwrap_or_default()
}

#[tokio::test]
async fn a_file_stays_for_as_long_as_its_prompt_waits_and_for_its_time_after_that() {
    let mut rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    let file = SentFile::document("a.txt", b"x".to_vec()).caption("read it later");
    rig.telegram.send_file(ANN, ANN, file).expect("sent");
    let taken = |state: &support::daemon::State| state.prompts.values().next().cloned();
    let (prompt, submit) = rig.daemon.wait_for("the prompt", taken).await;
    rig.sees("reads it at the next step").await;
    let path = file_of(&submit.text);
    let forgotten = path.with_file_name("0-forgotten.txt");
    set_age(&path, 100);
    // What is old is looked for at the start.
    rig.kill_bot().await;
    rig.start_bot();
    until("its time to begin anew", || (age(&path) < Duration::from_hours(24)).then_some(())).await;
    rig.daemon.emit(HERE, PromptEnded { prompt, outcome: PromptOutcome::Completed });
    rig.daemon.emit(HERE, text(1, "I have read it"));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    // What was told before that is known by then.
    rig.sees("I have read it").await;
    rig.kill_bot().await;
    rig.start_bot();
    std::fs::write(&forgotten, "").expect("writes");
    set_age(&forgotten, 100);
    rig.kill_bot().await;
    rig.start_bot();
    until("the other one to go", || (!forgotten.exists()).then_some(())).await;
    assert!(path.exists(), "it was used just now");
    set_age(&path, 100);
    rig.kill_bot().await;
    rig.start_bot();
    until("it to go", || (!path.exists()).then_some(())).await;
}

async fn until<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    for _ in 0..12_000 {
        if let Some(found) = find() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}

#[tokio::test]
async fn a_file_for_which_there_is_no_room_is_refused_and_the_next_smaller_one_is_taken() {
    let Some(disk) = Disk::mount(Kind::Tmpfs, 1).expect("it can be said") else { return };
    let mut rig = Rig::without_bot().await;
    let state = rig.dir.path().join("state/tg");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&state).expect("a directory");
    symlink(disk.path(), state.join("uploads")).expect("a link");
    rig.start().await;
    let large = SentFile::document("disk.img", vec![1; 3 << 20]).caption("look into it");
    rig.telegram.send_file(ANN, ANN, large).expect("sent");
    let told = rig.sees("there is no room on the disk").await;
    assert!(told.text().contains("disk.img"), "{}", told.text());
    let small = SentFile::document("a.txt", vec![2; 600 << 10]).caption("and this");
    rig.telegram.send_file(ANN, ANN, small).expect("sent");
    let (prompt, _) = rig.prompt_with("and this").await;
    assert!(prompt.text.contains("a.txt"), "what was begun is gone: {}", prompt.text);
    assert_eq!(rig.daemon.state().order.len(), 1);
    rig.kill_bot().await;
}

#[tokio::test]
async fn a_server_of_ones_own_gives_a_large_file_by_its_path() {
    let files = tempfile::tempdir().expect("a directory");
    let local_files = Some(files.path().to_owned());
    let rig = Rig::with_telegram(LabConfig { local_files, ..LabConfig::default() }).await;
    let bytes: Vec<u8> = (0..21 * 1024 * 1024_u32).map(|n| n.to_le_bytes()[0]).collect();
    let large = SentFile::document("disk.img", bytes.clone()).caption("look into it");
    rig.telegram.send_file(ANN, ANN, large).expect("sent");
    let (prompt, _) = rig.prompt_with("look into it").await;
    let path = prompt.text.lines().find_map(|line| line.strip_prefix("[Attached file: ")?.strip_suffix(']'));
    let path = std::path::PathBuf::from(path.expect("its path"));
    assert!(path.starts_with(rig.dir.path()), "a copy of Carcin's own: {}", path.display());
    assert!(std::fs::read(&path).expect("it is there") == bytes, "it is another file");
}
