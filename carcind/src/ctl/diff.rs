//! `carcin-ctl diff`

use std::fmt::Write as _;
use std::process::ExitCode;

use carcin_proto::inquiry::{Change, Changes};
use carcin_proto::{Reply, Request};

use super::context::Context;
use super::error::CtlError;
use super::output::{print, print_json};
use super::style::Style;
use super::text::{lines, one_line};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The files alone
    #[arg(long)]
    stat: bool,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<ExitCode, CtlError> {
    let conversation = context.conversation().await?;
    let changes = match context.ask(&Request::Changes(conversation)).await? {
        Reply::Changes(changes) => *changes,
        other => return Err(CtlError::reply(other)),
    };
    if context.json {
        print_json(&changes)?;
    } else {
        print(&render(&changes, args.stat, context.style))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(changes: &Changes, stat: bool, style: Style) -> String {
    let branch = changes.branch.as_deref().map_or_else(|| "no branch".to_owned(), one_line);
    let root = one_line(&changes.root.display().to_string());
    let mut out = format!("{} {branch}\n", style.bold(&root));
    if changes.files.is_empty() {
        out += "nothing has changed\n";
    }
    for file in &changes.files {
        let lines = match (file.added, file.removed) {
            (Some(added), Some(removed)) => format!("  +{added} -{removed}"),
            _ => String::new(),
        };
        let path = one_line(&file.path.display().to_string());
        let _ = writeln!(out, "  {:<10}{path}{}", word(file.change), style.dim(&lines));
    }
    if changes.files_omitted > 0 {
        let _ = writeln!(out, "  and {} more", changes.files_omitted);
    }
    if !stat && !changes.patch.is_empty() {
        out.push('\n');
        for line in lines(&changes.patch).lines() {
            out += &painted(line, style);
            out.push('\n');
        }
        if changes.patch_omitted > 0 {
            let _ = writeln!(out, "and {} bytes more", changes.patch_omitted);
        }
    }
    out
}

fn painted(line: &str, style: Style) -> String {
    match line.as_bytes().first() {
        Some(b'+') => style.green(line),
        Some(b'-') => style.red(line),
        Some(b'@') => style.cyan(line),
        _ => line.to_owned(),
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Untracked => "new",
        Change::Modified => "modified",
        Change::Deleted => "deleted",
        Change::Renamed => "renamed",
        Change::Unmerged => "conflict",
    }
}

#[cfg(test)]
mod tests {
    use carcin_proto::inquiry::ChangedFile;

    use super::*;

    #[test]
    fn the_files_come_first_and_the_patch_cannot_paint_the_screen() {
        let file =
            ChangedFile { path: "a.rs".into(), change: Change::Modified, added: Some(1), removed: Some(0) };
        let changes = Changes {
            root: "/src".into(),
            branch: Some("main".into()),
            files: vec![file],
            files_omitted: 2,
            patch: "@@ -1 +1 @@\n+a\x1b[2J\tb\n".into(),
            patch_omitted: 9,
        };
        let head = "/src main\n  modified  a.rs  +1 -0\n  and 2 more\n";
        assert_eq!(render(&changes, true, Style::PLAIN), head);
        let expected = format!("{head}\n@@ -1 +1 @@\n+a[2J\tb\nand 9 bytes more\n");
        assert_eq!(render(&changes, false, Style::PLAIN), expected);
        assert!(render(&changes, false, Style::COLOURED).contains("\x1b[32m+a"));
        let none =
            Changes { files: vec![], files_omitted: 0, patch: String::new(), patch_omitted: 0, ..changes };
        assert_eq!(render(&none, false, Style::PLAIN), "/src main\nnothing has changed\n");
    }
}
