//! What went wrong with Claude, in a sentence for the user.

use carcin_proto::event::Exit;

use super::output::TurnResult;
use super::text::one_line;

/// The longest quotation of Claude's own words, in characters.
const MAX_QUOTE: usize = 400;

/// A sentence for the user, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub message: String,
    /// What to do about it, where there is something.
    pub hint: Option<String>,
    /// What it means for what comes next.
    pub kind: Kind,
}

/// What a failure means for the prompts after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing that is known.
    Other,
    /// The API refuses the login or the key: a Claude keeps those that it was started with.
    Login,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, kind: Kind::Other }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What happened and what to do about it, without a full stop at the end.
    pub fn sentence(self) -> String {
        match self.hint {
            Some(hint) => format!("{}. {hint}", self.message),
            None => self.message,
        }
    }
}

/// Why a process ended that was not asked to: from how it ended, the end of its stderr, and its last result.
pub fn sentence(exit: &Exit, stderr_tail: &str, last_result: Option<&TurnResult>) -> Failure {
    // Claude's own words first: on stderr, or in the result that it writes when it cannot start.
    let errors = last_result.filter(|result| result.is_error).map(|result| result.errors.join("\n"));
    let words = format!("{stderr_tail}\n{}", errors.unwrap_or_default());
    if let Some(known) = known(&words) {
        return known;
    }
    let last_words = words.lines().rev().map(|line| one_line(line, MAX_QUOTE)).find(|line| !line.is_empty());
    let with_words = |message: String| match last_words {
        Some(words) => Failure::new(format!("{message}: {words}")),
        None => Failure::new(message),
    };
    match exit {
        Exit::NotStarted(why) => not_started(why),
        Exit::Code(0) => Failure::new("Claude ended by itself"),
        Exit::Code(code @ (126 | 127)) => {
            with_words(format!("Claude could not be started (exit code {code})"))
                .hint("Check that Claude Code is installed, and the path to it in the configuration")
        }
        Exit::Code(code) => match signal_of(*code) {
            Some(signal) => signalled(signal),
            None => with_words(format!("Claude ended with exit code {code}")),
        },
        Exit::Signal(signal) => signalled(*signal),
        Exit::Unknown => with_words("Claude is gone, and nobody saw how it ended".to_owned()),
    }
}

/// Why a turn failed; `None`: it did not, or it was interrupted.
pub fn of_turn(result: &TurnResult) -> Option<Failure> {
    if !result.is_error || result.was_interrupted() {
        return None;
    }
    let words = if result.errors.is_empty() { result.text.clone() } else { result.errors.join("\n") };
    let quote = one_line(&words, MAX_QUOTE);
    Some(known(&words).unwrap_or_else(|| match (result.subtype.as_str(), result.api_error_status) {
        (_, Some(401)) => not_logged_in(),
        ("error_max_turns", _) => {
            Failure::new("Claude has reached the greatest number of steps that it may take")
        }
        ("error_max_budget_usd", _) => Failure::new("Claude has used the money that it may use"),
        _ if !quote.is_empty() => Failure::new(quote),
        (_, Some(status)) => of_api("", Some(status)),
        ("" | "success", None) => Failure::new("Claude reports a failure, and does not say which"),
        (subtype, None) => Failure::new(format!("Claude reports a failure: {}", subtype.replace('_', " "))),
    }))
}

/// An error of the API: `kind` as Claude Code names it (`SDKAssistantMessageError`), and the HTTP status.
pub(super) fn of_api(kind: &str, status: Option<u16>) -> Failure {
    match (kind, status) {
        ("authentication_failed", _) | (_, Some(401)) => not_logged_in(),
        ("oauth_org_not_allowed", _) => Failure::new("The organization does not allow this login"),
        ("account_on_hold", _) => Failure::new("The account is on hold"),
        ("verification_required", _) => Failure::new("The account must be verified"),
        ("billing_error", _) => Failure::new("Anthropic refuses the request for a reason of billing"),
        ("cloud_credential_error", _) => Failure::new("The cloud provider's credentials are not accepted"),
        ("model_not_found", _) => {
            Failure::new("The model does not exist, or is not available to this account")
        }
        ("rate_limit", _) | (_, Some(429)) => Failure::new("The rate limit is reached (HTTP 429)"),
        ("overloaded", _) | (_, Some(529)) => Failure::new("The API is overloaded"),
        (_, Some(status)) => Failure::new(format!("The API answers with an error (HTTP {status})")),
        (_, None) => Failure::new("The connection to the API failed"),
    }
}

/// The API refuses the login or the key.
pub fn not_logged_in() -> Failure {
    let failure = Failure::new("Claude is not logged in").hint(
        "Run `claude` in a terminal on that machine and log in there, or put ANTHROPIC_API_KEY into \
         `~/.config/carcin/env` and restart carcind. Then send the message again",
    );
    Failure { kind: Kind::Login, ..failure }
}

fn not_started(why: &str) -> Failure {
    let missing = ["No such file", "not found", "ENOENT"].iter().any(|sign| why.contains(sign));
    let failure = Failure::new(format!("Claude could not be started: {}", one_line(why, MAX_QUOTE)));
    if missing {
        failure.hint("Install Claude Code, or put the path to it into the configuration")
    } else if why.starts_with("cannot run ") && why.ends_with("Permission denied") {
        failure.hint("Check that it can be executed")
    } else {
        failure
    }
}

/// What Claude Code says in words that are known.
fn known(words: &str) -> Option<Failure> {
    let said = |part: &str| words.contains(part);
    if said("No conversation found with session ID") {
        return Some(
            Failure::new("Claude does not know this session")
                .hint("Begin a new session, or resume another one"),
        );
    }
    if said("is already in use") && said("Session ID") {
        return Some(
            Failure::new("There is a session with this id already")
                .hint("Begin a new session, or resume this one"),
        );
    }
    if said("cannot be used with root/sudo privileges") {
        return Some(
            Failure::new("Claude refuses to skip permissions as root")
                .hint("Run Carcin as another user, or set IS_SANDBOX=1 if the machine is a sandbox"),
        );
    }
    let logged_out = [
        "Not logged in",
        "Please run /login",
        "Invalid API key",
        "OAuth token revoked",
        "Login expired",
        "Session expired",
    ];
    if logged_out.iter().any(|sign| said(sign)) {
        return Some(not_logged_in());
    }
    if said("current directory no longer exists") {
        return Some(
            Failure::new("The folder of the session no longer exists").hint("Choose another folder"),
        );
    }
    if said("JavaScript heap out of memory") || said("Out of memory") {
        return Some(Failure::new("Claude ran out of memory"));
    }
    None
}

/// A shell, and Claude Code itself, report the end by a signal as 128 and its number.
fn signal_of(code: i32) -> Option<i32> {
    (129..=159).contains(&code).then(|| code - 128)
}

fn signalled(signal: i32) -> Failure {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        _ => return Failure::new(format!("Claude was ended by signal {signal}")),
    };
    let failure = Failure::new(format!("Claude was ended by signal {signal} ({name})"));
    if signal == 9 {
        failure.hint("If nobody did that, the machine may have run out of memory")
    } else {
        failure
    }
}
