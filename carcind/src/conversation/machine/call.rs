//! Calls: what people and tools ask of a conversation, and what they are answered.
//!
//! A call comes with a [`Ticket`]. Its reply is part of the [`Step`](super::Step) that has its effect, and [`Replies`]
//! gives it out only for proof that this step is committed. So nobody is told of what a crash could undo.

use std::path::PathBuf;

use carcin_proto::event::{ConversationRecalled, Settlement, Usage};
use carcin_proto::inquiry::Inquiry;
use carcin_proto::request::{Answer, Configure, Stopped, Submit, Submitted, Withdrawal};
use carcin_proto::{Event, IdempotencyKey, Millis, PromptId, Refusal, Seq, SessionId};

use super::{Effect, Machine};
use crate::process_stat::ProcessId;
use crate::rows::Item;

/// Names a call until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What a conversation can be asked.
#[derive(Debug)]
pub enum Call {
    /// A prompt with its pictures. The caller has made sure that its key is new.
    Submit(Submit, Vec<PathBuf>),
    /// An answer to a question; the first one wins.
    Answer(Answer),
    /// The prompt with this key is not to run, if Claude has not begun it.
    Withdraw(IdempotencyKey),
    /// End the running turn and cancel what waits.
    Stop {
        /// In whose name.
        by: String,
    },
    /// The next prompt begins a new session.
    New {
        /// The folder, if it is another.
        cwd: Option<PathBuf>,
        /// In whose name.
        by: String,
    },
    /// The next prompt resumes this session.
    Resume {
        /// The session.
        session: SessionId,
        /// The folder, if it is another.
        cwd: Option<PathBuf>,
        /// The processes that may have it open all the same.
        over: Vec<ProcessId>,
        /// In whose name.
        by: String,
    },
    /// Other settings.
    Configure(Configure),
    /// Something for the user to read.
    Notify {
        /// What.
        text: String,
        /// What it is about.
        topic: String,
    },
    /// A file for the user.
    OfferFile {
        /// Where it is.
        path: PathBuf,
        /// What to say about it.
        caption: String,
    },
    /// What only Claude knows.
    Inquire(Inquiry),
    /// End this subagent or background task.
    StopTask(String),
    /// What not every follower knows of the conversation.
    About,
    /// Whether its Claude has this session.
    WorksIn(SessionId),
    /// Where it works.
    Folder,
    /// End Claude. The actor answers this one, when Claude is gone.
    Shutdown {
        /// In whose name.
        by: String,
    },
}

/// What is known of a conversation besides what every follower knows, and what it is where none does.
#[derive(Debug, Clone, PartialEq)]
pub struct Rest {
    /// The session, the folder and the settings, with what else every follower would know of it at rest.
    pub at_rest: ConversationRecalled,
    /// What the last turn that told has used.
    pub usage: Option<Usage>,
    /// When something last happened, on the wall clock.
    pub active_at: Millis,
}

/// What a call is answered.
pub type Answered = Result<Reply, Refusal>;

/// Declares [`Reply`], and that each variant can be turned into what it carries.
macro_rules! replies {
    ($($(#[$doc:meta])* $variant:ident($type:ty),)*) => {
        /// What a call that is not refused is answered.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Reply {
            $($(#[$doc])* $variant($type),)*
        }
        $(
            impl TryFrom<Reply> for $type {
                type Error = Reply;

                fn try_from(reply: Reply) -> Result<Self, Reply> {
                    match reply {
                        Reply::$variant(value) => Ok(value),
                        other => Err(other),
                    }
                }
            }
        )*
    };
}

replies! {
    /// It is done.
    Done(()),
    /// The prompt is accepted. Its number is filled in when it is committed.
    Submitted(Submitted),
    /// How the question is settled.
    Settled(Settlement),
    /// What became of the prompt.
    Withdrawal(Withdrawal),
    /// What was stopped.
    Stopped(Stopped),
    /// Claude's answer, as JSON.
    Inquired(String),
    /// To [`Call::About`].
    About(Rest),
    /// Yes or no.
    Is(bool),
    /// The folder.
    Folder(PathBuf),
}

/// What the journal alone knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Past {
    /// What became of the prompt with this key.
    Prompt(IdempotencyKey),
    /// How the question of this answer was settled.
    Request(Answer),
}

/// Proof that a step is committed.
#[derive(Debug, Default)]
pub struct Committed {
    /// The prompts that it made known, and the numbers of the events that did.
    numbers: Vec<(PromptId, Seq)>,
}

impl Committed {
    /// A step with nothing to commit.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A step with these items; `last` is the number of the last durable one.
    pub fn at(items: &[Item], last: Seq) -> Self {
        let durable = items.iter().rev().filter_map(|item| match item {
            Item::Durable(event) => Some(event),
            Item::Transient(_) => None,
        });
        let numbers = (0..).zip(durable).filter_map(|(behind, event)| match event {
            Event::PromptAccepted(accepted) => Some((accepted.prompt, Seq(last.0.saturating_sub(behind)))),
            _ => None,
        });
        Self { numbers: numbers.collect() }
    }

    fn number(&self, prompt: PromptId) -> Option<Seq> {
        self.numbers.iter().find(|(known, _)| *known == prompt).map(|(_, seq)| *seq)
    }
}

/// The replies that belong to a step.
#[derive(Debug, Default)]
pub struct Replies(Vec<(Ticket, Answered)>);

impl Replies {
    pub(super) fn push(&mut self, ticket: Ticket, reply: Answered) {
        self.0.push((ticket, reply));
    }

    /// Whether nobody is answered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives them out, now that the step is committed.
    pub fn release(self, committed: &Committed) -> impl Iterator<Item = (Ticket, Answered)> {
        self.0.into_iter().map(|(ticket, mut reply)| {
            if let Ok(Reply::Submitted(submitted)) = &mut reply
                && let Some(seq) = committed.number(submitted.prompt)
            {
                submitted.seq = seq;
            }
            (ticket, reply)
        })
    }
}

impl Machine {
    /// Takes a call. It is answered once: by a reply of this step or a later one, or by [`Effect::Recall`].
    pub fn call(&mut self, ticket: Ticket, call: Call) {
        let reply = match call {
            Call::Submit(submit, images) => self.submit(submit, images).map(Reply::Submitted),
            Call::Answer(answer) => match self.answer(&answer) {
                Some(settled) => settled.map(Reply::Settled),
                None => return self.step.effects.push(Effect::Recall(ticket, Past::Request(answer))),
            },
            Call::Withdraw(key) => return self.withdraw_prompt(ticket, key),
            Call::Stop { by } => Ok(Reply::Stopped(self.stop(&by))),
            Call::New { cwd, by } => {
                self.new_session(cwd, &by);
                Ok(Reply::Done(()))
            }
            Call::Resume { session, cwd, over, by } => {
                self.resume(session, cwd, &by);
                self.take_over(over);
                Ok(Reply::Done(()))
            }
            Call::Configure(configure) => return self.configure(ticket, &configure),
            Call::Notify { text, topic } => {
                self.notify(text, topic);
                Ok(Reply::Done(()))
            }
            Call::OfferFile { path, caption } => {
                self.offer_file(path, caption);
                Ok(Reply::Done(()))
            }
            Call::Inquire(about) => return self.inquire(ticket, about),
            Call::StopTask(task) => return self.stop_task(ticket, &task),
            Call::About => Ok(Reply::About(self.about())),
            Call::WorksIn(session) => Ok(Reply::Is(self.works_in(&session))),
            Call::Folder => Ok(Reply::Folder(self.row.cwd.clone())),
            Call::Shutdown { by } => return self.shutdown(&by),
        };
        self.reply(ticket, reply);
    }

    pub(super) fn reply(&mut self, ticket: Ticket, reply: Answered) {
        self.step.replies.push(ticket, reply);
    }

    fn about(&self) -> Rest {
        Rest { at_rest: self.recalled(), usage: self.row.usage, active_at: self.row.active_at }
    }

    /// The step is committed. The row of a prompt is written again with each of its steps, and keeps the number that its
    /// sender was told.
    pub fn committed(&mut self, committed: &Committed) {
        for prompt in &mut self.prompts {
            if let Some(seq) = committed.number(prompt.id) {
                prompt.seq = seq;
            }
        }
    }
}
