//! Lists with buttons: what each shows, and what a press on it means. Pure; the state is kept by the store, so that a
//! button works after a restart too.

pub mod choice;
pub mod folders;
pub mod sessions;
pub mod tasks;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::commands::Setting;
use crate::markdown::Text;
use crate::message::{Button, Message};

pub use choice::Choice;
pub use folders::Folders;
pub use sessions::{SessionPage, TakeOver};
pub use tasks::Tasks;

/// What the data of these buttons begin with; those of tasks have their own.
pub const PICK: &str = "c";
/// See [`PICK`].
pub const TASK: &str = "t";

/// A list as it is shown now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picker {
    /// How often it has changed: a button of an earlier state means nothing any longer.
    pub generation: u32,
    /// What is shown.
    pub what: What,
}

/// What is there to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A folder to work in.
    Folders(Folders),
    /// A session to go on with.
    Sessions(SessionPage),
    /// Whether to take a session that is open elsewhere.
    TakeOver(TakeOver),
    /// A model, a mode, an effort.
    Choice(Choice),
    /// A background task to stop.
    Tasks(Tasks),
    /// Nothing any longer; how it ended.
    Closed(String),
}

/// What a press asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Another view of what is known.
    Show(What),
    /// The folders in this one.
    Look(PathBuf),
    /// Work there from now on.
    Use(PathBuf),
    /// The sessions after so many.
    Page(u32),
    /// Go on with this session, called so; taken from whoever has it open.
    Resume {
        /// Its id.
        session: String,
        /// What it is called.
        title: String,
        /// Even where it is open elsewhere.
        force: bool,
    },
    /// Set this.
    Set(Setting, String),
    /// Stop this task, described so.
    StopTask(String, String),
}

impl Action {
    /// Whether it has to wait for the prompts before it, and those behind wait for it.
    pub fn is_ordered(&self) -> bool {
        matches!(self, Self::Use(_) | Self::Resume { .. })
    }
}

impl Picker {
    /// A list that is shown for the first time.
    pub fn new(what: What) -> Self {
        Self { generation: 0, what }
    }

    /// The same list, showing something else.
    #[must_use]
    pub fn then(&self, what: What) -> Self {
        Self { generation: self.generation.wrapping_add(1), what }
    }

    /// The message that shows it.
    pub fn message(&self, nonce: &str) -> Message {
        let data = |argument: &str| {
            let prefix = if matches!(self.what, What::Tasks(_)) { TASK } else { PICK };
            format!("{prefix}:{nonce}:{}.{argument}", self.generation)
        };
        let (text, buttons) = match &self.what {
            What::Folders(folders) => folders.render(&data),
            What::Sessions(page) => page.render(&data),
            What::TakeOver(take) => take.render(&data),
            What::Choice(choice) => choice.render(&data),
            What::Tasks(tasks) => tasks.render(&data),
            What::Closed(how) => (Text::plain(how), Vec::new()),
        };
        Message::silent(text).with_buttons(buttons)
    }

    /// What a press with this argument means; `None`: the button belongs to an earlier state, or to nothing.
    pub fn press(&self, argument: &str) -> Option<Action> {
        let (generation, argument) = argument.split_once('.')?;
        if generation.parse() != Ok(self.generation) {
            return None;
        }
        match &self.what {
            What::Folders(folders) => folders.press(argument),
            What::Sessions(page) => page.press(argument),
            What::TakeOver(take) => take.press(argument),
            What::Choice(choice) => choice.press(argument),
            What::Tasks(tasks) => tasks.press(argument),
            What::Closed(_) => None,
        }
    }
}

/// A button.
fn button(label: impl Into<String>, data: String) -> Button {
    Button { label: label.into(), data }
}

/// The number behind `prefix` in a button's argument.
fn numbered(argument: &str, prefix: &str) -> Option<usize> {
    argument.strip_prefix(prefix)?.parse().ok()
}

/// What the tests of the lists see: the text, and the buttons with what a press means.
#[cfg(test)]
pub(crate) fn shown(picker: &Picker) -> String {
    let message = picker.message("0123456789abcdef0123456789abcdef");
    let mut out = message.text.text.clone();
    for row in &message.buttons {
        out.push('\n');
        for button in row {
            assert!(button.data.len() <= crate::message::MAX_BUTTON_DATA, "{}", button.data);
            let argument = button.data.rsplit(':').next().unwrap_or_default();
            let action = picker.press(argument);
            assert!(action.is_some(), "{} means nothing", button.data);
            out.extend(["[", &button.label, "]"]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_of_an_earlier_state_means_nothing() {
        let choice = Choice::new(Setting::Mode, None, vec![("plan".into(), "Plan".into(), String::new())]);
        let first = Picker::new(What::Choice(choice.clone()));
        assert_eq!(first.press("0.0"), Some(Action::Set(Setting::Mode, "plan".into())));
        let second = first.then(What::Choice(choice));
        assert_eq!(second.press("0.0"), None);
        assert!(second.press("1.0").is_some());
        for odd in ["", "1", "1.", "1.x", "1.7", "-1.0", "1.0.0"] {
            assert_eq!(second.press(odd), None, "{odd}");
        }
        assert_eq!(second.then(What::Closed("Done".into())).press("2.0"), None);
    }
}
