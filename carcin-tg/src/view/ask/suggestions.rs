//! What Claude suggests to allow from now on, in plain words: one grant, one button.

use serde_json::Value;

use crate::commands::Setting;
use crate::markdown::{Text, TextBuilder};
use crate::paths::Viewpoint;
use crate::view::phrases::tool_name;

/// One suggestion, a `PermissionUpdate` of Claude's.
pub(super) struct Grant(Value);

/// The suggestions, in Claude's order: an answer names them by their position.
pub(super) fn of(suggestions: &str) -> Vec<Grant> {
    let updates: Vec<Value> = serde_json::from_str(suggestions).unwrap_or_default();
    updates.into_iter().map(Grant).collect()
}

impl Grant {
    /// What its button says: `Always allow mkdir commands`.
    pub(super) fn label(&self, from: &Viewpoint) -> String {
        self.what(from).build().text
    }

    /// The same with where it holds: "Always allow `mkdir` commands in this project".
    pub(super) fn phrase(&self, from: &Viewpoint) -> Text {
        let mut text = self.what(from);
        text.push(match self.0["destination"].as_str() {
            Some("session") => " in this session",
            Some("localSettings") => " in this project",
            Some("projectSettings") => " in this project, for everybody who works on it",
            Some("userSettings") => " in all your projects",
            _ => "",
        });
        text.build()
    }

    fn what(&self, from: &Viewpoint) -> TextBuilder {
        let mut text = TextBuilder::new();
        let list = |name: &str| self.0[name].as_array().cloned().unwrap_or_default();
        match self.0["type"].as_str().unwrap_or_default() {
            kind @ ("addRules" | "replaceRules" | "removeRules") => {
                text.push(match (kind, self.0["behavior"].as_str()) {
                    ("removeRules", _) => "No longer allow ",
                    (_, Some("deny")) => "Always deny ",
                    (_, Some("ask")) => "Always ask for ",
                    _ => "Always allow ",
                });
                separated(&mut text, &list("rules"), |text, one| rule(text, one, from));
            }
            "addDirectories" => {
                text.push("Always allow access to ");
                separated(&mut text, &list("directories"), |text, one| folder(text, one, from));
            }
            "removeDirectories" => {
                text.push("No longer allow access to ");
                separated(&mut text, &list("directories"), |text, one| folder(text, one, from));
            }
            "setMode" => {
                text.push("Switch to ")
                    .push(&Setting::Mode.shown(self.0["mode"].as_str().unwrap_or_default()));
            }
            // Something newer than this program: as it is, rather than nothing.
            _ => {
                text.push("Always: ").code(&self.0.to_string());
            }
        }
        text
    }
}

fn separated(text: &mut TextBuilder, items: &[Value], mut write: impl FnMut(&mut TextBuilder, &Value)) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push(if at + 1 == items.len() { " and " } else { ", " });
        }
        write(text, item);
    }
}

fn folder(text: &mut TextBuilder, directory: &Value, from: &Viewpoint) {
    let path = from.path(directory.as_str().unwrap_or("?"));
    text.code(&format!("{}/", path.trim_end_matches('/')));
}

/// A rule, `Bash(mkdir:*)` for example, as what it allows.
fn rule(text: &mut TextBuilder, rule: &Value, from: &Viewpoint) {
    let tool = rule["toolName"].as_str().unwrap_or("?");
    let content = rule["ruleContent"].as_str().map(str::trim).filter(|content| !content.is_empty());
    let Some(content) = content else {
        text.push(match tool {
            "Bash" => "every command",
            "WebSearch" => "web searches",
            "WebFetch" => "fetching any page",
            "Read" => "reading files",
            "Edit" | "Write" | "MultiEdit" | "NotebookEdit" => "editing files",
            _ => {
                text.code(&tool_name(tool));
                return;
            }
        });
        return;
    };
    // Both `mkdir:*` and `mkdir *` mean what begins with `mkdir`.
    let prefix = content.strip_suffix(":*").or_else(|| content.strip_suffix(" *"));
    match (tool, prefix) {
        ("Bash", Some(prefix)) => text.code(prefix).push(" commands"),
        ("Bash", None) => text.push("the command ").code(content),
        ("WebFetch", _) => {
            let site = content.strip_prefix("domain:").unwrap_or(content);
            text.push("fetching from ").code(site)
        }
        ("Read", _) => text.push("reading in ").code(&rule_path(content, from)),
        ("Edit" | "Write" | "MultiEdit" | "NotebookEdit", _) => {
            text.push("edits in ").code(&rule_path(content, from))
        }
        ("Skill", _) => text.push("the skill ").code(content),
        _ => text.code(&tool_name(tool)).push(" with ").code(content),
    };
}

/// The folder or file of a rule; `//srv/a/**` is the absolute `/srv/a/`.
fn rule_path(content: &str, from: &Viewpoint) -> String {
    let path = content.strip_prefix('/').filter(|rest| rest.starts_with('/')).unwrap_or(content);
    match path.strip_suffix("/**") {
        Some(folder) => format!("{}/", from.path(folder)),
        None => from.path(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(suggestions: &str) -> String {
        let from = Viewpoint { folder: "/srv/app".into(), home: "/home/ann".into() };
        let lines = of(suggestions).into_iter().map(|grant| {
            let phrase = grant.phrase(&from);
            format!("[{}] {} ({} entities)", grant.label(&from), phrase.text, phrase.entities.len())
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_suggestion_is_said_in_plain_words() {
        let suggestions = r#"[
            {"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"mkdir:*"}],"behavior":"allow","destination":"localSettings"},
            {"type":"addDirectories","directories":["/srv/app/x"],"destination":"session"},
            {"type":"setMode","mode":"acceptEdits","destination":"session"},
            {"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"npm test *"},{"toolName":"Bash","ruleContent":"git status"},{"toolName":"Read","ruleContent":"//etc/**"}],"behavior":"allow","destination":"localSettings"},
            {"type":"addRules","rules":[{"toolName":"WebFetch","ruleContent":"domain:example.org"}],"behavior":"deny","destination":"userSettings"},
            {"type":"addRules","rules":[{"toolName":"Edit","ruleContent":"//srv/app/src/**"},{"toolName":"mcp__jira__create"},{"toolName":"WebSearch"}],"behavior":"allow"},
            {"type":"addDirectories","directories":["/srv/a","/home/ann/b/"],"destination":"projectSettings"},
            {"type":"ofTomorrow","x":1}]"#;
        insta::assert_snapshot!(shown(suggestions));
        assert!(["", "[]", "null"].iter().all(|none| of(none).is_empty()));
    }
}
