//! The command line, as far as it matters here.

use crate::scripted::permission::Mode;

/// Flags of the real CLI that take a value and change nothing here.
const IGNORED_WITH_VALUE: [&str; 12] = [
    "--input-format",
    "--output-format",
    "--permission-prompt-tool",
    "--plugin-dir",
    "--settings",
    "--append-system-prompt",
    "--system-prompt",
    "--add-dir",
    "--allowedTools",
    "--disallowedTools",
    "--mcp-config",
    "--effort",
];
/// Flags of the real CLI that take none and change nothing here.
const IGNORED: [&str; 3] = ["-p", "--print", "--verbose"];

/// What the command line asks for.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools)] // one for each flag
pub struct Arguments {
    /// Print the version and exit.
    pub version: bool,
    /// Begin a session under this id.
    pub session_id: Option<String>,
    /// Go on with the session of this id.
    pub resume: Option<String>,
    /// The model's name or alias.
    pub model: Option<String>,
    /// The mode that the session begins in.
    pub(super) permission_mode: Mode,
    /// Whether permissions may be bypassed later.
    pub may_bypass: bool,
    /// Whether the raw stream events are printed.
    pub partial_messages: bool,
    /// Whether prompts are acknowledged by printing them.
    pub replay: bool,
}

impl Arguments {
    /// Reads the arguments behind the program's name. An unknown flag is noted on stderr and skipped with its value.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let (name, mut inline) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (argument, None),
            };
            let mut value = || {
                inline
                    .take()
                    .or_else(|| arguments.next())
                    .ok_or_else(|| format!("option '{name}' argument missing"))
            };
            match name.as_str() {
                "--version" | "-v" => parsed.version = true,
                "--session-id" => parsed.session_id = Some(uuid_of(&value()?)?),
                "--resume" | "-r" => parsed.resume = Some(value()?),
                "--model" => parsed.model = Some(value()?),
                "--permission-mode" => parsed.permission_mode = Mode::parse(&value()?)?,
                "--allow-dangerously-skip-permissions" => parsed.may_bypass = true,
                "--dangerously-skip-permissions" => {
                    parsed.may_bypass = true;
                    parsed.permission_mode = Mode::BypassPermissions;
                }
                "--include-partial-messages" => parsed.partial_messages = true,
                "--replay-user-messages" => parsed.replay = true,
                known if IGNORED.contains(&known) => {}
                known if IGNORED_WITH_VALUE.contains(&known) => drop(value()?),
                unknown => {
                    eprintln!("note: the scripted claude does not know {unknown}");
                    arguments.next_if(|next| !next.starts_with('-'));
                }
            }
        }
        parsed.may_bypass |= parsed.permission_mode == Mode::BypassPermissions;
        Ok(parsed)
    }
}

fn uuid_of(text: &str) -> Result<String, String> {
    uuid::Uuid::parse_str(text)
        .map(|id| id.to_string())
        .map_err(|_| "Invalid session ID. Must be a valid UUID.".to_owned())
}
