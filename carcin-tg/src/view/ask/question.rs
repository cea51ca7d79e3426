//! `AskUserQuestion`: one question after the other, in one message that moves on.

use carcin_proto::event::Question;
use carcin_proto::request::Decision;
use serde_json::Value;

use super::{BODY, Draft, Rows, SENTENCE, Step, Writer, button, of_step, tick, writing};
use crate::markdown::{Text, TextBuilder, truncate};
use crate::view::phrases::one_line;

/// The most options that get a button: as many as Telegram shows, less our own. The others can be written.
const MAX_OPTIONS: usize = 90;
/// How several choices are joined, as Claude expects it.
const JOINT: &str = ", ";

pub(super) fn question(questions: &[Question], draft: &Draft) -> (Text, Rows) {
    let step = draft.given.len().min(questions.len().saturating_sub(1));
    let Some(asked) = questions.get(step) else { return (Text::plain("❓"), Vec::new()) };
    let mut text = TextBuilder::new();
    for (earlier, given) in questions.iter().zip(&draft.given) {
        let answer = given.as_ref().and_then(Value::as_str).unwrap_or_default();
        text.push("✔️ ").push(&one_line(&earlier.question, SENTENCE)).newline();
        text.push("     ").bold(&one_line(answer, SENTENCE)).newline();
    }
    if step > 0 {
        text.newline();
    }
    let place = (questions.len() > 1).then(|| format!("{} of {}", step + 1, questions.len()));
    let head = head(asked);
    let labels: Vec<String> =
        [head, place.unwrap_or_default()].into_iter().filter(|s| !s.is_empty()).collect();
    text.append(&one(asked, &labels.join(" · ")));
    if asked.multi_select {
        text.newline().italic("Choose as many as you like, then Submit.");
    }
    let mut whole = TextBuilder::new();
    whole.append(&truncate(&text.build(), BODY));
    if let Some(writer) = &draft.writer {
        writing(&mut whole, writer, "your next message is the answer.");
        return (whole.build(), vec![vec![button("↩️ Back to the choices", format!("{step}.x"))]]);
    }
    (whole.build(), rows(questions, asked, draft, step))
}

fn rows(questions: &[Question], asked: &Question, draft: &Draft, step: usize) -> Rows {
    let options = asked.options.iter().take(MAX_OPTIONS).enumerate();
    let mut rows: Rows = options
        .map(|(index, option)| match (asked.multi_select, draft.ticks.contains(&index)) {
            (false, _) => vec![button(&option.label, format!("{step}.{index}"))],
            (true, false) => vec![button(format!("⬜ {}", option.label), format!("{step}.+{index}"))],
            (true, true) => vec![button(format!("☑️ {}", option.label), format!("{step}.-{index}"))],
        })
        .collect();
    rows.push(vec![button("✍️ Something else…", format!("{step}.w"))]);
    let mut last = Vec::new();
    if step > 0 {
        last.push(button("◀️ Back", format!("{step}.b")));
    }
    if asked.multi_select {
        let more = step + 1 < questions.len();
        last.push(button(if more { "✅ Submit and go on" } else { "✅ Submit" }, format!("{step}.s")));
    }
    if !last.is_empty() {
        rows.push(last);
    }
    rows
}

pub(super) fn press(questions: &[Question], draft: &Draft, by: &Writer, argument: &str) -> Option<Step> {
    let action = match of_step(draft, argument)? {
        Ok(action) => action,
        Err(late) => return Some(late),
    };
    let asked = questions.get(draft.given.len())?;
    Some(match action {
        "w" => Step::Go(draft.written_by(by)),
        "x" => Step::Go(draft.unwritten()),
        "b" if !draft.given.is_empty() => Step::Go(draft.back()),
        "s" if asked.multi_select => {
            if draft.ticks.is_empty() {
                return Some(Step::Stay("Choose something first, or write something else".to_owned()));
            }
            answer(questions, draft, ticked(asked, draft).join(JOINT))
        }
        _ if asked.multi_select => Step::Go(tick(draft, action, asked.options.len())?),
        _ => {
            let option = asked.options.get(action.parse::<usize>().ok()?)?;
            answer(questions, draft, option.label.clone())
        }
    })
}

pub(super) fn reply(questions: &[Question], draft: &Draft, text: &str) -> Step {
    let Some(asked) = questions.get(draft.given.len()) else { return Step::Stay(String::new()) };
    let mut answers = ticked(asked, draft);
    answers.push(text);
    answer(questions, draft, answers.join(JOINT))
}

/// The labels that are ticked, in the order in which they are offered.
fn ticked<'a>(asked: &'a Question, draft: &Draft) -> Vec<&'a str> {
    draft.ticks.iter().filter_map(|index| asked.options.get(*index)).map(|one| one.label.as_str()).collect()
}

/// One answer further; with the last one, all of them are given.
fn answer(questions: &[Question], draft: &Draft, answer: String) -> Step {
    let draft = draft.and(Some(Value::from(answer)));
    if draft.given.len() < questions.len() {
        return Step::Go(draft);
    }
    let given = draft.given.iter().map(|given| given.as_ref().and_then(Value::as_str).unwrap_or_default());
    let pairs = questions.iter().map(|one| one.question.clone()).zip(given.map(str::to_owned));
    Step::Decide(Decision::Answers(pairs.collect()))
}

/// The questions with their answers.
pub(super) fn answered(questions: &[Question], answers: &[(String, String)]) -> Text {
    let mut text = TextBuilder::new();
    for question in questions {
        let answer = answers.iter().find(|(asked, _)| *asked == question.question).map(|(_, answer)| answer);
        text.push("❓ ").push(&one_line(&question.question, SENTENCE)).newline();
        text.push("💬 ").bold(&one_line(answer.map_or("", String::as_str), SENTENCE)).newline();
    }
    text.build()
}

/// The questions, where nobody answered.
pub(super) fn unanswered(questions: &[Question]) -> Text {
    let mut text = TextBuilder::new();
    for question in questions {
        text.blank_line().append(&one(question, &head(question)));
    }
    text.build()
}

/// The header, where it says something that the question does not.
fn head(question: &Question) -> String {
    let letters =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let (head, whole): (String, String) = (letters(&question.header), letters(&question.question));
    if head == whole { String::new() } else { one_line(&question.header, SENTENCE) }
}

fn one(question: &Question, head: &str) -> Text {
    let mut text = TextBuilder::new();
    text.push("❓ ");
    if !head.is_empty() {
        text.push(head).newline();
    }
    // Whatever comes behind what fits is not rendered at all.
    text.bold(&question.question.chars().take(BODY).collect::<String>());
    for option in &question.options {
        if text.units() > BODY {
            break;
        }
        text.newline().push("• ").push(&one_line(&option.label, SENTENCE));
        if !option.description.trim().is_empty() {
            text.push(": ").push(&one_line(&option.description, SENTENCE));
        }
    }
    text.build()
}
