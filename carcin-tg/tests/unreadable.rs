//! A database in which rows are damaged: each is told of once, and holds up nothing and nobody.

mod support;

use carcin_proto::event::{Level, Notice};
use rusqlite::Connection;
use support::{HERE, Rig};

fn notice(text: &str) -> Notice {
    Notice { level: Level::Info, text: text.into(), hint: None }
}

/// Changes the database of a program that does not run. How many rows.
fn change(rig: &Rig, sql: &str) -> usize {
    let bot = rig.telegram.token().split_once(':').expect("a token").0.to_owned();
    let find = |dir: std::path::PathBuf| {
        std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("one").path())
    };
    let mut found: Vec<_> = find(rig.dir.path().join("state")).collect();
    let mut index = 0;
    while let Some(path) = found.get(index).cloned() {
        if path.is_dir() {
            found.extend(find(path));
        }
        index += 1;
    }
    let name = format!("{bot}.db");
    let path = found
        .into_iter()
        .find(|path| path.file_name().is_some_and(|file| *file == *name))
        .expect("a database");
    Connection::open(path).expect("opens").execute(sql, []).expect("changes")
}

#[tokio::test]
async fn what_came_in_and_cannot_be_read_holds_up_no_lane() {
    let mut rig = Rig::new().await;
    rig.daemon.kill().await;
    rig.write("the damaged one");
    rig.sees("Your message is kept").await;
    rig.kill_bot().await;
    assert_eq!(change(&rig, "UPDATE inbox SET raw = '{' WHERE state IN ('received', 'submitted')"), 1);
    rig.daemon.start();
    rig.start_bot();
    rig.write("the next one");
    rig.daemon.wait_for_prompt("the next one").await;
    rig.sees("I can no longer read what you sent: “the damaged one”").await;
    rig.logged("a defect").await;
    rig.settled().await;
    // It is met once, also by the next start.
    rig.kill_bot().await;
    rig.start_bot();
    rig.write("and one more");
    rig.daemon.wait_for_prompt("and one more").await;
    assert_eq!(rig.count("I can no longer read"), 1);
    assert_eq!(rig.daemon.state().order.len(), 2);
    rig.kill_bot().await;
    assert_eq!(
        change(&rig, "UPDATE quarantine SET at = at WHERE content LIKE '%the damaged one%'"),
        1,
        "it is kept"
    );
}

#[tokio::test]
async fn what_is_to_go_out_and_cannot_be_read_holds_up_no_chat_and_ends_no_program() {
    let mut rig = Rig::new().await;
    rig.telegram.set_down(true);
    for part in ["first", "second", "third"] {
        rig.daemon.emit(HERE, notice(part));
    }
    rig.logged("a message waits").await;
    rig.has_rows("state IN ('pending', 'in_flight')", 3).await;
    rig.kill_bot().await;
    let damage = |column: &str, part: &str| {
        let sql = format!(
            "UPDATE outbox SET {column} = '~' WHERE state IN ('pending', 'in_flight') AND body LIKE '%{part}%'"
        );
        assert_eq!(change(&rig, &sql), 1);
    };
    damage("op", "second");
    damage("body", "first");
    rig.telegram.set_down(false);
    rig.start_bot();
    rig.sees("third").await;
    let told = rig.telegram.wait_for("both to be told of", support::SOON, |state| {
        let messages = state.visible(support::ANN).filter(|message| message.from_bot());
        let told = messages.filter(|message| message.text().contains("can no longer read a message"));
        (told.count() == 2).then_some(())
    });
    told.await.expect("told");
    let bot = rig.bot.as_mut().expect("it was started");
    assert!(bot.try_wait().expect("its state").is_none(), "it runs");
}
