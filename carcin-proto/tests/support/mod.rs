//! A stand-in for the daemon, one connection at a time under the test's command.

use std::path::{Path, PathBuf};

use carcin_proto::event::Envelope;
use carcin_proto::frame::{Framing, MAX_REQUEST, framing};
use carcin_proto::request::{Hello, Subscribe, Welcome};
use carcin_proto::{
    ConversationKey, Cursor, Event, Frame, JournalId, Kind, Millis, Reply, Request, Seq, Transient,
    TransientEnvelope, preamble,
};
use futures_util::{SinkExt, StreamExt};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::codec::Framed;
use uuid::Uuid;

/// Listens, or does not yet.
pub(crate) struct Daemon {
    _dir: TempDir,
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl Daemon {
    pub(crate) fn absent() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        Self { _dir: dir, path, listener: None }
    }

    pub(crate) fn listening() -> Self {
        let mut daemon = Self::absent();
        daemon.listen();
        daemon
    }

    pub(crate) fn listen(&mut self) {
        self.listener = Some(UnixListener::bind(&self.path).expect("a free path"));
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) async fn accept_stream(&mut self) -> UnixStream {
        self.listener.as_ref().expect("it listens").accept().await.expect("a client").0
    }

    /// The next client, past the preamble.
    pub(crate) async fn accept_raw(&mut self) -> Peer {
        let mut stream = self.accept_stream().await;
        preamble::exchange(&mut stream).await.expect("its preamble");
        Peer::of(stream)
    }

    /// The next client, past the handshake.
    pub(crate) async fn accept(&mut self) -> Peer {
        let mut peer = self.accept_raw().await;
        peer.hello().await;
        peer.welcome().await;
        peer
    }
}

/// A connected client.
pub(crate) struct Peer {
    framed: Framed<UnixStream, Framing>,
}

impl Peer {
    pub(crate) fn of(stream: UnixStream) -> Self {
        Self { framed: Framed::new(stream, framing(MAX_REQUEST)) }
    }

    pub(crate) async fn hello(&mut self) -> Hello {
        let frame = self.framed.next().await.expect("a frame").expect("whole");
        assert_eq!(frame.kind, Kind::HELLO);
        frame.decode().expect("a hello")
    }

    pub(crate) async fn welcome(&mut self) {
        let welcome = Welcome { version: "0".into(), pid: 1, journal: journal(), head: Seq(5) };
        self.send(&Frame::of(Kind::WELCOME, 0, &welcome).expect("encodes")).await;
    }

    pub(crate) async fn request(&mut self) -> (u64, Request) {
        let frame = self.framed.next().await.expect("a frame").expect("whole");
        assert_eq!(frame.kind, Kind::REQUEST);
        (frame.seq, frame.decode().expect("a request"))
    }

    pub(crate) async fn reply(&mut self, seq: u64, reply: Reply) {
        self.send(&Frame::of(Kind::REPLY, seq, &reply).expect("encodes")).await;
    }

    /// Reads the request to subscribe and grants it from `cursor`.
    pub(crate) async fn subscription(&mut self, cursor: Cursor) -> Subscribe {
        let (seq, Request::Subscribe(subscribe)) = self.request().await else { panic!("subscribes") };
        self.reply(seq, Reply::Subscribed(cursor)).await;
        subscribe
    }

    pub(crate) async fn send(&mut self, frame: &Frame) {
        // A client that has gone away is the test's business, not the stand-in's.
        drop(self.framed.send(frame).await);
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.framed.get_mut().write_all(bytes).await.expect("written");
    }
}

pub(crate) fn journal() -> JournalId {
    JournalId(Uuid::from_bytes([1; 16]))
}

pub(crate) fn event(seq: u64, event: Event) -> Frame {
    let conversation = ConversationKey::new("cli").expect("valid");
    Frame::durable(Seq(seq), &Envelope { conversation, at: Millis(0), event }).expect("encodes")
}

pub(crate) fn transient(event: Transient) -> Frame {
    let conversation = ConversationKey::new("cli").expect("valid");
    Frame::transient(&TransientEnvelope { conversation, event }).expect("encodes")
}
