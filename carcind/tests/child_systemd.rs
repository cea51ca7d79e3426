//! Children as transient services. Needs a systemd user manager, so it is asked for by `--ignored`.

mod child_kit;

use std::process::Command;

use carcind::child::{Adopted, ChildDir, Exit, Launcher, Limits, Preference, Snapshot, SpawnError, Spec};
use child_kit::{State, alive, bounded, lines, process_lives, soon, spec, text, until};
use nix::sys::signal::Signal;
use uuid::Uuid;

fn service() -> Launcher {
    Launcher::Systemd { exe: env!("CARGO_BIN_EXE_carcind").into() }
}

/// In a place whose name has all that systemd gives a meaning to.
fn script(state: &State, script: &str) -> ChildDir {
    let place = state.path().join(r#"a $HOME %h "place" \x41"#);
    let limits = Limits { memory_max: Some(1 << 30), tasks_max: Some(77), ..Limits::default() };
    let spec = Spec { limits, ..spec(&["sh", "-c", script], "/".into()) };
    ChildDir::create(&place, Uuid::new_v4(), &spec).unwrap()
}

fn unit(dir: &ChildDir) -> String {
    format!("carcin-claude-{}.service", dir.generation())
}

fn property(dir: &ChildDir, name: &str) -> String {
    let mut command = Command::new("systemctl");
    command.args(["--user", "show", "--value", "--property", name, &unit(dir)]);
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
}

#[tokio::test]
#[ignore = "needs a systemd user manager"]
async fn a_service_is_found_again_and_keeps_its_status() {
    let state = State::new();
    let dir = script(&state, "echo $$; read -r line; exit 7");
    let child = bounded(dir.spawn(&service())).await.unwrap();
    let pid = child.pid();
    assert_eq!(text(&lines(&mut dir.stdout(0).unwrap(), 1).await[0]), pid.to_string());
    let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(cgroup.contains(&unit(&dir)), "{cgroup}");
    assert_eq!(property(&dir, "MemoryMax"), (1 << 30).to_string());
    assert_eq!(property(&dir, "TasksMax"), "77");
    drop(child);
    let child = alive(bounded(dir.adopt()).await.unwrap());
    assert_eq!(child.pid(), pid);
    bounded(child.writer().unwrap().write_line(b"", soon())).await.unwrap();
    assert_eq!(bounded(child.exited()).await, Exit::Code(7));
    assert!(matches!(bounded(dir.adopt()).await.unwrap(), Adopted::Dead(Exit::Code(7))));
    until("systemd forgets the unit", || property(&dir, "LoadState") == "not-found").await;
}

#[tokio::test]
#[ignore = "needs a systemd user manager"]
async fn every_end_of_a_service_is_told() {
    let state = State::new();
    for (body, expected) in
        [("exit 0", Exit::Code(0)), ("exit 3", Exit::Code(3)), ("kill -KILL $$", Exit::Signal(9))]
    {
        let child = bounded(script(&state, body).spawn(&service())).await.unwrap();
        assert_eq!(bounded(child.exited()).await, expected, "{body}");
    }
    let place = state.path().join("elsewhere");
    let missing = ChildDir::create(&place, Uuid::new_v4(), &spec(&["no-such-program"], "/".into())).unwrap();
    let error = bounded(missing.spawn(&service())).await.unwrap_err();
    let SpawnError::NotStarted(failure) = error else { panic!("{error:?}") };
    assert_eq!(failure.errno, Some(libc::ENOENT));
}

#[tokio::test]
#[ignore = "needs a systemd user manager"]
async fn leftovers_end_with_the_service() {
    let state = State::new();
    // Neither descent nor marker finds this one once it is orphaned; its cgroup does.
    let dir = script(&state, "(setsid env -i /bin/sleep 1000 & echo $!); read -r line");
    let child = bounded(dir.spawn(&service())).await.unwrap();
    let leftover: u32 = text(&lines(&mut dir.stdout(0).unwrap(), 1).await[0]).parse().unwrap();
    assert!(process_lives(leftover));
    child.signal(Signal::SIGKILL).unwrap();
    assert_eq!(bounded(child.exited()).await, Exit::Signal(9));
    bounded(child.sweep(Snapshot::default())).await.unwrap();
    until("the leftover ends", || !process_lives(leftover)).await;
}

#[tokio::test]
#[ignore = "needs a systemd user manager"]
async fn an_answering_manager_alone_does_not_decide() {
    let exe = || env!("CARGO_BIN_EXE_carcind").into();
    let plain = Launcher::Plain { exe: exe() };
    assert!(std::env::var_os("INVOCATION_ID").is_none(), "to be run outside of a unit");
    assert_eq!(bounded(Launcher::detect(exe(), Preference::Auto)).await, plain);
    assert_eq!(bounded(Launcher::detect(exe(), Preference::Systemd)).await, service());
}
