//! A stand-in for the Messages API on which the real `claude` runs without an account.
//!
//! What it answers is in the prompt, see [`crate::script`]. It keeps no conversation: each request carries its whole
//! history, and where the script stands follows from that, so resumed sessions, compactions and subagents need
//! nothing special. What it keeps is a record of what it was asked, the open gates and a [`Mode`].

mod control;
mod conversation;
mod environment;
mod messages;
mod record;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use environment::claude_env;
pub use record::{Asked, ModelRequest};

use record::Shared;

/// How the stand-in is started.
#[derive(Debug, Clone, Default)]
pub struct ModelConfig {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
}

/// How the API is doing; tells what every request is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By the script in the prompt.
    #[default]
    Script,
    /// 401: not logged in, or the login has expired.
    Unauthenticated,
    /// 429: too many requests.
    RateLimited,
    /// 529: overloaded.
    Overloaded,
    /// Connections are cut before anything is answered. The control endpoints still answer.
    Down,
}

/// The running stand-in. It ends when this is dropped.
#[derive(Debug)]
pub struct ModelLab {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl ModelLab {
    /// Listens on loopback. Fails if the port is taken.
    pub async fn start(config: ModelConfig) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", config.port))
            .await
            .with_context(|| format!("cannot listen on 127.0.0.1:{}", config.port))?;
        let address = listener.local_addr().context("a listening socket has an address")?;
        let shared = Arc::new(Shared::default());
        let stop = CancellationToken::new();
        tokio::spawn(server::run(listener, Arc::clone(&shared), stop.clone()));
        Ok(Self { address, shared, stop })
    }

    /// What `ANTHROPIC_BASE_URL` is set to.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request for an answer, oldest first; beyond 500 the oldest are forgotten.
    pub fn requests(&self) -> Vec<ModelRequest> {
        self.shared.requests()
    }

    /// Each prompt as the model was asked, in order, with what was sent while it worked. A retry of a request
    /// asks nothing new; the same words sent as two prompts are there twice. Subagents' prompts are not there.
    pub fn prompts(&self) -> Vec<String> {
        self.shared.prompts()
    }

    /// The prompt of each request that begins a turn, in order. One that ran twice is there twice, also where the
    /// CLI put it into the same place; so is one whose request was tried again.
    pub fn begun(&self) -> Vec<String> {
        self.shared.begun()
    }

    /// Opens a gate for good: every `!gate NAME`, waiting or yet to come, passes.
    pub fn open_gate(&self, name: &str) {
        self.shared.open_gate(name);
    }

    /// From now on every request is answered like this; answers that are under way go on.
    pub fn set_mode(&self, mode: Mode) {
        self.shared.set_mode(mode);
    }

    /// Waits until `probe` finds what it looks for in the requests so far.
    ///
    /// Fails with `what` and the prompts seen after `within`.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        probe: impl FnMut(&[ModelRequest]) -> Option<T>,
    ) -> anyhow::Result<T> {
        let found = tokio::time::timeout(within, self.shared.wait_for(probe)).await;
        found.with_context(|| {
            format!("the model waited {within:?} in vain for {what}; it was asked {:?}", self.prompts())
        })
    }
}

impl Drop for ModelLab {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
