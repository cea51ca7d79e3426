//! "Is this plan good?"

use carcin_proto::event::PlanAsk;
use carcin_proto::request::Decision;

use super::{Ahead, BODY, Draft, Rows, Step, Writer, button, writing};
use crate::markdown::{self, Text, TextBuilder, truncate};

/// What Claude is told where the user says no more.
pub(super) const KEEP_PLANNING: &str = "The user wants you to keep planning.";
/// Up to this length, in UTF-16 code units, a plan that is too long for the question is sent ahead of it as
/// messages; what is longer, as a file.
const MESSAGES: usize = 12_000;
/// How much of such a plan is in the question.
const HEAD: usize = 1_500;

/// Where a plan is shown.
enum Room {
    /// In the question.
    Here(Text),
    /// In messages ahead of it.
    Messages(Text),
    /// In a file ahead of it; here is its beginning.
    File(Text),
}

fn room(plan: &str) -> Room {
    let text = markdown::render(plan);
    if text.units() <= BODY {
        Room::Here(text)
    } else if text.units() <= MESSAGES {
        Room::Messages(text)
    } else {
        Room::File(truncate(&text, HEAD))
    }
}

pub(super) fn ahead(ask: &PlanAsk) -> Vec<Ahead> {
    match room(&ask.plan) {
        Room::Here(_) => Vec::new(),
        Room::Messages(plan) => vec![Ahead::Text(plan)],
        Room::File(_) => vec![Ahead::File { name: "plan.md", content: ask.plan.clone() }],
    }
}

pub(super) fn question(ask: &PlanAsk, draft: &Draft) -> (Text, Rows) {
    let mut text = TextBuilder::new();
    text.append(&body(ask));
    if let Some(writer) = &draft.writer {
        writing(&mut text, writer, "what should change? Your next message says it.");
        let rows = vec![vec![button("✏️ Keep planning, no comment", "no")], vec![button("↩️ Back", "back")]];
        return (text.build(), rows);
    }
    let rows = vec![
        vec![button("✅ Approve and edit automatically", "auto")],
        vec![button("✅ Approve and ask", "ask")],
        vec![button("✏️ Keep planning", "keep")],
    ];
    (text.build(), rows)
}

pub(super) fn press(draft: &Draft, by: &Writer, argument: &str) -> Option<Step> {
    Some(match argument {
        "auto" => Step::Decide(Decision::AllowAlways(Vec::new())),
        "ask" => Step::Decide(Decision::Allow),
        "keep" => Step::Go(draft.written_by(by)),
        "no" => Step::Decide(Decision::Deny(KEEP_PLANNING.to_owned())),
        "back" => Step::Go(draft.unwritten()),
        _ => return None,
    })
}

pub(super) fn body(ask: &PlanAsk) -> Text {
    let mut text = TextBuilder::new();
    text.push("📋 ").bold("Is this plan good?").newline();
    match (room(&ask.plan), &ask.path) {
        (Room::Here(plan), Some(path)) if plan.is_blank() => {
            text.push("It is in ").code(&path.to_string_lossy());
        }
        (Room::Here(plan), None) if plan.is_blank() => drop(text.push("Claude does not show it.")),
        (Room::Here(plan), _) => drop(text.append(&plan)),
        (Room::Messages(_), _) => drop(text.push("All of it is in the messages above.")),
        (Room::File(head), _) => {
            text.append(&head);
            text.blank_line().push("⚠️ ").bold("Shortened: all of it is in the file above");
        }
    }
    text.build()
}
