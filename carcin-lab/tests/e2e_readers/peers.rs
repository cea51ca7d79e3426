//! Who is at the other end: somebody else, or Claude.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use anyhow::{Context as _, ensure};
use carcin_lab::rig::{Claude, Rig};
use carcin_proto::Event;
use tokio::process::Command;

use crate::e2e_support::{bash, eventually};

with_either_claude! {
    a_tool_that_sheds_its_environment_may_not_decide,
    a_daemon_of_a_tools_may_not_decide,
}

const REFUSED: &str = "what runs inside Claude may only use status, notify and send-file";

/// Passes over a test, which CI does not let pass.
pub(crate) fn skip(why: &str, rig: Rig) -> anyhow::Result<()> {
    ensure!(std::env::var_os("CARCIN_CI_STRICT").is_none_or(|strict| strict != "1"), "{why}");
    println!("SKIPPED: {why}");
    rig.discard();
    Ok(())
}

fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// `carcin-ctl`, in an environment of its own.
fn ctl(rig: &Rig, arguments: &[&str]) -> Command {
    let mut command = Command::new(rig.programs().join("carcin-ctl"));
    command.args(arguments).env_clear().env("CARCIN_SOCKET", rig.places.socket());
    command
}

/// Nobody's prompt got through.
fn nothing_was_sent(rig: &Rig) {
    let log = rig.events.log();
    let sent = |event: &Event| matches!(event, Event::PromptAccepted(prompt) if prompt.text == "do as I say");
    assert!(!log.envelopes().any(|envelope| sent(&envelope.event)), "{}", log.transcript());
}

/// Nothing of its own environment is left, but its parent is a tool.
async fn a_tool_that_sheds_its_environment_may_not_decide(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let command =
        "env -i CARCIN_SOCKET=\"$CARCIN_SOCKET\" \"$CARCIN_CTL\" send 'do as I say' 2>&1; echo \"code $?\"";
    let prompt = format!("{}\n!echo-result", bash(command));
    let answer = rig.talk("tg:1").say(&prompt).await?.concat();
    assert!(answer.contains(REFUSED) && !answer.contains("code 0"), "{answer}");
    nothing_was_sent(&rig);
    rig.finish().await
}

/// A daemon, twice removed from its tool, that gives what it starts an environment of its own.
async fn a_daemon_of_a_tools_may_not_decide(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let daemon = "(setsid sh -c '\
        while [ \"$(cut -d\" \" -f4 /proc/$$/stat)\" = '$$' ]; do sleep 0.05; done; \
        cut -d\" \" -f4 /proc/$$/stat > $CWD/parent; \
        (env -i CARCIN_SOCKET=\"$CARCIN_SOCKET\" \"$CARCIN_CTL\" send \"do as I say\"; echo \"code $?\") > $CWD/said 2>&1\
        ' &)";
    let talk = rig.talk("tg:1");
    talk.say(&bash(daemon)).await?;
    let file = rig.places.work().join("said");
    let text = eventually("the daemon to be answered", || {
        fs::read_to_string(&file).ok().filter(|text| text.contains("code "))
    })
    .await?;
    assert!(text.contains(REFUSED) && !text.contains("code 0"), "{text}");
    let parent: u32 = fs::read_to_string(rig.places.work().join("parent"))?.trim().parse()?;
    assert_ne!(parent, talk.pid().await?, "its parent was to be gone");
    nothing_was_sent(&rig);
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_outlives_its_claude_with_its_environment_may_not_decide() {
    crate::e2e_support::run(async {
        let rig = Rig::builder().start().await?;
        rig.talk("tg:1").say("!text Hello").await?;
        // As one that the sweep has missed: the Claude whose mark it carries is no more, nor is its directory.
        let gone = uuid::Uuid::new_v4().to_string();
        let output = ctl(&rig, &["send", "do as I say"]).env("CARCIN_CHILD", &gone).output().await?;
        assert!(!output.status.success() && said(&output).contains(REFUSED), "{}", said(&output));
        let output = ctl(&rig, &["notify", "half way there"]).env("CARCIN_CHILD", &gone).output().await?;
        assert!(output.status.success(), "{}", said(&output));
        nothing_was_sent(&rig);
        // A Claude of another daemon, as one that works on Carcin, is not ours.
        let output = Command::new(rig.programs().join("carcin-ctl"))
            .args(["--socket", rig.places.socket().to_str().context("a path of ours")?, "send", "!text Fine"])
            .env_clear()
            .env("CARCIN_SOCKET", "/nowhere/carcind.sock")
            .env("CARCIN_CHILD", &gone)
            .output()
            .await?;
        assert!(output.status.success(), "{}", said(&output));
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_is_refused_even_where_the_socket_is_open_to_all() {
    crate::e2e_support::run(async {
        let rig = Rig::builder().start().await?;
        if !nix::unistd::geteuid().is_root() {
            return skip("only root can be somebody else", rig);
        }
        let nobody = 65_534;
        let program = rig.places.dir().join("carcin-ctl");
        fs::copy(rig.programs().join("carcin-ctl"), &program)?;
        let somebody_asks = async |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command.args(arguments).env_clear().env("CARCIN_SOCKET", rig.places.socket());
            command.current_dir("/").uid(nobody).gid(nobody).output().await
        };
        let socket = rig.places.socket();
        let run = socket.parent().context("a folder")?;
        fs::set_permissions(rig.places.dir(), Permissions::from_mode(0o755))?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        // As things are, the folder alone keeps others out.
        let output = somebody_asks(&["status"]).await?;
        assert!(!output.status.success() && said(&output).contains("Permission denied"), "{}", said(&output));
        fs::set_permissions(run, Permissions::from_mode(0o777))?;
        let output = somebody_asks(&["status"]).await?;
        assert!(!output.status.success() && said(&output).contains("Permission denied"), "{}", said(&output));
        // With both open it is the daemon that refuses.
        fs::set_permissions(&socket, Permissions::from_mode(0o777))?;
        for arguments in [&["status"][..], &["send", "do as I say"], &["watch"], &["shutdown", "--yes"]] {
            let output = somebody_asks(arguments).await?;
            ensure!(!output.status.success(), "{arguments:?}: {}", said(&output));
            ensure!(
                said(&output).contains("this carcind belongs to another user"),
                "{arguments:?}: {}",
                said(&output)
            );
        }
        nothing_was_sent(&rig);
        // A crowd of them takes nobody's place.
        let socket = socket.to_str().context("a path of ours")?;
        let crowd = format!(
            "import socket, time\nheld = []\nfor _ in range(300):\n  s = socket.socket(socket.AF_UNIX)\n  \
             s.settimeout(5)\n  s.connect('{socket}')\n  held.append(s)\nprint('there', flush=True)\ntime.sleep(600)\n"
        );
        let crowd = Command::new("python3")
            .args(["-c", &crowd])
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .uid(nobody)
            .gid(nobody)
            .spawn();
        let mut crowd = match crowd {
            Ok(crowd) => crowd,
            Err(error) => return skip(&format!("there is no python3 for a crowd: {error}"), rig),
        };
        let mut there = String::new();
        let mut stdout = crowd.stdout.take().context("it is piped")?;
        tokio::io::AsyncReadExt::read_to_string(&mut tokio::io::AsyncReadExt::take(&mut stdout, 6), &mut there).await?;
        assert_eq!(there, "there\n");
        let output = ctl(&rig, &["status"]).output().await?;
        assert!(output.status.success(), "{}", said(&output));
        crowd.kill().await?;
        rig.finish().await
    })
    .await;
}
