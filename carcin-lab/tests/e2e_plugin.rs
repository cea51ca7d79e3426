//! What every Claude of the daemon's is given: the skill and the hook. Only the real one reads them.

#[macro_use]
mod e2e_support;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use carcin_lab::rig::{Claude, Rig};
use carcin_proto::Event;
use carcin_proto::event::Notification;
use e2e_support::run;

mod real {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs the real Claude Code CLI: set CARCIN_REAL_CLAUDE"]
    async fn claude_has_the_skill_and_its_compactions_are_told() {
        super::run(super::claude_has_the_skill_and_its_compactions_are_told()).await;
    }
}

async fn claude_has_the_skill_and_its_compactions_are_told() -> anyhow::Result<()> {
    let skills = tempfile::tempdir()?;
    let mine = skills.path().join("mine");
    std::fs::create_dir_all(mine.join("greeting"))?;
    let skill = "---\nname: greeting\ndescription: How to greet.\n---\nGreet as in the year 1900.\n";
    std::fs::write(mine.join("greeting/SKILL.md"), skill)?;
    let rig = Rig::builder().claude(Claude::Real).plugin_dir(mine).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("/carcin:telegram-send").await?;
    let asked = rig.model.requests();
    let taught = asked.iter().any(|request| request.body.to_string().contains("# Send a file to the phone"));
    assert!(taught, "the skill reaches the model");
    talk.say("/mine:greeting").await?;
    let asked = rig.model.requests();
    let taught = asked.iter().any(|request| request.body.to_string().contains("Greet as in the year 1900."));
    assert!(taught, "and so does one of the person's own");
    talk.say("!text One thing to compact.").await?;
    talk.send("/compact").await?;
    let told = |event: &Event| matches!(event, Event::Notification(Notification { topic, text }) if topic == "compact" && text.contains("as asked"));
    rig.events.wait_for("the hook's notification", |envelope| told(&envelope.event)).await?;
    talk.idle().await?;
    rig.finish().await
}

/// What the hook tells, with this session and this argument.
fn hook_tells(conversation: &str, arguments: &[&str]) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let (ctl, told) = (dir.path().join("ctl"), dir.path().join("told"));
    std::fs::write(&ctl, "#!/bin/sh\necho \"$@\" > \"$(dirname \"$0\")/told\"\n").expect("a program");
    std::fs::set_permissions(&ctl, std::fs::Permissions::from_mode(0o755)).expect("it can be run");
    let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks/notify-compact");
    let mut run = Command::new("sh");
    run.arg(&hook).args(arguments).env("CARCIN_CTL", &ctl).env("CARCIN_CONVERSATION", conversation);
    let mut run = run.stdin(Stdio::piped()).spawn().expect("sh runs");
    let input =
        br#"{"session_id":"s","cwd":"/home/me/app","hook_event_name":"PreCompact","trigger":"manual"}"#;
    // Where there is nothing to tell it ends, and may have ended already.
    let _unread = run.stdin.take().expect("a pipe").write_all(input);
    assert!(run.wait().expect("it ends").success());
    std::fs::read_to_string(told).unwrap_or_default()
}

#[test]
fn the_hook_tells_of_a_session_in_the_terminal_and_of_one_of_the_daemons_once() {
    let asked = "notify --topic compact Compacting the context, as asked";
    assert_eq!(hook_tells("", &[]), format!("{asked} (in the terminal, in /home/me/app)\n"));
    assert_eq!(hook_tells("tg:1", &["daemon"]), format!("{asked}\n"));
    assert_eq!(hook_tells("tg:1", &[]), "", "the daemon's copy tells it");
}

#[test]
fn the_hook_never_fails_claude() {
    let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks/notify-compact");
    for ctl in ["/nowhere/carcin-ctl", "false"] {
        let status = Command::new("sh").arg(&hook).env("CARCIN_CTL", ctl).stdin(Stdio::null()).status();
        assert!(status.expect("sh runs").success(), "with {ctl}");
    }
    // Nor does it wait for a stdin that nobody ends.
    let mut run = Command::new("sh")
        .arg(&hook)
        .env("CARCIN_CTL", "false")
        .stdin(Stdio::piped())
        .spawn()
        .expect("sh runs");
    let open = run.stdin.take();
    assert!(run.wait().expect("it ends").success());
    drop(open);
}
