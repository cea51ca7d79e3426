//! "May I use this tool?"

use carcin_proto::event::PermissionAsk;
use carcin_proto::request::Decision;
use serde_json::Value;

use super::{Ahead, Draft, LABEL, Rows, SENTENCE, Step, Writer, button, suggestions, writing};
use crate::markdown::{Text, TextBuilder, truncate, utf16_len};
use crate::paths::Viewpoint;
use crate::view::diff;
use crate::view::phrases::{one_line, tool_name};

/// What Claude is told where the user gives no reason.
pub(super) const DENIED: &str = "The user denied this.";
/// Up to this length, in UTF-16 code units, what the tool is to do is shown unfolded.
const SHORT: usize = 700;
/// Up to this length it is in the message; what is longer goes ahead of it as a file.
const LONG: usize = 2_600;
/// How much of that is in the message.
const HEAD: usize = 1_000;
/// The most suggestions that get a button; Claude makes three at most.
const MAX_GRANTS: usize = 8;

/// Which of Claude's suggestions the text lists.
#[derive(Clone, Copy)]
pub(super) enum Listed<'a> {
    /// All: they have buttons.
    Offered,
    /// Those that were granted, by their positions.
    Granted(&'a [u16]),
}

pub(super) fn subject(ask: &PermissionAsk) -> String {
    format!("may I use {}? {}", tool_name(&ask.tool), ask.summary)
}

pub(super) fn ahead(ask: &PermissionAsk) -> Vec<Ahead> {
    let detail = Detail::of(ask);
    if utf16_len(&detail.text) <= LONG {
        return Vec::new();
    }
    vec![Ahead::File { name: detail.file, content: detail.text }]
}

pub(super) fn question(ask: &PermissionAsk, draft: &Draft, from: &Viewpoint) -> (Text, Rows) {
    let mut text = TextBuilder::new();
    let listed = if draft.writer.is_none() { Listed::Offered } else { Listed::Granted(&[]) };
    text.append(&body(ask, listed, from));
    if let Some(writer) = &draft.writer {
        writing(&mut text, writer, "why not? Your next message is the reason.");
        let rows = vec![vec![button("🚫 Deny without a reason", "deny")], vec![button("↩️ Back", "back")]];
        return (text.build(), rows);
    }
    let mut rows = vec![vec![button("✅ Allow once", "once"), button("🚫 Deny", "deny")]];
    // Each is a grant of its own: one press never gives two.
    let grants = suggestions::of(&ask.suggestions).into_iter().take(MAX_GRANTS).enumerate();
    rows.extend(
        grants.map(|(at, grant)| vec![button(format!("♾ {}", grant.label(from)), format!("always{at}"))]),
    );
    rows.push(vec![button("✍️ Deny with a reason", "why")]);
    (text.build(), rows)
}

pub(super) fn press(ask: &PermissionAsk, draft: &Draft, by: &Writer, argument: &str) -> Option<Step> {
    Some(match argument {
        "once" => Step::Decide(Decision::Allow),
        "deny" => Step::Decide(Decision::Deny(DENIED.to_owned())),
        "why" => Step::Go(draft.written_by(by)),
        "back" => Step::Go(draft.unwritten()),
        other => {
            let at: u16 = other.strip_prefix("always")?.parse().ok()?;
            let offered = suggestions::of(&ask.suggestions).len().min(MAX_GRANTS);
            return (usize::from(at) < offered).then(|| Step::Decide(Decision::AllowAlways(vec![at])));
        }
    })
}

/// What is asked, with those of the suggestions that are `listed`: offered, or granted.
pub(super) fn body(ask: &PermissionAsk, listed: Listed<'_>, from: &Viewpoint) -> Text {
    let mut text = TextBuilder::new();
    text.push("🔐 ").bold(&format!("May I use {}?", one_line(&tool_name(&ask.tool), LABEL)));
    let path = path(ask);
    // The same path twice would say nothing more.
    let about = path.as_deref().filter(|path| ask.blocked_path.as_deref() != Some(path));
    if let Some(path) = about {
        text.newline().code(&one_line(&from.path(path), SENTENCE));
    }
    let detail = Detail::of(ask);
    for line in [&ask.description, &ask.reason] {
        // Where Claude has nothing to say of it, it repeats the command, or the file's name.
        let line = line.trim();
        if !line.is_empty() && !detail.text.contains(line) && !ask.summary.ends_with(line) {
            text.newline().push(&one_line(line, SENTENCE));
        }
    }
    detail.write(&mut text);
    if let Some(path) = &ask.blocked_path {
        // Claude names it also where a command would write in the folder.
        let what = if from.holds(path) { "In the folder: " } else { "Out of bounds: " };
        text.newline().push(what).code(&one_line(&from.path(path), SENTENCE));
    }
    for (at, grant) in suggestions::of(&ask.suggestions).iter().take(MAX_GRANTS).enumerate() {
        let shown = match listed {
            Listed::Offered => true,
            Listed::Granted(granted) => granted.iter().any(|&granted| usize::from(granted) == at),
        };
        if shown {
            text.newline().push("♾ ").append(&truncate(&grant.phrase(from), SENTENCE));
        }
    }
    text.build()
}

/// The file that the tool is about.
fn path(ask: &PermissionAsk) -> Option<String> {
    let input: Value = serde_json::from_str(&ask.input).ok()?;
    let named = ["file_path", "notebook_path"].into_iter().find_map(|name| input[name].as_str());
    named.map(str::to_owned)
}

/// An input of simple values, a line for each; `None`: it is another one.
fn flat(input: &Value) -> Option<String> {
    let line = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Some(format!("{name}: {text}")),
        Value::Array(_) | Value::Object(_) => None,
        other => Some(format!("{name}: {other}")),
    };
    input.as_object()?.iter().map(line).collect::<Option<Vec<_>>>().map(|lines| lines.join("\n"))
}

/// What the tool is to do: a command in full, an edit as a diff, else the telling argument, else the raw input.
struct Detail {
    text: String,
    language: Option<&'static str>,
    /// The name of the file, where it becomes one.
    file: &'static str,
    /// There is more than Claude's input that reached us.
    cut: bool,
}

impl Detail {
    fn of(ask: &PermissionAsk) -> Self {
        let whole = |text: String, language, file| Self { text, language, file, cut: false };
        let Ok(input) = serde_json::from_str::<Value>(&ask.input) else {
            return Self { cut: true, ..whole(ask.summary.clone(), None, "input.txt") };
        };
        if let Some(command) = input["command"].as_str() {
            return whole(command.to_owned(), Some("bash"), "command.sh");
        }
        if let Some(diff) = diff::of_input(&input) {
            return whole(diff, Some("diff"), "edit.diff");
        }
        if path(ask).is_some() {
            return whole(String::new(), None, "input.txt");
        }
        let fields = input.as_object().map_or(0, serde_json::Map::len);
        if fields <= 1 && !ask.summary.trim().is_empty() {
            return whole(ask.summary.clone(), None, "input.txt");
        }
        if let Some(lines) = flat(&input) {
            return whole(lines, None, "input.txt");
        }
        let pretty = serde_json::to_string_pretty(&input).unwrap_or_else(|_| ask.input.clone());
        whole(pretty, Some("json"), "input.json")
    }

    fn write(&self, text: &mut TextBuilder) {
        if self.text.trim().is_empty() {
            return;
        }
        let mut block = TextBuilder::new();
        // Whatever comes behind what fits is in the file.
        block.pre(&self.text.chars().take(2 * LONG).collect::<String>(), self.language);
        let block = block.build();
        text.newline();
        match block.units() {
            0..=SHORT => drop(text.append(&block)),
            units => {
                let shown = if units <= LONG { block } else { truncate(&block, HEAD) };
                text.expandable_quote(|quote| {
                    quote.append(&shown);
                });
            }
        }
        // Nobody is to allow what they have not seen without knowing it.
        let units = utf16_len(&self.text);
        if units > LONG {
            let all = format!("Shortened: all of it is {units} characters, in the file above");
            text.newline().push("⚠️ ").bold(&all);
        } else if self.cut {
            text.newline().push("⚠️ ").bold("This is not all of it: it is too large to be shown");
        }
    }
}
