//! What Claude asks and people answer: by buttons and in words, from two phones, through deaths of either program.

mod support;

use carcin_lab::telegram::{ChatMessage, MediaKind, SentFile, Typed};
use carcin_proto::Request;
use carcin_proto::TurnId;
use carcin_proto::event::{
    Ask, ElicitationAsk, Event, PermissionAsk, PlanAsk, Question, QuestionOption, RequestOpened,
    RequestSettled, Settlement,
};
use carcin_proto::request::Decision;
use support::daemon::State;
use support::events::{permission, turn_started};
use support::{ANN, EVE, HERE, Rig, SOON};

fn opened(request: &str, ask: Ask) -> Event {
    RequestOpened { request: request.parse().expect("an id"), turn: TurnId(1), ask }.into()
}

fn questions() -> Ask {
    let option =
        |label: &str| QuestionOption { label: label.into(), description: format!("all about {label}") };
    let question = |text: &str, labels: &[&str], multi_select| Question {
        question: text.into(),
        header: String::new(),
        options: labels.iter().map(|label| option(label)).collect(),
        multi_select,
    };
    Ask::Questions(vec![
        question("Which colour?", &["Red", "Blue"], false),
        question("Which extras?", &["Wheels", "Doors", "Roof"], true),
        question("Which name?", &["Max", "Kim"], false),
    ])
}

fn form() -> Ask {
    Ask::Elicitation(ElicitationAsk {
        server: "jira".into(),
        message: "A new issue".into(),
        url: None,
        schema: r#"{"type":"object","required":["title"],"properties":{
            "title":{"type":"string","minLength":3},"votes":{"type":"integer"},"urgent":{"type":"boolean"}}}"#
            .into(),
    })
}

fn plan() -> Ask {
    Ask::Plan(PlanAsk { plan: "1. **Read**\n2. Write".into(), path: None })
}

/// The decisions that reached the daemon, in order.
fn decisions(state: &State) -> Vec<Decision> {
    let decision = |request: &Request| match request {
        Request::Answer(answer) => Some(answer.decision.clone()),
        _ => None,
    };
    state.asked.iter().filter_map(decision).collect()
}

trait Asking {
    async fn both_asked(&self);
    async fn asks(&self, request: &str, ask: Ask);
    async fn taps(&self, on: &str, label: &str) -> ChatMessage;
    async fn has_button(&self, label: &str) -> ChatMessage;
    async fn decided(&self) -> Decision;
    fn prompts(&self) -> Vec<String>;
    fn replies(&self, to: i64, text: &str) -> i64;
}

impl Asking for Rig {
    /// Waits until two permissions are asked for.
    async fn both_asked(&self) {
        let asked = |state: &carcin_lab::telegram::LabState| {
            let shown = state.visible(ANN).filter(|message| message.text().contains("May I use Bash?"));
            (shown.count() == 2).then_some(())
        };
        self.telegram.wait_for("both questions", SOON, asked).await.expect("both are asked");
    }

    async fn asks(&self, request: &str, ask: Ask) {
        self.daemon.emit(HERE, opened(request, ask));
    }

    /// Waits for a message with `on` in it and a button that says `label`, and presses that.
    async fn taps(&self, on: &str, label: &str) -> ChatMessage {
        let what = format!("{on:?} with {label:?}");
        let found = self.telegram.wait_for(&what, SOON, |state| {
            let mut shown = state.visible(ANN).filter(|message| message.text().contains(on));
            shown.find(|message| message.buttons().any(|button| button.text == label)).cloned()
        });
        let message = found.await.unwrap_or_else(|error| panic!("{error}\n{}", self.read_log()));
        self.telegram.press(ANN, ANN, message.id, label).expect("pressed");
        message
    }

    async fn has_button(&self, label: &str) -> ChatMessage {
        let what = format!("a button {label:?}");
        let found = self.telegram.wait_for(&what, SOON, |state| {
            let mut shown = state.visible(ANN);
            shown.find(|message| message.buttons().any(|button| button.text == label)).cloned()
        });
        found.await.unwrap_or_else(|error| panic!("{error}\n{}", self.read_log()))
    }

    /// The one decision that reached the daemon.
    async fn decided(&self) -> Decision {
        self.daemon.wait_for("a decision", |state| decisions(state).into_iter().next()).await
    }

    fn prompts(&self) -> Vec<String> {
        let state = self.daemon.state();
        state.order.iter().map(|key| state.prompts[key].1.text.clone()).collect()
    }

    fn replies(&self, to: i64, text: &str) -> i64 {
        let typed = Typed { reply_to: Some(to), ..Typed::new(text) };
        self.telegram.send(ANN, ANN, typed).expect("sent")
    }
}

async fn rig() -> Rig {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig
}

#[tokio::test]
async fn the_next_message_is_the_reason_of_a_denial_and_the_one_after_it_a_prompt() {
    let mut rig = rig().await;
    rig.daemon.emit(HERE, permission(1, "r1"));
    rig.daemon.emit(HERE, permission(1, "r2"));
    let question = rig.taps("May I use Bash?", "✍️ Deny with a reason").await;
    let writing = rig.sees("Ann, why not?").await;
    assert_eq!(writing.id, question.id);
    // The bot dies between the press and the reason, and with no message on its way.
    rig.both_asked().await;
    rig.settled().await;
    rig.kill_bot().await;
    rig.write("use make instead");
    rig.start_bot();
    assert_eq!(rig.decided().await, Decision::Deny("use make instead".into()));
    let settled = rig.sees("Denied by Ann: use make instead").await;
    assert_eq!((settled.id, settled.buttons().count()), (question.id, 0));
    rig.write("and now this");
    rig.daemon.wait_for_prompt("and now this").await;
    assert_eq!(rig.prompts(), ["and now this"]);
    // The other question is another message, and still open.
    let open: Vec<ChatMessage> = rig.shown().into_iter().filter(|m| m.buttons().count() == 4).collect();
    assert_eq!(open.len(), 1);
    rig.telegram.press(ANN, ANN, open[0].id, "✅ Allow once").expect("pressed");
    assert_eq!(rig.sees("✅ Allowed by Ann").await.id, open[0].id);
}

#[tokio::test]
async fn a_press_and_the_reason_that_come_together_are_worked_in_order() {
    let mut rig = rig().await;
    rig.daemon.emit(HERE, permission(1, "r1"));
    let question = rig.sees("May I use Bash?").await;
    rig.settled().await;
    rig.kill_bot().await;
    rig.telegram.press(ANN, ANN, question.id, "✍️ Deny with a reason").expect("pressed");
    rig.write("not here");
    rig.write("/status");
    rig.write("go on");
    rig.start_bot();
    assert_eq!(rig.decided().await, Decision::Deny("not here".into()));
    rig.daemon.wait_for_prompt("go on").await;
    assert_eq!(rig.prompts(), ["go on"]);
}

#[tokio::test]
async fn an_answer_and_a_command_that_telegram_has_split_are_whole_again() {
    let mut rig = rig().await;
    rig.daemon.emit(HERE, permission(1, "r1"));
    rig.taps("May I use Bash?", "✍️ Deny with a reason").await;
    rig.sees("Ann, why not?").await;
    let head = "x".repeat(4_096);
    rig.write(&head);
    let rest = rig.write("and more of it");
    rig.settled().await;
    rig.kill_bot().await;
    rig.start_bot();
    assert_eq!(rig.decided().await, Decision::Deny(format!("{head}and more of it")));
    rig.sees("Denied by Ann").await;
    rig.telegram.edit_text(ANN, ANN, rest, "and much more of it").expect("edited");
    rig.sees("was given as it was").await;
    let command = format!("/review {}", "y".repeat(4_088));
    rig.write(&command);
    rig.write("and this, too");
    rig.daemon.wait_for_prompt(&format!("{command}and this, too")).await;
    assert_eq!(rig.prompts().len(), 1);
}

#[tokio::test]
async fn an_answer_that_was_on_its_way_at_the_kill_never_becomes_a_prompt() {
    let mut rig = rig().await;
    rig.daemon.emit(HERE, permission(1, "r1"));
    let question = rig.taps("May I use Bash?", "✍️ Deny with a reason").await;
    rig.sees("Ann, why not?").await;
    // The daemon takes the answer, and the bot never hears that it did.
    rig.daemon.state().hang_answers = true;
    rig.write("use make instead");
    rig.decided().await;
    rig.kill_bot().await;
    rig.daemon.state().hang_answers = false;
    rig.start_bot();
    assert_eq!(rig.sees("Denied by Ann: use make instead").await.id, question.id);
    rig.write("and now this");
    rig.daemon.wait_for_prompt("and now this").await;
    assert_eq!(rig.prompts(), ["and now this"]);
    assert_eq!(rig.count("nobody asks that"), 0, "it was given: there is nothing to complain of");
}

#[tokio::test]
async fn a_reason_can_be_spoken_or_stand_under_a_picture() {
    let rig = Rig::configured("transcribe = \"cat {file}\"").await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.daemon.emit(HERE, permission(1, "req-1"));
    rig.taps("May I use Bash?", "✍️ Deny with a reason").await;
    let voice = SentFile::new(MediaKind::Voice, "voice.ogg", b"never as root".to_vec());
    rig.telegram.send_file(ANN, ANN, voice).expect("sent");
    rig.sees("Denied by Ann: never as root").await;
    rig.daemon.emit(HERE, permission(1, "req-2"));
    rig.taps("May I use Bash?", "✍️ Deny with a reason").await;
    rig.telegram
        .send_file(ANN, ANN, SentFile::document("a.txt", b"x".to_vec()).caption("see"))
        .expect("sent");
    rig.daemon.wait_for("the second", |state| (decisions(state).len() == 2).then_some(())).await;
    let state = rig.daemon.state();
    let given = decisions(&state);
    assert_eq!(given[0], Decision::Deny("never as root".into()));
    let Decision::Deny(why) = &given[1] else { panic!("{given:?}") };
    assert!(why.starts_with("see\n\n[Attached file: /") && why.ends_with("a.txt]"), "{why}");
    assert!(state.order.is_empty(), "neither is a prompt");
}

#[tokio::test]
async fn a_command_in_between_cancels_the_reason() {
    let rig = rig().await;
    rig.daemon.emit(HERE, permission(1, "r1"));
    rig.taps("May I use Bash?", "✍️ Deny with a reason").await;
    rig.sees("Ann, why not?").await;
    rig.write("/status");
    rig.has_button("✅ Allow once").await;
    rig.write("a prompt");
    rig.daemon.wait_for_prompt("a prompt").await;
    assert!(decisions(&rig.daemon.state()).is_empty());
}

#[tokio::test]
async fn an_edit_of_what_was_written_before_is_not_the_next_message() {
    let rig = rig().await;
    let before = rig.telegram.send_text(ANN, ANN, "build it").expect("sent");
    rig.daemon.wait_for_prompt("build it").await;
    rig.daemon.emit(HERE, permission(1, "r1"));
    rig.taps("May I use Bash?", "✍️ Deny with a reason").await;
    rig.sees("Ann, why not?").await;
    rig.telegram.edit_text(ANN, ANN, before, "build all of it").expect("edited");
    rig.daemon.wait_for_prompt("build all of it").await;
    assert!(decisions(&rig.daemon.state()).is_empty());
    rig.write("it takes too long");
    assert_eq!(rig.decided().await, Decision::Deny("it takes too long".into()));
}

#[tokio::test]
async fn a_reply_to_the_question_answers_it_and_a_changed_answer_is_no_prompt() {
    let rig = rig().await;
    rig.daemon.emit(HERE, permission(1, "r1"));
    let question = rig.sees("May I use Bash?").await;
    rig.replies(question.id, "yes");
    rig.sees("A written answer denies").await;
    assert!(decisions(&rig.daemon.state()).is_empty());
    let answer = rig.replies(question.id, "never in that folder");
    rig.sees("Denied by Ann: never in that folder").await;
    rig.telegram.edit_text(ANN, ANN, answer, "never in that folder!").expect("edited");
    rig.sees("was given as it was").await;
    // To what is settled a reply is a prompt as any other.
    rig.replies(question.id, "why did you want to?");
    let (prompt, _) = rig.prompt_with("why did you want to?").await;
    assert!(prompt.text.starts_with("In reply to what you wrote:\n> "), "{}", prompt.text);
    assert_eq!(rig.prompts().len(), 1);
    assert_eq!(decisions(&rig.daemon.state()), [Decision::Deny("never in that folder".into())]);
}

#[tokio::test]
async fn several_questions_are_answered_in_one_message_through_deaths_of_both() {
    let mut rig = rig().await;
    rig.asks("r1", questions()).await;
    let message = rig.taps("Which colour?", "Blue").await;
    rig.taps("Which extras?", "⬜ Roof").await;
    rig.has_button("☑️ Roof").await;
    rig.kill_bot().await;
    rig.daemon.kill().await;
    rig.telegram.press(ANN, ANN, message.id, "⬜ Wheels").expect("pressed");
    rig.start_bot();
    // What is ticked needs no daemon.
    rig.has_button("☑️ Wheels").await;
    rig.taps("Which extras?", "✅ Submit and go on").await;
    let third = rig.sees("3 of 3").await;
    assert!(third.text().contains("Wheels, Roof"), "{}", third.text());
    rig.taps("3 of 3", "◀️ Back").await;
    rig.taps("2 of 3", "⬜ Doors").await;
    rig.has_button("☑️ Doors").await;
    rig.taps("2 of 3", "✅ Submit and go on").await;
    rig.taps("3 of 3", "✍️ Something else…").await;
    rig.sees("your next message is the answer").await;
    rig.write("Robin");
    rig.daemon.start();
    let pairs = [("Which colour?", "Blue"), ("Which extras?", "Doors"), ("Which name?", "Robin")];
    let expected = Decision::Answers(pairs.map(|(q, a)| (q.to_owned(), a.to_owned())).to_vec());
    assert_eq!(rig.decided().await, expected);
    let settled = rig.sees("💬 Answered by Ann").await;
    assert_eq!((settled.id, settled.buttons().count()), (message.id, 0));
    assert!(rig.prompts().is_empty());
    assert_eq!(rig.count("Which colour?"), 1, "asked in one message");
}

#[tokio::test]
async fn late_and_double_presses_change_nothing() {
    let rig = rig().await;
    rig.asks("r1", questions()).await;
    let message = rig.sees("Which colour?").await;
    let of = |label: &str| {
        let button = message.buttons().find(|button| button.text == label).expect("a button");
        button.callback_data.clone().expect("data")
    };
    let toast = |id: String| async {
        let said = rig.telegram.wait_for("the button's answer", SOON, move |state| {
            state.callbacks.iter().find(|one| one.id == id)?.answer.as_ref().map(|answer| answer.text.clone())
        });
        said.await.expect("answered").unwrap_or_default()
    };
    let stranger = rig.telegram.forge_press(ANN, EVE, message.id, &of("Red"));
    let first = rig.telegram.forge_press(ANN, ANN, message.id, &of("Red"));
    let second = rig.telegram.forge_press(ANN, ANN, message.id, &of("Red"));
    let other = rig.telegram.forge_press(ANN, ANN, message.id, &of("Blue"));
    assert_eq!(toast(first).await, "");
    let late = "That is answered already: the message has moved on";
    assert_eq!((toast(second).await, toast(other).await), (late.to_owned(), late.to_owned()));
    let second = rig.sees("2 of 3").await;
    assert!(second.text().contains("Red"));
    let unknown = rig.telegram.forge_press(ANN, ANN, message.id, &of("Red").replace(":0.0", ":1.99"));
    assert_eq!(toast(unknown).await, "This button is no longer valid");
    let unheard = rig.telegram.look(|state| {
        state.callbacks.iter().find(|one| one.id == stranger).is_some_and(|one| one.answer.is_none())
    });
    assert!(unheard, "a stranger's press is met with silence");
    assert!(decisions(&rig.daemon.state()).is_empty());
}

#[tokio::test]
async fn a_plan_is_kept_with_a_comment() {
    let rig = rig().await;
    rig.asks("r1", plan()).await;
    rig.taps("Is this plan good?", "✏️ Keep planning").await;
    rig.sees("what should change?").await;
    rig.write("Write first.\nThen read.");
    assert_eq!(rig.decided().await, Decision::Deny("Write first.\nThen read.".into()));
    rig.sees("✏️ Ann: keep planning: Write first. Then read.").await;
    rig.asks("r2", plan()).await;
    rig.taps("Is this plan good?", "✅ Approve and edit automatically").await;
    rig.sees("Approved by Ann, editing automatically").await;
    assert_eq!(decisions(&rig.daemon.state())[1], Decision::AllowAlways(Vec::new()));
}

#[tokio::test]
async fn a_form_is_filled_in_through_a_restart() {
    let mut rig = rig().await;
    rig.asks("r1", form()).await;
    let message = rig.taps("jira asks", "📝 Fill in").await;
    rig.sees("title (1 of 3)").await;
    rig.write("It");
    rig.sees("must be at least 3 characters").await;
    rig.kill_bot().await;
    rig.write("It breaks");
    rig.start_bot();
    rig.sees("votes (2 of 3)").await;
    rig.taps("votes (2 of 3)", "⏭ Skip").await;
    rig.taps("urgent (3 of 3)", "Yes").await;
    rig.taps("title: It breaks", "✅ Send").await;
    assert_eq!(rig.decided().await, Decision::Content(r#"{"title":"It breaks","urgent":true}"#.into()));
    assert_eq!(rig.sees("Answered by Ann").await.id, message.id);
    assert!(rig.prompts().is_empty());
}

#[tokio::test]
async fn a_question_answered_elsewhere_ends_the_writing() {
    let rig = rig().await;
    rig.daemon.emit(HERE, permission(1, "r1"));
    rig.taps("May I use Bash?", "✍️ Deny with a reason").await;
    rig.sees("Ann, why not?").await;
    let request = "r1".parse().expect("an id");
    rig.daemon
        .emit(HERE, RequestSettled { request, settlement: Settlement::Allowed, by: "carcin-ctl".into() });
    rig.sees("Allowed by carcin-ctl").await;
    rig.write("a prompt");
    rig.daemon.wait_for_prompt("a prompt").await;
    assert!(decisions(&rig.daemon.state()).is_empty());
}

#[tokio::test]
async fn a_very_long_edit_comes_as_a_file_ahead_of_its_question() {
    let rig = rig().await;
    let new = (0..400).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
    let input = serde_json::json!({"file_path": "/srv/a", "old_string": "line", "new_string": new});
    let ask = PermissionAsk {
        tool: "Edit".into(),
        tool_use: None,
        summary: "/srv/a".into(),
        input: input.to_string(),
        description: String::new(),
        reason: String::new(),
        blocked_path: None,
        suggestions: String::new(),
    };
    rig.asks("r1", Ask::Permission(ask)).await;
    let question = rig.sees("May I use Edit?").await;
    assert!(question.text().contains("in the file above") && !question.silent);
    let file = rig.shown().into_iter().find(|message| message.content.media.is_some()).expect("a file");
    assert!(file.id < question.id && file.silent);
    let media = file.content.media.expect("a file");
    assert_eq!(media.file_name, "edit.diff");
    let bytes = rig.telegram.file(&media.file_id).expect("stored").bytes;
    assert!(String::from_utf8_lossy(&bytes).ends_with("+line 399"));
}

#[tokio::test]
async fn what_nobody_answers_is_reminded_of_once() {
    let mut rig = rig().await;
    rig.daemon.emit(HERE, permission(1, "r1"));
    let question = rig.sees("May I use Bash?").await;
    rig.stop_bot().await;
    // A quarter of an hour passes.
    let database = rig.dir.path().join("state/tg/4242.db");
    let database = rusqlite::Connection::open(database).expect("opens");
    database.execute("UPDATE request SET at = at - 900000", []).expect("writes");
    drop(database);
    rig.start_bot();
    let reminder = rig.sees("Still waiting for your answer").await;
    assert_eq!((reminder.reply_to, reminder.silent), (Some(question.id), false));
    rig.stop_bot().await;
    rig.start_bot();
    // A reply to the reminder is one to the question. It comes after whatever the restart would say again.
    rig.replies(reminder.id, "no, thanks");
    let settled = rig.telegram.wait_for("the settled question", SOON, |state| {
        let mut shown = state.visible(ANN).filter(|message| message.id == question.id);
        shown.find(|message| message.text().contains("Denied by Ann: no, thanks")).cloned()
    });
    settled.await.expect("settled");
    let done = rig.telegram.wait_for("the reminder's end", SOON, |state| {
        let mut shown = state.visible(ANN).filter(|message| message.id == reminder.id);
        shown.find(|message| message.text().contains("🚫 Denied by Ann")).cloned()
    });
    done.await.expect("ended");
    assert_eq!(rig.count("Still waiting"), 0);
    assert_eq!(decisions(&rig.daemon.state()), [Decision::Deny("no, thanks".into())]);
}
