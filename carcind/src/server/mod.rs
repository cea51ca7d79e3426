//! The socket: who may come in, what they may ask, and what they are told.

mod clients;
mod connection;
mod listen;
mod peer;
mod requests;
mod sessions;
mod subscription;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use carcin_proto::request::ClaudeStatus;
use tokio::sync::{Mutex, Semaphore, mpsc, watch};

pub use clients::Clients;
pub use listen::{BindError, Lock, LockError, bind};

use crate::catalogue::Catalogue;
use crate::conversation::{Conversations, Site};

/// Connections at once. A person has a handful; a hundred and more are a defect or an attack, and wait.
const CONNECTIONS: usize = 128;

/// What the server answers from.
#[derive(Debug, Clone)]
pub struct Server {
    /// The conversations.
    pub conversations: Conversations,
    /// What they share, the journal with it.
    pub site: Arc<Site>,
    /// All sessions on this machine.
    pub catalogue: Catalogue,
    /// Who is subscribed.
    pub clients: Clients,
    /// The Claude Code in use, as far as it is known yet.
    pub claude: watch::Receiver<ClaudeStatus>,
    /// What is wrong with the machine.
    pub problems: watch::Receiver<Vec<String>>,
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
    pub async fn serve(self, listener: interprocess::local_socket::tokio::Listener) {
        use interprocess::local_socket::traits::tokio::Listener as _;
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok(stream) => {
                    let server = self.clone();
                    tokio::spawn(async move {
                        connection::serve(server, stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of descriptors, as a rule: they come back when a connection ends.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}
