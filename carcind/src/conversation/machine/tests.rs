//! The machine against a small world: a Claude that obeys the protocol, a spool, a journal, and fate.
//!
//! Fate decides who moves next, who dies, and at which point of a step. Whatever it decides, the promises hold.

mod cases;
mod recorded;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use carcin_proto::event::{Ask, Exit, PermissionAsk, PromptOutcome};
use carcin_proto::request::{Answer, Configure, Decision, Placement, Submit};
use carcin_proto::{
    ConversationKey, ConversationState, Envelope, Event, IdempotencyKey, Millis, PromptId, RequestId, Seq,
    SessionId, Snapshot,
};
use proptest::prelude::*;

use super::{Effect, Machine, Rung};
use crate::claude::{Asked, ControlResponse, Init, LifecycleState, Output, Parsed, SessionState, TurnResult};
use crate::store::{InputRow, Item, Loaded, PromptRow, PromptState, RequestRow, RequestState, Row};

/// What may happen next.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Submit(Placement),
    /// Claude reads a line of its input.
    Read,
    /// Claude works on: it asks, finishes a tool, ends its turn.
    Work,
    /// The daemon reads so many lines of what Claude printed.
    Deliver(u8),
    Answer,
    Stop,
    NewSession,
    Resume,
    Configure,
    /// The disk is nearly full, or no longer.
    Space(bool),
    /// A background task is done: Claude begins a turn by itself.
    Background,
    /// Claude says something again, or something that has no place.
    Babble(Babble),
    /// A line cannot be written to Claude, ever.
    Unwritable,
    /// The Claude that is being started never runs.
    NotStarted,
    ClaudeDies,
    /// The daemon dies between two steps.
    DaemonDies,
    /// The daemon dies in its next step, before or after its commit.
    DaemonDiesInStep {
        committed: bool,
    },
    /// The time of the armed rung is up.
    Rung,
}

/// What Claude says out of turn.
#[derive(Debug, Clone, Copy)]
enum Babble {
    /// Once more that it has a prompt in its queue, or has begun it.
    Again(LifecycleState),
    /// Where a prompt stands that nobody knows.
    Unknown,
    /// The end of a turn that never began.
    Result,
    /// A question, while it does nothing.
    Ask,
}

fn babble() -> impl Strategy<Value = Babble> {
    prop_oneof![
        Just(Babble::Again(LifecycleState::Queued)),
        Just(Babble::Again(LifecycleState::Started)),
        Just(Babble::Unknown),
        Just(Babble::Result),
        Just(Babble::Ask),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Submit(Placement::Steer)),
        2 => Just(Fate::Submit(Placement::Queue)),
        12 => Just(Fate::Read),
        12 => Just(Fate::Work),
        16 => (1..6u8).prop_map(Fate::Deliver),
        3 => Just(Fate::Answer),
        1 => Just(Fate::Stop),
        1 => Just(Fate::NewSession),
        1 => Just(Fate::Resume),
        1 => Just(Fate::Configure),
        1 => any::<bool>().prop_map(Fate::Space),
        1 => Just(Fate::Background),
        2 => babble().prop_map(Fate::Babble),
        1 => Just(Fate::Unwritable),
        1 => Just(Fate::NotStarted),
        1 => Just(Fate::ClaudeDies),
        1 => Just(Fate::DaemonDies),
        1 => any::<bool>().prop_map(|committed| Fate::DaemonDiesInStep { committed }),
        1 => Just(Fate::Rung),
    ]
}

/// A Claude that keeps to the protocol. It starts a prompt, may ask a question, then is done.
#[derive(Debug, Default)]
struct Claude {
    /// After how many changes of the session it was started.
    epoch: u32,
    queue: VecDeque<PromptId>,
    running: Option<PromptId>,
    active: bool,
    asked: Option<RequestId>,
    known: Vec<PromptId>,
}

#[derive(Debug, Default)]
struct Disk {
    conversation: Option<Loaded>,
    prompts: BTreeMap<u64, PromptRow>,
    inputs: BTreeMap<u64, InputRow>,
    requests: BTreeMap<u64, RequestRow>,
    events: Vec<Event>,
}

struct World {
    machine: Machine,
    disk: Disk,
    spool: Vec<Output>,
    /// What the daemon has read of the spool: in the row it is called the offset.
    fifo: VecDeque<String>,
    claude: Option<Claude>,
    /// The child that the spool is of.
    generation: Option<String>,
    /// Spawned by an effect; the actor reports it with the next delivery.
    unreported: bool,
    dead: bool,
    adopted: bool,
    rung: Option<Rung>,
    dies_in_step: Option<bool>,
    /// The session that the spool is of.
    session: Option<SessionId>,
    /// How often a person has changed the session.
    epoch: u32,
    /// In which epoch a prompt was sent.
    sent: BTreeMap<PromptId, u32>,
    /// In which Claudes a prompt was begun.
    begun: BTreeMap<PromptId, Vec<String>>,
    /// Which answers Claude has read.
    answered: Vec<RequestId>,
    /// Prompts that Claude had not begun when somebody stopped, and the one Claude that may have had them.
    stopped: BTreeMap<PromptId, Option<String>>,
    submitted: u32,
    asks: u32,
}

fn key() -> ConversationKey {
    ConversationKey::new("test").expect("a valid key")
}

impl World {
    fn new() -> Self {
        let machine = Machine::open(key(), PathBuf::from("/"), Millis(1));
        let mut world = Self {
            machine,
            disk: Disk::default(),
            spool: Vec::new(),
            fifo: VecDeque::new(),
            claude: None,
            generation: None,
            unreported: false,
            dead: false,
            adopted: false,
            rung: None,
            dies_in_step: None,
            session: None,
            epoch: 0,
            sent: BTreeMap::new(),
            begun: BTreeMap::new(),
            answered: Vec::new(),
            stopped: BTreeMap::new(),
            submitted: 0,
            asks: 0,
        };
        world.flush();
        world
    }

    /// The actor's part: commit, then carry out.
    fn flush(&mut self) {
        loop {
            let step = self.machine.take();
            if step.items.is_empty() && step.rows.is_empty() && step.effects.is_empty() {
                return;
            }
            let dies = self.dies_in_step.take();
            if dies == Some(false) {
                return self.restart();
            }
            self.disk.commit(step.rows, step.items);
            if dies == Some(true) {
                return self.restart();
            }
            for effect in step.effects {
                self.carry_out(effect);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn => {
                assert!(self.claude.is_none(), "two Claudes at once");
                self.claude = Some(Claude { epoch: self.epoch, ..Claude::default() });
                self.session.clone_from(&self.machine.row().session);
                self.generation = self.machine.row().child.as_ref().map(|child| child.generation.clone());
                self.spool.clear();
                self.fifo.clear();
                self.unreported = true;
            }
            // The actor has nobody to give these to before the start is reported.
            Effect::Write { .. } | Effect::Signal(_) if self.unreported => {}
            Effect::Write { line, .. } => self.fifo.push_back(line),
            Effect::Signal(Rung::Interrupt) => self.interrupt(),
            Effect::Signal(Rung::Terminate | Rung::Kill) => self.die(),
            Effect::Arm(rung) => self.rung = Some(rung),
            Effect::Disarm => self.rung = None,
        }
    }

    /// The daemon is gone; the next one starts from the disk.
    fn restart(&mut self) {
        self.rung = None;
        self.unreported = false;
        self.machine = Machine::load(self.disk.load());
        self.adopted = false;
        self.machine.at(Millis(1));
        let child = self.machine.row().child.as_ref().map(|child| child.generation.clone());
        self.dead = false;
        if child.is_none() {
            self.machine.childless();
        } else if child != self.generation {
            self.machine.vanished();
        } else if self.claude.is_some() {
            self.adopted = true;
            self.machine.adopted(1);
        } else {
            self.dead = true;
        }
        self.flush();
    }

    fn die(&mut self) {
        if self.claude.take().is_some() {
            self.dead = true;
            self.fifo.clear();
        }
    }

    fn print(&mut self, output: Output) {
        self.spool.push(output);
    }

    fn lifecycle(&mut self, prompt: PromptId, state: LifecycleState) {
        self.print(Output::Lifecycle { prompt, state });
    }

    fn read(&mut self) {
        let Some(claude) = &mut self.claude else { return };
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
                if claude.asked.as_ref() == Some(&id) {
                    claude.asked = None;
                    self.answered.push(id.clone());
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
                        let pending = claude.asked.clone().map(asked).into_iter().collect();
                        self.receipt(id, Some(pending));
                    }
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

    fn receipt(&mut self, request_id: String, pending: Option<Vec<Asked>>) {
        self.print(Output::ControlResponse(ControlResponse {
            request_id,
            result: Ok("{}".to_owned()),
            pending,
        }));
    }

    fn interrupt(&mut self) {
        let Some(claude) = &mut self.claude else { return };
        let cancelled: Vec<_> = claude.queue.drain(..).collect();
        let (running, asked) = (claude.running.take(), claude.asked.take());
        for prompt in cancelled {
            self.lifecycle(prompt, LifecycleState::Cancelled);
        }
        if let Some(request) = asked {
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
    fn rest(&mut self) {
        let Some(claude) = &mut self.claude else { return };
        if claude.queue.is_empty() && std::mem::take(&mut claude.active) {
            self.print(Output::StateChanged(SessionState::Idle));
        }
    }

    fn begin(&mut self, prompt: PromptId) {
        let generation = self.generation.clone().expect("a Claude runs");
        self.begun.entry(prompt).or_default().push(generation);
        let epoch = self.claude.as_ref().map(|claude| claude.epoch);
        assert_eq!(self.sent.get(&prompt).copied(), epoch, "{prompt} began in another session");
    }

    fn background(&mut self) {
        let Some(claude) = &self.claude else { return };
        if claude.active || claude.known.is_empty() {
            return;
        }
        self.print(Output::StateChanged(SessionState::Running));
        self.print(Output::Init(Init::default()));
        self.print(Output::MessageStarted { parent: None, message: String::new() });
        self.print(Output::Result(TurnResult { num_turns: 1, ..TurnResult::default() }));
        self.print(Output::StateChanged(SessionState::Idle));
    }

    fn babble(&mut self, babble: Babble) {
        let Some(claude) = &self.claude else { return };
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
            Babble::Ask => {
                if claude.active || claude.asked.is_some() || claude.known.is_empty() {
                    return;
                }
                self.asks += 1;
                let request = RequestId::new(format!("request-{}", self.asks)).expect("a valid id");
                self.claude.as_mut().expect("it runs").asked = Some(request.clone());
                self.claude.as_mut().expect("it runs").active = true;
                self.print(Output::Ask(asked(request)));
            }
        }
    }

    fn work(&mut self) {
        let Some(claude) = &mut self.claude else { return };
        if claude.asked.is_some() {
            return;
        }
        let Some(prompt) = claude.running else {
            let Some(prompt) = claude.queue.pop_front() else { return self.rest() };
            claude.running = Some(prompt);
            claude.active = true;
            self.begin(prompt);
            self.print(Output::StateChanged(SessionState::Running));
            self.lifecycle(prompt, LifecycleState::Started);
            self.print(Output::Init(Init::default()));
            return;
        };
        // A steered prompt is taken up after the tool; every third turn asks.
        self.asks += 1;
        if self.asks.is_multiple_of(3) {
            let request = RequestId::new(format!("request-{}", self.asks)).expect("a valid id");
            claude.asked = Some(request.clone());
            return self.print(Output::Ask(asked(request)));
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

    /// The daemon reads on, as its tail does: all lines, then that it has caught up, then the end.
    fn deliver(&mut self, lines: u8) {
        if std::mem::take(&mut self.unreported) {
            self.machine.spawned(1);
            self.flush();
        }
        let Some(child) = self.machine.row().child.clone() else { return };
        let from = usize::try_from(child.offset).expect("small");
        let batch: Vec<_> = self.spool.iter().skip(from).take(lines.into()).cloned().collect();
        let to = from + batch.len();
        for (at, output) in (from..).zip(batch) {
            self.machine.line(
                Parsed::Outputs { session: self.session.clone(), outputs: vec![output] },
                b"",
                0,
            );
            self.machine.consumed(at as u64 + 1);
        }
        let caught_up = to >= self.spool.len();
        if caught_up && std::mem::take(&mut self.adopted) {
            self.machine.caught_up();
        }
        if caught_up && std::mem::take(&mut self.dead) {
            self.machine.exited(&Exit::Signal(9), String::new());
        }
        self.flush();
    }

    fn live(&mut self, fate: Fate) {
        self.machine.at(Millis(1));
        match fate {
            Fate::Submit(placement) => {
                self.submitted += 1;
                let submit = Submit {
                    conversation: key(),
                    key: IdempotencyKey::new(format!("key-{}", self.submitted)).expect("a valid key"),
                    text: "do".to_owned(),
                    placement,
                    by: "test".to_owned(),
                };
                if let Ok(prompt) = self.machine.submit(submit) {
                    self.sent.insert(prompt.id, self.epoch);
                }
            }
            Fate::Read => self.read(),
            Fate::Work => self.work(),
            Fate::Deliver(lines) => self.deliver(lines),
            Fate::Answer => {
                let open = self.disk.requests.values().find(|request| request.state == RequestState::Open);
                if let Some(request) = open.map(|request| request.id.clone()) {
                    let answer = Answer { request, decision: Decision::Allow, by: "test".to_owned() };
                    let _ = self.machine.answer(&answer);
                }
            }
            Fate::Stop => {
                let waiting = self.disk.prompts.values().filter(|prompt| {
                    !matches!(prompt.state, PromptState::Settled | PromptState::Started)
                        && !self.begun.contains_key(&prompt.id)
                });
                let of = |prompt: &PromptRow| match prompt.state {
                    PromptState::Accepted => (prompt.id, None),
                    _ => (prompt.id, self.generation.clone()),
                };
                let waiting: Vec<_> = waiting.map(of).collect();
                let survives = self.dies_in_step != Some(false);
                self.machine.stop("test");
                if survives {
                    self.stopped.extend(waiting);
                }
            }
            Fate::NewSession => {
                self.epoch += u32::from(self.dies_in_step != Some(false));
                self.machine.new_session(None, "test");
            }
            Fate::Resume => {
                self.epoch += u32::from(self.dies_in_step != Some(false));
                let session = SessionId::new(format!("session-{}", self.epoch)).expect("a valid id");
                self.machine.resume(session, None, "test");
            }
            Fate::Configure => self.machine.configure(&Configure {
                conversation: key(),
                model: Some("opus".to_owned()),
                permission_mode: None,
                effort: None,
            }),
            Fate::Space(short) => self.machine.space(short),
            Fate::Background => self.background(),
            Fate::Babble(babble) => self.babble(babble),
            Fate::Unwritable => {
                if let Some(line) = self.fifo.pop_back() {
                    let line: serde_json::Value = serde_json::from_str(&line).expect("lines are JSON");
                    let ids = [&line["uuid"], &line["request_id"], &line["response"]["request_id"]];
                    let id = ids.iter().find_map(|id| id.as_str()).expect("a line has an id").to_owned();
                    self.machine.unwritable(&id, "it is too long");
                }
            }
            Fate::NotStarted => {
                if std::mem::take(&mut self.unreported) {
                    (self.claude, self.dead) = (None, false);
                    self.machine.exited(&Exit::NotStarted("no".to_owned()), String::new());
                }
            }
            Fate::ClaudeDies => self.die(),
            Fate::DaemonDies => self.restart(),
            Fate::DaemonDiesInStep { committed } => self.dies_in_step = Some(committed),
            Fate::Rung => {
                if let Some(rung) = self.rung.take() {
                    self.machine.rung(rung);
                }
            }
        }
        self.flush();
    }

    /// Lets everybody work, and nobody die, until nothing moves any more.
    fn settle(&mut self) {
        self.dies_in_step = None;
        self.live(Fate::Space(false));
        for round in 0..400 {
            self.live(Fate::Deliver(20));
            self.live(Fate::Answer);
            self.live(Fate::Read);
            self.live(Fate::Work);
            // The ladder's time is long: it is up only where nothing else happens.
            if round % 40 == 39 {
                self.live(Fate::Rung);
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (seq, event) in (1..).zip(&self.disk.events) {
            let envelope = Envelope { conversation: key(), at: Millis(1), event: event.clone() };
            snapshot.apply(Seq(seq), &envelope);
        }
        snapshot
    }

    /// What holds at every moment.
    fn check(&self) {
        for (prompt, claudes) in &self.begun {
            assert!(claudes.len() <= 1, "{prompt} began {} times", claudes.len());
        }
        for (prompt, claude) in &self.stopped {
            let elsewhere = self.begun.get(prompt).filter(|claudes| claudes.last() != claude.as_ref());
            assert!(elsewhere.is_none(), "{prompt} began after it was stopped");
        }
        let mut answered = self.answered.clone();
        answered.sort();
        answered.dedup();
        assert_eq!(answered.len(), self.answered.len(), "an answer was taken twice");
    }

    /// What holds when all is quiet.
    fn check_settled(&self) {
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
        }
        let snapshot = self.snapshot();
        let conversation = &snapshot.conversations[&key()];
        assert!(
            matches!(conversation.state(), ConversationState::Idle | ConversationState::Closed),
            "not at rest: {conversation:?}\n{:#?}",
            self.disk.events
        );
        assert!(conversation.queue.is_empty(), "still queued: {:?}", conversation.queue);
        assert!(self.disk.prompts.values().all(|prompt| prompt.state == PromptState::Settled));
        assert!(self.disk.requests.values().all(|request| request.state != RequestState::Open));
        assert!(self.disk.inputs.is_empty(), "without a receipt: {:?}", self.disk.inputs);
    }
}

impl Disk {
    fn commit(&mut self, rows: Vec<Row>, items: Vec<Item>) {
        for row in rows {
            match row {
                Row::Conversation(row) => {
                    self.conversation = Some(Loaded {
                        key: key(),
                        conversation: *row,
                        prompts: vec![],
                        inputs: vec![],
                        requests: vec![],
                    });
                }
                Row::Prompt(row) => drop(self.prompts.insert(row.position, *row)),
                Row::Input(row) => {
                    self.inputs.retain(|_, input| input.id != row.id);
                    self.inputs.insert(row.position, row);
                }
                Row::InputDone(id) => self.inputs.retain(|_, input| input.id != id),
                Row::Request(row) => drop(self.requests.insert(row.position, *row)),
            }
        }
        for item in items {
            if let Item::Durable(event) = item {
                self.events.push(event);
            }
        }
    }

    fn load(&self) -> Loaded {
        let open = |prompt: &&PromptRow| prompt.state != PromptState::Settled;
        let waiting = |request: &&RequestRow| request.state == RequestState::Open;
        Loaded {
            prompts: self.prompts.values().filter(open).cloned().collect(),
            inputs: self.inputs.values().cloned().collect(),
            requests: self.requests.values().filter(waiting).cloned().collect(),
            ..self.conversation.clone().expect("the conversation was committed when it was opened")
        }
    }
}

fn asked(request: RequestId) -> Asked {
    Asked {
        request,
        ask: Ask::Permission(PermissionAsk {
            tool: "Bash".to_owned(),
            tool_use: None,
            summary: String::new(),
            input: "{}".to_owned(),
            description: String::new(),
            reason: String::new(),
            blocked_path: None,
            suggestions: String::new(),
        }),
        tool_input: String::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_prompt_starts_at_most_once_and_is_settled(fates in prop::collection::vec(fate(), 0..150)) {
        let mut world = World::new();
        for fate in fates {
            world.live(fate);
            world.check();
        }
        world.settle();
        world.check_settled();
    }
}
