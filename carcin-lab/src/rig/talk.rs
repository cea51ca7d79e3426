//! One conversation, as a person at a front end has it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, bail};
use carcin_proto::event::{PromptOutcome, RequestOpened, Settlement};
use carcin_proto::request::{
    Answer, Decision, New, Placement, Resume, Stop, Stopped, Submit, SubmitWith, Submitted, Withdraw,
    Withdrawal,
};
use carcin_proto::{
    Client, ClientError, ConversationKey, ConversationState, IdempotencyKey, PromptId, Reply, Request,
    RequestId,
};

use super::Events;

/// Asks the daemon on `socket`, on a connection of its own.
pub(super) async fn ask(socket: &std::path::Path, request: &Request) -> Result<Reply, ClientError> {
    let mut client = Client::connect(socket, "rig", env!("CARGO_PKG_VERSION")).await?;
    client.request(request).await
}

/// One conversation. Does not borrow the rig, so that the programs can be killed under it.
#[derive(Debug, Clone)]
pub struct Talk {
    key: ConversationKey,
    socket: PathBuf,
    events: Events,
    /// What it has answered: the events may not tell of that yet.
    answered: Arc<Mutex<Vec<RequestId>>>,
}

impl Talk {
    pub(super) fn new(key: ConversationKey, socket: PathBuf, events: Events) -> Self {
        Self { key, socket, events, answered: Arc::default() }
    }

    /// Its key.
    pub fn key(&self) -> &ConversationKey {
        &self.key
    }

    /// Sends a prompt, to be read at once if Claude works.
    pub async fn send(&self, text: &str) -> anyhow::Result<PromptId> {
        Ok(self.submit(&PromptId::random().to_string(), text, Placement::Steer).await?.prompt)
    }

    /// Sends a prompt for when Claude is done.
    pub async fn queue(&self, text: &str) -> anyhow::Result<PromptId> {
        Ok(self.submit(&PromptId::random().to_string(), text, Placement::Queue).await?.prompt)
    }

    /// Sends a prompt under this key.
    pub async fn submit(
        &self,
        key: &str,
        text: &str,
        placement: Placement,
    ) -> Result<Submitted, ClientError> {
        self.ask_to_submit(&Request::Submit(self.prompt(key, text, placement))).await
    }

    /// Sends a prompt with pictures under this key.
    pub async fn show(&self, key: &str, text: &str, images: Vec<PathBuf>) -> Result<Submitted, ClientError> {
        let submit = self.prompt(key, text, Placement::Steer);
        self.ask_to_submit(&Request::SubmitWith(SubmitWith { submit, images })).await
    }

    fn prompt(&self, key: &str, text: &str, placement: Placement) -> Submit {
        Submit {
            conversation: self.key.clone(),
            key: IdempotencyKey::new(key).expect("a test's key is a valid one"),
            text: text.to_owned(),
            placement,
            by: "Alex".to_owned(),
        }
    }

    async fn ask_to_submit(&self, request: &Request) -> Result<Submitted, ClientError> {
        match ask(&self.socket, request).await? {
            Reply::Submitted(submitted) => Ok(submitted),
            other => panic!("a prompt was answered {other:?}"),
        }
    }

    /// Takes a prompt back.
    pub async fn withdraw(&self, key: &str) -> Result<Withdrawal, ClientError> {
        let key = IdempotencyKey::new(key).expect("a test's key is a valid one");
        let withdraw = Withdraw { conversation: self.key.clone(), key };
        match ask(&self.socket, &Request::Withdraw(withdraw)).await? {
            Reply::Withdrawn(withdrawal) => Ok(withdrawal),
            other => panic!("a withdrawal was answered {other:?}"),
        }
    }

    /// Sends a prompt, waits until it is done, and gives what Claude said, text by text.
    pub async fn say(&self, text: &str) -> anyhow::Result<Vec<String>> {
        let prompt = self.send(text).await?;
        self.answer_to(prompt).await
    }

    /// What Claude said to a prompt, text by text, once it is done.
    pub async fn answer_to(&self, prompt: PromptId) -> anyhow::Result<Vec<String>> {
        match self.events.ended(prompt).await? {
            PromptOutcome::Completed => {}
            outcome => bail!("the prompt ended {outcome:?}\n{}", self.events.log().transcript()),
        }
        let log = self.events.log();
        let turn = log.turn_of(prompt).context("a prompt was completed that was never started")?;
        Ok(log.texts(&self.key, turn))
    }

    /// Waits for what Claude asks and nobody has answered here.
    pub async fn asked(&self) -> anyhow::Result<RequestOpened> {
        let first = |conversation: &carcin_proto::Conversation| {
            let answered = self.answered();
            let mut open = conversation.requests.iter().map(|(_, opened)| opened);
            open.find(|opened| !answered.contains(&opened.request)).cloned()
        };
        self.events.wait_state("a question of Claude's", &self.key, first).await
    }

    /// Answers it.
    pub async fn answer(
        &self,
        request: &RequestId,
        decision: Decision,
        by: &str,
    ) -> Result<Settlement, ClientError> {
        let answer = Answer { request: request.clone(), decision, by: by.to_owned() };
        match ask(&self.socket, &Request::Answer(answer)).await? {
            Reply::Answered(settlement) => {
                self.answered().push(request.clone());
                Ok(settlement)
            }
            other => panic!("an answer was answered {other:?}"),
        }
    }

    fn answered(&self) -> MutexGuard<'_, Vec<RequestId>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what Claude asks, and allows it.
    pub async fn allow(&self) -> anyhow::Result<RequestId> {
        let request = self.asked().await?.request;
        self.answer(&request, Decision::Allow, "Alex").await?;
        Ok(request)
    }

    /// Stops what runs.
    pub async fn stop(&self) -> anyhow::Result<Stopped> {
        let stop = Stop { conversation: self.key.clone(), by: "Alex".to_owned() };
        match ask(&self.socket, &Request::Stop(stop)).await? {
            Reply::Stopped(stopped) => Ok(stopped),
            other => bail!("a stop was answered {other:?}"),
        }
    }

    /// Begins a new session with the next prompt.
    pub async fn new_session(&self) -> Result<(), ClientError> {
        let new = New { conversation: self.key.clone(), cwd: None };
        ask(&self.socket, &Request::New(new)).await.map(drop)
    }

    /// Goes on with an earlier session with the next prompt.
    pub async fn resume(&self, session: &str) -> Result<(), ClientError> {
        let resume = Resume { conversation: self.key.clone(), session: session.to_owned(), force: false };
        ask(&self.socket, &Request::Resume(resume)).await.map(drop)
    }

    /// The Claude process, once there is one.
    pub async fn pid(&self) -> anyhow::Result<u32> {
        self.events.wait_state("a Claude process", &self.key, |conversation| conversation.claude_pid).await
    }

    /// Waits until Claude is there and does nothing.
    pub async fn idle(&self) -> anyhow::Result<()> {
        let idle = |conversation: &carcin_proto::Conversation| {
            (conversation.state() == ConversationState::Idle && conversation.queue.is_empty()).then_some(())
        };
        self.events.wait_state("Claude to be idle", &self.key, idle).await
    }

    /// Waits until there is no Claude process.
    pub async fn closed(&self) -> anyhow::Result<()> {
        let closed = |conversation: &carcin_proto::Conversation| {
            (conversation.state() == ConversationState::Closed).then_some(())
        };
        self.events.wait_state("Claude to be gone", &self.key, closed).await
    }

    /// Waits until so much of a text block is streamed that `part` is in it.
    pub async fn streamed(&self, part: &str) -> anyhow::Result<()> {
        let what = format!("{part:?} to be streamed");
        self.events.wait(&what, |log| log.streamed(&self.key).contains(part).then_some(())).await
    }

    /// The session that the conversation has.
    pub async fn session(&self) -> anyhow::Result<String> {
        let session = |conversation: &carcin_proto::Conversation| {
            conversation.session.as_ref().map(ToString::to_string)
        };
        self.events.wait_state("a session", &self.key, session).await
    }
}
