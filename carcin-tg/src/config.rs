//! The configuration: flags beat the environment, which beats the file.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use serde::Deserialize;

use crate::fatal::Fatal;
use crate::token::Token;
use crate::update::Gate;
use crate::uploads;
use crate::view::Style;

/// For how many days files are kept that people send, unless the user wants otherwise.
const KEEP_DAYS: u64 = 7;
/// After how many minutes people are reminded of a question, if nobody says: long enough for one who has seen it
/// to answer, short enough that Claude does not stand still for an afternoon.
const REMIND_MINUTES: u32 = 15;
/// The name of the token among systemd's credentials.
const CREDENTIAL: &str = "telegram-bot-token";
/// The longest word for the end of a task, in characters.
const MAX_MARKER: usize = 40;

/// Talk to Claude Code through a Telegram bot.
///
/// carcin-tg carries messages between Telegram and carcind, which runs Claude. Either can be restarted at any
/// time: nothing is lost, and Claude goes on.
#[derive(Debug, Default, Parser)]
#[expect(clippy::doc_markdown, reason = "these are help texts, in which backticks would show")]
#[command(name = "carcin-tg", version, after_help = AFTER_HELP)]
pub struct Flags {
    /// The file that holds the bot token, readable by you alone [env: TELEGRAM_BOT_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A Telegram user id that may talk to the bot; repeat it for more [env: ALLOWED_USER_IDS, comma separated]
    #[arg(long = "allowed-user", global = true, value_name = "ID")]
    pub allowed_users: Vec<i64>,
    /// The Bot API server [env: TELEGRAM_API_URL] [default: Telegram's]
    #[arg(long, global = true, value_name = "URL")]
    pub api_url: Option<String>,
    /// Where to keep what must survive a restart [env: CARCIN_STATE_DIR] [default: ~/.local/state/carcin]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// carcind's socket [env: CARCIN_SOCKET] [default: $XDG_RUNTIME_DIR/carcin/carcind.sock]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// The configuration file [env: CARCIN_CONFIG] [default: ~/.config/carcin/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do instead of serving the bot.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What the program can do besides serving the bot.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum Verb {
    /// Look at everything that the bot needs, and say what is wrong and what to do about it
    Doctor,
    /// Print what completes this program's command line in a shell
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print the manual page, of the program or of a command
    Man {
        /// The command; without one, the page of carcin-tg itself
        command: Option<String>,
    },
}

const AFTER_HELP: &str = "\
The token itself is never given on the command line, where others could read it. It is taken from
--token-file, else TELEGRAM_BOT_TOKEN, else TELEGRAM_BOT_TOKEN_FILE, else systemd's credential
`telegram-bot-token`, else the configuration file:

    [telegram]
    token_file = \"/home/ann/.config/carcin/token\"
    allowed_user_ids = [123456789]

You are reminded once of a question that nobody answers for CARCIN_REMIND_MINUTES (in the file:
remind_minutes; default: 15; 0: never).

Logs go to stderr; RUST_LOG says how much (default: info).";

/// What the program runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The bot.
    pub token: Token,
    /// Who may talk to it.
    pub gate: Gate,
    /// The Bot API server; `None`: Telegram's.
    pub api_url: Option<String>,
    /// The front end's own part of the state directory.
    pub dir: PathBuf,
    /// carcind's socket.
    pub socket: PathBuf,
    /// How things are told.
    pub style: Style,
    /// What becomes of files that people send.
    pub uploads: uploads::Settings,
    /// After which time people are reminded of a question; `None`: never.
    pub remind: Option<Duration>,
    /// The service of the user's systemd that it runs as; `None`: the one it finds itself in, if any.
    pub service: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct File {
    socket: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    #[serde(default)]
    telegram: Telegram,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Telegram {
    token: Option<String>,
    token_file: Option<PathBuf>,
    #[serde(default)]
    allowed_user_ids: Vec<i64>,
    api_url: Option<String>,
    done_marker: Option<String>,
    #[serde(default)]
    show_thinking: bool,
    #[serde(default)]
    show_output: bool,
    #[serde(default)]
    show_edits: bool,
    show_pictures: Option<bool>,
    keep_uploads_days: Option<u64>,
    transcribe: Option<String>,
    remind_minutes: Option<u32>,
    service_name: Option<String>,
}

impl Config {
    /// Puts the configuration together. `env` reads a variable; one that is set to nothing counts as not set.
    pub fn resolve(flags: Flags, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Fatal> {
        let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let file = config_file(&flags, &env)?;
        let token = token(&flags, &env, &file.telegram)?;
        let allowed = allowed(&flags, &env, &file.telegram)?;
        let gate = Gate::new(&allowed).ok_or_else(|| {
            config("nobody is allowed to talk to the bot", "set ALLOWED_USER_IDS to your Telegram user id")
        })?;
        let state_dir = flags
            .state_dir
            .or_else(|| env("CARCIN_STATE_DIR").map(PathBuf::from))
            .or(file.state_dir)
            .or_else(carcin_proto::paths::state_dir)
            .ok_or_else(|| config("there is no state directory", "set CARCIN_STATE_DIR or HOME"))?;
        let socket = flags
            .socket
            .or_else(|| env("CARCIN_SOCKET").map(PathBuf::from))
            .or(file.socket)
            .unwrap_or_else(carcin_proto::paths::default_socket);
        let style = style(&env, &file.telegram)?;
        let remind = remind(&env, &file.telegram)?;
        let api_url = flags.api_url.or_else(|| env("TELEGRAM_API_URL")).or(file.telegram.api_url);
        let dir = state_dir.join("tg");
        let uploads = uploads::Settings {
            // Claude works elsewhere, and is told the path.
            dir: std::path::absolute(dir.join("uploads")).unwrap_or_else(|_| dir.join("uploads")),
            keep: keep_uploads(file.telegram.keep_uploads_days.unwrap_or(KEEP_DAYS)),
            transcriber: transcriber(file.telegram.transcribe.as_deref())?,
        };
        let service = env("CARCIN_SERVICE_NAME").or(file.telegram.service_name);
        Ok(Self { token, gate, api_url, dir, socket, style, uploads, remind, service })
    }
}

/// How things are told.
fn style(env: &dyn Fn(&str) -> Option<String>, file: &Telegram) -> Result<Style, Fatal> {
    let mut style = Style {
        thinking: file.show_thinking,
        output: file.show_output,
        edits: file.show_edits,
        pictures: file.show_pictures.unwrap_or(true),
        ..Style::default()
    };
    if let Some(done) = env("CARCIN_DONE_MARKER").or_else(|| file.done_marker.clone()) {
        let done = done.trim();
        if done.chars().count() > MAX_MARKER || done.contains(['\n', '\r']) {
            let hint = format!("it is one word or a few, on one line, of {MAX_MARKER} characters at most");
            return Err(config("CARCIN_DONE_MARKER is too long", hint));
        }
        if !done.is_empty() {
            done.clone_into(&mut style.done);
        }
    }
    let shown = [
        ("CARCIN_SHOW_THINKING", &mut style.thinking),
        ("CARCIN_SHOW_OUTPUT", &mut style.output),
        ("CARCIN_SHOW_EDITS", &mut style.edits),
        ("CARCIN_SHOW_PICTURES", &mut style.pictures),
    ];
    for (name, shown) in shown {
        let Some(wanted) = env(name) else { continue };
        *shown = match wanted.trim() {
            "1" | "true" | "yes" | "on" => true,
            "0" | "false" | "no" | "off" => false,
            _ => return Err(config(format!("{name} says neither yes nor no"), "set it to 1 or to 0")),
        };
    }
    Ok(style)
}

/// How long files are kept that people send; 0: for ever.
fn keep_uploads(days: u64) -> Option<Duration> {
    (days > 0).then(|| Duration::from_secs(days.saturating_mul(24 * 60 * 60)))
}

fn transcriber(command: Option<&str>) -> Result<Option<uploads::Transcriber>, Fatal> {
    let parse = |command: &str| {
        uploads::Transcriber::parse(command).map_err(|why| {
            config(
                format!("`transcribe` in the configuration file is no command: {why}"),
                "it looks like `whisper-cli --no-prints --no-timestamps -m /path/to/model.bin -f {file}`",
            )
        })
    };
    command.map(parse).transpose()
}

fn config(message: impl Into<String>, hint: impl Into<String>) -> Fatal {
    Fatal::Config { message: message.into(), hint: hint.into() }
}

/// The file. That the default one is not there is fine; that a named one is not there is not.
fn config_file(flags: &Flags, env: &dyn Fn(&str) -> Option<String>) -> Result<File, Fatal> {
    let named = flags.config.clone().or_else(|| env("CARCIN_CONFIG").map(PathBuf::from));
    let Some(path) = named.clone().or_else(carcin_proto::paths::config_file) else {
        return Ok(File::default());
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
            return Ok(File::default());
        }
        Err(error) => return Err(unreadable("the configuration file", &path, &error)),
    };
    let file: File = toml::from_str(&text).map_err(|error| {
        // Not the error's own rendering: that quotes the line, which may hold the token.
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        let message = format!("{} is not valid at line {line}: {}", path.display(), error.message());
        config(message, "correct it, or move it away")
    })?;
    if file.telegram.token.is_some() {
        private(&path)?;
    }
    Ok(file)
}

fn token(flags: &Flags, env: &dyn Fn(&str) -> Option<String>, file: &Telegram) -> Result<Token, Fatal> {
    if let Some(path) = &flags.token_file {
        return token_file(path);
    }
    if let Some(text) = env("TELEGRAM_BOT_TOKEN") {
        return token_text(&text, "TELEGRAM_BOT_TOKEN");
    }
    if let Some(path) = env("TELEGRAM_BOT_TOKEN_FILE") {
        return token_file(Path::new(&path));
    }
    let credential = env("CREDENTIALS_DIRECTORY").map(|dir| Path::new(&dir).join(CREDENTIAL));
    if let Some(path) = credential.filter(|path| path.exists()) {
        // Its mode is systemd's own affair.
        let text = fs::read_to_string(&path).map_err(|error| unreadable("the token", &path, &error))?;
        return token_text(&text, &path.display().to_string());
    }
    match (&file.token, &file.token_file) {
        (Some(text), _) => token_text(text, "the configuration file"),
        (None, Some(path)) => token_file(path),
        (None, None) => Err(config(
            "there is no bot token",
            "get one from @BotFather, put it into a file that only you can read, and pass --token-file FILE",
        )),
    }
}

fn token_file(path: &Path) -> Result<Token, Fatal> {
    let text = fs::read_to_string(path).map_err(|error| unreadable("the token file", path, &error))?;
    private(path)?;
    token_text(&text, &path.display().to_string())
}

/// Never shows the text: it may be a token with a typing error.
fn token_text(text: &str, source: &str) -> Result<Token, Fatal> {
    Token::parse(text).ok_or_else(|| {
        config(
            format!("{source} holds no bot token"),
            "a token looks like 123456789:AAE…, as @BotFather gave it",
        )
    })
}

fn private(path: &Path) -> Result<(), Fatal> {
    let mode =
        fs::metadata(path).map_err(|e| unreadable("the token", path, &e))?.permissions().mode() & 0o777;
    let others = 0o077;
    if mode & others == 0 {
        return Ok(());
    }
    Err(config(
        format!("{} holds the bot token and others can read it (mode {mode:04o})", path.display()),
        format!("chmod 600 {}", path.display()),
    ))
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Fatal {
    config(format!("cannot read {what} {}: {error}", path.display()), "check the path and its permissions")
}

fn allowed(flags: &Flags, env: &dyn Fn(&str) -> Option<String>, file: &Telegram) -> Result<Vec<i64>, Fatal> {
    if !flags.allowed_users.is_empty() {
        return Ok(flags.allowed_users.clone());
    }
    let Some(list) = env("ALLOWED_USER_IDS") else { return Ok(file.allowed_user_ids.clone()) };
    let ids = list.split(',').map(str::trim).filter(|id| !id.is_empty());
    ids.map(|id| {
        id.parse().map_err(|_| {
            config(
                format!("ALLOWED_USER_IDS has {id:?}, which is no user id"),
                "user ids are numbers, separated by commas; the bot tells you yours when you send it /id",
            )
        })
    })
    .collect()
}

/// After how many minutes people are reminded of a question; 0: never.
fn remind(env: &dyn Fn(&str) -> Option<String>, file: &Telegram) -> Result<Option<Duration>, Fatal> {
    let minutes = match env("CARCIN_REMIND_MINUTES") {
        Some(text) => text.trim().parse().map_err(|_| {
            config(format!("CARCIN_REMIND_MINUTES is {text:?}"), "give whole minutes, or 0 for never")
        })?,
        None => file.remind_minutes.unwrap_or(REMIND_MINUTES),
    };
    Ok((minutes > 0).then(|| Duration::from_mins(u64::from(minutes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "42:AAF-secret_x";

    fn write(dir: &Path, name: &str, mode: u32, text: &str) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, text).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
        path
    }

    fn resolve(flags: Flags, env: &[(&str, &str)]) -> Result<Config, Fatal> {
        Config::resolve(flags, &|name| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn error(flags: Flags, env: &[(&str, &str)]) -> String {
        let error = resolve(flags, env).expect_err("refused");
        assert_eq!(error.exit_code(), 2);
        let text = format!("{error}\nhint: {}", error.hint().expect("a hint"));
        assert!(!text.contains("AAF"), "{text}");
        text
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = "socket = '/file.sock'\nstate_dir = '/file'\nclaude_path = 'of carcind'\n\
                    [telegram]\ntoken = '3:file'\nallowed_user_ids = [3]\napi_url = 'http://file'";
        let config = write(dir.path(), "config.toml", 0o600, text);
        let config = config.to_str().expect("UTF-8");
        let from_file = resolve(Flags::default(), &[("CARCIN_CONFIG", config)]).expect("enough");
        assert_eq!((from_file.token.bot(), from_file.gate.first()), (3, 3));
        assert_eq!(from_file.dir, Path::new("/file/tg"));
        let env = [
            ("CARCIN_CONFIG", config),
            ("TELEGRAM_BOT_TOKEN", TOKEN),
            ("ALLOWED_USER_IDS", "7, 8"),
            ("TELEGRAM_API_URL", "http://env"),
            ("CARCIN_SOCKET", ""),
        ];
        let from_env = resolve(Flags::default(), &env).expect("enough");
        assert_eq!((from_env.token.bot(), from_env.gate.first()), (42, 7));
        assert_eq!(from_env.api_url.as_deref(), Some("http://env"));
        assert_eq!(from_env.remind, Some(Duration::from_mins(15)), "nobody said otherwise");
        let minutes = |text| resolve(Flags::default(), &[env[0], ("CARCIN_REMIND_MINUTES", text)]);
        assert_eq!(minutes("0").expect("enough").remind, None);
        assert_eq!(minutes("2").expect("enough").remind, Some(Duration::from_mins(2)));
        assert_eq!(from_env.socket, Path::new("/file.sock"), "set to nothing is not set");
        let token_file = write(dir.path(), "token", 0o600, "9:flag\n");
        let flags = Flags { token_file: Some(token_file), allowed_users: vec![9], ..Flags::default() };
        let from_flags = resolve(flags, &env).expect("enough");
        assert_eq!((from_flags.token.bot(), from_flags.gate.first()), (9, 9));
    }

    #[test]
    fn how_things_are_told_can_be_said() {
        let base = [("CARCIN_CONFIG", "/dev/null"), ("TELEGRAM_BOT_TOKEN", TOKEN), ("ALLOWED_USER_IDS", "7")];
        let style = |more: &[(&str, &str)]| {
            resolve(Flags::default(), &[&base[..], more].concat()).expect("enough").style
        };
        assert_eq!(style(&[("CARCIN_DONE_MARKER", " ")]), Style::default());
        let own = style(&[("CARCIN_DONE_MARKER", "Fertig!"), ("CARCIN_SHOW_THINKING", "1")]);
        assert_eq!(own, Style { done: "Fertig!".into(), thinking: true, ..Style::default() });
        let more = style(&[("CARCIN_SHOW_OUTPUT", "yes"), ("CARCIN_SHOW_EDITS", "on")]);
        assert_eq!(more, Style { output: true, edits: true, ..Style::default() });
        assert!(more.pictures, "unless told otherwise");
        assert!(!style(&[("CARCIN_SHOW_PICTURES", "0")]).pictures);
        let long = "x".repeat(41);
        let refused = |more: (&str, &str)| error(Flags::default(), &[&base[..], &[more]].concat());
        let told = [refused(("CARCIN_DONE_MARKER", &long)), refused(("CARCIN_SHOW_THINKING", "perhaps"))];
        insta::assert_snapshot!(told.join("\n\n"));
    }

    #[test]
    fn what_is_missing_is_told_with_a_hint() {
        let none = ("CARCIN_CONFIG", "/dev/null");
        let dir = tempfile::tempdir().expect("a directory");
        let open = write(dir.path(), "token", 0o644, TOKEN);
        let shown = [
            error(Flags::default(), &[none]),
            error(Flags::default(), &[none, ("TELEGRAM_BOT_TOKEN", TOKEN)]),
            error(Flags::default(), &[none, ("TELEGRAM_BOT_TOKEN", TOKEN), ("ALLOWED_USER_IDS", " , ")]),
            error(Flags::default(), &[none, ("TELEGRAM_BOT_TOKEN", TOKEN), ("ALLOWED_USER_IDS", "@ann")]),
            error(Flags::default(), &[none, ("TELEGRAM_BOT_TOKEN", "AAF without a bot")]),
            error(Flags { token_file: Some("/nonexistent/token".into()), ..Flags::default() }, &[none]),
            error(
                Flags::default(),
                &[
                    none,
                    ("TELEGRAM_BOT_TOKEN", TOKEN),
                    ("ALLOWED_USER_IDS", "1"),
                    ("CARCIN_REMIND_MINUTES", "soon"),
                ],
            ),
            error(Flags { token_file: Some(open.clone()), ..Flags::default() }, &[none])
                .replace(open.to_str().expect("UTF-8"), "TOKEN-FILE"),
        ];
        insta::assert_snapshot!(shown.join("\n\n"));
    }

    #[test]
    fn a_broken_file_that_holds_the_token_does_not_tell_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = write(dir.path(), "config.toml", 0o600, "[telegram]\ntoken = \"42:AAF-secret_x");
        let text = error(Flags { config: Some(path), ..Flags::default() }, &[]);
        assert!(text.contains("line 2"), "{text}");
    }

    #[test]
    fn systemds_credential_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), CREDENTIAL, 0o440, TOKEN);
        let env = [
            ("CARCIN_CONFIG", "/dev/null"),
            ("CREDENTIALS_DIRECTORY", dir.path().to_str().expect("UTF-8")),
            ("ALLOWED_USER_IDS", "7"),
        ];
        assert_eq!(resolve(Flags::default(), &env).expect("enough").token.bot(), 42);
    }
}
