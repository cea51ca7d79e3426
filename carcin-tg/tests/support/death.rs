//! One front end after the other dies in the middle of a scene.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use carcin_lab::telegram::ChatMessage;
use carcin_proto::event::PromptStarted;
use carcin_proto::{Request, TurnId};

use super::daemon::State;
use super::events::turn_started;
use super::{ANN, HERE, Rig, SOON};

/// The daemon and Telegram, and nobody between them yet.
pub async fn stage() -> Rig {
    let program = tokio::task::spawn_blocking(carcin_lab::rig::front_with_faults).await.expect("it ends");
    let mut rig = Rig::without_bot().await;
    rig.program = program.expect("it is built");
    rig.daemon.start();
    rig
}

/// Plays the scene while one front end after the other dies: right after its first commit, right before its second,
/// right after its second, and so on to the third. So each commit is the last one of some process, or the first
/// that one did not make. At the end one lives long enough for `ended`. Returns how many have died.
pub async fn through_deaths<T>(rig: &Rig, scene: impl Future<Output = T>) -> (T, usize) {
    let deaths = AtomicUsize::new(0);
    let dying = async {
        loop {
            let life = deaths.load(Ordering::Relaxed);
            let faults = ["after:1", "before:2", "after:2", "before:3", "after:3"];
            let mut bot = rig
                .command()
                .env("CARCIN_FAULT", faults[life % faults.len()])
                .spawn()
                .expect("the program starts");
            let status = bot.wait().await.expect("it ends");
            assert_eq!(status.signal(), Some(9), "{status}, not at its commit\n{}", rig.read_log());
            deaths.fetch_add(1, Ordering::Relaxed);
        }
    };
    tokio::select! {
        done = scene => (done, deaths.load(Ordering::Relaxed)),
        () = dying => unreachable!("it goes on for ever"),
    }
}

/// How many messages with this part were to be sent. By each death Telegram may have been given one of them once more;
/// another row of the outbox would show that it was meant twice.
pub fn said(rig: &Rig, part: &str) -> usize {
    let store = rig.store();
    let mut rows = store
        .prepare("SELECT body FROM outbox WHERE op IN ('send', 'file') AND state <> 'superseded'")
        .expect("a query");
    let bodies = rows.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    bodies.filter(|body| body.as_ref().expect("a text").contains(part)).count()
}

pub fn texts(rig: &Rig) -> Vec<String> {
    let state = rig.daemon.state();
    state.order.iter().map(|key| state.prompts[key].1.text.clone()).collect()
}

/// Waits for a message with `on` in it and a button that says `label`.
pub async fn offered(rig: &Rig, on: &str, label: &str) -> (ChatMessage, String) {
    let what = format!("{on:?} with {label:?}");
    let found = rig.telegram.wait_for(&what, SOON, |state| {
        let mut shown = state.visible(ANN).filter(|message| message.text().contains(on));
        shown.find_map(|message| {
            let button = message.buttons().find(|button| button.text.contains(label))?;
            Some((message.clone(), button.callback_data.clone()?))
        })
    });
    found.await.unwrap_or_else(|error| panic!("{error}\n{}", rig.read_log()))
}

/// Two presses on one button.
pub async fn press_twice(rig: &Rig, on: &str, label: &str) {
    let (message, data) = offered(rig, on, label).await;
    for _ in 0..2 {
        rig.telegram.forge_press(ANN, ANN, message.id, &data);
    }
}

/// Ann writes, and Telegram delivers it twice.
pub fn write_twice(rig: &Rig, text: &str) -> i64 {
    let id = rig.write(text);
    rig.telegram.redeliver(ANN, id).expect("redelivered");
    id
}

pub async fn begins(rig: &Rig) {
    write_twice(rig, "begin");
    let (prompt, _) = rig.daemon.wait_for_prompt("begin").await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, PromptStarted { prompt, turn: TurnId(1) });
    rig.sees("Started").await;
}

pub fn count(state: &State, is_it: impl Fn(&Request) -> bool) -> usize {
    state.asked.iter().filter(|request| is_it(request)).count()
}
