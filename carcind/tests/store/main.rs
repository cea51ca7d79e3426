//! The journal, through its handle: what it keeps over a restart, and how it tells what happened.

mod growth;
mod origin;
mod salvage;

use std::path::Path;

use carcin_proto::event::{
    Level, Notice, PromptAccepted, SessionCause, SessionChanged, TextBlock, TextDelta,
};
use carcin_proto::request::Placement;
use carcin_proto::{
    BlockId, ConversationKey, Event, IdempotencyKey, Millis, PromptId, Seq, Transient, TurnId,
};
use carcind::rows::{
    ChildRow, ConversationRow, InputKind, InputRow, Item, Loaded, PromptRow, PromptState, Row,
};
use carcind::store::{Commit, KEEP_AT_LEAST, Recent, Store};

fn key() -> ConversationKey {
    ConversationKey::new("test").expect("a valid key")
}

fn open(dir: &Path, boot: &str) -> (Store, Vec<Loaded>) {
    Store::open(dir, boot, KEEP_AT_LEAST).expect("the journal opens")
}

fn notice(text: &str) -> Item {
    Item::Durable(Event::Notice(Notice { level: Level::Info, text: text.to_owned(), hint: None }))
}

fn delta() -> Item {
    let delta = TextDelta { turn: TurnId(1), block: BlockId(0), offset: 0, text: "x".to_owned() };
    Item::Transient(Transient::TextDelta(delta))
}

fn commit(items: Vec<Item>, rows: Vec<Row>) -> Commit {
    Commit { conversation: key(), at: Millis(7), items, rows, sync: false }
}

fn child(prompted: bool) -> ChildRow {
    ChildRow { generation: "generation".to_owned(), pid: Some(4242), prompted, ..ChildRow::default() }
}

fn input(kind: InputKind) -> InputRow {
    InputRow { id: "line".to_owned(), position: 2, kind, line: "{}".to_owned(), images: vec![] }
}

fn prompt(state: PromptState) -> PromptRow {
    PromptRow {
        id: PromptId::random(),
        key: IdempotencyKey::new("key").expect("a valid key"),
        text: "do".to_owned(),
        images: vec![],
        by: "test".to_owned(),
        placement: Placement::Steer,
        position: 1,
        ahead: 0,
        seq: Seq(0),
        state,
        attempts: 0,
        withdrawing: false,
        unbegun: false,
    }
}

#[tokio::test]
async fn what_is_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, loaded) = open(dir.path(), "boot");
    assert!(loaded.is_empty());
    let prompt = prompt(PromptState::Accepted);
    let accepted = Event::PromptAccepted(PromptAccepted {
        prompt: prompt.id,
        key: prompt.key.clone(),
        text: prompt.text.clone(),
        by: prompt.by.clone(),
        ahead: 0,
    });
    let input = input(InputKind::Prompt);
    let rows = vec![
        Row::Conversation(Box::default()),
        Row::Prompt(Box::new(prompt.clone())),
        Row::Input(input.clone()),
    ];
    let last =
        store.commit(commit(vec![notice("one"), Item::Durable(accepted)], rows)).await.expect("a commit");
    assert_eq!(last, Seq(2));
    let journal = store.journal();
    // Dropped without being closed: as after a SIGKILL.
    drop(store);

    let (store, loaded) = open(dir.path(), "boot");
    assert_eq!(store.journal(), journal);
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].conversation, ConversationRow::default());
    assert_eq!(loaded[0].inputs, [input]);
    assert_eq!(loaded[0].prompts, [PromptRow { seq: Seq(2), ..prompt.clone() }]);
    let snapshot = store.snapshot();
    assert_eq!(snapshot.seq, Seq(2));
    assert_eq!(snapshot.conversations[&key()].queue.len(), 1);
    let known = store.prompt_by_key(&key(), &prompt.key).await.expect("a look-up").expect("the prompt");
    assert_eq!(known.seq, Seq(2), "the event that made it known");
}

#[tokio::test]
async fn a_settled_row_is_not_loaded_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path(), "boot");
    let settled = prompt(PromptState::Settled);
    let input = input(InputKind::Control);
    let rows = vec![
        Row::Conversation(Box::default()),
        Row::Prompt(Box::new(settled)),
        Row::Input(input),
        Row::InputDone("line".to_owned()),
    ];
    store.commit(commit(vec![], rows)).await.expect("a commit");
    drop(store);
    let (store, loaded) = open(dir.path(), "boot");
    assert_eq!(loaded.len(), 0, "nothing is open");
    let loaded = store.load(&key()).await.expect("a look-up").expect("the conversation");
    assert!(loaded.prompts.is_empty());
    assert!(loaded.inputs.is_empty());
}

#[tokio::test]
async fn after_a_reboot_no_number_is_given_out_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path(), "one boot");
    assert_eq!(store.commit(commit(vec![notice("one")], vec![])).await.expect("a commit"), Seq(1));
    drop(store);
    let (store, _) = open(dir.path(), "another boot");
    let seq = store.commit(commit(vec![notice("two")], vec![])).await.expect("a commit");
    assert_eq!(seq, Seq(1 + (1 << 32) + 1));
    drop(store);
    // Once a boot, not once a start; and what was given out counts, also where its event was lost.
    let (store, _) = open(dir.path(), "another boot");
    let seq = store.commit(commit(vec![notice("three")], vec![])).await.expect("a commit");
    assert_eq!(seq, Seq(1 + (1 << 32) + 2));
}

/// A journal with two events of one boot and one of another.
async fn rebooted() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path(), "one boot");
    store.commit(commit(vec![notice("one"), notice("two")], vec![])).await.expect("a commit");
    drop(store);
    let (store, _) = open(dir.path(), "another boot");
    store.commit(commit(vec![notice("three")], vec![])).await.expect("a commit");
    (dir, store)
}

#[tokio::test]
async fn a_reboot_lets_no_event_go() {
    let (_dir, store) = rebooted().await;
    let page = store.events_after(Seq(1)).await.expect("a page");
    assert_eq!((page.oldest, page.last), (Seq(1), Seq(2 + (1 << 32) + 1)));
}

#[tokio::test]
async fn a_number_that_a_power_cut_took_is_not_known() {
    let (_dir, store) = rebooted().await;
    let base = 2 + (1 << 32);
    for (seq, known) in [(0, true), (2, true), (3, false), (base - 1, false), (base, true), (base + 1, true)]
    {
        assert_eq!(store.is_known(Seq(seq)).await.expect("a look-up"), known, "{seq}");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_kept_does_not_hold_up_the_rest() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path(), "boot");
    let items = vec![notice(&"x".repeat(9 << 20)), notice("after it")];
    assert_eq!(store.commit(commit(items, vec![])).await.expect("a commit"), Seq(2));
    let page = store.events_after(Seq(0)).await.expect("a page");
    assert_eq!(page.last, Seq(2));
    assert!(page.bytes.len() < 1024, "a sentence stands in its place");
}

#[tokio::test]
async fn a_writer_that_has_ended_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path(), "boot");
    let waits = store.clone();
    let ended = tokio::spawn(async move { waits.ended().await });
    store.commit(commit(vec![notice("one")], vec![])).await.expect("a commit");
    assert!(!ended.is_finished());
    store.close().await;
    ended.await.expect("it is told");
}

#[tokio::test]
async fn subscribers_see_durable_and_transient_events_in_one_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path(), "boot");
    let mut live = store.listen().live;
    store.commit(commit(vec![delta(), notice("one"), delta()], vec![])).await.expect("a commit");
    store.commit(commit(vec![delta()], vec![])).await.expect("a commit");
    let first = live.recv().await.expect("what was published");
    let seqs: Vec<_> = first.frames.iter().map(|(_, seq)| seq.0).collect();
    assert_eq!(seqs, [0, 1, 0]);
    let second = live.recv().await.expect("what was published");
    assert_eq!((second.frames.len(), second.last), (1, Seq(1)));
}

#[tokio::test]
async fn the_journal_pages_what_subscribers_have_missed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path(), "boot");
    let long = "x".repeat(100_000);
    for _ in 0..10 {
        let block = TextBlock { turn: TurnId(1), block: BlockId(0), text: long.clone(), parent: None };
        store.commit(commit(vec![Item::Durable(block.into())], vec![])).await.expect("a commit");
    }
    let mut cursor = Seq(3);
    let mut pages = 0;
    loop {
        let page = store.events_after(cursor).await.expect("a page");
        if page.bytes.is_empty() {
            break;
        }
        assert!(page.bytes.len() < 512 * 1024, "a page is bounded");
        assert!(page.last > cursor);
        assert_eq!(page.oldest, Seq(1));
        cursor = page.last;
        pages += 1;
    }
    assert_eq!(cursor, Seq(10));
    assert!(pages > 1);
    let recent = store.recent(&key(), 3).await.expect("texts");
    assert_eq!(recent.texts.len(), 3);
}

#[tokio::test]
async fn what_was_said_last_is_of_the_session_and_no_subagents() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path(), "boot");
    let said = |text: &str, parent: Option<&str>| {
        let parent = parent.map(|parent| parent.parse().expect("an id"));
        let block = TextBlock { turn: TurnId(1), block: BlockId(0), text: text.to_owned(), parent };
        Item::Durable(block.into())
    };
    let changed = |session: &str| {
        let session = Some(session.parse().expect("an id"));
        let changed = SessionChanged { session, cwd: "/".into(), cause: SessionCause::Resumed };
        Item::Durable(changed.into())
    };
    let items =
        vec![said("before", None), changed("one"), said("old", None), changed("two"), said("a", None)];
    store.commit(commit(items, vec![])).await.expect("a commit");
    let items = vec![said("inner", Some("tool")), said("b", None), said("inner", Some("tool"))];
    store.commit(commit(items, vec![])).await.expect("a commit");
    for (limit, expected) in [(1, &["b"][..]), (2, &["a", "b"]), (9, &["a", "b"])] {
        let recent = store.recent(&key(), limit).await.expect("a look-up");
        let texts = recent.texts.iter().map(|envelope| match &envelope.event {
            Event::TextBlock(block) => block.text.as_str(),
            other => panic!("{other:?}"),
        });
        assert_eq!(texts.collect::<Vec<_>>(), expected, "{limit}");
        let since = recent.session.expect("it is in the journal").event;
        assert!(matches!(since, Event::SessionChanged(changed) if changed.session == "two".parse().ok()));
    }
    let nobody = ConversationKey::new("nobody").expect("a valid key");
    assert_eq!(store.recent(&nobody, 3).await.expect("a look-up"), Recent::default());
}

#[tokio::test]
async fn a_journal_of_a_newer_version_is_refused_with_a_sentence() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path(), "boot"));
    let database = rusqlite::Connection::open(dir.path().join("journal.db")).expect("the database");
    database.pragma_update(None, "user_version", 99).expect("a version");
    drop(database);
    let error = Store::open(dir.path(), "boot", KEEP_AT_LEAST).expect_err("it is refused");
    assert!(error.to_string().contains("is of version 99"), "{error}");
    assert!(error.to_string().contains("upgrade carcind"), "{error}");
}

#[tokio::test]
async fn as_many_events_are_kept_as_are_asked_for_and_no_more_than_a_step_beyond() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path(), "boot");
    let mut head = Seq(0);
    for round in 0..30 {
        let items = (0..1_000).map(|number| notice(&format!("{round} {number}"))).collect();
        head = store.commit(commit(items, Vec::new())).await.expect("it is kept");
        let oldest = store.events_after(head).await.expect("it is read").oldest;
        let kept = head.0 - (oldest.0 - 1);
        assert!(kept >= head.0.min(KEEP_AT_LEAST), "only {kept} of {head}");
        assert!(kept <= KEEP_AT_LEAST + 4096 + 1_000, "{kept} of {head}");
    }
    store.close().await;
    // Among them are those that the state is made of.
    let (store, _) = open(dir.path(), "boot");
    assert_eq!(store.snapshot().seq, head);
}

#[tokio::test]
async fn what_is_published_is_small_and_what_is_large_is_in_the_journal() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path(), "boot");
    let mut live = store.listen().live;
    let large = "x".repeat(1_000_000);
    let mut items = vec![delta(), notice("small"), notice(&large), notice("small again")];
    items.extend((0..10_000).map(|_| delta()));
    let head = store.commit(commit(items, Vec::new())).await.expect("it is kept");
    assert_eq!(head, Seq(3));
    let (mut last, mut withheld, mut frames) = (Seq(0), Vec::new(), 0);
    while let Ok(published) = live.try_recv() {
        assert!(published.bytes.len() < 64 * 1024, "{} bytes are published at once", published.bytes.len());
        assert!(published.last >= last, "{} after {last}", published.last);
        last = published.last;
        if published.bytes.is_empty() {
            withheld.push(published.last);
        } else {
            frames += published.frames.len();
            assert_eq!(published.frames.last().map(|(end, _)| *end), Some(published.bytes.len()));
        }
    }
    assert_eq!((withheld, frames), (vec![Seq(2)], 10_003));
    let page = store.events_after(Seq(1)).await.expect("it is read");
    assert!(page.bytes.len() > large.len(), "the journal has it");
}
