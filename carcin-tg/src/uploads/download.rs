//! The bytes of a file: from Telegram into a file of the user's alone.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::name::safe;
use super::tell::too_large;
use super::{Job, Workshop};
use crate::api::ApiError;
use crate::place::Place;

/// The largest file that Telegram's own server gives out (Bot API, `getFile`).
const CLOUD_LIMIT: u64 = 20 * 1024 * 1024;
/// Between two looks at how far it is.
const TICK: Duration = Duration::from_secs(3);
/// How long nothing may come of a file before it is asked for anew.
const STALL: Duration = Duration::from_mins(1);

/// Why there is no file.
#[derive(Debug)]
pub(super) enum Failure {
    /// Again later.
    Again(Duration),
    /// What came was not the file. Again, a few times; then what to tell the user.
    Spoiled(String),
    /// Never; what to tell the user.
    Never(String),
}

/// A file that nobody needs unless it is kept.
#[derive(Debug)]
pub(super) struct Unfinished(Option<PathBuf>);

impl Unfinished {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// It has another name now, which means nothing to who opens a file by its name.
    pub(super) fn rename(&mut self, ending: &str) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        let mut other = path.clone().into_os_string();
        other.push(ending);
        std::fs::rename(path, &other)?;
        self.0 = Some(other.into());
        Ok(())
    }

    /// From here on somebody needs it.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Workshop {
    /// Whether Telegram says itself that it is too large.
    pub(super) fn is_too_large(&self, job: &Job<'_>) -> bool {
        !self.api.is_own_server() && job.file.size.is_some_and(|size| size > CLOUD_LIMIT)
    }

    /// Fetches the file.
    pub(super) async fn download(&self, job: &Job<'_>) -> Result<Unfinished, Failure> {
        if self.is_too_large(job) {
            return Err(Failure::Never(too_large()));
        }
        let found = self.api.file_path(&job.file.id).await.map_err(|error| failure(&error))?;
        // Each edit of a message has a file of its own: the one before may still be on its way.
        let edit = (job.message.edited > 0).then_some(job.id);
        let name = safe(job.message.message, edit, job.file);
        let dir = self.settings.dir.clone();
        let (path, target) =
            create(dir, job.message.place, name).await.map_err(|error| io_failure(&error))?;
        let kept = Unfinished(Some(path));
        let got = Arc::new(AtomicU64::new(0));
        let most = if self.api.is_own_server() { u64::MAX } else { CLOUD_LIMIT };
        let most = job.file.size.unwrap_or(most);
        let mut target = Counted { file: File::from_std(target), got: Arc::clone(&got), most };
        self.copy_watched(job, &found, &mut target).await?;
        target.file.sync_all().await.map_err(|error| io_failure(&error))?;
        let came = got.load(Ordering::Relaxed);
        match job.file.size {
            Some(size) if came < size => Err(Failure::Spoiled(format!(
                "of its {size} bytes Telegram gives out {came}. Send it again."
            ))),
            _ => Ok(kept),
        }
    }

    async fn copy_watched(&self, job: &Job<'_>, found: &str, target: &mut Counted) -> Result<(), Failure> {
        let (got, most) = (Arc::clone(&target.got), target.most);
        let copied = {
            let copy = self.copy(found, target);
            tokio::pin!(copy);
            let mut last = (0, Instant::now());
            loop {
                tokio::select! {
                    copied = &mut copy => break copied,
                    () = tokio::time::sleep(TICK) => {
                        let now = got.load(Ordering::Relaxed);
                        if now > last.0 {
                            last = (now, Instant::now());
                            self.progress(job, now).await;
                        } else if last.1.elapsed() > STALL {
                            break Err(Failure::Spoiled("Telegram stops in the middle of it. Send it again.".to_owned()));
                        }
                    }
                }
            }
        };
        match copied {
            Ok(()) => Ok(()),
            Err(_) if got.load(Ordering::Relaxed) > most => Err(Failure::Spoiled(format!(
                "Telegram said that it has {most} bytes, and gives out more. Send it again."
            ))),
            // Where it broke off, the next time may be better; but not for ever, as others wait behind it.
            Err(Failure::Again(Duration::ZERO)) if got.load(Ordering::Relaxed) > 0 => {
                Err(Failure::Spoiled("Telegram breaks off in the middle of it. Send it again.".to_owned()))
            }
            Err(failure) => Err(failure),
        }
    }

    async fn copy(&self, found: &str, target: &mut Counted) -> Result<(), Failure> {
        // A server of one's own keeps files where it runs.
        if found.starts_with('/') {
            let mut source = File::open(found).await.map_err(|error| {
                Failure::Never(format!(
                    "the Bot API server has it as {found}, which cannot be read: {error}. carcin-tg must run on the \
                     same machine, as a user who can read it."
                ))
            })?;
            tokio::io::copy(&mut source, target).await.map_err(|error| io_failure(&error))?;
            return target.flush().await.map_err(|error| io_failure(&error));
        }
        match self.api.download(found, target).await {
            Ok(()) => target.flush().await.map_err(|error| io_failure(&error)),
            Err(ApiError::File(why)) => Err(Failure::Never(why)),
            Err(error) => Err(failure(&error)),
        }
    }
}

/// An empty file of the user's alone, in the folder of the chat.
pub(super) async fn create(dir: PathBuf, place: Place, name: String) -> io::Result<(PathBuf, std::fs::File)> {
    let make = move || {
        let dir = dir.join(place.chat.to_string());
        let path = dir.join(name);
        let mut attempts = 3;
        loop {
            attempts -= 1;
            // The sweep may take the folder away in between, as it is empty.
            match create_private(&dir, &path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempts > 0 => {}
                made => return made.map(|file| (path, file)),
            }
        }
    };
    tokio::task::spawn_blocking(make).await.map_err(io::Error::other)?
}

fn create_private(dir: &Path, path: &Path) -> io::Result<std::fs::File> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // What a crash has left of it, or a link that somebody put there.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A file that counts what is written into it, and takes no more than was announced.
struct Counted {
    file: File,
    got: Arc<AtomicU64>,
    most: u64,
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.got.load(Ordering::Relaxed).saturating_add(more) > self.most {
            self.got.fetch_add(more, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::other("more than was announced")));
        }
        let written = Pin::new(&mut self.file).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.got.fetch_add(u64::try_from(*count).unwrap_or_default(), Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_shutdown(cx)
    }
}

fn failure(error: &ApiError) -> Failure {
    match error {
        ApiError::RetryAfter(wait) => Failure::Again(*wait),
        ApiError::Unreachable(_) | ApiError::Unknown(_) | ApiError::Unauthorized | ApiError::Conflict(_) => {
            Failure::Again(Duration::ZERO)
        }
        ApiError::BadRequest(why) if why.contains("too big") => Failure::Never(too_large()),
        error => Failure::Never(format!("Telegram does not give it out ({error}). Send it again.")),
    }
}

fn io_failure(error: &io::Error) -> Failure {
    Failure::Never(super::not_stored(error))
}
