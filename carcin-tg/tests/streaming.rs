//! A text as it comes.

mod support;

use carcin_lab::telegram::{Call, DraftEnd, Fault, FaultKind, Limits};
use carcin_proto::event::{Notification, TextDelta, TextSoFar, TurnOutcome};
use carcin_proto::{BlockId, Request, TurnId};
use support::events::{delta, text, turn_ended, turn_started};
use support::{ANN, HERE, Rig, SOON};

/// Says that much of a text of pieces.
fn says(rig: &Rig, place: &str, pieces: std::ops::Range<usize>) {
    for piece in pieces {
        rig.daemon.emit_transient(place, delta(1, piece * 10, &piece_of(piece)));
    }
}

fn piece_of(piece: usize) -> String {
    format!("word {piece:04} ")
}

fn whole(pieces: usize) -> String {
    (0..pieces).map(piece_of).collect::<String>().trim_end().to_owned()
}

/// Waits for a draft that says this.
async fn drafted(rig: &Rig, part: &str) -> i64 {
    let what = format!("a draft of {part:?}");
    let draft = rig.telegram.wait_for(&what, SOON, |state| {
        let draft = state.draft(ANN, None)?;
        draft.frames.back()?.content.text.contains(part).then_some(draft.id)
    });
    draft.await.unwrap_or_else(|error| panic!("{error}\n--- the bot's log:\n{}", rig.read_log()))
}

#[tokio::test]
async fn a_text_is_a_draft_until_the_message_takes_its_place_once() {
    let rig = Rig::new().await;
    rig.telegram.set_limits(Limits::TELEGRAM);
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    says(&rig, HERE, 0..3);
    let draft = drafted(&rig, "word 0002").await;
    says(&rig, HERE, 3..30);
    assert_eq!(drafted(&rig, "word 0029").await, draft, "it grows");
    rig.daemon.emit(HERE, text(1, &whole(30)));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    let message = rig.sees(&whole(30)).await;
    assert!(!message.silent);
    rig.sees("Done").await;
    assert_eq!(rig.count("word 0000"), 1);
    let ended = rig.telegram.look(|state| {
        assert!(state.draft(ANN, None).is_none(), "it does not come up again");
        state.chats[&ANN].drafts.back().and_then(|draft| draft.ended)
    });
    assert_eq!(ended, Some(DraftEnd::Sent));
    let failed: Vec<Call> =
        rig.telegram.calls().into_iter().filter(|call| call.refusal().is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn a_text_is_a_message_as_soon_as_the_next_one_is_a_draft_and_a_note_between_them_stops_neither() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    says(&rig, HERE, 0..3);
    drafted(&rig, "word 0002").await;
    rig.daemon.emit(HERE, text(1, &whole(3)));
    let of_the_next = |offset, text| TextDelta { block: BlockId(1), ..delta(1, offset, text) };
    rig.daemon.emit_transient(HERE, of_the_next(0, "Another one"));
    rig.sees(&whole(3)).await;
    drafted(&rig, "Another one").await;
    rig.daemon.emit(HERE, Notification { text: "by the way".into(), topic: String::new() });
    rig.sees("by the way").await;
    rig.daemon.emit_transient(HERE, of_the_next(11, " goes on"));
    drafted(&rig, "Another one goes on").await;
    assert_eq!(rig.count("Another"), 0);
}

#[tokio::test]
async fn a_draft_that_was_shown_at_the_kill_is_followed_by_its_message_once() {
    let mut rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    says(&rig, HERE, 0..5);
    let before = drafted(&rig, "word 0004").await;
    rig.settled().await;
    rig.kill_bot().await;
    rig.start_bot();
    rig.wait_until_polling().await;
    // What came before is not told again: what is shown begins where it is known to.
    says(&rig, HERE, 5..10);
    rig.daemon.emit(HERE, text(1, &whole(10)));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    let message = rig.sees(&whole(10)).await;
    assert!(!message.silent);
    rig.sees("Done").await;
    assert_eq!(rig.count("word 0000"), 1);
    let open = rig.telegram.look(|state| state.draft(ANN, None).map(|draft| draft.id));
    assert!(open.is_none_or(|draft| draft == before), "it does not come up again: {open:?}");
}

#[tokio::test]
async fn draft_goes_on_after_a_restart_of_the_bot() {
    let mut rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    says(&rig, HERE, 0..5);
    drafted(&rig, "word 0004").await;
    rig.settled().await;
    rig.kill_bot().await;
    rig.start_bot();
    rig.daemon
        .wait_for("the bot to listen again", |state| {
            let subscribes = |request: &&Request| matches!(request, Request::Subscribe(_));
            (state.asked.iter().filter(subscribes).count() > 1).then_some(())
        })
        .await;
    let so_far =
        TextSoFar { turn: TurnId(1), block: BlockId(0), offset: 0, text: (0..5).map(piece_of).collect() };
    rig.daemon.emit_transient(HERE, so_far);
    says(&rig, HERE, 5..6);
    drafted(&rig, "word 0004 word 0005").await;
    says(&rig, HERE, 6..10);
    drafted(&rig, "word 0009").await;
    rig.daemon.emit(HERE, text(1, &whole(10)));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees(&whole(10)).await;
    rig.sees("Done").await;
    assert_eq!(rig.count("word 0000"), 1);
}

#[tokio::test]
async fn short_answer_is_no_draft() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    says(&rig, HERE, 0..1);
    rig.daemon.emit(HERE, text(1, &whole(1)));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees(&whole(1)).await;
    rig.sees("Done").await;
    assert_eq!(rig.telegram.calls_of("sendMessageDraft").len(), 0);
}

#[tokio::test]
async fn telegrams_stop_button_stops_once_and_what_was_said_stays() {
    let rig = Rig::new().await;
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    says(&rig, HERE, 0..5);
    let draft = drafted(&rig, "word 0004").await;
    rig.telegram.stop_draft(ANN, draft).expect("it has a Stop button");
    let by = rig.daemon.wait_for("the stop", |state| {
        state.asked.iter().find_map(|request| match request {
            Request::Stop(stop) => Some(stop.by.clone()),
            _ => None,
        })
    });
    assert_eq!(by.await, "Ann");
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Stopped("Ann".into())));
    rig.sees("Stopped by Ann").await;
    rig.sees(&format!("{}…", whole(5))).await;
    assert_eq!(rig.count("Done"), 0);
}

#[tokio::test]
async fn without_drafts_a_text_grows_by_edits_of_the_message_that_it_becomes() {
    let mut rig = Rig::new().await;
    let refusal = FaultKind::refuse(404, "Not Found");
    rig.telegram.fault(Fault::on("sendMessageDraft", refusal).forever());
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    says(&rig, HERE, 0..5);
    let growing = rig.sees("word 0004").await;
    says(&rig, HERE, 5..10);
    assert_eq!(rig.sees("word 0009").await.id, growing.id);
    assert_eq!(rig.telegram.calls_of("sendMessageDraft").len(), 1, "asked once, and then no more");
    // The finished text takes it over, also after a restart.
    rig.kill_bot().await;
    rig.daemon.emit(HERE, text(1, &whole(40)));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.start_bot();
    assert_eq!(rig.sees("word 0039").await.id, growing.id);
    assert!(!rig.sees("Done").await.silent, "an edit makes no sound, so the summary does");
    assert_eq!(rig.count("word 0000"), 1);
}

#[tokio::test]
async fn a_draft_that_hangs_keeps_the_message_waiting_only_so_long() {
    let rig = Rig::new().await;
    rig.telegram.fault(Fault::on("sendMessageDraft", FaultKind::HangBefore).forever());
    rig.daemon.emit(HERE, turn_started(1));
    rig.sees("Started").await;
    says(&rig, HERE, 0..3);
    rig.telegram
        .wait_for("the draft's call", SOON, |state| {
            state.calls.iter().any(|call| call.method == "sendMessageDraft").then_some(())
        })
        .await
        .expect("it is made");
    rig.daemon.emit(HERE, text(1, &whole(3)));
    rig.daemon.emit(HERE, turn_ended(1, TurnOutcome::Completed));
    rig.sees(&whole(3)).await;
    rig.sees("Done").await;
}
