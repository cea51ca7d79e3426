//! The world around a machine: the actor's part, the processes, and who dies when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use carcin_proto::SessionId;

use super::super::call::{Answered, Committed, Ticket};
use super::calls::Called;
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
    /// The calls that are not answered, and the replies to the others.
    pub(super) called: BTreeMap<Ticket, Called>,
    pub(super) replies: BTreeMap<Ticket, Answered>,
    pub(super) calls: u64,
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
            called: BTreeMap::new(),
            replies: BTreeMap::new(),
            calls: 0,
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
            if step.is_empty() {
                return;
            }
            let dies = self.dies_in_step.take();
            if dies == Some(false) {
                return self.restart();
            }
            let committed = self.commit(&step);
            self.check_idle();
            if step.sync {
                self.synced = self.disk.rows();
                self.synced_events = self.disk.events.len();
            }
            if dies == Some(true) {
                return self.restart();
            }
            self.machine.committed(&committed);
            for effect in step.effects {
                self.carry_out(effect);
            }
            for (ticket, reply) in step.replies.release(&committed) {
                self.replied(ticket, reply);
            }
        }
    }

    fn commit(&mut self, step: &Step) -> Committed {
        for row in &step.rows {
            if let Row::Prompt(prompt) = row {
                self.sent.entry(prompt.id).or_insert(self.epoch);
            }
        }
        self.disk.commit(&step.rows, &step.items);
        self.proof(&step.items)
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
            Effect::Recall(ticket, past) => self.recall(ticket, &past),
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
        self.called.clear();
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
                self.stop();
                if survives {
                    self.stopped.extend(waiting);
                }
            }
            Fate::NewSession => {
                self.all_may_end();
                self.epoch += u32::from(self.dies_in_step != Some(false));
                self.new_session();
            }
            Fate::Resume => {
                self.all_may_end();
                self.epoch += u32::from(self.dies_in_step != Some(false));
                let session = SessionId::new(format!("session-{}", self.epoch)).expect("a valid id");
                self.resume(session);
            }
            Fate::Configure => drop(self.configure("opus")),
            Fate::Inquire => self.inquire(),
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
                if self.machine.next_tick().is_some_and(|tick| tick <= self.uptime) {
                    self.machine.tick();
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
