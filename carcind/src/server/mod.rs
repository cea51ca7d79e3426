//! The socket: who may come in, what they may ask, and what they are told.

mod about;
mod connection;
mod incoming;
mod inquiries;
mod listen;
mod peer;
mod places;
mod requests;
mod sessions;
mod subscription;

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carcin_proto::request::ClaudeStatus;
use interprocess::local_socket::tokio::{Listener, Stream};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::{Mutex, mpsc, watch};

pub use incoming::LargeFrames;
pub use listen::{BindError, Lock, LockError, bind};
pub use places::Places;

use crate::catalogue::Catalogue;
use crate::conversation::{Conversations, Site};
use peer::Peer;

/// How long to wait before accepting again where that failed: out of descriptors, as a rule.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How often to say so.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// What the server answers from.
#[derive(Debug, Clone)]
pub struct Server {
    /// The conversations.
    pub conversations: Conversations,
    /// What they share, the journal with it.
    pub site: Arc<Site>,
    /// All sessions on this machine.
    pub catalogue: Catalogue,
    /// The Claude Code in use, as far as it is known yet.
    pub claude: watch::Receiver<ClaudeStatus>,
    /// What is wrong with the machine.
    pub problems: watch::Receiver<Vec<String>>,
    /// Who is connected, and how many may be.
    pub places: Places,
    /// How much may be read of them at once.
    pub large: LargeFrames,
    /// Where it listens.
    pub socket: PathBuf,
    /// Since when.
    pub started: Instant,
    /// Held from looking who has a session to taking it, so that two conversations cannot take the same.
    pub resuming: Arc<Mutex<()>>,
    /// Tells the daemon that all Claudes are ended and it is to end too.
    pub ended: mpsc::Sender<()>,
}

impl Server {
    /// Serves connections for as long as it is polled.
    pub async fn serve(self, listener: Listener) {
        use interprocess::local_socket::traits::tokio::Listener as _;
        let mut said: Option<Instant> = None;
        loop {
            match listener.accept().await {
                Ok(stream) => self.begin(stream).await,
                // Without a descriptor the kernel says so before it looks whether anybody is there.
                Err(_) if !is_anybody_there(&listener) => tokio::time::sleep(ACCEPT_AGAIN).await,
                Err(error) => {
                    if said.is_none_or(|said| said.elapsed() > SAY_AGAIN) {
                        said = Some(Instant::now());
                        tracing::warn!(%error, "a connection could not be accepted; trying again");
                    }
                    self.places.make_room();
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    /// Begins to serve a connection, as soon as there is a place for it.
    async fn begin(&self, stream: Stream) {
        let Stream::UdSocket(socket) = &stream;
        let Ok(peer) = Peer::of(socket) else { return };
        let place = self.places.enter(peer.is_owner()).await;
        tokio::spawn(connection::serve(self.clone(), stream, peer, place));
    }
}

/// Whether a connection waits to be accepted.
fn is_anybody_there(listener: &Listener) -> bool {
    let Listener::UdSocket(listener) = listener;
    poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) != Ok(0)
}
