//! What holds, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use carcin_proto::event::{PromptOutcome, Settlement, TurnOutcome};
use carcin_proto::snapshot::Conversation;

use super::claude::Behaviour;
use super::*;

impl World {
    /// How the prompts have ended, in order.
    pub(super) fn outcomes(&self) -> Vec<&PromptOutcome> {
        self.told(|event| match event {
            Event::PromptEnded(ended) => Some(&ended.outcome),
            _ => None,
        })
    }

    /// How the turns have ended, in order.
    pub(super) fn turns(&self) -> Vec<&TurnOutcome> {
        self.told(|event| match event {
            Event::TurnEnded(ended) => Some(&ended.outcome),
            _ => None,
        })
    }

    /// What people were told, in order.
    pub(super) fn notices(&self) -> Vec<&str> {
        self.told(|event| match event {
            Event::Notice(notice) => Some(notice.text.as_str()),
            _ => None,
        })
    }

    fn told<'a, T>(&'a self, what: impl Fn(&'a Event) -> Option<T>) -> Vec<T> {
        self.disk.events.iter().filter_map(what).collect()
    }

    /// What everybody who follows is told of the conversation.
    fn told_of(&self) -> &Conversation {
        &self.disk.snapshot.conversations[&key()]
    }

    /// What holds after every commit: whoever is told that nothing goes on and nothing waits can rely on it.
    pub(super) fn check_idle(&self) {
        let state = self.told_of().state();
        let rests = matches!(state, ConversationState::Idle | ConversationState::Closed);
        if !rests || !self.told_of().queue.is_empty() {
            return;
        }
        let open = self.disk.requests.values().find(|request| request.state == RequestState::Open);
        assert!(open.is_none(), "{state}, and asked: {open:?}");
        let works = self.disk.conversation.as_ref().is_some_and(|loaded| loaded.conversation.active);
        for prompt in self.disk.prompts.values().filter(|prompt| prompt.state != PromptState::Settled) {
            // Claude tells the end of a turn, then that of each prompt in it, and after that that it is idle.
            let ends = state == ConversationState::Idle && prompt.state == PromptState::Started && works;
            assert!(ends, "{state}, and not settled: {prompt:?}\n{:#?}", self.disk.events);
        }
    }

    /// What holds at every moment.
    pub(super) fn check(&self) {
        for (prompt, claudes) in &self.begun {
            let excused = self.excused.get(prompt).copied().unwrap_or_default();
            assert!(claudes.len() <= 1 + excused, "{prompt} began {} times", claudes.len());
        }
        for (prompt, claude) in &self.stopped {
            let elsewhere = self.begun.get(prompt).filter(|claudes| claudes.last() != claude.as_ref());
            assert!(elsewhere.is_none(), "{prompt} began after it was stopped");
        }
        for (prompt, before) in &self.withdrawn {
            let times = self.begun.get(prompt).map_or(0, Vec::len);
            assert_eq!(times, *before, "{prompt} began after somebody was told that it is taken back");
        }
        self.check_answers();
    }

    /// An answer goes to the question that it names: to that one, what was said of that one, and once.
    fn check_answers(&self) {
        let mut settled = BTreeMap::new();
        for request in self.disk.requests.values() {
            let allowed = match &request.state {
                RequestState::Settled(Settlement::Allowed, _) => true,
                RequestState::Settled(Settlement::Denied(_), _) => false,
                _ => continue,
            };
            settled.insert(request.id.clone(), allowed);
        }
        assert_eq!(settled, self.given, "what is settled is not what people have said");
        let mut answered = BTreeSet::new();
        for (request, behaviour) in &self.answered {
            assert!(answered.insert(request), "an answer to {request} was taken twice");
            let given = settled.get(request);
            let right = match behaviour {
                Behaviour::Allow => given == Some(&true),
                Behaviour::Deny => given == Some(&false),
                Behaviour::Refused => given.is_some() && self.unwritable.contains(request.as_str()),
            };
            assert!(right, "Claude reads {behaviour:?} for {request}, and people have said {given:?}");
        }
    }

    /// What holds when all is quiet.
    pub(super) fn check_settled(&self) {
        self.check();
        let mut ended: BTreeMap<PromptId, Vec<&PromptOutcome>> = BTreeMap::new();
        let mut accepted = Vec::new();
        for event in &self.disk.events {
            match event {
                Event::PromptAccepted(event) => accepted.push(event.prompt),
                Event::PromptEnded(event) => ended.entry(event.prompt).or_default().push(&event.outcome),
                _ => {}
            }
        }
        for prompt in accepted {
            let outcomes = ended.get(&prompt).map_or(0, Vec::len);
            assert_eq!(outcomes, 1, "{prompt} has {outcomes} ends: {:#?}", self.disk.events);
            let begun = self.begun.contains_key(&prompt);
            let completed = ended[&prompt][0] == &PromptOutcome::Completed;
            assert!(begun || !completed, "{prompt} is completed and never began");
            let unanswered = self.unanswered.contains(&prompt);
            assert!(!unanswered || !completed, "{prompt} has no answer and is completed");
            assert!(
                !completed || !self.withdrawn.contains_key(&prompt),
                "{prompt} is taken back, and completed"
            );
            let cancelled = ended[&prompt][0] == &PromptOutcome::Cancelled;
            let endable = self.endable.contains(&prompt);
            assert!(
                endable || !cancelled,
                "{prompt} came after all that could end it: {:#?}",
                self.disk.events
            );
        }
        assert!(self.called.is_empty(), "somebody still waits: {:?}", self.called);
        let conversation = self.told_of();
        assert!(
            matches!(conversation.state(), ConversationState::Idle | ConversationState::Closed),
            "not at rest: {conversation:?}\n{:#?}",
            self.disk.events
        );
        assert!(conversation.queue.is_empty(), "still queued: {:?}", conversation.queue);
        assert!(self.disk.prompts.values().all(|prompt| prompt.state == PromptState::Settled));
        assert!(self.disk.requests.values().all(|request| request.state != RequestState::Open));
        if let Some(claude) = &self.claude {
            let rests = !claude.active && claude.running.is_none() && claude.queue.is_empty();
            assert!(rests || claude.hung, "not at rest: {claude:?}");
            assert!(
                self.fifo.is_empty() && self.writing.is_empty(),
                "unread: {:?} {:?}",
                self.fifo,
                self.writing
            );
        }
        assert!(self.disk.inputs.is_empty(), "without a receipt: {:?}", self.disk.inputs);
    }
}
