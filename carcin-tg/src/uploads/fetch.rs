//! One file: fetched, and what becomes of its row.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::fs::{self, File};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tracing::error;

use super::name::safe;
use super::{Fetched, Workshop};
use crate::api::ApiError;
use crate::markdown::TextBuilder;
use crate::message::Message as Shown;
use crate::outbox::Lane;
use crate::place::Place;
use crate::store::bundle::{self, Part, ToFetch};
use crate::store::inbox::{self, End};
use crate::store::outbox::MessageRef;
use crate::store::{StoreError, outbox};
use crate::update::{Attachment, Content, FileKind, Message, Update};

/// The largest file that Telegram's own server gives out (Bot API, `getFile`).
const CLOUD_LIMIT: u64 = 20 * 1024 * 1024;
/// From this size on the user is shown how far it is.
const SLOW: u64 = 1_000_000;
/// Between two looks at how far it is.
const TICK: Duration = Duration::from_secs(3);

/// Why there is no file.
#[derive(Debug)]
enum Failure {
    /// Again later.
    Again(Duration),
    /// Never; what to tell the user.
    Never(String),
}

impl Workshop {
    /// Fetches the file of a row. A row whose file there cannot be is refused, and the user is told.
    pub(super) async fn fetch(&self, row: &ToFetch) -> Result<Fetched, StoreError> {
        let id = row.id;
        let Some(Update::Message(message)) = self.gate.admit(&row.raw) else {
            self.store.write(move |tx| inbox::finish(tx, id, End::Cancelled)).await?;
            return Ok(Fetched::Settled);
        };
        let Content::File(file) = &message.content else {
            self.store.write(move |tx| bundle::fetched(tx, id, &Part::default())).await?;
            return Ok(Fetched::Settled);
        };
        let note = self.note(row, &message, file).await?;
        let path = match self.download(&message, file, note).await {
            Ok(path) => path,
            Err(Failure::Again(wait)) => return Ok(Fetched::Again(wait)),
            Err(Failure::Never(why)) => {
                self.refuse(id, message.place, note, file, &why).await?;
                return Ok(Fetched::Settled);
            }
        };
        let (words, told) = self.listen(file, &path).await;
        let what = describe(file);
        let image = matches!(file.kind, FileKind::Photo | FileKind::Sticker) || is_picture(&path);
        // What was said is what counts; the recording is for when nobody could listen to it.
        let kept = words.is_none().then(|| path.clone());
        let part = Part { path: kept, what, image, words };
        let (place, done) = (message.place, line("📎 ", file, None));
        let wanted = self.store.write(move |tx| {
            if !bundle::fetched(tx, id, &part)? {
                return Ok(false);
            }
            if let Some(note) = note {
                outbox::edit(tx, note, Lane::Live, &done)?;
            }
            for text in told {
                outbox::send(tx, place, Lane::Control, &text)?;
            }
            Ok(true)
        });
        if !wanted.await? {
            let _ = fs::remove_file(&path).await;
        }
        Ok(Fetched::Settled)
    }

    /// The message that says how far a large file is.
    async fn note(
        &self,
        row: &ToFetch,
        message: &Message,
        file: &Attachment,
    ) -> Result<Option<MessageRef>, StoreError> {
        let slow = file.size.is_some_and(|size| size > SLOW) && !self.is_too_large(file);
        if row.note.is_some() || !slow {
            return Ok(row.note);
        }
        let (id, place, text) = (row.id, message.place, line("⬇️ ", file, Some(0)));
        let created = self.store.write(move |tx| {
            let note = outbox::create(tx, place, &text)?;
            bundle::set_note(tx, id, note)?;
            Ok(note)
        });
        Ok(Some(created.await?))
    }

    fn is_too_large(&self, file: &Attachment) -> bool {
        !self.api.is_own_server() && file.size.is_some_and(|size| size > CLOUD_LIMIT)
    }

    async fn download(
        &self,
        message: &Message,
        file: &Attachment,
        note: Option<MessageRef>,
    ) -> Result<PathBuf, Failure> {
        if self.is_too_large(file) {
            return Err(Failure::Never(too_large()));
        }
        let found = self.api.file_path(&file.id).await.map_err(|error| failure(&error))?;
        let (path, target) = self.create(message, file).await.map_err(|error| io_failure(&error))?;
        let got = Arc::new(AtomicU64::new(0));
        let mut target = Counted { file: target, got: Arc::clone(&got) };
        let copied = {
            let copy = self.copy(&found, &mut target);
            tokio::pin!(copy);
            loop {
                tokio::select! {
                    copied = &mut copy => break copied,
                    () = tokio::time::sleep(TICK), if note.is_some() => self.progress(note, file, &got).await,
                }
            }
        };
        let kept = match copied {
            Ok(()) => match target.file.sync_all().await {
                Ok(()) => return Ok(path),
                Err(error) => Err(io_failure(&error)),
            },
            Err(failure) => Err(failure),
        };
        let _ = fs::remove_file(&path).await;
        kept
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

    /// An empty file of the user's alone, in the folder of the chat.
    async fn create(&self, message: &Message, file: &Attachment) -> io::Result<(PathBuf, File)> {
        let dir = self.settings.dir.join(message.place.chat.to_string());
        let path = dir.join(safe(message.message, message.edited, file));
        let created = path.clone();
        let make = move || {
            let mut attempts = 3;
            loop {
                attempts -= 1;
                // The sweep may take the folder away in between, as it is empty.
                match create_private(&dir, &created) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound && attempts > 0 => {}
                    made => return made,
                }
            }
        };
        let file = tokio::task::spawn_blocking(make).await.map_err(io::Error::other)??;
        Ok((path, File::from_std(file)))
    }

    async fn progress(&self, note: Option<MessageRef>, file: &Attachment, got: &AtomicU64) {
        let Some((note, size)) = note.zip(file.size) else { return };
        let percent = got.load(Ordering::Relaxed).saturating_mul(100) / size.max(1);
        let text = line("⬇️ ", file, Some(percent.min(100)));
        let shown = self.store.write(move |tx| outbox::edit(tx, note, Lane::Live, &text)).await;
        if let Err(error) = shown {
            error!("{error}");
        }
    }

    /// What is said in a voice message, and what to show the user of that.
    async fn listen(&self, file: &Attachment, path: &Path) -> (Option<String>, Vec<Shown>) {
        let Some(transcriber) = &self.settings.transcriber else { return (None, Vec::new()) };
        if file.kind != FileKind::Voice {
            return (None, Vec::new());
        }
        match transcriber.transcribe(path).await {
            Ok(words) => {
                let mut text = TextBuilder::new();
                text.push("🎙 ").push(&words);
                let parts = crate::markdown::split(&text.build(), crate::markdown::MESSAGE_LIMIT);
                (Some(words), parts.into_iter().map(Shown::silent).collect())
            }
            Err(why) => {
                let mut text = TextBuilder::new();
                text.push("⚠️ Your voice message is not transcribed: ").push(&why);
                text.newline().push("Claude gets the recording.");
                (None, vec![Shown::silent(text.build())])
            }
        }
    }

    /// Nothing comes of the row: its user is told why, once.
    async fn refuse(
        &self,
        id: i64,
        place: Place,
        note: Option<MessageRef>,
        file: &Attachment,
        why: &str,
    ) -> Result<(), StoreError> {
        let mut text = TextBuilder::new();
        text.push("❌ I cannot give ").append(&name_of(file)).push(" to Claude: ").push(why);
        let text = Shown::loud(text.build());
        let refused = self.store.write(move |tx| {
            if !bundle::is_wanted(tx, id)? {
                return Ok(());
            }
            inbox::finish(tx, id, End::Refused)?;
            match note {
                Some(note) => outbox::edit(tx, note, Lane::Control, &text),
                None => outbox::send(tx, place, Lane::Control, &text),
            }
        });
        refused.await
    }
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

/// A file that counts what is written into it.
struct Counted {
    file: File,
    got: Arc<AtomicU64>,
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
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
    Failure::Never(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "there is no room on the disk. Make some, and send it again.".to_owned()
        }
        _ => format!("it cannot be stored: {error}. Send it again when that is cured."),
    })
}

fn too_large() -> String {
    "Telegram's server gives bots no file over 20 MB. Send it in parts or give Claude a link; a Bot API server of your \
     own (TELEGRAM_API_URL) has no such limit."
        .to_owned()
}

fn name_of(file: &Attachment) -> crate::markdown::Text {
    let mut text = TextBuilder::new();
    match &file.name {
        Some(name) => text.code(name),
        None => text.push("this ").push(file.kind.name()),
    };
    text.build()
}

/// What the note says.
fn line(sign: &str, file: &Attachment, percent: Option<u64>) -> Shown {
    let mut text = TextBuilder::new();
    text.push(sign);
    match &file.name {
        Some(name) => text.code(name),
        None => text.push(file.kind.name()),
    };
    if let Some(size) = file.size {
        text.push(&format!(" · {}", megabytes(size)));
    }
    if let Some(percent) = percent.filter(|percent| *percent > 0) {
        text.push(&format!(" · {percent} %"));
    }
    Shown::silent(text.build())
}

fn megabytes(bytes: u64) -> String {
    if bytes < 1_000_000 {
        format!("{} KB", bytes.div_ceil(1000))
    } else {
        format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
    }
}

/// What a file is, for Claude.
fn describe(file: &Attachment) -> String {
    let kind = match file.kind {
        FileKind::Document => "Attached file",
        FileKind::Photo => "Attached picture",
        FileKind::Video => "Attached video",
        FileKind::VideoNote => "Attached video message",
        FileKind::Audio => "Attached audio file",
        FileKind::Voice => "Attached voice message",
        FileKind::Animation => "Attached animation",
        FileKind::Sticker | FileKind::MovingSticker => "Attached sticker",
    };
    kind.to_owned()
}

/// Whether Claude can look at it.
fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["jpg", "jpeg", "png", "gif", "webp"].contains(&extension.to_ascii_lowercase().as_str())
}
