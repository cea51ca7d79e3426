//! What others hold of a conversation: a way to ask its actor. Each call is answered once its effect is durable.

use std::path::PathBuf;

use carcin_proto::event::Settlement;
use carcin_proto::request::{Answer, Configure, Stopped, Submit, Submitted};
use carcin_proto::{ConversationKey, Refusal, RefusalCode, SessionId};
use tokio::sync::{mpsc, oneshot};

/// A reply that the asker waits for.
pub(super) type Reply<T> = oneshot::Sender<T>;

/// What an actor can be asked.
#[derive(Debug)]
pub(super) enum Ask {
    Submit(Submit, Reply<Result<Submitted, Refusal>>),
    Answer(Answer, Reply<Result<Settlement, Refusal>>),
    Stop(String, Reply<Stopped>),
    New {
        cwd: Option<PathBuf>,
        by: String,
        done: Reply<()>,
    },
    Resume {
        session: SessionId,
        cwd: Option<PathBuf>,
        over: Vec<(u32, u64)>,
        by: String,
        done: Reply<()>,
    },
    Configure(Configure, Reply<()>),
    Notify {
        text: String,
        topic: String,
        done: Reply<()>,
    },
    OfferFile {
        path: PathBuf,
        caption: String,
        done: Reply<()>,
    },
    /// The disk is nearly full, or not.
    Space(bool),
    WorksIn(SessionId, Reply<bool>),
    /// End Claude; answered when it is gone.
    Shutdown {
        by: String,
        gone: Reply<()>,
    },
}

/// A conversation, as others hold it.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) key: ConversationKey,
    pub(super) mailbox: mpsc::Sender<Ask>,
}

fn gone<T>(_: T) -> Refusal {
    Refusal::new(RefusalCode::ShuttingDown, "carcind is ending")
}

impl Handle {
    /// Its key.
    pub fn key(&self) -> &ConversationKey {
        &self.key
    }

    /// A prompt; the same key again gets the same answer.
    pub async fn submit(&self, submit: Submit) -> Result<Submitted, Refusal> {
        self.ask(|reply| Ask::Submit(submit, reply)).await?
    }

    /// An answer to what Claude asks; the first wins.
    pub async fn answer(&self, answer: Answer) -> Result<Settlement, Refusal> {
        self.ask(|reply| Ask::Answer(answer, reply)).await?
    }

    /// Ends the running turn and cancels what waits.
    pub async fn stop(&self, by: String) -> Result<Stopped, Refusal> {
        self.ask(|reply| Ask::Stop(by, reply)).await
    }

    /// A new session with the next prompt.
    pub async fn new_session(&self, cwd: Option<PathBuf>, by: String) -> Result<(), Refusal> {
        self.ask(|done| Ask::New { cwd, by, done }).await
    }

    /// An earlier session with the next prompt, although the processes `over` (pid, start) have it open.
    pub async fn resume(
        &self,
        session: SessionId,
        cwd: Option<PathBuf>,
        over: Vec<(u32, u64)>,
        by: String,
    ) -> Result<(), Refusal> {
        self.ask(|done| Ask::Resume { session, cwd, over, by, done }).await
    }

    /// Other settings.
    pub async fn configure(&self, configure: Configure) -> Result<(), Refusal> {
        self.ask(|done| Ask::Configure(configure, done)).await
    }

    /// Something for the user to read.
    pub async fn notify(&self, text: String, topic: String) -> Result<(), Refusal> {
        self.ask(|done| Ask::Notify { text, topic, done }).await
    }

    /// A file for the user.
    pub async fn offer_file(&self, path: PathBuf, caption: String) -> Result<(), Refusal> {
        self.ask(|done| Ask::OfferFile { path, caption, done }).await
    }

    /// Says whether the disk is nearly full. Never waits, and an actor that is too busy does not hear it: to be
    /// said again and again.
    pub fn space(&self, short: bool) {
        let _ = self.mailbox.try_send(Ask::Space(short));
    }

    /// Whether its Claude, which may be about to end, has this session.
    pub async fn works_in(&self, session: SessionId) -> Result<bool, Refusal> {
        self.ask(|reply| Ask::WorksIn(session, reply)).await
    }

    /// Ends Claude, and waits until it is gone.
    pub async fn shutdown(&self, by: String) {
        let _ = self.ask(|gone| Ask::Shutdown { by, gone }).await;
    }

    async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(ask(reply)).await.map_err(gone)?;
        answer.await.map_err(gone)
    }
}
