//! An MCP server asks for input: a form, field by field, or a link to open.

use carcin_proto::event::ElicitationAsk;
use carcin_proto::request::Decision;
use serde_json::Value;

use super::form::{self, Field, Kind};
use super::{Act, BODY, Draft, Rows, SENTENCE, Step, Writer, button, of_step, tick, writing};
use crate::markdown::{Text, TextBuilder, is_link, truncate};
use crate::view::phrases::one_line;

/// The reason of a form that is declined; the server is told no reason.
pub(super) const DECLINED: &str = "The user declined.";
/// The most choices that get a button. The others can be written.
const MAX_CHOICES: usize = 90;

pub(super) fn question(ask: &ElicitationAsk, draft: &Draft, request: &str) -> (Text, Rows) {
    let mut text = TextBuilder::new();
    text.append(&truncate(&head(ask), BODY / 2));
    // As the protocol has it: a no, or neither yes nor no.
    let decline = || [button("🚫 Decline", "no"), button("✖️ Cancel", "stop")];
    if let Some(url) = &ask.url {
        let mut rows = vec![vec![button("✅ Accept", "ok")], decline().into()];
        if is_link(url) {
            rows.insert(0, vec![("🔗 Open the link".to_owned(), Act::Open(url.clone()))]);
        }
        return (text.build(), rows);
    }
    let Some(fields) = form::fields(&ask.schema) else {
        text.blank_line().push("This form cannot be filled in here. Answer it on the machine: ");
        text.code(&format!("carcin-ctl answer {request} …"));
        return (text.build(), vec![decline().into()]);
    };
    if fields.is_empty() {
        return (text.build(), vec![vec![button("✅ Accept", "ok")], decline().into()]);
    }
    if !draft.begun {
        text.newline();
        for field in &fields {
            text.newline().push("• ").push(&one_line(&field.title, SENTENCE));
            if !field.required {
                text.push(" (optional)");
            }
        }
        return (text.build(), vec![vec![button("📝 Fill in", "0.go")], decline().into()]);
    }
    text.blank_line().append(&values(&fields, &draft.given));
    let step = draft.given.len();
    let mut rows = match fields.get(step) {
        Some(field) => {
            text.blank_line().append(&one(field, draft, step, fields.len()));
            choices(field, draft, step)
        }
        None => vec![vec![button("✅ Send", format!("{step}.send"))]],
    };
    let mut last = Vec::new();
    if step > 0 {
        last.push(button("◀️ Back", format!("{step}.b")));
    }
    if let Some(default) =
        fields.get(step).and_then(|field| field.default.as_ref().map(|value| field.show(value)))
    {
        last.push(button(format!("Keep {default}"), format!("{step}.d")));
    }
    if fields.get(step).is_some_and(|field| !field.required) {
        last.push(button("⏭ Skip", format!("{step}.k")));
    }
    rows.extend([last, decline().into()].into_iter().filter(|row| !row.is_empty()));
    let mut whole = TextBuilder::new();
    whole.append(&truncate(&text.build(), BODY));
    if let Some(writer) = draft.writer.as_ref().filter(|_| step < fields.len()) {
        writing(&mut whole, writer, "your next message is the answer.");
    }
    (whole.build(), rows)
}

fn choices(field: &Field, draft: &Draft, step: usize) -> Rows {
    if field.is_written() {
        let write = || vec![button("✍️ Write it", format!("{step}.w"))];
        return if draft.writer.is_none() { vec![write()] } else { Vec::new() };
    }
    let several = matches!(field.kind, Kind::Some { .. });
    let choices = field.choices().into_iter().take(MAX_CHOICES).enumerate();
    let mut rows: Rows = choices
        .map(|(index, choice)| match (several, draft.ticks.contains(&index)) {
            (false, _) => vec![button(choice.title, format!("{step}.{index}"))],
            (true, false) => vec![button(format!("⬜ {}", choice.title), format!("{step}.+{index}"))],
            (true, true) => vec![button(format!("☑️ {}", choice.title), format!("{step}.-{index}"))],
        })
        .collect();
    if several {
        rows.push(vec![button("✅ Take these", format!("{step}.s"))]);
    }
    rows
}

pub(super) fn press(ask: &ElicitationAsk, draft: &Draft, by: &Writer, argument: &str) -> Option<Step> {
    if argument == "no" {
        return Some(Step::Decide(Decision::Deny(DECLINED.to_owned())));
    }
    if argument == "stop" {
        return Some(Step::Decide(Decision::Cancel));
    }
    let fields = form::fields(&ask.schema);
    if argument == "ok" {
        let nothing = ask.url.is_some() || fields.is_some_and(|fields| fields.is_empty());
        return nothing.then_some(Step::Decide(Decision::Allow));
    }
    let fields = fields?;
    let action = match of_step(draft, argument)? {
        Ok(action) => action,
        Err(late) => return Some(late),
    };
    let go = |draft: Draft| Some(Step::Go(enter(&fields, draft, by)));
    if action == "b" && draft.begun && !draft.given.is_empty() {
        return go(draft.back());
    }
    let Some(field) = fields.get(draft.given.len()) else {
        let send = || Step::Decide(Decision::Content(form::content(&fields, &draft.given)));
        return (action == "send").then(send);
    };
    match action {
        "go" => go(Draft { begun: true, ..Draft::default() }),
        "w" => Some(Step::Go(draft.written_by(by))),
        "k" if !field.required => go(draft.and(None)),
        "d" => go(draft.and(Some(field.default.clone()?))),
        "s" => {
            let choices = field.choices();
            let values =
                draft.ticks.iter().filter_map(|index| choices.get(*index)).map(|one| one.value.clone());
            match field.some(values.collect()) {
                Ok(value) => go(draft.and(Some(value))),
                Err(why) => Some(Step::Stay(why)),
            }
        }
        _ if matches!(field.kind, Kind::Some { .. }) => {
            Some(Step::Go(tick(draft, action, field.choices().len())?))
        }
        _ => go(draft.and(Some(field.chosen(action.parse().ok()?)?))),
    }
}

pub(super) fn reply(ask: &ElicitationAsk, draft: &Draft, by: &Writer, text: &str) -> Step {
    let fields = form::fields(&ask.schema).unwrap_or_default();
    let Some(field) = fields.get(draft.given.len()) else {
        return Step::Stay("This is not answered in words: press a button.".to_owned());
    };
    match field.read(text) {
        Ok(value) => Step::Go(enter(&fields, draft.and(Some(value)), by)),
        Err(why) => Step::Stay(why),
    }
}

/// Whoever fills in the form writes the next field too.
fn enter(fields: &[Field], draft: Draft, by: &Writer) -> Draft {
    match fields.get(draft.given.len()) {
        Some(field) if field.is_written() => draft.written_by(by),
        _ => draft,
    }
}

/// Who asks, and what for.
pub(super) fn head(ask: &ElicitationAsk) -> Text {
    let mut text = TextBuilder::new();
    text.push("❓ ").bold(&format!("{} asks", one_line(&ask.server, SENTENCE))).newline();
    text.push(&ask.message.chars().take(BODY).collect::<String>());
    if let Some(url) = &ask.url {
        text.newline().code(&one_line(url, 1_500));
    }
    text.build()
}

/// The form as it was answered.
pub(super) fn answered(ask: &ElicitationAsk, content: &str) -> Text {
    let content: Value = serde_json::from_str(content).unwrap_or_default();
    let fields = form::fields(&ask.schema).unwrap_or_default();
    let given: Vec<Option<Value>> = fields.iter().map(|field| content.get(&field.name).cloned()).collect();
    let mut text = TextBuilder::new();
    text.append(&head(ask)).blank_line().append(&values(&fields, &given));
    text.build()
}

fn values(fields: &[Field], given: &[Option<Value>]) -> Text {
    let mut text = TextBuilder::new();
    for (field, value) in fields.iter().zip(given) {
        text.push("✔️ ").push(&one_line(&field.title, SENTENCE)).push(": ");
        match value {
            Some(value) => drop(text.bold(&one_line(&field.show(value), SENTENCE))),
            None => drop(text.italic("left out")),
        }
        text.newline();
    }
    text.build()
}

fn one(field: &Field, draft: &Draft, step: usize, all: usize) -> Text {
    let mut text = TextBuilder::new();
    text.push("✏️ ").bold(&one_line(&field.title, SENTENCE));
    if all > 1 {
        text.push(&format!(" ({} of {all})", step + 1));
    }
    let rule = field.rule();
    for line in [field.description.as_str(), rule.as_str()] {
        if !line.trim().is_empty() {
            text.newline().push(&one_line(line, SENTENCE));
        }
    }
    if matches!(field.kind, Kind::Some { .. }) && !draft.ticks.is_empty() {
        text.newline().push(&format!("{} chosen", draft.ticks.len()));
    }
    text.build()
}
