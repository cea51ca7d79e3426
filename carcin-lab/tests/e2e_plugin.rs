//! What every Claude of the daemon's is given: the skill and the hook. Only the real one reads them.

#[macro_use]
mod e2e_support;

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
    let rig = Rig::builder().claude(Claude::Real).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("/carcin:telegram-send").await?;
    let asked = rig.model.requests();
    let taught = asked.iter().any(|request| request.body.to_string().contains("# Send a file to the phone"));
    assert!(taught, "the skill reaches the model");
    talk.say("!text One thing to compact.").await?;
    talk.send("/compact").await?;
    let told = |event: &Event| matches!(event, Event::Notification(Notification { topic, text }) if topic == "compact" && text.contains("as asked"));
    rig.events.wait_for("the hook's notification", |envelope| told(&envelope.event)).await?;
    talk.idle().await?;
    rig.finish().await
}

#[test]
fn the_hook_never_fails_claude() {
    let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks/notify-compact");
    for ctl in ["/nowhere/carcin-ctl", "false"] {
        let status = Command::new("sh").arg(&hook).env("CARCIN_CTL", ctl).stdin(Stdio::null()).status();
        assert!(status.expect("sh runs").success(), "with {ctl}");
    }
}
