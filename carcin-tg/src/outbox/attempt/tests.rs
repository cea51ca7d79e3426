//! What becomes of a message on which Telegram fails, and on nothing else.

use carcin_lab::telegram::{Fault, FaultKind, LabConfig, TelegramLab};

use super::*;
use crate::markdown::render;
use crate::token::Token;

const ANN: i64 = 42;

struct Bench {
    telegram: TelegramLab,
    api: Api,
    store: Store,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let users = vec![(ANN, "Ann".to_owned())];
        let telegram = TelegramLab::start(LabConfig { users, ..LabConfig::default() }).await.expect("starts");
        telegram.send_text(ANN, ANN, "hello").expect("sent");
        let token = Token::parse(telegram.token()).expect("a token");
        let api = Api::new(&token, Some(&telegram.api_url())).expect("a client");
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("bot.db")).expect("opens");
        let fault = Fault::on("sendMessage", FaultKind::Status(500)).containing("poison").forever();
        telegram.fault(fault);
        Self { telegram, api, store, _dir: dir }
    }

    async fn jobs(&self) -> Vec<Job> {
        self.store.read(|tx| outbox::open_jobs(tx, 0, 9)).await.expect("reads")
    }

    /// What becomes of the only job after so many failures.
    async fn deliver(&self, faults: u32) -> Delivered {
        let job = self.jobs().await.remove(0);
        attempt(self.api.clone(), self.store.clone(), job, faults).await.1
    }

    async fn say(&self, text: &str) {
        let text = render(text);
        let place = Place::private(ANN);
        self.store.write(move |tx| outbox::say(tx, place, &text, false)).await.expect("writes");
    }
}

#[tokio::test]
async fn it_is_tried_again_then_without_formatting_then_given_up_and_told() {
    let bench = Bench::new().await;
    bench.say("a **poison**").await;
    assert!(matches!(bench.deliver(0).await, Delivered::Faulty));
    assert!(matches!(bench.deliver(PLAIN_AFTER).await, Delivered::Faulty));
    let calls = bench.telegram.calls_of("sendMessage");
    let formatted: Vec<bool> = calls.iter().map(|call| call.params.get("entities").is_some()).collect();
    assert_eq!(formatted, [true, false]);
    assert!(matches!(bench.deliver(GIVE_UP_AFTER - 1).await, Delivered::Settled(None)));
    assert!(matches!(bench.deliver(0).await, Delivered::Settled(Some(_))), "what stands in its place");
    let told = bench.telegram.wait_for_text(ANN, "Telegram refused a message", Duration::from_secs(20)).await;
    told.expect("it is told");
    assert!(bench.jobs().await.is_empty());
}

#[tokio::test]
async fn what_stands_for_a_message_that_was_refused_is_as_loud_and_says_how_to_answer_a_question() {
    let bench = Bench::new().await;
    let button = crate::message::Button { label: "Allow".into(), data: "a:1:once".into() };
    let place = Place::private(ANN);
    let end = Message::loud(Text::plain("poison at the end"));
    let question = Message::loud(Text::plain("poison as a question")).with_buttons(vec![vec![button]]);
    for (message, asks) in [(Message::silent(Text::plain("poison")), false), (end, false), (question, true)] {
        let sound = message.sound;
        let write = move |tx: &Transaction<'_>| outbox::send(tx, place, Priority::Prose, &message);
        bench.store.write(write).await.expect("writes");
        bench.deliver(GIVE_UP_AFTER - 1).await;
        bench.deliver(0).await;
        let messages = bench.telegram.messages(ANN);
        let told = messages.last().expect("what stands in its place");
        assert_eq!((told.silent, told.text().contains("carcin-ctl pending")), (!sound, asks), "{told:?}");
    }
}

#[tokio::test]
async fn an_outage_of_telegram_is_no_fault_of_a_message() {
    let bench = Bench::new().await;
    bench.say("a **poison**").await;
    bench.telegram.set_down(true);
    let delivered = bench.deliver(GIVE_UP_AFTER - 1).await;
    assert!(matches!(delivered, Delivered::Later(Outcome::Unreachable)), "{delivered:?}");
    assert_eq!(bench.jobs().await.len(), 1);
}

#[tokio::test]
async fn the_end_of_a_text_is_said_although_the_message_in_which_it_grew_was_taken_away() {
    let bench = Bench::new().await;
    let place = Place::private(ANN);
    let (half, whole) = (Message::silent(Text::plain("half")), Text::plain("half, and the rest"));
    let stream = bench.store.write(move |tx| outbox::create(tx, place, &half)).await.expect("writes");
    assert!(matches!(bench.deliver(0).await, Delivered::Settled(Some(_))));
    let ids = || -> Vec<i64> {
        let messages = bench.telegram.messages(ANN);
        messages.iter().filter(|one| one.from_bot() && one.visible()).map(|one| one.id).collect()
    };
    let taken_away = ids();
    let body = serde_json::json!({"chat_id": ANN, "message_id": taken_away[0]});
    bench.api.delete(body).await.expect("deleted");
    // What goes on in it is of no use to anybody; how it ends is.
    let more = Message::silent(Text::plain("half, and"));
    bench.store.write(move |tx| outbox::edit(tx, stream, Priority::Live, &more)).await.expect("writes");
    bench.deliver(0).await;
    assert!(ids().is_empty());
    let end = whole.clone();
    let finish = bench.store.write(move |tx| outbox::finish(tx, place, stream, &end, false));
    finish.await.expect("writes");
    bench.deliver(0).await;
    let end = bench.telegram.wait_for_text(ANN, "and the rest", Duration::from_secs(20)).await;
    let end = end.expect("it is said");
    // From now on that is the message.
    let card = Message::silent(Text::plain("all of it"));
    bench.store.write(move |tx| outbox::edit(tx, stream, Priority::Prose, &card)).await.expect("writes");
    bench.deliver(0).await;
    assert_eq!(ids(), [end.id]);
    assert!(bench.jobs().await.is_empty());
}
