//! A client that need not keep to the protocol.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use bytes::BytesMut;
use carcin_lab::rig::PATIENCE;
use carcin_proto::frame::{MAX_FRAME, framing};
use carcin_proto::request::{From, Hello, Subscribe};
use carcin_proto::{Frame, Kind, Refusal, Reply, Request, preamble};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::codec::Decoder as _;

/// A connection, of which nothing is read but what is asked for.
pub(crate) struct Raw {
    pub(crate) stream: UnixStream,
    buffer: BytesMut,
}

impl Raw {
    pub(crate) async fn connect(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).await.context("cannot connect")?;
        Ok(Self { stream, buffer: BytesMut::new() })
    }

    /// Connects and exchanges preambles.
    pub(crate) async fn begun(socket: &Path) -> anyhow::Result<Self> {
        let mut raw = Self::connect(socket).await?;
        timeout(PATIENCE, preamble::exchange(&mut raw.stream)).await.context("no preamble")??;
        Ok(raw)
    }

    /// Connects, says hello and is welcome.
    pub(crate) async fn greeted(socket: &Path) -> anyhow::Result<Self> {
        let mut raw = Self::begun(socket).await?;
        raw.send(&hello()).await?;
        let welcome = raw.frame().await?.context("no welcome")?;
        ensure!(welcome.kind == Kind::WELCOME, "a frame of kind {:?} is no welcome", welcome.kind);
        Ok(raw)
    }

    /// Connects and subscribes; nothing is read after the reply.
    pub(crate) async fn subscribed(socket: &Path, from: From) -> anyhow::Result<Self> {
        let mut raw = Self::greeted(socket).await?;
        raw.send(&request(1, &Request::Subscribe(Subscribe { from, transients: true }))).await?;
        match raw.reply().await? {
            (1, Reply::Subscribed(_)) => Ok(raw),
            other => bail!("a subscription was answered {other:?}"),
        }
    }

    /// Sends bytes, whatever they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.context("nobody reads")?.context("cannot send")
    }

    /// The next frame; `None`: the daemon hung up.
    pub(crate) async fn frame(&mut self) -> anyhow::Result<Option<Frame>> {
        let mut framing = framing(MAX_FRAME);
        loop {
            if let Some(frame) = framing.decode(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(64 * 1024);
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
            match read.context("the daemon says nothing")? {
                Ok(0) => return Ok(None),
                // Hung up with something of ours unread.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next reply, with its number.
    pub(crate) async fn reply(&mut self) -> anyhow::Result<(u64, Reply)> {
        let frame = self.frame().await?.context("hung up instead of a reply")?;
        ensure!(frame.kind == Kind::REPLY, "a frame of kind {:?} is no reply", frame.kind);
        Ok((frame.seq, frame.decode()?))
    }

    /// Why the daemon hangs up; fails unless that comes next, and then the end.
    pub(crate) async fn farewell(&mut self) -> anyhow::Result<Refusal> {
        let frame = self.frame().await?.context("hung up without a farewell")?;
        ensure!(frame.kind == Kind::FAREWELL, "a frame of kind {:?} is no farewell", frame.kind);
        ensure!(self.frame().await?.is_none(), "something comes after a farewell");
        Ok(frame.decode()?)
    }

    /// Waits until the daemon hangs up, with nothing read.
    pub(crate) async fn hung_up_unread(&mut self) -> anyhow::Result<()> {
        timeout(PATIENCE, async {
            // The other end is gone: that shows without reading.
            while !self.stream.ready(tokio::io::Interest::WRITABLE).await?.is_write_closed() {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            Ok(())
        })
        .await
        .context("it does not hang up")?
    }

    /// Waits until the daemon hangs up, and gives how many bytes it said before.
    pub(crate) async fn hung_up(&mut self) -> anyhow::Result<usize> {
        let mut said = Vec::new();
        match timeout(PATIENCE, self.stream.read_to_end(&mut said)).await.context("it does not hang up")? {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(said.len()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A frame's bytes.
pub(crate) fn bytes(frame: &Frame) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    frame.put(&mut bytes);
    bytes.to_vec()
}

/// A hello.
pub(crate) fn hello() -> Vec<u8> {
    let hello = Hello { client: "raw".to_owned(), version: "0".to_owned() };
    bytes(&Frame::of(Kind::HELLO, 0, &hello).expect("a hello is small"))
}

/// A request.
pub(crate) fn request(seq: u64, request: &Request) -> Vec<u8> {
    bytes(&Frame::of(Kind::REQUEST, seq, request).expect("it is small"))
}
