//! The client's side: a connection, requests that survive a restart of the daemon, a subscription that does.

mod backoff;
mod connection;
mod follow;
mod reconnect;

pub use backoff::Backoff;
pub use connection::{Client, Delivery, Subscription};
pub use follow::{Followed, Follower};
pub use reconnect::Reconnecting;

use std::io;
use std::time::Duration;

use crate::codec::CodecError;
use crate::frame::{FrameError, Kind};
use crate::preamble::PreambleError;
use crate::request::{Refusal, RefusalCode};

/// Why the daemon could not be talked to.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("carcind is not running (nothing listens on {socket})")]
    NotRunning {
        /// Where it was looked for.
        socket: String,
    },
    /// The connection failed.
    #[error("the connection to carcind failed: {0}")]
    Io(#[from] io::Error),
    /// The daemon closed the connection.
    #[error("carcind closed the connection")]
    Closed,
    /// The daemon closed the connection and said why.
    #[error(transparent)]
    Farewell(Refusal),
    /// No answer in time.
    #[error("carcind did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The two ends do not understand each other.
    #[error(transparent)]
    Preamble(#[from] PreambleError),
    /// A frame is not what it should be.
    #[error("carcind sent something unreadable: {0}")]
    Frame(#[source] FrameError),
    /// The request cannot be sent.
    #[error("the request cannot be sent: {0}")]
    Codec(#[from] CodecError),
    /// The daemon sent a frame that does not belong there.
    #[error("carcind sent a frame of kind {:#06x} out of place", .0.0)]
    Unexpected(Kind),
    /// The request was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => Self::Io(error),
            // Killed in the middle of a write.
            FrameError::Truncated(_) => Self::Closed,
            error => Self::Frame(error),
        }
    }
}

impl ClientError {
    /// Whether it may go away by connecting again soon: the daemon is not there, or is going.
    pub fn is_connection(&self) -> bool {
        match self {
            Self::NotRunning { .. } | Self::Io(_) | Self::Closed | Self::Timeout(_) => true,
            Self::Preamble(error) => matches!(error, PreambleError::Io(_)),
            Self::Farewell(refusal) | Self::Refused(refusal) => refusal.code == RefusalCode::ShuttingDown,
            Self::Frame(_) | Self::Codec(_) | Self::Unexpected(_) => false,
        }
    }

    /// What to do about it, where something is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Farewell(refusal) | Self::Refused(refusal) => refusal.hint.as_deref(),
            _ => None,
        }
    }
}
