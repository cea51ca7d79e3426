//! What ends the program, and what the user is told to do about it.

use crate::store::StoreError;

/// Why the front end cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The configuration does not do.
    #[error("{message}")]
    Config {
        /// What is the matter.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Telegram refuses the token.
    #[error("Telegram refuses the bot token (401)")]
    TokenRefused,
    /// Another process has the bot.
    #[error("{0}")]
    Locked(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something with a file.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A task died.
    #[error("a task of carcin-tg died: {0}")]
    Task(String),
}

impl Fatal {
    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Config { hint, .. } => Some(hint),
            Self::TokenRefused => Some("get the current one from @BotFather, with /token"),
            Self::Locked(_) => Some("stop the other one first; two would take each other's messages"),
            Self::Store(_) | Self::Io { .. } | Self::Task(_) => None,
        }
    }

    /// 2: starting again changes nothing until somebody changes something. 1: it may.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } | Self::TokenRefused => 2,
            Self::Locked(_) | Self::Store(_) | Self::Io { .. } | Self::Task(_) => 1,
        }
    }
}
