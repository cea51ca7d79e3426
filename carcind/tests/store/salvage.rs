//! What is taken over of a damaged journal, where a part of it cannot be read.

use std::fs::File;

use carcin_proto::event::{Ask, PlanAsk, RequestOpened};
use carcin_proto::{Millis, RequestId, TurnId};
use carcind::rows::{ConversationRow, InputKind, PromptState, RequestRow, RequestState, Row};

use super::{commit, input, key, notice, open, prompt};

#[tokio::test]
async fn what_is_open_without_a_readable_conversation_never_comes_alive_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path(), "boot");
    let waiting = prompt(PromptState::Accepted);
    let input = input(InputKind::Prompt);
    let id = RequestId::new("r").expect("a valid id");
    let request = RequestRow {
        id: id.clone(),
        conversation: key(),
        position: 3,
        at: Millis(1),
        opened: RequestOpened {
            request: id.clone(),
            turn: TurnId(1),
            ask: Ask::Plan(PlanAsk { plan: String::new(), path: None }),
        },
        tool_input: String::new(),
        state: RequestState::Open,
    };
    let rows = vec![
        Row::Conversation(Box::default()),
        Row::Prompt(Box::new(waiting.clone())),
        Row::Input(input),
        Row::Request(Box::new(request)),
    ];
    store.commit(commit(vec![notice("one")], rows)).await.expect("a commit");
    store.close().await;
    drop(store);
    let journal = rusqlite::Connection::open(dir.path().join("journal.db")).expect("the database");
    journal.execute("UPDATE conversation SET row = '{'", []).expect("it cannot be read");
    drop(journal);
    File::create(dir.path().join("journal.db.damaged")).expect("a mark");

    let (store, loaded) = open(dir.path(), "boot");
    assert!(loaded.is_empty(), "{loaded:?}");
    // The next message makes the conversation anew.
    let row = Row::Conversation(Box::new(ConversationRow { next_position: 1, ..ConversationRow::default() }));
    store.commit(commit(vec![notice("two")], vec![row])).await.expect("a commit");
    store.close().await;
    drop(store);
    let (store, loaded) = open(dir.path(), "boot");
    assert!(loaded.is_empty(), "{loaded:?}");
    let loaded = store.load(&key()).await.expect("a look-up").expect("the conversation");
    assert_eq!((loaded.prompts, loaded.inputs, loaded.requests), (vec![], vec![], vec![]));
    let known =
        store.prompt_by_key(&key(), &waiting.key).await.expect("a look-up").expect("its key is known");
    assert_eq!((known.id, known.state, known.text), (waiting.id, PromptState::Settled, String::new()));
    assert!(store.request(&id).await.expect("a look-up").is_none());
}
