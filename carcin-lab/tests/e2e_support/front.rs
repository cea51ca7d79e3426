//! A front end in small: it asks until it is answered, whoever dies in between, and remembers what it was told.

use std::time::Duration;

use anyhow::bail;
use carcin_lab::rig::{Events, PATIENCE, Rig};
use carcin_proto::client::{Backoff, Reconnecting};
use carcin_proto::event::{PromptOutcome, RequestOpened, Settlement};
use carcin_proto::request::{Answer, Decision, New, Placement, Stop, Stopped, Submit, Submitted};
use carcin_proto::{
    ClientError, ConversationKey, Event, IdempotencyKey, PromptId, Refusal, Reply, Request, RequestId,
};

/// The daemon is away for milliseconds.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(50));

/// One conversation.
#[derive(Debug, Clone)]
pub struct Front {
    pub key: ConversationKey,
    pub events: Events,
    pub socket: std::path::PathBuf,
}

impl Front {
    pub fn new(rig: &Rig, key: &str) -> Self {
        let key = ConversationKey::new(key).expect("a valid key");
        Self { key, events: rig.events.clone(), socket: rig.places.socket() }
    }

    /// Asks until there is an answer.
    pub async fn ask(&self, request: Request) -> Result<Reply, ClientError> {
        let client = Reconnecting::new(&self.socket, "front", env!("CARGO_PKG_VERSION"));
        client.backoff(BACKOFF).patience(PATIENCE).request(&request).await
    }

    /// Sends a prompt under this key, as often as it takes.
    pub async fn submit(&self, key: &str, text: &str) -> anyhow::Result<Submitted> {
        let submit = Submit {
            conversation: self.key.clone(),
            key: IdempotencyKey::new(format!("{}/{key}", self.key)).expect("a valid key"),
            text: text.to_owned(),
            placement: Placement::Steer,
            by: "Alex".to_owned(),
        };
        match self.ask(Request::Submit(submit)).await? {
            Reply::Submitted(submitted) => Ok(submitted),
            other => bail!("a prompt was answered {other:?}"),
        }
    }

    /// Sends a prompt and waits for its end.
    pub async fn say(&self, key: &str, text: &str) -> anyhow::Result<PromptOutcome> {
        let prompt = self.submit(key, text).await?.prompt;
        self.events.ended(prompt).await
    }

    /// Waits for what Claude asks.
    pub async fn asked(&self) -> anyhow::Result<RequestOpened> {
        let first = |at: &carcin_proto::Conversation| Some(at.requests.first()?.1.clone());
        self.events.wait_state("a question of Claude's", &self.key, first).await
    }

    /// Answers it, as often as it takes; refused is an answer, too.
    pub async fn answer(
        &self,
        request: &RequestId,
        decision: Decision,
    ) -> anyhow::Result<Result<Settlement, Refusal>> {
        let answer = Answer { request: request.clone(), decision, by: "Alex".to_owned() };
        match self.ask(Request::Answer(answer)).await {
            Ok(Reply::Answered(settlement)) => Ok(Ok(settlement)),
            Err(ClientError::Refused(refusal)) => Ok(Err(refusal)),
            other => bail!("an answer was answered {other:?}"),
        }
    }

    /// Stops what runs.
    pub async fn stop(&self) -> anyhow::Result<Stopped> {
        let stop = Stop { conversation: self.key.clone(), by: "Alex".to_owned() };
        match self.ask(Request::Stop(stop)).await? {
            Reply::Stopped(stopped) => Ok(stopped),
            other => bail!("a stop was answered {other:?}"),
        }
    }

    /// Begins a new session, which ends an idle Claude.
    pub async fn new_session(&self) -> anyhow::Result<()> {
        let new = New { conversation: self.key.clone(), cwd: None };
        self.ask(Request::New(new)).await?;
        Ok(())
    }

    /// Waits until Claude has said this and it is durable.
    pub async fn said(&self, text: &str) -> anyhow::Result<()> {
        let what = format!("Claude to say {text:?}");
        let is_it = |event: &Event| matches!(event, Event::TextBlock(block) if block.text == text);
        self.events.wait_for(&what, |e| e.conversation == self.key && is_it(&e.event)).await.map(drop)
    }

    /// How often Claude has said this.
    pub fn times_said(&self, text: &str) -> usize {
        let log = self.events.log();
        let texts = log.envelopes().filter(|e| e.conversation == self.key);
        texts.filter(|e| matches!(&e.event, Event::TextBlock(block) if block.text == text)).count()
    }

    /// The pids of the Claudes that were recorded, in order; one taken up again is there again.
    pub fn pids(&self) -> Vec<u32> {
        let log = self.events.log();
        let mine = log.envelopes().filter(|e| e.conversation == self.key);
        mine.filter_map(|e| match &e.event {
            Event::ProcessStarted(started) => Some(started.pid),
            _ => None,
        })
        .collect()
    }

    /// The Claude process, once there is one.
    pub async fn pid(&self) -> anyhow::Result<u32> {
        self.events.wait_state("a Claude process", &self.key, |at| at.claude_pid).await
    }

    /// Waits until there is no Claude process.
    pub async fn closed(&self) -> anyhow::Result<()> {
        let closed = |at: &carcin_proto::Conversation| at.claude_pid.is_none().then_some(());
        self.events.wait_state("Claude to be gone", &self.key, closed).await
    }

    /// How a prompt ended, once it has.
    pub async fn ended(&self, prompt: PromptId) -> anyhow::Result<PromptOutcome> {
        self.events.ended(prompt).await
    }
}
