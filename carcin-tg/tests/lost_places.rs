//! Topics that are deleted, groups that become others: nothing that was to be said there is lost, and nothing is sent into
//! the void.

mod support;

use carcin_lab::telegram::{Call, ChatMessage, Fault, FaultKind, Typed};
use carcin_proto::event::{Ask, Level, Notice, PlanAsk, RequestOpened, TurnOutcome};
use carcin_proto::request::{Decision, Placement};
use carcin_proto::{Request, TurnId};
use support::events::{delta, text, turn_ended, turn_started};
use support::{ANN, Rig, SOON};

const FORUM: i64 = -100_900;

fn notice(text: &str) -> Notice {
    Notice { level: Level::Info, text: text.into(), hint: None }
}

struct Topic {
    rig: Rig,
    thread: i64,
    key: String,
}

impl Topic {
    /// A topic in which Claude works.
    async fn at_work() -> Self {
        let rig = Rig::new().await;
        rig.telegram.forum(FORUM, "Work");
        let thread = rig.telegram.topic(FORUM, ANN, "Docs").expect("a topic");
        let topic = Self { rig, thread, key: format!("tg:{FORUM}:{thread}") };
        topic.write("begin");
        topic.rig.daemon.wait_for_prompt("begin").await;
        topic.rig.daemon.emit(&topic.key, turn_started(1));
        let card = topic.sees("Started").await;
        assert_eq!(card.thread, Some(thread));
        topic
    }

    fn write(&self, words: &str) {
        let typed = Typed::new(words).thread(self.thread);
        self.rig.telegram.send(FORUM, ANN, typed).expect("sent");
    }

    async fn sees(&self, words: &str) -> ChatMessage {
        match self.rig.telegram.wait_for_text(FORUM, words, SOON).await {
            Ok(message) => message,
            Err(error) => panic!("{error}\n{}", self.rig.read_log()),
        }
    }

    /// Somebody deletes it.
    fn delete(&self) {
        self.rig.telegram.delete_topic(FORUM, self.thread).expect("deleted");
    }

    /// The calls into the topic.
    fn calls(&self) -> Vec<Call> {
        let calls = self.rig.telegram.calls();
        calls.into_iter().filter(|call| call.int("message_thread_id") == Some(self.thread)).collect()
    }
}

#[tokio::test]
async fn the_end_of_a_task_in_a_deleted_topic_is_told_in_the_chat_and_no_call_goes_there_again() {
    let mut topic = Topic::at_work().await;
    topic.delete();
    topic.rig.daemon.emit(&topic.key, notice("half of it"));
    let first = topic.sees("↪️ Docs\nℹ️ half of it").await;
    assert_eq!(first.thread, None);
    topic.sees("I cannot write in the topic “Docs” any longer").await;
    // What a kill may have sent again is this, not that.
    topic.rig.daemon.emit(&topic.key, notice("and so on"));
    topic.sees("and so on").await;
    topic.rig.settled().await;
    let before = topic.calls().len();
    // Nor after a restart.
    topic.rig.kill_bot().await;
    topic.rig.start_bot();
    topic.rig.daemon.emit_transient(&topic.key, delta(1, 0, "more"));
    topic.rig.daemon.emit(&topic.key, text(1, "more of it"));
    topic.rig.daemon.emit(&topic.key, turn_ended(1, TurnOutcome::Completed));
    topic.sees("↪️ Docs\nmore of it").await;
    let summary = topic.sees("Done").await;
    assert!(summary.thread.is_none() && summary.text().starts_with("↪️ Docs\n"), "{summary:?}");
    assert_eq!(topic.calls().len(), before, "{:#?}", &topic.calls()[before..]);
    let notices = topic.rig.telegram.messages(FORUM);
    let told = notices.iter().filter(|message| message.text().contains("any longer")).count();
    assert_eq!(told, 1, "it is told once");
}

#[tokio::test]
async fn a_question_of_a_deleted_topic_is_asked_again_in_the_chat_and_answered_there() {
    let topic = Topic::at_work().await;
    let ask = Ask::Plan(PlanAsk { plan: "1. Read".into(), path: None });
    let opened = RequestOpened { request: "r1".parse().expect("an id"), turn: TurnId(1), ask };
    topic.rig.daemon.emit(&topic.key, opened);
    let asked = topic.sees("1. Read").await;
    assert_eq!(asked.thread, Some(topic.thread));
    topic.delete();
    // While Claude waits nothing is sent there: that its messages are gone shows by the card that is to change.
    let buttons = |message: &ChatMessage| message.buttons().count() > 0;
    let again = topic.rig.telegram.wait_for("the question", SOON, |state| {
        state.visible(FORUM).find(|message| message.from_bot() && buttons(message)).cloned()
    });
    let again = again.await.expect("it is asked again");
    assert!(again.thread.is_none() && again.text().starts_with("↪️ Docs\n"), "{again:?}");
    let label = again.buttons().next().expect("a button").text.clone();
    topic.rig.telegram.press(FORUM, ANN, again.id, &label).expect("pressed");
    let answered = topic.rig.daemon.wait_for("the answer", |state| {
        state.asked.iter().find_map(|request| match request {
            Request::Answer(answer) => Some(answer.decision.clone()),
            _ => None,
        })
    });
    assert!(matches!(answered.await, Decision::Allow | Decision::AllowAlways(_)));
}

#[tokio::test]
async fn a_message_that_waits_in_a_closed_topic_is_moved_by_the_buttons_in_the_chat() {
    let topic = Topic::at_work().await;
    let gone = FaultKind::refuse(400, "Bad Request: TOPIC_CLOSED");
    topic.rig.telegram.fault(Fault::on("sendMessage", gone).containing("reads it"));
    topic.write("and the docs");
    let note = topic.sees("reads it at the next step").await;
    assert_eq!(note.thread, None);
    topic.rig.telegram.press(FORUM, ANN, note.id, "🕓 Queue instead").expect("pressed");
    topic.sees("Queued for when Claude is done").await;
    let state = topic.rig.daemon.state();
    let queued = state.prompts.values().find(|(_, submit)| submit.placement == Placement::Queue);
    assert_eq!(queued.expect("it is queued").1.conversation.as_str(), topic.key);
}

#[tokio::test]
async fn a_topic_that_speaks_again_is_written_to_again() {
    let topic = Topic::at_work().await;
    let gone = FaultKind::refuse(400, "Bad Request: TOPIC_CLOSED");
    topic.rig.telegram.fault(Fault::on("sendMessage", gone).containing("half of it"));
    topic.rig.daemon.emit(&topic.key, notice("half of it"));
    assert_eq!(topic.sees("half of it").await.thread, None);
    topic.write("are you there?");
    topic.rig.daemon.wait_for_prompt("are you there?").await;
    topic.rig.daemon.emit(&topic.key, notice("yes"));
    let yes = topic.sees("yes").await;
    assert_eq!((yes.thread, yes.text()), (Some(topic.thread), "ℹ️ yes"));
}

#[tokio::test]
async fn what_is_for_a_group_that_became_a_supergroup_goes_there() {
    let mut rig = Rig::new().await;
    let (old, new) = (rig.telegram.group(-901, "Team"), rig.telegram.group(-100_901, "Team"));
    rig.telegram.send_text(old, ANN, "begin").expect("sent");
    rig.daemon.wait_for_prompt("begin").await;
    rig.daemon.emit("tg:-901", turn_started(1));
    rig.telegram.wait_for_text(old, "Started", SOON).await.expect("it begins");
    rig.telegram.migrate(old, new).expect("it moves");
    rig.daemon.emit("tg:-901", notice("half of it"));
    rig.telegram.wait_for_text(new, "half of it", SOON).await.expect("it follows");
    rig.telegram.wait_for_text(new, "Telegram has made a new group", SOON).await.expect("it is told");
    rig.settled().await;
    let into_old = |rig: &Rig| {
        let calls = rig.telegram.calls();
        calls.iter().filter(|call| call.int("chat_id") == Some(old)).count()
    };
    let before = into_old(&rig);
    rig.kill_bot().await;
    rig.start_bot();
    rig.daemon.emit("tg:-901", text(1, "more of it"));
    rig.daemon.emit("tg:-901", turn_ended(1, TurnOutcome::Completed));
    rig.telegram.wait_for_text(new, "Done", SOON).await.expect("how it ended");
    assert_eq!(into_old(&rig), before);
}
