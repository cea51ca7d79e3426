//! A stand-in for carcind: the contract on a socket, a journal in memory, and a test that says what happens.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use carcin_proto::event::{
    Event, PromptAccepted, PromptEnded, PromptOutcome, RequestSettled, Settlement, Transient,
    TransientEnvelope,
};
use carcin_proto::frame::{Frame, Framing, Kind, MAX_REQUEST, framing};
use carcin_proto::request::{
    ClaudeStatus, Decision, From, Gap, GapReason, Hello, Refusal, RefusalCode, Status, Stopped, Submit,
    Submitted, Subscribe, Welcome, Withdraw, Withdrawal,
};
use carcin_proto::{
    ConversationKey, Cursor, Envelope, JournalId, Millis, PromptId, Reply, Request, Seq, Snapshot, preamble,
};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::codec::Framed;

/// What a test answers itself.
pub enum Scripted {
    /// This.
    Reply(Box<Reply>),
    /// Nothing, ever.
    Silence,
    /// These bytes, which are no frame, and the end of the connection.
    Garbage(Vec<u8>),
    /// What the daemon answers anyway.
    Usual,
}

/// See [`Daemon::script`].
pub type Script = Box<dyn FnMut(&Request) -> Scripted + Send>;

/// The daemon; its state outlives [`Daemon::kill`], as a journal does.
pub struct Daemon {
    socket: PathBuf,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    head: watch::Sender<u64>,
}

/// What the daemon knows and was asked.
pub struct State {
    pub journal: JournalId,
    pub events: Vec<(Seq, Envelope)>,
    /// Transient events, each with the durable one before it.
    pub transients: Vec<(Seq, TransientEnvelope)>,
    pub snapshot: Snapshot,
    /// Every request, also repeated ones.
    pub asked: Vec<Request>,
    /// Prompts by key: the same key twice is the same prompt.
    pub prompts: HashMap<String, (PromptId, Submit)>,
    /// Keys in the order of their first arrival.
    pub order: Vec<String>,
    /// Prompts that were taken back.
    pub withdrawn: HashSet<PromptId>,
    /// The pictures of prompts, by key.
    pub images: HashMap<String, Vec<PathBuf>>,
    /// Requests are taken in and never answered.
    pub hang_submits: bool,
    /// Answers are taken in, and never replied to.
    pub hang_answers: bool,
    /// The next submit is refused with this.
    pub refuse: Option<Refusal>,
    /// Every answer comes so much later, and twice.
    pub late: Option<Duration>,
    /// Answers before all else.
    pub script: Option<Script>,
}

/// What a connection is given.
enum Given {
    Reply(Reply),
    Bytes(Vec<u8>),
    Nothing,
}

impl Daemon {
    pub fn new(socket: &Path) -> Self {
        let state = State {
            journal: JournalId::random(),
            events: Vec::new(),
            transients: Vec::new(),
            snapshot: Snapshot::default(),
            asked: Vec::new(),
            prompts: HashMap::new(),
            order: Vec::new(),
            withdrawn: HashSet::new(),
            images: HashMap::new(),
            hang_submits: false,
            hang_answers: false,
            refuse: None,
            late: None,
            script: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), head: watch::channel(0).0 });
        Self { socket: socket.to_owned(), shared, server: None }
    }

    /// Listens.
    pub fn start(&mut self) {
        let listener = UnixListener::bind(&self.socket).expect("the socket is free");
        let shared = Arc::clone(&self.shared);
        self.server = Some(tokio::spawn(async move {
            let mut peers = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accepts");
                peers.spawn(serve(stream, Arc::clone(&shared)));
            }
        }));
    }

    /// Closes all connections at once.
    pub async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            let _ = server.await;
        }
        let _ = std::fs::remove_file(&self.socket);
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no test panics with it")
    }

    /// Something happens in a conversation.
    pub fn emit(&self, conversation: &str, event: impl Into<Event>) {
        self.state().record(&self.shared.head, conversation, event.into());
    }

    /// Something happens that nobody keeps.
    pub fn emit_transient(&self, conversation: &str, event: impl Into<Transient>) {
        let conversation: ConversationKey = conversation.parse().expect("a key");
        let mut state = self.state();
        let after = state.events.last().map_or(Seq(0), |(seq, _)| *seq);
        state.transients.push((after, TransientEnvelope { conversation, event: event.into() }));
        self.shared.head.send_modify(|head| *head += 1);
    }

    /// The journal is lost: a new one begins, with what is in the snapshot.
    pub fn lose_journal(&self) {
        let mut state = self.state();
        state.journal = JournalId::random();
        state.events.clear();
        state.snapshot = Snapshot::default();
    }

    /// Waits until `find` finds something in the state.
    pub async fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&State) -> Option<T>) -> T {
        let mut changes = self.shared.head.subscribe();
        let found = tokio::time::timeout(super::SOON, async {
            loop {
                if let Some(found) = find(&self.state()) {
                    return found;
                }
                changes.changed().await.expect("the daemon lives");
            }
        });
        found.await.unwrap_or_else(|_| panic!("waited in vain for {what}; asked: {:#?}", self.state().asked))
    }

    /// The texts of the prompts that wait, in order.
    pub fn waiting(&self) -> Vec<String> {
        let state = self.state();
        let now = state.snapshot.conversations.values();
        now.flat_map(|now| now.queue.iter().map(|queued| queued.text.clone())).collect()
    }

    /// From now on, `script` answers first.
    pub fn script(&self, script: impl FnMut(&Request) -> Scripted + Send + 'static) {
        self.state().script = Some(Box::new(script));
    }

    /// The prompt with this text.
    pub async fn wait_for_prompt(&self, text: &str) -> (PromptId, Submit) {
        self.wait_for(&format!("the prompt {text:?}"), |state| {
            state.prompts.values().find(|(_, submit)| submit.text == text).cloned()
        })
        .await
    }
}

impl State {
    fn record(&mut self, head: &watch::Sender<u64>, conversation: &str, event: Event) {
        let conversation: ConversationKey = conversation.parse().expect("a key");
        let seq = Seq(self.events.last().map_or(1, |(seq, _)| seq.0 + 1));
        let envelope = Envelope { conversation, at: Millis(1_000_000 + seq.0 * 1000), event };
        self.snapshot.apply(seq, &envelope);
        self.events.push((seq, envelope));
        head.send_modify(|head| *head += 1);
    }

    fn give(&mut self, head: &watch::Sender<u64>, request: Request) -> Given {
        self.asked.push(request.clone());
        head.send_modify(|head| *head += 1);
        match self.script.as_mut().map(|script| script(&request)) {
            Some(Scripted::Reply(reply)) => Given::Reply(*reply),
            Some(Scripted::Silence) => Given::Nothing,
            Some(Scripted::Garbage(bytes)) => Given::Bytes(bytes),
            Some(Scripted::Usual) | None => self.answer(head, request).map_or(Given::Nothing, Given::Reply),
        }
    }

    fn answer(&mut self, head: &watch::Sender<u64>, request: Request) -> Option<Reply> {
        Some(match request {
            Request::Submit(_) | Request::SubmitWith(_) if self.hang_submits => return None,
            Request::Submit(submit) => self.submit(head, submit),
            Request::SubmitWith(with) => {
                self.images.insert(with.submit.key.to_string(), with.images);
                self.submit(head, with.submit)
            }
            Request::Withdraw(withdraw) => Reply::Withdrawn(self.withdraw(head, &withdraw)),
            Request::Stop(stop) => {
                let known = self.snapshot.conversations.get(&stop.conversation);
                let cancelled = known.map(|now| now.queue.iter().map(|queued| queued.prompt).collect());
                let was_running = known.is_some_and(|now| now.turn.is_some());
                Reply::Stopped(Stopped { was_running, cancelled: cancelled.unwrap_or_default() })
            }
            Request::Answer(answer) => {
                let open = self.snapshot.conversations.iter().find_map(|(key, now)| {
                    let found = now.requests.iter().any(|(_, opened)| opened.request == answer.request);
                    found.then(|| key.to_string())
                });
                let Some(key) = open else {
                    let refusal = Refusal::new(RefusalCode::NoRequest, "nobody asks that any longer");
                    return Some(Reply::Refused(refusal));
                };
                let settlement = match answer.decision {
                    Decision::Allow => Settlement::Allowed,
                    Decision::AllowAlways(granted) => Settlement::AllowedAlways(granted),
                    Decision::Deny(why) => Settlement::Denied(why),
                    Decision::Answers(answers) => Settlement::Answered(answers),
                    Decision::Content(_) => Settlement::Answered(Vec::new()),
                    Decision::Cancel => Settlement::Cancelled,
                };
                let settled =
                    RequestSettled { request: answer.request, settlement: settlement.clone(), by: answer.by };
                self.record(head, &key, settled.into());
                if self.hang_answers {
                    return None;
                }
                Reply::Answered(settlement)
            }
            Request::Status => Reply::Status(Box::new(self.status())),
            _ => Reply::Done,
        })
    }

    fn submit(&mut self, head: &watch::Sender<u64>, submit: Submit) -> Reply {
        if let Some(refusal) = self.refuse.take() {
            return Reply::Refused(refusal);
        }
        let key = submit.key.to_string();
        let seq = Seq(self.events.len() as u64);
        if let Some((prompt, _)) = self.prompts.get(&key) {
            return Reply::Submitted(Submitted { prompt: *prompt, ahead: 0, seq });
        }
        let prompt = PromptId::random();
        let accepted = PromptAccepted {
            prompt,
            key: submit.key.clone(),
            text: submit.text.chars().take(20).collect(),
            by: submit.by.clone(),
            ahead: 0,
        };
        let conversation = submit.conversation.to_string();
        self.prompts.insert(key.clone(), (prompt, submit));
        self.order.push(key);
        self.record(head, &conversation, accepted.into());
        Reply::Submitted(Submitted { prompt, ahead: 0, seq })
    }

    fn withdraw(&mut self, head: &watch::Sender<u64>, withdraw: &Withdraw) -> Withdrawal {
        let Some((prompt, _)) = self.prompts.get(withdraw.key.as_str()).cloned() else {
            return Withdrawal::Unknown;
        };
        if self.withdrawn.contains(&prompt) {
            return Withdrawal::Withdrawn;
        }
        let now = self.snapshot.conversations.get(&withdraw.conversation);
        if !now.is_some_and(|now| now.queue.iter().any(|queued| queued.prompt == prompt)) {
            return Withdrawal::Begun;
        }
        self.withdrawn.insert(prompt);
        let ended = PromptEnded { prompt, outcome: PromptOutcome::Cancelled };
        self.record(head, withdraw.conversation.as_str(), ended.into());
        Withdrawal::Withdrawn
    }

    fn status(&self) -> Status {
        Status {
            version: "9.9.9".into(),
            protocol: "1.0".into(),
            pid: 1,
            uptime_ms: Millis(5_000),
            socket: "/nowhere".into(),
            last_seq: self.snapshot.seq,
            claude: ClaudeStatus { path: None, version: None },
            conversations: Vec::new(),
            clients: Vec::new(),
            problems: Vec::new(),
        }
    }
}

/// One connection, until the peer or the test ends it.
async fn serve(mut stream: UnixStream, shared: Arc<Shared>) -> Option<()> {
    preamble::exchange(&mut stream).await.ok()?;
    let mut framed = Framed::new(stream, framing(MAX_REQUEST));
    let hello: Hello = framed.next().await?.ok()?.decode().ok()?;
    assert_eq!(hello.client, "carcin-tg");
    let welcome = {
        let state = shared.state.lock().expect("no test panics with it");
        Welcome { version: "9.9.9".into(), pid: 1, journal: state.journal, head: state.snapshot.seq }
    };
    framed.send(&Frame::of(Kind::WELCOME, 0, &welcome).ok()?).await.ok()?;
    loop {
        let frame = framed.next().await?.ok()?;
        let request: Request = frame.decode().ok()?;
        if let Request::Subscribe(subscribe) = request {
            shared.state.lock().expect("no test panics with it").asked.push(request);
            shared.head.send_modify(|head| *head += 1);
            let cursor = Cursor { journal: welcome.journal, seq: welcome.head };
            framed.send(&Frame::of(Kind::REPLY, frame.seq, &Reply::Subscribed(cursor)).ok()?).await.ok()?;
            return publish(framed, &shared, subscribe).await;
        }
        let (given, late) = {
            let mut state = shared.state.lock().expect("no test panics with it");
            (state.give(&shared.head, request), state.late)
        };
        match given {
            Given::Reply(reply) => {
                let reply = Frame::of(Kind::REPLY, frame.seq, &reply).ok()?;
                if let Some(late) = late {
                    tokio::time::sleep(late).await;
                    framed.send(&reply).await.ok()?;
                }
                framed.send(&reply).await.ok()?;
            }
            Given::Bytes(bytes) => {
                framed.get_mut().write_all(&bytes).await.ok()?;
                return None;
            }
            Given::Nothing => std::future::pending().await,
        }
    }
}

async fn publish(
    mut framed: Framed<UnixStream, Framing>,
    shared: &Shared,
    subscribe: Subscribe,
) -> Option<()> {
    let mut changes = shared.head.subscribe();
    let (first, mut sent, mut told) = {
        let state = shared.state.lock().expect("no test panics with it");
        let told = state.transients.len();
        let (first, sent) = match subscribe.from {
            From::After(cursor) if cursor.journal == state.journal => (None, cursor.seq),
            From::After(_) => {
                let gap = Gap { reason: GapReason::OtherJournal, snapshot: state.snapshot.clone() };
                (Some(Frame::of(Kind::GAP, gap.snapshot.seq.0, &gap).ok()?), state.snapshot.seq)
            }
            From::Now => {
                let seq = state.snapshot.seq;
                (Some(Frame::of(Kind::SNAPSHOT, seq.0, &state.snapshot).ok()?), seq)
            }
        };
        (first, sent, told)
    };
    if let Some(frame) = first {
        framed.send(&frame).await.ok()?;
    }
    loop {
        let frames: Vec<Frame> = {
            let state = shared.state.lock().expect("no test panics with it");
            let durable = state.events.iter().filter(|(seq, _)| *seq > sent);
            let durable = durable.map(|(seq, it)| ((*seq, 0), Frame::durable(*seq, it).expect("fits")));
            let transient = state.transients[told..].iter().filter(|_| subscribe.transients);
            let transient = transient.map(|(after, it)| ((*after, 1), Frame::transient(it).expect("fits")));
            let mut frames: Vec<_> = durable.chain(transient).collect();
            frames.sort_by_key(|(order, _)| *order);
            told = state.transients.len();
            sent = state.events.last().map_or(sent, |(seq, _)| sent.max(*seq));
            frames.into_iter().map(|(_, frame)| frame).collect()
        };
        for frame in frames {
            framed.send(&frame).await.ok()?;
        }
        tokio::select! {
            changed = changes.changed() => changed.ok()?,
            // The peer never writes here: this is its end.
            _ = framed.next() => return None,
        }
    }
}
