//! The state directory is not as it should be, at the start or later; and what the exit code says.

#[macro_use]
mod e2e_support;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use carcin_lab::rig::{Claude, PATIENCE, Rig, check};
use carcin_proto::event::{PromptOutcome, TurnOutcome};
use carcin_proto::{Cursor, Envelope, Event, Seq};
use e2e_support::disk::{Disk, Kind, skip};
use e2e_support::front::Front;
use e2e_support::{endless_tool, eventually, lives, noted_pid, run, slay, status_says, stops_unanswered};

with_either_claude! {
    read_only_under_the_daemon_what_runs_goes_on_and_what_begins_waits,
    on_a_disk_that_fails_a_stop_gets_through_and_what_was_kept_is_there_after_its_repair,
    removed_under_the_daemon_it_ends_what_nobody_could_find_again,
    moved_away_under_the_daemon_it_ends_what_nobody_could_find_again,
    with_the_childrens_files_gone_it_ends_what_nobody_could_find_again,
}

/// Starts a daemon that ends by itself; its exit code and what it said.
async fn ends(rig: &mut Rig, flags: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let mut daemon = rig.another_daemon(flags)?;
    let status = daemon.wait(PATIENCE).await?;
    Ok((status.code(), daemon.log_text()))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a test's paths are text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_does_not_do_is_not_tried_again() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        let file = rig.places.dir().join("other.toml");
        let cases = [
            ("[claude\n", "is not understood"),
            ("sockte = \"/x\"\n", "unknown field `sockte`"),
            ("[claude]\nmodle = \"x\"\n", "unknown field `modle`"),
            ("[limits]\nfree_floor_mb = -1\n", "is not understood"),
            ("[claude]\nidle_minutes = 0\n", "idle_minutes must be"),
            ("[claude]\nlauncher = \"rocket\"\n", "unknown variant `rocket`"),
            ("[claude]\nmemory_max = \"much\"\n", "is not understood"),
        ];
        for (content, expected) in cases {
            fs::write(&file, content)?;
            let (code, said) = ends(&mut rig, &["--config", text(&file)]).await?;
            assert!(code == Some(2) && said.contains(expected), "{content}: {code:?} {said}");
        }
        let missing = rig.places.dir().join("missing");
        let (code, said) = ends(&mut rig, &["--config", text(&missing)]).await?;
        assert!(code == Some(2) && said.contains("cannot read the configuration"), "{code:?} {said}");
        let (code, said) = ends(&mut rig, &["--working-dir", text(&missing)]).await?;
        assert!(code == Some(2) && said.contains("does not exist\nhint: create it"), "{code:?} {said}");
        let (code, _) = ends(&mut rig, &["--no-such-flag"]).await?;
        assert_eq!(code, Some(2));
        // What is another's to end passes.
        let (code, said) = ends(&mut rig, &[]).await?;
        assert!(code == Some(1) && said.contains("another carcind"), "{code:?} {said}");
        // The front end's part is none of the daemon's business.
        rig.terminate_daemon().await?;
        fs::write(&file, "[telegram]\nwhatever = 1\n[limits]\nfree_floor_mb = 1\n")?;
        rig.another_daemon(&["--config", text(&file)])?.ready().await?;
        rig.discard();
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_directory_that_others_can_use_is_refused() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        for (mode, done) in [(0o777, "written to"), (0o733, "written to"), (0o755, "read")] {
            let dir = rig.places.dir().join(format!("state-{mode:o}"));
            fs::create_dir(&dir)?;
            fs::set_permissions(&dir, fs::Permissions::from_mode(mode))?;
            let (code, said) = ends(&mut rig, &["--state-dir", text(&dir)]).await?;
            let expected = format!("can be {done} by others (mode {mode:03o})\nhint: chmod 700 ");
            assert!(code == Some(2) && said.contains(&expected), "{code:?} {said}");
        }
        let file = rig.places.dir().join("file");
        fs::write(&file, "")?;
        let (code, said) = ends(&mut rig, &["--state-dir", text(&file)]).await?;
        assert!(code == Some(2) && said.contains("cannot create the state directory"), "{code:?} {said}");
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_directory_of_another_user_is_refused() {
    run(async {
        if !nix::unistd::geteuid().is_root() {
            return skip("giving a directory to another user needs root");
        }
        let mut rig = Rig::builder().start().await?;
        let dir = rig.places.dir().join("foreign");
        fs::create_dir(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        std::os::unix::fs::chown(&dir, Some(12345), None)?;
        let (code, said) = ends(&mut rig, &["--state-dir", text(&dir)]).await?;
        let expected = "belongs to another user (uid 12345, this is uid 0)";
        assert!(code == Some(2) && said.contains(expected), "{code:?} {said}");
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_directory_that_is_read_only_is_refused_until_it_is_not() {
    run(async {
        let Some(disk) = Disk::mount(Kind::Tmpfs, 64)? else { return Ok(()) };
        let mut rig = Rig::builder().limits("free_floor_mb = 1").start().await?;
        rig.terminate_daemon().await?;
        let dir = disk.path().join("state");
        let flags = ["--state-dir", text(&dir)];
        disk.read_only(true)?;
        let (code, said) = ends(&mut rig, &flags).await?;
        assert!(code == Some(1) && said.contains("cannot create the state directory"), "{code:?} {said}");
        disk.read_only(false)?;
        let mut daemon = rig.another_daemon(&flags)?;
        daemon.ready().await?;
        // As long as one has a file open to write to it, this cannot be done.
        daemon.kill().await?;
        disk.read_only(true)?;
        let (code, said) = ends(&mut rig, &flags).await?;
        let expected = "cannot be written to: EROFS: Read-only file system";
        assert!(
            code == Some(1) && (said.contains(expected) || said.contains("Read-only file system")),
            "{said}"
        );
        assert!(said.contains("hint: mount its file system read-write"), "{said}");
        disk.read_only(false)?;
        rig.another_daemon(&flags)?.ready().await?;
        rig.discard();
        Ok(())
    })
    .await;
}

/// As seen by all who open something from then on. What is open stays so: the kernel takes nobody's file away.
async fn read_only_under_the_daemon_what_runs_goes_on_and_what_begins_waits(
    claude: Claude,
) -> anyhow::Result<()> {
    let Some(disk) = Disk::mount(Kind::Tmpfs, 300)? else { return Ok(()) };
    let rig = Rig::builder().claude(claude).limits("free_floor_mb = 1").state(&disk.path().join("state"));
    let rig = rig.start().await?;
    let (talk, other) = (rig.talk("tg:1"), rig.talk("tg:2"));
    let running = talk.send("!stream 30 words\n!gate on\n!text After").await?;
    talk.streamed("[30]").await?;
    let cover = disk.cover_read_only()?;
    let waiting = other.send("!text Begun later").await?;
    let why = rig
        .events
        .wait_for("why it waits", |e| e.conversation == *other.key() && matches!(e.event, Event::Notice(_)))
        .await?;
    let Event::Notice(why) = why.event else { unreachable!() };
    assert!(why.text.starts_with("Claude cannot be started now: "), "{why:?}");
    assert!(why.text.contains("Read-only file system"), "{why:?}");
    rig.open_gate("on")?;
    let said = talk.answer_to(running).await?;
    assert!(said[0].contains("[30]") && said[1] == "After", "{said:?}");
    assert_eq!(talk.say("!text And more").await?, ["And more"]);
    assert_eq!(rig.events.log().outcome(waiting), None, "it waits");
    drop(cover);
    assert_eq!(other.answer_to(waiting).await?, ["Begun later"]);
    status_says(&rig, "nothing to be wrong", |status| status.problems.is_empty().then_some(())).await?;
    rig.finish().await
}

async fn on_a_disk_that_fails_a_stop_gets_through_and_what_was_kept_is_there_after_its_repair(
    claude: Claude,
) -> anyhow::Result<()> {
    let Some(disk) = Disk::mount(Kind::Ext4, 300)? else { return Ok(()) };
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").limits("free_floor_mb = 1");
    let mut rig = rig.state(&disk.path().join("state")).start().await?;
    let (talk, other) = (rig.talk("tg:1"), rig.talk("tg:2"));
    assert_eq!(other.say("!text Kept").await?, ["Kept"]);
    let prompt = talk.send(&endless_tool("tool")).await?;
    let tool = noted_pid(&rig.places.work().join("tool")).await?;
    // The tool may be quicker than the journal, and what is on no disk has not begun.
    rig.events.wait("the prompt to be known as begun", |log| log.turn_of(prompt)).await?;
    let claudes = [talk.pid().await?, other.pid().await?];
    if !disk.fail()? {
        return rig.finish().await;
    }
    let refused = tokio::spawn(async move { other.send("!text Never kept").await });
    let problem = |problem: &String| problem.contains("nothing can be kept");
    status_says(&rig, "the trouble", |status| status.problems.iter().any(problem).then_some(())).await?;
    let stop = stops_unanswered(&talk, tool).await?;
    assert!(!stop.is_finished() && !refused.is_finished(), "nothing is answered before it is durable");
    rig.kill_daemon().await?;
    assert!(refused.await?.is_err() && stop.await?.is_err(), "neither was kept");
    for pid in claudes.into_iter().filter(|pid| lives(*pid)) {
        slay(pid)?;
    }
    eventually("the Claudes to be gone", || claudes.iter().all(|pid| !lives(*pid)).then_some(())).await?;
    eventually("the disk to be free", || disk.repair().ok()).await?;
    rig.restart_daemon().await?;
    // What was told last, and synced by nobody, may be gone; as after a power loss, whoever was told it is ahead.
    let anew = rig.subscribe(Some(Cursor { journal: rig.journal_id(), seq: Seq(0) }));
    assert!(matches!(anew.ended(prompt).await?, PromptOutcome::Interrupted(_)));
    let kept = |e: &Envelope| matches!(&e.event, Event::TextBlock(block) if block.text == "Kept");
    anew.wait_for("what was kept", kept).await?;
    for key in ["tg:1", "tg:2"] {
        // The rig's own subscriber is one of those who are ahead.
        let front = Front { events: anew.clone(), ..Front::new(&rig, key) };
        assert_eq!(front.say("after", "!text Still here").await?, PromptOutcome::Completed);
        assert_eq!(front.times_said("Still here"), 1);
    }
    let asked = rig.asked()?;
    assert!(!asked.iter().any(|prompt| prompt.contains("Never kept")), "{asked:?}");
    status_says(&rig, "nothing to be wrong", |status| status.problems.is_empty().then_some(())).await?;
    check(&rig.journal().await?).map_err(|wrong| anyhow::anyhow!("the journal is wrong:\n{wrong}"))?;
    rig.discard();
    Ok(())
}

async fn removed_under_the_daemon_it_ends_what_nobody_could_find_again(claude: Claude) -> anyhow::Result<()> {
    vanishes(claude, removed, "state directory").await
}

async fn moved_away_under_the_daemon_it_ends_what_nobody_could_find_again(
    claude: Claude,
) -> anyhow::Result<()> {
    vanishes(claude, |state| Ok(fs::rename(state, state.with_extension("away"))?), "state directory").await
}

async fn with_the_childrens_files_gone_it_ends_what_nobody_could_find_again(
    claude: Claude,
) -> anyhow::Result<()> {
    vanishes(claude, |state| removed(&state.join("children")), "children in it").await
}

/// Removes a folder in which files are still made.
fn removed(folder: &Path) -> anyhow::Result<()> {
    for _ in 0..100 {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            done => return Ok(done?),
        }
    }
    anyhow::bail!("files are made in {} as fast as they are removed", folder.display())
}

async fn vanishes(
    claude: Claude,
    take_away: fn(&Path) -> anyhow::Result<()>,
    what: &str,
) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    talk.send(&endless_tool("tool")).await?;
    let tool = noted_pid(&rig.places.work().join("tool")).await?;
    let pid = talk.pid().await?;
    take_away(&rig.places.state())?;
    let status = rig.daemon.wait(PATIENCE).await?;
    let said = rig.daemon.log_text();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("carcind: the {what} ")), "{said}");
    assert!(said.contains("is gone: it was removed, moved or replaced while carcind ran"), "{said}");
    eventually("Claude and its tool to be ended", || (!lives(pid) && !lives(tool)).then_some(())).await?;
    // Whoever listened was told.
    let by = "carcind, because its state directory is gone";
    rig.events
        .wait_for(
            "the end of the turn",
            |e| matches!(&e.event, Event::TurnEnded(t) if t.outcome == TurnOutcome::Stopped(by.to_owned())),
        )
        .await?;
    rig.restart_daemon().await?;
    if rig.client().await?.welcome().journal != rig.journal_id() {
        // What is said before the subscriber is there, it would have as a state alone.
        rig.events.gap().await?;
    }
    let answer = rig.talk("tg:2").say("!text Anew").await?;
    assert_eq!(answer, ["Anew"]);
    rig.discard();
    Ok(())
}
