//! One connection: preamble, hello, then requests one at a time, until one of them subscribes.

use std::time::Duration;

use bytes::BytesMut;
use carcin_proto::frame::{Framing, MAX_REQUEST, framing};
use carcin_proto::preamble;
use carcin_proto::request::{Hello, Welcome};
use carcin_proto::{Frame, Kind, Refusal, RefusalCode, Reply, Request};
use futures_util::StreamExt;
use interprocess::local_socket::tokio::Stream;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_util::codec::FramedRead;

use super::peer::Peer;
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
    #[error("the peer took too long")]
    Slow,
    #[error("the peer sent a frame of kind {:#06x} out of place", .0.0)]
    Unexpected(Kind),
    #[error("{0}")]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

pub(super) type Requests<'a> = FramedRead<&'a Stream, Framing>;

/// A peer that has said who it is.
pub(super) struct Session {
    pub(super) client: String,
    /// It may only speak, not decide.
    pub(super) within_claude: bool,
}

/// Serves one connection to its end.
pub(super) async fn serve(server: Server, mut stream: Stream) {
    let peer = match &stream {
        Stream::UdSocket(socket) => Peer::of(socket),
    };
    let Ok(peer) = peer else { return };
    let result = async {
        timeout(HANDSHAKE, preamble::exchange(&mut stream)).await.map_err(|_| Broken::Slow)??;
        let mut send = &stream;
        let mut requests = FramedRead::new(&stream, framing(MAX_REQUEST));
        let served = converse(&server, peer, &mut requests, &mut send).await;
        if let Err(Broken::Refused(refusal)) = &served {
            write(&mut send, &Frame::of(Kind::FAREWELL, 0, refusal)?).await?;
        }
        served
    };
    if let Err(error) = result.await {
        tracing::debug!(%error, uid = peer.uid, pid = peer.pid, "a connection ended");
    }
}

async fn converse(
    server: &Server,
    peer: Peer,
    requests: &mut Requests<'_>,
    send: &mut &Stream,
) -> Result<(), Broken> {
    if !peer.is_owner() {
        let text = "this carcind belongs to another user";
        return Err(Broken::Refused(Refusal::new(RefusalCode::NotAllowed, text)));
    }
    let snapshot = server.site.store.snapshot().await?;
    let within_claude = peer.is_within_claude(&snapshot, &server.site.state_dir);
    let hello = timeout(HANDSHAKE, next(requests)).await.map_err(|_| Broken::Slow)??;
    let Some(hello) = hello else { return Ok(()) };
    if hello.kind != Kind::HELLO {
        return Err(Broken::Unexpected(hello.kind));
    }
    let hello: Hello = hello.decode()?;
    let welcome = Welcome {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        journal: server.site.store.journal(),
        head: snapshot.seq,
    };
    drop(snapshot);
    write(send, &Frame::of(Kind::WELCOME, 0, &welcome)?).await?;
    let session = Session { client: hello.client.chars().take(64).collect(), within_claude };
    while let Some(frame) = next(requests).await? {
        if frame.kind != Kind::REQUEST {
            return Err(Broken::Unexpected(frame.kind));
        }
        let seq = frame.seq;
        // A variant that a newer client knows and this daemon does not cannot be decoded.
        let reply = match frame.decode::<Request>() {
            Ok(Request::Subscribe(subscribe)) if !session.within_claude => {
                return subscription::run(server, &session, subscribe, seq, requests, send).await;
            }
            Ok(request) => server.answer(&session, request).await.unwrap_or_else(Reply::Refused),
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

/// The next frame; `None`: the peer is done.
pub(super) async fn next(requests: &mut Requests<'_>) -> Result<Option<Frame>, Broken> {
    match requests.next().await {
        Some(frame) => Ok(Some(frame?)),
        None => Ok(None),
    }
}

pub(super) async fn write(send: &mut &Stream, frame: &Frame) -> Result<(), Broken> {
    let mut bytes = BytesMut::new();
    frame.put(&mut bytes);
    timeout(READ_REPLY, send.write_all(&bytes)).await.map_err(|_| Broken::Slow)??;
    Ok(())
}
