//! The same for what else is kept: sessions, what was used, reminders, voices, albums. Here the daemon answers late,
//! and everything twice; and at last in a way that means nothing.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use carcin_lab::telegram::{ChatMessage, Fault, FaultKind, MediaKind, SentFile};
use carcin_proto::event::{ProcessStarted, TurnEnded, TurnOutcome, Usage};
use carcin_proto::request::{Refusal, RefusalCode, SessionSummary};
use carcin_proto::{Millis, Reply, Request, TurnId};
use support::daemon::{Scripted, State};
use support::death::{begins, count, offered, press_twice, said, stage, texts, through_deaths, write_twice};
use support::events::{permission, text, turn_ended, turn_started};
use support::{ANN, HERE, PIXEL, Rig, SOON};

/// The stage, with a daemon that takes its time and says everything twice.
async fn slow_stage() -> Rig {
    let rig = stage().await;
    rig.daemon.state().late = Some(Duration::from_millis(30));
    rig
}

fn session(id: &str) -> SessionSummary {
    SessionSummary {
        session: id.parse().expect("an id"),
        title: format!("the one called {id}"),
        cwd: None,
        branch: None,
        modified: Millis(0),
        size: 1,
        conversation: None,
    }
}

/// What was done with the conversation, in order; what was done again at once counts once.
fn course(state: &State) -> Vec<String> {
    let step = |request: &Request| match request {
        Request::Submit(submit) => Some(submit.text.clone()),
        Request::New(new) => Some(format!("new {:?}", new.cwd)),
        Request::Resume(resume) => Some(format!("resume {} {}", resume.session, resume.force)),
        _ => None,
    };
    let mut steps: Vec<String> = state.asked.iter().filter_map(step).collect();
    steps.dedup();
    steps
}

#[tokio::test]
async fn sessions_are_begun_left_and_resumed_in_order_with_the_prompts() {
    let rig = slow_stage().await;
    rig.daemon.script(|request| match request {
        Request::Resume(resume) if resume.session == "5e55-open" && !resume.force => {
            let refusal = Refusal::new(RefusalCode::SessionOpen, "the session is open in a terminal");
            let hint = "close it there, or take it over with --force";
            Scripted::Reply(Box::new(Reply::Refused(refusal.hint(hint))))
        }
        Request::Resume(resume) => Scripted::Reply(Box::new(Reply::Resumed(session(&resume.session)))),
        Request::Submit(submit) if submit.text == "too much" => Scripted::Reply(Box::new(Reply::Refused(
            Refusal::new(RefusalCode::Full, "64 prompts wait already"),
        ))),
        _ => Scripted::Usual,
    });
    let scene = async {
        for text in ["one", "/new", "two", "/resume 5e55-first", "three", "/clear", "four", "/new /srv/app"] {
            write_twice(&rig, text);
        }
        write_twice(&rig, "too much");
        write_twice(&rig, "/resume 5e55-open");
        press_twice(&rig, "If both go on with it", "Take it over").await;
        rig.sees("the one called 5e55-open").await;
        write_twice(&rig, "five");
        rig.daemon.wait_for_prompt("five").await;
    };
    let ((), deaths) = through_deaths(&rig, scene).await;
    let steps = [
        "one",
        "new None",
        "two",
        "resume 5e55-first false",
        "three",
        "new None",
        "four",
        "new Some(\"/srv/app\")",
        "too much",
        "resume 5e55-open false",
        "resume 5e55-open true",
        "five",
    ];
    assert_eq!(course(&rig.daemon.state()), steps);
    assert_eq!(texts(&rig), ["one", "two", "three", "four", "five"]);
    for once in [
        "the one called 5e55-first",
        "🧹 Forgotten",
        "If both go on",
        "64 prompts wait",
        "🆕 The next message begins",
        "in /srv/app",
    ] {
        assert_eq!(said(&rig, once), 1, "{once}");
    }
    assert!(deaths > 15, "only {deaths}");
}

#[tokio::test]
async fn what_a_turn_has_used_is_counted_once() {
    let rig = slow_stage().await;
    let turn = |number: u64, cost: u64| {
        let usage = Usage { cost_micro_usd: cost, input_tokens: 500, output_tokens: 10, ..Usage::default() };
        TurnEnded { turn: TurnId(number), outcome: TurnOutcome::Completed, duration: Millis(1), usage }
    };
    let scene = async {
        begins(&rig).await;
        rig.daemon.emit(HERE, ProcessStarted { pid: 7, adopted: false });
        for number in 1..=6 {
            if number > 1 {
                rig.daemon.emit(HERE, turn_started(number));
            }
            rig.daemon.emit(HERE, text(number, &format!("answer {number}")));
            rig.daemon.emit(HERE, turn(number, number * 500_000));
            rig.sees(&format!("answer {number}")).await;
        }
        write_twice(&rig, "/usage");
        rig.sees("This session").await
    };
    let (told, deaths) = through_deaths(&rig, scene).await;
    assert!(told.text().contains("$3.00 · 6 turns · 3.0k tokens in"), "{}", told.text());
    for number in 1..=6 {
        assert_eq!(said(&rig, &format!("answer {number}")), 1, "{number}");
    }
    assert_eq!(said(&rig, "This session"), 1);
    assert!(deaths > 6, "only {deaths}");
}

#[tokio::test]
async fn of_an_open_question_one_is_reminded_once_however_often_the_bot_dies() {
    let rig = slow_stage().await;
    let scene = async {
        begins(&rig).await;
        rig.daemon.emit(HERE, permission(1, "req-1"));
        let (question, _) = offered(&rig, "May I use Bash?", "Allow once").await;
        // A quarter of an hour passes, and another one after the reminder.
        let passes = || rig.store().execute("UPDATE request SET at = at - 900000", []).expect("writes");
        passes();
        let reminder = rig.sees("Still waiting for your answer").await;
        passes();
        // The card's clock moves whenever somebody could be reminded.
        for _ in 0..2 {
            let before = rig.telegram.mark();
            let moved =
                |call: &carcin_lab::telegram::Call| call.seq > before && call.method == "editMessageText";
            rig.telegram
                .wait_for("the clock to move", SOON, |state| state.calls.iter().any(moved).then_some(()))
                .await
                .expect("it moves");
        }
        press_twice(&rig, "May I use Bash?", "Allow once").await;
        rig.sees("✅ Allowed by Ann").await;
        let over = |message: &ChatMessage| {
            message.reply_to.is_some() && message.text().contains("✅ Allowed by Ann")
        };
        rig.telegram
            .wait_for("the reminder's end", SOON, |state| state.visible(ANN).any(over).then_some(()))
            .await
            .expect("it ends");
        (question.id, reminder)
    };
    let ((question, reminder), deaths) = through_deaths(&rig, scene).await;
    // Of a message that was on its way at a death there may be another one.
    assert!(reminder.reply_to.is_some_and(|id| id >= question) && !reminder.silent, "{reminder:?}");
    assert_eq!(said(&rig, "Still waiting for your answer"), 1);
    assert_eq!(said(&rig, "May I use Bash?"), 1);
    assert!(deaths > 6, "only {deaths}");
}

#[tokio::test]
async fn a_voice_and_an_album_are_each_one_prompt_with_all_that_they_bring() {
    let mut rig = slow_stage().await;
    rig.config = rig.dir.path().join("config.toml");
    std::fs::write(&rig.config, "[telegram]\ntranscribe = \"cat {file}\"\n").expect("writes");
    let picture = |n: u8| SentFile::photo(format!("{n}.png"), [PIXEL, &[n]].concat());
    let scene = async {
        let voice = SentFile::new(MediaKind::Voice, "voice.ogg", b"fix the tests".to_vec());
        let id = rig.telegram.send_file(ANN, ANN, voice).expect("sent");
        rig.telegram.redeliver(ANN, id).expect("redelivered");
        rig.daemon.wait_for_prompt("fix the tests").await;
        rig.sees("🎙 fix the tests").await;
        // The second of three is half there when it is cut off.
        rig.telegram.fault(Fault::on("getFile", FaultKind::CloseAfter).after(1));
        let mut album: Vec<SentFile> = (1..=3).map(picture).collect();
        album[0].caption = "compare these".into();
        let ids = rig.telegram.send_album(ANN, ANN, None, album).expect("sent");
        for id in ids {
            rig.telegram.redeliver(ANN, id).expect("redelivered");
        }
        let (_, images) = rig.prompt_with("compare these").await;
        write_twice(&rig, "last");
        rig.daemon.wait_for_prompt("last").await;
        images
    };
    let (images, deaths) = through_deaths(&rig, scene).await;
    let last: Vec<u8> =
        images.iter().map(|image| *std::fs::read(image).expect("a file").last().expect("a byte")).collect();
    assert_eq!(last, [1, 2, 3]);
    let texts = texts(&rig);
    assert_eq!(texts.len(), 3, "{texts:#?}");
    assert_eq!(said(&rig, "🎙 fix the tests"), 1);
    let folder = images[0].parent().expect("a folder");
    let kept = std::fs::read_dir(folder).expect("it is there").count();
    assert_eq!(kept, 4, "the voice and three pictures, and nothing half");
    assert!(deaths > 10, "only {deaths}");
}

#[tokio::test]
async fn stop_and_do_this_is_done_once_when_the_daemon_is_back() {
    let mut rig = Rig::new().await;
    begins(&rig).await;
    rig.write("do this");
    let (note, data) = offered(&rig, "do this", "Stop and do this").await;
    rig.daemon.kill().await;
    let press = rig.telegram.forge_press(ANN, ANN, note.id, &data);
    assert!(rig.toast(press).await.contains("is kept and will be delivered"));
    rig.kill_bot().await;
    rig.start_bot();
    // The first stop is carried out, and the daemon dies before it says so.
    let stopped = Arc::new(Mutex::new(0));
    let times = Arc::clone(&stopped);
    rig.daemon.script(move |request| match request {
        Request::Stop(_) => {
            let mut times = times.lock().expect("no test panics with it");
            *times += 1;
            if *times == 1 { Scripted::Garbage(Vec::new()) } else { Scripted::Usual }
        }
        _ => Scripted::Usual,
    });
    rig.daemon.start();
    rig.sees("Stopped for this").await;
    rig.write("/status");
    rig.sees("carcind 9.9.9").await;
    assert_eq!(rig.daemon.waiting(), ["do this"]);
    let state = rig.daemon.state();
    assert_eq!(
        count(&state, |request| matches!(request, Request::Stop(_))),
        2,
        "the one that was cut off, again"
    );
    assert_eq!((state.order.len(), state.withdrawn.len()), (3, 1), "{:#?}", state.order);
}

#[tokio::test]
async fn an_answer_of_the_daemons_that_means_nothing_loses_nothing_in_silence() {
    let rig = Rig::new().await;
    let answers = Arc::new(Mutex::new(vec![
        Scripted::Reply(Box::new(Reply::Done)),
        // Half a frame, then one that is too large, then no answer of any kind.
        Scripted::Garbage(vec![200, 0, 0, 0, 1]),
        Scripted::Garbage(vec![255; 64]),
        Scripted::Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
    ]));
    rig.daemon.script(move |request| match request {
        Request::Submit(_) => {
            let mut answers = answers.lock().expect("no test panics with it");
            if answers.is_empty() { Scripted::Usual } else { answers.remove(0) }
        }
        _ => Scripted::Usual,
    });
    rig.write("first");
    let told = rig.sees("an answer that I do not understand").await;
    assert!(told.text().contains("look before you repeat it"), "{}", told.text());
    // The others are either told of or sent again until they are taken.
    let all = ["second", "third", "fourth"];
    for text in all {
        rig.write(text);
    }
    rig.daemon.wait_for_prompt("fourth").await;
    let taken = texts(&rig);
    let told = rig.shown().iter().filter(|message| message.text().starts_with('❌')).count();
    assert_eq!(taken.len() + told, 4, "{taken:?} and {told} that were told of: {:#?}", rig.shown());
}

#[tokio::test]
async fn answers_of_telegrams_that_mean_nothing_hold_up_nothing() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    rig.settled().await;
    for kind in [FaultKind::Status(502), FaultKind::Status(200), FaultKind::CloseBefore] {
        rig.telegram.fault(Fault::any(kind).times(2));
    }
    rig.daemon.emit(HERE, text(1, "It is done"));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.write("and now?");
    rig.daemon.wait_for_prompt("and now?").await;
    rig.sees("It is done").await;
    rig.sees("Done ·").await;
    assert_eq!((rig.count("It is done"), texts(&rig).len()), (1, 1));
}
