//! What the snapshot promises for every history.

use proptest::prelude::*;

use super::generate::{any_envelope, any_value};
use crate::event::{
    ConversationOpened, ConversationRecalled, Envelope, Event, LineProblem, ProcessStarted, SettingsChanged,
    Unrecognised,
};
use crate::snapshot::MAX_CONVERSATIONS;
use crate::{Conversation, ConversationKey, Millis, Seq, Snapshot, decode, encode};

/// A history: events at growing sequence numbers, `None` for one of a kind that this version does not know.
fn any_history() -> impl Strategy<Value = Vec<(Seq, Option<Envelope>)>> {
    prop::collection::vec((1u64..5, prop::option::weighted(0.9, any_envelope())), 0..12).prop_map(|events| {
        let mut seq = 0;
        events
            .into_iter()
            .map(|(step, event)| {
                seq += step;
                (Seq(seq), event)
            })
            .collect()
    })
}

fn take_in(snapshot: &mut Snapshot, history: &[(Seq, Option<Envelope>)]) {
    for (seq, event) in history {
        match event {
            Some(envelope) => snapshot.apply(*seq, envelope),
            None => snapshot.skip(*seq),
        }
    }
}

proptest! {
    #[test]
    fn applying_twice_changes_nothing(history in any_history()) {
        let mut once = Snapshot::default();
        take_in(&mut once, &history);
        let mut twice = once.clone();
        take_in(&mut twice, &history);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn every_event_advances_the_cursor(history in any_history()) {
        let mut snapshot = Snapshot::default();
        for (seq, event) in &history {
            take_in(&mut snapshot, &[(*seq, event.clone())]);
            prop_assert_eq!(snapshot.seq, *seq);
        }
    }

    /// A reader that begins with a snapshot in the middle ends where one that saw everything does.
    #[test]
    fn a_snapshot_stands_for_its_history(history in any_history(), at in any::<prop::sample::Index>()) {
        let mut whole = Snapshot::default();
        take_in(&mut whole, &history);
        let cut = if history.is_empty() { 0 } else { at.index(history.len()) };
        let mut first = Snapshot::default();
        take_in(&mut first, &history[..cut]);
        let mut second: Snapshot = decode(&encode(&first).expect("encodes")).expect("decodes");
        take_in(&mut second, &history[cut..]);
        prop_assert_eq!(whole, second);
    }

    #[test]
    fn an_unknown_kind_changes_only_the_cursor(snapshot in any_value::<Snapshot>(), seq in any::<u64>()) {
        let mut skipped = snapshot.clone();
        skipped.skip(Seq(seq));
        prop_assert_eq!(skipped.seq, Seq(seq.max(snapshot.seq.0)));
        prop_assert_eq!(skipped.conversations, snapshot.conversations);
    }
}

fn conversation(number: usize) -> ConversationKey {
    ConversationKey::new(format!("c{number:04}")).expect("a valid key")
}

/// Takes in an event of the conversation `number`, at a moment that is its place in the history.
fn happens(snapshot: &mut Snapshot, number: usize, event: impl Into<Event>) {
    let seq = Seq(snapshot.seq.0 + 1);
    let envelope = Envelope { conversation: conversation(number), at: Millis(seq.0), event: event.into() };
    snapshot.apply(seq, &envelope);
}

fn opened() -> ConversationOpened {
    ConversationOpened { cwd: "/src".into() }
}

#[test]
fn the_one_active_least_recently_makes_room() {
    let mut snapshot = Snapshot::default();
    for number in 0..MAX_CONVERSATIONS {
        happens(&mut snapshot, number, opened());
    }
    happens(&mut snapshot, 0, SettingsChanged::default());
    happens(&mut snapshot, 9999, opened());
    assert_eq!(snapshot.conversations.len(), MAX_CONVERSATIONS);
    let there = |number| snapshot.conversations.contains_key(&conversation(number));
    assert_eq!([there(0), there(1), there(2), there(9999)], [true, false, true, true]);
}

#[test]
fn one_at_work_stays_and_the_newcomer_does_too() {
    let mut snapshot = Snapshot::default();
    for number in 0..MAX_CONVERSATIONS {
        happens(&mut snapshot, number, ProcessStarted { pid: 7, adopted: false });
    }
    happens(&mut snapshot, 9998, opened());
    assert_eq!(snapshot.conversations.len(), MAX_CONVERSATIONS + 1, "nobody is at rest but the newcomer");
    happens(&mut snapshot, 9999, opened());
    let there = |number| snapshot.conversations.contains_key(&conversation(number));
    assert_eq!([there(0), there(9998), there(9999)], [true, false, true]);
}

#[test]
fn one_that_is_recalled_is_as_it_was() {
    let recalled = ConversationRecalled {
        cwd: "/src".into(),
        session: None,
        settings: SettingsChanged { model: Some("opus".into()), permission_mode: None, effort: None },
        todos: vec![],
        unrecognised: 3,
    };
    let mut snapshot = Snapshot::default();
    happens(&mut snapshot, 1, recalled.clone());
    let expected = Conversation {
        cwd: recalled.cwd,
        settings: recalled.settings,
        unrecognised: 3,
        active_at: Millis(1),
        ..Conversation::default()
    };
    assert_eq!(snapshot.conversations[&conversation(1)], expected);
}

#[test]
fn what_cannot_be_counted_any_further_stays_where_it_is() {
    let recalled = ConversationRecalled {
        cwd: "/src".into(),
        session: None,
        settings: SettingsChanged::default(),
        todos: vec![],
        unrecognised: u64::MAX,
    };
    let mut snapshot = Snapshot::default();
    happens(&mut snapshot, 1, recalled);
    happens(&mut snapshot, 1, Unrecognised { problem: LineProblem::TooLong, raw: vec![], size: 0 });
    assert_eq!(snapshot.conversations[&conversation(1)].unrecognised, u64::MAX);
}
