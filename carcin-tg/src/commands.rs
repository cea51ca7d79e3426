//! The slash commands: what they are called, what they mean.

use crate::markdown::{Text, TextBuilder};

/// Every command with its line in Telegram's menu.
pub const MENU: [(&str, &str); 4] = [
    ("stop", "Stop Claude and drop what waits"),
    ("new", "Begin a new session, in another folder if you name one"),
    ("status", "What Claude is doing"),
    ("start", "How this works"),
];

/// A message that is a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `/start`, `/help`
    Start,
    /// `/status`
    Status,
    /// `/stop`
    Stop,
    /// `/new [folder]`
    New(Option<String>),
    /// None that Carcin knows.
    Unknown(String),
    /// Addressed to another bot of the group.
    Foreign,
}

/// The command in `text`, where `bot` is the bot's own username. `None`: it is a prompt, as is also what only
/// begins with a slash, like a path.
pub fn parse(text: &str, bot: &str) -> Option<Command> {
    let rest = text.strip_prefix('/')?;
    let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (name, to) = word.split_once('@').unwrap_or((word, ""));
    let is_name = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if name.is_empty() || !is_name(name) || !is_name(to) {
        return None;
    }
    if !to.is_empty() && !to.eq_ignore_ascii_case(bot) {
        return Some(Command::Foreign);
    }
    let argument = Some(argument.trim()).filter(|argument| !argument.is_empty());
    Some(match name.to_ascii_lowercase().as_str() {
        "start" | "help" => Command::Start,
        "status" => Command::Status,
        "stop" => Command::Stop,
        "new" => Command::New(argument.map(str::to_owned)),
        _ => Command::Unknown(name.to_owned()),
    })
}

/// The answer to `/start`.
pub fn help() -> Text {
    let mut text = TextBuilder::new();
    text.bold("Claude Code, from your phone").newline();
    text.push("Write what you want done. While Claude works, a further message reaches it at once.");
    text.blank_line();
    for (name, meaning) in MENU {
        text.push(&format!("/{name}  {meaning}\n"));
    }
    text.build()
}

/// The answer to a command that there is not.
pub fn unknown(name: &str) -> Text {
    Text::plain(&format!("There is no command /{name}. /start lists those there are."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_prompts() {
        for (text, expected) in [
            ("hello", None),
            ("/", None),
            ("/etc/passwd: what is it?", None),
            ("/home", Some(Command::Unknown("home".into()))),
            ("/stop", Some(Command::Stop)),
            ("/STOP now", Some(Command::Stop)),
            ("/stop@Carcin_Bot", Some(Command::Stop)),
            ("/stop@other_bot", Some(Command::Foreign)),
            ("/new", Some(Command::New(None))),
            ("/new  /srv/my app ", Some(Command::New(Some("/srv/my app".into())))),
            ("/help", Some(Command::Start)),
        ] {
            assert_eq!(parse(text, "carcin_bot"), expected, "{text}");
        }
    }

    #[test]
    fn the_help_names_every_command() {
        insta::assert_snapshot!(help().text);
    }
}
