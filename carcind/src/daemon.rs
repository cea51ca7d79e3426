//! The wiring: what is started in which order, and how it ends.
//!
//! Locks first, then the journal, then the Claudes that are still there, then the socket; readiness last. So
//! whoever gets in finds everything as it was. SIGTERM is the crash path made polite: the daemon goes, the
//! Claudes stay.

mod assets;
mod claude_info;
mod foundlings;
mod skills;
mod space;
mod state_dir;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use crate::catalogue::Catalogue;
use crate::child::{Adopted, ChildDir, Launcher, Snapshot};
use crate::claude::transcripts::{Transcripts, config_dir};
use crate::config::Config;
use crate::conversation::{Conversations, SharedAbilities, Site};
use crate::fault::{self, Point};
use crate::rows::Loaded;
use crate::server::{LargeFrames, Lock, Places, Server, bind};
use crate::store::Store;

pub(crate) use space::FREE_FLOOR;
pub(crate) use state_dir::StateDirError;

/// How long the journal may take to be closed at the end. What is not written by then is replayed.
const CLOSE: Duration = Duration::from_secs(5);

/// How long those who are being answered when all Claudes are ended may take to hear it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Runs the daemon until it is told to end.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let state_dir = state_dir::private(&config.state_dir)?;
    let _lock =
        Lock::take(&state_dir.join("carcind.lock"), &format!("the state directory {}", state_dir.display()))?;
    let (store, loaded) = Store::open(&state_dir, &boot_id(), config.keep_events)?;
    let (space, room) = space::Watch::begin(&state_dir, config.free_floor);
    let socket = std::path::absolute(&config.socket)?;
    let claude = config.claude.clone();
    // This takes as long as systemd, launchers and disks take, and whoever tells us to end has less patience. What is not
    // begun yet, the next start begins; it is the crash path.
    let begun = tokio::select! {
        begun = begin(config, state_dir.clone(), socket.clone(), store.clone(), loaded, room) => Some(begun?),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    let Some(Begun { site, conversations, strays }) = begun else {
        tracing::info!("told to end before it was ready; the Claudes go on");
        close(&store).await;
        return Ok(());
    };
    fault::point(Point::Recovered);
    let (listener, _socket_lock) = bind(&socket)?;
    let (ended, mut told_to_end) = mpsc::channel(1);
    let (watch, problems) = watch::Watch::begin(&state_dir, store.clone(), conversations.clone(), space);
    let catalogue = Catalogue::start(site.transcripts.clone(), &site.state_dir)
        .context("cannot start the thread for the sessions")?;
    let places = Places::default();
    let server = Server {
        conversations: conversations.clone(),
        site,
        catalogue,
        claude: claude_info::watch(&claude),
        problems,
        places: places.clone(),
        large: LargeFrames::default(),
        socket: socket.clone(),
        started: Instant::now(),
        resuming: Arc::default(),
        ended,
    };
    let mut watching = tokio::spawn(watch.run());
    let mut serving = tokio::spawn(server.serve(listener));
    tokio::spawn(clear_strays(strays));
    tracing::info!(socket = %socket.display(), "ready");
    notify_systemd(&[sd_notify::NotifyState::Ready]);
    let mut broken = None;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("told to end; the Claudes go on"),
        _ = interrupt.recv() => tracing::info!("interrupted; the Claudes go on"),
        _ = told_to_end.recv() => {
            tracing::info!("shut down, all Claudes are ended");
            // Those who asked for it are to hear it.
            let _ = timeout(FAREWELL, places.settled()).await;
        }
        () = store.ended() => broken = Some(defect("a thread of the journal")),
        () = conversations.ended() => broken = Some(defect("the registry of the conversations")),
        _ = &mut serving => broken = Some(defect("what accepts connections")),
        end = &mut watching => broken = Some(end.unwrap_or_else(Into::into)),
    }
    watching.abort();
    serving.abort();
    close(&store).await;
    // Left behind it would only make the next client wait for nobody.
    let _ = std::fs::remove_file(&socket);
    // Whoever watches over this program starts it again; as it is, every conversation would wait for ever.
    broken.map_or(Ok(()), Err)
}

/// What there is once every Claude of before is taken up.
struct Begun {
    site: Arc<Site>,
    conversations: Conversations,
    strays: Vec<ChildDir>,
}

/// Takes up the Claudes of before.
async fn begin(
    config: Config,
    state_dir: PathBuf,
    socket: PathBuf,
    store: Store,
    mut loaded: Vec<Loaded>,
    room: Receiver<bool>,
) -> anyhow::Result<Begun> {
    let exe = std::env::current_exe().context("cannot find out where this program is")?;
    let plugin = assets::install(&state_dir)?;
    let plugins = skills::as_plugins(&state_dir, config.plugin_dirs);
    let launcher = Launcher::detect(exe.clone(), config.launcher).await;
    let claude_config = config_dir(|name| std::env::var(name).ok()).unwrap_or_default();
    foundlings::take_up(&state_dir, &store, &mut loaded).await?;
    let strays = strays(&state_dir, &loaded)?;
    let site = Arc::new(Site {
        store,
        abilities: SharedAbilities::load(&state_dir),
        state_dir,
        socket,
        claude: config.claude,
        working_dir: config.working_dir,
        launcher,
        limits: config.limits,
        model: config.model,
        effort: config.effort,
        permission_mode: config.permission_mode,
        plugin_dirs: std::iter::once(plugin.dir).chain(plugins).collect(),
        add_dirs: config.add_dirs,
        settings: Some(plugin.settings),
        patience: config.patience,
        ctl: exe.with_file_name("carcin-ctl"),
        transcripts: Transcripts::new(&claude_config),
        short_of_space: room,
    });
    let conversations = Conversations::recover(Arc::clone(&site), loaded).await;
    Ok(Begun { site, conversations, strays })
}

/// Something has ended without which the daemon would only seem to be there.
fn defect(what: &str) -> anyhow::Error {
    anyhow!("{what} has ended by a defect; the Claudes go on")
}

/// Ends the journal: nothing is done any more that is to be known afterwards.
async fn close(store: &Store) {
    notify_systemd(&[sd_notify::NotifyState::Stopping]);
    fault::point(Point::Closing);
    if timeout(CLOSE, store.close()).await.is_err() {
        tracing::warn!("the journal was not closed in time");
    }
    fault::point(Point::Closed);
}

fn notify_systemd(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd was not told");
    }
}

/// Names the machine's current boot; empty where the kernel does not tell.
fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// Children that no conversation knows: their row was lost with the journal, or was settled just before their
/// directory could be removed.
fn strays(state_dir: &Path, loaded: &[Loaded]) -> anyhow::Result<Vec<ChildDir>> {
    let known: Vec<String> = loaded
        .iter()
        .filter_map(|loaded| Some(loaded.conversation.child.as_ref()?.generation.clone()))
        .collect();
    let all = ChildDir::list(state_dir).context("cannot list the children")?;
    let stray = all.into_iter().filter(|generation| !known.contains(&generation.to_string()));
    Ok(stray.map(|generation| ChildDir::open(state_dir, generation)).collect())
}

async fn clear_strays(strays: Vec<ChildDir>) {
    for dir in strays {
        let path: PathBuf = dir.path().to_owned();
        let left = match dir.adopt().await {
            Ok(Adopted::Alive(child)) => child.descendants().await.unwrap_or_default(),
            Ok(Adopted::Dead(_)) => Snapshot::default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a stray child stays");
                continue;
            }
        };
        if let Err(error) = dir.sweep(left).await {
            tracing::warn!(path = %path.display(), %error, "a stray child may still run");
        }
        if let Err(error) = dir.remove() {
            tracing::warn!(path = %path.display(), %error, "a stray child's directory stays");
        }
    }
}
