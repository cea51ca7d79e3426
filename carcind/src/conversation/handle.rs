//! What others hold of a conversation: a way to ask its actor. Each call is answered once its effect is durable.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::event::Settlement;
use carcin_proto::inquiry::Inquiry;
use carcin_proto::request::{Answer, Configure, Stopped, Submit, Submitted, Withdrawal};
use carcin_proto::{ConversationKey, IdempotencyKey, Refusal, RefusalCode, SessionId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::machine::{Answered, Call, Reply, Rest};
use super::mailbox::Mail;
use crate::process_stat::ProcessId;

/// How long a prompt waits for a conversation that has failed: its key makes it safe to hand it in again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of a Claude waits for a conversation that has failed.
const LAST_PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two tries.
const AGAIN: Duration = Duration::from_millis(200);

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
            match self.send(Call::Submit(submit.clone(), images.clone())).await {
                Ok(answered) => return expect(answered),
                Err(refusal) if self.mailbox.is_closed() || Instant::now() >= deadline => {
                    return Err(refusal);
                }
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    /// An answer to what Claude asks; the first wins.
    pub async fn answer(&self, answer: Answer) -> Result<Settlement, Refusal> {
        self.call(Call::Answer(answer)).await
    }

    /// Takes back the prompt with this key, if Claude has not begun it.
    pub async fn withdraw(&self, key: IdempotencyKey) -> Result<Withdrawal, Refusal> {
        self.call(Call::Withdraw(key)).await
    }

    /// Ends the running turn and cancels what waits.
    pub async fn stop(&self, by: String) -> Result<Stopped, Refusal> {
        self.call(Call::Stop { by }).await
    }

    /// A new session with the next prompt.
    pub async fn new_session(&self, cwd: Option<PathBuf>, by: String) -> Result<(), Refusal> {
        self.call(Call::New { cwd, by }).await
    }

    /// An earlier session with the next prompt, although the processes `over` have it open.
    pub async fn resume(
        &self,
        session: SessionId,
        cwd: Option<PathBuf>,
        over: Vec<ProcessId>,
        by: String,
    ) -> Result<(), Refusal> {
        self.call(Call::Resume { session, cwd, over, by }).await
    }

    /// Other settings, which a Claude that runs may refuse.
    pub async fn configure(&self, configure: Configure) -> Result<(), Refusal> {
        self.call(Call::Configure(configure)).await
    }

    /// Something for the user to read.
    pub async fn notify(&self, text: String, topic: String) -> Result<(), Refusal> {
        self.call(Call::Notify { text, topic }).await
    }

    /// A file for the user.
    pub async fn offer_file(&self, path: PathBuf, caption: String) -> Result<(), Refusal> {
        self.call(Call::OfferFile { path, caption }).await
    }

    /// What only its Claude knows, as JSON.
    pub async fn inquire(&self, about: Inquiry) -> Result<String, Refusal> {
        self.call(Call::Inquire(about)).await
    }

    /// Ends a subagent or a background task.
    pub async fn stop_task(&self, task: String) -> Result<(), Refusal> {
        self.call(Call::StopTask(task)).await
    }

    /// What not every follower knows.
    pub async fn about(&self) -> Result<Rest, Refusal> {
        self.call(Call::About).await
    }

    /// Whether its Claude, which may be about to end, has this session.
    pub async fn works_in(&self, session: SessionId) -> Result<bool, Refusal> {
        self.call(Call::WorksIn(session)).await
    }

    /// Where it works.
    pub async fn cwd(&self) -> Result<PathBuf, Refusal> {
        self.call(Call::Folder).await
    }

    /// Ends Claude, and waits until it is gone.
    pub(super) async fn shutdown(&self, by: String) {
        let deadline = Instant::now() + LAST_PATIENCE;
        while self.send(Call::Shutdown { by: by.clone() }).await.is_err() && !self.mailbox.is_closed() {
            if Instant::now() >= deadline {
                tracing::error!(conversation = %self.key, "its Claude may still run: the conversation fails");
                return;
            }
            sleep(AGAIN).await;
        }
    }

    async fn call<T: TryFrom<Reply>>(&self, call: Call) -> Result<T, Refusal> {
        expect(self.send(call).await?)
    }

    /// Waits for the reply; an error: there is none, for the actor is gone.
    async fn send(&self, call: Call) -> Result<Answered, Refusal> {
        let (reply, answered) = oneshot::channel();
        self.mailbox.send(Mail::new(call, reply, &self.held)).await.map_err(|_| ending())?;
        answered.await.map_err(|_| if self.mailbox.is_closed() { ending() } else { self.failed() })
    }

    fn failed(&self) -> Refusal {
        let text = format!("the conversation {} failed and is being taken up again", self.key);
        Refusal::new(RefusalCode::ShuttingDown, text).hint("try again in a moment; carcind's log says more")
    }
}

/// The reply that belongs to the call; another one is a defect.
fn expect<T: TryFrom<Reply>>(answered: Answered) -> Result<T, Refusal> {
    let unexpected =
        |_| Refusal::new(RefusalCode::Internal, "carcind answered something else than was asked");
    answered.and_then(|reply| T::try_from(reply).map_err(unexpected))
}
