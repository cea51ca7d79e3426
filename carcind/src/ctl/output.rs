//! Where the words go.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::error::CtlError;
use super::text::harmless_json;

/// To standard output, at once.
pub(super) fn print(text: &str) -> Result<(), CtlError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CtlError::Output)
}

/// `value` as one JSON document; in several lines where somebody looks at it.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), CtlError> {
    let terminal = io::stdout().is_terminal();
    let json = if terminal { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    print(&(harmless_json(&json?) + "\n"))
}

/// To standard error. That nobody reads it is no reason to fail.
pub(super) fn note(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

/// A yes or no from the person at the terminal; `None`: there is none.
pub(super) fn confirm(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    note(&format!("{question} [y/N] "));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}
