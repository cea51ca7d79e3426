//! What is known of a journal that was begun anew, over starts that do not get to the end of what is to be done then.

use std::fs::{self, File};
use std::path::Path;

use carcin_proto::{Event, Seq};
use carcind::rows::{ConversationRow, Row};
use carcind::store::{Commit, Origin, Store};

use super::{child, commit, key, notice, open, prompt};
use carcind::rows::PromptState;

/// A conversation whose Claude had no prompt yet, in a journal that was then found damaged.
async fn damaged(dir: &Path) {
    let (store, _) = open(dir, "boot");
    let row = ConversationRow { child: Some(child(false)), ..ConversationRow::default() };
    let rows = vec![Row::Conversation(Box::new(row)), Row::Prompt(Box::new(prompt(PromptState::Accepted)))];
    store.commit(Commit { sync: true, ..commit(vec![notice("one")], rows) }).await.expect("a commit");
    store.forget_origin().expect("it is noted");
    store.close().await;
    drop(store);
    File::create(dir.join("journal.db.damaged")).expect("a mark");
}

/// What a conversation was told in this journal.
async fn told(store: &Store) -> Vec<String> {
    let texts = store.snapshot().seq;
    let mut told = Vec::new();
    let page = store.events_after(Seq(0)).await.expect("a page");
    assert_eq!(page.last, texts, "one page has it all");
    let mut rest = &page.bytes[..];
    while rest.len() > 4 {
        let length =
            usize::try_from(u32::from_le_bytes(rest[..4].try_into().expect("four bytes"))).expect("small");
        let (frame, more) = rest[4..].split_at(length);
        rest = more;
        let kind = carcin_proto::Kind(u16::from_le_bytes([frame[0], frame[1]]));
        let frame = carcin_proto::Frame { kind, seq: 0, payload: frame[10..].to_vec().into() };
        if let Ok(Some(envelope)) = frame.decode_durable()
            && let Event::Notice(notice) = envelope.event
        {
            told.push(notice.text);
        }
    }
    told
}

#[tokio::test]
async fn a_new_journal_is_new_until_all_is_known() {
    let dir = tempfile::tempdir().expect("a directory");
    for _ in 0..2 {
        assert_eq!(*open(dir.path(), "boot").0.origin(), Origin::New);
    }
    let (store, _) = open(dir.path(), "boot");
    store.forget_origin().expect("it is noted");
    store.forget_origin().expect("twice is as good");
    drop(store);
    assert_eq!(*open(dir.path(), "boot").0.origin(), Origin::Kept);
    fs::remove_file(dir.path().join("journal.db")).expect("it is lost");
    assert_eq!(*open(dir.path(), "boot").0.origin(), Origin::New);
}

#[tokio::test]
async fn of_a_damaged_journal_each_start_knows_and_a_conversation_is_told_once() {
    let dir = tempfile::tempdir().expect("a directory");
    damaged(dir.path()).await;
    let mut origins = Vec::new();
    for _ in 0..3 {
        let (store, loaded) = open(dir.path(), "boot");
        assert_eq!(loaded.len(), 1);
        assert!(loaded[0].conversation.child.as_ref().is_some_and(|child| child.prompted));
        origins.push(store.origin().clone());
        let told = told(&store).await;
        assert!(told.len() == 1 && told[0].starts_with("The journal was damaged"), "{told:?}");
    }
    let Origin::Damaged { kept, why } = &origins[0] else { panic!("it is {:?}", origins[0]) };
    assert!(kept.exists());
    assert_eq!(why, "it was found damaged when it was used last");
    assert!(origins.iter().all(|origin| *origin == origins[0]), "{origins:?}");
    let (store, _) = open(dir.path(), "boot");
    store.forget_origin().expect("it is noted");
    drop(store);
    let (store, _) = open(dir.path(), "boot");
    assert_eq!(*store.origin(), Origin::Kept);
    assert_eq!(store.snapshot().conversations.len(), 1);
    assert!(store.knows(&key()).await.expect("a look-up"));
}

#[tokio::test]
async fn conversations_are_told_of_the_damage_by_the_start_after_one_that_died_before_it() {
    let dir = tempfile::tempdir().expect("a directory");
    damaged(dir.path()).await;
    drop(open(dir.path(), "boot"));
    // As it is right after the new journal was put into its place.
    let journal = rusqlite::Connection::open(dir.path().join("journal.db")).expect("the database");
    journal
        .execute_batch(
            "DELETE FROM event; DELETE FROM snapshot; DELETE FROM meta;
             UPDATE conversation SET row = json_set(row, '$.child.prompted', json('false'));",
        )
        .expect("it is as before");
    drop(journal);
    let (store, loaded) = open(dir.path(), "boot");
    assert!(loaded[0].conversation.child.as_ref().is_some_and(|child| child.prompted));
    assert_eq!(told(&store).await.len(), 1);
}
