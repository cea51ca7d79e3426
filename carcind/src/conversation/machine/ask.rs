//! What Claude asks: held until somebody answers, or nobody waits any longer.

use carcin_proto::event::{RequestOpened, RequestSettled, Settlement};
use carcin_proto::request::{Answer, Decision};
use carcin_proto::{Refusal, RefusalCode, RequestId};

use super::{InputKind, Machine, RequestRow, Row, control};
use crate::claude::Asked;
use crate::rows::RequestState;

/// The most questions that are open at a time: all of them are in every snapshot, which must fit a frame.
const MAX_ASKED: usize = 48;

impl Machine {
    pub(super) fn asked(&mut self, asked: Asked) {
        // After an adoption Claude lists what it has asked before.
        if self.requests.iter().any(|request| request.id == asked.request)
            || self.lines.find(asked.request.as_str()).is_some()
        {
            return;
        }
        if self.requests.len() >= MAX_ASKED {
            return self.refuse(&asked.request, "more questions are open than can be shown");
        }
        let turn = self.begin_turn(None).turn;
        let opened = RequestOpened { request: asked.request.clone(), turn, ask: asked.ask };
        let row = RequestRow {
            id: asked.request,
            conversation: self.key.clone(),
            position: self.position(),
            at: self.now,
            opened: opened.clone(),
            tool_input: asked.tool_input,
            state: RequestState::Open,
        };
        self.step.rows.push(Row::Request(Box::new(row.clone())));
        self.step.sync = true;
        self.requests.push(row);
        self.emit(opened);
    }

    /// The first answer. `None`: this conversation has no such open request.
    pub(super) fn answer(&mut self, answer: &Answer) -> Option<Result<Settlement, Refusal>> {
        let at = self.requests.iter().position(|request| request.id == answer.request)?;
        let request = &self.requests[at];
        let line = control::answer(&request.id, &request.opened.ask, &request.tool_input, &answer.decision);
        let line = match line {
            Ok(line) => line,
            Err(error) => return Some(Err(Refusal::new(RefusalCode::Invalid, error.to_string()))),
        };
        let settlement = settlement_of(&answer.decision);
        let id = request.id.to_string();
        self.settle_request(at, settlement.clone(), &answer.by);
        self.send(&id, InputKind::Answer, line);
        Some(Ok(settlement))
    }

    /// Claude takes a question back: as a rule because somebody stopped it.
    pub(super) fn ask_cancelled(&mut self, id: &RequestId) {
        let by = self.row.turn.as_ref().and_then(|turn| turn.stopped_by.clone());
        let why = by.map_or_else(|| "Claude asks no longer".to_owned(), |by| format!("stopped by {by}"));
        self.withdraw(id, &why);
    }

    /// Claude waits no longer for the answer.
    pub(super) fn withdraw(&mut self, id: &RequestId, why: &str) {
        if let Some(at) = self.requests.iter().position(|request| request.id == *id) {
            self.settle_request(at, Settlement::Withdrawn(why.to_owned()), "claude");
        }
        // An answer on its way is settled too: it is not to be sent again.
        self.lines.receipt(id.as_str(), &mut self.step);
    }

    pub(super) fn withdraw_all(&mut self, why: &str) {
        while !self.requests.is_empty() {
            self.settle_request(0, Settlement::Withdrawn(why.to_owned()), "claude");
        }
    }

    fn settle_request(&mut self, at: usize, settlement: Settlement, by: &str) {
        let mut request = self.requests.remove(at);
        request.state = RequestState::Settled(settlement.clone(), by.to_owned());
        self.emit(RequestSettled { request: request.id.clone(), settlement, by: by.to_owned() });
        self.step.rows.push(Row::Request(Box::new(request)));
        self.step.sync = true;
    }

    /// After an adoption: what Claude waits for is what it says it waits for.
    pub(super) fn reconcile(&mut self, pending: Vec<Asked>) {
        let gone: Vec<RequestId> = self
            .requests
            .iter()
            .filter(|request| !pending.iter().any(|asked| asked.request == request.id))
            .map(|request| request.id.clone())
            .collect();
        for id in gone {
            self.withdraw(&id, "Claude asks no longer");
        }
        for asked in pending {
            self.asked(asked);
        }
    }
}

/// How a request is settled by this decision.
pub fn settlement_of(decision: &Decision) -> Settlement {
    match decision {
        Decision::Allow => Settlement::Allowed,
        Decision::AllowAlways(granted) => Settlement::AllowedAlways(granted.clone()),
        Decision::Deny(why) => Settlement::Denied(why.clone()),
        Decision::Answers(answers) => Settlement::Answered(answers.clone()),
        Decision::Content(content) => Settlement::Answered(vec![(String::new(), content.clone())]),
        Decision::Cancel => Settlement::Cancelled,
    }
}
