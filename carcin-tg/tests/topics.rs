//! Topics: each a conversation of its own, in a forum and in a private chat, that begins as where it was asked for.

mod support;

use std::path::PathBuf;

use carcin_lab::telegram::{ChatMessage, LabConfig, Typed};
use carcin_proto::event::TurnOutcome;
use carcin_proto::inquiry::{Abilities, About};
use carcin_proto::request::{Configure, ConversationStatus, New};
use carcin_proto::snapshot::Conversation;
use carcin_proto::{ConversationKey, Millis, Reply, Request};
use support::daemon::Scripted;
use support::events::{text, turn_ended, turn_started};
use support::{ANN, Rig, SOON};

/// A bot's message in Ann's chat that says `words`.
async fn sees(rig: &Rig, chat: i64, words: &'static str) -> ChatMessage {
    let seen = rig.telegram.wait_for(words, SOON, move |state| {
        state.visible(chat).find(|message| message.from_bot() && message.text().contains(words)).cloned()
    });
    seen.await.unwrap_or_else(|error| panic!("{error}\n{}", rig.read_log()))
}

fn about(key: &ConversationKey) -> Reply {
    Reply::About(Box::new(About {
        status: ConversationStatus {
            key: key.clone(),
            session_id: None,
            cwd: PathBuf::from("/srv/app"),
            state: Conversation::default().state(),
            claude_pid: None,
            queued: 0,
            model: Some("opus".into()),
            permission_mode: Some("plan".into()),
            active_at: Millis(0),
            pending: 0,
            unrecognised: 0,
        },
        effort: Some("high".into()),
        title: None,
        branch: None,
        tasks: Vec::new(),
        queue: Vec::new(),
        usage: None,
        abilities: Abilities::default(),
    }))
}

#[tokio::test]
async fn a_private_chat_with_topics_has_a_conversation_in_each() {
    let rig = Rig::with_telegram(LabConfig { private_topics: true, ..LabConfig::default() }).await;
    rig.write("/new The docs");
    let docs = sees(&rig, ANN, "🆕 The docs").await.thread.expect("in a topic");
    let other = rig.telegram.topic(ANN, ANN, "Other").expect("a topic");
    for (turn, thread) in [(1, docs), (2, other)] {
        let words = format!("do {thread}");
        let typed = Typed { thread: Some(thread), ..Typed::new(words.as_str()) };
        rig.telegram.send(ANN, ANN, typed).expect("sent");
        let (_, submit) = rig.daemon.wait_for_prompt(&words).await;
        let conversation = format!("tg:{ANN}:{thread}");
        assert_eq!(submit.conversation.as_str(), conversation);
        rig.daemon.emit(&conversation, turn_started(turn));
        rig.daemon.emit(&conversation, text(turn, &format!("Did {turn}")));
        rig.daemon.emit(&conversation, turn_ended(turn, TurnOutcome::Completed));
    }
    assert_eq!(sees(&rig, ANN, "Did 1").await.thread, Some(docs));
    assert_eq!(sees(&rig, ANN, "Did 2").await.thread, Some(other));
    // Outside of them is one more conversation.
    rig.write("and here");
    let (_, submit) = rig.daemon.wait_for_prompt("and here").await;
    assert_eq!(submit.conversation.as_str(), format!("tg:{ANN}"));
}

#[tokio::test]
async fn a_new_topic_begins_with_the_folder_the_model_and_the_mode_of_where_it_was_asked_for() {
    let rig = Rig::new().await;
    let forum = rig.telegram.forum(-100_800, "Work");
    rig.daemon.script(|request| match request {
        Request::About(key) => Scripted::Reply(Box::new(about(key))),
        _ => Scripted::Usual,
    });
    rig.telegram.send_text(forum, ANN, "/new The docs").expect("sent");
    let greeting = sees(&rig, forum, "🆕 The docs").await;
    assert!(greeting.text().contains("/srv/app"), "{}", greeting.text());
    let conversation: ConversationKey =
        format!("tg:{forum}:{}", greeting.thread.expect("in a topic")).parse().expect("a key");
    let asked = rig.daemon.state().asked.clone();
    let configured: Vec<&Request> =
        asked.iter().filter(|request| matches!(request, Request::New(_) | Request::Configure(_))).collect();
    let new = New { conversation: conversation.clone(), cwd: Some("/srv/app".into()) };
    let configure = Configure {
        conversation,
        model: Some("opus".into()),
        permission_mode: Some("plan".into()),
        effort: Some("high".into()),
    };
    assert_eq!(configured, [&Request::New(new), &Request::Configure(configure)]);
}

#[tokio::test]
async fn a_topic_that_is_asked_for_while_carcind_is_away_is_opened_later_and_once() {
    let mut rig = Rig::new().await;
    let forum = rig.telegram.forum(-100_801, "Work");
    rig.daemon.kill().await;
    rig.telegram.send_text(forum, ANN, "/new The docs").expect("sent");
    sees(&rig, forum, "Your message is kept").await;
    assert!(rig.telegram.calls_of("createForumTopic").is_empty());
    rig.daemon.start();
    sees(&rig, forum, "🆕 The docs").await;
    assert_eq!(rig.telegram.calls_of("createForumTopic").len(), 1);
}
