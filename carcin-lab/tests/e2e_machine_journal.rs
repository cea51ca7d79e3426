//! The journal is not what the daemon wrote: newer, damaged, or gone. It says so, keeps the file, goes on with what can
//! be read, and no Claude is left to itself.

#[macro_use]
mod e2e_support;

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use carcin_lab::rig::{Claude, PATIENCE, Rig};
use carcin_proto::event::{PromptOutcome, Settlement};
use carcin_proto::request::{Decision, Gap, GapReason};
use carcin_proto::{Cursor, Event, Seq};
use e2e_support::journal::{fold, log_of, path as journal};
use e2e_support::{bash, lines, lives, run, status, status_says};

with_either_claude! {
    a_journal_that_is_garbage_is_begun_anew_and_claude_goes_on,
    a_journal_that_is_empty_is_begun_anew_and_claude_goes_on,
    a_journal_that_is_cut_in_half_is_begun_anew_and_claude_goes_on,
    a_journal_that_is_overwritten_in_the_middle_is_begun_anew_and_claude_goes_on,
    a_journal_whose_log_is_overwritten_is_begun_anew_and_claude_goes_on,
    a_journal_that_is_gone_is_begun_anew_and_claude_goes_on,
    what_can_be_read_of_a_damaged_journal_is_gone_on_with,
    a_question_that_was_open_in_a_lost_journal_is_asked_again,
    a_journal_removed_under_the_daemon_is_begun_anew_and_claude_goes_on,
}

/// The files that were put aside.
fn kept(rig: &Rig) -> Vec<PathBuf> {
    let entries = fs::read_dir(rig.places.state()).into_iter().flatten().flatten();
    let is_kept = |path: &PathBuf| path.to_string_lossy().contains("journal.db.corrupt-");
    let mut kept: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_kept).collect();
    kept.retain(|path| {
        !path.to_string_lossy().ends_with("-wal") && !path.to_string_lossy().ends_with("-shm")
    });
    kept
}

async fn a_journal_that_is_garbage_is_begun_anew_and_claude_goes_on(claude: Claude) -> anyhow::Result<()> {
    let garbage = |journal: &Path| {
        // As long as its log has all that is in it, the journal can be anything.
        fold(journal)?;
        Ok(fs::write(journal, vec![0xA5; 100_000])?)
    };
    damaged(claude, true, garbage).await
}

async fn a_journal_that_is_empty_is_begun_anew_and_claude_goes_on(claude: Claude) -> anyhow::Result<()> {
    let empty = |journal: &Path| {
        fs::remove_file(log_of(journal))?;
        Ok(fs::write(journal, "")?)
    };
    damaged(claude, true, empty).await
}

async fn a_journal_that_is_cut_in_half_is_begun_anew_and_claude_goes_on(
    claude: Claude,
) -> anyhow::Result<()> {
    let cut = |journal: &Path| {
        fold(journal)?;
        let length = fs::metadata(journal)?.len();
        Ok(OpenOptions::new().write(true).open(journal)?.set_len(length / 2)?)
    };
    damaged(claude, true, cut).await
}

async fn a_journal_that_is_overwritten_in_the_middle_is_begun_anew_and_claude_goes_on(
    claude: Claude,
) -> anyhow::Result<()> {
    let overwrite = |journal: &Path| {
        fold(journal)?;
        overwrite_pages(journal, 1)
    };
    damaged(claude, true, overwrite).await
}

async fn a_journal_whose_log_is_overwritten_is_begun_anew_and_claude_goes_on(
    claude: Claude,
) -> anyhow::Result<()> {
    let overwrite = |journal: &Path| {
        let file = OpenOptions::new().write(true).open(log_of(journal))?;
        let middle = file.metadata()?.len() / 2;
        Ok(file.write_all_at(&[0xA5; 5000], middle)?)
    };
    damaged(claude, true, overwrite).await
}

async fn a_journal_that_is_gone_is_begun_anew_and_claude_goes_on(claude: Claude) -> anyhow::Result<()> {
    damaged(claude, false, |journal| Ok(fs::remove_file(journal)?)).await
}

/// Overwrites all pages but the first few.
fn overwrite_pages(journal: &Path, spared: u64) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().write(true).open(journal)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(spared * 4096))?;
    let rest = usize::try_from(length - spared * 4096)?;
    Ok(file.write_all(&vec![0xA5; rest])?)
}

/// Waits until the rig's subscriber is told that the journal is another.
async fn gap(rig: &Rig) -> anyhow::Result<Gap> {
    let gap = rig.events.gap().await?;
    assert_eq!(gap.reason, GapReason::OtherJournal);
    Ok(gap)
}

/// A Claude works while the daemon is away and its journal is damaged.
async fn damaged(
    claude: Claude,
    is_kept: bool,
    damage: fn(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Something to remember").await?;
    let session = talk.session().await?;
    talk.send("!stream 30 words\n!gate on\n!text After the damage").await?;
    talk.streamed("[30]").await?;
    let pid = talk.pid().await?;
    rig.kill_daemon().await?;
    damage(&journal(&rig))?;
    rig.restart_daemon().await?;
    assert_eq!(kept(&rig).len(), usize::from(is_kept), "{}", rig.daemon.log_text());
    let told = status(&rig).await?.problems;
    let said = |problem: &String| {
        problem.contains("the journal was damaged") && problem.contains("journal.db.corrupt-")
    };
    assert_eq!(told.iter().any(said), is_kept, "{told:?}");
    let gap = gap(&rig).await?;
    assert!(gap.snapshot.conversations.contains_key(talk.key()), "{gap:?}");
    assert_eq!(talk.pid().await?, pid, "the same Claude");
    assert_eq!(talk.session().await?, session);
    rig.open_gate("on")?;
    let said = |event: &Event| matches!(event, Event::TextBlock(block) if block.text == "After the damage");
    rig.events.wait_for("the rest of the turn", |e| said(&e.event)).await?;
    talk.idle().await?;
    // The new journal may count the turns anew.
    assert_eq!(talk.say("!text Still here").await?.last().map(String::as_str), Some("Still here"));
    assert_eq!(talk.pid().await?, pid);
    // Once more, since the new journal is a journal.
    rig.kill_daemon().await?;
    rig.restart_daemon().await?;
    assert_eq!(talk.say("!text And still").await?.last().map(String::as_str), Some("And still"));
    assert_eq!(talk.pid().await?, pid);
    assert_eq!(kept(&rig).len(), usize::from(is_kept));
    rig.discard();
    Ok(())
}

/// The events are lost, which are the most of it; the rows are not.
async fn what_can_be_read_of_a_damaged_journal_is_gone_on_with(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    talk.say("!text Something to remember").await?;
    let running = talk.send("!stream 30 words\n!gate on\n!text After the damage").await?;
    talk.streamed("[30]").await?;
    let waiting = talk.queue("!text What waited").await?;
    let pid = talk.pid().await?;
    let asker = rig.talk("tg:2");
    asker.send(&bash("echo run >> $CWD/effects")).await?;
    let request = asker.asked().await?.request;
    rig.kill_daemon().await?;
    let path = journal(&rig);
    fold(&path)?;
    let root: i64 = rusqlite::Connection::open(&path)?.query_row(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'event'",
        [],
        |row| row.get(0),
    )?;
    let file = OpenOptions::new().write(true).open(&path)?;
    file.write_all_at(&[0xA5; 4096], u64::try_from(root - 1)? * 4096)?;
    drop(file);
    rig.restart_daemon().await?;
    assert_eq!(kept(&rig).len(), 1, "{}", rig.daemon.log_text());
    gap(&rig).await?;
    assert_eq!(talk.pid().await?, pid);
    rig.open_gate("on")?;
    assert_eq!(rig.events.ended(running).await?, PromptOutcome::Completed);
    assert!(talk.answer_to(waiting).await?.contains(&"What waited".to_owned()));
    assert_eq!(asker.asked().await?.request, request, "it is the same question");
    let settled = asker.answer(&request, Decision::Allow, "Alex").await?;
    assert_eq!(settled, Settlement::Allowed);
    asker.idle().await?;
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    let conversations = status(&rig).await?.conversations;
    assert!(conversations.iter().all(|at| at.queued == 0 && at.pending == 0), "{conversations:?}");
    rig.discard();
    Ok(())
}

async fn a_question_that_was_open_in_a_lost_journal_is_asked_again(claude: Claude) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    talk.send(&format!("{}\n!text Done", bash("echo run >> $CWD/effects"))).await?;
    let request = talk.asked().await?.request;
    let pid = talk.pid().await?;
    rig.kill_daemon().await?;
    fs::remove_file(journal(&rig))?;
    rig.restart_daemon().await?;
    gap(&rig).await?;
    assert_eq!(talk.pid().await?, pid);
    assert_eq!(talk.asked().await?.request, request);
    talk.answer(&request, Decision::Allow, "Alex").await?;
    let said = |event: &Event| matches!(event, Event::TextBlock(block) if block.text == "Done");
    rig.events.wait_for("the rest of the turn", |e| said(&e.event)).await?;
    assert_eq!(lines(&rig.places.work().join("effects")), ["run"]);
    rig.discard();
    Ok(())
}

async fn a_journal_removed_under_the_daemon_is_begun_anew_and_claude_goes_on(
    claude: Claude,
) -> anyhow::Result<()> {
    let mut rig = Rig::builder().claude(claude).start().await?;
    let talk = rig.talk("tg:1");
    talk.send("!stream 30 words\n!gate on\n!text After the loss").await?;
    talk.streamed("[30]").await?;
    let pid = talk.pid().await?;
    fs::remove_file(journal(&rig))?;
    let ended = rig.daemon.wait(PATIENCE).await?;
    assert_eq!(ended.code(), Some(1));
    assert!(rig.daemon.log_text().contains("was removed; the next start begins a new one"));
    assert!(lives(pid));
    rig.restart_daemon().await?;
    gap(&rig).await?;
    assert_eq!(talk.pid().await?, pid);
    rig.open_gate("on")?;
    let said = |event: &Event| matches!(event, Event::TextBlock(block) if block.text == "After the loss");
    rig.events.wait_for("the rest of the turn", |e| said(&e.event)).await?;
    rig.discard();
    Ok(())
}

/// What was cached is read again once the journal is written to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_damaged_under_the_daemon_is_mended_by_the_next_start() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        talk.send("!stream 30 words\n!gate on\n!text After the damage").await?;
        talk.streamed("[30]").await?;
        let pid = talk.pid().await?;
        let path = journal(&rig);
        fold(&path)?;
        overwrite_pages(&path, 1)?;
        let other = rig.talk("tg:2");
        let sent = tokio::spawn(async move {
            for n in 0.. {
                if other.queue(&format!("!text {n}")).await.is_err() {
                    return;
                }
            }
        });
        // Whoever reads, meets it too.
        let _reader = rig.subscribe(Some(Cursor { journal: rig.journal_id(), seq: Seq(0) }));
        let ended = rig.daemon.wait(PATIENCE).await?;
        sent.await?;
        assert_eq!(ended.code(), Some(1));
        let said = rig.daemon.log_text();
        assert!(
            said.contains("carcind: the next start saves what can be read; the Claudes go on: the journal"),
            "{said}"
        );
        assert!(lives(pid));
        rig.restart_daemon().await?;
        assert_eq!(kept(&rig).len(), 1, "{}", rig.daemon.log_text());
        gap(&rig).await?;
        assert_eq!(talk.pid().await?, pid);
        rig.open_gate("on")?;
        let said =
            |event: &Event| matches!(event, Event::TextBlock(block) if block.text == "After the damage");
        rig.events.wait_for("the rest of the turn", |e| said(&e.event)).await?;
        rig.discard();
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_of_a_newer_carcind_is_left_alone() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        rig.talk("tg:1").say("!text Hello").await?;
        rig.kill_daemon().await?;
        let path = journal(&rig);
        let connection = rusqlite::Connection::open(&path)?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        connection.pragma_update(None, "user_version", 99)?;
        drop(connection);
        let mut refused = rig.another_daemon(&[])?;
        let ended = refused.wait(PATIENCE).await?;
        let said = refused.log_text();
        let expected = format!("is of version 99, this carcind knows {version}; upgrade carcind");
        assert!(ended.code() == Some(2) && said.contains(&expected), "{ended}: {said}");
        assert!(kept(&rig).is_empty());
        rusqlite::Connection::open(&path)?.pragma_update(None, "user_version", version)?;
        rig.restart_daemon().await?;
        assert_eq!(rig.talk("tg:1").say("!text Still here").await?, ["Still here"]);
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_front_end_whose_journal_is_gone_says_so_in_a_line_and_goes_on() {
    run(async {
        let mut rig = Rig::builder().front().start().await?;
        rig.write("!text Hello")?;
        rig.sees("Hello").await?;
        rig.write("!stream 30 words\n!gate on\n!text After the loss")?;
        let talk = rig.owners_talk();
        talk.streamed("[30]").await?;
        let pid = talk.pid().await?;
        rig.kill_daemon().await?;
        fs::remove_file(journal(&rig))?;
        rig.restart_daemon().await?;
        let line = rig.sees("journal").await?.text().to_owned();
        assert_eq!(line.lines().count(), 1, "{line}");
        rig.open_gate("on")?;
        rig.sees("After the loss").await?;
        assert_eq!(talk.pid().await?, pid);
        rig.write("!text Still here")?;
        rig.sees("Still here").await?;
        let front = rig.front.as_mut().expect("it was started");
        assert!(front.is_running());
        status_says(&rig, "the front end", |status| (!status.clients.is_empty()).then_some(())).await?;
        rig.discard();
        Ok(())
    })
    .await;
}
