//! A journal with many conversations: what a start reads of it, what the snapshot holds, and what stays bounded.

use std::path::Path;

use bytes::BytesMut;
use carcin_proto::event::{
    ConversationOpened, ConversationRecalled, Level, Notice, SettingsChanged, Todo, TodoStatus,
};
use carcin_proto::frame::{MAX_FRAME, framing};
use carcin_proto::snapshot::MAX_CONVERSATIONS;
use carcin_proto::{ConversationKey, Event, IdempotencyKey, Millis, Seq, SessionId, Snapshot, TurnId};
use carcind::rows::{ConversationRow, InputKind, Item, Loaded, PromptRow, PromptState, Row, TurnRow};
use carcind::store::{Commit, KEEP_DEFAULT, Store, StoreError};
use tokio_util::codec::Decoder;

use super::{child, input, prompt};

fn key(name: &str) -> ConversationKey {
    ConversationKey::new(name).expect("a valid key")
}

fn numbered(number: usize) -> ConversationKey {
    key(&format!("c{number:05}"))
}

fn open(dir: &Path) -> (Store, Vec<Loaded>) {
    Store::open(dir, "boot", KEEP_DEFAULT).expect("the journal opens")
}

fn notice(text: &str) -> Event {
    Notice { level: Level::Info, text: text.to_owned(), hint: None }.into()
}

fn opened() -> Event {
    ConversationOpened { cwd: "/src".into() }.into()
}

async fn commit(
    store: &Store,
    conversation: ConversationKey,
    at: u64,
    events: Vec<Event>,
    rows: Vec<Row>,
) -> Result<Seq, StoreError> {
    let items = events.into_iter().map(Item::Durable).collect();
    store.commit(Commit { conversation, at: Millis(at), items, rows, sync: false }).await
}

fn row() -> ConversationRow {
    ConversationRow { cwd: "/src".into(), ..ConversationRow::default() }
}

fn conversation_row(row: ConversationRow) -> Row {
    Row::Conversation(Box::new(row))
}

/// A conversation that exists and is at rest.
async fn exists(store: &Store, number: usize) {
    let at = number as u64;
    commit(store, numbered(number), at, vec![opened()], vec![conversation_row(row())])
        .await
        .expect("a commit");
}

/// All events of the journal through a reader's own reducer.
async fn as_a_reader_sees_it(store: &Store) -> Snapshot {
    let mut snapshot = Snapshot::default();
    loop {
        let page = store.events_after(snapshot.seq).await.expect("a page");
        if page.bytes.is_empty() {
            return snapshot;
        }
        let mut bytes = BytesMut::from(&page.bytes[..]);
        while let Some(frame) = framing(MAX_FRAME).decode(&mut bytes).expect("frames") {
            let envelope = frame.decode_durable().expect("it decodes").expect("a kind that is known");
            snapshot.apply(Seq(frame.seq), &envelope);
        }
    }
}

#[tokio::test]
async fn only_what_has_something_open_is_loaded_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let input = input(InputKind::Control);
    let alive = ConversationRow { child: Some(child(true)), ..row() };
    for (name, row, more) in [
        ("child", alive.clone(), None),
        ("prompt", row(), Some(Row::Prompt(Box::new(prompt(PromptState::Accepted))))),
        ("settled", row(), Some(Row::Prompt(Box::new(prompt(PromptState::Settled))))),
        ("input", row(), Some(Row::Input(input))),
        ("rest", row(), None),
    ] {
        let rows = std::iter::once(conversation_row(row)).chain(more).collect();
        commit(&store, key(name), 1, vec![opened()], rows).await.expect("a commit");
    }
    // One whose child is gone again.
    for row in [alive, row()] {
        commit(&store, key("ended"), 1, vec![notice("so")], vec![conversation_row(row)])
            .await
            .expect("a commit");
    }
    drop(store);
    let (store, loaded) = open(dir.path());
    let keys: Vec<&str> = loaded.iter().map(|loaded| loaded.key.as_str()).collect();
    assert_eq!(keys, ["child", "input", "prompt"]);
    let rest = store.load(&key("rest")).await.expect("a look-up").expect("it exists");
    assert_eq!(rest.conversation, row());
    assert!(store.knows(&key("rest")).await.expect("a look-up"));
    assert!(!store.knows(&key("nobody")).await.expect("a look-up"));
    assert!(store.load(&key("nobody")).await.expect("a look-up").is_none());
}

#[tokio::test]
async fn one_that_cannot_be_read_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    for name in ["broken", "whole"] {
        let rows = vec![conversation_row(ConversationRow { child: Some(child(true)), ..row() })];
        commit(&store, key(name), 1, vec![opened()], rows).await.expect("a commit");
    }
    drop(store);
    let journal = rusqlite::Connection::open(dir.path().join("journal.db")).expect("the journal");
    journal.execute("UPDATE conversation SET row = '{' WHERE key = 'broken'", []).expect("it breaks");
    drop(journal);
    let (store, loaded) = open(dir.path());
    assert_eq!(loaded.iter().map(|loaded| loaded.key.as_str()).collect::<Vec<_>>(), ["whole"]);
    assert!(matches!(store.load(&key("broken")).await, Err(StoreError::Row(_))));
}

#[tokio::test]
async fn the_conversation_of_a_session_is_found_also_where_the_snapshot_has_let_go_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let session = |id: &str| SessionId::new(id).expect("a valid id");
    let has = |id: &str| conversation_row(ConversationRow { session: Some(session(id)), ..row() });
    commit(&store, key("one"), 0, vec![opened()], vec![has("a")]).await.expect("a commit");
    for number in 1..=MAX_CONVERSATIONS {
        exists(&store, number).await;
    }
    assert!(!store.snapshot().conversations.contains_key(&key("one")));
    assert_eq!(store.conversation_of(&session("a")).await.expect("a look-up"), Some(key("one")));
    commit(&store, key("one"), 999, vec![], vec![has("b")]).await.expect("a commit");
    assert_eq!(store.conversation_of(&session("a")).await.expect("a look-up"), None);
    assert_eq!(store.conversation_of(&session("b")).await.expect("a look-up"), Some(key("one")));
}

#[tokio::test]
async fn one_that_the_snapshot_has_let_go_of_is_described_before_anything_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    for number in 0..=MAX_CONVERSATIONS {
        exists(&store, number).await;
    }
    let snapshot = store.snapshot();
    assert_eq!(snapshot.conversations.len(), MAX_CONVERSATIONS);
    assert!(!snapshot.conversations.contains_key(&numbered(0)));
    let refused = commit(&store, numbered(0), 1000, vec![notice("back")], vec![]).await;
    assert!(matches!(refused, Err(StoreError::Forgotten)), "{refused:?}");

    let todo = Todo { id: "1".to_owned(), text: "test".to_owned(), status: TodoStatus::InProgress };
    let recalled = ConversationRecalled {
        cwd: "/src".into(),
        session: Some(SessionId::new("5e55").expect("a valid id")),
        settings: SettingsChanged { model: Some("opus".to_owned()), permission_mode: None, effort: None },
        todos: vec![todo.clone()],
        unrecognised: 2,
    };
    let events = vec![recalled.clone().into(), notice("back")];
    commit(&store, numbered(0), 1000, events, vec![]).await.expect("a commit");
    let snapshot = store.snapshot();
    let back = &snapshot.conversations[&numbered(0)];
    assert_eq!(
        (&back.session, &back.settings, &back.todos),
        (&recalled.session, &recalled.settings, &vec![todo])
    );
    assert!(!snapshot.conversations.contains_key(&numbered(1)), "another one made room");
    assert_eq!(as_a_reader_sees_it(&store).await, *snapshot);
    drop(store);
    let (store, _) = open(dir.path());
    assert_eq!(store.snapshot(), snapshot, "after a restart, too");
}

/// More conversations at once than a snapshot holds: each commit shares its transaction with others that may push its
/// conversation out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_forgotten_where_many_come_and_go_at_once() {
    const AT_ONCE: usize = 2 * MAX_CONVERSATIONS;
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let work = (0..AT_ONCE).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let cwd = format!("/{number}");
            let recalled = ConversationRecalled {
                cwd: cwd.clone().into(),
                session: None,
                settings: SettingsChanged::default(),
                todos: vec![],
                unrecognised: 0,
            };
            let mine = ConversationRow { cwd: cwd.clone().into(), ..ConversationRow::default() };
            for turn in 0..10u64 {
                let first = if turn == 0 {
                    ConversationOpened { cwd: cwd.clone().into() }.into()
                } else {
                    notice("on")
                };
                let rows = || vec![conversation_row(mine.clone())];
                let at = turn;
                match commit(&store, numbered(number), at, vec![first.clone()], rows()).await {
                    Ok(_) => {}
                    Err(StoreError::Forgotten) => {
                        let events = vec![recalled.clone().into(), first];
                        commit(&store, numbered(number), at, events, rows()).await.expect("a commit");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for task in work.collect::<Vec<_>>() {
        task.await.expect("a task");
    }
    let snapshot = store.snapshot();
    assert_eq!(snapshot.conversations.len(), MAX_CONVERSATIONS);
    for (key, conversation) in &snapshot.conversations {
        let number: usize = key.as_str()[1..].parse().expect("a number");
        assert_eq!(conversation.cwd.to_str(), Some(&*format!("/{number}")), "{key}");
    }
    assert_eq!(as_a_reader_sees_it(&store).await, *snapshot);
}

#[tokio::test]
async fn a_snapshot_that_is_lost_is_made_anew_from_the_rows() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let waiting = prompt(PromptState::Accepted);
    let begun =
        PromptRow { key: IdempotencyKey::new("other").expect("a key"), ..prompt(PromptState::Started) };
    let turn = TurnRow { turn: TurnId(3), started_at: Millis(5), ..TurnRow::default() };
    let busy = ConversationRow {
        child: Some(child(true)),
        session: Some(SessionId::new("5e55").expect("a valid id")),
        turn: Some(turn),
        unrecognised: 4,
        ..row()
    };
    let rows = vec![
        conversation_row(busy),
        Row::Prompt(Box::new(waiting.clone())),
        Row::Prompt(Box::new(begun.clone())),
    ];
    commit(&store, key("busy"), 1, vec![opened()], rows).await.expect("a commit");
    // Far more than a start may replay.
    for number in 0..300 {
        exists(&store, number).await;
        let events = std::iter::repeat_with(|| notice("so")).take(40).collect();
        commit(&store, numbered(number), 10 + number as u64, events, vec![]).await.expect("a commit");
    }
    let head = store.snapshot().seq;
    drop(store);
    let journal = rusqlite::Connection::open(dir.path().join("journal.db")).expect("the journal");
    journal.execute("DELETE FROM snapshot", []).expect("it is lost");
    drop(journal);

    let (store, _) = open(dir.path());
    let snapshot = store.snapshot();
    assert_eq!(snapshot.seq, head);
    assert_eq!(snapshot.conversations.len(), MAX_CONVERSATIONS);
    let busy = &snapshot.conversations[&key("busy")];
    assert_eq!(busy.claude_pid, Some(4242));
    assert_eq!(busy.queue.iter().map(|queued| queued.prompt).collect::<Vec<_>>(), [waiting.id]);
    let turn = busy.turn.as_ref().expect("the turn");
    assert_eq!((turn.turn, &turn.prompts, turn.started_at), (TurnId(3), &vec![begun.id], Millis(5)));
    assert_eq!(busy.unrecognised, 4);
    let (latest, at) = snapshot.latest().expect("there are some");
    assert_eq!((latest, at.active_at), (&numbered(299), Millis(309)));
}

/// A log before the database that nobody cuts back would have to be read at each start.
#[tokio::test]
async fn the_log_before_the_journal_stays_small() {
    const LIMIT: u64 = 17 << 20;
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let size = || std::fs::metadata(dir.path().join("journal.db-wal")).expect("the log").len();
    let long = "x".repeat(500_000);
    let write = async |times: usize| {
        for _ in 0..times {
            commit(&store, key("c"), 1, vec![notice(&long)], vec![]).await.expect("a commit");
        }
    };
    write(60).await;
    assert!(size() < LIMIT, "{} bytes", size());
    // Somebody else looks at the journal for long.
    let other = rusqlite::Connection::open(dir.path().join("journal.db")).expect("the journal");
    other.execute_batch("BEGIN; SELECT count(*) FROM meta;").expect("a look");
    write(60).await;
    assert!(size() > LIMIT, "this test is about a log that was held up, and it has only {} bytes", size());
    other.execute_batch("COMMIT").expect("the end of the look");
    write(20).await;
    assert!(size() < LIMIT, "{} bytes", size());
}
