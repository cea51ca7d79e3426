//! The world's Claude: it keeps to the protocol, as far as nobody makes it hang.

use std::collections::VecDeque;

use super::*;

/// The most questions that it has open at a time, as with tools that run side by side.
const MAX_ASKED: usize = 3;

/// A Claude that keeps to the protocol. It starts a prompt, may ask questions, then is done.
#[derive(Debug, Default)]
pub(super) struct Claude {
    /// After how many changes of the session it was started.
    pub(super) epoch: u32,
    pub(super) queue: VecDeque<PromptId>,
    /// Out of the queue, and about to be begun.
    pub(super) taken: Option<PromptId>,
    pub(super) running: Option<PromptId>,
    pub(super) active: bool,
    pub(super) asked: Vec<RequestId>,
    pub(super) known: Vec<PromptId>,
    pub(super) hung: bool,
}

/// What an answer says, as Claude reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Allow,
    Deny,
    /// There is no answer to be had.
    Refused,
}

impl Behaviour {
    fn of(response: &serde_json::Value) -> Self {
        match (response["subtype"].as_str(), response["response"]["behavior"].as_str()) {
            (Some("error"), _) => Self::Refused,
            (_, Some("allow")) => Self::Allow,
            (_, Some("deny")) => Self::Deny,
            _ => panic!("no answer: {response}"),
        }
    }
}

impl World {
    pub(super) fn read(&mut self) {
        let Some(claude) = self.claude.as_mut().filter(|claude| !claude.hung) else { return };
        let Some(line) = self.fifo.pop_front() else { return };
        let line: serde_json::Value = serde_json::from_str(&line).expect("lines to Claude are JSON");
        match line["type"].as_str() {
            Some("user") => {
                let prompt: PromptId = line["uuid"].as_str().expect("a uuid").parse().expect("a uuid");
                if claude.known.contains(&prompt) {
                    return self.print(Output::PromptReplayed { prompt });
                }
                claude.known.push(prompt);
                claude.queue.push_back(prompt);
                self.lifecycle(prompt, LifecycleState::Queued);
            }
            Some("control_response") => {
                let id = line["response"]["request_id"].as_str().expect("an id");
                let id = RequestId::new(id).expect("a valid id");
                if let Some(at) = claude.asked.iter().position(|asked| *asked == id) {
                    claude.asked.remove(at);
                    self.answered.push((id.clone(), Behaviour::of(&line["response"])));
                    self.receipt(id.to_string(), None);
                }
            }
            Some("control_request") => {
                let id = line["request_id"].as_str().expect("an id").to_owned();
                match line["request"]["subtype"].as_str() {
                    Some("interrupt") => {
                        self.receipt(id, None);
                        self.interrupt();
                    }
                    Some("initialize") => {
                        let pending = claude.asked.iter().cloned().map(asked).collect();
                        self.receipt(id, Some(pending));
                    }
                    Some("cancel_async_message") => self.cancel(id, &line["request"]["message_uuid"]),
                    Some("end_session") => {
                        self.receipt(id, None);
                        self.die();
                    }
                    _ => self.receipt(id, None),
                }
            }
            other => panic!("an unknown line: {other:?}"),
        }
    }

    pub(super) fn receipt(&mut self, request_id: String, pending: Option<Vec<Asked>>) {
        self.respond(request_id, "{}", pending);
    }

    fn respond(&mut self, request_id: String, answer: &str, pending: Option<Vec<Asked>>) {
        let result = Ok(answer.to_owned());
        self.print(Output::ControlResponse(ControlResponse { request_id, result, pending }));
    }

    /// Gives a prompt back, if it still waits.
    fn cancel(&mut self, request_id: String, prompt: &serde_json::Value) {
        let prompt: PromptId = prompt.as_str().expect("a uuid").parse().expect("a uuid");
        let claude = self.claude.as_mut().expect("it reads");
        let at = claude.queue.iter().position(|queued| *queued == prompt);
        if let Some(at) = at {
            claude.queue.remove(at);
            self.lifecycle(prompt, LifecycleState::Cancelled);
            self.respond(request_id, r#"{"cancelled":true}"#, None);
        } else {
            self.respond(request_id, r#"{"cancelled":false}"#, None);
        }
    }

    pub(super) fn interrupt(&mut self) {
        let Some(claude) = self.claude.as_mut().filter(|claude| !claude.hung) else { return };
        let cancelled: Vec<_> = claude.taken.take().into_iter().chain(claude.queue.drain(..)).collect();
        let (running, asked) = (claude.running.take(), std::mem::take(&mut claude.asked));
        for prompt in cancelled {
            self.lifecycle(prompt, LifecycleState::Cancelled);
        }
        for request in asked {
            self.print(Output::AskCancelled { request });
        }
        if let Some(prompt) = running {
            self.print(Output::Result(TurnResult {
                terminal_reason: Some("aborted_streaming".to_owned()),
                ..TurnResult::default()
            }));
            self.lifecycle(prompt, LifecycleState::Cancelled);
        }
        self.rest();
    }

    /// Claude says that it does nothing any more, if it said that it did.
    pub(super) fn rest(&mut self) {
        let Some(claude) = &mut self.claude else { return };
        if claude.queue.is_empty() && claude.taken.is_none() && std::mem::take(&mut claude.active) {
            self.print(Output::StateChanged(SessionState::Idle));
        }
    }

    pub(super) fn begin(&mut self, prompt: PromptId) {
        let generation = self.generation.clone().expect("a Claude runs");
        self.begun.entry(prompt).or_default().push(generation);
        let epoch = self.claude.as_ref().map(|claude| claude.epoch);
        assert_eq!(self.sent.get(&prompt).copied(), epoch, "{prompt} began in another session");
    }

    pub(super) fn background(&mut self) {
        let Some(claude) = self.claude.as_ref().filter(|claude| !claude.hung) else { return };
        if claude.active || claude.known.is_empty() {
            return;
        }
        self.print(Output::StateChanged(SessionState::Running));
        self.print(Output::Init(Init::default()));
        self.print(Output::MessageStarted { parent: None, message: String::new() });
        self.print(Output::Result(TurnResult { num_turns: 1, ..TurnResult::default() }));
        self.print(Output::StateChanged(SessionState::Idle));
    }

    pub(super) fn babble(&mut self, babble: Babble) {
        let Some(claude) = self.claude.as_ref().filter(|claude| !claude.hung) else { return };
        match babble {
            Babble::Again(state) => {
                let earlier = claude.known.iter().copied().find(|prompt| self.begun.contains_key(prompt));
                let begun = claude.running.or(earlier);
                if let Some(prompt) = begun {
                    self.lifecycle(prompt, state);
                }
            }
            Babble::Unknown => self.lifecycle(PromptId::random(), LifecycleState::Started),
            Babble::Result => self.print(Output::Result(TurnResult::default())),
            Babble::OthersResult => self.print(Output::Result(TurnResult {
                num_turns: 1,
                prompts: vec![PromptId::random()],
                ..TurnResult::default()
            })),
            Babble::Ask => {
                if !claude.known.is_empty() {
                    self.claude.as_mut().expect("it runs").active = true;
                    self.ask();
                }
            }
        }
    }

    /// Claude asks one question more, if it may.
    fn ask(&mut self) {
        let Some(claude) = self.claude.as_mut().filter(|claude| claude.asked.len() < MAX_ASKED) else {
            return;
        };
        self.questions += 1;
        let request = RequestId::new(format!("request-{}", self.questions)).expect("a valid id");
        claude.asked.push(request.clone());
        self.print(Output::Ask(asked(request)));
    }

    pub(super) fn take(&mut self) {
        let idle = |claude: &&mut Claude| !claude.hung && claude.running.is_none() && claude.taken.is_none();
        if let Some(claude) = self.claude.as_mut().filter(idle) {
            claude.taken = claude.queue.pop_front();
        }
    }

    pub(super) fn work(&mut self) {
        let Some(claude) = self.claude.as_mut().filter(|claude| !claude.hung) else { return };
        if !claude.asked.is_empty() {
            return;
        }
        let Some(prompt) = claude.running else {
            let Some(prompt) = claude.taken.take().or_else(|| claude.queue.pop_front()) else {
                return self.rest();
            };
            claude.running = Some(prompt);
            claude.active = true;
            self.begin(prompt);
            self.print(Output::StateChanged(SessionState::Running));
            self.lifecycle(prompt, LifecycleState::Started);
            self.print(Output::Init(Init::default()));
            return;
        };
        // A steered prompt is taken up after the tools; every third piece of work asks: one, two or three questions.
        self.worked += 1;
        if self.worked.is_multiple_of(3) {
            return (0..=self.worked / 3 % 3).for_each(|_| self.ask());
        }
        let steered = claude.queue.pop_front();
        if let Some(steered) = steered {
            self.begin(steered);
            self.lifecycle(steered, LifecycleState::Started);
            self.lifecycle(steered, LifecycleState::Completed);
        }
        let claude = self.claude.as_mut().expect("it works");
        claude.running = None;
        self.print(Output::Result(TurnResult { num_turns: 1, ..TurnResult::default() }));
        self.lifecycle(prompt, LifecycleState::Completed);
        self.rest();
    }

    /// The turn ends as if all were well, and nothing was done.
    pub(super) fn no_answer(&mut self, exits: bool) {
        let Some(claude) = self.claude.as_mut().filter(|claude| !claude.hung && claude.asked.is_empty())
        else {
            return;
        };
        let Some(prompt) = claude.running.take() else { return };
        self.unanswered.insert(prompt);
        self.print(Output::Result(TurnResult { prompts: vec![prompt], ..TurnResult::default() }));
        self.lifecycle(prompt, LifecycleState::Completed);
        self.rest();
        if exits {
            self.die();
        }
    }
}
