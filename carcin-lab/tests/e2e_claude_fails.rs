//! Claude fails, in every way that is known: each gives one clear message and leaves the conversation usable.

#[macro_use]
mod e2e_support;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use carcin_lab::model::Mode;
use carcin_lab::rig::{Claude, REAL_CLAUDE_ENV, Rig, Talk};
use carcin_proto::event::PromptOutcome;
use carcin_proto::{ClientError, RefusalCode};
use e2e_support::death::KILLED;
use e2e_support::{endless_tool, lives, noted_pid, run, slay, told};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

with_either_claude! {
    what_it_had_not_begun_goes_to_the_next_claude,
    a_claude_that_is_not_there_is_told_and_found_once_it_is,
    a_claude_that_exits_at_once_is_told_once,
    a_claude_that_hears_nothing_is_ended_by_a_stop_and_said_to_be,
    a_session_whose_transcript_is_gone_goes_on_in_a_new_one,
    a_session_that_does_not_exist_cannot_be_resumed,
    idle_claude_is_replaced_where_the_environment_changed,
}

async fn still_answers(talk: &Talk) -> anyhow::Result<()> {
    assert_eq!(talk.say("!text Still here").await?, ["Still here"]);
    Ok(())
}

async fn what_it_had_not_begun_goes_to_the_next_claude(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    let begun = talk.send(&endless_tool("tool")).await?;
    noted_pid(&rig.places.work().join("tool")).await?;
    let steering = talk.send("!text The second").await?;
    let queued = talk.queue("!text The third").await?;
    slay(talk.pid().await?)?;
    assert_eq!(rig.events.ended(begun).await?, PromptOutcome::Interrupted(KILLED.to_owned()));
    for (prompt, text) in [(steering, "The second"), (queued, "The third")] {
        let answer = talk.answer_to(prompt).await?;
        assert!(answer.contains(&text.to_owned()), "{answer:?}");
    }
    assert_eq!(told(&rig), [KILLED]);
    rig.finish().await
}

/// A place for a `claude` that is put there and taken away.
fn place_for_claude(dir: &Path) -> PathBuf {
    dir.join("claude")
}

/// Puts the Claude of this kind there, over whatever is there.
fn put(claude: &Claude, rig: &Rig, place: &Path) -> anyhow::Result<()> {
    let program = match claude {
        Claude::Real => {
            PathBuf::from(std::env::var_os(REAL_CLAUDE_ENV).context("the real Claude is not set")?)
        }
        _ => rig.programs().join("carcin-lab-claude"),
    };
    let _ = std::fs::remove_file(place);
    symlink(program.canonicalize()?, place)?;
    Ok(())
}

/// Puts a shell script there.
fn put_script(place: &Path, script: &str) -> anyhow::Result<()> {
    std::fs::write(place, format!("#!/bin/sh\n{script}\n"))?;
    Ok(std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755))?)
}

async fn a_claude_that_is_not_there_is_told_and_found_once_it_is(claude: Claude) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let place = place_for_claude(dir.path());
    let rig = Rig::builder().claude(Claude::Path(place.clone())).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!text Hello").await?;
    let PromptOutcome::Failed(why) = rig.events.ended(prompt).await? else {
        anyhow::bail!("it did not fail")
    };
    assert_eq!(
        why,
        format!(
            "Claude could not be started: cannot run {}: No such file or directory. Install Claude \
             Code, or put the path to it into the configuration",
            place.display()
        )
    );
    talk.closed().await?;
    assert_eq!(told(&rig), [why]);
    put(&claude, &rig, &place)?;
    still_answers(&talk).await?;
    rig.finish().await
}

async fn a_claude_that_exits_at_once_is_told_once(claude: Claude) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let place = place_for_claude(dir.path());
    put_script(&place, "echo 'the moon is wrong' >&2; exit 3")?;
    let rig = Rig::builder().claude(Claude::Path(place.clone())).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!text Hello").await?;
    let why = "Claude ended with exit code 3: the moon is wrong";
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Failed(why.to_owned()));
    talk.closed().await?;
    assert_eq!(told(&rig), [why], "{}", rig.events.log().transcript());
    put(&claude, &rig, &place)?;
    still_answers(&talk).await?;
    rig.finish().await
}

async fn a_claude_that_hears_nothing_is_ended_by_a_stop_and_said_to_be(claude: Claude) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let place = place_for_claude(dir.path());
    put_script(&place, "trap '' INT TERM; exec tail -f /dev/null")?;
    let rig = Rig::builder().claude(Claude::Path(place.clone())).start().await?;
    let talk = rig.talk("tg:1");
    let prompt = talk.send("!text Hello").await?;
    let pid = talk.pid().await?;
    assert_eq!(talk.stop().await?.cancelled, [prompt]);
    assert_eq!(rig.events.ended(prompt).await?, PromptOutcome::Cancelled);
    put(&claude, &rig, &place)?;
    talk.closed().await?;
    assert!(!lives(pid));
    assert_eq!(told(&rig), ["Claude did not stop within 5 s and is ended"]);
    still_answers(&talk).await?;
    rig.finish().await
}

async fn a_session_whose_transcript_is_gone_goes_on_in_a_new_one(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Hello").await?;
    let session = talk.session().await?;
    talk.idle().await?;
    let pid = talk.pid().await?;
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
    talk.closed().await?;
    let before = told(&rig);
    let projects = rig.places.home().join(".claude/projects");
    std::fs::remove_dir_all(projects)?;
    still_answers(&talk).await?;
    let after = told(&rig);
    let sentence =
        format!("The session {session} does not exist any more; the conversation goes on in a new one");
    assert_eq!(after[before.len()..], [sentence]);
    assert_ne!(talk.session().await?, session);
    rig.finish().await
}

async fn a_session_that_does_not_exist_cannot_be_resumed(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Hello").await?;
    let (session, pid) = (talk.session().await?, talk.pid().await?);
    let resumed = talk.resume("00000000-0000").await;
    let Err(ClientError::Refused(refusal)) = resumed else { anyhow::bail!("it was answered {resumed:?}") };
    assert_eq!(refusal.code, RefusalCode::NoSession);
    assert_eq!(refusal.message, "no session begins with 00000000-0000");
    still_answers(&talk).await?;
    assert_eq!((talk.session().await?, talk.pid().await?), (session, pid));
    rig.finish().await
}

async fn idle_claude_is_replaced_where_the_environment_changed(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).env("LAB_TEST_KEY", "old").start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Hello").await?;
    talk.idle().await?;
    let (session, pid) = (talk.session().await?, talk.pid().await?);
    rig.terminate_daemon().await?;
    rig.restart_daemon().await?;
    still_answers(&talk).await?;
    assert_eq!(talk.pid().await?, pid, "a restart alone changes nothing");
    talk.idle().await?;
    rig.terminate_daemon().await?;
    rig.set_env("LAB_TEST_KEY", "new");
    rig.restart_daemon().await?;
    still_answers(&talk).await?;
    assert_ne!(talk.pid().await?, pid);
    assert_eq!(talk.session().await?, session, "the session goes on");
    assert_eq!(told(&rig), Vec::<String>::new());
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real Claude Code CLI: set CARCIN_REAL_CLAUDE"]
async fn real_claude_without_a_login_says_so_at_once_and_is_replaced() {
    run(async {
        let rig = Rig::builder().claude(Claude::Real).start().await?;
        rig.model.set_mode(Mode::Unauthenticated);
        let talk = rig.talk("tg:1");
        let sent = Instant::now();
        let prompt = talk.send("!text Hello").await?;
        let outcome = rig.events.ended(prompt).await?;
        // Ten attempts with growing delays would take minutes.
        let took = sent.elapsed();
        assert!(took < Duration::from_secs(20), "{took:?}");
        let PromptOutcome::Failed(why) = outcome else { anyhow::bail!("{outcome:?}") };
        assert!(why.starts_with("Claude is not logged in. Run `claude` in a terminal"), "{why}");
        assert_eq!(told(&rig), [why], "{}", rig.events.log().transcript());
        talk.idle().await?;
        let pid = talk.pid().await?;
        rig.model.set_mode(Mode::Script);
        // Claude is shown the unanswered prompt too.
        let answer = talk.say("!text Still here").await?;
        assert_eq!(answer.last().map(String::as_str), Some("Still here"));
        assert_ne!(talk.pid().await?, pid, "a fresh one has the current login");
        rig.finish().await
    })
    .await;
}
