//! Who gets in and what they are told: a second daemon, a peer inside Claude, a subscriber with an odd cursor.

#[macro_use]
mod e2e_support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use carcin_lab::rig::{Claude, PATIENCE, Rig};
use carcin_proto::event::{FileOffered, Notification, PromptOutcome};
use carcin_proto::request::{Gap, GapReason};
use carcin_proto::{Cursor, Event, JournalId, Request, Seq};
use e2e_support::{bash, run};

with_either_claude! {
    what_runs_inside_claude_may_speak_but_not_decide,
    what_claude_started_and_left_may_not_decide_either,
    a_tool_finds_its_own_conversation,
}

/// A prompt that runs `command` with `carcin-ctl` in it as `$CTL`, and says what came of it.
fn with_ctl(command: &str) -> String {
    format!("{}\n!echo-result", bash(&format!("CTL=\"$CARCIN_CTL\"; {command}")))
}

async fn what_runs_inside_claude_may_speak_but_not_decide(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).start().await?;
    let asker = rig.talk("tg:1");
    let waiting = asker.send(&bash("echo run >> $CWD/effects")).await?;
    let request = asker.asked().await?.request;
    let inside = rig.talk("tg:2");
    let tries = [
        format!("\"$CTL\" answer {request} allow"),
        "\"$CTL\" send 'do as I say'".to_owned(),
        "\"$CTL\" --conversation tg:1 stop".to_owned(),
        "timeout 5 \"$CTL\" watch".to_owned(),
        "\"$CTL\" shutdown --yes".to_owned(),
    ];
    for attempt in tries {
        let prompt = inside.send(&with_ctl(&format!("{attempt} 2>&1; echo \"code $?\""))).await?;
        inside.allow().await?;
        let answer = inside.answer_to(prompt).await?.concat();
        assert!(!answer.contains("code 0"), "{attempt}: {answer}");
    }
    assert_eq!(asker.asked().await?.request, request, "it is still open");
    let log = rig.events.log();
    assert_eq!(log.outcome(waiting), None, "it still waits");
    assert!(
        !log.envelopes().any(|e| matches!(&e.event, Event::PromptAccepted(p) if p.text == "do as I say"))
    );
    assert!(!rig.places.work().join("effects").exists());
    asker.stop().await?;
    assert_eq!(rig.events.ended(waiting).await?, PromptOutcome::Cancelled);
    rig.finish().await
}

async fn what_claude_started_and_left_may_not_decide_either(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    let talk = rig.talk("tg:1");
    // Twice removed: its parent is gone, so the tree of processes does not lead to Claude.
    let orphan = "(setsid sh -c '(sleep 0.2; \"$CARCIN_CTL\" send \"do as I say\"; echo \"code $?\") > $CWD/said 2>&1' &)";
    talk.say(&bash(orphan)).await?;
    let said = rig.places.work().join("said");
    let text = e2e_support::eventually("the orphan to be answered", || {
        std::fs::read_to_string(&said).ok().filter(|text| text.contains("code "))
    })
    .await?;
    assert!(text.contains("what runs inside Claude may only use status, notify and send-file"), "{text}");
    assert!(!text.contains("code 0"), "{text}");
    rig.finish().await
}

async fn a_tool_finds_its_own_conversation(claude: Claude) -> anyhow::Result<()> {
    let rig = Rig::builder().claude(claude).permission_mode("bypassPermissions").start().await?;
    rig.talk("tg:1").say("!text Something else").await?;
    let talk = rig.talk("tg:2");
    let file = rig.places.work().join("report.txt");
    std::fs::write(&file, "It is fine.")?;
    let command = format!(
        "\"$CTL\" notify 'half way there' && \"$CTL\" send-file {} && \"$CTL\" status > /dev/null && echo all fine",
        file.display()
    );
    let answer = talk.say(&with_ctl(&command)).await?.concat();
    assert!(answer.contains("all fine"), "{answer}");
    let log = rig.events.log();
    let said: Vec<&Event> = (log.envelopes())
        .filter(|envelope| envelope.conversation == *talk.key())
        .map(|envelope| &envelope.event)
        .filter(|event| matches!(event, Event::Notification(_) | Event::FileOffered(_)))
        .collect();
    let expected = [
        &Event::from(Notification { text: "half way there".to_owned(), topic: String::new() }),
        &Event::from(FileOffered { path: file.canonicalize()?, caption: String::new() }),
    ];
    assert_eq!(said, expected);
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_is_refused_and_told_who_is_there() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        let elsewhere = rig.places.dir().join("elsewhere");
        let elsewhere = elsewhere.to_str().expect("a path of ours");
        let cases = [
            (
                ["--socket", &format!("{elsewhere}.sock")],
                format!("the state directory {}", rig.places.state().display()),
            ),
            (["--state-dir", elsewhere], format!("the socket {}", rig.places.socket().display())),
        ];
        for (flags, what) in cases {
            let mut second = rig.another_daemon(&flags)?;
            let status = second.wait(PATIENCE).await?;
            assert!(!status.success());
            let said = second.log_text();
            let expected = format!("carcind: another carcind (process {}) has {what}", rig.daemon.pid());
            assert!(said.lines().any(|line| line == expected), "{said}\nbut not: {expected}");
        }
        assert_eq!(rig.talk("tg:1").say("!text Undisturbed").await?, ["Undisturbed"]);
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_a_dead_daemon_left_is_replaced() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        rig.kill_daemon().await?;
        assert!(rig.places.socket().exists(), "nothing is left to be replaced");
        rig.restart_daemon().await?;
        rig.request(&Request::Status).await?;
        rig.terminate_daemon().await?;
        assert!(!rig.places.socket().exists(), "an orderly end leaves none");
        std::fs::write(rig.places.socket(), "not a socket")?;
        let mut refused = rig.another_daemon(&[])?;
        assert!(!refused.wait(PATIENCE).await?.success());
        let said = refused.log_text();
        assert!(said.contains("carcind.sock exists and is not a socket"), "{said}");
        std::fs::remove_file(rig.places.socket())?;
        rig.restart_daemon().await?;
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_may_be_in_the_state_directory() {
    run(async {
        let mut rig = Rig::builder().start().await?;
        let dir = rig.places.dir().join("elsewhere");
        let socket = dir.join("carcind.sock");
        let (dir, socket) = (dir.to_str().expect("a path of ours"), socket.to_str().expect("a path of ours"));
        rig.another_daemon(&["--state-dir", dir, "--socket", socket])?.ready().await?;
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_cannot_be_served_gets_a_gap_and_the_state() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        talk.say("!text Hello").await?;
        talk.idle().await?;
        let head = rig.client().await?.welcome().head;
        let foreign = Cursor { journal: JournalId::random(), seq: Seq(1) };
        let beyond = Cursor { journal: rig.journal_id(), seq: Seq(head.0 + 1000) };
        for (cursor, reason) in [(foreign, GapReason::OtherJournal), (beyond, GapReason::BeyondHead)] {
            let events = rig.subscribe(Some(cursor));
            let Gap { reason: told, snapshot } = events.gap().await?;
            assert_eq!(told, reason);
            assert!(snapshot.seq >= head);
            assert!(snapshot.conversations.contains_key(talk.key()));
            let prompt = talk.send("!text Again").await?;
            events.ended(prompt).await?;
        }
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_socket_harms_nobody() {
    run(async {
        let rig = Rig::builder().start().await?;
        for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 4096], &[0xff; 100]] {
            let mut stream = UnixStream::connect(rig.places.socket())?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let _ = stream.write_all(garbage);
            // It says who it is and hangs up, or hangs up at once.
            let _ = stream.read_to_end(&mut Vec::new());
        }
        assert_eq!(rig.talk("tg:1").say("!text Undisturbed").await?, ["Undisturbed"]);
        rig.finish().await
    })
    .await;
}
