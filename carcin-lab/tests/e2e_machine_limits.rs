//! The machine runs out of what there are few of: inotify instances, file descriptors.

#[macro_use]
mod e2e_support;

use std::collections::HashSet;
use std::time::Duration;

use carcin_lab::rig::{Claude, PATIENCE, Rig, Talk};
use carcin_proto::request::{Notify, Placement, Submit};
use carcin_proto::{Client, Envelope, Event, IdempotencyKey, PromptId, Reply, Request};
use e2e_support::disk::skip;
use e2e_support::proc::ticks;
use e2e_support::{eventually, run, slay, status, status_says};

with_either_claude! {
    without_inotify_what_claude_prints_is_looked_for,
}

/// Becomes what follows, in a namespace in which nobody may watch a file.
const BLIND: &[&str] = &[
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"",
    "sh",
];
/// Says that this process is in it.
const IS_BLIND: &str = "CARCIN_TEST_IS_BLIND";

/// Runs itself once more, since the daemon trusts nobody from outside its namespace.
async fn without_inotify_what_claude_prints_is_looked_for(claude: Claude) -> anyhow::Result<()> {
    if std::env::var_os(IS_BLIND).is_some() {
        return looked_for(claude).await;
    }
    let command = || {
        let mut command = tokio::process::Command::new(BLIND[0]);
        command.args(&BLIND[1..]);
        command
    };
    if !command().arg("true").output().await.is_ok_and(|output| output.status.success()) {
        return skip("there are no user namespaces to run out of inotify instances in");
    }
    let module = if claude == Claude::Real { "real" } else { "scripted" };
    let name = format!("{module}::without_inotify_what_claude_prints_is_looked_for");
    let output = command()
        .arg(std::env::current_exe()?)
        .args(["--exact", &name, "--include-ignored", "--nocapture"])
        .env(IS_BLIND, "1")
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success() && said.contains("1 passed"), "{said}\n{log}");
    Ok(())
}

async fn looked_for(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    assert_eq!(talk.say("!text Hello").await?, ["Hello"]);
    let prompt = talk.send("!stream 30 words\n!gate on\n!text After").await?;
    talk.streamed("[30]").await?;
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    rig.open_gate("on")?;
    assert_eq!(talk.answer_to(prompt).await?.last().map(String::as_str), Some("After"));
    let log = rig.daemon.log_text();
    assert!(log.contains("no inotify, polling the spool instead"), "{log}");
    assert_eq!(status(&rig).await?.problems, [""; 0]);
    rig.finish().await
}

/// The lowest number that the process has not given to a file.
fn lowest_free(pid: u32) -> anyhow::Result<u64> {
    let taken: HashSet<u64> = std::fs::read_dir(format!("/proc/{pid}/fd"))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    Ok((0..=u64::MAX).find(|number| !taken.contains(number)).unwrap_or_default())
}

fn limit(pid: u32, files: u64) -> anyhow::Result<()> {
    e2e_support::disk::run("prlimit", &["--pid", &pid.to_string(), &format!("--nofile={files}:")])
}

/// Leaves a process no descriptor. It may be about to let go of some, which must not be there for it later.
async fn exhaust(pid: u32) -> anyhow::Result<()> {
    let (mut lowest, mut same) = (lowest_free(pid)?, 0);
    while same < 20 {
        limit(pid, lowest)?;
        tokio::time::sleep(Duration::from_millis(25)).await;
        let now = lowest_free(pid)?;
        same = if now == lowest { same + 1 } else { 0 };
        lowest = now;
    }
    Ok(())
}

/// Sends a prompt for which no Claude can be started, over a connection that is there already, and sees that told.
async fn in_vain(rig: &Rig, client: &mut Client, talk: &Talk, text: &str) -> anyhow::Result<PromptId> {
    let submit = Submit {
        conversation: talk.key().clone(),
        key: IdempotencyKey::new(PromptId::random().to_string())?,
        text: text.to_owned(),
        placement: Placement::Steer,
        by: "Alex".to_owned(),
    };
    let Reply::Submitted(submitted) = client.request(&Request::Submit(submit)).await? else {
        anyhow::bail!("the prompt was not taken")
    };
    let told = |event: &Event| matches!(event, Event::Notice(notice) if notice.text.starts_with("Claude cannot be started now: "));
    let here = |e: &Envelope| e.conversation == *talk.key() && told(&e.event);
    let Event::Notice(notice) = rig.events.wait_for("a notice", here).await?.event else { unreachable!() };
    assert!(notice.text.contains("Too many open files"), "{notice:?}");
    Ok(submitted.prompt)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_defect_while_a_start_is_tried_again_does_not_wait_for_it() {
    run(async {
        let rig = Rig::builder().faults().env("CARCIN_FAULT_PANIC_ON", "POISON:1").start().await?;
        let talk = rig.talk("tg:1");
        rig.talk("tg:2").say("!text Hello").await?;
        let pid = rig.daemon.pid();
        let mut client = rig.client().await?;
        status_says(&rig, "the version", |status| status.claude.version.clone()).await?;
        exhaust(pid).await?;
        let prompt = in_vain(&rig, &mut client, &talk, "!text In the end").await?;
        let poison = Notify {
            conversation: Some(talk.key().clone()),
            text: "POISON".to_owned(),
            topic: String::new(),
        };
        client.request(&Request::Notify(poison)).await.expect_err("the actor fails");
        // Nothing else ends the tries: there are no descriptors yet, and they go on for minutes.
        let told = async {
            loop {
                let Reply::Status(status) = client.request(&Request::Status).await? else {
                    anyhow::bail!("that is no status")
                };
                if status.problems.iter().any(|problem| problem.contains("tg:1 was taken up again once")) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, told).await??;
        limit(pid, 1024)?;
        assert_eq!(talk.answer_to(prompt).await?, ["In the end"]);
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_prompts_wait_and_are_begun_when_there_are_some() {
    run(async {
        let rig = Rig::builder().start().await?;
        let warm = rig.talk("tg:1");
        warm.say("!text Hello").await?;
        let ended = rig.talk("tg:3");
        ended.say("!text Remember me").await?;
        let session = ended.session().await?;
        slay(ended.pid().await?)?;
        ended.closed().await?;
        let children = rig.places.state().join("children");
        let left = || std::fs::read_dir(&children).is_ok_and(|children| children.count() == 1).then_some(());
        eventually("what it left behind to be cleared away", left).await?;
        let pid = rig.daemon.pid();
        // In before there is no room for another.
        let mut client = rig.client().await?;
        // What it asks in the background is answered, and takes no more files.
        status_says(&rig, "the version", |status| status.claude.version.clone()).await?;
        exhaust(pid).await?;
        let new = rig.talk("tg:2");
        let mut submitted = Vec::new();
        for talk in [&new, &ended] {
            submitted.push(in_vain(&rig, &mut client, talk, "!text In the end").await?);
        }
        // Others knock, and it does not spin for them.
        let knocking: Vec<_> = (0..20)
            .map(|_| std::os::unix::net::UnixStream::connect(rig.places.socket()))
            .collect::<Result<_, _>>()?;
        let before = ticks(pid);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let spent = ticks(pid) - before;
        assert!(spent < 100, "it worked {spent} ticks in 3 s");
        for prompt in &submitted {
            assert_eq!(rig.events.log().outcome(*prompt), None, "it waits");
        }
        drop(knocking);
        limit(pid, 1024)?;
        assert_eq!(new.answer_to(submitted[0]).await?, ["In the end"]);
        assert_eq!(ended.answer_to(submitted[1]).await?, ["In the end"]);
        assert_eq!(ended.session().await?, session, "what could not be looked for was not lost");
        assert_eq!(warm.say("!text Still here").await?, ["Still here"]);
        status_says(&rig, "it to be as before", |status| status.problems.is_empty().then_some(())).await?;
        rig.finish().await
    })
    .await;
}
