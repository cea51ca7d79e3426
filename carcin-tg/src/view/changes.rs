//! The answer to `/diff`.

use carcin_proto::inquiry::{Change, ChangedFile, Changes};

use super::phrases::{count, one_line};
use crate::markdown::{MESSAGE_LIMIT, Text, TextBuilder, utf16_len};

/// Files that are named above a patch.
const FILES: usize = 25;
/// The longest path, in characters.
const PATH: usize = 80;
/// The longest patch that is shown rather than sent as a file, in lines.
const LINES: usize = 120;

/// What to show of the changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// The files, and below them the patch where it is short.
    pub text: Text,
    /// The patch, where it is a file of its own.
    pub file: Option<String>,
}

/// The answer.
pub fn render(changes: &Changes) -> Diff {
    let mut text = head(changes);
    if changes.files.is_empty() {
        return Diff { text: text.build(), file: None };
    }
    let patch = changes.patch.trim_end();
    let room = MESSAGE_LIMIT.saturating_sub(text.units() + 100);
    if patch.is_empty() {
        return Diff { text: text.build(), file: None };
    }
    let shown = patch.replace('\t', "    ");
    if utf16_len(&shown) <= room && patch.lines().count() <= LINES && changes.patch_omitted == 0 {
        text.newline().pre(&shown, Some("diff"));
        return Diff { text: text.build(), file: None };
    }
    if changes.patch_omitted > 0 {
        let left = format!("The diff is cut: {} kB are left out.", changes.patch_omitted.div_ceil(1000));
        text.newline().push(&left);
    }
    Diff { text: text.build(), file: Some(changes.patch.clone()) }
}

fn head(changes: &Changes) -> TextBuilder {
    let mut text = TextBuilder::new();
    let folder = changes.root.file_name().unwrap_or(changes.root.as_os_str()).to_string_lossy();
    let branch = changes.branch.as_deref().unwrap_or("no branch");
    text.bold(&one_line(&folder, PATH)).push(" on ").code(&one_line(branch, PATH));
    if changes.files.is_empty() {
        text.newline().push("Nothing has changed since the last commit.");
        return text;
    }
    let files = u32::try_from(changes.files.len()).unwrap_or(u32::MAX).saturating_add(changes.files_omitted);
    let sum = |part: fn(&ChangedFile) -> Option<u64>| changes.files.iter().filter_map(part).sum::<u64>();
    let (added, removed) = (sum(|file| file.added), sum(|file| file.removed));
    text.push(&format!(": {} changed, +{added} −{removed}", count(files, "file")));
    for file in changes.files.iter().take(FILES) {
        text.newline()
            .push(symbol(file.change))
            .push(" ")
            .code(&one_line(&file.path.to_string_lossy(), PATH));
        match (file.added, file.removed) {
            (Some(0), Some(0)) => {}
            (Some(added), Some(removed)) => drop(text.push(&format!(" +{added} −{removed}"))),
            _ => drop(text.push(" binary")),
        }
    }
    let more = files.saturating_sub(u32::try_from(FILES.min(changes.files.len())).unwrap_or(0));
    if more > 0 {
        text.newline().push(&format!("and {more} more"));
    }
    text
}

fn symbol(change: Change) -> &'static str {
    match change {
        Change::Added | Change::Untracked => "🆕",
        Change::Modified => "✏️",
        Change::Deleted => "🗑",
        Change::Renamed => "➡️",
        Change::Unmerged => "⚠️",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(patch: String) -> Changes {
        let file = |path: &str, change, lines: Option<(u64, u64)>| ChangedFile {
            path: path.into(),
            change,
            added: lines.map(|lines| lines.0),
            removed: lines.map(|lines| lines.1),
        };
        Changes {
            root: "/home/ann/my app".into(),
            branch: Some("main".into()),
            files: vec![
                file("src/lib.rs", Change::Modified, Some((1, 1))),
                file("logo.png", Change::Untracked, None),
                file("old.rs", Change::Deleted, Some((0, 7))),
            ],
            files_omitted: 0,
            patch,
            patch_omitted: 0,
        }
    }

    #[test]
    fn a_short_patch_is_read_in_the_chat_and_a_long_one_in_a_file() {
        let short = changes("--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -1 +1 @@\n-\told\n+\tnew\n".into());
        let long = changes("+line\n".repeat(300));
        let wide = changes(format!("+{}\n", "wide ".repeat(2000)));
        let cut = Changes { patch_omitted: 12_345, files_omitted: 40, ..short.clone() };
        let none = Changes { files: vec![], patch: String::new(), branch: None, ..short.clone() };
        let shown = [short, long, wide, cut, none].map(|changes| {
            let diff = render(&changes);
            assert!(diff.text.units() <= MESSAGE_LIMIT);
            format!("{}\n[file: {:?}]", diff.text.text, diff.file.map(|file| file.len()))
        });
        insta::assert_snapshot!(shown.join("\n---\n"));
    }

    #[test]
    fn many_files_with_long_names_fit_a_message() {
        let mut changes = changes("+x\n".repeat(1000));
        let file = ChangedFile { path: "d/".repeat(300).into(), ..changes.files[0].clone() };
        changes.files = vec![file; 500];
        let diff = render(&changes);
        assert!(diff.text.units() <= MESSAGE_LIMIT && diff.text.text.contains("and 475 more"));
    }
}
