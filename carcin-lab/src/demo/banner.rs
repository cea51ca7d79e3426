//! What the demo says about itself.

use std::fmt::Write as _;

use super::claude::Choice;
use crate::script::demo::TRICKS;

/// On the terminal, once everything runs.
pub(super) fn terminal(choice: &Choice, url: &str) -> String {
    let mut out = format!("\n  Carcin runs. Open the chat:  {url}\n\n");
    let what = match choice {
        Choice::Scripted(None) => "a scripted Claude".to_owned(),
        Choice::Scripted(Some(why)) => format!("a scripted Claude, because {why}"),
        Choice::ScriptedModel(path, version) => format!(
            "the real Claude Code {version}, with a scripted model: no account is used\n          ({})",
            path.display()
        ),
        Choice::RealModel(path, version) => format!(
            "the real Claude Code {version} WITH YOUR OWN LOGIN, settings and home directory\n          ({})\n          \
             It costs what Claude costs, and what you allow it to do, it does. It works in a temporary\n          folder \
             with a small project; try “fix the test”.",
            path.display()
        ),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "  Claude  {what}");
    if !choice.is_real_model() {
        let _ = writeln!(out, "  Try");
        for (word, shows) in TRICKS {
            let _ = writeln!(out, "          {word:<18} {shows}");
        }
    }
    out.push_str(
        "  And     restart the bot or the daemon in the middle of a task, with the page's buttons\n",
    );
    let stays = if choice.is_real_model() { ", but for Claude's own records in ~/.claude" } else { "" };
    let _ = writeln!(out, "\n  Ctrl-C ends it and leaves nothing behind{stays}.\n");
    out
}

/// Beside the phone.
pub(super) fn page(choice: &Choice) -> String {
    let (who, hint) = match choice {
        Choice::Scripted(_) => ("You chat with a scripted Claude through the real Carcin.".to_owned(), true),
        Choice::ScriptedModel(_, version) => {
            (format!("You chat with the real Claude Code {version}, whose model is scripted."), true)
        }
        Choice::RealModel(_, version) => {
            (format!("You chat with the real Claude Code {version}, with your own login."), false)
        }
    };
    let tricks = TRICKS.map(|(word, _)| format!("• {word}")).join("\n");
    let hint = if hint { format!("\n\nWrite to it, for example:\n{tricks}") } else { String::new() };
    format!("{who}{hint}\n\nThen press a button here in the middle of a task: nothing is lost.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_login_is_used_is_said_clearly() {
        let version = || "2.1.330".to_owned();
        let scripted =
            terminal(&Choice::ScriptedModel("/bin/claude".into(), version()), "http://127.0.0.1:1/");
        insta::assert_snapshot!(scripted);
        let real = Choice::RealModel("/bin/claude".into(), version());
        insta::assert_snapshot!(terminal(&real, "http://127.0.0.1:1/"));
        assert!(page(&real).contains("your own login"));
    }
}
