//! One connection: requests one at a time, or a subscription.

use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::tokio::Stream as _;
use interprocess::local_socket::{GenericFilePath, ToFsName};
use tokio::time::timeout;
use tokio_util::codec::Framed;

use crate::client::ClientError;
use crate::event::{Envelope, TransientEnvelope};
use crate::frame::{Frame, Framing, Kind, MAX_FRAME, MAX_REQUEST, framing};
use crate::ids::{Cursor, Seq};
use crate::preamble;
use crate::request::{Gap, Hello, Reply, Request, Subscribe, Welcome};
use crate::snapshot::Snapshot;

/// How long the handshake may take: the daemon answers it at once or not at all.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a reply may take. A reply waits for a disk, never for Claude.
const REPLY: Duration = Duration::from_secs(30);

/// A connection for requests.
#[derive(Debug)]
pub struct Client {
    framed: Framed<Stream, Framing>,
    welcome: Welcome,
    next: u64,
}

impl Client {
    /// Connects to the socket at `path` and says hello as `client`, at `version`.
    pub async fn connect(path: &Path, client: &str, version: &str) -> Result<Self, ClientError> {
        timeout(HANDSHAKE, Self::handshake(path, client, version))
            .await
            .map_err(|_| ClientError::Timeout(HANDSHAKE))?
    }

    async fn handshake(path: &Path, client: &str, version: &str) -> Result<Self, ClientError> {
        let name = path.to_fs_name::<GenericFilePath>()?;
        let mut stream = Stream::connect(name).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning { socket: path.display().to_string() }
            }
            _ => ClientError::Io(error),
        })?;
        preamble::exchange(&mut stream).await?;
        let mut framed = Framed::new(stream, framing(MAX_FRAME));
        let hello = Hello { client: client.to_owned(), version: version.to_owned() };
        send(&mut framed, &Frame::of(Kind::HELLO, 0, &hello)?).await?;
        let frame = receive(&mut framed).await?.ok_or(ClientError::Closed)?;
        if frame.kind != Kind::WELCOME {
            return Err(ClientError::Unexpected(frame.kind));
        }
        let welcome = frame.decode()?;
        Ok(Self { framed, welcome, next: 1 })
    }

    /// What the daemon said of itself.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Asks and waits for the reply. A refusal is an error. After any other error the connection is of no
    /// further use, and whether the request had its effect is not known.
    pub async fn request(&mut self, request: &Request) -> Result<Reply, ClientError> {
        let seq = self.next;
        self.next += 1;
        let frame = Frame::of(Kind::REQUEST, seq, request)?;
        frame.fits(MAX_REQUEST)?;
        let reply =
            timeout(REPLY, self.exchange(&frame)).await.map_err(|_| ClientError::Timeout(REPLY))??;
        match reply {
            Reply::Refused(refusal) => Err(refusal.into()),
            reply => Ok(reply),
        }
    }

    async fn exchange(&mut self, request: &Frame) -> Result<Reply, ClientError> {
        send(&mut self.framed, request).await?;
        loop {
            let frame = receive(&mut self.framed).await?.ok_or(ClientError::Closed)?;
            if frame.kind != Kind::REPLY {
                continue;
            }
            // A lower number is the reply to a request whose caller stopped waiting.
            match frame.seq.cmp(&request.seq) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(frame.decode()?),
                std::cmp::Ordering::Greater => return Err(ClientError::Unexpected(frame.kind)),
            }
        }
    }

    /// Turns the connection into a subscription.
    pub async fn subscribe(mut self, subscribe: Subscribe) -> Result<Subscription, ClientError> {
        match self.request(&Request::Subscribe(subscribe)).await? {
            Reply::Subscribed(cursor) => {
                Ok(Subscription { framed: self.framed, welcome: self.welcome, cursor })
            }
            _ => Err(ClientError::Unexpected(Kind::REPLY)),
        }
    }
}

/// A connection that carries events.
#[derive(Debug)]
pub struct Subscription {
    framed: Framed<Stream, Framing>,
    welcome: Welcome,
    cursor: Cursor,
}

/// What a subscription delivers.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// The state to begin with.
    Snapshot(Snapshot),
    /// The cursor could not be served; the state to go on from.
    Gap(Gap),
    /// A durable event. `None`: of a kind, or with a variant, that this version does not know; the cursor advances
    /// all the same.
    Durable(Seq, Option<Envelope>),
    /// A transient event.
    Transient(TransientEnvelope),
}

impl Subscription {
    /// What the daemon said of itself.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// The last durable event delivered, in its journal.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next delivery. Waits as long as nothing happens. Cancel safe. After an error there is none.
    pub async fn next(&mut self) -> Result<Delivery, ClientError> {
        loop {
            let frame = receive(&mut self.framed).await?.ok_or(ClientError::Closed)?;
            // An event that cannot be read holds what a later minor version appended. To fail on it would be to
            // fail on it again after every reconnection.
            if frame.kind.is_durable() {
                self.cursor.seq = Seq(frame.seq);
                return Ok(Delivery::Durable(self.cursor.seq, frame.decode_durable().unwrap_or(None)));
            }
            if frame.kind.is_transient() {
                if let Ok(Some(envelope)) = frame.decode_transient() {
                    return Ok(Delivery::Transient(envelope));
                }
                continue;
            }
            match frame.kind {
                Kind::SNAPSHOT => {
                    let snapshot: Snapshot = frame.decode()?;
                    self.cursor.seq = snapshot.seq;
                    return Ok(Delivery::Snapshot(snapshot));
                }
                Kind::GAP => {
                    let gap: Gap = frame.decode()?;
                    self.cursor = Cursor { journal: self.welcome.journal, seq: gap.snapshot.seq };
                    return Ok(Delivery::Gap(gap));
                }
                _ => {}
            }
        }
    }
}

/// Sends. A daemon that has hung up meanwhile may have said why before it did.
async fn send(framed: &mut Framed<Stream, Framing>, frame: &Frame) -> Result<(), ClientError> {
    let Err(error) = framed.send(frame).await else { return Ok(()) };
    loop {
        match receive(framed).await {
            Ok(Some(_)) => {}
            Err(farewell @ ClientError::Farewell(_)) => return Err(farewell),
            Ok(None) | Err(_) => return Err(error.into()),
        }
    }
}

/// The next frame; `None`: the daemon closed the connection. A farewell becomes an error.
async fn receive(framed: &mut Framed<Stream, Framing>) -> Result<Option<Frame>, ClientError> {
    let Some(frame) = framed.next().await else { return Ok(None) };
    let frame = frame?;
    if frame.kind == Kind::FAREWELL {
        return Err(ClientError::Farewell(frame.decode()?));
    }
    Ok(Some(frame))
}
