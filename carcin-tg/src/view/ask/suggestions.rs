//! What "always allow" would cover, in the words of Claude's own suggestions.

use serde_json::Value;

/// What "always" allows, one line for each suggestion: `Bash(npm test:*) in this project`. Empty: not offered.
pub(super) fn words(suggestions: &str) -> Vec<String> {
    let updates: Vec<Value> = serde_json::from_str(suggestions).unwrap_or_default();
    updates.iter().map(one).collect()
}

fn one(update: &Value) -> String {
    let place = destination(update);
    let what = match update["type"].as_str().unwrap_or_default() {
        "addRules" | "replaceRules" => rules(update),
        "removeRules" => format!("no longer {}", rules(update)),
        "addDirectories" => format!("work in {}", directories(update)),
        "removeDirectories" => format!("no longer work in {}", directories(update)),
        "setMode" => mode(update["mode"].as_str().unwrap_or_default()),
        // Something newer than this program: as it is, rather than nothing.
        _ => return update.to_string(),
    };
    format!("{what}{place}")
}

fn rules(update: &Value) -> String {
    let rules = update["rules"].as_array().into_iter().flatten().map(|rule| {
        let tool = rule["toolName"].as_str().unwrap_or("?");
        match rule["ruleContent"].as_str() {
            Some(content) => format!("{tool}({content})"),
            None => tool.to_owned(),
        }
    });
    let rules = rules.collect::<Vec<_>>().join(", ");
    match update["behavior"].as_str() {
        None | Some("allow") => rules,
        Some(other) => format!("{other} {rules}"),
    }
}

fn directories(update: &Value) -> String {
    let directories = update["directories"].as_array().into_iter().flatten().filter_map(Value::as_str);
    directories.collect::<Vec<_>>().join(", ")
}

fn mode(mode: &str) -> String {
    match mode {
        "acceptEdits" => "edit files without asking".to_owned(),
        "bypassPermissions" => "do everything without asking".to_owned(),
        "plan" => "only plan".to_owned(),
        "default" => "ask as usual".to_owned(),
        other => format!("mode {other}"),
    }
}

fn destination(update: &Value) -> &'static str {
    match update["destination"].as_str() {
        Some("session") => " in this session",
        Some("localSettings") => " in this project",
        Some("projectSettings") => " in this project, for everybody",
        Some("userSettings") => " in all your projects",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_always_covers_is_said_in_plain_words() {
        let suggestions = r#"[
            {"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"npm test:*"},{"toolName":"Read"}],"behavior":"allow","destination":"localSettings"},
            {"type":"addRules","rules":[{"toolName":"WebFetch","ruleContent":"domain:example.org"}],"behavior":"deny","destination":"userSettings"},
            {"type":"setMode","mode":"acceptEdits","destination":"session"},
            {"type":"addDirectories","directories":["/srv/a","/srv/b"],"destination":"projectSettings"},
            {"type":"ofTomorrow","x":1}]"#;
        insta::assert_snapshot!(words(suggestions).join("\n"), @r#"
        Bash(npm test:*), Read in this project
        deny WebFetch(domain:example.org) in all your projects
        edit files without asking in this session
        work in /srv/a, /srv/b in this project, for everybody
        {"type":"ofTomorrow","x":1}
        "#);
        assert!(words("").is_empty() && words("[]").is_empty() && words("null").is_empty());
    }
}
