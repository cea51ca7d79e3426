//! Choosing a folder.

use std::path::{Path, PathBuf};

use carcin_proto::inquiry::FolderList;
use serde::{Deserialize, Serialize};

use super::{Action, What, button, numbered};
use crate::markdown::{Text, TextBuilder};
use crate::message::Button;
use crate::view::phrases::one_line;

/// Folders on a page.
const PAGE: usize = 8;
/// Folders in a row.
const ROW: usize = 2;
/// Recent folders that are offered.
const RECENT: usize = 4;
/// How long a label may be, in characters.
const LABEL: usize = 28;

/// A folder with those in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the name is stored")]
pub struct Folders {
    /// Where the conversation works.
    pub current: PathBuf,
    /// There one cannot look: it may not exist any more.
    #[serde(default)]
    pub lost: bool,
    /// The folder that is looked into.
    pub path: PathBuf,
    /// The one it is in.
    pub parent: Option<PathBuf>,
    /// The names of those in it.
    pub folders: Vec<String>,
    /// How many more there are.
    pub omitted: u32,
    /// Where sessions worked of late, and which is not shown anyway.
    pub recent: Vec<PathBuf>,
    /// The first name that is shown.
    pub first: usize,
}

impl Folders {
    /// A list of the daemon's, for a conversation that works in `current`.
    pub fn new(current: &Path, list: FolderList) -> Self {
        let recent = list.recent.into_iter().filter(|recent| recent != current && *recent != list.path);
        Self {
            current: current.to_owned(),
            lost: false,
            recent: recent.take(RECENT).collect(),
            path: list.path,
            parent: list.parent,
            folders: list.folders,
            omitted: list.omitted,
            first: 0,
        }
    }

    /// The same, where nobody can look into `current` itself.
    pub fn around_lost(current: &Path, list: FolderList) -> Self {
        Self { lost: true, ..Self::new(current, list) }
    }

    pub(super) fn render(&self, data: &dyn Fn(&str) -> String) -> (Text, Vec<Vec<Button>>) {
        let mut text = TextBuilder::new();
        text.push("📁 Claude works in ").code(&self.current.to_string_lossy());
        if self.lost {
            text.newline().push("⚠️ That folder is gone, or closed to me. Choose another one:");
        }
        if self.path != self.current {
            text.newline().push("Looking at ").code(&self.path.to_string_lossy());
        }
        let last = (self.first + PAGE).min(self.folders.len());
        if self.folders.is_empty() {
            text.newline().push("There are no folders in it.");
        } else if self.folders.len() > PAGE {
            text.newline().push(&format!("Folders {} to {last} of {}", self.first + 1, self.folders.len()));
        }
        if self.omitted > 0 {
            text.newline().push(&format!("and {} more, which /cwd PATH can name", self.omitted));
        }
        text.newline().push("/cwd PATH goes anywhere. Another folder begins a new session.");
        (text.build(), self.buttons(last, data))
    }

    fn buttons(&self, last: usize, data: &dyn Fn(&str) -> String) -> Vec<Vec<Button>> {
        let mut rows = Vec::new();
        if self.path != self.current {
            rows.push(vec![button("✅ Use this folder", data("u"))]);
        }
        if self.path == self.current && self.first == 0 {
            for (index, recent) in self.recent.iter().enumerate() {
                rows.push(vec![button(format!("🕘 {}", end(recent)), data(&format!("r{index}")))]);
            }
        }
        let names: Vec<(usize, &String)> =
            self.folders.iter().enumerate().take(last).skip(self.first).collect();
        for pair in names.chunks(ROW) {
            let row = pair
                .iter()
                .map(|(index, name)| button(format!("📁 {}", label(name)), data(&format!("f{index}"))));
            rows.push(row.collect());
        }
        let mut way = Vec::new();
        if self.first > 0 {
            way.push(button("◀ Back", data(&format!("p{}", self.first.saturating_sub(PAGE)))));
        }
        if self.parent.is_some() {
            way.push(button("⬆ Up", data("x")));
        }
        if last < self.folders.len() {
            way.push(button("More ▶", data(&format!("p{last}"))));
        }
        if !way.is_empty() {
            rows.push(way);
        }
        rows
    }

    pub(super) fn press(&self, argument: &str) -> Option<Action> {
        if argument == "u" {
            return Some(Action::Use(self.path.clone()));
        }
        if argument == "x" {
            return self.parent.clone().map(Action::Look);
        }
        if let Some(index) = numbered(argument, "r") {
            return self.recent.get(index).cloned().map(Action::Use);
        }
        if let Some(index) = numbered(argument, "f") {
            return self.folders.get(index).map(|name| Action::Look(self.path.join(name)));
        }
        let first = numbered(argument, "p").filter(|first| *first < self.folders.len())?;
        Some(Action::Show(What::Folders(Self { first, ..self.clone() })))
    }
}

/// A name on a button. Long ones of a folder often differ at the end alone.
fn label(name: &str) -> String {
    let name = one_line(name, usize::MAX);
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= LABEL {
        return name;
    }
    let tail = LABEL / 2;
    let (head, tail) = (&letters[..LABEL - tail - 1], &letters[letters.len() - tail..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

/// The end of a path, which tells it from others.
fn end(path: &Path) -> String {
    let path = path.to_string_lossy();
    match path.chars().count().checked_sub(LABEL) {
        None | Some(0) => path.into_owned(),
        Some(more) => format!("…{}", path.chars().skip(more + 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Picker, shown};
    use super::*;

    fn list(path: &str, folders: usize) -> FolderList {
        FolderList {
            path: path.into(),
            parent: Path::new(path).parent().map(Into::into),
            folders: (0..folders).map(|n| format!("folder {n}")).collect(),
            omitted: 0,
            recent: vec!["/home/ann/app".into(), "/srv/a very long way/to somewhere/else".into()],
        }
    }

    #[test]
    fn long_names_are_told_apart_by_their_ends() {
        assert_eq!(label("a short\nname"), "a short name");
        assert_eq!(label("measurements of the year 2026, part 17"), "measurements … 2026, part 17");
    }

    #[test]
    fn folders_are_walked_page_by_page() {
        let current = Path::new("/home/ann/app");
        let here = Folders::new(current, list("/home/ann/app", 19));
        let Some(Action::Show(next)) = here.press("p16") else { panic!("there are more") };
        let pages = [
            shown(&Picker::new(What::Folders(here.clone()))),
            shown(&Picker::new(next)),
            shown(&Picker::new(What::Folders(Folders::new(current, list("/", 2))))),
            shown(&Picker::new(What::Folders(Folders::new(current, list("/home/ann/app/empty", 0))))),
        ];
        insta::assert_snapshot!(pages.join("\n\n"));
        assert_eq!(here.press("f1"), Some(Action::Look("/home/ann/app/folder 1".into())));
        assert_eq!(here.press("r0"), Some(Action::Use("/srv/a very long way/to somewhere/else".into())));
        for odd in ["f19", "r9", "p19", "p-1", "z"] {
            assert_eq!(here.press(odd), None, "{odd}");
        }
    }
}
