//! What Claude offers to choose from, as it says at its start and at the start of each turn.

use carcin_proto::inquiry::{Abilities, CommandInfo, ModelInfo};

use super::json::Object;
use super::output::Init;
use super::text;

/// The most models and the most commands that are told.
const MAX_MODELS: usize = 64;
const MAX_COMMANDS: usize = 300;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 200;

/// The abilities in the answer to an `initialize`; `None`: it is the answer to something else.
pub fn abilities(answer: &str) -> Option<Abilities> {
    let answer = Object::parse(answer)?;
    answer.list("models")?;
    answer.list("commands")?;
    let models = answer.objects("models").filter_map(|model| model_of(&model)).take(MAX_MODELS).collect();
    let commands = answer.objects("commands").filter_map(|command| command_of(&command));
    Some(Abilities { models, commands: commands.take(MAX_COMMANDS).collect() })
}

/// Takes in what a turn's beginning says: which commands there are, and which of them are for a terminal alone.
pub fn take_in(abilities: &mut Abilities, init: &Init) {
    abilities.commands.retain(|command| !init.terminal_commands.contains(&command.name));
    let missing: Vec<_> = init
        .slash_commands
        .iter()
        .filter(|name| !is_internal(name))
        .filter(|name| !abilities.commands.iter().any(|command| command.name == **name))
        .map(|name| CommandInfo {
            name: name.clone(),
            description: String::new(),
            argument_hint: String::new(),
        })
        .collect();
    abilities.commands.extend(missing);
    abilities.commands.truncate(MAX_COMMANDS);
}

fn model_of(model: &Object<'_>) -> Option<ModelInfo> {
    let value = model.name("value").filter(|value| !value.is_empty())?;
    let name = model.name("displayName").unwrap_or_else(|| value.clone());
    let efforts = model.texts("supportedEffortLevels");
    Some(ModelInfo { value, name, description: line(model, "description"), efforts })
}

fn command_of(command: &Object<'_>) -> Option<CommandInfo> {
    let name = command.name("name").filter(|name| !name.is_empty() && !is_internal(name))?;
    let (description, argument_hint) = (line(command, "description"), line(command, "argumentHint"));
    Some(CommandInfo { name, description, argument_hint })
}

/// Claude Code's own, which nobody types.
fn is_internal(name: &str) -> bool {
    name.starts_with("__")
}

fn line(object: &Object<'_>, name: &str) -> String {
    text::one_line(&object.text_or_empty(name), MAX_DESCRIPTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"commands":[
        {"name":"compact","description":"Clear\nhistory","argumentHint":"<what to keep>"},
        {"name":"color","description":"For a screen","argumentHint":""},
        {"name":"__hidden","description":"","argumentHint":""}],
        "models":[{"value":"opus","displayName":"Opus","description":"Best","supportedEffortLevels":["low","high"]},
        {"displayName":"nameless"}]}"#;

    #[test]
    fn models_and_commands_are_read_and_nothing_else_is_taken_for_them() {
        let found = abilities(ANSWER).expect("abilities");
        assert_eq!(found.models.len(), 1);
        assert_eq!(found.models[0].efforts, ["low", "high"]);
        assert_eq!(found.commands[0].description, "Clear history");
        assert_eq!(found.commands.len(), 2);
        assert_eq!(abilities(r#"{"models":[]}"#), None);
        assert_eq!(abilities("{}"), None);
    }

    #[test]
    fn a_turn_says_which_commands_are_for_a_terminal_and_which_are_new() {
        let mut found = abilities(ANSWER).expect("abilities");
        let init = Init {
            slash_commands: vec!["compact".to_owned(), "mine:skill".to_owned(), "__hidden".to_owned()],
            terminal_commands: vec!["color".to_owned()],
            ..Init::default()
        };
        for _ in 0..2 {
            take_in(&mut found, &init);
            let names: Vec<&str> = found.commands.iter().map(|command| command.name.as_str()).collect();
            assert_eq!(names, ["compact", "mine:skill"]);
        }
        assert!(!found.commands[0].description.is_empty());
    }
}
