//! The world around a machine: the actor's part, the processes, and who dies when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use carcin_proto::SessionId;
use carcin_proto::request::{Answer, Configure, Decision, Submit, Withdrawal};

use super::claude::{Behaviour, Claude};
use super::disk::Disk;
use super::*;

#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub(super) struct World {
    pub(super) machine: Machine,
    /// How often it has changed what a Claude is started with.
    pub(super) environment: u32,
    pub(super) disk: Disk,
    pub(super) spool: Vec<Output>,
    /// What the daemon has read of the spool: in the row it is called the offset.
    pub(super) fifo: VecDeque<String>,
    pub(super) claude: Option<Claude>,
    /// The child that the spool is of.
    pub(super) generation: Option<String>,
    /// Spawned by an effect; the actor reports it with the next delivery.
    pub(super) unreported: bool,
    pub(super) dead: bool,
    pub(super) adopted: bool,
    pub(super) rung: Option<Rung>,
    pub(super) dies_in_step: Option<bool>,
    /// The session that the spool is of.
    pub(super) session: Option<SessionId>,
    /// How often a person has changed the session.
    pub(super) epoch: u32,
    /// In which epoch a prompt was sent.
    pub(super) sent: BTreeMap<PromptId, u32>,
    /// In which Claudes a prompt was begun.
    pub(super) begun: BTreeMap<PromptId, Vec<String>>,
    /// Which answers Claude has read, and what they said.
    pub(super) answered: Vec<(RequestId, Behaviour)>,
    /// What people have answered to which question, the first time: whether they allow it.
    pub(super) given: BTreeMap<RequestId, bool>,
    /// The lines that could not be written, by their ids.
    pub(super) unwritable: BTreeSet<String>,
    /// Prompts that Claude had not begun when somebody stopped, and the one Claude that may have had them.
    pub(super) stopped: BTreeMap<PromptId, Option<String>>,
    /// Those that somebody waits for, who has taken them back.
    pub(super) withdrawing: BTreeSet<PromptId>,
    /// Of which somebody was told that they are taken back, and how often they had begun by then.
    pub(super) withdrawn: BTreeMap<PromptId, usize>,
    /// Lines that are in the daemon's memory.
    pub(super) writing: VecDeque<String>,
    pub(super) stalled: bool,
    pub(super) uptime: Duration,
    /// How often a power cut made all forget that a prompt had begun.
    pub(super) excused: BTreeMap<PromptId, usize>,
    /// What survives a power cut.
    pub(super) synced: Disk,
    pub(super) synced_events: usize,
    /// Prompts that were there when something ended what is there.
    pub(super) endable: BTreeSet<PromptId>,
    /// Prompts whose turn Claude ended without an answer.
    pub(super) unanswered: BTreeSet<PromptId>,
    pub(super) submitted: u32,
    /// How often Claude has gone on with a turn.
    pub(super) worked: u32,
    /// How many questions it has asked.
    pub(super) questions: u32,
}

fn environment(changes: u32) -> String {
    format!("environment {changes}")
}

impl World {
    pub(super) fn new() -> Self {
        let machine = Machine::open(key(), PathBuf::from("/"), Millis(1));
        let mut world = Self {
            machine: machine.with_environment(environment(0)),
            environment: 0,
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
            given: BTreeMap::new(),
            unwritable: BTreeSet::new(),
            stopped: BTreeMap::new(),
            withdrawing: BTreeSet::new(),
            withdrawn: BTreeMap::new(),
            writing: VecDeque::new(),
            stalled: false,
            uptime: Duration::ZERO,
            excused: BTreeMap::new(),
            synced: Disk::default(),
            synced_events: 0,
            endable: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            submitted: 0,
            worked: 0,
            questions: 0,
        };
        world.flush();
        // A conversation is opened for a prompt, and that is synced.
        world.synced = world.disk.rows();
        world.synced_events = world.disk.events.len();
        world
    }

    /// A Claude that has begun its prompt, and all is read.
    pub(super) fn at_work() -> Self {
        let mut world = Self::new();
        world.live(Fate::Submit(Placement::Steer));
        world.live(Fate::Deliver(0));
        for _ in 0..2 {
            world.live(Fate::Read);
        }
        world.live(Fate::Work);
        world.live(Fate::Deliver(20));
        world
    }

    /// The actor's part: commit, then carry out.
    pub(super) fn flush(&mut self) {
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
            self.check_idle();
            if step.sync {
                self.synced = self.disk.rows();
                self.synced_events = self.disk.events.len();
            }
            if dies == Some(true) {
                return self.restart();
            }
            for effect in step.effects {
                self.carry_out(effect);
            }
        }
    }

    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn => {
                assert!(self.claude.is_none(), "two Claudes at once");
                self.claude = Some(Claude { epoch: self.epoch, ..Claude::default() });
                self.session.clone_from(&self.machine.row().session);
                self.generation = self.machine.row().child.as_ref().map(|child| child.generation.clone());
                self.spool.clear();
                self.fifo.clear();
                self.writing.clear();
                self.unreported = true;
            }
            // The actor has nobody to give these to before the start is reported.
            Effect::Write { .. } | Effect::Signal(_) if self.unreported => {}
            Effect::Write { line, .. } => {
                self.writing.push_back(line);
                self.write();
            }
            Effect::Signal(rung) => {
                let hung = self.claude.as_ref().is_some_and(|claude| claude.hung);
                match rung {
                    Rung::Interrupt => self.interrupt(),
                    Rung::Terminate if hung => {}
                    Rung::Terminate | Rung::Kill => self.die(),
                }
            }
            Effect::Arm(rung) if rung.replaces(self.rung) => self.rung = Some(rung),
            Effect::Arm(_) => {}
            Effect::Disarm => self.rung = None,
        }
    }

    /// The writer's part.
    fn write(&mut self) {
        if !self.stalled {
            self.fifo.append(&mut self.writing);
        }
    }

    /// Something is about to end what is there.
    fn all_may_end(&mut self) {
        let prompts = self.disk.prompts.values().filter(|prompt| prompt.state != PromptState::Settled);
        self.endable.extend(prompts.map(|prompt| prompt.id));
    }

    /// The daemon is gone; the next one starts from the disk.
    pub(super) fn restart(&mut self) {
        self.withdrawing.clear();
        self.rung = None;
        self.writing.clear();
        self.stalled = false;
        self.unreported = false;
        self.machine = Machine::load(self.disk.load()).with_environment(environment(self.environment));
        self.adopted = false;
        self.machine.at(Millis(1)).uptime(self.uptime);
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

    fn restart_with_other_environment(&mut self) {
        self.environment += 1;
        self.restart();
    }

    /// All is gone but what was synced, and so much of the spool as the file system had written.
    fn power_cut(&mut self, printed: usize) {
        // That these had begun was never committed, and what Claude printed of it may be gone.
        let unknown = self.disk.prompts.values().filter(|prompt| {
            !matches!(prompt.state, PromptState::Started | PromptState::Settled)
                && self.begun.contains_key(&prompt.id)
        });
        for prompt in unknown {
            *self.excused.entry(prompt.id).or_default() += 1;
            self.unanswered.remove(&prompt.id);
        }
        let mut events = std::mem::take(&mut self.disk.events);
        events.truncate(self.synced_events);
        self.disk = Disk { events, ..self.synced.rows() };
        self.die();
        self.spool.truncate(printed);
        self.restart();
    }

    pub(super) fn die(&mut self) {
        if self.claude.take().is_some() {
            self.dead = true;
            self.fifo.clear();
            self.writing.clear();
        }
    }

    /// What Claude printed cannot be read any more, and so it is ended.
    fn unreadable(&mut self) {
        if self.machine.row().child.is_some() && !self.unreported {
            self.die();
            (self.dead, self.adopted) = (false, false);
            self.machine.exited_unread(&Exit::Unknown, String::new());
        }
    }

    pub(super) fn print(&mut self, output: Output) {
        self.spool.push(output);
    }

    pub(super) fn lifecycle(&mut self, prompt: PromptId, state: LifecycleState) {
        self.print(Output::Lifecycle { prompt, state });
    }

    /// The daemon reads on, as its tail does: all lines, then that it has caught up, then the end.
    pub(super) fn deliver(&mut self, lines: u8) {
        if std::mem::take(&mut self.unreported) {
            self.machine.spawned(1);
            self.flush();
        }
        let Some(child) = self.machine.row().child.clone() else { return };
        let from = usize::try_from(child.offset).expect("small");
        if from > self.spool.len() {
            self.dead = false;
            self.machine.exited_unread(&Exit::Unknown, String::new());
            return self.flush();
        }
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

    /// Without what comes of it: see [`Self::live`].
    pub(super) fn submit(&mut self, text: &str, placement: Placement) {
        self.submitted += 1;
        let submit = Submit {
            conversation: key(),
            key: IdempotencyKey::new(format!("key-{}", self.submitted)).expect("a valid key"),
            text: text.to_owned(),
            placement,
            by: "test".to_owned(),
        };
        if let Ok(prompt) = self.machine.submit(submit) {
            self.sent.insert(prompt.id, self.epoch);
        }
    }

    /// A person answers, if anything is asked, and the machine takes it.
    fn answer(&mut self, which: usize, allow: bool) {
        let open = self.disk.requests.values().filter(|request| request.state == RequestState::Open);
        let open: Vec<_> = open.map(|request| request.id.clone()).collect();
        if open.is_empty() {
            return;
        }
        let request = open[which % open.len()].clone();
        let decision = if allow { Decision::Allow } else { Decision::Deny("no".to_owned()) };
        let survives = self.dies_in_step != Some(false);
        let taken =
            self.machine.answer(&Answer { request: request.clone(), decision, by: "test".to_owned() });
        if survives && matches!(taken, Some(Ok(_))) {
            self.given.entry(request).or_insert(allow);
        }
    }

    /// Somebody takes a prompt back. Whether it is told what becomes of it, depends on who dies.
    fn withdraw(&mut self, which: usize) {
        if self.disk.prompts.is_empty() {
            return;
        }
        let row = self.disk.prompts.values().rev().nth(which % self.disk.prompts.len()).expect("it is there");
        let (id, key, unbegun) = (row.id, row.key.clone(), row.unbegun);
        self.endable.insert(id);
        let survives = self.dies_in_step != Some(false);
        match self.machine.withdraw_prompt(&key) {
            Withdrawing::Done(known) if survives => self.told_of_withdrawal(id, known),
            Withdrawing::Asked(prompt) => drop(self.withdrawing.insert(prompt)),
            Withdrawing::NotOpen if unbegun => self.told_of_withdrawal(id, Withdrawal::Withdrawn),
            Withdrawing::Done(_) | Withdrawing::NotOpen => {}
        }
    }

    fn told_of_withdrawal(&mut self, id: PromptId, known: Withdrawal) {
        let begun = self.begun.get(&id).map_or(0, Vec::len);
        match known {
            Withdrawal::Withdrawn => {
                let excused = self.excused.get(&id).copied().unwrap_or_default();
                assert!(begun <= excused, "{id} is taken back, and had begun");
                self.withdrawn.entry(id).or_insert(begun);
            }
            Withdrawal::Begun => assert!(!self.withdrawn.contains_key(&id), "{id} was taken back before"),
            Withdrawal::Unknown => panic!("{id} is known"),
        }
    }

    /// The actor's part.
    fn tell_the_waiting(&mut self) {
        for id in self.withdrawing.clone() {
            if let Some(known) = self.machine.withdrawal(id) {
                self.withdrawing.remove(&id);
                self.told_of_withdrawal(id, known);
            }
        }
    }

    pub(super) fn live(&mut self, fate: Fate) {
        self.machine.at(Millis(1)).uptime(self.uptime);
        match fate {
            Fate::Submit(placement) => self.submit("do", placement),
            Fate::Read => self.read(),
            Fate::Take => self.take(),
            Fate::Work => self.work(),
            Fate::Deliver(lines) => self.deliver(lines),
            Fate::Answer { which, allow } => self.answer(which.into(), allow),
            Fate::Withdraw(which) => self.withdraw(which.into()),
            Fate::Stop => {
                self.all_may_end();
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
                self.all_may_end();
                self.epoch += u32::from(self.dies_in_step != Some(false));
                self.machine.new_session(None, "test");
            }
            Fate::Resume => {
                self.all_may_end();
                self.epoch += u32::from(self.dies_in_step != Some(false));
                let session = SessionId::new(format!("session-{}", self.epoch)).expect("a valid id");
                self.machine.resume(session, None, "test");
            }
            Fate::Configure => drop(self.machine.configure(&Configure {
                conversation: key(),
                model: Some("opus".to_owned()),
                permission_mode: None,
                effort: None,
            })),
            Fate::Space(short) => {
                if short {
                    self.all_may_end();
                }
                self.machine.space(short);
            }
            Fate::Background => self.background(),
            Fate::Babble(babble) => self.babble(babble),
            Fate::Unwritable => {
                let last = if self.writing.is_empty() { &mut self.fifo } else { &mut self.writing };
                if let Some(line) = last.pop_back() {
                    let line: serde_json::Value = serde_json::from_str(&line).expect("lines are JSON");
                    let ids = [&line["uuid"], &line["request_id"], &line["response"]["request_id"]];
                    let id = ids.iter().find_map(|id| id.as_str()).expect("a line has an id").to_owned();
                    self.machine.unwritable(&id, "it is too long");
                    self.unwritable.insert(id);
                }
            }
            Fate::NotStarted => {
                if std::mem::take(&mut self.unreported) {
                    (self.claude, self.dead) = (None, false);
                    self.machine.exited(&Exit::NotStarted("no".to_owned()), String::new());
                }
            }
            Fate::Stall(stalled) => {
                self.stalled = stalled;
                self.write();
            }
            Fate::Hang(hung) => {
                if let Some(claude) = &mut self.claude {
                    claude.hung = hung;
                }
            }
            Fate::NoAnswer { exits } => self.no_answer(exits),
            Fate::Minutes(minutes) => {
                self.uptime += Duration::from_mins(minutes.into());
                self.machine.uptime(self.uptime);
                if self.machine.next_look().is_some_and(|look| look <= self.uptime) {
                    self.machine.look();
                }
            }
            Fate::PowerCut { printed } => self.power_cut(printed.into()),
            Fate::Unreadable => self.unreadable(),
            Fate::ClaudeDies => self.die(),
            Fate::DaemonDies => self.restart(),
            Fate::OtherEnvironment => self.restart_with_other_environment(),
            Fate::DaemonDiesInStep { committed } => self.dies_in_step = Some(committed),
            Fate::Rung => {
                if let Some(rung) = self.rung.take() {
                    self.machine.rung(rung);
                }
            }
        }
        self.flush();
        self.tell_the_waiting();
    }

    /// Lets everybody work, and nobody die, until nothing moves any more.
    pub(super) fn settle(&mut self) {
        self.dies_in_step = None;
        self.live(Fate::Stall(false));
        self.live(Fate::Space(false));
        for round in 0..400 {
            self.live(Fate::Deliver(20));
            self.live(Fate::Answer { which: 1, allow: round % 2 == 0 });
            self.live(Fate::Read);
            self.live(Fate::Work);
            self.live(Fate::Minutes(1));
            // The ladder's time is long: it is up only where nothing else happens.
            if round % 20 == 19 {
                self.live(Fate::Rung);
            }
        }
        // A sign of life may have been asked for at the last moment.
        self.live(Fate::Read);
        self.live(Fate::Deliver(20));
    }
}
