//! When "typing…" is renewed and the next frame of a draft is shown: pure, on the caller's clock.
//!
//! Neither is made into a known wait, and neither keeps a message waiting, but for the one draft that is on its way.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Scheduler;
use super::live::Moment;
use super::lost::Lost;
use crate::api::{Api, ApiError};
use crate::markdown::Text;
use crate::place::Place;

/// Telegram shows it for five seconds.
const TYPING_EVERY: Duration = Duration::from_millis(4_500);
/// At most one frame a second, and a little less for a call that is faster than the one before it.
const DRAFT_EVERY: Duration = Duration::from_millis(1_100);
/// From the end of one call to the next at least: it may have arrived only then, which makes it that much later.
const DRAFT_AFTER: Duration = Duration::from_millis(800);
/// How long a text is written before it is a draft. One that is complete by then needs none, and its message would wait for
/// the draft's round trip.
const FIRST_DRAFT_AFTER: Duration = Duration::from_millis(400);
/// Telegram shows a draft for thirty seconds.
const KEPT_ALIVE: Duration = Duration::from_secs(20);
/// How long a message waits for a draft that is on its way.
const DRAFT_TIME: Duration = Duration::from_secs(3);
/// How long nothing is shown where something went wrong.
const AFTER_A_FAILURE: Duration = Duration::from_secs(5);

/// What is shown of the moment, by place.
#[derive(Debug, Default)]
pub(super) struct Beat {
    typing: HashMap<Place, Due>,
    drafts: HashMap<Place, Due>,
    /// Chats in which Telegram wants silence.
    quiet: HashMap<i64, Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    next: Instant,
    /// When what is shown vanishes.
    renew: Instant,
    under_way: bool,
}

/// Something to be shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    /// Claude works.
    Typing(Place),
    /// A text that is not finished.
    Draft(Place, i64, Text),
}

impl Call {
    /// Makes the call.
    pub(super) async fn make(self, api: Api) -> (Self, Result<(), ApiError>) {
        let result = match &self {
            Self::Typing(place) => api.typing(place.chat, place.thread).await,
            Self::Draft(place, id, text) => {
                let mut body = json!({
                    "chat_id": place.chat,
                    "draft_id": id,
                    "text": text.text,
                    "entities": text.to_message_entities(),
                    "can_stop": true,
                });
                if let Some(thread) = place.thread {
                    body["message_thread_id"] = thread.into();
                }
                match tokio::time::timeout(DRAFT_TIME, api.draft(body)).await {
                    Ok(result) => result,
                    Err(_) => Err(ApiError::Unknown("a draft took too long".to_owned())),
                }
            }
        };
        (self, result)
    }

    /// Where it is shown.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Typing(place) | Self::Draft(place, ..) => *place,
        }
    }
}

impl Beat {
    /// What is due now, and when to look again.
    pub(super) fn due(
        &mut self,
        moment: &mut Moment,
        scheduler: &mut Scheduler,
        lost: &Lost,
        now: Instant,
    ) -> (Vec<Call>, Option<Instant>) {
        self.quiet.retain(|_, until| *until > now);
        // Of what is over its pace is kept: what begins anew is not to be faster.
        let (working, streams) = (&moment.working, &moment.streams);
        let paces = |due: &Due| due.under_way || due.next > now;
        self.typing.retain(|place, due| paces(due) || working.get(place) == Some(&true));
        self.drafts.retain(|place, due| paces(due) || streams.contains_key(place));
        let mut calls = Vec::new();
        let mut wake: Option<Instant> = None;
        let mut later = |at: Instant| wake = Some(wake.map_or(at, |wake| wake.min(at)));
        let fresh = Due { next: now, renew: now, under_way: false };

        let types = moment.working.iter().filter(|(place, types)| **types && !lost.has(**place));
        for place in types.map(|(place, _)| *place) {
            let due = self.typing.entry(place).or_insert(fresh);
            let open = quiet_until(&self.quiet, scheduler, place, now).unwrap_or(now).max(due.next);
            if due.under_way {
                continue;
            }
            if open > now {
                later(open);
                continue;
            }
            *due = Due { next: now + TYPING_EVERY, renew: now, under_way: true };
            calls.push(Call::Typing(place));
        }

        let places: Vec<Place> = moment.streams.keys().copied().collect();
        for place in places {
            if !moment.takes_drafts(place) || lost.has(place) {
                continue;
            }
            let Some(stream) = moment.streams.get_mut(&place) else { continue };
            let due = self.drafts.entry(place).or_insert(fresh);
            // A message that waits would only be kept waiting. When it is sent, all of this comes up again.
            if due.under_way || scheduler.is_talking(place.chat) {
                continue;
            }
            let at = match (stream.has_more(), stream.is_shown()) {
                (true, false) => due.next.max(stream.begun() + FIRST_DRAFT_AFTER),
                (true, true) => due.next,
                (false, true) => due.renew,
                (false, false) => continue,
            };
            let open = quiet_until(&self.quiet, scheduler, place, now).unwrap_or(now).max(at);
            if open > now {
                later(open);
                continue;
            }
            let id = stream.draft();
            if let Some(text) = stream.frame() {
                *due = Due { next: now + DRAFT_EVERY, renew: now + KEPT_ALIVE, under_way: true };
                scheduler.hold(place.chat, Some(now + DRAFT_TIME));
                calls.push(Call::Draft(place, id, text));
            }
        }
        (calls, wake)
    }

    /// A call is over. Whether the server takes no drafts there.
    pub(super) fn done(
        &mut self,
        call: &Call,
        result: &Result<(), ApiError>,
        scheduler: &mut Scheduler,
        now: Instant,
    ) -> bool {
        let place = call.place();
        let is_draft = matches!(call, Call::Draft(..));
        let due = if is_draft { self.drafts.get_mut(&place) } else { self.typing.get_mut(&place) };
        if let Some(due) = due {
            due.under_way = false;
            if is_draft {
                due.next = due.next.max(now + DRAFT_AFTER);
            }
        }
        if is_draft && !self.drafts.iter().any(|(other, due)| other.chat == place.chat && due.under_way) {
            scheduler.hold(place.chat, None);
        }
        let wait = match result {
            Ok(()) => return false,
            Err(ApiError::RetryAfter(wait)) => *wait,
            // A method that a server does not have is not found, as is a token that it does not know.
            Err(ApiError::BadRequest(_) | ApiError::Unauthorized) if is_draft => return true,
            Err(_) => AFTER_A_FAILURE,
        };
        self.quiet.insert(place.chat, now + wait);
        if let Err(ApiError::RetryAfter(wait)) = result {
            // Telegram does not say of what it has had enough: messages wait for it, too.
            scheduler.block(place.chat, now + *wait);
        }
        false
    }
}

fn quiet_until(
    quiet: &HashMap<i64, Instant>,
    scheduler: &Scheduler,
    place: Place,
    now: Instant,
) -> Option<Instant> {
    quiet.get(&place.chat).copied().max(scheduler.quiet_until(place.chat, now))
}

#[cfg(test)]
mod tests {
    use carcin_proto::event::TextDelta;
    use carcin_proto::{BlockId, TurnId};

    use super::super::live::Live;
    use super::super::{Outcome, Step};
    use super::*;
    use crate::queue::{Job, Op, Priority};

    const HERE: Place = Place { chat: 5, thread: None };

    struct Bench {
        live: Live,
        beat: Beat,
        scheduler: Scheduler,
        lost: Lost,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now() + Duration::from_secs(10_000);
            let (live, beat, scheduler) = (Live::default(), Beat::default(), Scheduler::default());
            live.set_working(vec![(HERE, true)]);
            Self { live, beat, scheduler, lost: Lost::default(), now }
        }

        /// More of a text that has been written for long enough to be a draft.
        fn writes(&self, offset: u64, text: &str) {
            self.begins(self.now.checked_sub(FIRST_DRAFT_AFTER).expect("a late clock"), offset, text);
        }

        /// The same, at another moment.
        fn begins(&self, at: Instant, offset: u64, text: &str) {
            let delta = TextDelta { turn: TurnId(1), block: BlockId(0), offset, text: text.into() };
            self.live.delta(HERE, &delta, at);
        }

        fn due(&mut self) -> Vec<Call> {
            self.beat.due(&mut self.live.moment(), &mut self.scheduler, &self.lost, self.now).0
        }

        fn drafts(&mut self) -> Vec<Call> {
            self.due().into_iter().filter(|call| matches!(call, Call::Draft(..))).collect()
        }

        fn done(&mut self, call: &Call, result: &Result<(), ApiError>) -> bool {
            self.beat.done(call, result, &mut self.scheduler, self.now)
        }
    }

    #[test]
    fn typing_is_renewed_before_it_vanishes_and_only_while_nothing_waits() {
        let mut bench = Bench::new();
        let mut times = 0;
        for _ in 0..100 {
            for call in bench.due() {
                times += 1;
                bench.done(&call, &Ok(()));
            }
            bench.now += Duration::from_millis(500);
        }
        assert_eq!(times, 12, "in 50 seconds");
        bench.live.set_working(vec![(HERE, false)]);
        bench.now += Duration::from_mins(1);
        assert_eq!(bench.due(), []);
    }

    #[test]
    fn text_that_is_soon_complete_is_no_draft() {
        let mut bench = Bench::new();
        bench.begins(bench.now, 0, "short");
        assert_eq!(bench.drafts(), []);
        let (_, wake) =
            bench.beat.due(&mut bench.live.moment(), &mut bench.scheduler, &bench.lost, bench.now);
        assert_eq!(wake, Some(bench.now + FIRST_DRAFT_AFTER), "it is looked at again then");
        let job = Job { id: 1, chat: 5, priority: Priority::Prose, op: Op::Send, message: None };
        bench.scheduler.push(job.clone());
        assert_eq!(bench.scheduler.next(bench.now), Step::Run(job.clone()), "no draft keeps it waiting");
        bench.scheduler.done(&job, Outcome::Settled, bench.now);
        bench.now += FIRST_DRAFT_AFTER;
        assert_eq!(bench.drafts().len(), 1);
    }

    #[test]
    fn after_a_slow_call_the_next_frame_does_not_come_right_behind_it() {
        let mut bench = Bench::new();
        bench.writes(0, "x");
        let slow = bench.drafts().remove(0);
        bench.now += Duration::from_secs(2);
        bench.writes(1, "x");
        bench.done(&slow, &Ok(()));
        assert_eq!(bench.drafts(), [], "it may have arrived just now");
        bench.now += DRAFT_AFTER;
        assert_eq!(bench.drafts().len(), 1);
    }

    #[test]
    fn frames_come_at_most_once_a_second_and_skip_what_is_stale() {
        let mut bench = Bench::new();
        let mut frames = Vec::new();
        for tick in 0..100 {
            bench.writes(tick, "x");
            for call in bench.drafts() {
                let Call::Draft(_, _, text) = &call else { unreachable!() };
                frames.push(text.text.len());
                bench.done(&call, &Ok(()));
            }
            bench.now += Duration::from_millis(100);
        }
        assert!((9..=10).contains(&frames.len()), "{frames:?}");
        assert!(frames.is_sorted_by(|a, b| a < b), "{frames:?}");
    }

    #[test]
    fn a_message_waits_for_the_draft_on_its_way_and_no_new_draft_keeps_it_waiting() {
        let mut bench = Bench::new();
        bench.writes(0, "half");
        let draft = bench.drafts().remove(0);
        let job = Job { id: 1, chat: 5, priority: Priority::Prose, op: Op::Send, message: None };
        bench.scheduler.push(job.clone());
        assert_eq!(bench.scheduler.next(bench.now), Step::WaitUntil(bench.now + DRAFT_TIME));
        bench.done(&draft, &Ok(()));
        assert_eq!(bench.scheduler.next(bench.now), Step::Run(job.clone()));
        bench.writes(4, " and more");
        bench.now += Duration::from_secs(9);
        assert_eq!(bench.drafts(), []);
        bench.scheduler.done(&job, Outcome::Settled, bench.now);
        assert_eq!(bench.drafts().len(), 1);
    }

    #[test]
    fn nothing_is_shown_into_a_flood_wait() {
        let mut bench = Bench::new();
        let job = Job { id: 1, chat: 5, priority: Priority::Prose, op: Op::Send, message: None };
        bench.scheduler.push(job.clone());
        let Step::Run(_) = bench.scheduler.next(bench.now) else { panic!("it runs") };
        bench.scheduler.done(&job, Outcome::Wait(Duration::from_mins(1)), bench.now);
        bench.writes(0, "half");
        assert_eq!(bench.due(), []);
        // A wait that a draft earned is one for messages, too.
        let mut bench = Bench::new();
        bench.writes(0, "half");
        for call in bench.due() {
            bench.done(&call, &Err(ApiError::RetryAfter(Duration::from_mins(1))));
        }
        bench.writes(4, " and more");
        bench.scheduler.push(job.clone());
        let end = bench.now + Duration::from_mins(1);
        assert_eq!(bench.scheduler.next(bench.now), Step::WaitUntil(end));
        bench.now += Duration::from_secs(59);
        assert_eq!(bench.due(), []);
        assert_eq!(bench.scheduler.next(end), Step::Run(job));
    }

    #[test]
    fn nothing_is_shown_where_nothing_can_be_written() {
        let mut bench = Bench::new();
        bench.writes(0, "half");
        bench.lost.add_chat(HERE.chat);
        assert_eq!(bench.due(), []);
        bench.lost.update(Lost::default());
        assert_eq!(bench.due().len(), 2);
        let mut bench = Bench::new();
        let topic = Place { thread: Some(7), ..HERE };
        bench.live.set_working(vec![(HERE, true), (topic, true)]);
        bench.lost.add_topic(topic);
        assert_eq!(bench.due(), [Call::Typing(HERE)]);
    }

    #[test]
    fn a_draft_is_kept_alive_until_its_message_is_sent() {
        let mut bench = Bench::new();
        bench.writes(0, "all of it");
        let first = bench.drafts().remove(0);
        bench.done(&first, &Ok(()));
        bench.now += Duration::from_secs(19);
        assert_eq!(bench.drafts(), []);
        bench.now += Duration::from_secs(2);
        assert_eq!(bench.drafts(), [first]);
    }

    #[test]
    fn a_server_without_drafts_is_noticed() {
        let mut bench = Bench::new();
        bench.writes(0, "half");
        let draft = bench.drafts().remove(0);
        assert!(bench.done(&draft, &Err(ApiError::BadRequest("TEXTDRAFT_PEER_INVALID".into()))));
        bench.live.refuse_drafts(HERE);
        bench.now += Duration::from_secs(5);
        assert_eq!(bench.drafts(), []);
        assert_eq!(bench.live.edits(bench.now).len(), 1);
    }
}
