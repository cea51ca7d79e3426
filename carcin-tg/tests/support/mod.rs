//! The program between two stand-ins: Telegram on one side, carcind on the other.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part of it

pub mod daemon;
pub mod death;
pub mod events;

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use carcin_lab::telegram::{ChatMessage, LabConfig, TelegramLab};
use carcin_proto::Request;
use carcin_proto::request::Submit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use daemon::Daemon;

/// The allowed person; also the private chat's id.
pub const ANN: i64 = 1001;
/// A stranger.
pub const EVE: i64 = 666;
/// Ann's conversation.
pub const HERE: &str = "tg:1001";
/// A picture of one pixel.
pub const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";
/// More than anything here takes on a busy machine; a wait that lasts so long has failed.
pub const SOON: Duration = Duration::from_mins(2);

pub struct Rig {
    pub telegram: TelegramLab,
    pub daemon: Daemon,
    pub dir: tempfile::TempDir,
    pub bot: Option<Child>,
    /// The configuration file.
    pub config: PathBuf,
    /// The program itself.
    pub program: PathBuf,
}

impl Rig {
    /// Both stand-ins and the program, running.
    pub async fn new() -> Self {
        let mut rig = Self::without_bot().await;
        rig.start().await;
        rig
    }

    /// Both stand-ins and the program, with this in the configuration file under `[telegram]`.
    pub async fn configured(telegram: &str) -> Self {
        let mut rig = Self::without_bot().await;
        rig.config = rig.dir.path().join("config.toml");
        std::fs::write(&rig.config, format!("[telegram]\n{telegram}\n")).expect("writes");
        rig.start().await;
        rig
    }

    /// The same with a Telegram that is set up otherwise; its people are the usual ones.
    pub async fn with_telegram(config: LabConfig) -> Self {
        let mut rig = Self::without_bot_with(config).await;
        rig.start().await;
        rig
    }

    pub async fn start(&mut self) {
        let rig = self;
        rig.daemon.start();
        rig.start_bot();
        rig.wait_until_polling().await;
        let subscribed = |state: &daemon::State| {
            state.asked.iter().any(|request| matches!(request, Request::Subscribe(_))).then_some(())
        };
        rig.daemon.wait_for("the subscription", subscribed).await;
    }

    /// The stand-ins; of them, carcind does not listen yet.
    pub async fn without_bot() -> Self {
        Self::without_bot_with(LabConfig::default()).await
    }

    async fn without_bot_with(config: LabConfig) -> Self {
        let users = vec![(ANN, "Ann".to_owned()), (EVE, "Eve".to_owned())];
        let telegram = TelegramLab::start(LabConfig { users, ..config }).await.expect("starts");
        let dir = tempfile::tempdir().expect("a directory");
        let daemon = Daemon::new(&dir.path().join("carcind.sock"));
        let program = env!("CARGO_BIN_EXE_carcin-tg").into();
        Self { telegram, daemon, dir, bot: None, config: "/dev/null".into(), program }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("bot.log")
    }

    /// The program's command line with the rig around it.
    pub fn command(&self) -> Command {
        let log = std::fs::File::options().create(true).append(true).open(self.log()).expect("a log");
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("TELEGRAM_API_URL", self.telegram.api_url())
            .env("TELEGRAM_BOT_TOKEN", self.telegram.token())
            .env("ALLOWED_USER_IDS", ANN.to_string())
            .env("CARCIN_STATE_DIR", self.dir.path().join("state"))
            .env("CARCIN_SOCKET", self.dir.path().join("carcind.sock"))
            .env("CARCIN_CONFIG", &self.config)
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        command
    }

    pub fn start_bot(&mut self) {
        assert!(self.bot.is_none());
        self.bot = Some(self.command().spawn().expect("the program starts"));
    }

    /// A poll is open: the program is past its start.
    pub async fn wait_until_polling(&self) {
        let since = self.telegram.calls_of("getUpdates").len();
        self.telegram
            .wait_for("a poll", SOON, |state| {
                let polls = state.calls.iter().filter(|call| call.method.eq_ignore_ascii_case("getUpdates"));
                let open = polls.clone().next_back().is_some_and(|call| call.outcome.is_none());
                (open && polls.count() >= since.max(1)).then_some(())
            })
            .await
            .expect("it polls");
    }

    /// SIGKILL.
    pub async fn kill_bot(&mut self) {
        let mut bot = self.bot.take().expect("it runs");
        bot.kill().await.expect("it dies");
    }

    /// SIGTERM; how it ended.
    pub async fn stop_bot(&mut self) -> ExitStatus {
        let mut bot = self.bot.take().expect("it runs");
        terminate(&bot);
        tokio::time::timeout(SOON, bot.wait()).await.expect("it ends soon").expect("it ends")
    }

    /// Ann writes.
    pub fn write(&self, text: &str) -> i64 {
        self.telegram.send_text(ANN, ANN, text).expect("sent")
    }

    /// A visible message of the bot in Ann's chat that contains `text`.
    pub async fn sees(&self, text: &str) -> ChatMessage {
        match self.telegram.wait_for_text(ANN, text, SOON).await {
            Ok(message) => message,
            Err(error) => panic!("{error}\n--- the bot's log:\n{}", self.read_log()),
        }
    }

    /// The bot's visible messages in Ann's chat.
    pub fn shown(&self) -> Vec<ChatMessage> {
        let messages = self.telegram.messages(ANN);
        messages.into_iter().filter(|message| message.visible() && message.from_bot()).collect()
    }

    /// How many of them contain `text`.
    pub fn count(&self, text: &str) -> usize {
        self.shown().iter().filter(|message| message.text().contains(text)).count()
    }

    /// The prompt whose text contains `part`, with its pictures.
    pub async fn prompt_with(&self, part: &str) -> (Submit, Vec<PathBuf>) {
        let what = format!("a prompt with {part:?}");
        self.daemon
            .wait_for(&what, |state| {
                let (_, submit) = state.prompts.values().find(|(_, submit)| submit.text.contains(part))?;
                let images = state.images.get(submit.key.as_str()).cloned().unwrap_or_default();
                Some((submit.clone(), images))
            })
            .await
    }

    /// What the phone says to a press on the button `label` of a message.
    pub async fn press(&self, message: &ChatMessage, label: &str) -> String {
        let id = self.telegram.press(ANN, ANN, message.id, label).expect("pressed");
        self.toast(id).await
    }

    /// The answer to a press.
    pub async fn toast(&self, id: String) -> String {
        let answered = self.telegram.wait_for("the button's answer", SOON, move |state| {
            state.callbacks.iter().find(|one| one.id == id)?.answer.as_ref().map(|answer| answer.text.clone())
        });
        answered.await.expect("answered").unwrap_or_default()
    }

    /// Waits until the program's log says this.
    pub async fn logged(&self, text: &str) {
        let logged = async {
            while !self.read_log().contains(text) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, logged).await.unwrap_or_else(|_| panic!("{text:?} is not in the log"));
    }

    /// The program's store, as one may look at it from outside.
    pub fn store(&self) -> rusqlite::Connection {
        let files = std::fs::read_dir(self.dir.path().join("state/tg")).expect("the state directory");
        let mut paths = files.map(|file| file.expect("a file").path());
        let path = paths.find(|path| path.extension().is_some_and(|end| end == "db")).expect("the store");
        let store = rusqlite::Connection::open(path).expect("it opens");
        store.busy_timeout(SOON).expect("it waits");
        store
    }

    /// Waits until nothing is on its way to Telegram. The phone shows a message a moment before the program knows that
    /// it does: a kill in between sends it once more, as it may.
    pub async fn settled(&self) {
        self.has_rows("state = 'in_flight'", 0).await;
    }

    /// Waits until the outbox has exactly so many rows of which this holds.
    pub async fn has_rows(&self, which: &str, count: i64) {
        let store = self.store();
        let query = format!("SELECT count(*) FROM outbox WHERE {which}");
        let all_there = async {
            while store.query_row(&query, [], |row| row.get::<_, i64>(0)).expect("the rows") != count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(SOON, all_there).await;
        waited.unwrap_or_else(|_| panic!("there are never {count} rows of which {which}"));
    }

    pub fn read_log(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Rig {
    /// Holds for every test: the token is in no log.
    fn drop(&mut self) {
        let secret = self.telegram.token().split_once(':').expect("a token").1.to_owned();
        if std::thread::panicking() {
            let log = self.read_log();
            let shown: Vec<String> = self.shown().iter().map(|message| message.text().to_owned()).collect();
            eprintln!("--- the phone shows: {shown:#?}");
            let told = log
                .lines()
                .filter(|line| [" INFO", " WARN", "ERROR"].iter().any(|level| line.contains(level)));
            eprintln!("--- the bot's log:\n{}", told.collect::<Vec<_>>().join("\n"));
        } else {
            assert!(!self.read_log().contains(&secret), "the token is in the log");
        }
    }
}

/// Sends SIGTERM.
pub fn terminate(bot: &Child) {
    let pid = i32::try_from(bot.id().expect("it runs")).expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it gets the signal");
}

/// Polls as another program with the same token does.
pub async fn poll_once(telegram: &TelegramLab) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = telegram.api_url().replace("http://", "");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connects");
    let request = format!(
        "GET /bot{}/getUpdates?timeout=1 HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n",
        telegram.token()
    );
    stream.write_all(request.as_bytes()).await.expect("writes");
    // Either of the two may be the older one in the end.
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answers");
    assert!(answer.contains("\"ok\":"), "{answer}");
}
