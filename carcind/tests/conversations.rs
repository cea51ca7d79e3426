//! Conversations that come and go: loaded when asked for, let go at rest, and nothing asked of them lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use carcin_proto::frame::{MAX_FRAME, framing};
use carcin_proto::request::{Configure, Submit};
use carcin_proto::snapshot::MAX_CONVERSATIONS;
use carcin_proto::{ConversationKey, Event, RefusalCode, Seq, SessionId};
use carcind::child::{Launcher, Limits};
use carcind::claude::transcripts::Transcripts;
use carcind::conversation::{Conversations, Patience, SharedAbilities, Site};
use carcind::store::{KEEP_DEFAULT, Store};
use tokio_util::codec::Decoder;

/// More than stay loaded at rest, and more than a snapshot holds. A prime, so that each asker below meets all of them.
const MANY: usize = 199;
/// How many may stay loaded at rest.
const LOADED: usize = 64;

fn key(number: usize) -> ConversationKey {
    ConversationKey::new(format!("c{number}")).expect("a valid key")
}

/// The conversations of the journal in `dir`. None of them can start a Claude.
async fn conversations(dir: &Path) -> (Conversations, Store) {
    let (store, loaded) = Store::open(dir, "boot", KEEP_DEFAULT).expect("the journal opens");
    let site = Site {
        abilities: SharedAbilities::load(dir),
        store: store.clone(),
        state_dir: dir.to_owned(),
        socket: dir.join("socket"),
        claude: "claude".into(),
        working_dir: dir.to_owned(),
        launcher: Launcher::Plain { exe: "/nonexistent".into() },
        limits: Limits::default(),
        model: None,
        effort: None,
        permission_mode: None,
        plugin_dirs: Vec::new(),
        add_dirs: Vec::new(),
        settings: None,
        patience: Patience::default(),
        ctl: "carcin-ctl".into(),
        transcripts: Transcripts::new(dir),
        short_of_space: tokio::sync::watch::channel(false).1,
    };
    (Conversations::recover(Arc::new(site), loaded).await, store)
}

fn model(number: usize) -> Configure {
    Configure {
        conversation: key(number),
        model: Some(format!("model-{number}")),
        permission_mode: None,
        effort: None,
    }
}

/// Every event of the journal, with whose it is.
async fn events(store: &Store) -> Vec<(String, Event)> {
    let (mut all, mut cursor) = (Vec::new(), Seq(0));
    loop {
        let page = store.events_after(cursor).await.expect("a page");
        if page.bytes.is_empty() {
            return all;
        }
        let mut bytes = BytesMut::from(&page.bytes[..]);
        while let Some(frame) = framing(MAX_FRAME).decode(&mut bytes).expect("frames") {
            let envelope = frame.decode_durable().expect("it decodes").expect("a kind that is known");
            all.push((envelope.conversation.to_string(), envelope.event));
        }
        cursor = page.last;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_while_conversations_come_and_go_happens_once() {
    const ROUNDS: usize = 2;
    let dir = tempfile::tempdir().expect("a directory");
    let (conversations, store) = conversations(dir.path()).await;
    let asking = (0..8).map(|asker| {
        let conversations = conversations.clone();
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                for number in 0..MANY {
                    // Each in an order of its own, so that what one lets go another asks for.
                    let number = (number * (2 * asker + 1) + round) % MANY;
                    let handle = conversations.open(key(number)).await.expect("it is there");
                    let text = format!("{asker}/{round}");
                    handle.notify(text, "test".to_owned()).await.expect("it is done");
                }
            }
        })
    });
    for asker in asking.collect::<Vec<_>>() {
        asker.await.expect("an asker");
    }
    let mut told: BTreeMap<(String, String), u32> = BTreeMap::new();
    let mut opened: BTreeMap<String, u32> = BTreeMap::new();
    for (conversation, event) in events(&store).await {
        match event {
            Event::Notification(notification) => {
                *told.entry((conversation, notification.text)).or_default() += 1;
            }
            Event::ConversationOpened(_) => *opened.entry(conversation).or_default() += 1,
            _ => {}
        }
    }
    assert_eq!(told.len(), MANY * ROUNDS * 8);
    assert!(told.values().all(|times| *times == 1), "none is told twice");
    assert_eq!(opened.len(), MANY);
    assert!(opened.values().all(|times| *times == 1), "none is opened twice");
    // The last ones may have been held while there was need for room.
    conversations.open(key(MANY)).await.expect("it is there");
    let loaded = conversations.all().await.len();
    assert!(loaded <= LOADED + 8, "{loaded} are loaded");
}

#[tokio::test]
async fn one_that_was_let_go_is_as_it_was_and_so_is_the_snapshot_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (conversations, store) = conversations(dir.path()).await;
    for number in 0..MANY {
        let handle = conversations.open(key(number)).await.expect("it is there");
        handle.configure(model(number)).await.expect("it is done");
    }
    let loaded = conversations.all().await;
    assert_eq!(loaded.len(), LOADED);
    assert!(loaded.iter().all(|handle| *handle.key() != key(0)));
    let snapshot = store.snapshot();
    assert_eq!(snapshot.conversations.len(), MAX_CONVERSATIONS);
    assert!(!snapshot.conversations.contains_key(&key(0)));

    let handle = conversations.find(key(0)).await.expect("it exists");
    handle.notify("again".to_owned(), "test".to_owned()).await.expect("it is done");
    let snapshot = store.snapshot();
    let back = &snapshot.conversations[&key(0)];
    assert_eq!(back.settings.model.as_deref(), Some("model-0"));
    assert_eq!(back.cwd, dir.path());
}

#[tokio::test]
async fn one_that_nobody_opened_is_not_found_and_not_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let (conversations, store) = conversations(dir.path()).await;
    let refusal = conversations.find(key(1)).await.expect_err("there is none");
    assert_eq!(refusal.code, RefusalCode::NoConversation);
    assert!(!store.knows(&key(1)).await.expect("a look-up"));
}

#[tokio::test]
async fn after_a_restart_nothing_is_loaded_until_it_is_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let (first, store) = conversations(dir.path()).await;
    for number in 0..3 {
        first
            .open(key(number))
            .await
            .expect("it is there")
            .configure(model(number))
            .await
            .expect("it is done");
    }
    drop(first);
    store.close().await;
    let (second, _store) = conversations(dir.path()).await;
    assert_eq!(second.all().await.len(), 0);
    let handle = second.find(key(1)).await.expect("it exists");
    let session = SessionId::new("5e55").expect("a valid id");
    assert_eq!(handle.works_in(session).await, Ok(false));
    assert_eq!(second.all().await.len(), 1);
}

/// A conversation that cannot be loaded: who asks is told so, in a bounded time, `status` says it, and once it can be
/// loaded it goes on by itself.
#[tokio::test]
async fn one_that_cannot_be_loaded_refuses_and_is_tried_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (first, store) = conversations(dir.path()).await;
    first.open(key(1)).await.expect("it is there").configure(model(1)).await.expect("it is done");
    drop(first);
    store.close().await;
    let journal = rusqlite::Connection::open(dir.path().join("journal.db")).expect("the journal");
    let whole: String =
        journal.query_row("SELECT row FROM conversation", [], |row| row.get(0)).expect("the row");
    journal.execute("UPDATE conversation SET row = '{'", []).expect("it breaks");

    let (conversations, _store) = conversations(dir.path()).await;
    let handle = conversations.find(key(1)).await.expect("it exists");
    let refusal = handle.notify("lost".to_owned(), "test".to_owned()).await.expect_err("it cannot be loaded");
    assert_eq!(refusal.code, RefusalCode::ShuttingDown, "to be asked again");
    assert!(refusal.message.contains("is being taken up again"), "{}", refusal.message);
    let problems = conversations.problems();
    assert!(problems.len() == 1 && problems[0].contains("cannot be loaded"), "{problems:?}");
    let other = conversations.open(key(2)).await.expect("it is there");
    other.notify("fine".to_owned(), "test".to_owned()).await.expect("the others do not notice");

    journal.execute("UPDATE conversation SET row = ?1 WHERE key = 'c1'", [whole]).expect("it is whole");
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while handle.notify("back".to_owned(), "test".to_owned()).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "it was not taken up again");
    }
}

#[tokio::test]
async fn once_it_is_being_shut_down_nothing_is_loaded_any_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let (conversations, _store) = conversations(dir.path()).await;
    let handle = conversations.open(key(1)).await.expect("it is there");
    let (first, second) = tokio::join!(
        tokio::time::timeout(Duration::from_mins(1), conversations.shutdown("one".to_owned())),
        tokio::time::timeout(Duration::from_mins(1), conversations.shutdown("two".to_owned())),
    );
    first.and(second).expect("both come back");
    for number in [1, 2] {
        let submit = Submit {
            conversation: key(number),
            key: carcin_proto::IdempotencyKey::new("key").expect("a valid key"),
            text: "do".to_owned(),
            placement: carcin_proto::request::Placement::Steer,
            by: "test".to_owned(),
        };
        let refused = match conversations.open(key(number)).await {
            Ok(handle) => handle.submit(submit).await.expect_err("it is shut down"),
            Err(refusal) => refusal,
        };
        assert_eq!(refused.code, RefusalCode::ShuttingDown);
    }
    let refusal = handle.configure(model(1)).await.expect_err("it is shut down");
    assert_eq!(refusal.message, "carcind is ending");
}

#[test]
fn a_registry_that_has_ended_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = tokio::runtime::Runtime::new().expect("a runtime");
    let (conversations, _store) = first.block_on(conversations(dir.path()));
    let waits = conversations.clone();
    let second = tokio::runtime::Runtime::new().expect("a runtime");
    let ended = second.spawn(async move { waits.ended().await });
    first.block_on(conversations.all());
    assert!(!ended.is_finished());
    // Its task ends with its runtime, as it would by a panic.
    first.shutdown_background();
    let told = second.block_on(async { tokio::time::timeout(Duration::from_mins(1), ended).await });
    told.expect("it is told").expect("no panic");
}
