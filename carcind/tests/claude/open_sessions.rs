//! Which sessions Claude Code's own files say are open, and when they are not believed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use carcin_proto::Millis;
use carcind::claude::transcripts::{OpenSession, Transcripts};
use serde_json::{Value, json};
use tempfile::TempDir;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// A process that waits to be killed.
struct Process(Child);

impl Process {
    fn new() -> Self {
        let mut command = Command::new("sleep");
        Self(command.arg("600").stdout(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn start(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(19).unwrap().parse().unwrap()
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = self.0.wait();
    }
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_millis().try_into().unwrap()
}

/// As Claude Code 2.1.330 writes it, less what is not read.
fn file(process: &Process) -> Value {
    json!({
        "pid": process.pid(), "sessionId": A, "cwd": "/home/u/p", "startedAt": now(),
        "procStart": process.start().to_string(), "version": "2.1.330", "kind": "interactive",
        "entrypoint": "cli", "name": "p-aa", "status": "idle", "updatedAt": now(),
    })
}

fn config(file: &Value) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("sessions")).unwrap();
    let path = dir.path().join(format!("sessions/{}.json", file["pid"]));
    fs::write(&path, file.to_string()).unwrap();
    (dir, path)
}

fn open(dir: &Path) -> Vec<OpenSession> {
    Transcripts::new(dir).open_sessions()
}

#[test]
fn a_session_is_open_as_long_as_its_process_lives() {
    let mut process = Process::new();
    let (dir, _) = config(&file(&process));
    let found = open(dir.path()).pop().expect("it is open");
    assert_eq!((found.session.as_str(), found.pid, found.start), (A, process.pid(), process.start()));
    assert_eq!((found.cwd.as_deref(), found.status.as_str()), (Some(Path::new("/home/u/p")), "idle"));
    assert_eq!(found.place(), format!("in a terminal, pid {}", process.pid()));
    // Nobody has waited for it: a zombie.
    process.kill();
    while !fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap().contains(") Z ") {
        std::thread::yield_now();
    }
    assert_eq!(open(dir.path()), []);
    drop(process);
    assert_eq!(open(dir.path()), []);
}

#[test]
fn a_pid_that_is_another_processs_by_now_is_not_believed() {
    let process = Process::new();
    let mut told = file(&process);
    told["procStart"] = json!((process.start() - 1).to_string());
    assert_eq!(open(config(&told).0.path()), []);
}

#[test]
fn a_version_that_tells_no_start_is_believed_by_the_clock() {
    let process = Process::new();
    let mut told = file(&process);
    told.as_object_mut().unwrap().remove("procStart");
    assert_eq!(open(config(&told).0.path()).len(), 1);
    // A day before this process began, another one wrote the file.
    told["startedAt"] = json!(now() - 86_400_000);
    assert_eq!(open(config(&told).0.path()), []);
}

#[test]
fn what_is_no_such_file_is_passed_over() {
    let process = Process::new();
    let (dir, path) = config(&file(&process));
    let folder = path.parent().unwrap();
    fs::write(folder.join("1.key"), file(&process).to_string()).unwrap();
    fs::write(folder.join("2.json"), "{\"pid\":").unwrap();
    fs::write(folder.join("3.json"), "[]").unwrap();
    fs::write(folder.join("4.json"), json!({ "pid": -1, "sessionId": A }).to_string()).unwrap();
    fs::write(folder.join("5.json"), [0xff; 10]).unwrap();
    fs::create_dir(folder.join("6.json")).unwrap();
    let mut no_session = file(&process);
    no_session["sessionId"] = json!("");
    fs::write(folder.join("7.json"), no_session.to_string()).unwrap();
    assert_eq!(open(dir.path()).len(), 1);
    fs::remove_file(path).unwrap();
    assert_eq!(open(dir.path()), []);
}

#[test]
fn the_time_of_the_start_is_told() {
    let process = Process::new();
    let mut told = file(&process);
    told["startedAt"] = json!(1_795_359_918_103_u64);
    told["entrypoint"] = json!("sdk-cli");
    let found = open(config(&told).0.path()).pop().expect("it is open");
    assert_eq!(found.since, Millis(1_795_359_918_103));
    assert_eq!(found.place(), format!("in another `claude -p`, pid {}", process.pid()));
}
