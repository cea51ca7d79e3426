//! What goes wrong, in a sentence, and what to do about it.

use std::io;

use carcin_proto::{ClientError, Reply};

use super::style::Style;
use super::text::push_line;

#[derive(Debug, thiserror::Error)]
pub(super) enum CtlError {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A refusal of our own, before the daemon was asked or after.
    #[error("{message}")]
    Said { message: String, hint: String },
    #[error("carcind answered something else than what was asked")]
    Reply,
    #[error("cannot write the output: {0}")]
    Output(#[source] io::Error),
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot read standard input: {0}")]
    Input(#[source] io::Error),
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
}

impl CtlError {
    pub(super) fn said(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Said { message: message.into(), hint: hint.into() }
    }

    /// A reply of another kind than the request's: both ends agree on the protocol, so it is a defect.
    pub(super) fn reply(_: Reply) -> Self {
        Self::Reply
    }

    fn hint(&self) -> Option<&str> {
        match self {
            Self::Client(ClientError::NotRunning { .. }) => {
                Some("start it with `systemctl --user start carcind`, or run `carcind` in another terminal")
            }
            Self::Client(error) => error.hint(),
            Self::Said { hint, .. } => Some(hint),
            _ => None,
        }
    }

    /// One line, and a second where there is something to do.
    pub(super) fn render(&self, style: Style) -> String {
        let mut out = format!("{} {self}\n", style.red("error:"));
        if let Some(hint) = self.hint() {
            push_line(&mut out, &format!("{} {hint}", style.cyan("hint:")));
        }
        out
    }
}
