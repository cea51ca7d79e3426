//! A daemon in small: it answers as the test says, and keeps a log of events that any cursor can be served from.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

use carcin_proto::event::{Envelope, Event, Transient};
use carcin_proto::frame::{Framing, MAX_REQUEST, framing};
use carcin_proto::request::{ClaudeStatus, ConversationStatus, From, Hello, Status, Subscribe, Welcome};
use carcin_proto::{
    ConversationKey, ConversationState, Cursor, Frame, JournalId, Kind, Millis, Reply, Request, Seq,
    Snapshot, TransientEnvelope, preamble,
};
use futures_util::{SinkExt, StreamExt};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::codec::Framed;
use uuid::Uuid;

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// A stand-in that listens until it is dropped.
pub(crate) struct Daemon {
    dir: TempDir,
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<Request>,
    listening: JoinSet<()>,
}

struct Shared {
    answer: Box<Answer>,
    log: Mutex<Vec<Frame>>,
    length: watch::Sender<usize>,
    asked: mpsc::UnboundedSender<Request>,
}

impl Daemon {
    /// Answers each request with what `answer` says; subscriptions are served from the log.
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let (asked, requests) = mpsc::unbounded_channel();
        let (length, _) = watch::channel(0);
        let shared = Shared { answer: Box::new(answer), log: Mutex::default(), length, asked };
        let dir = tempfile::tempdir().expect("a directory");
        let mut daemon = Self { dir, shared: Arc::new(shared), requests, listening: JoinSet::new() };
        daemon.listen();
        daemon
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn listen(&mut self) {
        let listener = UnixListener::bind(self.socket()).expect("a free path");
        let shared = Arc::clone(&self.shared);
        self.listening.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
    }

    /// Every connection ends; nobody listens.
    pub(crate) async fn kill(&mut self) {
        self.listening.shutdown().await;
        std::fs::remove_file(self.socket()).expect("our socket");
    }

    /// Listens again, with the same journal.
    pub(crate) fn come_back(&mut self) {
        self.listen();
    }

    /// The next request other than a subscription or for the status.
    pub(crate) async fn asked(&mut self) -> Request {
        loop {
            match self.requests.recv().await.expect("the stand-in runs") {
                Request::Status | Request::Subscribe(_) => {}
                request => return request,
            }
        }
    }

    /// The next subscription.
    pub(crate) async fn subscribed(&mut self) -> Subscribe {
        loop {
            if let Request::Subscribe(subscribe) = self.requests.recv().await.expect("the stand-in runs") {
                return subscribe;
            }
        }
    }

    /// Something happens in the conversation `cli`.
    pub(crate) fn event(&self, event: impl Into<Event>) {
        self.event_in(key(), event);
    }

    /// Something happens in `conversation`.
    pub(crate) fn event_in(&self, conversation: ConversationKey, event: impl Into<Event>) {
        let mut log = self.shared.log();
        let envelope = Envelope { conversation, at: Millis(1_800_000_000_000), event: event.into() };
        let seq = Seq(head(&log).0 + 1);
        log.push(Frame::durable(seq, &envelope).expect("encodes"));
        self.shared.length.send_replace(log.len());
    }

    pub(crate) fn transient(&self, event: impl Into<Transient>) {
        let mut log = self.shared.log();
        let envelope = TransientEnvelope { conversation: key(), event: event.into() };
        log.push(Frame::transient(&envelope).expect("encodes"));
        self.shared.length.send_replace(log.len());
    }

    /// `carcin-ctl` with these arguments, started.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        command(&self.socket(), args).spawn().expect("carcin-ctl starts")
    }

    /// `carcin-ctl` with these arguments, to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Told {
        ended(self.spawn(args)).await
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Vec<Frame>> {
        self.log.lock().expect("no test panics with it")
    }
}

/// `carcin-ctl` as a script calls it.
pub(crate) fn command(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carcin-ctl"));
    command.args(args).env("CARCIN_SOCKET", socket).env("USER", "ana").env("TZ", "UTC");
    command.env_remove("CARCIN_CONVERSATION");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// What a run left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) async fn ended(child: Child) -> Told {
    let Output { status, stdout, stderr } = child.wait_with_output().await.expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Told { code: status.code(), out: text(stdout), err: text(stderr) }
}

async fn serve(mut stream: UnixStream, shared: Arc<Shared>) {
    preamble::exchange(&mut stream).await.expect("a preamble");
    let mut framed = Framed::new(stream, framing(MAX_REQUEST));
    let hello = framed.next().await.expect("a hello").expect("whole");
    let hello: Hello = hello.decode().expect("a hello");
    assert_eq!(hello.client, "carcin-ctl");
    let head = head(&shared.log());
    let welcome = Welcome { version: "0".into(), pid: 1, journal: journal(), head };
    send(&mut framed, &Frame::of(Kind::WELCOME, 0, &welcome).expect("encodes")).await;
    while let Some(Ok(frame)) = framed.next().await {
        let request: Request = frame.decode().expect("a request");
        drop(shared.asked.send(request.clone()));
        let reply = match request {
            Request::Subscribe(subscribe) => return deliver(framed, frame.seq, subscribe, &shared).await,
            request => (shared.answer)(&request),
        };
        send(&mut framed, &Frame::of(Kind::REPLY, frame.seq, &reply).expect("encodes")).await;
    }
}

/// Serves a subscription until the client is gone.
async fn deliver(mut framed: Framed<UnixStream, Framing>, seq: u64, subscribe: Subscribe, shared: &Shared) {
    let mut length = shared.length.subscribe();
    let (head, mut next) = {
        let log = shared.log();
        (head(&log), log.len())
    };
    let cursor = match subscribe.from {
        From::Now => Cursor { journal: journal(), seq: head },
        From::After(cursor) => cursor,
    };
    let reply = Reply::Subscribed(cursor);
    send(&mut framed, &Frame::of(Kind::REPLY, seq, &reply).expect("encodes")).await;
    if let From::After(cursor) = subscribe.from {
        next = shared.log().iter().position(|frame| frame.seq > cursor.seq.0).unwrap_or(next);
    } else {
        let snapshot = Snapshot { seq: head, ..Snapshot::default() };
        send(&mut framed, &Frame::of(Kind::SNAPSHOT, head.0, &snapshot).expect("encodes")).await;
    }
    loop {
        let frames: Vec<Frame> = shared.log()[next..].to_vec();
        next += frames.len();
        for frame in frames.iter().filter(|frame| subscribe.transients || frame.kind.is_durable()) {
            send(&mut framed, frame).await;
        }
        length.wait_for(|length| *length > next).await.expect("the stand-in runs");
    }
}

/// A client that has gone away is the test's business.
async fn send(framed: &mut Framed<UnixStream, Framing>, frame: &Frame) {
    drop(framed.send(frame).await);
}

fn head(log: &[Frame]) -> Seq {
    Seq(log.iter().map(|frame| frame.seq).max().unwrap_or(0))
}

fn journal() -> JournalId {
    JournalId(Uuid::from_bytes([1; 16]))
}

pub(crate) fn key() -> ConversationKey {
    ConversationKey::new("cli").expect("valid")
}

/// A status with these conversations, the first the most recently active.
pub(crate) fn status(keys: &[&str]) -> Reply {
    let conversation = |key: &&str| ConversationStatus {
        key: ConversationKey::new(*key).expect("valid"),
        session_id: None,
        cwd: "/src".into(),
        state: ConversationState::Running,
        claude_pid: Some(2),
        queued: 0,
        model: None,
        permission_mode: None,
        active_at: Millis(1_800_000_000_000),
        pending: 0,
        unrecognised: 0,
    };
    Reply::Status(Box::new(Status {
        version: "0.1.0".into(),
        protocol: "1.0".into(),
        pid: 1,
        uptime_ms: Millis(1000),
        socket: "/s".into(),
        last_seq: Seq(0),
        claude: ClaudeStatus { path: None, version: None },
        conversations: keys.iter().map(conversation).collect(),
        clients: vec![],
        problems: vec![],
    }))
}
