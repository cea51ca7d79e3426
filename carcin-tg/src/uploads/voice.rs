//! Speech to text, by a program of the user's choice.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// What stands for the recording.
const FILE: &str = "{file}";
/// The variables by which the bot's token comes, or where it is.
const SECRETS: [&str; 3] = ["TELEGRAM_BOT_TOKEN", "TELEGRAM_BOT_TOKEN_FILE", "CREDENTIALS_DIRECTORY"];
/// How long it may take: long recordings on small machines.
const PATIENCE: Duration = Duration::from_mins(5);
/// The longest text, in bytes: what Telegram's longest voice messages could hold, many times over.
const MAX_TEXT: u64 = 64 * 1024;
/// How much is told of what went wrong, in characters.
const MAX_WHY: usize = 300;

/// The program that turns speech into text, which it prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcriber {
    program: String,
    arguments: Vec<String>,
    patience: Duration,
}

impl Transcriber {
    /// The program and its arguments as they stand in the configuration. No shell is involved: quotes keep words
    /// together, and that is all. An error says what is wrong.
    pub fn parse(command: &str) -> Result<Self, &'static str> {
        let mut words = split(command)?.into_iter();
        let program = words.next().ok_or("it is empty")?;
        let arguments: Vec<String> = words.collect();
        if !arguments.iter().any(|word| word.contains(FILE)) {
            return Err("it does not say where the recording goes: write {file} there");
        }
        Ok(Self { program, arguments, patience: PATIENCE })
    }

    /// What is said in the recording; an error says why that is not known.
    pub(super) async fn transcribe(&self, file: &Path) -> Result<String, String> {
        let run = self.run(file);
        match tokio::time::timeout(self.patience, run).await {
            Ok(result) => result,
            Err(_) => Err(format!("{} took longer than {} s", self.program, self.patience.as_secs())),
        }
    }

    fn command(&self, path: &str) -> Command {
        let mut command = Command::new(&self.program);
        // The bot's secret is none of its business.
        for secret in SECRETS {
            command.env_remove(secret);
        }
        command
            .args(self.arguments.iter().map(|word| word.replace(FILE, path)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .process_group(0);
        command
    }

    async fn run(&self, file: &Path) -> Result<String, String> {
        let path = file.to_str().ok_or("the path of the recording is no text")?;
        let mut child = self
            .command(path)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", self.program))?;
        let group = Group::of(&child);
        let (said, complaints) = match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), Some(stderr)) => tokio::join!(read(stdout), read(stderr)),
            _ => (String::new(), String::new()),
        };
        let status = child.wait().await.map_err(|error| error.to_string())?;
        group.let_go();
        if !status.success() {
            let last = complaints.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
            let last: String = last.chars().take(MAX_WHY).collect();
            return Err(format!("{} ended with {status}: {last}", self.program));
        }
        let said = bare(&said);
        let said = said.trim();
        if said.is_empty() { Err("nothing was heard in it".to_owned()) } else { Ok(said.to_owned()) }
    }
}

/// A transcriber and all that it has started: ended together, unless it came to its end by itself.
struct Group(Option<Pid>);

impl Group {
    /// The group that this child leads.
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw))
    }

    /// From here on its number may be another's.
    fn let_go(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(error) = killpg(group, Signal::SIGKILL)
        {
            tracing::debug!("the transcriber is not ended: {error}");
        }
    }
}

/// Reads the beginning, and lets the rest go by, so that the writer does not hang.
async fn read(mut pipe: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    let _ = (&mut pipe).take(MAX_TEXT).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    // The limit may be in the middle of a character.
    String::from_utf8_lossy(&bytes).trim_end_matches('\u{fffd}').to_owned()
}

/// A text without what is meant for a screen: colours, bars that move, bells.
fn bare(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.next_if_eq(&'[').is_some() {
            // Up to the letter that says what it is.
            while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
            chars.next();
        } else if !c.is_control() || c == '\n' || c == '\t' {
            bare.push(c);
        }
    }
    bare
}

/// The words of a command line: blanks separate, quotes keep together, a backslash takes the next as it is.
fn split(command: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => {
                let next = chars.next().ok_or("it ends with a backslash")?;
                word.get_or_insert_default().push(next);
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_into_words_and_nothing_else_happens_to_it() {
        let words = split(r#"whisper-cli -m "/my models/base.bin" -f {file} 'a $HOME' b\ c "" ; rm"#);
        let expected =
            ["whisper-cli", "-m", "/my models/base.bin", "-f", "{file}", "a $HOME", "b c", "", ";", "rm"];
        assert_eq!(words.expect("words"), expected);
        for (wrong, why) in [
            ("", "it is empty"),
            ("whisper 'a {file}", "a quote is not closed"),
            ("whisper {file} \\", "it ends with a backslash"),
            ("whisper file", "it does not say where the recording goes: write {file} there"),
        ] {
            assert_eq!(Transcriber::parse(wrong), Err(why));
        }
    }

    #[test]
    fn the_program_gets_nothing_of_the_bots_token() {
        let command = Transcriber::parse("whisper {file}").expect("a command").command("/a voice.ogg");
        let gone: Vec<_> = command.as_std().get_envs().filter(|(_, value)| value.is_none()).collect();
        assert!(gone.iter().any(|(name, _)| *name == "TELEGRAM_BOT_TOKEN"), "{gone:?}");
    }

    #[tokio::test]
    async fn what_the_program_prints_is_what_was_said() {
        let cat =
            Transcriber::parse("sh -c 'cat \"$1\"; echo; echo noise >&2' sh {file}").expect("a command");
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a voice.ogg");
        std::fs::write(&file, "  fix it ").expect("writes");
        assert_eq!(cat.transcribe(&file).await, Ok("fix it".to_owned()));
    }

    #[tokio::test]
    async fn what_goes_wrong_is_said() {
        let why = |command: &str, patience: Duration| {
            let transcriber = Transcriber { patience, ..Transcriber::parse(command).expect("a command") };
            async move { transcriber.transcribe(Path::new("/dev/null")).await.expect_err("it fails") }
        };
        let long = Duration::from_mins(1);
        assert!(why("/nonexistent/whisper {file}", long).await.contains("does not start"));
        let failed = why("sh -c 'echo first >&2; echo no model >&2; exit 3' {file}", long).await;
        assert_eq!(failed, "sh ended with exit status: 3: no model");
        assert_eq!(why("cat {file}", long).await, "nothing was heard in it");
        let slow = why("tail -f {file}", Duration::from_millis(50)).await;
        assert!(slow.contains("longer than"), "{slow}");
    }

    #[tokio::test]
    async fn one_that_takes_too_long_is_ended_with_all_that_it_has_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let pid_file = dir.path().join("pid");
        // The shell waits for its child, which a signal to the shell alone would leave behind.
        let command = "sh -c 'sleep 600 & echo $! >\"$1.new\"; mv \"$1.new\" \"$1\"; wait' sh {file}";
        let transcriber = Transcriber::parse(command).expect("a command");
        let (file, started) = (pid_file.clone(), pid_file.clone());
        let running = tokio::spawn(async move { transcriber.transcribe(&file).await });
        let pid: i32 =
            until("the child", || std::fs::read_to_string(&started).ok()?.trim().parse().ok()).await;
        running.abort();
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        };
        until("its end", gone).await;
    }

    async fn until<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
        for _ in 0..2_000 {
            if let Some(found) = find() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain for {what}");
    }
}
