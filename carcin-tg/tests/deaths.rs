//! Every commit is a place to die: whole scenes, played while the front end gets SIGKILL right before and right after
//! one commit after the other, and everything that comes in comes in twice.

mod support;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use carcin_lab::telegram::{ChatMessage, SentFile, Typed};
use carcin_proto::event::{Ask, PlanAsk, PromptStarted, RequestOpened, TurnOutcome};
use carcin_proto::inquiry::FolderList;
use carcin_proto::request::{Decision, Placement};
use carcin_proto::{Reply, Request, RequestId, TurnId};
use support::daemon::{Scripted, State};
use support::death::{begins, count, offered, press_twice, said, stage, texts, through_deaths, write_twice};
use support::events::{permission, text, turn_ended};
use support::{ANN, HERE, Rig, SOON};

#[tokio::test]
async fn messages_files_and_commands_have_their_effect_once_and_in_order() {
    let rig = stage().await;
    let folder = Arc::new(Mutex::new(PathBuf::from("/srv")));
    let now = Arc::clone(&folder);
    rig.daemon.script(move |request| {
        let mut now = now.lock().expect("no test panics with it");
        match request {
            Request::New(new) => {
                if let Some(cwd) = &new.cwd {
                    now.clone_from(cwd);
                }
                Scripted::Usual
            }
            Request::Folders(folders) => Scripted::Reply(Box::new(Reply::Folders(FolderList {
                parent: None,
                folders: vec!["lib".into()],
                omitted: 0,
                recent: Vec::new(),
                path: folders.path.clone().unwrap_or_else(|| now.clone()),
            }))),
            _ => Scripted::Usual,
        }
    });
    let scene = async {
        write_twice(&rig, "first");
        rig.daemon.wait_for_prompt("first").await;
        let report = SentFile::document("a.txt", b"report".to_vec()).caption("read it");
        rig.telegram.send_file(ANN, ANN, report).expect("sent");
        write_twice(&rig, "and then this");
        write_twice(&rig, "/cwd app");
        write_twice(&rig, "in the new folder");
        write_twice(&rig, "/clear");
        write_twice(&rig, "/compact all of it");
        rig.daemon.wait_for_prompt("/compact all of it").await;
        write_twice(&rig, "/cwd");
        press_twice(&rig, "/srv/app", "lib").await;
        press_twice(&rig, "/srv/app/lib", "Use").await;
        rig.sees("begins a new session in /srv/app/lib").await;
        write_twice(&rig, "/restart");
        rig.sees("I am back").await;
        write_twice(&rig, "last");
        rig.daemon.wait_for_prompt("last").await;
    };
    let ((), deaths) = through_deaths(&rig, scene).await;
    let texts = texts(&rig);
    assert_eq!(texts.len(), 5, "{texts:#?}");
    assert!(texts[1].contains("read it") && texts[1].contains("and then this"), "{texts:#?}");
    assert_eq!(
        [&texts[0], &texts[2], &texts[3], &texts[4]],
        ["first", "in the new folder", "/compact all of it", "last"]
    );
    assert_eq!(*folder.lock().expect("no test panics with it"), PathBuf::from("/srv/app/lib"));
    for once in ["a new session in /srv/app\"", "🧹 Forgotten", "I restart", "I am back"] {
        assert_eq!(said(&rig, once), 1, "{once}");
    }
    assert!(deaths > 20, "only {deaths}");
}

#[tokio::test]
async fn what_is_moved_edited_and_taken_back_is_one_prompt_in_the_end() {
    let rig = stage().await;
    let scene = async {
        begins(&rig).await;
        write_twice(&rig, "move me");
        press_twice(&rig, "move me", "Queue instead").await;
        rig.sees("Queued for when Claude is done").await;
        assert_eq!(rig.daemon.waiting(), ["move me"]);
        press_twice(&rig, "move me", "Stop and do this").await;
        rig.sees("Stopped for this").await;
        assert_eq!(rig.daemon.waiting(), ["move me"]);
        let id = write_twice(&rig, "fix the tets");
        offered(&rig, "fix the tets", "Queue").await;
        rig.telegram.edit_text(ANN, ANN, id, "fix the tests").expect("edited");
        rig.daemon.wait_for_prompt("fix the tests").await;
        rig.sees("Replaced by your edit").await;
        assert_eq!(rig.daemon.waiting(), ["move me", "fix the tests"]);
        let (prompt, now) = rig.daemon.wait_for_prompt("fix the tests").await;
        assert_eq!(now.placement, Placement::Steer);
        rig.daemon.emit(HERE, PromptStarted { prompt, turn: TurnId(1) });
        // Telegram tells the time of an edit in seconds.
        let second = || std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let before = second();
        while second() == before {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        rig.telegram.edit_text(ANN, ANN, id, "fix all tests").expect("edited");
        rig.sees("Claude has read that message already").await;
        write_twice(&rig, "/stop");
        rig.sees("⏹ Stopped").await;
    };
    let ((), deaths) = through_deaths(&rig, scene).await;
    assert_eq!(said(&rig, "has read that message already"), 1);
    assert_eq!(said(&rig, "move me"), 1, "one note");
    let state = rig.daemon.state();
    // Begun, and three times the one, and the other with its edit.
    assert_eq!(state.order.len(), 6, "{:#?}", state.order);
    drop(state);
    assert!(deaths > 20, "only {deaths}");
}

#[tokio::test]
async fn questions_are_answered_once_and_files_and_the_end_are_told_once() {
    let rig = stage().await;
    let path = rig.dir.path().join("r.txt");
    std::fs::write(&path, "report").expect("writes");
    let gone = rig.dir.path().join("gone.txt");
    let scene = async {
        begins(&rig).await;
        rig.daemon.emit(HERE, permission(1, "req-1"));
        press_twice(&rig, "May I use Bash?", "Deny with").await;
        offered(&rig, "May I use Bash?", "Allow").await;
        // Telegram tells the writer when the reply is waited for.
        let waits = |message: &ChatMessage| message.text().contains("next message");
        rig.telegram
            .wait_for("the wait for the reason", SOON, |state| state.visible(ANN).any(waits).then_some(()))
            .await
            .expect("it waits");
        rig.telegram.send(ANN, ANN, Typed::new("not on Fridays")).expect("sent");
        rig.sees("not on Fridays").await;
        let ask = Ask::Plan(PlanAsk { plan: "Read, then write".into(), path: None });
        let request: RequestId = "req-2".parse().expect("an id");
        rig.daemon.emit(HERE, RequestOpened { request: request.clone(), turn: TurnId(1), ask });
        press_twice(&rig, "then write", "Approve").await;
        let answers =
            |state: &State| count(state, |asked| matches!(asked, Request::Answer(a) if a.request == request));
        rig.daemon.wait_for("the second answer", |state| (answers(state) > 0).then_some(())).await;
        let markers = [&path, &gone].map(|path| format!("[[telegram:send:{}]]\n", path.display())).concat();
        rig.daemon.emit(HERE, text(1, &format!("Here it is:\n\n{markers}")));
        rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
        rig.sees("Here it is:").await;
        rig.sees("I cannot send").await;
        rig.sees("Done").await;
        write_twice(&rig, "next");
        rig.daemon.wait_for_prompt("next").await;
    };
    let ((), deaths) = through_deaths(&rig, scene).await;
    assert_eq!(texts(&rig), ["begin", "next"], "an answer is no prompt");
    let state = rig.daemon.state();
    let denials = |request: &Request| matches!(request, Request::Answer(a) if matches!(&a.decision, Decision::Deny(why) if why.contains("not on Fridays")));
    assert!(count(&state, denials) >= 1);
    drop(state);
    for once in ["Here it is:", "r.txt"] {
        assert_eq!(said(&rig, once), 1, "{once}");
    }
    assert!(deaths > 20, "only {deaths}");
}

#[tokio::test]
async fn a_topic_is_opened_at_most_once_and_whoever_asked_for_it_is_told() {
    let rig = stage().await;
    let forum = rig.telegram.forum(-100_700, "Work");
    let names: Vec<String> = (0..6).map(|n| format!("Topic {n}")).collect();
    let scene = async {
        for name in &names {
            let id = rig.telegram.send_text(forum, ANN, &format!("/new {name}")).expect("sent");
            rig.telegram.redeliver(forum, id).expect("redelivered");
            let told = |message: &ChatMessage| {
                message.from_bot() && message.text().contains(name) && !message.text().starts_with("/new")
            };
            rig.telegram
                .wait_for(name, SOON, |state| state.visible(forum).any(told).then_some(()))
                .await
                .expect("told");
        }
    };
    let ((), deaths) = through_deaths(&rig, scene).await;
    let calls = rig.telegram.calls_of("createForumTopic");
    for name in &names {
        let opened = calls.iter().filter(|call| call.str("name") == Some(name)).count();
        let (greeted, cut_off) =
            (said(&rig, &format!("🆕 {name}")), said(&rig, &format!("opening “{name}”")));
        assert_eq!(greeted + cut_off, 1, "{name}");
        assert!(greeted <= opened && opened <= 1, "{name}: {opened}");
    }
    assert!(deaths > names.len(), "only {deaths}");
}

#[tokio::test]
async fn the_daemon_dies_between_a_withdrawal_and_the_new_prompt() {
    let mut rig = Rig::new().await;
    begins(&rig).await;
    for (text, by_edit) in [("by button", false), ("by edti", true)] {
        let id = write_twice(&rig, text);
        let (note, data) = offered(&rig, text, "Queue instead").await;
        rig.daemon.script(|request| match request {
            Request::Submit(_) => Scripted::Silence,
            _ => Scripted::Usual,
        });
        let before = rig.daemon.state().asked.len();
        if by_edit {
            rig.telegram.edit_text(ANN, ANN, id, "by edit").expect("edited");
        } else {
            rig.telegram.forge_press(ANN, ANN, note.id, &data);
        }
        rig.daemon
            .wait_for("the new prompt", |state| {
                let asked = &state.asked[before..];
                let withdrawn = asked.iter().position(|request| matches!(request, Request::Withdraw(_)))?;
                asked[withdrawn..].iter().any(|request| matches!(request, Request::Submit(_))).then_some(())
            })
            .await;
        rig.daemon.kill().await;
        rig.daemon.state().script = None;
        rig.daemon.start();
        rig.sees(if by_edit { "Replaced by your edit" } else { "Queued for when" }).await;
    }
    rig.daemon.wait_for_prompt("by edit").await;
    assert_eq!(rig.daemon.waiting(), ["by button", "by edit"]);
    let state = rig.daemon.state();
    assert_eq!((state.order.len(), state.withdrawn.len()), (5, 2), "{:#?}", state.order);
}
