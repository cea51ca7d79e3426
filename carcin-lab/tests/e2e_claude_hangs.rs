//! Claude says nothing, or nothing of use: slow is told from hung, and no answer from an answer.

#[macro_use]
mod e2e_support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use carcin_lab::rig::{Claude, Log, PATIENCE, Rig};
use carcin_proto::Event;
use carcin_proto::event::{Notice, PromptOutcome};
use e2e_support::crash::armed;
use e2e_support::{bash, eventually, lives, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

with_either_claude! {
    one_that_hangs_is_told_of_and_ended_and_what_it_had_begun_is_interrupted,
    one_that_gives_signs_of_life_again_goes_on,
    a_slow_one_is_told_of_and_left_alone,
    a_tool_may_be_silent,
    one_that_hangs_is_ended_however_often_it_is_stopped,
    a_stop_that_was_never_written_spares_what_was_sent_after_it,
    one_whose_output_is_gone_is_ended_before_the_next_is_started,
    what_one_whose_output_is_gone_has_begun_is_not_begun_again,
    one_whose_output_cannot_be_read_for_a_moment_goes_on,
}

/// Longer than a living Claude needs to answer on a busy machine.
const HUNG: Duration = Duration::from_secs(16);

fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    Ok(kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
}

async fn notice(rig: &Rig, begins: &str) -> anyhow::Result<Notice> {
    let told = |event: &Event| matches!(event, Event::Notice(notice) if notice.text.starts_with(begins));
    let heard = rig.events.wait_for("the notice", |envelope| told(&envelope.event)).await?;
    let Event::Notice(notice) = heard.event else { anyhow::bail!("that is no notice") };
    Ok(notice)
}

async fn one_that_hangs_is_told_of_and_ended_and_what_it_had_begun_is_interrupted(
    claude: Claude,
) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).patience(Duration::from_secs(1), HUNG).start().await?;
    let talk = rig.talk("tg:1");
    let begun = talk.send("!text Before\n!gate on\n!text After").await?;
    talk.streamed("Before").await?;
    let pid = talk.pid().await?;
    // It prints nothing more, answers nothing, and hears no signal but the last.
    signal(pid, Signal::SIGSTOP)?;
    let behind = talk.queue("!text Behind").await?;
    let told = notice(&rig, "Claude hangs").await?;
    assert!(told.hint.is_some_and(|hint| hint.starts_with("stop the task, or wait")));
    let PromptOutcome::Interrupted(why) = rig.events.ended(begun).await? else {
        anyhow::bail!("it was not interrupted")
    };
    assert!(why.starts_with("Claude has given no sign of life for "), "{why}");
    assert!(talk.answer_to(behind).await?.contains(&"Behind".to_owned()));
    assert!(!lives(pid));
    rig.finish().await
}

async fn one_that_gives_signs_of_life_again_goes_on(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).patience(Duration::from_secs(1), HUNG).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!text Before\n!gate on\n!text After").await?;
    talk.streamed("Before").await?;
    let pid = talk.pid().await?;
    signal(pid, Signal::SIGSTOP)?;
    notice(&rig, "Claude hangs").await?;
    signal(pid, Signal::SIGCONT)?;
    notice(&rig, "Claude gives signs of life again").await?;
    rig.open_gate("on")?;
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Completed);
    assert_eq!(talk.pid().await?, pid);
    rig.finish().await
}

async fn a_slow_one_is_told_of_and_left_alone(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).patience(Duration::from_secs(1), HUNG).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!text Before\n!gate on\n!text After").await?;
    talk.streamed("Before").await?;
    let told = notice(&rig, "Claude has said nothing for").await?;
    assert!(told.text.ends_with("; it is alive"), "{}", told.text);
    rig.open_gate("on")?;
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Completed);
    rig.finish().await
}

async fn a_tool_may_be_silent(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder()
        .claude(claude)
        .permission_mode("bypassPermissions")
        .patience(Duration::from_secs(1), Duration::from_mins(10))
        .start()
        .await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send(&bash("sleep 5")).await?;
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Completed);
    let log = rig.events.log();
    let events: Vec<&Event> = log.envelopes().map(|envelope| &envelope.event).collect();
    let at = |which: fn(&Event) -> bool| events.iter().position(|event| which(event));
    let (from, to) = (
        at(|event| matches!(event, Event::ToolStarted(_))),
        at(|event| matches!(event, Event::ToolEnded(_))),
    );
    let (Some(from), Some(to)) = (from, to) else { anyhow::bail!("there was no tool") };
    let told = events[from..to].iter().any(|event| matches!(event, Event::Notice(_)));
    assert!(!told, "{}", log.transcript());
    rig.finish().await
}

/// A person who gets no answer presses the button again.
async fn one_that_hangs_is_ended_however_often_it_is_stopped(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!text Before\n!gate on\n!text After").await?;
    talk.streamed("Before").await?;
    let pid = talk.pid().await?;
    signal(pid, Signal::SIGSTOP)?;
    let presses = async {
        while lives(pid) {
            talk.stop().await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, presses).await.context("it was not ended")??;
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Cancelled);
    rig.finish().await
}

async fn a_stop_that_was_never_written_spares_what_was_sent_after_it(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    let running = talk.send("!text Before\n!gate on\n!text After").await?;
    talk.streamed("Before").await?;
    let pid = talk.pid().await?;
    signal(pid, Signal::SIGSTOP)?;
    let unread = talk.send("!text Unread").await?;
    // A long line waits until all before it is read, and so does what comes behind it.
    let long = talk.send(&format!("{}\n!text Long", "comment ".repeat(1000))).await?;
    assert_eq!(talk.stop().await?.cancelled, [unread, long]);
    let newer = talk.send("!text Newer").await?;
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    signal(pid, Signal::SIGCONT)?;
    let answer = talk.answer_to(newer).await?;
    assert_eq!(answer.last().map(String::as_str), Some("Newer"), "{}", rig.events.log().transcript());
    assert_eq!(rig.events.ended(running).await?, PromptOutcome::Cancelled);
    let asked = rig.asked()?;
    assert!(!asked.iter().any(|prompt| prompt.contains("Unread") || prompt.contains("Long")), "{asked:?}");
    rig.finish().await
}

async fn one_whose_output_is_gone_is_ended_before_the_next_is_started(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Hello").await?;
    talk.idle().await?;
    let pid = talk.pid().await?;
    rig.kill_daemon().await?;
    for child in std::fs::read_dir(rig.places.state().join("children"))? {
        std::fs::File::create(child?.path().join("stdout"))?;
    }
    rig.restart_daemon().await?;
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert!(!lives(pid));
    assert_ne!(talk.pid().await?, pid);
    rig.finish().await
}

async fn what_one_whose_output_is_gone_has_begun_is_not_begun_again(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).faults().start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Hello").await?;
    talk.idle().await?;
    let pid = talk.pid().await?;
    armed(&mut rig, "prompt-written").await?;
    // Whether the reply comes before the death or not.
    let sent = tokio::spawn({
        let talk = talk.clone();
        async move { talk.send("!gate never\n!text Begun").await }
    });
    rig.dies().await?;
    drop(sent.await?);
    let begun = |rig: &Rig| rig.asked().is_ok_and(|asked| asked.iter().any(|asked| asked.contains("Begun")));
    eventually("Claude to begin", || begun(&rig).then_some(())).await?;
    for child in std::fs::read_dir(rig.places.state().join("children"))? {
        std::fs::File::create(child?.path().join("stdout"))?;
    }
    rig.restart_daemon().await?;
    let accepted = |event: &Event| match event {
        Event::PromptAccepted(accepted) if accepted.text.contains("Begun") => Some(accepted.prompt),
        _ => None,
    };
    let first = |log: &Log| log.envelopes().find_map(|envelope| accepted(&envelope.event));
    let prompt = rig.events.wait("the prompt to be told", first).await?;
    let PromptOutcome::Interrupted(why) = rig.events.ended(prompt).await? else {
        anyhow::bail!("it is not interrupted: {}", rig.events.log().transcript())
    };
    assert!(why.contains("cannot be read"), "{why}");
    assert!(!lives(pid));
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert_eq!(rig.asked()?.iter().filter(|asked| asked.contains("Begun")).count(), 1);
    rig.finish().await
}

async fn one_whose_output_cannot_be_read_for_a_moment_goes_on(claude: Claude) -> anyhow::Result<()> {
    let rig =
        Rig::builder().claude(claude).faults().env("CARCIN_FAULT_UNREADABLE", "Behind:2").start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!text Before\n!gate on\n!text Behind").await?;
    talk.streamed("Before").await?;
    let pid = talk.pid().await?;
    rig.open_gate("on")?;
    let told = notice(&rig, "What Claude prints cannot be read now: ").await?;
    assert!(told.text.contains("Input/output error"), "{}", told.text);
    assert_eq!(talk.answer_to(prompt).await?, ["Before", "Behind"]);
    let notices = rig.events.log().envelopes().filter(|e| matches!(e.event, Event::Notice(_))).count();
    assert_eq!(notices, 1, "{}", rig.events.log().transcript());
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    assert_eq!(talk.pid().await?, pid);
    rig.finish().await
}

/// A Claude that, when it is resumed for the first time, reads a prompt and does this instead.
fn poisoned(place: &Path, rig: &Rig, instead: &str) -> anyhow::Result<()> {
    let (flag, claude) = (place.with_extension("resumed"), rig.programs().join("carcin-lab-claude"));
    let script = format!(
        r#"#!/bin/sh
case "$*" in
*--resume*)
    if [ ! -e '{flag}' ]; then
        : > '{flag}'
        while read -r line; do
            case "$line" in *'"type":"user"'*) break ;; esac
        done
        id=$(printf '%s' "$line" | sed 's/.*"uuid":"\([^"]*\)".*/\1/')
        {instead}
        exit 0
    fi ;;
esac
exec '{claude}' "$@"
"#,
        flag = flag.display(),
        claude = claude.display()
    );
    std::fs::write(place, script)?;
    Ok(std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755))?)
}

const EMPTY: &str = r#"printf '{"type":"result","subtype":"success","is_error":false,"num_turns":0,"result":"","duration_ms":1}\n'"#;

/// A conversation whose Claude is gone, and whose next one does this.
async fn before_a_poisoned_resume(instead: &str) -> anyhow::Result<(tempfile::TempDir, Rig)> {
    let dir = tempfile::tempdir()?;
    let place = dir.path().join("claude");
    let rig = Rig::builder().claude(Claude::Path(place.clone())).start().await?;
    poisoned(&place, &rig, instead)?;
    let talk = rig.talk("tg:1");
    talk.say("!text Hello").await?;
    talk.idle().await?;
    signal(talk.pid().await?, Signal::SIGKILL)?;
    talk.closed().await?;
    Ok((dir, rig))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_that_ends_before_it_begins_is_tried_again() {
    run(async {
        let (dir, rig) = before_a_poisoned_resume(EMPTY).await?;
        let answer = rig.talk("tg:1").say("!text Answered").await?;
        assert_eq!(answer, ["Answered"]);
        assert!(dir.path().join("claude.resumed").exists());
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_that_answers_nothing_leaves_the_prompt_interrupted() {
    run(async {
        let said = |state: &str| {
            format!(
                r#"printf '{{"type":"command_lifecycle","command_uuid":"%s","state":"{state}"}}\n' "$id""#
            )
        };
        let instead =
            [said("queued"), said("started"), EMPTY.to_owned(), said("completed")].join("\n        ");
        let (dir, rig) = before_a_poisoned_resume(&instead).await?;
        let talk = rig.talk("tg:1");
        let prompt = talk.send("!text Answered").await?;
        let outcome = rig.events.ended(prompt).await?;
        let why = "Claude has ended the turn without an answer";
        assert_eq!(outcome, PromptOutcome::Interrupted(why.to_owned()));
        eventually("the poisoned one to have run", || {
            dir.path().join("claude.resumed").exists().then_some(())
        })
        .await?;
        assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
        rig.finish().await
    })
    .await;
}
