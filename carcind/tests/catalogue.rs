//! The catalogue of sessions: it is always right, and reads no more than it must.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use carcin_proto::SessionId;
use carcind::catalogue::{Catalogue, Refreshed, refresh};
use carcind::claude::transcripts::{Transcripts, WINDOW};
use carcind::store::{Filter, SessionIndex};
use serde_json::json;
use tempfile::TempDir;

/// Transcripts, and an index of them.
struct Machine {
    dir: TempDir,
    index: SessionIndex,
}

impl Machine {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("state")).unwrap();
        let index = SessionIndex::open(&dir.path().join("state")).unwrap();
        Self { dir, index }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn transcripts(&self) -> Transcripts {
        Transcripts::new(self.dir.path())
    }

    fn path(&self, folder: &str, number: u32) -> PathBuf {
        self.dir.path().join("projects").join(folder).join(format!("{}.jsonl", id(number)))
    }

    /// A transcript whose one prompt is `text`, written `number` seconds after 1970.
    fn write(&self, folder: &str, number: u32, text: &str) {
        let path = self.path(folder, number);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let line = json!({
            "type": "user", "message": { "content": text }, "cwd": format!("/home/u/{folder}"), "gitBranch": "main"
        });
        fs::write(&path, format!("{line}\n")).unwrap();
        touch(&File::options().write(true).open(path).unwrap(), number);
    }

    fn refresh(&mut self) -> Refreshed {
        refresh(&Transcripts::new(self.dir.path()), &mut self.index).unwrap()
    }

    /// The titles of those that fit, and how many there are on all pages.
    fn page(&self, filter: &Filter, offset: u32, limit: u32) -> (u32, Vec<String>) {
        let (total, rows) = self.index.page(filter, offset, limit).unwrap();
        (total, rows.into_iter().map(|row| row.title).collect())
    }

    fn all(&self) -> Vec<String> {
        self.page(&Filter::default(), 0, 100).1
    }
}

fn id(number: u32) -> SessionId {
    SessionId::new(format!("{number:08x}-0000-4000-8000-000000000000")).unwrap()
}

fn touch(file: &File, seconds: u32) {
    file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds.into())).unwrap();
}

fn search(text: &str) -> Filter {
    Filter { cwd: None, search: Some(text.to_owned()) }
}

fn within(cwd: &str) -> Filter {
    Filter { cwd: Some(cwd.into()), search: None }
}

#[test]
fn the_index_follows_the_transcripts() {
    let mut machine = Machine::new();
    for (number, text) in [(1, "one"), (2, "two"), (3, "three")] {
        machine.write("p", number, text);
    }
    machine.write("q", 4, "four");
    let done = machine.refresh();
    assert_eq!((done.seen, done.read, done.gone), (4, 4, 0));
    assert_eq!(machine.all(), ["four", "three", "two", "one"]);
    assert_eq!(machine.refresh(), Refreshed { seen: 4, ..Refreshed::default() });
    machine.write("p", 5, "five");
    fs::remove_file(machine.path("p", 2)).unwrap();
    fs::remove_dir_all(machine.path("q", 4).parent().unwrap()).unwrap();
    let done = machine.refresh();
    assert_eq!((done.seen, done.read, done.gone), (3, 1, 2));
    assert_eq!(machine.all(), ["five", "three", "one"]);
}

#[test]
fn a_changed_file_is_read_again_whatever_changed() {
    let mut machine = Machine::new();
    machine.write("p", 1, "before");
    machine.refresh();
    // The same time and another size.
    machine.write("p", 1, "much longer");
    assert_eq!((machine.refresh().read, machine.all()), (1, vec!["much longer".to_owned()]));
    // The same size and another time.
    machine.write("p", 1, "much louder");
    touch(&File::options().write(true).open(machine.path("p", 1)).unwrap(), 9);
    assert_eq!((machine.refresh().read, machine.all()), (1, vec!["much louder".to_owned()]));
    // The same time and size, in another file.
    let path = machine.path("p", 1);
    machine.write("other", 1, "much larger");
    touch(&File::options().write(true).open(machine.path("other", 1)).unwrap(), 9);
    fs::rename(machine.path("other", 1), path).unwrap();
    assert_eq!((machine.refresh().read, machine.all()), (1, vec!["much larger".to_owned()]));
}

#[test]
fn what_is_no_session_is_read_once_and_not_listed() {
    let mut machine = Machine::new();
    machine.write("p", 1, "mine");
    fs::write(machine.path("p", 2), "{\"type\":\"mode\"}\n").unwrap();
    fs::write(machine.path("p", 3), "").unwrap();
    let sidechain = json!({ "type": "user", "isSidechain": true, "message": { "content": "x" } });
    fs::write(machine.path("p", 4), format!("{sidechain}\n")).unwrap();
    assert_eq!(machine.refresh().read, 4);
    assert_eq!(machine.page(&Filter::default(), 0, 10), (1, vec!["mine".to_owned()]));
    assert_eq!(machine.refresh().read, 0);
}

#[test]
fn pages_are_latest_first_and_a_copied_session_counts_once() {
    let mut machine = Machine::new();
    for number in 1..=7 {
        machine.write("p", number, &format!("prompt {number}"));
    }
    machine.write("copied", 3, "a copy");
    touch(&File::options().write(true).open(machine.path("copied", 3)).unwrap(), 100);
    machine.refresh();
    let page = |offset| machine.page(&Filter::default(), offset, 3);
    assert_eq!(page(0), (7, vec!["a copy".into(), "prompt 7".into(), "prompt 6".into()]));
    assert_eq!(page(3), (7, vec!["prompt 5".into(), "prompt 4".into(), "prompt 2".into()]));
    assert_eq!(page(6), (7, vec!["prompt 1".into()]));
    assert_eq!(page(7), (7, vec![]));
}

#[test]
fn sessions_are_found_by_their_words_and_their_folder() {
    let mut machine = Machine::new();
    machine.write("carcin", 1, "Räume den Keller auf");
    machine.write("carcin_2", 2, "fix 100% of the tests");
    machine.write("carcin/sub", 3, "x");
    fs::create_dir_all(machine.dir.path().join("projects/c-s")).unwrap();
    fs::rename(machine.path("carcin/sub", 3), machine.path("c-s", 3)).unwrap();
    machine.refresh();
    let found = |filter: &Filter| machine.page(filter, 0, 10);
    assert_eq!(found(&search("RÄUME keller")), (1, vec!["Räume den Keller auf".into()]));
    assert_eq!(found(&search("räume garten")), (0, vec![]));
    assert_eq!(found(&search("100%")), (1, vec!["fix 100% of the tests".into()]));
    assert_eq!(found(&search("0_2")), (0, vec![]), "nothing is a wildcard");
    assert_eq!(found(&search("00000002-0000")).0, 1);
    assert_eq!(found(&search(" main  ")).0, 3);
    assert_eq!(found(&within("/home/u/carcin")).1, ["x", "Räume den Keller auf"]);
    assert_eq!(found(&within("/home/u/carcin/")).0, 2);
    assert_eq!(found(&within("/home/u/carci%")).0, 0);
    assert_eq!(found(&within("/home/u/carcin_")).0, 0);
    assert_eq!(found(&within("/")).0, 3);
    assert_eq!(found(&Filter { search: Some("keller".into()), ..within("/home/u/carcin_2") }).0, 0);
}

#[test]
fn an_index_is_kept_and_one_that_is_gone_or_broken_is_made_anew() {
    let mut machine = Machine::new();
    machine.write("p", 1, "one");
    machine.refresh();
    let reopen = |machine: &mut Machine, before: &dyn Fn(&Path)| {
        let memory = TempDir::new().unwrap();
        drop(std::mem::replace(&mut machine.index, SessionIndex::open(memory.path()).unwrap()));
        before(&machine.state().join("sessions.db"));
        machine.index = SessionIndex::open(&machine.state()).unwrap();
        let done = machine.refresh();
        assert_eq!(machine.all(), ["one"]);
        done.read
    };
    assert_eq!(reopen(&mut machine, &|_| {}), 0, "it is still known");
    assert_eq!(reopen(&mut machine, &|path| fs::remove_file(path).unwrap()), 1);
    assert_eq!(reopen(&mut machine, &|path| fs::write(path, [7; 9000]).unwrap()), 1);
    let from_another_version = |path: &Path| {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection
            .execute_batch("DROP TABLE transcript; CREATE TABLE transcript (x); PRAGMA user_version = 99")
            .unwrap();
    };
    assert_eq!(reopen(&mut machine, &from_another_version), 1);
    let unusable = |path: &Path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    };
    assert_eq!(reopen(&mut machine, &unusable), 1, "it is in memory");
}

/// Whatever cuts a refresh off: batches that were committed are not read again, and the rest is.
#[test]
fn a_refresh_that_was_cut_off_is_gone_on_with() {
    let mut machine = Machine::new();
    for number in 0..600 {
        machine.write("p", number, "x");
    }
    let database = rusqlite::Connection::open(machine.state().join("sessions.db")).unwrap();
    let trigger = "CREATE TRIGGER stop BEFORE INSERT ON transcript
                   WHEN (SELECT count(*) FROM transcript) >= 300 BEGIN SELECT RAISE(ABORT, 'cut off'); END";
    database.execute_batch(trigger).unwrap();
    refresh(&machine.transcripts(), &mut machine.index).unwrap_err();
    let kept = machine.index.stamps("p").unwrap().len() as u64;
    assert!((1..300).contains(&kept), "{kept} were kept");
    database.execute_batch("DROP TRIGGER stop").unwrap();
    let done = machine.refresh();
    assert_eq!((done.seen, done.read, done.gone), (600, 600 - kept, 0));
    assert_eq!(machine.page(&Filter::default(), 0, 1).0, 600);
}

#[tokio::test]
async fn the_catalogue_is_asked_from_anywhere_and_survives_its_index() {
    let machine = Machine::new();
    machine.write("p", 1, "one");
    let catalogue = Catalogue::start(machine.transcripts(), &machine.state()).unwrap();
    let titles = async || {
        let (total, rows) = catalogue.page(Filter::default(), 0, 10).await.unwrap();
        (total, rows.into_iter().map(|row| row.title).collect::<Vec<_>>())
    };
    assert_eq!(titles().await, (1, vec!["one".to_owned()]));
    machine.write("p", 2, "two");
    assert_eq!(titles().await, (2, vec!["two".to_owned(), "one".to_owned()]));
    // Behind its back.
    let connection = rusqlite::Connection::open(machine.state().join("sessions.db")).unwrap();
    connection.execute_batch("DROP TABLE transcript").unwrap();
    assert_eq!(titles().await, (2, vec!["two".to_owned(), "one".to_owned()]));
}

/// Bytes that this thread has read from files so far, as the kernel counts them.
fn bytes_read() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

const MANY: u32 = 5000;
const LARGE: u64 = 50 * 1000 * 1000;
const FOLDERS: u32 = 50;

/// A transcript of fifty megabytes: its beginning and its end are real, between them is nothing.
fn large(machine: &Machine, number: u32) {
    let folder = format!("folder-{}", number % FOLDERS);
    machine.write(&folder, number, &format!("prompt {number}"));
    let mut file = File::options().write(true).open(machine.path(&folder, number)).unwrap();
    file.seek(SeekFrom::Start(LARGE)).unwrap();
    let title = json!({ "type": "ai-title", "aiTitle": format!("Title {number}") });
    write!(file, "\n{title}\n").unwrap();
    touch(&file, number);
}

#[test]
fn of_five_thousand_large_transcripts_little_is_read_and_that_once() {
    let mut machine = Machine::new();
    for number in 0..MANY {
        large(&machine, number);
    }
    let measured = |what: &str, machine: &mut Machine| {
        let (before, since) = (bytes_read(), Instant::now());
        let done = machine.refresh();
        let read = bytes_read() - before;
        println!("{what}: {:?}, {read} bytes read of files, {done:?}", since.elapsed());
        (done, read)
    };
    let (done, read) = measured("first build", &mut machine);
    assert_eq!((done.seen, done.read), (MANY.into(), MANY.into()));
    assert_eq!(done.bytes, u64::from(MANY) * 2 * WINDOW);
    // What SQLite reads of its own file is little.
    let slack = 16 * 1024 * 1024;
    assert!((done.bytes..done.bytes + slack).contains(&read), "{read} bytes instead of {}", done.bytes);
    let (done, read) = measured("nothing changed", &mut machine);
    assert_eq!(done, Refreshed { seen: MANY.into(), ..Refreshed::default() });
    assert!(read < slack, "{read} bytes for nothing");
    let mut file = File::options().append(true).open(machine.path("folder-7", 7)).unwrap();
    writeln!(file, "{}", json!({ "type": "custom-title", "customTitle": "Changed" })).unwrap();
    let (done, read) = measured("one changed", &mut machine);
    assert_eq!(done, Refreshed { seen: MANY.into(), read: 1, bytes: 2 * WINDOW, gone: 0 });
    assert!(read < slack, "{read} bytes for one");
    let since = Instant::now();
    let page = machine.page(&Filter::default(), 0, 20);
    println!("a page: {:?}", since.elapsed());
    assert_eq!((page.0, page.1.len(), page.1[0].as_str()), (MANY, 20, "Changed"));
    assert_eq!(page.1[1], format!("Title {}", MANY - 1));
    let since = Instant::now();
    assert_eq!(machine.page(&search("title 4999"), 0, 20).0, 1);
    println!("a search: {:?}", since.elapsed());
    assert_eq!(machine.page(&within("/home/u/folder-7"), 0, 20).0, MANY / FOLDERS);
}
