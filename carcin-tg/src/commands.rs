//! The slash commands: what they are called, what they mean, and who answers them.

use crate::markdown::{Text, TextBuilder};
use crate::queue::Lane;

/// Every command with its line in Telegram's menu, the ones used most first.
pub const MENU: [(&str, &str); 20] = [
    ("stop", "Stop Claude and drop what waits"),
    ("new", "Begin a new session, in another folder if you name one"),
    ("status", "What Claude is doing"),
    ("cwd", "The folder, and another one"),
    ("sessions", "Earlier sessions, also those of the terminal"),
    ("resume", "Go on with a session: /resume ID"),
    ("recent", "What Claude said last: /recent 3"),
    ("model", "The model"),
    ("mode", "What Claude may do without asking"),
    ("effort", "How hard Claude thinks"),
    ("diff", "What has changed in the folder"),
    ("tasks", "What runs in the background"),
    ("usage", "Cost, tokens and limits"),
    ("context", "What fills the context"),
    ("compact", "Make room in the context"),
    ("clear", "Forget the conversation, stay in the folder"),
    ("restart", "Restart this bot; Claude goes on"),
    ("id", "Your Telegram id"),
    ("help", "How this works"),
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
    /// `/cwd [folder]`
    Cwd(Option<String>),
    /// `/new [folder]`
    New(Option<String>),
    /// `/clear`
    Clear,
    /// `/sessions`
    Sessions,
    /// `/resume [id]`
    Resume(Option<String>),
    /// `/recent [how many]`
    Recent(Option<String>),
    /// `/model`, `/mode`, `/effort`, and what it is to be.
    Set(Setting, Option<String>),
    /// `/usage`
    Usage,
    /// `/context`
    Context,
    /// `/compact [instructions]`
    Compact(Option<String>),
    /// `/tasks`
    Tasks,
    /// `/diff`
    Diff,
    /// `/id`
    Id,
    /// `/restart`
    Restart,
    /// None of Carcin's: one of Claude's, or nobody's.
    Other(Other),
    /// Addressed to another bot of the group.
    Foreign,
}

/// What can be set for a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// The model.
    Model,
    /// The permission mode.
    Mode,
    /// The effort.
    Effort,
}

/// A command that is not one of Carcin's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Without the slash, as typed.
    pub name: String,
    /// What follows it.
    pub argument: Option<String>,
}

impl Command {
    /// Who works on it; `None`: nobody.
    pub fn lane(&self) -> Option<Lane> {
        Some(match self {
            Self::Foreign => return None,
            Self::Stop => Lane::Stop,
            Self::New(_)
            | Self::Clear
            | Self::Compact(_)
            | Self::Other(_)
            | Self::Cwd(Some(_))
            | Self::Resume(Some(_)) => Lane::Prompt,
            _ => Lane::Info,
        })
    }
}

/// The command in `text`, where `bot` is the bot's own username. `None`: it is a prompt, as is also what only
/// begins with a slash, like a path.
pub fn parse(text: &str, bot: &str) -> Option<Command> {
    let rest = text.strip_prefix('/')?;
    let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (name, to) = word.split_once('@').unwrap_or((word, ""));
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // Those of Claude's have names that Telegram does not know as such: `/code-review`, `/carcin:telegram-send`.
    let is_name = name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c == '-' || c == ':');
    if !is_name || name.ends_with(':') || !to.chars().all(is_letter) {
        return None;
    }
    if !to.is_empty() && !to.eq_ignore_ascii_case(bot) {
        return Some(Command::Foreign);
    }
    let argument = Some(argument.trim()).filter(|argument| !argument.is_empty()).map(str::to_owned);
    Some(match name.to_ascii_lowercase().as_str() {
        "start" | "help" => Command::Start,
        "status" => Command::Status,
        "stop" => Command::Stop,
        "cwd" => Command::Cwd(argument),
        "new" => Command::New(argument),
        "clear" => Command::Clear,
        "sessions" => Command::Sessions,
        "resume" => Command::Resume(argument),
        "recent" => Command::Recent(argument),
        "model" => Command::Set(Setting::Model, argument),
        "mode" => Command::Set(Setting::Mode, argument),
        "effort" => Command::Set(Setting::Effort, argument),
        "usage" => Command::Usage,
        "context" => Command::Context,
        "compact" => Command::Compact(argument),
        "tasks" => Command::Tasks,
        "diff" => Command::Diff,
        "id" => Command::Id,
        "restart" => Command::Restart,
        _ => Command::Other(Other { name: name.to_owned(), argument }),
    })
}

/// The answer to `/start`.
pub fn help() -> Text {
    let mut text = TextBuilder::new();
    text.bold("Claude Code, from your phone").newline();
    text.push("Write what you want done. While Claude works, a further message reaches it at once.");
    text.blank_line();
    for (name, meaning) in MENU {
        if name != "start" {
            text.push(&format!("/{name}  {meaning}\n"));
        }
    }
    text.newline().push("Files, pictures and voice messages work too. Reply to a message to quote it.\n");
    text.push("Claude's own commands and skills work too; the menu lists them below these.");
    text.build()
}

/// The answer to a command that there is not.
pub fn unknown(name: &str) -> Text {
    Text::plain(&format!("There is no command /{name}. /help lists those there are."))
}

/// Said of a command that Claude is given as it was typed.
pub fn untold(name: &str) -> Text {
    Text::plain(&format!(
        "ℹ️ /{name} is none of mine, and Claude has not told its commands here yet: it gets this as you typed it."
    ))
}

/// The answer to `/id`.
pub fn id(sender: i64) -> Text {
    let mut text = TextBuilder::new();
    text.push("Your Telegram id: ").code(&sender.to_string());
    text.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(name: &str, argument: Option<&str>) -> Command {
        Command::Other(Other { name: name.into(), argument: argument.map(Into::into) })
    }

    #[test]
    fn commands_are_told_from_prompts() {
        for (text, expected) in [
            ("hello", None),
            ("/", None),
            ("/etc/passwd: what is it?", None),
            ("/code-review main", Some(other("code-review", Some("main")))),
            ("/carcin:telegram-send", Some(other("carcin:telegram-send", None))),
            ("/etc: what is it?", None),
            ("/-x", None),
            ("/home", Some(other("home", None))),
            ("/code_review@carcin_bot main", Some(other("code_review", Some("main")))),
            ("/stop", Some(Command::Stop)),
            ("/STOP now", Some(Command::Stop)),
            ("/stop@Carcin_Bot", Some(Command::Stop)),
            ("/stop@other_bot", Some(Command::Foreign)),
            ("/new", Some(Command::New(None))),
            ("/new  /srv/my app ", Some(Command::New(Some("/srv/my app".into())))),
            ("/cwd", Some(Command::Cwd(None))),
            ("/compact\nkeep the plan", Some(Command::Compact(Some("keep the plan".into())))),
            ("/mode plan", Some(Command::Set(Setting::Mode, Some("plan".into())))),
            ("/help", Some(Command::Start)),
        ] {
            assert_eq!(parse(text, "carcin_bot"), expected, "{text}");
        }
    }

    #[test]
    fn what_changes_the_conversation_keeps_its_place_among_the_prompts() {
        let lane = |text: &str| parse(text, "carcin_bot").expect("a command").lane();
        for text in ["/new", "/clear", "/compact", "/cwd ~", "/resume 1", "/code_review"] {
            assert_eq!(lane(text), Some(Lane::Prompt), "{text}");
        }
        for text in ["/cwd", "/resume", "/sessions", "/model x", "/diff", "/id", "/restart", "/status"] {
            assert_eq!(lane(text), Some(Lane::Info), "{text}");
        }
        assert_eq!((lane("/stop"), lane("/stop@other_bot")), (Some(Lane::Stop), None));
    }

    #[test]
    fn every_command_of_the_menu_is_known() {
        for (name, _) in MENU {
            let parsed = parse(&format!("/{name}"), "carcin_bot");
            assert!(!matches!(parsed, None | Some(Command::Other(_))), "{name}");
        }
    }

    #[test]
    fn the_help_names_every_command() {
        insta::assert_snapshot!(help().text);
    }
}
