//! The wiring: in which order things start, and how they end.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::client::Backoff;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::{Api, ApiError, Me};
use crate::config::Config;
use crate::fatal::Fatal;
use crate::inbox::{self, Desk, Program};
use crate::link::Daemon;
use crate::link::apply::Audience;
use crate::link::follow::{self, Following};
use crate::lock::Lock;
use crate::markdown::Text;
use crate::menu;
use crate::message::Message;
use crate::outbox::live::Live;
use crate::outbox::sender;
use crate::poller::{self, Intake};
use crate::queue::{Lane, Priority, Signals};
use crate::restart::Restart;
use crate::store::{Store, StoreError, outbox, restarts};
use crate::uploads;

/// How long the tasks may take to end.
const SHUTDOWN: Duration = Duration::from_secs(4);
/// Between two times at which what is old is forgotten.
const CLEAR_AWAY: Duration = Duration::from_hours(6);
/// What is asked of systemd while Telegram cannot be reached, so that waiting is no failure to start.
const MORE_TIME: Duration = Duration::from_mins(1);

/// Why it ended, where nothing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was told to.
    Stopped,
    /// It is to start anew.
    Again,
}

/// Runs until SIGTERM or SIGINT, or until it is to start anew.
pub(crate) async fn run(config: Config) -> Result<Ended, Fatal> {
    let cancel = CancellationToken::new();
    on_signal(cancel.clone())?;
    make_private_dir(&config)?;
    let bot = config.token.bot();
    let _lock = Lock::take(&config.dir.join(format!("{bot}.lock")))?;
    let store = Store::open(&config.dir.join(format!("{bot}.db")))?;
    let api = Api::new(&config.token, config.api_url.as_deref()).map_err(|error| Fatal::Config {
        message: error.to_string(),
        hint: "check TELEGRAM_API_URL".to_owned(),
    })?;
    let Some(me) = reach_telegram(&api, &cancel).await? else {
        return Ok(Ended::Stopped);
    };
    info!(bot, username = me.username, "carcin-tg is ready");
    // Not under systemd there is nobody to tell.
    let _ = sd_notify::notify(&[NotifyState::Ready]);

    say_back(&store).await?;
    let restart = Restart::new(config.service.clone());
    let mut tasks = start(config, store, api, me, &restart, &cancel);
    let mut ended = Ok(Ended::Stopped);
    tokio::select! {
        // A task that ends because it is told to is not why all of it ends.
        biased;
        () = restart.wanted() => {
            info!("starting anew");
            ended = Ok(Ended::Again);
            cancel.cancel();
        }
        () = cancel.cancelled() => info!("stopping"),
        Some(task) = tasks.join_next() => {
            let task = task.unwrap_or_else(|error| Err(Fatal::Task(error.to_string())));
            ended = task.map(|()| Ended::Stopped);
            cancel.cancel();
        }
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN, all).await.is_err() {
        warn!("some tasks did not end in time; the store has what they were about");
    }
    ended
}

fn start(
    config: Config,
    store: Store,
    api: Api,
    me: Me,
    restart: &Restart,
    cancel: &CancellationToken,
) -> JoinSet<Result<(), Fatal>> {
    let bot = config.token.bot();
    let mut tasks = JoinSet::new();
    let signals = Arc::new(Signals::default());
    let (up, is_up) = watch::channel(false);
    let daemon = Daemon::new(config.socket.clone());
    let program = Program::new(&config.dir, &config.uploads.dir, restart.clone());
    tasks.spawn(clear_away(store.clone(), program.clone(), cancel.clone()));
    let (heard, is_heard) = watch::channel(None);
    tasks.spawn(menu::keep(api.clone(), store.clone(), daemon.clone(), is_heard, cancel.clone()));
    let identity = (bot, me.clone());
    let desk = Desk::new(daemon, store.clone(), api.clone(), config.gate.clone(), identity, program);
    let desk = Arc::new(desk);
    for lane in Lane::ALL {
        tasks.spawn(inbox::run(lane, Arc::clone(&desk), Arc::clone(&signals), is_up.clone(), cancel.clone()));
    }
    let audience = Audience { gate: config.gate.clone(), style: config.style };
    let live = Arc::new(Live::default());
    let following =
        Following { socket: config.socket, remind: config.remind, live: Arc::clone(&live), up, heard };
    tasks.spawn(follow::run(following, store.clone(), audience, cancel.clone()));
    tasks.spawn(sender::run(api.clone(), store.clone(), live, cancel.clone()));
    tasks.spawn(watch_store(store.clone(), cancel.clone()));
    let files = (api.clone(), store.clone(), config.gate.clone(), config.uploads);
    tasks.spawn(uploads::run(files.0, files.1, files.2, files.3, Arc::clone(&signals), cancel.clone()));
    let intake = Intake { gate: config.gate, bot, username: me.username };
    tasks.spawn(poller::run(api, store, intake, signals, cancel.clone()));
    tasks
}

fn make_private_dir(config: &Config) -> Result<(), Fatal> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.dir)
        .map_err(|source| Fatal::Io { what: format!("cannot create {}", config.dir.display()), source })
}

fn on_signal(cancel: CancellationToken) -> Result<(), Fatal> {
    let failed = |source| Fatal::Io { what: "cannot listen for signals".to_owned(), source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancel.cancel();
    });
    Ok(())
}

/// Who the bot is, as soon as Telegram tells. `None`: cancelled before.
async fn reach_telegram(api: &Api, cancel: &CancellationToken) -> Result<Option<Me>, Fatal> {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    loop {
        let wait = tokio::select! {
            () = cancel.cancelled() => return Ok(None),
            me = api.me() => match me {
                Ok(me) => return Ok(Some(me)),
                Err(ApiError::Unauthorized) => return Err(Fatal::TokenRefused),
                Err(ApiError::RetryAfter(wait)) => wait,
                Err(error) => {
                    warn!("waiting for Telegram: {error}");
                    backoff.delay()
                }
            },
        };
        let more = u32::try_from((wait + MORE_TIME).as_micros()).unwrap_or(u32::MAX);
        let _ = sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(more)]);
        tokio::select! {
            () = cancel.cancelled() => return Ok(None),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn watch_store(store: Store, cancel: CancellationToken) -> Result<(), Fatal> {
    tokio::select! {
        () = cancel.cancelled() => Ok(()),
        () = store.closed() => Err(Fatal::Store(StoreError::Closed)),
    }
}

/// Forgets what is settled and old, at the start and then again and again: the program may run for months.
async fn clear_away(store: Store, program: Program, cancel: CancellationToken) -> Result<(), Fatal> {
    let mut due = tokio::time::interval(CLEAR_AWAY);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            _ = due.tick() => {}
        }
        if let Err(error) = store.prune().await {
            warn!("what is old stays in the store: {error}");
        }
        let program = program.clone();
        let _ = tokio::task::spawn_blocking(move || program.clear_away()).await;
    }
}

/// Tells those who asked for a restart that it is over.
async fn say_back(store: &Store) -> Result<(), StoreError> {
    let told = store.write(|tx| {
        for place in restarts::take(tx)? {
            let text = format!("✅ I am back: carcin-tg {}", env!("CARGO_PKG_VERSION"));
            outbox::send(tx, place, Priority::Control, &Message::silent(Text::plain(&text)))?;
        }
        Ok(())
    });
    told.await
}
