//! One connection: preamble, hello, then requests one at a time, until one of them subscribes.
//!
//! Nothing here waits for the journal before a request does: a stop gets through while the disk takes nothing.

use std::time::Duration;

use bytes::BytesMut;
use carcin_proto::preamble;
use carcin_proto::request::{Hello, Welcome};
use carcin_proto::{Frame, Kind, Refusal, RefusalCode, Reply, Request};
use interprocess::local_socket::tokio::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::incoming::Incoming;
use super::peer::Peer;
use super::places::Place;
use super::{Server, subscription};
use crate::fault::{self, Point};

/// How long a peer may take for its preamble and hello: it has nothing to wait for.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a peer may take to read a reply. A reply fits the socket's buffer, or nearly so.
const READ_REPLY: Duration = Duration::from_secs(30);

/// The end of a connection that is not the peer's wish.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Preamble(#[from] preamble::PreambleError),
    #[error("the peer sent what is no frame: {0}")]
    Frame(#[from] carcin_proto::frame::FrameError),
    #[error(transparent)]
    Codec(#[from] carcin_proto::CodecError),
    #[error("the peer did not end what it began to say")]
    Silent,
    #[error("the peer does not read what it is sent")]
    Slow,
    #[error("the peer sent a frame of kind {:#06x} out of place", .0.0)]
    Unexpected(Kind),
    #[error("its place was needed for another")]
    SentAway,
    #[error("{0}")]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl Broken {
    /// What to tell the peer. Nothing where it would not hear it, or where a reply may be cut off in its middle;
    /// nor one that is sent away, which is free to come again at once.
    fn farewell(&self) -> Option<Refusal> {
        use carcin_proto::frame::FrameError;
        match self {
            Self::Refused(refusal) => Some(refusal.clone()),
            Self::Frame(FrameError::Short(_) | FrameError::TooLarge { .. } | FrameError::Payload { .. })
            | Self::Silent
            | Self::Unexpected(_) => {
                let hint = "are both programs of one version?";
                Some(Refusal::new(RefusalCode::Invalid, self.to_string()).hint(hint))
            }
            _ => None,
        }
    }
}

pub(super) type Requests<'a> = Incoming<&'a Stream>;

/// A peer that has said who it is.
pub(super) struct Session {
    pub(super) client: String,
    /// It may only speak, not decide.
    pub(super) within_claude: bool,
}

/// Serves one connection to its end.
pub(super) async fn serve(server: Server, mut stream: Stream, peer: Peer, place: Place) {
    let talk = async {
        timeout(HANDSHAKE, preamble::exchange(&mut stream)).await.map_err(|_| Broken::Silent)??;
        if !peer.is_owner() {
            return turn_away(&mut stream).await;
        }
        let mut send = &stream;
        let mut requests = Incoming::new(&stream, server.large.clone());
        let served = converse(&server, peer, &place, &mut requests, &mut send).await;
        if let Err(broken) = &served
            && let Some(farewell) = broken.farewell()
        {
            write(&mut send, &Frame::of(Kind::FAREWELL, 0, &farewell)?).await?;
        }
        served
    };
    let result = tokio::select! {
        result = talk => result,
        () = place.needed() => Err(Broken::SentAway),
    };
    if let Err(error) = result {
        tracing::debug!(%error, uid = peer.uid, pid = peer.pid, "a connection ended");
    }
}

/// Tells another user why not. Of what such a peer says some is taken, so that it does not fail in saying it before it
/// hears this; nothing of it is looked at.
async fn turn_away(stream: &mut Stream) -> Result<(), Broken> {
    let _ = timeout(HANDSHAKE, stream.read(&mut [0; 512])).await.map_err(|_| Broken::Silent)??;
    let refusal = Refusal::new(RefusalCode::NotAllowed, "this carcind belongs to another user");
    write(&mut &*stream, &Frame::of(Kind::FAREWELL, 0, &refusal)?).await?;
    Err(Broken::Refused(refusal))
}

async fn converse(
    server: &Server,
    peer: Peer,
    place: &Place,
    requests: &mut Requests<'_>,
    send: &mut &Stream,
) -> Result<(), Broken> {
    let within_claude = peer.is_within_claude(&server.site);
    let hello = timeout(HANDSHAKE, requests.next()).await.map_err(|_| Broken::Silent)??;
    let Some(hello) = hello else { return Ok(()) };
    if hello.kind != Kind::HELLO {
        return Err(Broken::Unexpected(hello.kind));
    }
    let hello: Hello = hello.decode()?;
    requests.decoded();
    let welcome = Welcome {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        journal: server.site.store.journal(),
        head: server.site.store.head(),
    };
    write(send, &Frame::of(Kind::WELCOME, 0, &welcome)?).await?;
    let session = Session { client: hello.client.chars().take(64).collect(), within_claude };
    place.waits();
    while let Some(frame) = requests.next().await? {
        if frame.kind != Kind::REQUEST {
            return Err(Broken::Unexpected(frame.kind));
        }
        place.works()?;
        let seq = frame.seq;
        let request = frame.decode::<Request>();
        drop(frame);
        requests.decoded();
        let reply = match request {
            Ok(Request::Subscribe(subscribe)) if !session.within_claude => {
                match place.subscribes(&session.client) {
                    Ok(reached) => {
                        return subscription::run(server, reached, subscribe, seq, requests, send).await;
                    }
                    Err(refusal) => Reply::Refused(refusal),
                }
            }
            Ok(request) => server.answer(&session, request).await.unwrap_or_else(Reply::Refused),
            // A variant that a newer client knows and this daemon does not cannot be decoded.
            Err(error) => {
                let text = format!(
                    "carcind {} does not understand this request: {error}",
                    env!("CARGO_PKG_VERSION")
                );
                Reply::Refused(
                    Refusal::new(RefusalCode::Unsupported, text).hint("are both programs of one version?"),
                )
            }
        };
        fault::point(Point::ReplyUnsent);
        write(send, &reply_frame(seq, &reply)?).await?;
        place.waits();
    }
    Ok(())
}

/// A reply that is too large for a frame is refused: the request makes sense, and may be made smaller.
fn reply_frame(seq: u64, reply: &Reply) -> Result<Frame, Broken> {
    Frame::of(Kind::REPLY, seq, reply).or_else(|error| {
        let refusal = Refusal::new(RefusalCode::Internal, format!("the reply is too large: {error}"));
        Ok(Frame::of(Kind::REPLY, seq, &Reply::Refused(refusal.hint("ask for less at once")))?)
    })
}

pub(super) async fn write(send: &mut &Stream, frame: &Frame) -> Result<(), Broken> {
    let mut bytes = BytesMut::new();
    frame.put(&mut bytes);
    timeout(READ_REPLY, send.write_all(&bytes)).await.map_err(|_| Broken::Slow)??;
    Ok(())
}
