//! What is shown of the moment and kept nowhere: where Claude types, and what it has typed so far.
//!
//! [`crate::link`] tells it, the sender shows it. Whatever is lost here costs nothing: the durable events follow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use carcin_proto::event::{Event, TextDelta, TextSoFar};
use carcin_proto::{BlockId, TurnId};
use tokio::sync::Notify;

use super::stream::Stream;
use crate::markdown::Text;
use crate::place::Place;
use crate::view::progress::{ends_text, goes_beside_text};

/// Between two edits of a text that is streamed by edits: flood waits are earned by them.
const EDIT_EVERY: Duration = Duration::from_secs(3);
/// How long a text is written before a message is made for it: most are finished by then.
const EDIT_AFTER: Duration = Duration::from_secs(2);
/// Texts that are kept at a time, more than there are people who could read them.
const MAX_STREAMS: usize = 64;

/// The moment, shared by who tells it and who shows it.
#[derive(Debug, Default)]
pub struct Live {
    moment: Mutex<Moment>,
    bell: Notify,
}

/// What goes on now.
#[derive(Debug, Default)]
pub struct Moment {
    /// Where Claude works, and whether without waiting for anybody.
    pub(super) working: BTreeMap<Place, bool>,
    pub(super) streams: BTreeMap<Place, Stream>,
    /// When the text of a place that is streamed by edits is due.
    edits: BTreeMap<Place, Instant>,
    /// Where the server has refused a draft.
    no_drafts: BTreeSet<Place>,
}

impl Moment {
    /// Whether a text is shown there as a draft.
    pub(super) fn takes_drafts(&self, place: Place) -> bool {
        // Groups have none.
        place.chat > 0 && !self.no_drafts.contains(&place) && self.working.contains_key(&place)
    }
}

impl Live {
    /// Looks at it, or changes it.
    pub(super) fn moment(&self) -> MutexGuard<'_, Moment> {
        // Nothing here is left half done by a panic.
        self.moment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there may be something else to show.
    pub(super) async fn changed(&self) {
        self.bell.notified().await;
    }

    /// Where Claude works now.
    pub fn set_working(&self, places: Vec<(Place, bool)>) {
        let working: BTreeMap<Place, bool> = places.into_iter().collect();
        let mut moment = self.moment();
        if working != moment.working {
            moment.working = working;
            self.bell.notify_one();
        }
    }

    /// More of a text came. It may do so before its turn's beginning is stored. Whether it follows one that is complete,
    /// which is to be sent then.
    pub fn delta(&self, place: Place, delta: &TextDelta, now: Instant) -> bool {
        self.on_stream(place, (delta.turn, delta.block), now, |stream| stream.take(delta))
    }

    /// The daemon tells what there is of a text: it was restarted, or we were. As [`Self::delta`].
    pub fn so_far(&self, place: Place, text: &TextSoFar, now: Instant) -> bool {
        self.on_stream(place, (text.turn, text.block), now, |stream| stream.replace(text))
    }

    fn on_stream(
        &self,
        place: Place,
        (turn, block): (TurnId, BlockId),
        now: Instant,
        change: impl FnOnce(&mut Stream),
    ) -> bool {
        let mut moment = self.moment();
        let is_full = moment.streams.len() >= MAX_STREAMS && !moment.streams.contains_key(&place);
        let mut follows = false;
        match moment.streams.get_mut(&place) {
            Some(stream) if stream.is(turn, block) => change(stream),
            _ if is_full => return false,
            _ => {
                let mut stream = Stream::begin(turn, block, draft_id(), now);
                change(&mut stream);
                let before = moment.streams.insert(place, stream);
                follows = before.is_some_and(|before| before.is_finished());
                moment.edits.insert(place, now + EDIT_AFTER);
            }
        }
        self.bell.notify_one();
        follows
    }

    /// What came is not to be gone on with: the daemon told its whole state.
    pub fn forget(&self) {
        let mut moment = self.moment();
        moment.streams.clear();
        moment.edits.clear();
    }

    /// Something happened there, and is about to be stored. Returns what there is of a text that will not be finished.
    pub fn event(&self, place: Place, event: &Event) -> Option<String> {
        let mut moment = self.moment();
        if let Event::TextBlock(block) = event
            && let Some(stream) = moment.streams.get_mut(&place)
            && stream.is(block.turn, block.block)
        {
            // Shown until it is sent as a message, which may wait for what comes next.
            stream.finish();
            return None;
        }
        let goes_on = |stream: &Stream| goes_beside_text(event) && !stream.is_finished();
        if !ends_text(event) || moment.streams.get(&place).is_some_and(goes_on) {
            return None;
        }
        moment.edits.remove(&place);
        let stream = moment.streams.remove(&place)?;
        matches!(event, Event::TurnEnded(_)).then(|| stream.partial()).flatten()
    }

    /// The server takes no drafts there: from now on texts are streamed by edits.
    pub(super) fn refuse_drafts(&self, place: Place) {
        let mut moment = self.moment();
        moment.no_drafts.insert(place);
        if let Some(stream) = moment.streams.get_mut(&place) {
            stream.show_again();
        }
    }

    /// What is to be edited now, where texts are streamed by edits.
    pub fn edits(&self, now: Instant) -> Vec<(Place, Text)> {
        let mut moment = self.moment();
        let Moment { streams, edits, no_drafts, working } = &mut *moment;
        let mut due = Vec::new();
        for (place, stream) in streams.iter_mut() {
            let drafts = place.chat > 0 && !no_drafts.contains(place);
            if drafts
                || !working.contains_key(place)
                || !stream.has_more()
                || edits.get(place).is_some_and(|at| *at > now)
            {
                continue;
            }
            if let Some(text) = stream.frame() {
                edits.insert(*place, now + EDIT_EVERY);
                due.push((*place, text));
            }
        }
        due
    }
}

/// A name for a draft that no other has, also not of an earlier run. Never zero.
fn draft_id() -> i64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The Bot API's numbers have 32 bits with a sign where nothing else is said.
    i64::try_from(high >> 33).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use carcin_proto::Millis;
    use carcin_proto::event::{Notification, TextBlock, TodosChanged, TurnEnded, TurnOutcome, Usage};

    use super::*;

    const GROUP: Place = Place { chat: -5, thread: None };

    fn writes(live: &Live, now: Instant, offset: u64, text: &str) {
        live.delta(GROUP, &TextDelta { turn: TurnId(1), block: BlockId(0), offset, text: text.into() }, now);
    }

    fn ended() -> Event {
        let (turn, outcome) = (TurnId(1), TurnOutcome::Stopped("Ann".into()));
        TurnEnded { turn, outcome, duration: Millis(1), usage: Usage::default() }.into()
    }

    #[test]
    fn a_group_sees_a_text_grow_by_edits_and_not_too_many() {
        let live = Live::default();
        live.set_working(vec![(GROUP, true)]);
        let start = Instant::now();
        let mut edits = Vec::new();
        for tick in 0..20 {
            let now = start + Duration::from_secs(tick);
            writes(&live, now, tick, "x");
            edits.extend(live.edits(now).into_iter().map(|(_, text)| text.text.len()));
        }
        assert_eq!(edits, [3, 6, 9, 12, 15, 18], "after two seconds, then every three");
    }

    #[test]
    fn what_was_seen_of_a_text_that_is_cut_short_is_not_lost() {
        let live = Live::default();
        writes(&live, Instant::now(), 0, "half of");
        assert_eq!(live.event(GROUP, &TodosChanged { todos: vec![] }.into()), None);
        assert_eq!(live.event(GROUP, &ended()).as_deref(), Some("half of"));
        assert_eq!(live.event(GROUP, &ended()), None);
        // One that is complete comes as a message of its own.
        writes(&live, Instant::now(), 0, "all of it");
        let block = TextBlock { turn: TurnId(1), block: BlockId(0), text: "all of it".into(), parent: None };
        assert_eq!(live.event(GROUP, &block.into()), None);
        assert_eq!(live.event(GROUP, &ended()), None);
    }

    #[test]
    fn a_text_that_follows_another_one_says_so() {
        let live = Live::default();
        let now = Instant::now();
        let delta = |block| TextDelta { turn: TurnId(1), block: BlockId(block), offset: 0, text: "x".into() };
        assert!(!live.delta(GROUP, &delta(0), now), "the first");
        let block = TextBlock { turn: TurnId(1), block: BlockId(0), text: "x".into(), parent: None };
        live.event(GROUP, &block.into());
        assert!(live.delta(GROUP, &delta(1), now));
        assert!(!live.delta(GROUP, &delta(2), now), "the one before never came to its end");
    }

    #[test]
    fn a_text_goes_on_whatever_is_told_beside_it() {
        let live = Live::default();
        let now = Instant::now();
        live.set_working(vec![(GROUP, true)]);
        writes(&live, now, 0, "half of");
        let beside = Notification { text: "The tests pass".into(), topic: String::new() };
        assert_eq!(live.event(GROUP, &beside.clone().into()), None);
        writes(&live, now, 7, " it");
        let shown = live.edits(now + Duration::from_secs(9));
        assert_eq!(shown.iter().map(|(_, text)| text.text.as_str()).collect::<Vec<_>>(), ["half of it"]);
        // One that is complete is sent before it, and no longer a draft.
        let block = TextBlock { turn: TurnId(1), block: BlockId(0), text: "half of it".into(), parent: None };
        live.event(GROUP, &block.into());
        live.event(GROUP, &beside.into());
        assert!(live.moment().streams.is_empty());
    }

    #[test]
    fn nobody_is_shown_where_nobody_works() {
        let live = Live::default();
        let now = Instant::now();
        writes(&live, now, 0, "half of");
        assert_eq!(live.edits(now + Duration::from_secs(9)), []);
        live.set_working(vec![(GROUP, true)]);
        assert_eq!(live.edits(now + Duration::from_secs(9)).len(), 1, "what came before is not lost");
    }
}
