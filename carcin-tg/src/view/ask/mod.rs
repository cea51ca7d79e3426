//! What Claude asks, as a message with buttons, and what becomes of it.
//!
//! Each kind of request has a file: what its message says, what its buttons mean, and what a written answer
//! means. All of it is pure: from what is asked and how far the answer has come (a [`Draft`]) to a message, and
//! from a press or a text to a [`Step`].

mod elicitation;
mod form;
mod permission;
mod plan;
mod question;
mod suggestions;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use carcin_proto::event::{Ask, Settlement};
use carcin_proto::request::Decision;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::phrases::one_line;
use crate::markdown::{MESSAGE_LIMIT, Text, TextBuilder, truncate};
use crate::message::{Button, Message};
use crate::paths::Viewpoint;

/// The longest label of a button, in characters; the message has the whole.
const LABEL: usize = 60;
/// The longest sentence in such a message, in characters.
const SENTENCE: usize = 300;
/// The longest body, in UTF-16 code units: with what is below it, within one message.
const BODY: usize = 3_500;

/// The prefix of the data of an answer's button.
pub const ANSWER: &str = "a";
/// The prefix of the data of the button that runs a prompt again.
pub const RERUN: &str = "p";

/// Said of a button that the message no longer shows.
const MOVED_ON: &str = "That is answered already: the message has moved on";

/// How far an answer has come that takes more than one press. It is stored, so that a restart goes on with the
/// same question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// A form was begun.
    pub begun: bool,
    /// The answers to the first questions or fields, in order; `None`: skipped.
    pub given: Vec<Option<Value>>,
    /// Of the question or field that is shown, the choices that are ticked.
    pub ticks: BTreeSet<usize>,
    /// Whose next message is the answer.
    pub writer: Option<Writer>,
}

/// A person who is about to write an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// Telegram's id of the user.
    pub id: i64,
    /// What people call them.
    pub name: String,
}

/// What a press or a text leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The answer is complete.
    Decide(Decision),
    /// The message shows something else from now on.
    Go(Draft),
    /// Nothing changes; why.
    Stay(String),
}

/// Something that is sent ahead of a question because it does not fit into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ahead {
    /// A text, in as many messages as it takes.
    Text(Text),
    /// A file.
    File {
        /// Its name.
        name: &'static str,
        /// What is in it.
        content: String,
    },
}

impl Draft {
    /// The same, with `writer` about to write.
    fn written_by(&self, writer: &Writer) -> Self {
        Self { writer: Some(writer.clone()), ..self.clone() }
    }

    /// The same with nobody about to write.
    #[must_use]
    pub fn unwritten(&self) -> Self {
        Self { writer: None, ..self.clone() }
    }

    /// One answer further.
    fn and(&self, answer: Option<Value>) -> Self {
        let given = self.given.iter().cloned().chain([answer]).collect();
        Self { begun: true, given, ..Self::default() }
    }

    /// One answer back.
    fn back(&self) -> Self {
        let kept = self.given.len().saturating_sub(1);
        Self { begun: self.begun, given: self.given[..kept].to_vec(), ..Self::default() }
    }

    /// A choice ticked or not.
    fn ticked(&self, index: usize, on: bool) -> Self {
        let mut draft = self.clone();
        if on {
            draft.ticks.insert(index);
        } else {
            draft.ticks.remove(&index);
        }
        draft
    }
}

/// What is sent ahead of the question: what is too long for it.
pub fn ahead(ask: &Ask) -> Vec<Ahead> {
    match ask {
        Ask::Permission(ask) => permission::ahead(ask),
        Ask::Plan(ask) => plan::ahead(ask),
        Ask::Questions(_) | Ask::Elicitation(_) => Vec::new(),
    }
}

/// The message that asks, its buttons carrying `nonce`. `request` is what `carcin-ctl answer` takes; paths are told as
/// seen `from` there.
pub fn question(ask: &Ask, draft: &Draft, nonce: &str, request: &str, from: &Viewpoint) -> Message {
    let (text, rows) = match ask {
        Ask::Permission(ask) => permission::question(ask, draft, from),
        Ask::Plan(ask) => plan::question(ask, draft),
        Ask::Questions(questions) => question::question(questions, draft),
        Ask::Elicitation(ask) => elicitation::question(ask, draft, request),
    };
    let button = |(label, act): (String, Act)| match act {
        Act::Press(argument) => {
            Button { label: one_line(&label, LABEL), data: format!("{ANSWER}:{nonce}:{argument}") }
        }
        Act::Open(url) => Button::link(one_line(&label, LABEL), &url),
    };
    let rows = rows.into_iter().map(|row| row.into_iter().map(button).collect()).collect();
    Message::loud(truncate(&text, MESSAGE_LIMIT)).with_buttons(rows)
}

/// The reminder of a question that is still open: a reply to it, so that a tap leads there.
pub fn reminder(ask: &Ask) -> Message {
    let mut text = TextBuilder::new();
    text.push("🔔 ").bold("Still waiting for your answer: ").push(&one_line(&subject(ask), SENTENCE));
    Message::loud(text.build())
}

/// The reminder once the request is settled.
pub fn reminded(outcome: &str) -> Message {
    Message::silent(Text::plain(outcome))
}

/// The message after the request is settled: what was asked, what was answered, by whom; no buttons.
pub fn settled(ask: &Ask, settlement: Option<&Settlement>, outcome: &str, from: &Viewpoint) -> Message {
    let body = match (ask, settlement) {
        (Ask::Permission(ask), settlement) => {
            let granted: &[u16] = match settlement {
                Some(Settlement::AllowedAlways(granted)) => granted,
                _ => &[],
            };
            permission::body(ask, permission::Listed::Granted(granted), from)
        }
        (Ask::Plan(ask), _) => plan::body(ask),
        (Ask::Questions(questions), Some(Settlement::Answered(answers))) => {
            question::answered(questions, answers)
        }
        (Ask::Questions(questions), _) => question::unanswered(questions),
        (Ask::Elicitation(ask), Some(Settlement::Answered(answers))) => {
            let content = answers.first().map(|(_, content)| content.as_str());
            elicitation::answered(ask, content.unwrap_or_default())
        }
        (Ask::Elicitation(ask), _) => elicitation::head(ask),
    };
    let mut text = TextBuilder::new();
    text.append(&truncate(&body, BODY)).blank_line().bold(outcome);
    Message::silent(truncate(&text.build(), MESSAGE_LIMIT))
}

/// How a request was settled, in words.
pub fn outcome(ask: &Ask, settlement: &Settlement, by: &str) -> String {
    let by = one_line(by, 40);
    let because = |said: &str, reason: &str| match reason.trim() {
        "" | permission::DENIED | plan::KEEP_PLANNING | elicitation::DECLINED => said.to_owned(),
        reason => format!("{said}: {}", one_line(reason, SENTENCE)),
    };
    match (settlement, ask) {
        (Settlement::Allowed, Ask::Plan(_)) => format!("✅ Approved by {by}, asking before edits"),
        (Settlement::AllowedAlways(_), Ask::Plan(_)) => format!("✅ Approved by {by}, editing automatically"),
        (Settlement::Denied(reason), Ask::Plan(_)) => because(&format!("✏️ {by}: keep planning"), reason),
        (Settlement::Allowed, Ask::Elicitation(_)) => format!("✅ Accepted by {by}"),
        (Settlement::Denied(reason), Ask::Elicitation(_)) => because(&format!("🚫 Declined by {by}"), reason),
        (Settlement::Answered(_), _) => format!("💬 Answered by {by}"),
        (Settlement::Allowed, _) => format!("✅ Allowed by {by}"),
        (Settlement::AllowedAlways(_), _) => format!("✅ Always allowed by {by}"),
        (Settlement::Denied(reason), _) => because(&format!("🚫 Denied by {by}"), reason),
        (Settlement::Cancelled, _) => format!("✖️ Cancelled by {by}"),
        (Settlement::Withdrawn(why), _) => format!("⌛ No longer asked: {}", one_line(why, SENTENCE)),
    }
}

/// What a press means; `argument` is what the button carries behind the nonce.
pub fn press(ask: &Ask, draft: &Draft, by: &Writer, argument: &str) -> Option<Step> {
    match ask {
        Ask::Permission(ask) => permission::press(ask, draft, by, argument),
        Ask::Plan(_) => plan::press(draft, by, argument),
        Ask::Questions(questions) => question::press(questions, draft, by, argument),
        Ask::Elicitation(ask) => elicitation::press(ask, draft, by, argument),
    }
}

/// What a written answer means.
pub fn reply(ask: &Ask, draft: &Draft, by: &Writer, text: &str) -> Step {
    let text = text.trim();
    if text.is_empty() {
        return Step::Stay("The answer is empty.".to_owned());
    }
    match ask {
        Ask::Permission(_) => reason(draft, text, "allow"),
        Ask::Plan(_) => reason(draft, text, "approve"),
        Ask::Questions(questions) => question::reply(questions, draft, text),
        Ask::Elicitation(ask) => elicitation::reply(ask, draft, by, text),
    }
}

/// Words denies. A yes that comes unasked as a reply is no reason to deny: it would do the opposite.
fn reason(draft: &Draft, text: &str, verb: &str) -> Step {
    const YES: [&str; 12] =
        ["y", "yes", "yep", "yeah", "ok", "okay", "sure", "allow", "approve", "approved", "go", "👍"];
    let word = text.trim_end_matches(['.', '!', '\u{fe0f}']).to_lowercase();
    if draft.writer.is_none() && YES.contains(&word.as_str()) {
        return Step::Stay(format!(
            "A written answer denies and says why. To {verb}, press the button. Nothing was sent."
        ));
    }
    Step::Decide(Decision::Deny(text.to_owned()))
}

/// What is asked, in a line.
fn subject(ask: &Ask) -> String {
    match ask {
        Ask::Permission(ask) => permission::subject(ask),
        Ask::Plan(_) => "is this plan good?".to_owned(),
        Ask::Questions(questions) => questions.first().map(|one| one.question.clone()).unwrap_or_default(),
        Ask::Elicitation(ask) => format!("{} asks: {}", ask.server, ask.message),
    }
}

/// What a button does.
enum Act {
    /// It comes back with this.
    Press(String),
    /// It opens this address.
    Open(String),
}

/// Rows of buttons.
type Rows = Vec<Vec<(String, Act)>>;

fn button(label: impl Into<String>, argument: impl Into<String>) -> (String, Act) {
    (label.into(), Act::Press(argument.into()))
}

/// The line that says whose next message is the answer.
fn writing(text: &mut TextBuilder, writer: &Writer, what: &str) {
    text.blank_line().push("✍️ ").bold(&one_line(&writer.name, 40)).push(", ").push(what);
}

/// The step that a button belongs to, and what it does there: `2.s`. A press for another step is late.
fn of_step<'a>(draft: &Draft, argument: &'a str) -> Option<Result<&'a str, Step>> {
    let (step, action) = argument.split_once('.')?;
    let step: usize = step.parse().ok()?;
    Some(if step == draft.given.len() { Ok(action) } else { Err(Step::Stay(MOVED_ON.to_owned())) })
}

/// The choice that a tick sets: `+3` on, `-3` off. So two presses of the same button do one thing.
fn tick(draft: &Draft, action: &str, choices: usize) -> Option<Draft> {
    let (on, index) = match action.split_at_checked(1)? {
        ("+", index) => (true, index),
        ("-", index) => (false, index),
        _ => return None,
    };
    let index: usize = index.parse().ok()?;
    (index < choices).then(|| draft.ticked(index, on))
}
