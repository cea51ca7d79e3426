//! Requests that survive a restart of the daemon.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Backoff, Client, ClientError};
use crate::request::{Reply, Request, Welcome};

/// How long a request goes on trying where nobody says otherwise: longer than a restart of the daemon takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that connects when it must, and again when the connection breaks.
///
/// A request whose fate is not known is sent again: a prompt has its key, of answers the first wins. The few
/// [that cannot be repeated](Request::is_repeatable) are given up with the error once they were sent.
#[derive(Debug)]
pub struct Reconnecting {
    path: PathBuf,
    name: String,
    version: String,
    backoff: Backoff,
    patience: Duration,
    client: Option<Client>,
}

impl Reconnecting {
    /// A client of the socket at `path` that says hello as `name`, at `version`. Connects with the first request.
    pub fn new(path: impl Into<PathBuf>, name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            name: name.into(),
            version: version.into(),
            backoff: Backoff::default(),
            patience: PATIENCE,
            client: None,
        }
    }

    /// The same with other delays between attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The same, where a request goes on trying for `patience`.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What the daemon said of itself, while there is a connection.
    pub fn welcome(&self) -> Option<&Welcome> {
        self.client.as_ref().map(Client::welcome)
    }

    /// Asks, and asks again while the daemon is away, for as long as the patience lasts. Cancel safe in that the
    /// next request begins on a new connection; whether this one had its effect is then not known.
    pub async fn request(&mut self, request: &Request) -> Result<Reply, ClientError> {
        self.request_until(request, Instant::now() + self.patience).await
    }

    /// Asks, and asks again while the daemon is away, until `deadline`.
    pub async fn request_until(
        &mut self,
        request: &Request,
        deadline: Instant,
    ) -> Result<Reply, ClientError> {
        let mut last = ClientError::Timeout(deadline.saturating_duration_since(Instant::now()));
        self.backoff.reset();
        loop {
            match timeout_at(deadline, self.attempt(request)).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(Failure { error, again: false })) => return Err(error),
                Ok(Err(Failure { error, again: true })) => last = error,
                Err(_) => return Err(last),
            }
            let next = Instant::now() + self.backoff.delay();
            if next >= deadline {
                return Err(last);
            }
            sleep_until(next).await;
        }
    }

    /// Takes the connection for the time of the request, so that nobody finds it half way through one.
    async fn attempt(&mut self, request: &Request) -> Result<Reply, Failure> {
        // An old connection may turn out to be broken only after the request is gone: for one that cannot be
        // repeated, a new one.
        let mut client = match self.client.take().filter(|_| request.is_repeatable()) {
            Some(client) => client,
            None => Client::connect(&self.path, &self.name, &self.version)
                .await
                .map_err(|error| Failure { again: error.is_connection(), error })?,
        };
        match client.request(request).await {
            Ok(reply) => {
                self.client = Some(client);
                Ok(reply)
            }
            Err(error) => {
                let refused = matches!(error, ClientError::Refused(_) | ClientError::Farewell(_));
                let again = error.is_connection() && (refused || request.is_repeatable());
                if refused && !again {
                    self.client = Some(client);
                }
                Err(Failure { error, again })
            }
        }
    }
}

/// A failed attempt, and whether another may do better.
struct Failure {
    error: ClientError,
    again: bool,
}
