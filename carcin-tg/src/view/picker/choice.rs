//! Choosing a model, a permission mode or an effort.

use carcin_proto::inquiry::{About, ModelInfo};
use serde::{Deserialize, Serialize};

use super::{Action, button};
use crate::commands::Setting;
use crate::markdown::{Text, TextBuilder};
use crate::message::Button;
use crate::view::phrases::one_line;

/// Claude's permission modes, as the phone calls them.
const MODES: [(&str, &str, &str); 6] = [
    ("default", "Ask me", "asks before it edits files or runs commands that change something"),
    ("acceptEdits", "Accept edits", "edits files without asking; asks for the rest"),
    ("plan", "Plan", "reads and makes a plan; changes nothing before you approve it"),
    ("auto", "Auto", "checks each step itself: runs what is low-risk, blocks the rest"),
    ("dontAsk", "Don't ask", "never asks: what is not allowed already is denied"),
    (
        "bypassPermissions",
        "Bypass",
        "never asks and does everything (only if Claude was started with bypass allowed)",
    ),
];
/// Efforts that are offered where the model has not told which it knows.
const EFFORTS: [&str; 3] = ["low", "medium", "high"];
/// The most that are offered: one button each.
const MOST: usize = 20;
/// The longest label and value, in characters.
const LABEL: usize = 40;
/// The longest explanation.
const EXPLAINED: usize = 120;

/// Values for a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Which.
    pub setting: Setting,
    /// What it is now; `None`: Claude's default.
    pub current: Option<String>,
    /// Value, label, and what it means.
    pub options: Vec<(String, String, String)>,
}

impl Setting {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "Model",
            Self::Mode => "Mode",
            Self::Effort => "Effort",
        }
    }

    /// A value of it as the phone calls it.
    pub fn shown(self, value: &str) -> String {
        let mode = MODES.iter().find(|(mode, ..)| self == Self::Mode && *mode == value);
        mode.map_or_else(|| one_line(value, LABEL), |(_, label, _)| (*label).to_owned())
    }

    /// The command that sets it.
    fn command(self) -> &'static str {
        match self {
            Self::Model => "/model",
            Self::Mode => "/mode",
            Self::Effort => "/effort",
        }
    }
}

impl Choice {
    /// A choice among these.
    pub fn new(setting: Setting, current: Option<String>, options: Vec<(String, String, String)>) -> Self {
        Self { setting, current, options: options.into_iter().take(MOST).collect() }
    }

    /// What there is to choose from, as far as `about` tells; `None`: nobody has told anything yet.
    pub fn of(setting: Setting, about: Option<&About>) -> Self {
        let status = about.map(|about| &about.status);
        let models = about.map(|about| about.abilities.models.as_slice()).unwrap_or_default();
        let model = status.and_then(|status| status.model.clone());
        match setting {
            Setting::Model => {
                let options = models
                    .iter()
                    .map(|model| (model.value.clone(), model.name.clone(), model.description.clone()));
                Self::new(setting, model, options.collect())
            }
            Setting::Mode => {
                let options = MODES.iter().map(|(value, label, what)| {
                    ((*value).to_owned(), (*label).to_owned(), (*what).to_owned())
                });
                Self::new(setting, status.and_then(|s| s.permission_mode.clone()), options.collect())
            }
            Setting::Effort => {
                let is_it = |one: &&ModelInfo| model.as_deref().is_some_and(|now| is_model(&one.value, now));
                let told = models.iter().find(is_it);
                let told = told.map(|model| model.efforts.clone()).filter(|efforts| !efforts.is_empty());
                let efforts = told.unwrap_or_else(|| EFFORTS.map(str::to_owned).to_vec());
                let options = efforts.into_iter().map(|effort| (effort.clone(), effort, String::new()));
                Self::new(setting, about.and_then(|about| about.effort.clone()), options.collect())
            }
        }
    }

    /// The value that somebody means by `typed`: a value, or its label, in whatever case; else what was typed, for
    /// Claude to judge.
    pub fn meant(&self, typed: &str) -> String {
        let same = |word: &str| word.eq_ignore_ascii_case(typed);
        let found = self.options.iter().find(|(value, label, _)| same(value) || same(label));
        found.map_or_else(|| typed.to_owned(), |(value, ..)| value.clone())
    }

    pub(super) fn render(&self, data: &dyn Fn(&str) -> String) -> (Text, Vec<Vec<Button>>) {
        let mut text = TextBuilder::new();
        text.bold(self.setting.name()).push(": ");
        match &self.current {
            Some(current) => drop(text.push(&self.setting.shown(current))),
            None => drop(text.push("Claude's default")),
        }
        for (_, label, what) in self.options.iter().filter(|(.., what)| !what.is_empty()) {
            text.newline().push(&format!("• {}: {}", one_line(label, LABEL), one_line(what, EXPLAINED)));
        }
        if self.options.is_empty() {
            text.newline().push("Claude has not said yet what there is.");
        }
        text.newline().push(&format!("{} NAME sets it too.", self.setting.command()));
        let rows = self.options.iter().enumerate().map(|(index, (value, label, _))| {
            let mark = if self.is_current(value) { "✓ " } else { "" };
            button(format!("{mark}{}", one_line(label, LABEL)), data(&index.to_string()))
        });
        let rows: Vec<Button> = rows.collect();
        (text.build(), rows.chunks(2).map(<[Button]>::to_vec).collect())
    }

    fn is_current(&self, value: &str) -> bool {
        let Some(current) = self.current.as_deref() else { return false };
        value == current || (self.setting == Setting::Model && is_model(value, current))
    }

    pub(super) fn press(&self, argument: &str) -> Option<Action> {
        let (value, ..) = self.options.get(argument.parse::<usize>().ok()?)?;
        Some(Action::Set(self.setting, value.clone()))
    }

    /// What is said when it is set.
    pub fn done(setting: Setting, value: &str) -> String {
        format!("✅ {}: {}", setting.name(), setting.shown(value))
    }
}

/// Whether `value`, by which a model is chosen, is what Claude calls `model` while it uses it: `opus` is
/// `claude-opus-5-5`.
fn is_model(value: &str, model: &str) -> bool {
    value == model || model.split('-').any(|word| word == value)
}

#[cfg(test)]
mod tests {
    use super::super::{Picker, What, shown};
    use super::*;
    use crate::view::status::tests::about;

    #[test]
    fn a_choice_shows_what_is_and_what_there_is() {
        let about = about();
        let mut shows = Vec::new();
        for setting in [Setting::Model, Setting::Mode, Setting::Effort] {
            shows.push(shown(&Picker::new(What::Choice(Choice::of(setting, Some(&about))))));
            shows.push(shown(&Picker::new(What::Choice(Choice::of(setting, None)))));
        }
        insta::assert_snapshot!(shows.join("\n\n"));
    }

    #[test]
    fn a_model_is_known_by_its_short_name() {
        let mut about = about();
        about.abilities.models[0].value = "opus".into();
        about.status.model = Some("claude-opus-5-5".into());
        let shows = [Setting::Model, Setting::Effort]
            .map(|setting| shown(&Picker::new(What::Choice(Choice::of(setting, Some(&about))))));
        assert!(shows[0].contains("[✓ Claude claude-opus]"), "{}", shows[0]);
        assert!(shows[1].contains("[max]"), "its own efforts: {}", shows[1]);
    }

    #[test]
    fn a_value_is_found_by_what_people_type() {
        let modes = Choice::of(Setting::Mode, None);
        assert_eq!(modes.meant("ACCEPTEDITS"), "acceptEdits");
        assert_eq!(modes.meant("accept edits"), "acceptEdits");
        assert_eq!(modes.meant("dontAsk"), "dontAsk");
    }
}
