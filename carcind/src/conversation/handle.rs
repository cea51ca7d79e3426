//! What others hold of a conversation: a way to ask its actor. Each call is answered once its effect is durable.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::event::{ConversationRecalled, Settlement, Usage};
use carcin_proto::inquiry::Inquiry;
use carcin_proto::request::{Answer, Configure, Stopped, Submit, Submitted, Withdrawal};
use carcin_proto::{ConversationKey, IdempotencyKey, Millis, Refusal, RefusalCode, SessionId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::mailbox::Mail;

/// How long a prompt waits for a conversation that has failed: its key makes it safe to hand it in again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of a Claude waits for a conversation that has failed.
const LAST_PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two tries.
const AGAIN: Duration = Duration::from_millis(200);

/// A reply that the asker waits for.
pub(super) type Reply<T> = oneshot::Sender<T>;

/// What an actor can be asked.
#[derive(Debug)]
pub(super) enum Ask {
    Submit(Submit, Vec<PathBuf>, Reply<Result<Submitted, Refusal>>),
    Answer(Answer, Reply<Result<Settlement, Refusal>>),
    Withdraw(IdempotencyKey, Reply<Result<Withdrawal, Refusal>>),
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
    Configure(Configure, Reply<Result<(), Refusal>>),
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
    Inquire(Inquiry, Reply<Result<String, Refusal>>),
    StopTask(String, Reply<Result<(), Refusal>>),
    About(Reply<Rest>),
    WorksIn(SessionId, Reply<bool>),
    Folder(Reply<PathBuf>),
    /// End Claude; answered when it is gone.
    Shutdown {
        by: String,
        gone: Reply<()>,
    },
}

/// What is known of a conversation besides what every follower knows, and what it is where none does.
#[derive(Debug)]
pub struct Rest {
    /// The session, the folder and the settings, with what else every follower would know of it at rest.
    pub at_rest: ConversationRecalled,
    /// What the last turn that told has used.
    pub usage: Option<Usage>,
    /// When something last happened, on the wall clock.
    pub active_at: Millis,
}

/// A conversation, as others hold it: as long as anybody does, it stays loaded.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) key: ConversationKey,
    pub(super) mailbox: mpsc::Sender<Mail>,
    pub(super) held: Arc<()>,
}

/// Why nothing more is done.
pub(super) fn ending() -> Refusal {
    Refusal::new(RefusalCode::ShuttingDown, "carcind is ending")
}

impl Handle {
    /// Its key.
    pub fn key(&self) -> &ConversationKey {
        &self.key
    }

    /// A prompt; the same key again gets the same answer.
    pub async fn submit(&self, submit: Submit) -> Result<Submitted, Refusal> {
        self.submit_with(submit, Vec::new()).await
    }

    /// The same with pictures.
    pub async fn submit_with(&self, submit: Submit, images: Vec<PathBuf>) -> Result<Submitted, Refusal> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.ask(|reply| Ask::Submit(submit.clone(), images.clone(), reply)).await {
                Ok(answer) => return answer,
                Err(refusal) if self.mailbox.is_closed() || Instant::now() >= deadline => {
                    return Err(refusal);
                }
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    /// An answer to what Claude asks; the first wins.
    pub async fn answer(&self, answer: Answer) -> Result<Settlement, Refusal> {
        self.ask(|reply| Ask::Answer(answer, reply)).await?
    }

    /// Takes back the prompt with this key, if Claude has not begun it.
    pub async fn withdraw(&self, key: IdempotencyKey) -> Result<Withdrawal, Refusal> {
        self.ask(|reply| Ask::Withdraw(key, reply)).await?
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

    /// Other settings, which a Claude that runs may refuse.
    pub async fn configure(&self, configure: Configure) -> Result<(), Refusal> {
        self.ask(|reply| Ask::Configure(configure, reply)).await?
    }

    /// Something for the user to read.
    pub async fn notify(&self, text: String, topic: String) -> Result<(), Refusal> {
        self.ask(|done| Ask::Notify { text, topic, done }).await
    }

    /// A file for the user.
    pub async fn offer_file(&self, path: PathBuf, caption: String) -> Result<(), Refusal> {
        self.ask(|done| Ask::OfferFile { path, caption, done }).await
    }

    /// What only its Claude knows, as JSON.
    pub async fn inquire(&self, about: Inquiry) -> Result<String, Refusal> {
        self.ask(|reply| Ask::Inquire(about, reply)).await?
    }

    /// Ends a subagent or a background task.
    pub async fn stop_task(&self, task: String) -> Result<(), Refusal> {
        self.ask(|reply| Ask::StopTask(task, reply)).await?
    }

    /// What not every follower knows.
    pub async fn about(&self) -> Result<Rest, Refusal> {
        self.ask(Ask::About).await
    }

    /// Whether its Claude, which may be about to end, has this session.
    pub async fn works_in(&self, session: SessionId) -> Result<bool, Refusal> {
        self.ask(|reply| Ask::WorksIn(session, reply)).await
    }

    /// Where it works.
    pub async fn cwd(&self) -> Result<PathBuf, Refusal> {
        self.ask(Ask::Folder).await
    }

    /// Ends Claude, and waits until it is gone.
    pub(super) async fn shutdown(&self, by: String) {
        let deadline = Instant::now() + LAST_PATIENCE;
        while self.ask(|gone| Ask::Shutdown { by: by.clone(), gone }).await.is_err()
            && !self.mailbox.is_closed()
        {
            if Instant::now() >= deadline {
                tracing::error!(conversation = %self.key, "its Claude may still run: the conversation fails");
                return;
            }
            sleep(AGAIN).await;
        }
    }

    async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(Mail::new(ask(reply), &self.held)).await.map_err(|_| ending())?;
        answer.await.map_err(|_| if self.mailbox.is_closed() { ending() } else { self.failed() })
    }

    fn failed(&self) -> Refusal {
        let text = format!("the conversation {} failed and is being taken up again", self.key);
        Refusal::new(RefusalCode::ShuttingDown, text).hint("try again in a moment; carcind's log says more")
    }
}
