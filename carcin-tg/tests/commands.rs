//! The commands, between a Telegram and a carcind of the test.

#[path = "commands/knowing.rs"]
mod knowing;
mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use carcin_lab::telegram::ChatMessage;
use carcin_proto::event::{ProcessStarted, TurnEnded, TurnOutcome, Usage};
use carcin_proto::request::{Refusal, RefusalCode};
use carcin_proto::{Millis, Reply, Request, TurnId};
use knowing::knowing;
use support::daemon::{Scripted, State};
use support::events::{text, turn_ended, turn_started};
use support::{ANN, EVE, HERE, Rig, SOON};

/// Presses the button that says `label`.
fn press(rig: &Rig, message: &ChatMessage, label: &str) -> String {
    rig.telegram.press(ANN, ANN, message.id, label).expect("it has the button")
}

fn data(message: &ChatMessage, label: &str) -> String {
    let mut buttons = message.buttons().filter(|button| button.text == label);
    buttons.next().and_then(|button| button.callback_data.clone()).expect("it has the button")
}

async fn toast(rig: &Rig, press: String) -> String {
    let answered = rig.telegram.wait_for("the button's answer", SOON, move |state| {
        let callback = state.callbacks.iter().find(|one| one.id == press)?;
        Some(callback.answer.as_ref()?.text.clone().unwrap_or_default())
    });
    answered.await.expect("answered")
}

fn asked<T>(state: &State, find: impl Fn(&Request) -> Option<T>) -> Vec<T> {
    state.asked.iter().filter_map(find).collect()
}

fn folders_begun(state: &State) -> Vec<Option<std::path::PathBuf>> {
    asked(state, |request| match request {
        Request::New(new) => Some(new.cwd.clone()),
        _ => None,
    })
}

#[tokio::test]
async fn every_command_is_answered_while_a_prompt_is_stuck() {
    let rig = Rig::new().await;
    rig.daemon.script(knowing);
    rig.daemon.state().hang_submits = true;
    rig.write("this one is stuck");
    rig.daemon
        .wait_for("the prompt", |state| {
            state.asked.iter().any(|request| matches!(request, Request::Submit(_))).then_some(())
        })
        .await;
    let bot = rig.telegram.look(|state| state.bot.username.clone()).expect("bots have one");
    for (command, answer) in [
        ("/start", "Claude Code, from your phone"),
        ("/status", "carcin-tg "),
        ("/cwd", "Claude works in /home/ann"),
        ("/sessions", "Session 4"),
        ("/resume", "1 to 5 of 7"),
        ("/recent 2", "2 of 2"),
        ("/model", "OPUS: It thinks"),
        ("/mode", "Accept edits: edits files"),
        ("/effort max", "Effort: max"),
        ("/usage", "5 hours: 42 % used"),
        ("/context", "Messages"),
        ("/tasks", "2. server b2"),
        ("/diff@carcin_lab_bot", "+new"),
        ("/id", "Your Telegram id: 1001"),
        ("/stop", "Nothing is running"),
    ] {
        rig.write(&command.replace("carcin_lab_bot", &bot));
        rig.sees(answer).await;
    }
}

#[tokio::test]
async fn one_that_takes_long_says_so_and_holds_up_no_other() {
    let rig = Rig::new().await;
    let mut first = true;
    rig.daemon.script(move |request| match request {
        Request::Changes(_) if std::mem::take(&mut first) => Scripted::Silence,
        other => knowing(other),
    });
    rig.write("/diff");
    rig.sees("This takes a moment").await;
    rig.write("/context");
    let second = rig.sees("Messages").await;
    let first = rig.sees("carcind does not answer").await;
    assert!(second.id < first.id, "the second one has waited for the first");
    rig.write("/diff");
    rig.sees("+new").await;
}

#[tokio::test]
async fn without_a_daemon_a_command_says_that_there_is_none() {
    let mut rig = Rig::new().await;
    rig.daemon.kill().await;
    rig.write("/status");
    let told = rig.sees("carcind is down").await;
    assert!(told.text().contains("carcin-tg "), "{}", told.text());
    for command in ["/sessions", "/usage", "/model", "/diff", "/cwd"] {
        rig.write(command);
    }
    rig.telegram
        .wait_for("the answers", SOON, |state| {
            let told = state.visible(ANN).filter(|message| message.from_bot());
            (told.filter(|message| message.text().contains("carcind is down")).count() == 6).then_some(())
        })
        .await
        .expect("each says so");
}

#[tokio::test]
async fn a_folder_is_picked_by_buttons_and_two_presses_are_one() {
    let mut rig = Rig::new().await;
    rig.daemon.script(knowing);
    rig.write("/cwd");
    let list = rig.sees("Claude works in /home/ann").await;
    press(&rig, &list, "More ▶");
    let page = rig.sees("Folders 9 to 10 of 10").await;
    assert_eq!(page.id, list.id, "paged in place");
    // The buttons outlive the program.
    rig.kill_bot().await;
    rig.start_bot();
    press(&rig, &page, "📁 dir9");
    let inside = rig.sees("Looking at /home/ann/dir9").await;
    let stale = rig.telegram.forge_press(ANN, ANN, page.id, &data(&page, "◀ Back"));
    assert_eq!(toast(&rig, stale).await, "This list has changed since");
    let use_it = data(&inside, "✅ Use this folder");
    for _ in 0..2 {
        rig.telegram.forge_press(ANN, ANN, inside.id, &use_it);
    }
    let done = rig.sees("begins a new session in /home/ann/dir9").await;
    assert_eq!((done.id, done.buttons().count()), (list.id, 0));
    let again = rig.telegram.forge_press(ANN, ANN, inside.id, &use_it);
    assert_eq!(toast(&rig, again).await, "This list has changed since");
    assert_eq!(folders_begun(&rig.daemon.state()), [Some("/home/ann/dir9".into())]);
}

#[tokio::test]
async fn what_changes_the_conversation_waits_for_the_prompts_before_it() {
    let rig = Rig::new().await;
    rig.daemon.script(knowing);
    rig.daemon.state().hang_submits = true;
    rig.write("/cwd");
    let list = rig.sees("Claude works in").await;
    rig.write("before");
    rig.daemon
        .wait_for("the prompt", |state| {
            state.asked.iter().any(|request| matches!(request, Request::Submit(_))).then_some(())
        })
        .await;
    press(&rig, &list, "🕘 /srv/other");
    rig.write("/cwd projects/x");
    rig.write("/clear");
    rig.write("/status");
    rig.sees("carcin-tg ").await;
    assert!(folders_begun(&rig.daemon.state()).is_empty(), "the prompt before is stuck");
    rig.write("/stop");
    rig.sees("waiting message").await;
    assert!(folders_begun(&rig.daemon.state()).is_empty(), "they were taken back");
    assert_eq!(rig.count("Forgotten"), 0);
}

#[tokio::test]
async fn folders_are_named_and_a_cleared_session_leads_back() {
    let rig = Rig::new().await;
    rig.daemon.script(knowing);
    rig.write("/cwd /srv/app");
    rig.sees("new session in /srv/app").await;
    rig.write("/cwd projects/x/./../y");
    rig.sees("new session in /home/ann/projects/y").await;
    rig.write("/new ./projects/z");
    rig.sees("new session in /home/ann/projects/z").await;
    rig.write("/cwd ~/y");
    rig.sees("/y").await;
    rig.write("/new ~/n");
    rig.sees("/n").await;
    rig.write("/clear");
    rig.sees("Forgotten").await;
    rig.write("/new");
    rig.sees("🆕 The next message begins a new session").await;
    let begun = folders_begun(&rig.daemon.state());
    assert_eq!((begun.len(), &begun[5..]), (7, &[None, None][..]));
    for (at, name) in [(3, "y"), (4, "n")] {
        let is_whole = begun[at].as_ref().is_some_and(|path| path.is_absolute() && path.ends_with(name));
        assert!(is_whole, "{begun:?}");
    }
}

#[tokio::test]
async fn from_a_folder_that_is_gone_buttons_and_names_lead_on() {
    let rig = Rig::new().await;
    rig.daemon.script(|request| match request {
        Request::Folders(folders)
            if folders.path.as_deref().is_none_or(|path| path.starts_with("/home/ann/app")) =>
        {
            let refusal = Refusal::new(RefusalCode::Invalid, "cannot look into it");
            Scripted::Reply(Box::new(Reply::Refused(refusal)))
        }
        other => knowing(other),
    });
    rig.write("/cwd");
    let list = rig.sees("That folder is gone").await;
    assert!(list.text().contains("Claude works in /home/ann/app\n"), "{}", list.text());
    assert!(list.text().contains("Looking at /home/ann\n"), "{}", list.text());
    press(&rig, &list, "✅ Use this folder");
    rig.sees("new session in /home/ann").await;
    rig.write("/cwd ../other");
    rig.sees("new session in /home/ann/other").await;
}

#[tokio::test]
async fn a_session_is_resumed_and_one_that_is_open_elsewhere_only_when_told_twice() {
    let rig = Rig::new().await;
    rig.daemon.script(knowing);
    rig.write("/sessions");
    let list = rig.sees("1 to 5 of 7").await;
    assert!(list.text().contains("open in a terminal, pid 77"), "{}", list.text());
    press(&rig, &list, "Earlier ▶");
    let page = rig.sees("6 to 7 of 7").await;
    press(&rig, &page, "1");
    let done = rig.sees("the one called 5e555000-0000").await;
    assert_eq!(done.id, list.id);

    rig.write("/sessions");
    let list = rig.sees("1 to 5 of 7").await;
    press(&rig, &list, "2");
    let question = rig.sees("If both go on with it").await;
    assert_eq!(question.id, list.id);
    press(&rig, &question, "Take it over");
    rig.sees("the one called 5e551000-0000").await;

    rig.write("/resume 5e551");
    let question = rig.sees("If both go on with it").await;
    press(&rig, &question, "Leave it");
    rig.sees("left where it is").await;
    // What another conversation has cannot be taken, so nobody is offered that.
    rig.write("/resume 5e552");
    rig.sees("another chat or topic has this session\nbegin a new session there first").await;
    assert_eq!(rig.count("If both go on with it"), 0);
    rig.write("/resume 5e553");
    rig.sees("the one called 5e553").await;
    rig.write("/resume 5");
    rig.sees("7 sessions begin with 5").await;
    rig.write("/resume ffff");
    rig.sees("no session begins with ffff").await;
    let forced = asked(&rig.daemon.state(), |request| match request {
        Request::Resume(resume) if resume.force => Some(resume.session.clone()),
        _ => None,
    });
    assert_eq!(forced, ["5e551000-0000"]);
}

#[tokio::test]
async fn settings_are_set_by_button_and_by_name_and_tasks_are_stopped() {
    let rig = Rig::new().await;
    rig.daemon.script(knowing);
    rig.write("/model");
    let list = rig.sees("Model: opus").await;
    press(&rig, &list, "HAIKU");
    assert_eq!(rig.sees("✅ Model: haiku").await.id, list.id);
    rig.write("/mode accept edits");
    rig.sees("✅ Mode: Accept edits").await;
    rig.write("/tasks");
    let list = rig.sees("1. server b1").await;
    press(&rig, &list, "⏹ 1. server b1");
    let left = rig.sees("1. server b2").await;
    assert_eq!((left.id, left.buttons().count()), (list.id, 1));
    let state = rig.daemon.state();
    let set = asked(&state, |request| match request {
        Request::Configure(set) => Some((set.model.clone(), set.permission_mode.clone())),
        _ => None,
    });
    assert_eq!(set, [(Some("haiku".into()), None), (None, Some("acceptEdits".into()))]);
    let stopped = asked(&state, |request| match request {
        Request::StopTask(stop) => Some(stop.task.clone()),
        _ => None,
    });
    assert_eq!(stopped, ["b1"]);
}

#[tokio::test]
async fn claudes_own_commands_go_through_and_are_in_the_menu() {
    let rig = Rig::new().await;
    rig.daemon.script(knowing);
    // Before anybody knows what Claude knows, it is asked.
    rig.write("/frobnicate now");
    rig.sees("There is no command /frobnicate").await;
    rig.daemon.emit(HERE, turn_started(1));
    let menu = rig.telegram.wait_for("the menu", SOON, |state| {
        let menu = state.commands.values().next()?;
        let names: Vec<String> =
            menu.iter().filter_map(|one| one["command"].as_str().map(str::to_owned)).collect();
        names.contains(&"code_review".to_owned()).then_some(names)
    });
    let menu = menu.await.expect("it is refreshed");
    assert_eq!(menu.iter().filter(|name| *name == "compact").count(), 1, "ours");
    assert_eq!(menu.last().map(String::as_str), Some("code_review"), "below ours");
    rig.write("/frobnicate again");
    rig.telegram
        .wait_for("the second answer", SOON, |state| {
            let told = state.visible(ANN).filter(|message| message.text().contains("There is no command"));
            (told.count() == 2).then_some(())
        })
        .await
        .expect("told");
    rig.write("/code-reveiw main");
    rig.sees("There is no command /code-reveiw").await;
    rig.write("/code_review main");
    rig.daemon.wait_for_prompt("/code-review main").await;
    rig.sees("Queued for when Claude is done: /code-review main").await;
    rig.write("/code-review as typed");
    rig.daemon.wait_for_prompt("/code-review as typed").await;
    rig.write("/compact keep the plan");
    rig.daemon.wait_for_prompt("/compact keep the plan").await;
}

#[tokio::test]
async fn a_claude_that_has_not_said_what_it_knows_is_given_what_was_typed() {
    let rig = Rig::new().await;
    rig.write("/frobnicate now");
    rig.daemon.wait_for_prompt("/frobnicate now").await;
    rig.sees("Claude has not told its commands here yet").await;
}

#[tokio::test]
async fn what_was_used_is_counted_over_processes_and_restarts() {
    let mut rig = Rig::new().await;
    rig.daemon.script(knowing);
    let turn = |cost: u64| {
        let usage = Usage { cost_micro_usd: cost, input_tokens: 500, output_tokens: 10, ..Usage::default() };
        TurnEnded { turn: TurnId(1), outcome: TurnOutcome::Completed, duration: Millis(1), usage }
    };
    rig.daemon.emit(HERE, ProcessStarted { pid: 7, adopted: false });
    rig.daemon.emit(HERE, turn(1_000_000));
    rig.daemon.emit(HERE, turn(1_500_000));
    rig.daemon.emit(HERE, turn_started(9));
    rig.sees("Started").await;
    rig.kill_bot().await;
    rig.start_bot();
    rig.daemon.emit(HERE, ProcessStarted { pid: 8, adopted: false });
    rig.daemon.emit(HERE, turn(250_000));
    rig.daemon.emit(HERE, text(2, "a sign of life"));
    rig.daemon.emit(HERE, turn_ended(2, TurnOutcome::Completed));
    rig.sees("a sign of life").await;
    rig.write("/usage");
    let told = rig.sees("This session").await;
    assert!(told.text().contains("$1.75 · 4 turns · 1.5k tokens in"), "{}", told.text());
}

#[tokio::test]
async fn a_restart_by_itself_says_when_it_is_back() {
    let rig = Rig::new().await;
    rig.write("/restart");
    rig.sees("I restart").await;
    rig.sees("✅ I am back").await;
    rig.write("/id");
    rig.sees("Your Telegram id: 1001").await;
    assert_eq!(rig.count("I am back"), 1, "once");
    let pid = rig.bot.as_ref().and_then(tokio::process::Child::id).expect("it runs");
    assert!(Path::new(&format!("/proc/{pid}")).exists(), "the same process");
}

#[tokio::test]
async fn a_restart_is_left_to_the_service_where_there_is_one() {
    let mut rig = Rig::without_bot().await;
    rig.daemon.start();
    let systemctl = rig.dir.path().join("systemctl");
    let said = rig.dir.path().join("said");
    let script = format!("#!/bin/sh\necho \"$@\" > {0}.new\nmv {0}.new {0}\n", said.display());
    std::fs::write(&systemctl, script).expect("writes");
    std::fs::set_permissions(&systemctl, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let mut command = rig.command();
    command.env("CARCIN_SERVICE_NAME", "carcin-tg.service");
    command.env("PATH", format!("{}:/usr/bin:/bin", rig.dir.path().display()));
    rig.bot = Some(command.spawn().expect("starts"));
    rig.wait_until_polling().await;
    rig.write("/restart");
    rig.sees("I restart").await;
    let asked = tokio::time::timeout(SOON, async {
        loop {
            if let Ok(said) = std::fs::read_to_string(&said) {
                return said;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    assert_eq!(asked.await.expect("asked").trim(), "--user restart --no-block -- carcin-tg.service");
    assert_eq!(rig.count("I am back"), 0);
    // As the service does.
    assert!(rig.stop_bot().await.success());
    rig.start_bot();
    rig.sees("✅ I am back").await;
    assert!(rig.stop_bot().await.success());
    rig.start_bot();
    rig.write("/id");
    rig.sees("Your Telegram id").await;
    assert_eq!(rig.count("I am back"), 1, "nobody asked for the second one");
}

#[tokio::test]
async fn a_stranger_is_told_their_id_and_nothing_else() {
    let rig = Rig::new().await;
    for text in ["/start", "/status", "/id", "/id", "hello"] {
        rig.telegram.send_text(EVE, EVE, text).expect("sent");
    }
    rig.telegram.wait_for_text(EVE, "Your Telegram id: 666", SOON).await.expect("told");
    rig.write("/id");
    rig.sees("Your Telegram id: 1001").await;
    let told: Vec<_> = rig.telegram.messages(EVE).into_iter().filter(ChatMessage::from_bot).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(!rig.daemon.state().asked.iter().any(|request| matches!(request, Request::Submit(_))));
}

#[tokio::test]
async fn the_doctor_says_what_is_right_and_what_is_not() {
    let mut rig = Rig::without_bot().await;
    let run = async |rig: &Rig| {
        let output = rig.command().arg("doctor").stdout(std::process::Stdio::piped()).output().await;
        let output = output.expect("it runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (code, said) = run(&rig).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("✓ Telegram knows the bot: @") && said.contains("✗ carcind is not running"),
        "{said}"
    );
    assert!(said.contains("systemctl --user start carcind") && said.contains("no database yet"), "{said}");
    rig.daemon.start();
    rig.start_bot();
    rig.wait_until_polling().await;
    let (_, said) = run(&rig).await;
    assert!(said.contains("✓ carcind 9.9.9 runs") && said.contains("is whole, version"), "{said}");
    assert!(said.contains("✗ carcind finds no Claude Code"), "{said}");
    let mut command = rig.command();
    command.env_remove("ALLOWED_USER_IDS").arg("doctor").stdout(std::process::Stdio::piped());
    let output = command.output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("✗ nobody is allowed to talk to the bot"), "{said}");
}
