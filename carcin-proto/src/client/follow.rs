//! A subscription that survives restarts of the daemon.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Backoff, Client, ClientError, Delivery, Subscription};
use crate::ids::Cursor;
use crate::request::{From, Subscribe, Welcome};

/// How long to wait where connecting again soon changes nothing: somebody has to upgrade one end.
const INCOMPATIBLE: Duration = Duration::from_secs(30);

/// What a [`Follower`] tells.
#[derive(Debug)]
pub enum Followed {
    /// The subscription stands; deliveries follow.
    Connected(Welcome),
    /// See [`Delivery`].
    Delivery(Delivery),
    /// The connection is lost, or could not be made; the follower goes on trying. Told again only when the reason
    /// is another.
    Disconnected(ClientError),
}

/// A subscription that reconnects for ever, from the last event that it delivered.
pub struct Follower {
    path: PathBuf,
    name: String,
    version: String,
    transients: bool,
    cursor: Option<Cursor>,
    backoff: Backoff,
    /// What was last told of why there is no connection.
    told: Option<String>,
    state: State,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Subscription, ClientError>> + Send>>;

enum State {
    Waiting(Instant),
    /// Kept here, so that a caller who stops waiting does not end the attempt.
    Connecting(Connecting),
    Open {
        subscription: Box<Subscription>,
        since: Instant,
    },
}

impl Follower {
    /// Follows the daemon on the socket at `path` after `cursor`; `None`: from now, with a snapshot first. Says
    /// hello as `name`, at `version`. Connects with the first [`next`](Self::next).
    pub fn new(
        path: impl Into<PathBuf>,
        name: impl Into<String>,
        version: impl Into<String>,
        cursor: Option<Cursor>,
    ) -> Self {
        Self {
            path: path.into(),
            name: name.into(),
            version: version.into(),
            transients: true,
            cursor,
            backoff: Backoff::default(),
            told: None,
            state: State::Waiting(Instant::now()),
        }
    }

    /// The same without transient events.
    #[must_use]
    pub fn durable_only(mut self) -> Self {
        self.transients = false;
        self
    }

    /// The same with other delays between attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The last durable event delivered; before the first, where it began.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// What happens next. Waits as long as nothing does. Cancel safe.
    pub async fn next(&mut self) -> Followed {
        loop {
            match &mut self.state {
                State::Waiting(until) => {
                    sleep_until(*until).await;
                    self.state = State::Connecting(self.connect());
                }
                State::Connecting(attempt) => match attempt.await {
                    Ok(subscription) => return self.connected(subscription),
                    Err(error) => {
                        if let Some(told) = self.lost(error) {
                            return told;
                        }
                    }
                },
                State::Open { subscription, since } => match subscription.next().await {
                    Ok(delivery) => {
                        // Not before: a snapshot or a gap that never arrived is asked for again.
                        if !matches!(delivery, Delivery::Transient(_)) {
                            self.cursor = Some(subscription.cursor());
                        }
                        return Followed::Delivery(delivery);
                    }
                    Err(error) => {
                        // A daemon that dies as soon as it is asked is not asked again at once.
                        if since.elapsed() > self.backoff.max() {
                            self.backoff.reset();
                        }
                        if let Some(told) = self.lost(error) {
                            return told;
                        }
                    }
                },
            }
        }
    }

    fn connect(&self) -> Connecting {
        let (path, name, version) = (self.path.clone(), self.name.clone(), self.version.clone());
        let from = self.cursor.map_or(From::Now, From::After);
        let subscribe = Subscribe { from, transients: self.transients };
        Box::pin(async move { Client::connect(&path, &name, &version).await?.subscribe(subscribe).await })
    }

    fn connected(&mut self, subscription: Subscription) -> Followed {
        let welcome = subscription.welcome().clone();
        self.told = None;
        self.state = State::Open { subscription: Box::new(subscription), since: Instant::now() };
        Followed::Connected(welcome)
    }

    fn lost(&mut self, error: ClientError) -> Option<Followed> {
        let delay = if error.is_connection() { self.backoff.delay() } else { INCOMPATIBLE };
        self.state = State::Waiting(Instant::now() + delay);
        let reason = error.to_string();
        if self.told.as_ref() == Some(&reason) {
            return None;
        }
        self.told = Some(reason);
        Some(Followed::Disconnected(error))
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("path", &self.path)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}
