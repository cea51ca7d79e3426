//! What tools and hooks have for the user.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::ConversationKey;

/// See [`Request::Notify`](super::Request::Notify).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// `None`: the conversation active most recently.
    pub conversation: Option<ConversationKey>,
    /// Not blank; at most [`MAX_EXCERPT`](crate::event::MAX_EXCERPT) bytes.
    pub text: String,
    /// What it is about, such as `compact`; may be empty.
    pub topic: String,
}

/// See [`Request::SendFile`](super::Request::SendFile).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendFile {
    /// `None`: the conversation active most recently.
    pub conversation: Option<ConversationKey>,
    /// Absolute; an existing regular file that the daemon can read.
    pub path: PathBuf,
    /// May be empty; at most 1,024 characters.
    pub caption: String,
}
