//! Which tools may run unasked.

use std::path::Path;

use serde_json::{Value, json};

/// The session's permission mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mode {
    #[default]
    Default,
    AcceptEdits,
    Plan,
    BypassPermissions,
    DontAsk,
    Auto,
}

const MODES: [(&str, Mode); 6] = [
    ("default", Mode::Default),
    ("acceptEdits", Mode::AcceptEdits),
    ("plan", Mode::Plan),
    ("bypassPermissions", Mode::BypassPermissions),
    ("dontAsk", Mode::DontAsk),
    ("auto", Mode::Auto),
];

impl Mode {
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let found = MODES.iter().find(|(known, _)| *known == name);
        found.map(|(_, mode)| *mode).ok_or_else(|| format!("'{name}' is not a permission mode"))
    }

    pub(super) fn name(self) -> &'static str {
        MODES.iter().find(|(_, mode)| *mode == self).map_or("default", |(name, _)| name)
    }
}

/// Programs that change nothing, so Bash may run them unasked.
const READ_ONLY: [&str; 18] = [
    "ls", "echo", "cat", "pwd", "head", "tail", "wc", "grep", "date", "whoami", "true", "false", "which",
    "file", "stat", "du", "df", "uname",
];

/// "Always allow" rules of the session.
#[derive(Debug, Default)]
pub(super) struct Rules {
    allowed: Vec<(String, Option<String>)>,
}

impl Rules {
    /// Takes the rules out of one `addRules` update.
    pub(super) fn add(&mut self, update: &Value) {
        if update["behavior"] != "allow" {
            return;
        }
        for rule in update["rules"].as_array().into_iter().flatten() {
            let name = rule["toolName"].as_str().unwrap_or_default().to_owned();
            self.allowed.push((name, rule["ruleContent"].as_str().map(str::to_owned)));
        }
    }

    fn allow(&self, tool: &str, input: &Value) -> bool {
        let command = input["command"].as_str().unwrap_or_default();
        self.allowed.iter().any(|(name, content)| {
            name == tool
                && content.as_deref().is_none_or(|content| match content.strip_suffix('*') {
                    Some(prefix) => command.starts_with(prefix.trim_end()),
                    None => command == content,
                })
        })
    }
}

/// What the rules and the mode say about a call.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It runs.
    Allow,
    /// It does not run, for this reason.
    Deny(String),
    /// The user is asked, with these fields besides the call itself.
    Ask(Value),
}

/// Judges a call.
pub(super) fn judge(
    tool: &str,
    input: &Value,
    mode: Mode,
    rules: &Rules,
    cwd: &Path,
    plan_file: &Path,
) -> Verdict {
    if matches!(tool, "AskUserQuestion" | "ExitPlanMode") {
        return Verdict::Ask(json!({"requires_user_interaction": true}));
    }
    let edits = matches!(tool, "Write" | "Edit");
    let path = Path::new(input["file_path"].as_str().unwrap_or_default());
    let free = match tool {
        "Bash" => is_read_only(input["command"].as_str().unwrap_or_default()),
        "Write" | "Edit" => path == plan_file || (mode == Mode::AcceptEdits && path.starts_with(cwd)),
        "WebFetch" | "WebSearch" => false,
        _ => true,
    };
    if free || mode == Mode::BypassPermissions || mode == Mode::Auto || rules.allow(tool, input) {
        return Verdict::Allow;
    }
    if mode == Mode::DontAsk {
        return Verdict::Deny(format!(
            "Permission to use {tool} has been denied because Claude Code is running in don't ask mode."
        ));
    }
    let accept_edits = json!({"type": "setMode", "mode": "acceptEdits", "destination": "session"});
    if edits {
        let description = path.strip_prefix(cwd).unwrap_or(path).to_string_lossy();
        return Verdict::Ask(json!({"description": description, "permission_suggestions": [accept_edits]}));
    }
    let (description, content) = match tool {
        "Bash" => {
            let command = input["command"].as_str().unwrap_or_default();
            let words: Vec<&str> = command.split_whitespace().take(2).collect();
            (input["description"].as_str().unwrap_or(command), format!("{} *", words.join(" ")))
        }
        _ => (input["url"].as_str().unwrap_or_default(), "domain:127.0.0.1".to_owned()),
    };
    let rule = json!({"type": "addRules", "rules": [{"toolName": tool, "ruleContent": content}], "behavior": "allow",
        "destination": "localSettings"});
    Verdict::Ask(json!({"description": description, "permission_suggestions": [rule]}))
}

fn is_read_only(command: &str) -> bool {
    if command.contains(['>', '`']) || command.contains("$(") {
        return false;
    }
    let parts = command.split(['|', ';', '\n', '&']).map(str::trim).filter(|part| !part.is_empty());
    parts
        .into_iter()
        .all(|part| part.split_whitespace().next().is_some_and(|program| READ_ONLY.contains(&program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(tool: &str, input: &Value, mode: Mode) -> Verdict {
        judge(tool, input, mode, &Rules::default(), Path::new("/home/user/project"), Path::new("/plans/a.md"))
    }

    #[test]
    fn bash_that_only_reads_runs_unasked() {
        for command in ["ls -la", "echo hi && cat a | head", "pwd; ls"] {
            assert_eq!(
                judged("Bash", &json!({"command": command}), Mode::Default),
                Verdict::Allow,
                "{command}"
            );
        }
        for command in [
            "rm -rf x",
            "echo hi > file",
            "ls && touch x",
            "echo `touch x`",
            "echo $(touch x)",
            "ls & touch x",
        ] {
            assert!(
                matches!(judged("Bash", &json!({"command": command}), Mode::Default), Verdict::Ask(_)),
                "{command}"
            );
        }
    }

    #[test]
    fn edits_run_unasked_only_where_the_mode_says_so() {
        let inside = json!({"file_path": "/home/user/project/x"});
        let outside = json!({"file_path": "/etc/x"});
        assert!(matches!(judged("Write", &inside, Mode::Default), Verdict::Ask(_)));
        assert_eq!(judged("Write", &inside, Mode::AcceptEdits), Verdict::Allow);
        assert!(matches!(judged("Write", &outside, Mode::AcceptEdits), Verdict::Ask(_)));
        assert!(matches!(judged("Write", &inside, Mode::DontAsk), Verdict::Deny(_)));
        assert_eq!(judged("Write", &outside, Mode::BypassPermissions), Verdict::Allow);
        assert_eq!(judged("Write", &json!({"file_path": "/plans/a.md"}), Mode::Plan), Verdict::Allow);
    }

    #[test]
    fn a_question_is_asked_even_where_permissions_are_bypassed() {
        assert!(matches!(judged("AskUserQuestion", &json!({}), Mode::BypassPermissions), Verdict::Ask(_)));
        assert!(matches!(judged("ExitPlanMode", &json!({}), Mode::BypassPermissions), Verdict::Ask(_)));
    }

    #[test]
    fn a_suggestion_sent_back_allows_the_next_call() {
        let input = json!({"command": "touch made"});
        let Verdict::Ask(asked) = judged("Bash", &input, Mode::Default) else { panic!("it asks first") };
        let mut rules = Rules::default();
        rules.add(&asked["permission_suggestions"][0]);
        assert!(rules.allow("Bash", &json!({"command": "touch made again"})));
        assert!(!rules.allow("Bash", &json!({"command": "rm made"})));
    }
}
