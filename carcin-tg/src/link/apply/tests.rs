//! What deliveries leave in the outbox.

use carcin_proto::event::Ask;
use carcin_proto::event::{Level, Notice, PermissionAsk, RequestOpened, TextBlock, TurnStarted};
use carcin_proto::request::Gap;
use carcin_proto::{BlockId, Seq, TurnId};

use super::*;
use crate::store::testing::Bench;

const ANN: i64 = 42;

/// A chat with everything that came before it, through the same reducer as the daemon's.
struct Chat {
    bench: Bench,
    snapshot: Snapshot,
    audience: Audience,
}

impl Chat {
    fn new() -> Self {
        let gate = Gate::new(&[ANN]).expect("not empty");
        Self {
            bench: Bench::new(),
            snapshot: Snapshot::default(),
            audience: Audience { gate, style: Style::default() },
        }
    }

    fn happens(&mut self, event: impl Into<Event>) {
        let conversation = Place::private(ANN).conversation();
        let seq = Seq(self.snapshot.seq.0 + 1);
        let envelope = Envelope { conversation, at: Millis(seq.0 * 1000), event: event.into() };
        self.snapshot.apply(seq, &envelope);
        self.is_delivered(&Delivery::Durable(seq, Some(envelope)));
    }

    fn is_delivered(&mut self, it: &Delivery) {
        self.bench.write(|tx| delivery(tx, &self.audience, it));
    }

    /// What is to be sent, in order: the operation and the first line.
    fn outbox(&mut self) -> Vec<String> {
        self.bench.write(|tx| {
            let jobs = outbox::open_jobs(tx, 0, 100)?;
            jobs.iter()
                .map(|job| {
                    let body = outbox::begin(tx, job)?.expect("to be sent").body;
                    outbox::put_back(tx, job.id)?;
                    let line = body["text"].as_str().and_then(|text| text.lines().next()).unwrap_or_default();
                    Ok(format!("{} {line}", job.op.name()))
                })
                .collect()
        })
    }
}

fn permission(request: &str) -> RequestOpened {
    let ask = PermissionAsk {
        tool: "Bash".into(),
        tool_use: None,
        summary: "ls".into(),
        input: String::new(),
        description: String::new(),
        reason: String::new(),
        blocked_path: None,
        suggestions: String::new(),
    };
    let request = request.parse().expect("an id");
    RequestOpened { request, turn: TurnId(1), ask: Ask::Permission(ask) }
}

fn started() -> TurnStarted {
    TurnStarted { turn: TurnId(1), prompt: None }
}

#[test]
fn a_gap_behind_retention_keeps_the_card_and_the_question_that_still_stand() {
    let mut chat = Chat::new();
    chat.happens(started());
    chat.happens(permission("r1"));
    chat.happens(permission("r2"));
    let mut snapshot = chat.snapshot.clone();
    let here = Place::private(ANN).conversation();
    let now = snapshot.conversations.get_mut(&here).expect("it is there");
    now.requests.remove(0);
    now.requests.push((Millis(9), permission("r3")));
    chat.is_delivered(&Delivery::Gap(Gap { reason: GapReason::BehindRetention, snapshot }));
    assert_eq!(
        chat.outbox(),
        [
            "send ▶️ Claude goes on by itself",
            "edit ❓ Waiting for your answer · 2 s",
            "send 🔐 May I use Bash?",
            "send 🔐 May I use Bash?",
            "send ⚠️ I was away too long: some of what Claude did is not shown here",
            "send 🔐 May I use Bash?",
            "edit 🔐 May I use Bash?",
        ]
    );
    let open = chat.bench.read(requests::open);
    let open: Vec<&str> = open.iter().map(|asked| asked.request.as_str()).collect();
    assert_eq!(open, ["r2", "r3"]);
}

#[test]
fn a_snapshot_at_the_first_start_shows_what_is_going_on() {
    let mut earlier = Chat::new();
    earlier.happens(started());
    earlier.happens(permission("r1"));
    let mut chat = Chat::new();
    chat.is_delivered(&Delivery::Snapshot(earlier.snapshot));
    let expected = [
        "send ▶️ Claude goes on by itself",
        "edit ❓ Waiting for your answer · 1 s",
        "send 🔐 May I use Bash?",
    ];
    assert_eq!(chat.outbox(), expected);
}

#[test]
fn a_card_says_when_nobody_knows_what_the_turn_does() {
    let mut chat = Chat::new();
    chat.happens(started());
    chat.bench.write(|tx| tick(tx, None));
    assert_eq!(
        chat.outbox(),
        ["send ▶️ Claude goes on by itself", "edit 💤 carcind is away, Claude goes on"]
    );
    chat.bench.write(|tx| tick(tx, Some(Millis(61_000))));
    assert_eq!(chat.outbox()[1], "edit ⏳ Working by itself · 1 m 00 s");
}

#[test]
fn what_is_held_back_is_not_lost_in_a_crash() {
    let mut chat = Chat::new();
    chat.happens(started());
    let block = TextBlock { turn: TurnId(1), block: BlockId(0), text: "so far".into(), parent: None };
    chat.happens(block);
    chat.bench.reopen();
    chat.happens(Notice { level: Level::Info, text: "well".into(), hint: None });
    assert_eq!(chat.outbox(), ["send ▶️ Claude goes on by itself", "send so far", "send ℹ️ well"]);
}

#[test]
fn a_user_who_is_no_longer_allowed_hears_nothing_more() {
    let mut chat = Chat::new();
    chat.audience.gate = Gate::new(&[7]).expect("not empty");
    chat.happens(started());
    assert!(chat.outbox().is_empty());
}

fn text(text: &str) -> TextBlock {
    TextBlock { turn: TurnId(1), block: BlockId(0), text: text.into(), parent: None }
}

fn ended() -> carcin_proto::event::TurnEnded {
    let outcome = carcin_proto::event::TurnOutcome::Completed;
    let usage = carcin_proto::event::Usage::default();
    carcin_proto::event::TurnEnded { turn: TurnId(1), outcome, duration: Millis(1_000), usage }
}

/// The sounds of what is to be sent.
fn sounds(chat: &mut Chat) -> usize {
    chat.bench.write(|tx| {
        let mut sounds = 0;
        for job in outbox::open_jobs(tx, 0, 100)? {
            let body = outbox::begin(tx, &job)?.expect("to be sent").body;
            outbox::put_back(tx, job.id)?;
            sounds += usize::from(job.op.name() == "send" && body["disable_notification"] == false);
        }
        Ok(sounds)
    })
}

#[test]
fn the_end_of_a_task_is_heard_once_with_a_text_and_without() {
    let mut chat = Chat::new();
    chat.happens(started());
    chat.happens(text("All green."));
    chat.happens(ended());
    assert_eq!(chat.outbox(), ["send ▶️ Claude goes on by itself", "send All green.", "edit ✅ Done · 1 s"]);
    assert_eq!(sounds(&mut chat), 1);
    let mut chat = Chat::new();
    chat.happens(started());
    chat.happens(ended());
    assert_eq!(chat.outbox(), ["send ▶️ Claude goes on by itself", "delete ", "send ✅ Done · 1 s"]);
    assert_eq!(sounds(&mut chat), 1);
}

#[test]
fn a_text_that_was_streamed_by_edits_is_taken_over_after_a_restart() {
    let mut chat = Chat::new();
    chat.happens(started());
    let here = Place::private(ANN);
    chat.bench.write(|tx| stream(tx, here, Text::plain("All")));
    chat.bench.write(|tx| stream(tx, here, Text::plain("All gr")));
    chat.bench.reopen();
    chat.happens(text("All green."));
    chat.happens(ended());
    // An edit makes no sound, so the summary does.
    assert_eq!(
        chat.outbox(),
        [
            "send ▶️ Claude goes on by itself",
            "send All",
            "edit All gr",
            "edit All green.",
            "delete ",
            "send ✅ Done · 1 s"
        ]
    );
    assert_eq!(sounds(&mut chat), 1);
}

#[test]
fn what_was_seen_of_a_text_that_is_cut_short_is_said() {
    let mut chat = Chat::new();
    chat.happens(started());
    chat.bench.write(|tx| cut_short(tx, &chat.audience, Place::private(ANN), "As I was say"));
    assert_eq!(chat.outbox(), ["send ▶️ Claude goes on by itself", "send As I was say…"]);
}

#[test]
fn a_card_that_moves_is_made_anew_below_and_the_old_one_taken_away() {
    let mut chat = Chat::new();
    chat.happens(started());
    for second in 0..12 {
        chat.happens(text(&format!("step {second}")));
    }
    chat.happens(carcin_proto::event::ToolStarted {
        turn: TurnId(1),
        block: BlockId(0),
        tool_use: "t1".parse().expect("an id"),
        name: "Bash".into(),
        summary: "make".into(),
        input: String::new(),
        parent: None,
    });
    let outbox = chat.outbox();
    assert_eq!(
        outbox[outbox.len() - 3..],
        ["send ▶️ Still at work", "delete ", "edit ⏳ Working by itself · 13 s · 1 tool"]
    );
    assert_eq!(chat.bench.write(|tx| at_work(tx, &chat.audience)), [(Place::private(ANN), true)]);
}

#[test]
fn of_a_text_that_is_cut_short_nobody_else_hears() {
    let mut chat = Chat::new();
    chat.bench.write(|tx| cut_short(tx, &chat.audience, Place::private(ANN + 1), "As I was say"));
    assert_eq!(chat.outbox(), Vec::<String>::new());
}

#[test]
fn a_text_is_sent_once_where_the_next_one_begins() {
    let mut chat = Chat::new();
    let text = |block, text: &str| TextBlock {
        turn: TurnId(1),
        block: BlockId(block),
        text: text.into(),
        parent: None,
    };
    chat.happens(started());
    chat.happens(text(0, "the first"));
    for _ in 0..2 {
        chat.bench.write(|tx| next_text(tx, &chat.audience, Place::private(ANN)));
    }
    assert_eq!(chat.outbox(), ["send ▶️ Claude goes on by itself", "send the first"]);
    chat.happens(text(1, "the second"));
    assert_eq!(chat.outbox().len(), 2, "it may be the final one");
}
