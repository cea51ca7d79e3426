//! Requests to the daemon, each on a connection of its own: there is no state to go stale, and one that hangs
//! holds up no other.

use std::path::PathBuf;

use carcin_proto::client::{Client, ClientError};
use carcin_proto::request::{Refusal, RefusalCode};
use carcin_proto::{Reply, Request};
use tracing::error;

/// What the front end calls itself.
pub(super) const NAME: &str = env!("CARGO_PKG_NAME");
/// Its version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a request had no answer.
#[derive(Debug)]
pub enum AskError {
    /// The daemon is not there, or not able to answer now. Asking again is right.
    Away {
        /// Why.
        why: String,
        /// The request may have had its effect all the same.
        maybe_done: bool,
    },
    /// The daemon refused.
    Refused(Refusal),
}

/// Where the daemon listens.
#[derive(Debug, Clone)]
pub struct Daemon {
    socket: PathBuf,
}

impl Daemon {
    /// The daemon behind this socket.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Asks. Takes at most the client's own time limits.
    pub async fn ask(&self, request: &Request) -> Result<Reply, AskError> {
        let away = |error: &ClientError, maybe_done| AskError::Away { why: why(error), maybe_done };
        let mut client =
            Client::connect(&self.socket, NAME, VERSION).await.map_err(|error| away(&error, false))?;
        match client.request(request).await {
            Ok(reply) if is_to(request, &reply) => Ok(reply),
            Ok(reply) => {
                error!("a defect: carcind answers {request:?} with {reply:?}");
                let refusal =
                    Refusal::new(RefusalCode::Invalid, "carcind gave an answer that I do not understand");
                Err(AskError::Refused(
                    refusal.hint("It may have been done all the same: look before you repeat it"),
                ))
            }
            Err(ClientError::Refused(refusal) | ClientError::Farewell(refusal)) => {
                let going = refusal.code == RefusalCode::ShuttingDown;
                let why = refusal.message.clone();
                Err(if going {
                    AskError::Away { why, maybe_done: false }
                } else {
                    AskError::Refused(refusal)
                })
            }
            Err(error @ ClientError::Codec(_)) => {
                Err(AskError::Refused(Refusal::new(RefusalCode::Invalid, error.to_string())))
            }
            Err(error) => Err(away(&error, true)),
        }
    }
}

/// Whether this reply is one to this request. Where it is not, nobody is to be told that what they wrote was taken.
fn is_to(request: &Request, reply: &Reply) -> bool {
    match request {
        Request::Submit(_) | Request::SubmitWith(_) => matches!(reply, Reply::Submitted(_)),
        Request::Answer(_) => matches!(reply, Reply::Answered(_)),
        Request::Withdraw(_) => matches!(reply, Reply::Withdrawn(_)),
        Request::Stop(_) => matches!(reply, Reply::Stopped(_)),
        Request::Resume(_) => matches!(reply, Reply::Resumed(_)),
        // Of the others nothing is lost.
        _ => true,
    }
}

/// Why the daemon is away, for the phone: where its socket is belongs into the log.
fn why(error: &ClientError) -> String {
    match error {
        ClientError::NotRunning { .. } => "carcind is down".to_owned(),
        other => other.to_string(),
    }
}
