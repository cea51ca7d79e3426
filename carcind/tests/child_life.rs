//! Children are started once, found again, and their ends are told.

mod child_kit;

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use carcind::child::{
    Adopted, ChildDir, EXIT_TAKEN, Exit, Launcher, Limits, RemoveError, Snapshot, SpawnError,
};
use child_kit::{State, alive, bounded, launcher, lines, process_lives, rest, soon, spec, text, until};
use nix::sys::signal::Signal;
use uuid::Uuid;

/// Says its pid, then repeats what it is told until it is told to quit.
const ECHO: &str =
    r#"echo "pid $$"; while read -r line; do [ "$line" = quit ] && exit 7; echo "got $line"; done"#;

#[tokio::test]
async fn a_child_has_the_surroundings_that_were_asked_for() {
    let state = State::new();
    let script = r#"printf '%s\n' "$GREETING" "$CARCIN_CHILD" "${HOME-no home}" "$(pwd)" "$(umask)" "$(ulimit -n)"
        cut -d' ' -f6 /proc/self/stat; echo "$$"; grep -E 'SigBlk|SigIgn' /proc/self/status; ls /proc/$$/fd"#;
    let limits = Limits { open_files: Some(123), umask: Some(0o027), ..Limits::default() };
    let spec = carcind::child::Spec { limits, ..spec(&["sh", "-c", script], "/".into()) };
    let dir = ChildDir::create(state.path(), Uuid::new_v4(), &spec).unwrap();
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    assert_eq!(bounded(child.exited()).await, Exit::Code(0));
    let said = rest(&mut dir.stdout(0).unwrap()).await;
    let said: Vec<&str> = said.iter().map(text).collect();
    assert_eq!(said[..6], ["hello", &spec.marker, "no home", "/", "0027", "123"]);
    assert_eq!(said[6], said[7], "it leads its session");
    let mask = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
    assert_eq!(mask(said[8]), 0, "no signal is blocked");
    // But for 32 and 33, which the C library keeps to itself.
    assert_eq!(mask(said[9]) & !(0b11 << 31), 0, "no signal is ignored");
    assert_eq!(said[10..], ["0", "1", "100", "2"], "nothing but the lease is inherited");
    assert_eq!(dir.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for file in ["spec.json", "stdin", "stdout", "stderr", "lease", "pid"] {
        let mode = dir.path().join(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// Started while the machine is busy starting others, so that it is looked at in each moment of its start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_has_been_started_takes_lines_at_once() {
    let state = State::new();
    for _ in 0..8 {
        let starts: Vec<_> = (0..16)
            .map(|_| {
                let dir = state.run(&["cat"]);
                tokio::spawn(async move {
                    let child = bounded(dir.spawn(&launcher())).await.unwrap();
                    child.writer().unwrap().write_line(b"hello", soon()).await.unwrap();
                    child.signal(Signal::SIGKILL).unwrap();
                    bounded(child.exited()).await
                })
            })
            .collect();
        for start in starts {
            assert_eq!(start.await.unwrap(), Exit::Signal(9));
        }
    }
}

#[tokio::test]
async fn a_child_outlives_its_supervision_and_is_found_again() {
    let state = State::new();
    let dir = state.script(ECHO);
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    let pid = child.pid();
    let mut tail = dir.stdout(0).unwrap();
    assert_eq!(text(&lines(&mut tail, 1).await[0]), format!("pid {pid}"));
    drop((child, tail));

    let dir = ChildDir::open(state.path(), dir.generation());
    let child = alive(bounded(dir.adopt()).await.unwrap());
    assert_eq!(child.pid(), pid);
    let mut tail = dir.stdout(0).unwrap();
    child.writer().unwrap().write_line(b"again", soon()).await.unwrap();
    assert_eq!(text(&lines(&mut tail, 2).await[1]), "got again");
    assert!(matches!(dir.clone().remove(), Err(RemoveError::Alive(found)) if found == pid));
    child.writer().unwrap().write_line(b"quit", soon()).await.unwrap();
    assert_eq!(bounded(child.exited()).await, Exit::Unknown);
    let process = std::path::PathBuf::from(format!("/proc/{pid}"));
    until("it is reaped although nobody supervised it", || !process.exists()).await;
    assert!(matches!(bounded(dir.adopt()).await.unwrap(), Adopted::Dead(Exit::Unknown)));
    dir.clone().remove().unwrap();
    assert!(!dir.path().exists());
}

/// Runs in a process of its own, as the daemon that is about to be killed.
#[tokio::test]
#[ignore = "the other half of a_child_survives_kill_9_of_its_daemon"]
async fn daemon_that_will_be_killed() {
    let Some(dir) = std::env::var_os("CHILD_TEST_DIR") else { return };
    let dir = std::path::PathBuf::from(dir);
    let state = dir.parent().unwrap().parent().unwrap();
    let dir = ChildDir::open(state, dir.file_name().unwrap().to_str().unwrap().parse().unwrap());
    let child = dir.spawn(&launcher()).await.unwrap();
    child.writer().unwrap().write_line(b"from the first daemon", soon()).await.unwrap();
    child.exited().await;
}

#[tokio::test]
async fn a_child_survives_kill_9_of_its_daemon() {
    let state = State::new();
    let dir = state.script(ECHO);
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "daemon_that_will_be_killed"])
        .env("CHILD_TEST_DIR", dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut tail = dir.stdout(0).unwrap();
    let said = lines(&mut tail, 2).await;
    assert_eq!(text(&said[1]), "got from the first daemon");
    daemon.kill().unwrap();
    daemon.wait().unwrap();

    let child = alive(bounded(dir.adopt()).await.unwrap());
    assert_eq!(text(&said[0]), format!("pid {}", child.pid()));
    child.writer().unwrap().write_line(b"from the second", soon()).await.unwrap();
    assert_eq!(text(&lines(&mut tail, 1).await[0]), "got from the second");
}

#[tokio::test]
async fn a_directory_starts_one_child_only() {
    let state = State::new();
    let dir = state.script(ECHO);
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    assert!(matches!(bounded(dir.spawn(&launcher())).await, Err(SpawnError::Taken(_))));
    // A launcher that comes all the same (a slow one of an earlier daemon) finds it taken, too.
    let launch =
        || Command::new(env!("CARGO_BIN_EXE_carcind")).arg("child").arg(dir.path()).status().unwrap();
    assert_eq!(launch().code(), Some(EXIT_TAKEN));
    assert!(process_lives(child.pid()));
    child.signal(Signal::SIGKILL).unwrap();
    assert_eq!(bounded(child.exited()).await, Exit::Signal(9));
    assert_eq!(launch().code(), Some(EXIT_TAKEN));
    assert!(!dir.path().join("failed").exists());
}

#[tokio::test]
async fn a_launcher_that_comes_after_adoption_gives_up() {
    let state = State::new();
    let dir = state.script("echo should not run");
    let dead = bounded(dir.adopt()).await.unwrap();
    assert!(matches!(dead, Adopted::Dead(Exit::NotStarted(_))), "{dead:?}");
    let status = Command::new(env!("CARGO_BIN_EXE_carcind")).arg("child").arg(dir.path()).status().unwrap();
    assert_eq!(status.code(), Some(EXIT_TAKEN));
    assert_eq!(dir.path().join("stdout").metadata().unwrap().len(), 0);
    assert!(matches!(bounded(dir.spawn(&launcher())).await, Err(SpawnError::Taken(_))));
}

#[tokio::test]
async fn a_status_recorded_after_giving_up_changes_nothing() {
    let state = State::new();
    let dir = state.script("true");
    bounded(dir.adopt()).await.unwrap();
    // What systemd does when a late launcher has found the directory taken.
    let mut ended = Command::new(env!("CARGO_BIN_EXE_carcind"));
    ended.arg("child-ended").arg(dir.path()).env("EXIT_CODE", "exited").env("EXIT_STATUS", "75");
    assert!(ended.status().unwrap().success());
    assert!(dir.path().join("exit").exists());
    assert!(matches!(bounded(dir.adopt()).await.unwrap(), Adopted::Dead(Exit::NotStarted(_))));
}

#[tokio::test]
async fn a_claim_that_says_nothing_is_not_taken_for_never_started() {
    let state = State::new();
    let dir = state.script("true");
    std::fs::write(dir.path().join("pid"), "").unwrap();
    assert!(matches!(bounded(dir.adopt()).await.unwrap(), Adopted::Dead(Exit::Unknown)));
    let never_made = ChildDir::open(state.path(), Uuid::new_v4());
    assert!(matches!(bounded(never_made.adopt()).await.unwrap(), Adopted::Dead(Exit::NotStarted(_))));
}

#[tokio::test]
async fn a_launcher_that_hangs_is_given_up() {
    let state = State::new();
    let exe = state.path().join("hangs");
    std::fs::write(&exe, "#!/bin/sh\nexec sleep 1000 # $$\n").unwrap();
    std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o700)).unwrap();
    let dir = state.script("true");
    let error = bounded(dir.spawn(&Launcher::Plain { exe })).await.unwrap_err();
    assert!(matches!(error, SpawnError::Timeout), "{error:?}");
    assert!(matches!(bounded(dir.adopt()).await.unwrap(), Adopted::Dead(Exit::NotStarted(_))));
}

#[tokio::test]
async fn the_lease_ends_with_the_child() {
    let state = State::new();
    let dir = state.script("exec sleep 1000");
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    assert!(
        matches!(bounded(dir.adopt()).await.unwrap(), Adopted::Alive(again) if again.pid() == child.pid())
    );
    child.signal(Signal::SIGKILL).unwrap();
    assert_eq!(bounded(child.exited()).await, Exit::Signal(9));
    assert!(matches!(bounded(dir.adopt()).await.unwrap(), Adopted::Dead(Exit::Unknown)));
    assert!(child.signal(Signal::SIGTERM).is_err());
    assert!(child.signal_group(Signal::SIGTERM).is_err());
}

#[tokio::test]
async fn every_end_is_told() {
    let state = State::new();
    for (script, expected) in [
        ("exit 0", Exit::Code(0)),
        ("exit 3", Exit::Code(3)),
        ("exit 75", Exit::Code(75)),
        ("exit 127", Exit::Code(127)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("read -r line", Exit::Signal(2)),
    ] {
        let child = bounded(state.script(script).spawn(&launcher())).await.unwrap();
        if expected == Exit::Signal(2) {
            child.signal_group(Signal::SIGINT).unwrap();
        }
        assert_eq!(bounded(child.exited()).await, expected, "{script}");
        assert_eq!(bounded(child.exited()).await, expected, "asked again: {script}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let state = State::new();
    let nowhere =
        ChildDir::create(state.path(), Uuid::new_v4(), &spec(&["sh"], "/no/such/place".into())).unwrap();
    let empty = state.run(&[]);
    for (dir, errno, words) in [
        (state.run(&["no-such-program"]), Some(libc::ENOENT), "cannot run no-such-program: No such file"),
        (state.run(&["/etc/passwd"]), Some(libc::EACCES), "cannot run /etc/passwd: Permission denied"),
        (nowhere, Some(libc::ENOENT), "cannot enter the working directory /no/such/place"),
        (empty, None, "there is nothing to run"),
    ] {
        let error = bounded(dir.spawn(&launcher())).await.unwrap_err();
        let SpawnError::NotStarted(failure) = error else { panic!("{error:?}") };
        assert_eq!(failure.errno, errno);
        assert!(failure.sentence.contains(words), "{failure}");
        let later = bounded(dir.adopt()).await.unwrap();
        assert!(matches!(later, Adopted::Dead(Exit::NotStarted(again)) if again == failure));
    }
    let no_launcher = Launcher::Plain { exe: "/no/such/carcind".into() };
    let error = bounded(state.script("true").spawn(&no_launcher)).await.unwrap_err();
    assert!(matches!(error, SpawnError::Process { .. }), "{error:?}");
    let no_launcher = Launcher::Plain { exe: "/bin/false".into() };
    let error = bounded(state.script("true").spawn(&no_launcher)).await.unwrap_err();
    assert!(matches!(error, SpawnError::Launcher { .. }), "{error:?}");
}

#[tokio::test]
async fn a_grandchild_that_holds_the_output_does_not_delay_the_end() {
    let state = State::new();
    let dir = state.script("setsid sleep 1000 & echo $!; exit 5");
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    assert_eq!(bounded(child.exited()).await, Exit::Code(5));
    let said = rest(&mut dir.stdout(0).unwrap()).await;
    assert!(process_lives(text(&said[0]).parse().unwrap()), "it still holds stdout open");
}

#[tokio::test]
async fn a_sweep_ends_grandchildren_in_sessions_of_their_own() {
    let state = State::new();
    // One is found by descent (it has no marker), one by the marker (it was orphaned), one by both.
    let dir = state.script(
        "setsid env -i /bin/sleep 1000 & echo $!; (setsid sleep 1000 & echo $!); setsid sleep 1000 & echo $!; wait",
    );
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    let said = lines(&mut dir.stdout(0).unwrap(), 3).await;
    let pids: Vec<u32> = said.iter().map(|line| text(line).parse().unwrap()).collect();
    let sleeps = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "sleep")
    };
    until("all have begun to sleep", || pids.iter().all(sleeps)).await;
    let snapshot = child.descendants().await.unwrap();
    assert!(snapshot.0.iter().any(|process| process.pid == pids[0]));
    assert!(snapshot.0.iter().all(|process| process.pid != child.pid()));
    child.signal_group(Signal::SIGKILL).unwrap();
    assert_eq!(bounded(child.exited()).await, Exit::Signal(9));
    assert!(pids.iter().all(|pid| process_lives(*pid)), "SIGKILL to the group leaves them");
    let swept = bounded(child.sweep(snapshot)).await.unwrap();
    assert!(!swept.survivors);
    assert!(pids.iter().all(|pid| !process_lives(*pid)), "{pids:?} {swept:?}");
    let again = bounded(child.sweep(Snapshot::default())).await.unwrap();
    assert!(again.killed.is_empty(), "{again:?}");
}

#[tokio::test]
async fn a_stale_snapshot_hits_nobody() {
    let state = State::new();
    let mut bystander = Command::new("sleep").arg("1000").spawn().unwrap();
    let stale = carcind::child::Process { pid: bystander.id(), start: 1 };
    let swept = bounded(state.script("true").sweep(Snapshot(vec![stale]))).await.unwrap();
    assert!(swept.killed.is_empty() && process_lives(bystander.id()));
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
