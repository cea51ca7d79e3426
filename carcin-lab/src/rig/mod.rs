//! Everything at once: the model's stand-in, Telegram's stand-in, `carcind`, `carcin-tg` and a Claude, on free
//! ports in a directory of its own.
//!
//! ```no_run
//! # use carcin_lab::rig::Rig;
//! # async fn example() -> anyhow::Result<()> {
//! let mut rig = Rig::builder().start().await?;
//! let talk = rig.talk("tg:1");
//! let before = talk.say("!text Hello").await?;
//! rig.kill_daemon().await?;
//! rig.restart_daemon().await?;
//! rig.finish().await
//! # }
//! ```
//!
//! Nothing of it is left when the rig is dropped, whatever the programs do, and when the process is interrupted.

mod builder;
mod check;
mod events;
mod fault;
mod phone;
mod places;
pub(crate) mod process;
pub(crate) mod programs;
mod sweep;
mod talk;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use carcin_proto::{Client, ClientError, ConversationKey, Cursor, Envelope, JournalId, Reply, Request, Seq};
use serde_json::Value;

pub use builder::{Builder, Claude, REAL_CLAUDE_ENV};
pub use check::check;
pub use events::{Events, Heard, Log};
pub use fault::Fault;
pub use places::Places;
pub use process::Process;
pub(crate) use programs::build_command;
pub use programs::{BIN_DIR_ENV, front_with_faults};
pub use sweep::abandoned;
pub use talk::Talk;

use crate::model::{ModelConfig, ModelLab, claude_env};
use crate::telegram::TelegramLab;
use process::variable;

/// Longer than anything takes on a busy machine; a wait that lasts so long has failed.
pub const PATIENCE: Duration = Duration::from_mins(2);
/// The owner's id in Telegram, and of the chat with the bot, unless told otherwise.
pub const OWNER: i64 = 1001;

/// Everything, running.
pub struct Rig {
    /// The model's stand-in; only the real Claude talks to it.
    pub model: ModelLab,
    /// Telegram's stand-in.
    pub telegram: TelegramLab,
    /// `carcind`, as it was started last.
    pub daemon: Process,
    /// `carcin-tg`, as it was started last, if it was.
    pub front: Option<Process>,
    /// Follows the daemon from its first start on.
    pub events: Events,
    /// Where things are.
    pub places: Places,
    settings: Box<Builder>,
    owner: i64,
    programs: PathBuf,
    daemon_program: PathBuf,
    armed: fault::Armed,
    claude: PathBuf,
    journal: JournalId,
    starts: u32,
    finished: bool,
}

impl Rig {
    /// A rig to be set up.
    pub fn builder() -> Builder {
        Builder::default()
    }

    async fn start(mut settings: Box<Builder>) -> anyhow::Result<Self> {
        let build = if settings.faults { programs::with_faults } else { programs::directory };
        let programs = tokio::task::spawn_blocking(build).await??;
        let daemon_program =
            if settings.faults { programs::fault_daemon(&programs)? } else { programs.join("carcind") };
        let claude = settings.claude.path(&programs)?;
        let places = Places::create(settings.state.clone())?;
        if settings.mcp_server {
            places.add_mcp_server(&programs.join("carcin-lab-mcp"))?;
        }
        let claude = if settings.slow_start { slow(&claude, &places)? } else { claude };
        if settings.telegram.users.is_empty() {
            settings.telegram.users.push((OWNER, "Alex".to_owned()));
        }
        let owner = settings.telegram.users[0].0;
        let model = ModelLab::start(ModelConfig::default()).await?;
        let telegram = TelegramLab::start(settings.telegram.clone()).await?;
        std::fs::write(places.config(), configuration(&settings))?;
        let environment = environment(&settings, &places, &model, &claude);
        let mut daemon = Process::start(&daemon_program, &[], &environment, &places.logs(), "carcind-1")?;
        daemon.ready().await?;
        let client = Client::connect(&places.socket(), "rig", env!("CARGO_PKG_VERSION")).await?;
        let journal = client.welcome().journal;
        let events = Events::follow(&places.socket(), "rig", Some(Cursor { journal, seq: Seq(0) }));
        let mut rig = Self {
            model,
            telegram,
            daemon,
            front: None,
            events,
            places,
            settings,
            owner,
            programs,
            daemon_program,
            armed: fault::Armed::default(),
            claude,
            journal,
            starts: 1,
            finished: false,
        };
        if rig.settings.front {
            rig.restart_front().await?;
        }
        Ok(rig)
    }

    /// The owner's id in Telegram, which is also that of the chat with the bot.
    pub fn owner(&self) -> i64 {
        self.owner
    }

    /// The directory with Carcin's programs.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The `claude` that the daemon starts.
    pub fn claude(&self) -> &Path {
        &self.claude
    }

    /// The journal of the daemon's first start.
    pub fn journal_id(&self) -> JournalId {
        self.journal
    }

    /// A connection to the daemon.
    pub async fn client(&self) -> Result<Client, ClientError> {
        Client::connect(&self.places.socket(), "rig", env!("CARGO_PKG_VERSION")).await
    }

    /// Asks the daemon, on a connection of its own.
    pub async fn request(&self, request: &Request) -> Result<Reply, ClientError> {
        talk::ask(&self.places.socket(), request).await
    }

    /// Follows the daemon once more; `None`: from now on.
    #[must_use = "it ends when it is dropped"]
    pub fn subscribe(&self, cursor: Option<Cursor>) -> Events {
        Events::follow(&self.places.socket(), "rig-subscriber", cursor)
    }

    /// The conversation of this key, which need not exist.
    pub fn talk(&self, key: &str) -> Talk {
        let key = ConversationKey::new(key).expect("a test's conversation has a valid key");
        Talk::new(key, self.places.socket(), self.events.clone())
    }

    /// The owner's conversation with the bot.
    pub fn owners_talk(&self) -> Talk {
        self.talk(&format!("tg:{}", self.owner))
    }

    /// Lets every Claude start, those that wait and those to come; see [`Builder::slow_start`].
    pub fn let_start(&self) -> anyhow::Result<()> {
        std::fs::write(self.places.start(), "").context("cannot let Claude start")
    }

    /// Opens a gate of the script's, for both kinds of Claude.
    pub fn open_gate(&self, name: &str) -> anyhow::Result<()> {
        self.model.open_gate(name);
        crate::scripted::open_gate(&self.places.home(), name).context("cannot open the gate")
    }

    /// Each prompt as the model was asked, with what was sent while it worked. In order within a session.
    pub fn asked(&self) -> anyhow::Result<Vec<String>> {
        match self.settings.claude {
            Claude::Scripted => transcribed(&self.places.home()),
            Claude::Real | Claude::Path(_) => Ok(self.model.prompts()),
        }
    }

    /// Each prompt as often as a turn was begun with it: one that ran twice is there twice. What was sent while Claude
    /// worked is there with the scripted Claude alone.
    pub fn begun(&self) -> anyhow::Result<Vec<String>> {
        match self.settings.claude {
            // It writes a prompt down whenever it is about to work on it.
            Claude::Scripted => transcribed(&self.places.home()),
            Claude::Real | Claude::Path(_) => Ok(self.model.begun()),
        }
    }

    /// Sends SIGKILL to the daemon and waits for its end.
    pub async fn kill_daemon(&mut self) -> anyhow::Result<()> {
        self.daemon.kill().await.map(drop)
    }

    /// Sends SIGTERM to the daemon and waits for its end.
    pub async fn terminate_daemon(&mut self) -> anyhow::Result<()> {
        let status = self.daemon.terminate().await?;
        anyhow::ensure!(status.success(), "carcind ended with {status}\n{}", self.daemon.log_text());
        Ok(())
    }

    /// Starts the daemon again; returns when it is ready.
    pub async fn restart_daemon(&mut self) -> anyhow::Result<()> {
        self.daemon = self.another_daemon(&[])?;
        self.daemon.ready().await
    }

    /// Gives this variable to every program that is started from now on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.settings.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts one more daemon, with these flags; not waited for.
    pub fn another_daemon(&mut self, flags: &[&str]) -> anyhow::Result<Process> {
        self.starts += 1;
        let mut environment = environment(&self.settings, &self.places, &self.model, &self.claude);
        environment.extend(self.armed.environment()?);
        let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
        let name = format!("carcind-{}", self.starts);
        Process::start(&self.daemon_program, &flags, &environment, &self.places.logs(), &name)
    }

    /// Sends SIGKILL to `carcin-tg` and waits for its end.
    pub async fn kill_front(&mut self) -> anyhow::Result<()> {
        self.front.as_mut().context("carcin-tg was not started")?.kill().await.map(drop)
    }

    /// Sends SIGTERM to `carcin-tg` and waits for its end.
    pub async fn terminate_front(&mut self) -> anyhow::Result<()> {
        let front = self.front.as_mut().context("carcin-tg was not started")?;
        let status = front.terminate().await?;
        anyhow::ensure!(status.success(), "carcin-tg ended with {status}\n{}", front.log_text());
        Ok(())
    }

    /// Starts `carcin-tg`, for the first time or again; returns when it is ready.
    pub async fn restart_front(&mut self) -> anyhow::Result<()> {
        let mut front = self.another_front(&[])?;
        let ready = front.ready().await;
        self.front = Some(front);
        ready
    }

    /// Starts one more `carcin-tg`, with these variables on top; not waited for.
    pub fn another_front(&mut self, more: &[(&str, &str)]) -> anyhow::Result<Process> {
        self.starts += 1;
        let mut environment = environment(&self.settings, &self.places, &self.model, &self.claude);
        environment.extend([
            variable("TELEGRAM_BOT_TOKEN", self.telegram.token()),
            variable("TELEGRAM_API_URL", self.telegram.api_url()),
            variable("ALLOWED_USER_IDS", self.owner.to_string()),
        ]);
        environment.extend(more.iter().map(|(name, value)| variable(name, value)));
        let name = format!("carcin-tg-{}", self.starts);
        Process::start(&self.programs.join("carcin-tg"), &[], &environment, &self.places.logs(), &name)
    }

    /// Everything in the journal, from its first event.
    pub async fn journal(&self) -> anyhow::Result<Vec<(Seq, Envelope)>> {
        let head = self.client().await?.welcome().head;
        let events = self.subscribe(Some(Cursor { journal: self.journal, seq: Seq(0) }));
        let what = format!("the journal up to {head}");
        events
            .wait(&what, |log| {
                let last = log.durable().next_back().map_or(Seq(0), |(seq, _)| seq);
                (last >= head).then(|| log.durable().map(|(seq, envelope)| (seq, envelope.clone())).collect())
            })
            .await
    }

    /// Checks what holds after every test, then ends everything: the journal is in order, and it is what the
    /// rig's own subscriber was told, each event once.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        let journal = self.journal().await?;
        if let Err(wrong) = check(&journal) {
            bail!("the journal is wrong:\n{wrong}\n{}", self.events.log().transcript());
        }
        let head = journal.last().map(|(seq, _)| *seq);
        let told: Vec<(Seq, Envelope)> = self
            .events
            .wait("the subscriber to catch up", |log| {
                let last = log.durable().next_back().map(|(seq, _)| seq);
                let all = || log.durable().map(|(seq, envelope)| (seq, envelope.clone())).collect();
                (last >= head).then(all)
            })
            .await?;
        // It may have been told of more since the journal was read.
        let told = &told[..told.len().min(journal.len())];
        if let Some(at) = (0..journal.len()).find(|at| told.get(*at) != journal.get(*at)) {
            bail!("the subscriber was told {:?}, the journal has {:?}", told.get(at), journal[at]);
        }
        self.finished = true;
        Ok(())
    }

    /// Ends everything, with nothing checked and nothing shown.
    pub fn discard(mut self) {
        self.finished = true;
    }

    /// The processes that the rig has started and that live, with their command lines.
    pub fn living(&self) -> Vec<(u32, String)> {
        sweep::living(self.places.dir())
    }

    /// What each program wrote to stderr.
    pub fn logs(&self) -> String {
        let entries = std::fs::read_dir(self.places.logs()).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        paths.sort();
        let show = |path: &PathBuf| {
            let bytes = std::fs::read(path).unwrap_or_default();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            format!("---- {name} ----\n{}", String::from_utf8_lossy(&bytes))
        };
        paths.iter().map(show).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // A test that passes does not show this.
        eprintln!("{}", self.logs());
        if std::env::var_os("CARCIN_RIG_KEEP").is_some() {
            eprintln!("the rig's directory stays: {}", self.places.dir().display());
            self.places.keep();
        }
    }
}

/// A program that becomes `claude` once the file of [`Places::start`] is there.
fn slow(claude: &Path, places: &Places) -> anyhow::Result<PathBuf> {
    let script = places.dir().join("claude");
    let text = format!(
        "#!/bin/sh\nwhile [ ! -e '{}' ]; do sleep 0.02; done\nexec '{}' \"$@\"\n",
        places.start().display(),
        claude.display()
    );
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700))?;
    Ok(script)
}

/// The daemon's configuration file: what has no variable.
fn configuration(settings: &Builder) -> String {
    let minutes = |name: &str, time: Duration| format!("{name} = {}\n", time.as_secs_f64() / 60.0);
    let idle = settings.idle_exit.map(|after| minutes("idle_minutes", after));
    let patience = settings
        .patience
        .map(|(quiet, hung)| minutes("quiet_minutes", quiet) + &minutes("hung_minutes", hung));
    // Under systemd a Claude would have another environment's limits, and the rig would not find it.
    let limits = (!settings.limits.is_empty()).then(|| format!("[limits]\n{}\n", settings.limits));
    let keep = settings.keep_events.map(|keep| format!("[journal]\nkeep_events = {keep}\n"));
    let plugins =
        settings.plugin_dir.as_ref().map(|dir| format!("plugin_dirs = [{:?}]\n", dir.display().to_string()));
    let more = [plugins, idle, patience, keep, limits].into_iter().flatten();
    format!("[claude]\nlauncher = \"plain\"\n{}", more.collect::<String>())
}

fn environment(
    settings: &Builder,
    places: &Places,
    model: &ModelLab,
    claude: &Path,
) -> Vec<(String, OsString)> {
    let mut environment: Vec<(String, OsString)> = if settings.inherit {
        let ours = |name: &str| {
            ["CARCIN_", "TELEGRAM_", "CARGO_PKG_", "CARGO_MANIFEST_"]
                .iter()
                .any(|start| name.starts_with(start))
        };
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| !ours(name))
            .collect()
    } else {
        let isolated = claude_env(&model.base_url(), &places.home());
        isolated.into_iter().map(|(name, value)| (name, OsString::from(value))).collect()
    };
    environment.extend([
        variable("TMPDIR", places.tmp()),
        variable("CARCIN_CONFIG", places.config()),
        variable("CARCIN_SOCKET", places.socket()),
        variable("CARCIN_STATE_DIR", places.state()),
        variable("CLAUDE_PATH", claude),
        variable("CLAUDE_WORKING_DIR", places.work()),
        variable("RUST_LOG", "info,carcind=debug,carcin_tg=debug"),
    ]);
    environment.extend(settings.permission_mode.iter().map(|mode| variable("CARCIN_PERMISSION_MODE", mode)));
    environment.extend(settings.environment.iter().map(|(name, value)| variable(name, value)));
    environment
}

/// The text of a prompt, which is one, or blocks.
fn texts(content: &Value) -> String {
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let texts = blocks.iter().filter_map(|block| block["text"].as_str());
    content.as_str().into_iter().chain(texts).collect::<Vec<_>>().join("\n")
}

/// The prompts in the transcripts under `home`.
fn transcribed(home: &Path) -> anyhow::Result<Vec<String>> {
    let projects = home.join(".claude/projects");
    let mut prompts = Vec::new();
    for folder in std::fs::read_dir(projects).into_iter().flatten() {
        for transcript in std::fs::read_dir(folder?.path())? {
            let text = std::fs::read_to_string(transcript?.path())?;
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            prompts.extend(
                lines
                    .filter(|line| line["type"] == "user" && line["promptSource"] == "sdk")
                    .map(|line| texts(&line["message"]["content"])),
            );
        }
    }
    Ok(prompts)
}
